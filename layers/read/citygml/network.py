"""Networks of pipes and cables: of PLATEAU (uro) and of the Utility Network ADE.

Source: i-UR 3.1 (utility.xsd); CityGML Utility Network ADE 0.9.2, whose network holds its components, and a
graph of their ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from lxml import etree

from layers.read.citygml.names import CLASSES, GML, MEDIA, XLINK, Group, gml_id, group_of, local

type Element = etree._Element

_CURVES = tuple(f"{{{ns}}}{name}" for ns in GML for name in ("LineString", "Curve"))
_POLYGONS = tuple(f"{{{ns}}}Polygon" for ns in GML)
#: Pipes and what stands between them that are drawn as bodies only, as those of LoD 2.
_BODIES = {"Pipe": Group("PipeBody", "cim"), "Node": Group("NodeBody", "cim")}
#: What a network transports: the type of the medium, else its class.
_TRANSPORTED: Mapping[str, str] = {
    **{"wasteWater": "drainage", "rainWater": "drainage", "sewage": "drainage", "salineWater": "water"},
    **{"freshWater": "water", "drinkingWater": "water", "potableWater": "water", "coolingWater": "cooling"},
    **{"hotWater": "heat", "steam": "heat", "naturalGas": "gas", "oil": "industrial", "fuel": "industrial"},
    **{"GaseousMedium": "gas", "ElectricalMedium": "power", "OpticalMedium": "telecom"},
}
_INNER = ("interiorDiameter", "innerDiameter", "innerDiamiter")  # PLATEAU writes Diamiter
_UNITS: Mapping[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001}
_OUTER = ("exteriorDiameter", "outerDiameter", "outerDiamiter")


def group(element: Element) -> Group:
    """The layer of an object; a pipe without a line, or a node without a point, is a body."""
    found = group_of(local(element))
    if found.layer not in _BODIES or next(element.iter(*_POLYGONS), None) is None:
        return found
    drawn = found.layer == "Pipe" and next(element.iter(*_CURVES), None) is not None
    return found if drawn else _BODIES[found.layer]


def is_network(element: Element) -> bool:
    """Whether a member is a network of the Utility Network ADE."""
    return local(element) == "Network"


def is_material(element: Element) -> bool:
    """Whether a member says what the material of others is, and is no object itself."""
    return local(element) in ("ExteriorMaterial", "InteriorMaterial", "ProtectiveMaterial", "FillingMaterial")


def type_of(material: Element) -> str:
    """What a material is."""
    return next(((c.text or "").strip() for c in material.iterchildren("{*}type")), "")


def components(network: Element) -> Iterator[Element]:
    """The pipes and nodes of a network."""
    for holder in network.iterchildren(etree.Element):
        if local(holder) in ("component", "networkComponent"):
            yield from (each for each in holder.iterchildren(etree.Element) if local(each) in CLASSES)


class Graph:
    """What a network says of its components: the medium, and the nodes at the ends of each."""

    def __init__(self, network: Element) -> None:
        self.medium = _medium(network)
        self._joined: dict[str, str] = {}
        self._ends: dict[str, tuple[str, str]] = {}
        for graph in network.iter("{*}FeatureGraph"):
            for link in graph.iter("{*}InteriorFeatureLink"):
                ends = _ends(link)
                if ends is not None and (name := gml_id(graph)):
                    self._ends.setdefault(name, ends)
        for link in network.iter("{*}InterFeatureLink"):
            ends = _ends(link)
            if ends is not None:
                self._joined[self._node(ends[0])] = self._node(ends[1])

    def of(self, component: Element) -> dict[str, Any]:
        """The medium of a component and the nodes at its ends, one name for all that are joined."""
        out: dict[str, Any] = {"medium": self.medium} if self.medium else {}
        for holder in component.iterchildren("{*}topoGraph"):
            ends = self._ends.get((holder.get(XLINK) or "").removeprefix("#"))
            if ends is not None:
                out["start_node"], out["end_node"] = (self._node(end) for end in ends)
        return out

    def _node(self, name: str) -> str:
        """The node that stands for all that are joined with one."""
        found = name
        while (further := self._joined.get(found, found)) != found:
            found = further
        while (further := self._joined.get(name, name)) != found and further != name:
            self._joined[name], name = found, further
        return found


def _medium(network: Element) -> str | None:
    for holder in network.iterchildren("{*}transportedMedium"):
        for medium in holder.iterchildren(etree.Element):
            said = [(child.text or "").strip() for child in medium.iterchildren("{*}type")]
            for word in (*said, local(medium)):
                if word in _TRANSPORTED:
                    return _TRANSPORTED[word]
    return None


def _ends(link: Element) -> tuple[str, str] | None:
    parts = {local(c): (c.get(XLINK) or "").removeprefix("#") for c in link.iterchildren(etree.Element)}
    start, end = parts.get("start"), parts.get("end")
    return (start, end) if start and end else None


def described(element: Element, own: Mapping[str, Any]) -> dict[str, Any]:
    """What a pipe's own attributes say in the words of pipelines: medium, diameter, and of PLATEAU's (uro)
    the depth of the axis, which is their cover and half of the diameter."""
    name = local(element)
    out: dict[str, Any] = {}
    if name in MEDIA and "medium" not in own:
        out["medium"] = MEDIA[name]
    if not {"diameter", "diameter_mm"} & own.keys():
        for each in (*_INNER, *_OUTER):
            if (size := own.get(each)) is not None:
                unit = own.get(f"{each}_uom")
                out["diameter"] = f"{size} {unit}" if unit else size
                break
    if "/uro" in str(element.tag) and "depth_m" not in own and (cover := _cover(own)) is not None:
        sizes = (_metres(own, each, "mm") for each in (*_OUTER, *_INNER))
        size = next((one for one in sizes if one is not None), 0.0)
        out["depth_m"] = round(cover + size / 2, 3)
    return out


def _cover(own: Mapping[str, Any]) -> float | None:
    """Metres of ground above a pipe (i-UR 3.1: depth, else between minDepth and maxDepth)."""
    depth = _metres(own, "depth")
    ends = [end for end in (_metres(own, "minDepth"), _metres(own, "maxDepth")) if end is not None]
    return depth if depth is not None or not ends else sum(ends) / len(ends)


def _metres(own: Mapping[str, Any], name: str, unit: str = "m") -> float | None:
    """A length of an object in metres, in this unit if it names none; None for one that is none."""
    try:
        value = float(own[name]) * _UNITS[str(own.get(f"{name}_uom", unit))]
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None

"""The names of CityGML: classes with the layer and kind that they belong to, surfaces, attributes."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lxml import etree

GML = ("http://www.opengis.net/gml", "http://www.opengis.net/gml/3.2")
XLINK = "{http://www.w3.org/1999/xlink}href"
IDS = tuple(f"{{{namespace}}}id" for namespace in GML)


@lru_cache(maxsize=4096)
def split(tag: str) -> tuple[str, str]:
    """Namespace and local name of a tag."""
    namespace, _, name = tag.rpartition("}")
    return namespace[1:], name


def gml_id(element: Any) -> str:
    """The gml:id of an element, "" where it has none."""
    return element.get(IDS[0]) or element.get(IDS[1]) or ""


@dataclass(frozen=True, slots=True)
class Group:
    """The layer of some classes: its name, the kind of its features (None: by their columns and shapes), and
    whether their surfaces are kept as bodies."""

    layer: str
    kind: str | None = None
    bodies: bool = True


_BUILDING = Group("Building", "cim")
_BRIDGE = Group("Bridge", "cim")
_TUNNEL = Group("Tunnel", "cim")
_ROAD = Group("Transportation", "road", bodies=False)
_WATER = Group("WaterBody", "feature", bodies=False)
_RELIEF = Group("Relief", "cim")
_PIPE = Group("Pipe", "pipeline", bodies=False)
_NODE = Group("Node", "feature")
_GENERIC = Group("Generic", "cim")

_GROUPS: Mapping[Group, str] = {
    _BUILDING: "Building BuildingPart BuildingInstallation IntBuildingInstallation Room BuildingRoom"
    " BuildingFurniture BuildingConstructiveElement BuildingUnit BuildingSubdivision Storey",
    _BRIDGE: "Bridge BridgePart BridgeInstallation IntBridgeInstallation BridgeConstructionElement"
    " BridgeConstructiveElement BridgeRoom BridgeFurniture",
    _TUNNEL: "Tunnel TunnelPart TunnelInstallation IntTunnelInstallation HollowSpace TunnelFurniture"
    " TunnelConstructiveElement",
    Group("Construction", "cim"): "OtherConstruction ConstructionElement",
    _ROAD: "Road Railway Track Square TransportationComplex Waterway TrafficArea AuxiliaryTrafficArea"
    " TrafficSpace AuxiliaryTrafficSpace ClearanceSpace Section Intersection Marking Hole",
    Group("Vegetation", "cim"): "SolitaryVegetationObject PlantCover",
    Group("CityFurniture", "cim"): "CityFurniture",
    Group("LandUse", "feature", bodies=False): "LandUse",
    _WATER: "WaterBody",
    _RELIEF: "ReliefFeature TINRelief MassPointRelief BreaklineRelief RasterRelief",
    _GENERIC: "GenericCityObject GenericOccupiedSpace GenericUnoccupiedSpace GenericLogicalSpace"
    " GenericThematicSurface",
    _PIPE: "Pipe WaterPipe SewerPipe OilGasChemicalsPipe ThermalPipe ElectricityCable TelecommunicationCable"
    " Cable Duct RoundPipe RectangularPipe OtherShapePipe RoundShapePipe RectangularShapedPipe Canal"
    " OpenCanal ClosedCanal SemiOpenCanal",
    _NODE: "Manhole Handhole Appurtenance SimpleFunctionalElement ComplexFunctionalElement TerminalElement"
    " StorageDevice TechDevice ControllerDevice MeasurementDevice OtherDevice AnyDevice",
}
CLASSES: Mapping[str, Group] = {name: group for group, names in _GROUPS.items() for name in names.split()}

#: What a pipe of a class carries (a word of the codes ``medium``).
MEDIA: Mapping[str, str] = {
    "WaterPipe": "water",
    "SewerPipe": "drainage",
    "OilGasChemicalsPipe": "gas",
    "ThermalPipe": "heat",
    "ElectricityCable": "power",
    "TelecommunicationCable": "telecom",
}
#: Attributes whose values are codes or names, also where they are digits alone.
CODED = frozenset({"class", "function", "usage", "roofType", "type", "species", "name", "postcode"})


def group_of(name: str) -> Group:
    """The layer of a class; one of an ADE that is not known has a layer of its own."""
    return CLASSES.get(name) or Group(name)


#: What holds thematic surfaces, and their openings.
HOLDERS = frozenset({"boundedBy", "boundary", "opening", "fillingSurface"})
_SKIPPED = frozenset({"metaDataProperty", "appearance", "dynamizer"})
_SKIPPED_OF_GML = frozenset({"boundedBy", "location"})
#: Geometries that stand without a level of detail in their name.
_PLAIN = frozenset({"tin", "reliefPoints", "ridgeOrValleyLines", "breaklines", "geometry", "pointCloud"})
_LOD = re.compile(r"(?:^l|L)od(\d)")


class Tag:
    """What a tag says of an element: its local ``name``, whether it is one of GML's own, a geometry
    (``shape``), a city object (``thing``) or nothing that is read (``skipped``); as a property its level of
    detail, whether it holds a geometry without one (``plain``), thematic surfaces (``holder``) or a generic
    attribute."""

    def __init__(self, tag: str) -> None:
        namespace, name = split(tag)
        self.name = sys.intern(name)
        self.folded = sys.intern(name.casefold())
        self.gml = namespace in GML
        self.skipped = name in _SKIPPED or (name in _SKIPPED_OF_GML and self.gml)
        self.holder = name in HOLDERS
        self.plain = name in _PLAIN
        found = _LOD.search(name)
        self.lod = int(found[1]) if found else None
        self.clipped = "TerrainIntersection" in name
        #: Whether it may be something else than an attribute, whatever lies in it.
        self.special = self.holder or self.plain or self.lod is not None
        self.shape = (self.gml and name != "Envelope") or name == "ImplicitGeometry"
        self.thing = name in CLASSES
        self.generic = name.endswith("Attribute") or name == "genericAttributeSet"
        self.coded = name in CODED
        #: Whether it is a diameter, of which no unit means millimetres, so that metres are to be told.
        self.across = self.folded.endswith(("diameter", "diamiter"))  # PLATEAU writes Diamiter


class _Tags(dict[Any, Tag]):
    def __missing__(self, tag: Any) -> Tag:
        if len(self) >= 4096:
            self.clear()
        made = self[tag] = Tag(str(tag))
        return made


#: Tags by their text: asked for some hundred times an object, so that a plain look-up pays.
TAGS = _Tags()


def local(element: etree._Element) -> str:
    """The local name of an element."""
    return TAGS[element.tag].name

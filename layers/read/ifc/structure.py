"""How an IFC model is made up: of which building, storey, space, assembly and system each element is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from layers.errors import BadFile, shown
from layers.mesh import Surface
from layers.read.ifc.placements import matrix

#: A storey that begins no lower than this (m) under the building's zero stands on the ground.
_GROUND_M = -0.6
#: Storeys whose lowest is higher than this (m) count from another zero than that of the building.
_HIGH_M = 60.0
#: The category of an element by its class; the first that it is decides.
CATEGORIES: tuple[tuple[str, str], ...] = (
    ("IfcSpace", "space"),
    ("IfcWall", "wall"),
    ("IfcCurtainWall", "wall"),
    ("IfcPlate", "wall"),
    ("IfcRoof", "roof"),
    ("IfcSlab", "slab"),
    ("IfcDoor", "door"),
    ("IfcWindow", "window"),
    ("IfcStair", "stair"),
    ("IfcStairFlight", "stair"),
    ("IfcRamp", "stair"),
    ("IfcRampFlight", "stair"),
    ("IfcRailing", "stair"),
    ("IfcBeam", "frame"),
    ("IfcColumn", "frame"),
    ("IfcMember", "frame"),
    ("IfcReinforcingElement", "frame"),
    ("IfcFooting", "foundation"),
    ("IfcPile", "foundation"),
    ("IfcDeepFoundation", "foundation"),
    ("IfcCovering", "covering"),
    ("IfcFurnishingElement", "furniture"),
    ("IfcDistributionElement", "equipment"),
    ("IfcTransportElement", "equipment"),
    ("IfcSite", "site"),
    ("IfcGeographicElement", "site"),
    ("IfcCivilElement", "site"),
)
#: The category where the predefined type says more than the class.
_PREDEFINED = {("slab", "ROOF"): "roof", ("slab", "BASESLAB"): "foundation", ("covering", "ROOFING"): "roof"}
_SURFACES = {
    "wall": Surface.WALL,
    "roof": Surface.ROOF,
    "slab": Surface.FLOOR,
    "door": Surface.DOOR,
    "window": Surface.WINDOW,
    "foundation": Surface.GROUND,
    "space": Surface.CLOSURE,
}


@dataclass(frozen=True, slots=True)
class Storey:
    """A storey: its name, its number from 1 on the ground up and from −1 down, and its elevation (m) over the
    building's zero."""

    name: str
    number: int
    elevation: float


class Structure:
    """The relations of a model, each read once. ``unit`` are metres of its length unit.

    Raises BadFile ifc.circle: ifcopenshell goes round in a circle for ever."""

    def __init__(self, model: Any, unit: float) -> None:
        self._unit = unit
        self._parents: dict[int, Any] = {}
        wholes: dict[int, set[int]] = defaultdict(set)
        for relation, whole, parts in _RELATIONS:
            for each in _of(model, relation):
                parent = getattr(each, whole)
                members = getattr(each, parts) or ()
                for part in members if isinstance(members, tuple) else (members,):
                    if parent is not None:
                        self._parents.setdefault(part.id(), parent)
                        wholes[part.id()].add(parent.id())
        _no_circle(model, wholes, "is a part of itself")
        placements = model.by_type("IfcLocalPlacement")
        within = {p.id(): {p.PlacementRelTo.id()} for p in placements if p.PlacementRelTo is not None}
        _no_circle(model, within, "is placed within itself")
        self.systems, self.zones = _groups(model)
        self._storeys: dict[int, Storey] = {}
        #: Height (m) of the ground in the model, of every building, and where nothing else says it.
        self._grounds: dict[int, float] = {}
        #: What a building is: since IFC 4.3 a bridge, too.
        self._building = "IfcFacility" if model.schema == "IFC4X3" else "IfcBuilding"
        for building in model.by_type(self._building):
            self._number(building, model)
        self.ground = min(self._grounds.values(), default=None)
        self._categories: dict[tuple[str, str | None], str] = {}

    def _number(self, building: Any, model: Any) -> None:
        """Number the storeys of a building by their elevation."""
        zero = float(matrix(building.ObjectPlacement)[2, 3]) * self._unit
        found: list[tuple[float, float, Any]] = []
        for storey in model.by_type("IfcBuildingStorey"):
            if self.building(storey) != building:
                continue
            stands = float(matrix(storey.ObjectPlacement)[2, 3]) * self._unit
            said = storey.Elevation
            found.append((stands - zero if said is None else float(said) * self._unit, stands, storey))
        found.sort(key=lambda each: each[0])
        if not found:
            self._grounds[building.id()] = zero
            return
        high = found[0][0] > _HIGH_M
        first = 0 if high else next((i for i, each in enumerate(found) if each[0] >= _GROUND_M), len(found))
        for i, (elevation, _, storey) in enumerate(found):
            number = i - first + 1 if i >= first else i - first
            name = (storey.Name or storey.LongName or "").strip() or str(number)
            self._storeys[storey.id()] = Storey(name, number, round(elevation, 3))
        ground = found[min(first, len(found) - 1)]
        # what is only under the ground has it at the building's zero
        self._grounds[building.id()] = ground[1] if first < len(found) else zero

    def ancestors(self, element: Any) -> Iterator[Any]:
        """The wholes of an element, from the nearest."""
        while (element := self._parents.get(element.id())) is not None:
            yield element

    def above(self, element: Any, kind: str) -> Any:
        """The nearest whole of a class, None where there is none."""
        return next((each for each in self.ancestors(element) if each.is_a(kind)), None)

    def building(self, element: Any) -> Any:
        """The building of an element, None where there is none."""
        return self.above(element, self._building)

    def storey(self, element: Any) -> Storey | None:
        """The storey of an element."""
        held = self.above(element, "IfcBuildingStorey")
        return None if held is None else self._storeys.get(held.id())

    def height_of_ground(self, building: Any) -> float | None:
        """The height (m) in the model at which a building stands on the ground; None: nothing says it."""
        return self.ground if building is None else self._grounds.get(building.id(), self.ground)

    def assembly(self, element: Any) -> Any:
        """The element of which an element is a part, such as the stair of a flight, or None."""
        whole = self._parents.get(element.id())
        is_one = whole is not None and whole.is_a("IfcElement") and not whole.is_a("IfcFeatureElement")
        return whole if is_one else None

    def category(self, element: Any, predefined: str | None) -> str:
        """The category of an element, a code of ``config/codes/element_category.yml``."""
        key = element.is_a(), predefined
        if key not in self._categories:
            found = next((name for kind, name in CATEGORIES if element.is_a(kind)), "other")
            self._categories[key] = _PREDEFINED.get((found, predefined or ""), found)
        return self._categories[key]


def surface(category: str, predefined: str | None) -> Surface:
    """What the faces of an element are drawn as."""
    if category == "covering" and predefined in ("CEILING", "FLOORING"):
        return Surface.CEILING if predefined == "CEILING" else Surface.FLOOR
    return _SURFACES.get(category, Surface.UNKNOWN)


#: Relations by which an element lies in another, the first of which counts: its class, the attribute of the
#: whole, that of the parts.
_RELATIONS = (
    ("IfcRelContainedInSpatialStructure", "RelatingStructure", "RelatedElements"),
    ("IfcRelAggregates", "RelatingObject", "RelatedObjects"),
    ("IfcRelNests", "RelatingObject", "RelatedObjects"),
    ("IfcRelFillsElement", "RelatingOpeningElement", "RelatedBuildingElement"),
    ("IfcRelVoidsElement", "RelatingBuildingElement", "RelatedOpeningElement"),
)


def _no_circle(model: Any, above: Mapping[int, set[int]], what: str) -> None:
    """Raises BadFile ifc.circle where an entity is, through others, above itself."""
    try:
        TopologicalSorter(above).prepare()
    except CycleError as error:
        one = model[error.args[1][0]]
        named = one if one.is_a("IfcRoot") else next(iter(getattr(one, "PlacesObject", ())), one)
        name = f"{named.is_a()} {shown(getattr(named, 'Name', None) or '')}".strip()
        told = getattr(named, "GlobalId", f"#{named.id()}")
        raise BadFile("ifc.circle", f"{name} ({told}) {what}; export the file anew") from None


def _of(model: Any, kind: str) -> tuple[Any, ...]:
    """The entities of a class; none where the schema does not know it."""
    try:
        return tuple(model.by_type(kind))
    except RuntimeError:
        return ()


def _groups(model: Any) -> tuple[Mapping[int, list[str]], Mapping[int, list[str]]]:
    """The names of the systems, and of the zones, of every element that is in one."""
    systems: dict[int, list[str]] = defaultdict(list)
    zones: dict[int, list[str]] = defaultdict(list)
    for each in _of(model, "IfcRelAssignsToGroup"):
        group = each.RelatingGroup
        if group is None:
            continue
        into = zones if group.is_a("IfcZone") else systems if group.is_a("IfcSystem") else None
        name = (group.Name or getattr(group, "LongName", None) or "").strip()
        if into is None or not name:
            continue
        for member in each.RelatedObjects or ():
            if name not in into[member.id()]:
                into[member.id()].append(name)
    return systems, zones

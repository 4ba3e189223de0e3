"""Small IFC models, made with ifcopenshell, whose places and volumes are known by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.guid
import numpy as np

#: West, south, low, east, north, high in metres.
type Box = tuple[float, float, float, float, float, float]
#: A place in UTM 32 N, and 30 degrees counter-clockwise from east.
EAST, NORTH, HEIGHT, AXIS = 691_000.0, 5_334_000.0, 519.5, (np.cos(np.pi / 6), np.sin(np.pi / 6))
MAP = "EPSG:25832"
WALL = (0.0, 0.0, 0.0, 10.0, 0.3, 3.0)


class Model:
    """A model of boxes. ``unit`` are metres of its length unit: lengths are given in metres all the same."""

    def __init__(self, schema: str = "IFC4", unit: str = "METRE", prefix: str | None = None) -> None:
        self.file = ifcopenshell.file(schema=schema)
        self.scale = {("METRE", None): 1.0, ("METRE", "MILLI"): 0.001, ("FOOT", None): 0.3048}[unit, prefix]
        self._owner = self._history() if schema == "IFC2X3" else None
        self.context = self.make(
            "IfcGeometricRepresentationContext",
            ContextIdentifier="Body",
            ContextType="Model",
            CoordinateSpaceDimension=3,
            Precision=1e-5,
            WorldCoordinateSystem=self.axes(0, 0, 0),
        )
        self.project = self.root(
            "IfcProject",
            "project",
            RepresentationContexts=[self.context],
            UnitsInContext=self._units(unit, prefix),
        )
        self.site = self.root("IfcSite", "site", ObjectPlacement=self.place(0, 0, 0))
        self.building = self.root(
            "IfcBuilding", "block", ObjectPlacement=self.place(0, 0, 0, self.site.ObjectPlacement)
        )
        self.whole(self.project, self.site)
        self.whole(self.site, self.building)

    # -- entities ----------------------------------------------------------------------------

    def make(self, kind: str, *values: Any, **attributes: Any) -> Any:
        return self.file.create_entity(kind, *values, **attributes)

    def root(self, kind: str, name: str | None, **attributes: Any) -> Any:
        """An entity with a GlobalId that follows from its name."""
        guid = ifcopenshell.guid.new()
        return self.make(kind, GlobalId=guid, OwnerHistory=self._owner, Name=name, **attributes)

    def _history(self) -> Any:
        someone = self.make(
            "IfcPersonAndOrganization",
            ThePerson=self.make("IfcPerson", FamilyName="A"),
            TheOrganization=self.make("IfcOrganization", Name="B"),
        )
        program = self.make(
            "IfcApplication",
            ApplicationDeveloper=self.make("IfcOrganization", Name="B"),
            Version="1",
            ApplicationFullName="tests",
            ApplicationIdentifier="tests",
        )
        return self.make(
            "IfcOwnerHistory",
            OwningUser=someone,
            OwningApplication=program,
            ChangeAction="ADDED",
            CreationDate=0,
        )

    def _units(self, unit: str, prefix: str | None) -> Any:
        metre = self.make("IfcSIUnit", UnitType="LENGTHUNIT", Name="METRE", Prefix=prefix)
        if unit == "FOOT":
            of = self.make(
                "IfcMeasureWithUnit",
                ValueComponent=self.make("IfcLengthMeasure", 0.3048),
                UnitComponent=metre,
            )
            exponents = self.make("IfcDimensionalExponents", 1, 0, 0, 0, 0, 0, 0)
            metre = self.make(
                "IfcConversionBasedUnit",
                Dimensions=exponents,
                UnitType="LENGTHUNIT",
                Name="FOOT",
                ConversionFactor=of,
            )
        return self.make("IfcUnitAssignment", Units=[metre])

    def point(self, *metres: float) -> Any:
        return self.make("IfcCartesianPoint", [float(each) / self.scale for each in metres])

    def axes(self, x: float, y: float, z: float) -> Any:
        return self.make("IfcAxis2Placement3D", Location=self.point(x, y, z))

    def place(self, x: float, y: float, z: float, within: Any = None) -> Any:
        return self.make("IfcLocalPlacement", PlacementRelTo=within, RelativePlacement=self.axes(x, y, z))

    def whole(self, whole: Any, *parts: Any) -> None:
        self.root("IfcRelAggregates", None, RelatingObject=whole, RelatedObjects=list(parts))

    # -- the building ------------------------------------------------------------------------

    def storey(self, name: str, elevation: float) -> Any:
        """A storey (m over the building's zero)."""
        at = self.place(0, 0, elevation, self.building.ObjectPlacement)
        made = self.root("IfcBuildingStorey", name, ObjectPlacement=at, Elevation=elevation / self.scale)
        self.whole(self.building, made)
        return made

    def body(self, box: Box) -> Any:
        """An extruded box (m) as a representation."""
        west, south, low, east, north, high = box
        ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
        profile = self.make(
            "IfcArbitraryClosedProfileDef",
            ProfileType="AREA",
            OuterCurve=self.make("IfcPolyline", [self.point(*corner) for corner in ring]),
        )
        solid = self.make(
            "IfcExtrudedAreaSolid",
            SweptArea=profile,
            Position=self.axes(0, 0, low),
            ExtrudedDirection=self.make("IfcDirection", (0.0, 0.0, 1.0)),
            Depth=(high - low) / self.scale,
        )
        shape = self.make(
            "IfcShapeRepresentation",
            ContextOfItems=self.context,
            RepresentationIdentifier="Body",
            RepresentationType="SweptSolid",
            Items=[solid],
        )
        return self.make("IfcProductDefinitionShape", Representations=[shape])

    def element(self, kind: str, name: str, box: Box, storey: Any = None, **attributes: Any) -> Any:
        """An element in the shape of a box (m, from its storey's place)."""
        within = None if storey is None else storey.ObjectPlacement
        made = self.root(
            kind,
            name,
            ObjectPlacement=self.place(0, 0, 0, within),
            Representation=self.body(box),
            **attributes,
        )
        if storey is not None:
            if kind == "IfcSpace":
                self.whole(storey, made)
            else:
                self.root(
                    "IfcRelContainedInSpatialStructure",
                    None,
                    RelatingStructure=storey,
                    RelatedElements=[made],
                )
        return made

    def hole(self, wall: Any, box: Box) -> Any:
        """An opening in a wall (m, from the wall's place)."""
        at = self.place(0, 0, 0, wall.ObjectPlacement)
        made = self.root("IfcOpeningElement", "opening", ObjectPlacement=at, Representation=self.body(box))
        self.root("IfcRelVoidsElement", None, RelatingBuildingElement=wall, RelatedOpeningElement=made)
        return made

    def properties(self, name: str, values: dict[str, Any], *elements: Any) -> None:
        """A property set; values are (measure, value) pairs."""
        made = [
            self.make("IfcPropertySingleValue", Name=key, NominalValue=self.make(measure, value))
            for key, (measure, value) in values.items()
        ]
        held = self.root("IfcPropertySet", name, HasProperties=made)
        self.root(
            "IfcRelDefinesByProperties",
            None,
            RelatedObjects=list(elements),
            RelatingPropertyDefinition=held,
        )

    def system(self, kind: str, name: str, *elements: Any) -> None:
        """A system, or a zone, of elements."""
        group = self.root(kind, name)
        self.root("IfcRelAssignsToGroup", None, RelatedObjects=list(elements), RelatingGroup=group)

    def mapped(
        self, east: float, north: float, height: float, x_axis: Sequence[float], crs: str | None, **more: Any
    ) -> Any:
        """An IfcMapConversion (IFC 4)."""
        target = self.make("IfcProjectedCRS", Name=crs, **more.pop("grid", {}))
        return self.make(
            "IfcMapConversion",
            SourceCRS=self.context,
            TargetCRS=target,
            Eastings=east,
            Northings=north,
            OrthogonalHeight=height,
            XAxisAbscissa=x_axis[0],
            XAxisOrdinate=x_axis[1],
            **more,
        )

    def write(self, path: Path) -> Path:
        self.file.write(str(path))
        return path


def house(
    schema: str = "IFC4", unit: str = "METRE", prefix: str | None = None, *, mapped: bool = True
) -> Model:
    """Two storeys and a cellar: walls with a door and its hole, slabs, a roof, a room, a pipe of a system."""
    model = Model(schema, unit, prefix)
    cellar, ground, upper = (
        model.storey("Cellar", -2.8),
        model.storey("Ground", 0.0),
        model.storey("Upper", 3.0),
    )
    wall = model.element("IfcWall", "south", WALL, ground)
    model.hole(wall, (4, -0.1, 0, 5, 0.4, 2))
    model.element("IfcDoor", "door", (4, 0.1, 0, 5, 0.2, 2), ground, OverallHeight=2 / model.scale)
    model.element("IfcSlab", "floor", (0, 0, -0.2, 10, 8, 0), ground, PredefinedType="FLOOR")
    model.element("IfcSlab", "lid", (0, 0, 2.8, 10, 8, 3.0), upper, PredefinedType="ROOF")
    model.element("IfcFooting", "footing", (0, 0, 0, 10, 8, 0.3), cellar)
    model.element("IfcSpace", "A101", (0.3, 0.3, 0, 9.7, 7.7, 2.8), ground, LongName="Hall")
    pipe = model.element(
        "IfcPipeSegment" if schema != "IFC2X3" else "IfcFlowSegment", "pipe", (1, 1, 0, 1.1, 7, 0.1), upper
    )
    model.system("IfcSystem", "Cold water", pipe)
    model.system("IfcZone", "Flat 1", pipe)
    model.properties(
        "Pset_WallCommon",
        {"IsExternal": ("IfcBoolean", True), "Width": ("IfcLengthMeasure", 0.3 / model.scale)},
        wall,
    )
    if mapped:
        model.mapped(EAST, NORTH, HEIGHT, AXIS, MAP, Scale=model.scale)
    return model

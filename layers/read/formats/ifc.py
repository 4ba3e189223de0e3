"""IFC 2x3, 4 and 4.3: one feature an element that has a body, with its storey, its system and its properties.

Read by ifcopenshell, the extra ``ifc``, which only the reading child imports.
Source: ISO 16739-1:2024, the exchange structure of ISO 10303-21.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from layers import crs
from layers.batch import MESH, ROW, SOURCE_ID, WKB
from layers.errors import BadFile, shown
from layers.mesh import Mesh
from layers.read import zipped
from layers.read.base import BATCH_ROWS, ReadOptions, Sink
from layers.read.column_profile import ColumnProfile
from layers.read.format import Format, Reader, Refused
from layers.read.ifc import bodies, place, properties, structure, texts
from layers.read.ifc.placements import fault, matrix
from layers.read.sample import Sample
from layers.types import REST

MAGIC = b"ISO-10303-21"
SCHEMAS = ("IFC2X3", "IFC4", "IFC4X3")
ENDING, ZIPPED, XML = ".ifc", ".ifczip", ".ifcxml"
_END = b"END-ISO-10303-21"
#: Bytes at the end of a file in which its end mark stands, and at its beginning in which the schema does.
_TAIL, _HEADER = 4096, 1 << 20
_SCHEMA = re.compile(rb"FILE_SCHEMA\s*\(\s*\(\s*'([^']*)'", re.IGNORECASE)
#: ifcopenshell writes ifcXML, and reads none.
_NO_XML = "which is not read; export the model again as IFC of STEP (.ifc), or save it as IFC where it opens"
_INSTALL = "pip install 'onemap-twin[ifc]'"
#: Elements whose place is looked at to know where the model's numbers lie.
_LOOKED_AT = 50
#: What has no body that is to be seen: holes, drawings, the ends of pipes.
_NO_BODY = ("IfcFeatureElementSubtraction", "IfcAnnotation", "IfcGrid", "IfcPort", "IfcVirtualElement")
#: The names of representations in space.
_BODIES = ("Body", "Body-FallBack", "Facetation", None)
#: Metres by which all elements are above the ground of no building.
_HIGH_M = 60.0
#: Classes that a reason names.
_LISTED = 8


def _is_ifc(sample: Sample) -> bool:
    if sample.inside == "zip":
        return sample.ending == ZIPPED
    return sample.head.startswith(MAGIC)


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a file. Raises BadFile reader.missing, ifc.schema, ifc.truncated, ifc.damaged, ifc.no_bodies,
    ifc.circle, ifc.nowhere, ifc.conversion, anchor.unreadable, encoding.wrong, file.zip."""
    source, path = path, _unpacked(path, options)
    _check(path)
    model = _opened(texts.plain(path, options.declared, sink))
    _Model(model, source, options, sink).write()  # an anchor lies beside what was packed


def _unpacked(path: Path, options: ReadOptions) -> Path:
    """The file inside an ifcZIP, else the file itself. Raises BadFile."""
    if path.suffix.casefold() != ZIPPED:
        return path
    folder = Path(mkdtemp()) / "ifczip"
    zipped.unpack(path, folder, options.limits)
    inside = [each for each in sorted(folder.rglob("*")) if each.suffix.casefold() == ENDING]
    if len(inside) != 1:
        if not inside and any(each.suffix.casefold() == XML for each in folder.rglob("*")):
            raise BadFile("file.type", f"the ifcZIP holds an ifcXML file, {_NO_XML}")
        raise BadFile("file.zip", f"the ifcZIP holds {len(inside)} files {ENDING}, and not one")
    return inside[0]


def _check(path: Path) -> None:
    """Raises BadFile for what is no IFC, of another version, or not whole."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    if not head.startswith(MAGIC):
        raise BadFile(
            "ifc.damaged", f"{shown(path.name)} does not begin as a STEP file does ({MAGIC.decode()})"
        )
    match = _SCHEMA.search(head)
    schema = match[1].decode("ascii", "replace").upper() if match else ""
    if not schema.startswith(SCHEMAS):
        what = f"its schema is {shown(schema)}" if schema else "it names no schema (FILE_SCHEMA)"
        raise BadFile("ifc.schema", f"{what}; IFC2X3, IFC4 and IFC4X3 are read: export it as one of these")
    if _END not in tail:
        reason = f"the file ends before its end ({_END.decode()}): it is cut off; copy or export it again"
        raise BadFile("ifc.truncated", reason)


def _opened(path: Path) -> Any:
    try:
        import ifcopenshell
        import ifcopenshell.geom
    except ImportError as error:
        reason = f"an IFC file is read by ifcopenshell, which is not installed: {_INSTALL}"
        raise BadFile("reader.missing", reason) from error
    try:
        return ifcopenshell.open(path)
    except (ifcopenshell.Error, RuntimeError, OSError) as error:
        raise BadFile("ifc.damaged", f"the file cannot be parsed: {shown(error)}; export it anew") from error


@dataclass(frozen=True, slots=True)
class _Element:
    """An element that may have a body: its number from 1, the entity and its attributes."""

    row: int
    entity: Any
    category: str
    predefined: str | None
    ground: float
    #: The longitude and latitude at which its model meets the ground; None of what is the ground itself.
    foot: tuple[float, float] | None
    attributes: Mapping[str, Any]

    @property
    def title(self) -> str:
        """How a reason names it."""
        return f"{_called(self.entity)} ({self.entity.GlobalId})"


def _called(entity: Any) -> str:
    return f"{entity.is_a()} {shown(entity.Name or '')}".strip()


class _Model:
    """One file on its way to the sink."""

    def __init__(self, model: Any, path: Path, options: ReadOptions, sink: Sink) -> None:
        from ifcopenshell.util import unit as units

        self._model, self._options, self._sink = model, options, sink
        self._unit = float(units.calculate_unit_scale(model))
        self._structure = structure.Structure(model, self._unit)
        self._properties = properties.Properties(model)
        self._materials = properties.materials(model)
        products = [each for each in model.by_type("IfcProduct") if each.Representation is not None]
        entities = [each for each in products if not any(each.is_a(kind) for kind in _NO_BODY)]
        if not entities:
            raise self._without_bodies()
        known: dict[int, str | None] = {}
        why = {each.id(): fault(each.ObjectPlacement, known) for each in entities}
        self._misplaced = {number: reason for number, reason in why.items() if reason is not None}
        at = self._looked_at([each for each in entities if each.id() not in self._misplaced])
        self._lowest = float(at[:, 2].min())
        self._place = place.of(model, path, options, sink, self._unit, np.median(at, axis=0))
        self._feet = self._stands(entities)
        self._elements = {entity.id(): self._element(row, entity) for row, entity in enumerate(entities, 1)}
        sink.meta.update(driver=f"IFC ({model.schema})", kind="cim", crs=self._place.crs, rows=("element", 1))
        # properties that few elements have are gathered, as the tags of a map are
        sink.meta["bag"] = True

    def _without_bodies(self) -> BadFile:
        counts = Counter(each.is_a() for each in self._model.by_type("IfcProduct"))
        names = ", ".join(f"{name} {count}" for name, count in counts.most_common(_LISTED)) or "none"
        reason = f"no element of the file has a body (elements: {names}); export it with its geometry"
        return BadFile("ifc.no_bodies", reason)

    def _looked_at(self, entities: Sequence[Any]) -> NDArray[np.float64]:
        """The origins (n, 3), in metres, of some elements; the model's own where there is none."""
        some = entities[:: max(1, len(entities) // _LOOKED_AT)]
        at = [matrix(each.ObjectPlacement)[:3, 3] for each in some] or [np.zeros(3)]
        return np.array(at) * self._unit

    def _stands(self, entities: Sequence[Any]) -> Mapping[int | None, tuple[float, float]]:
        """Longitude and latitude at which each building, by its number, meets the ground; None for what is of
        none. Empty where that cannot be known, as the load will say."""
        by_building: dict[int | None, list[Any]] = {}
        buildings: dict[int | None, Any] = {}
        for entity in entities:
            if entity.id() not in self._misplaced and not entity.is_a("IfcSite"):
                building = self._structure.building(entity)
                number = building and building.id()
                by_building.setdefault(number, []).append(entity)
                buildings[number] = building
        places = [self._foot(buildings[number], some) for number, some in by_building.items()]
        if not places or self._place.crs is None:
            return {}
        try:
            lonlat = crs.to_lonlat(self._place.to(np.array(places)), self._place.crs)
        except BadFile:
            return {}
        feet = [(round(lon, 9), round(lat, 9)) for lon, lat in lonlat[:, :2].tolist()]
        return dict(zip(by_building, feet, strict=True))

    def _foot(self, building: Any, elements: Sequence[Any]) -> NDArray[np.float64]:
        """The point of the model, in metres, under which a building stands. A new version of the model has
        the same, whatever became of single elements: the building's own origin where that is among them, else
        their middle on a grid."""
        at = self._looked_at(elements)
        low, high = at.min(axis=0), at.max(axis=0)
        if building is not None and building.ObjectPlacement is not None:
            origin: NDArray[np.float64] = matrix(building.ObjectPlacement)[:3, 3] * self._unit
            room = _FOOT_GRID_M / 2
            if ((origin[:2] >= low[:2] - room) & (origin[:2] <= high[:2] + room)).all():
                return origin
        return np.asarray(np.round((low + high) / 2 / _FOOT_GRID_M) * _FOOT_GRID_M)

    def _ground(self, building: Any) -> float:
        """The height (m) in the model of the ground under a building: of its lowest storey that is not under
        it; where nothing says that, or all lies far above it, of the lowest element that was looked at."""
        said = self._structure.height_of_ground(building)
        return self._lowest if said is None or self._lowest - said > _HIGH_M else said

    # -- attributes --------------------------------------------------------------------------

    def _element(self, row: int, entity: Any) -> _Element:
        from ifcopenshell.util import element as elements

        found = self._structure
        predefined = elements.get_predefined_type(entity)
        category = found.category(entity, predefined)
        building = found.building(entity)
        storey = found.storey(entity)
        kind = self._properties.type_of(entity)
        space, assembly = found.above(entity, "IfcSpace"), found.assembly(entity)
        material = self._materials.get(entity.id()) or (kind and self._materials.get(kind.id()))
        said = {
            "object_type": entity.is_a(),
            "predefined_type": None if predefined == "NOTDEFINED" else predefined,
            "category": category,
            "name": _name(entity),
            "description": entity.Description or None,
            "type_name": (kind.Name if kind is not None else None) or entity.ObjectType or None,
            "tag": getattr(entity, "Tag", None),
            "storey": storey and storey.name,
            "storey_no": storey and storey.number,
            "storey_elevation_m": storey and storey.elevation,
            "space": space and _name(space),
            "system": "; ".join(found.systems.get(entity.id(), ())) or None,
            "zone": "; ".join(found.zones.get(entity.id(), ())) or None,
            "building_id": building and building.GlobalId,
            "building_name": building and (building.Name or building.LongName or None),
            "assembly_id": assembly and assembly.GlobalId,
            "material": material,
        }
        for name, column in _SIZES.items():
            if (length := getattr(entity, name, None)) is not None:
                said[column] = round(float(length) * self._unit, 6)
        attributes = {name: value for name, value in said.items() if value is not None}
        own = self._properties.of(entity)
        foot = None if entity.is_a("IfcSite") else self._feet.get(building and building.id())
        return _Element(row, entity, category, predefined, self._ground(building), foot, own | attributes)

    # -- rows --------------------------------------------------------------------------------

    def write(self) -> None:
        """Make the bodies and write the batches. Raises BadFile ifc.no_bodies, limit.columns."""
        writer = _Writer(self._sink, [each.attributes for each in self._elements.values()], self._options)
        waiting = dict(self._elements)
        total = len(waiting)
        placed = [each.entity for each in waiting.values() if each.entity.id() not in self._misplaced]
        for done, body in enumerate(bodies.made(self._model, placed), 1):
            element = waiting.pop(body.id)
            self._sink.at(f"{element.title}, {done} of {total}, was the last that was read")
            self._feature(element, body, writer)
            if self._sink.enough(self._options.limits, done):
                waiting.clear()
                break
        self._tell(waiting)
        writer.end()
        if not writer.rows and not self._sink.dropped:
            raise self._without_bodies()
        if self._properties.converted:
            reason = "lengths, areas and volumes of properties are in metres, square and cubic metres"
            self._sink.note("ifc.units", reason)

    def _feature(self, element: _Element, body: bodies.Body, writer: _Writer) -> None:
        most = self._options.limits.vertices
        if len(body.positions) > most:
            self._drop("limit.vertices", f"the body has more than {most} vertices", element)
            return
        if not len(body.triangles):
            self._drop("geometry.degenerate", "no face of the body has an area", element)
            return
        if not np.isfinite(body.positions).all():
            self._drop("geometry.nan", "a coordinate of the body is not a finite number", element)
            return
        outline = bodies.placed(bodies.outline(body.positions, body.triangles), self._place)
        positions = self._place.to(body.positions)
        code = structure.surface(element.category, element.predefined)
        mesh = Mesh(
            positions,
            body.triangles,
            np.full(len(body.triangles), code, np.uint8),
            materials=body.materials,
            material_table=body.material_table,
        )
        low, high = float(body.positions[:, 2].min()), float(body.positions[:, 2].max())
        measured = {
            "mesh_height_m": round(high - low, 3),
            "mesh_low_m": round(low - element.ground, 3),
            "base_m": round(float(positions[:, 2].min()), 3),
            **dict(zip(_FOOT, element.foot or (None, None), strict=True)),
        }
        writer.add(element.row, element.entity.GlobalId, shapely.to_wkb(outline), mesh, measured)

    def _tell(self, waiting: Mapping[int, _Element]) -> None:
        """Of elements that were not made: why, or that they are made of others."""
        errors = bodies.errors() if waiting else {}
        wholes = Counter[str]()
        for element in waiting.values():
            if _has_body(element.entity):
                inside = (each.id() for each in self._model.traverse(element.entity.Representation))
                reason = next((errors[each] for each in inside if each in errors), "it says no more")
                why = f"ifcopenshell cannot make its body ({shown(reason)})"
                why = self._misplaced.get(element.entity.id(), why)
                self._drop("geometry.unreadable", why, element)
            else:
                wholes[element.entity.is_a()] += 1
        if wholes:
            names = ", ".join(f"{name} {count}" for name, count in wholes.most_common(_LISTED))
            self._sink.note("ifc.bodiless", f"elements without a body in space are no features: {names}")

    def _drop(self, rule: str, reason: str, element: _Element) -> None:
        guid, reason = element.entity.GlobalId, f"{_called(element.entity)}: {reason}"
        self._sink.drop(rule, reason, element.row, guid, held={"id": guid, **element.attributes})


class _Writer:
    """Writes rows as batches whose columns are those of the whole file."""

    def __init__(self, sink: Sink, attributes: Sequence[Mapping[str, Any]], options: ReadOptions) -> None:
        self._sink = sink
        self._attributes = attributes
        self._profiles: dict[str, ColumnProfile] = {}
        for each in attributes:
            for name, value in each.items():
                self._profiles.setdefault(name, ColumnProfile()).add(value)
        self._gather(options.limits.columns - len(_MEASURED))
        self._names = sink.called(self._profiles)
        self._waiting: list[tuple[int, str, bytes, bytes, Mapping[str, float | None]]] = []
        self.rows = 0

    def _gather(self, most: int) -> None:
        """Keep what IFC says of every element, and of properties (``SET.PROPERTY``) the columns that are
        filled most often; the values of the others go into one."""
        self._gathered: list[str] = []
        if len(self._profiles) <= most:
            return
        order = sorted(self._profiles, key=lambda name: ("." in name, -self._profiles[name].present))
        self._gathered = order[most - 1 :]
        for name in self._gathered:
            del self._profiles[name]
        self._profiles.pop(REST, None)
        count = len(self._gathered)
        self._sink.note("column.folded", f"{count} properties that few elements have are members of {REST}")

    def add(
        self, row: int, source_id: str, outline: bytes, mesh: Mesh, measured: Mapping[str, float | None]
    ) -> None:
        """Write a row; its attributes are those of the element of that number."""
        self._waiting.append((row, source_id, outline, mesh.to_bytes(), measured))
        self.rows += 1
        if len(self._waiting) >= BATCH_ROWS:
            self._flush()

    def end(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._flush()
        self._sink.meta["features"] = self.rows

    def _flush(self) -> None:
        rows, ids, outlines, meshes, measured = zip(*self._waiting, strict=True)
        self._waiting = []
        own = [self._attributes[row - 1] for row in rows]
        table: dict[str, Any] = {
            ROW: pa.array(rows, pa.int64()),
            WKB: pa.array(outlines, pa.binary()),
            SOURCE_ID: pa.array(ids, pa.string()),
            MESH: pa.array(meshes, pa.binary()),
        }
        for called, (name, profile) in zip(self._names, self._profiles.items(), strict=True):
            table[called] = profile.array([each.get(name) for each in own])
        for name in _MEASURED:
            table[name] = pa.array([each[name] for each in measured], pa.float64())
        if self._gathered:
            table[REST] = pa.array([self._rest(each) for each in own], pa.string())
        self._sink.batch(pa.table(table))

    def _rest(self, attributes: Mapping[str, Any]) -> str | None:
        rest = {name: attributes[name] for name in self._gathered if name in attributes}
        return orjson.dumps(rest, default=str).decode() if rest else None


#: Columns that follow from the body.
_FOOT = ("foot_lon", "foot_lat")
_FOOT_GRID_M = 10.0
_MEASURED = ("mesh_height_m", "mesh_low_m", "base_m", *_FOOT)
#: Lengths that doors and windows say of themselves.
_SIZES = {"OverallHeight": "overall_height_m", "OverallWidth": "overall_width_m"}


def _has_body(entity: Any) -> bool:
    """Whether an element means to have a body, and not a drawing or an axis alone."""
    return any(
        each.RepresentationIdentifier in _BODIES for each in entity.Representation.Representations or ()
    )


def _name(entity: Any) -> str | None:
    """A space has a number and a name: both are wanted."""
    names = [(entity.Name or "").strip(), (getattr(entity, "LongName", None) or "").strip()]
    return " ".join(dict.fromkeys(name for name in names if name)) or None


FORMATS: tuple[Format, ...] = (
    Reader(
        name="ifc",
        titles={"en": "IFC", "zh-CN": "IFC"},
        endings=(ENDING, ZIPPED),
        recognise=_is_ifc,
        read=read,
        anchored=True,
    ),
    Refused(
        lambda sample: sample.text.startswith(b"<") and b"ifcxml" in sample.text.lower(),
        "file.type",
        f"an ifcXML file, {_NO_XML}",
    ),
)

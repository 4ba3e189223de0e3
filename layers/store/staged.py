"""A staged Arrow batch, checked against the layer it is to become: what every store's stage begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from layers import flat, wkb
from layers.batch import MESH, SOURCE_ID, WKB
from layers.errors import BadFile, Stale
from layers.store.base import LayerSpec
from layers.types import LAYER_ID, SOURCE_FIELD, Field, FieldType
from layers.values import stored

if TYPE_CHECKING:
    import pyarrow as pa

_RESERVED = frozenset({"fid", "geom"})
_RESERVED_IDS = ("twin_", "gpkg_", "rtree_", "sqlite_", "pg_")
_TYPES = frozenset(get_args(FieldType.__value__))
_FLAT = {
    "Point": (flat.POINT,),
    "LineString": (flat.LINE,),
    "Polygon": (flat.POLYGON,),
    "Geometry": (flat.POINT, flat.LINE, flat.POLYGON),
}
_MULTI = {"Point": "MultiPoint", "LineString": "MultiLineString", "Polygon": "MultiPolygon"}

#: Above this many changed rows of one publish or statement the log gets one row for all of them.
LOGGED_EACH = 10_000


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """What a publish will do: counts of rows, whether the log gets one row for all of them, and how many of
    the created ones may be known features, which nothing tells."""

    created: int
    updated: int
    unchanged: int
    deleted: int
    whole: bool
    vague: int = 0


@dataclass(frozen=True, slots=True)
class Staged:
    """n rows of a batch, as the layer keeps them: ``wkb``, little-endian ISO WKB, of which ``shapes`` are the
    geometries, flat or of shapely; the values of the fields, in their order, ``columns``; mesh blobs or None.

    Columns of text, dates, times and arrays are of strings, the others of int64, double or bool, none of them
    with what a store does not take (:func:`layers.values.stored`)."""

    wkb: pa.Array
    shapes: flat.Flat | NDArray[Any]
    columns: list[pa.Array]
    meshes: list[bytes | None]

    def boxes(self) -> NDArray[np.float64]:
        """(n, 4): minx, maxx, miny, maxy; NaN of an empty geometry."""
        if isinstance(self.shapes, flat.Flat):
            return self.shapes.boxes()
        import shapely

        bounds: NDArray[np.float64] = shapely.bounds(self.shapes)[:, [0, 2, 1, 3]]
        return bounds

    def values(self) -> list[list[Any]]:
        """The columns as values that a database takes; booleans are 0 and 1."""
        import pyarrow as pa

        return [(c.cast(pa.int8()) if pa.types.is_boolean(c.type) else c).to_pylist() for c in self.columns]


def check_id(layer_id: str) -> None:
    """Raises BadFile for what cannot be the id of a layer."""
    if not LAYER_ID.match(layer_id) or layer_id.startswith(_RESERVED_IDS):
        raise BadFile("store.layer-id", f"{layer_id} cannot be the id of a layer")


def fields(spec: LayerSpec) -> tuple[Field, ...]:
    """``source_id`` and the fields of the spec. Raises BadFile for names a table cannot have."""
    check_id(spec.id)
    columns = (SOURCE_FIELD, *(f for f in spec.fields if f.name != "source_id"))
    seen: set[str] = set(_RESERVED)
    for field in columns:
        folded = field.name.lower()  # SQLite compares column names without case
        if folded in seen or not field.name or "\x00" in field.name:
            raise BadFile("store.field-name", f"{field.name!r} is reserved, empty or there twice")
        if field.type not in _TYPES:
            raise BadFile("store.field-type", f"{field.name} has the unknown type {field.type}")
        seen.add(folded)
    return columns


def twice() -> BadFile:
    """The refusal of a source id that an earlier row of the load has."""
    return BadFile("store.duplicate-source-id", "two rows of the load have the same source id")


def check_mode(mode: str) -> None:
    """Raises ValueError for what is no mode of :meth:`layers.store.base.Store.publish`."""
    if mode not in ("create", "replace", "append"):
        raise ValueError(f"unknown mode {mode}")


def refuse_stale(layer: str, newest: int | None, unchanged_since: int | None) -> None:
    """Raises Stale where the newest change of a layer came after the one up to which it is known."""
    if unchanged_since is not None and (newest or 0) > unchanged_since:
        raise Stale(f"layer {layer} was changed meanwhile, by change @{newest}")


def geometry_type(present: str, declared: str, mode: str) -> str:
    """The geometry type of a layer that has one already, after a publish of a stage of another."""
    if mode != "append" or present == declared:
        return declared
    if f"Multi{present}" == declared or f"Multi{declared}" == present:
        return max(present, declared, key=len)
    return "Geometry"


def decode(batch: pa.Table, spec: LayerSpec, fields: tuple[Field, ...]) -> Staged:
    """The rows of a batch. Raises BadFile: a geometry or value that does not fit."""
    import pyarrow as pa

    names = set(batch.column_names)
    wkb, shapes = _shapes(flat.whole(batch.column(WKB)), spec.geometry_type)
    none = pa.nulls(len(batch))
    columns = [_texts(_whole(batch.column(SOURCE_ID)) if SOURCE_ID in names else none)]
    for field in fields[1:]:
        columns.append(_column(field, _whole(batch.column(field.name)) if field.name in names else none))
    meshes = batch.column(MESH).to_pylist() if MESH in names else [None] * len(batch)
    return Staged(wkb, shapes, columns, meshes)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        return pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    return whole


def _texts(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_string(column.type):
        return column
    return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())


def _column(field: Field, column: pa.Array) -> pa.Array:
    import pyarrow as pa

    ready = _ready(field.type, column)
    if ready is not None:
        return ready
    try:
        values = [None if v is None else stored(field.type, v) for v in column.to_pylist()]
    except ValueError as error:
        raise BadFile("store.value", f"{field.name}: {error}") from error
    if field.type == "boolean":
        return pa.array([None if v is None else bool(v) for v in values], pa.bool_())
    kinds = {"integer": pa.int64(), "number": pa.float64()}
    return pa.array(values, kinds.get(field.type, pa.string()))


def _ready(kind: FieldType, column: pa.Array) -> pa.Array | None:
    """A column of Arrow as a field of that type keeps it, where no value needs to be looked at by itself."""
    import pyarrow as pa
    import pyarrow.compute as pc

    given = column.type
    if kind == "string" and pa.types.is_string(given):
        return None if _has_nul(column) else column
    if kind == "integer" and pa.types.is_signed_integer(given):
        return column.cast(pa.int64())
    if kind == "boolean" and pa.types.is_boolean(given):
        return column
    if kind != "number" or not (pa.types.is_floating(given) or pa.types.is_signed_integer(given)):
        return None
    numbers = column.cast(pa.float64(), safe=False)
    if pc.any(pc.is_inf(numbers)).as_py():
        return None
    # a negative zero becomes zero, as in SQLite
    return pc.if_else(pc.is_nan(numbers), None, pc.add(numbers, 0.0))


def _has_nul(column: pa.Array) -> bool:
    """Whether a text may have a null character."""
    values = column.buffers()[2]
    return values is not None and not np.frombuffer(values, np.uint8).all()


def _shapes(column: pa.Array, geometry_type: str) -> tuple[pa.Array, flat.Flat | NDArray[Any]]:
    import pyarrow as pa
    import shapely

    plain = None if column.null_count else flat.read(column)
    if plain is not None and np.isin(plain.kinds, _FLAT.get(geometry_type, ())).all():
        return column, plain
    shapes = wkb.shapes(column.to_pylist())
    if shapely.is_missing(shapes).any():
        raise BadFile("store.geometry", "a row has no geometry, or none that is readable WKB")
    shapes = promote(shapes, geometry_type)
    return pa.array(list(shapely.to_wkb(shapes, byte_order=1, flavor="iso")), pa.binary()), shapes


def promote(shapes: NDArray[Any], geometry_type: str) -> NDArray[Any]:
    """Single geometries as multi ones where the layer keeps multi. Raises BadFile for another type."""
    import shapely

    out = shapes.copy()
    types = np.asarray([s.geom_type for s in shapes], dtype=object)
    for single, multi in _MULTI.items():
        if multi == geometry_type:
            for i in np.flatnonzero(types == single).tolist():
                out[i] = cast(Any, getattr(shapely, multi))([shapes[i]])
                types[i] = multi
    wrong = (types != geometry_type) if geometry_type != "Geometry" else (types == "GeometryCollection")
    if wrong.any():
        first = types[int(np.flatnonzero(wrong)[0])]
        raise BadFile("store.geometry-type", f"a {first} does not fit a layer of {geometry_type}")
    return out

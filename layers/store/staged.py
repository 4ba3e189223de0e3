"""A staged Arrow batch, checked against the layer it is to become: what every store's stage begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from layers import wkb
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
    """n rows of a batch: shapely geometries as the layer keeps them, property values in the order of
    the fields (as :func:`layers.values.stored` gives them), mesh blobs or None."""

    shapes: NDArray[Any]
    properties: list[tuple[Any, ...]]
    meshes: list[bytes | None]


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
    names = set(batch.column_names)
    shapes = _shapes(batch.column(WKB).to_pylist(), spec.geometry_type)
    columns: list[list[Any]] = [_texts(batch, SOURCE_ID, names)]
    for field in fields[1:]:
        values = batch.column(field.name).to_pylist() if field.name in names else [None] * len(batch)
        columns.append(_column(field, values))
    meshes = batch.column(MESH).to_pylist() if MESH in names else [None] * len(batch)
    return Staged(shapes, list(zip(*columns, strict=True)), meshes)


def _texts(batch: pa.Table, name: str, names: set[str]) -> list[str | None]:
    values = batch.column(name).to_pylist() if name in names else [None] * len(batch)
    return [None if v is None else str(v) for v in values]


def _column(field: Field, values: Sequence[Any]) -> list[Any]:
    try:
        return [None if v is None else stored(field.type, v) for v in values]
    except ValueError as error:
        raise BadFile("store.value", f"{field.name}: {error}") from error


def _shapes(blobs: list[bytes], geometry_type: str) -> NDArray[Any]:
    import shapely

    shapes = wkb.shapes(blobs)
    if shapely.is_missing(shapes).any():
        raise BadFile("store.geometry", "a row has no geometry, or none that is readable WKB")
    return promote(shapes, geometry_type)


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

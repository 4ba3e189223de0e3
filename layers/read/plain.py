"""Columns of Arrow as the batches of a reader have them: plain values, lists of JSON, nested ones as JSON
text; geometries of a bounded size, and surfaces in space as bodies over their footprints."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from layers.batch import MESH, WKB
from layers.read import surfaces
from layers.read.base import ReadOptions, Sink

_INT64 = 2**63


def plain(array: pa.Array) -> pa.Array:
    """A column of plain values.

    Lists of scalars are lists whose members are JSON, so that they can be of different types; other nested
    values are JSON text. Dates, times and durations are text of ISO 8601, instants in UTC; bytes are null.
    Whole numbers that 64 bits with a sign cannot hold are text."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _extension(array)
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if _is_list(kind) and not pa.types.is_nested(kind.value_type):
        lists = [None if v is None else [_dumped(m) for m in v] for v in json_values(array)]
        return pa.array(lists, pa.list_(pa.string()))
    if pa.types.is_nested(kind):
        return pa.array([None if v is None else _dumped(v) for v in json_values(array)], pa.string())
    if is_bytes(kind):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_temporal(kind):
        return _temporal(array)
    if pa.types.is_float16(kind):
        return array.cast(pa.float64())
    if pa.types.is_decimal(kind):
        return array.cast(pa.float64()) if kind.scale > 0 else _whole(array)
    if kind == pa.uint64():
        return _whole(array)
    return array.cast(pa.string()) if pa.types.is_string_view(kind) else array


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds bytes, which no property can."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds bytes, or some of its members are such."""
    return is_bytes(kind) or any(holds_bytes(kind.field(at).type) for at in range(kind.num_fields))


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _extension(array: pa.ExtensionArray) -> pa.Array:
    name = array.type.extension_name
    if name == "arrow.json":
        texts = array.storage.to_pylist()
        column = arrays([None if text is None else _parsed(text) for text in texts])
        return array.storage if column is None else column
    if name == "arrow.uuid":
        raw = array.storage.to_pylist()
        return pa.array([None if one is None else str(UUID(bytes=one)) for one in raw], pa.string())
    if name == "arrow.bool8":
        return array.storage.cast(pa.bool_())
    return plain(array.storage)


def _whole(array: pa.Array) -> pa.Array:
    """Whole numbers of any length: as such where all fit into 64 bits, else as text."""
    numbers = [None if v is None else int(v) for v in array.to_pylist()]
    if all(v is None or -_INT64 <= v < _INT64 for v in numbers):
        return pa.array(numbers, pa.int64())
    return pa.array([None if v is None else str(v) for v in numbers], pa.string())


def _temporal(array: pa.Array) -> pa.Array:
    """Dates, times and durations as text of ISO 8601, whatever years they lie in; instants end in Z."""
    kind = array.type
    if pa.types.is_time(kind):
        fine = array.cast(pa.time64("us"), safe=False)
        return pa.array([None if v is None else v.isoformat() for v in fine.to_pylist()], pa.string())
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_duration(kind)):
        return pa.array([None if v is None else str(v) for v in array.to_pylist()], pa.string())
    unit = "D" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else kind.unit
    numbers = array.cast(pa.int32() if unit == "D" else pa.int64()).fill_null(0).to_numpy()
    if pa.types.is_duration(kind):
        parts = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
        signs = ["-" if one < 0 else "" for one in numbers]
        seconds = [abs(Decimal(int(one)).scaleb(-parts)).normalize() for one in numbers]
        texts = [f"{sign}PT{some:f}S" for sign, some in zip(signs, seconds, strict=True)]
    else:
        moments = numbers.astype(np.int64).view(f"M8[{unit}]")
        days = moments.astype("M8[D]") if pa.types.is_date(kind) else moments
        texts = np.datetime_as_string(days).tolist()
    zone = "Z" if pa.types.is_timestamp(kind) and kind.tz is not None else ""
    there = array.is_valid().to_pylist()
    return pa.array([f"{t}{zone}" if ok else None for t, ok in zip(texts, there, strict=True)], pa.string())


def json_values(array: pa.Array) -> list[Any]:
    """The values of a column as JSON knows them: objects, arrays, texts, numbers, truths, None."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray) or not pa.types.is_nested(kind):
        return list(plain(array).to_pylist())
    there = array.is_valid().to_pylist()
    if pa.types.is_struct(kind):
        names = [member.name for member in kind]
        rows = zip(*map(json_values, array.flatten()), strict=True) if names else ((),) * len(array)
        return [
            dict(zip(names, row, strict=True)) if ok else None for row, ok in zip(rows, there, strict=True)
        ]
    if pa.types.is_map(kind):
        pairs = list(zip(map(_key, json_values(array.keys)), json_values(array.items), strict=True))
        return [None if part is None else dict(pairs[part]) for part in _parts(array, there)]
    if _is_list(kind):
        plain_list = (
            array
            if pa.types.is_list(kind) or pa.types.is_large_list(kind)
            else array.cast(pa.large_list(kind.value_type))
        )
        members = json_values(plain_list.values)
        return [None if part is None else members[part] for part in _parts(plain_list, there)]
    return [None if value is None else str(value) for value in array.to_pylist()]


def _parts(array: pa.Array, there: list[bool]) -> list[slice | None]:
    """Where the members of each list lie among those of all; None for a null."""
    ends = array.offsets.to_pylist()
    return [slice(a, b) if ok else None for a, b, ok in zip(ends[:-1], ends[1:], there, strict=True)]


def _key(value: Any) -> str:
    return value if isinstance(value, str) else _dumped(value)


def _dumped(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def arrays(values: list[Any]) -> pa.Array | None:
    """Lists of scalars as an Arrow column of lists, each member in JSON so that they can be of different
    types; None where a value is no such list, or all are null."""
    lists = [v for v in values if v is not None]
    if not lists or any(not isinstance(v, list) or any(isinstance(m, list | dict) for m in v) for v in lists):
        return None
    texts = [None if v is None else [_dumped(m) for m in v] for v in values]
    return pa.array(texts, pa.list_(pa.string()))


def bounded(wkb: pa.Array, row: int, options: ReadOptions, sink: Sink) -> pa.Array:
    """The geometries of a batch from row number ``row`` on, with those of too many vertices taken out (16
    bytes a vertex at least)."""
    sizes = pc.fill_null(pc.binary_length(wkb), 0)
    large = pc.greater(sizes, options.limits.vertices * 16 + 64)
    if not pc.any(large).as_py():
        return pc.cast(wkb, pa.binary())
    for index in np.flatnonzero(large.to_numpy(zero_copy_only=False)).tolist():
        sink.note(
            "limit.vertices", f"the geometry has more than {options.limits.vertices} vertices", row + index
        )
    return pc.cast(pc.if_else(large, pa.scalar(None, wkb.type), wkb), pa.binary())


def with_bodies(table: pa.Table, row: int, sink: Sink, degrees: bool) -> tuple[pa.Table, int]:
    """The batch with surfaces in space as bodies over their footprints, and how many there are."""
    heads = pc.unique(pc.binary_slice(table[WKB], 0, 5)).to_pylist()
    if not any(head and surfaces.may_be(head) for head in heads):
        return table, 0
    converted = surfaces.convert(table[WKB].to_pylist(), row, sink, degrees=degrees)
    table = table.set_column(table.column_names.index(WKB), WKB, pa.array(converted.footprints, pa.binary()))
    if not any(converted.bodies):
        return table, 0
    columns = {MESH: pa.array(converted.bodies, pa.binary())}
    columns |= {name: pa.array(values, pa.float64()) for name, values in converted.heights().items()}
    for name in columns.keys() - set(table.column_names):
        table = table.append_column(name, columns[name])
    return table, sum(one is not None for one in converted.bodies)

"""Columns of Arrow as the rows of a binary COPY (PostgreSQL, SQL commands, COPY, "Binary Format").

A row is the number of its fields (16 bits), then of each its length (32 bits, -1 of null) and its bytes,
all big-endian; every value is what the type's receive function takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layers.types import FieldType

if TYPE_CHECKING:
    import pyarrow as pa

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL = b"\xff\xff"
#: PostgreSQL counts days and microseconds from 2000-01-01, Arrow from 1970-01-01.
_DAYS = 10_957
_MICROSECONDS = _DAYS * 86_400_000_000
_WITH_SRID = 0x2000_0000
_JSONB = b"\x01"  # the version before the text
#: Bytes that are sent at a time.
_PIECE = 1 << 20


def value(kind: FieldType, column: pa.Array) -> pa.Array:
    """A column of a field of that type, as :class:`layers.store.staged.Staged` has it, as bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "string":
        return column.cast(pa.binary())
    if kind == "array":
        return pc.binary_join_element_wise(_JSONB, column.cast(pa.binary()), b"")
    if kind == "boolean":
        return _fixed(column.cast(pa.int8()), "i1")
    if kind == "date":
        days = column.cast(pa.date32()).cast(pa.int32())
        return _fixed(pc.subtract(days, pa.scalar(_DAYS, pa.int32())), ">i4")
    if kind == "datetime":
        ticks = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        return _fixed(pc.subtract(ticks, _MICROSECONDS), ">i8")
    return _fixed(column, ">i8" if kind == "integer" else ">f8")


def geometry(wkb: pa.Array, srid: int) -> pa.Array:
    """Little-endian ISO WKB as EWKB, of which the SRID is a part (PostGIS, geometry_recv)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pc.binary_slice(wkb, 1, 5).fill_null(bytes(4)).cast(pa.binary(4))
    numbers = np.frombuffer(types.buffers()[1], "<u4", len(types), types.offset * 4)
    known = pa.array(_bytes(numbers | _WITH_SRID, "<u4"))
    order, number = b"\x01", srid.to_bytes(4, "little")
    end = pc.max(pc.binary_length(wkb)).as_py() or 5  # without it a whole column has no bytes (Arrow 26)
    return pc.binary_join_element_wise(order, known, number, pc.binary_slice(wkb, 5, end), b"")


def rows(columns: Sequence[pa.Array]) -> Iterator[bytes | memoryview]:
    """The whole stream of such columns, in pieces."""
    import pyarrow as pa
    import pyarrow.compute as pc

    large = pa.large_binary()
    fields: list[pa.Array] = []
    for column in columns:
        sizes = pc.fill_null(pc.binary_length(column), -1)
        fields += [_fixed(sizes, ">i4").cast(large), column.fill_null(b"").cast(large)]
    count = pa.scalar(len(columns).to_bytes(2, "big"), large)
    joined = pc.binary_join_element_wise(count, *fields, pa.scalar(b"", large))
    ends = np.frombuffer(joined.buffers()[1], np.int64, len(joined) + 1, joined.offset * 8)
    yield HEAD
    data = memoryview(joined.buffers()[2] or b"")[int(ends[0]) : int(ends[-1])]
    for begin in range(0, len(data), _PIECE):
        yield data[begin : begin + _PIECE]
    yield TAIL


def _fixed(column: pa.Array, kind: str) -> pa.Array:
    """Numbers as bytes of that numpy type; null stays null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    made = _bytes(column.fill_null(0).to_numpy(zero_copy_only=False), kind)
    if not column.null_count:
        return made
    return pc.if_else(column.is_valid(), made, pa.scalar(None, pa.binary()))


def _bytes(numbers: NDArray[Any], kind: str) -> pa.Array:
    import pyarrow as pa

    fixed = pa.binary(np.dtype(kind).itemsize)
    data = pa.py_buffer(numbers.astype(kind).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(fixed, len(numbers), [None, data]).cast(pa.binary())

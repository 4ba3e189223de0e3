"""FlatGeobuf (flatgeobuf.org, version 3), written by hand: it is served as pages and as streams.

A file is the magic bytes, a size-prefixed FlatBuffers table ``Header`` and one size-prefixed table
``Feature`` after another; there is no index, so nothing has to be known before the first feature.
Vectors of doubles lie on multiples of 8 bytes from the size prefix, as FlatBuffers asks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

from layers.model import FeatureLayer, Rows
from layers.types import CRS84, Field, FieldType
from layers.write import column_names, flatgeometry, reference, shapes
from layers.write.flatbuffer import Piece, Scalar, Slot, root, table, text, vector

MAGIC = b"fgb\x03fgb\x00"
#: What the header says where Z is promised.
_FLAT = "Z is 0 where a geometry has no height"
_BOOL, _LONG, _DOUBLE, _STRING, _JSON, _DATETIME = 2, 7, 10, 11, 12, 13
_TYPES: dict[FieldType, int] = {
    "string": _STRING,
    "array": _JSON,
    "integer": _LONG,
    "number": _DOUBLE,
    "boolean": _BOOL,
    "date": _DATETIME,
    "datetime": _DATETIME,
}
_FIXED = {_BOOL: struct.Struct("<H?"), _LONG: struct.Struct("<Hq"), _DOUBLE: struct.Struct("<Hd")}
_TEXT = struct.Struct("<HI")
_COUNT = struct.Struct("<I")

# Size, offset of the root, a vtable of 2 entries, the table Feature at byte 16; a geometry at byte 32.
_FEATURE = struct.Struct("<IIHHHHiIII")


def page(layer: FeatureLayer, rows: Rows, crs: str = CRS84) -> bytes:
    """A whole file of one batch; its header tells how many features it has."""
    fields = column_names.fields(layer, rows)
    wkb = shapes.iso(rows.wkb)
    form = _Form.of(layer, shapes.kinds(wkb))
    return b"".join([header(layer, fields, form, crs, len(rows.fids)), *_features(fields, form, rows, wkb)])


def stream(
    layer: FeatureLayer, batches: Iterable[Rows], survey: Iterable[Rows] | None = None, crs: str = CRS84
) -> Iterator[bytes]:
    """A whole file of many batches, in pieces; its header leaves the number of features open.

    The header tells the type of all geometries and whether they have heights: ``survey`` is read for
    that before anything is given, else the first batch decides. Raises Conflict for a later geometry
    that does not keep to it."""
    form = None if survey is None else _Form.of(layer, _kinds(survey))
    fields: tuple[Field, ...] | None = None
    for rows in batches:
        wkb = shapes.iso(rows.wkb)
        form = form or _Form.of(layer, shapes.kinds(wkb))
        if fields is None:
            fields = column_names.fields(layer, rows)
            yield header(layer, fields, form, crs)
        yield b"".join(_features(fields, form, rows, wkb))
    if fields is None:
        yield header(layer, column_names.fields(layer, None), form or _Form.of(layer, set()), crs)


def _kinds(batches: Iterable[Rows]) -> set[int]:
    kinds: set[int] = set()
    for rows in batches:
        kinds |= shapes.kinds(shapes.iso(rows.wkb))
    return kinds


@dataclass(frozen=True, slots=True)
class _Form:
    """What the header promises of every geometry: its type (0: each says its own) and heights."""

    kind: int
    high: bool

    @classmethod
    def of(cls, layer: FeatureLayer, kinds: Set[int]) -> _Form:
        own = shapes.CODES[layer.geometry_type]
        fits = all(own in (kind % 1000, flatgeometry.MULTI.get(kind % 1000)) for kind in kinds)
        return cls(own if fits else 0, any(kind > 1000 for kind in kinds))


def header(layer: FeatureLayer, fields: Sequence[Field], form: _Form, crs: str, count: int = 0) -> bytes:
    """The magic bytes and the Header; ``count`` 0 where it is not known."""
    fid = column_names.free(column_names.FID, (f.name for f in fields))
    flags: list[Slot] = [None, None, None, None, Scalar("?", False), Scalar("?", True), Scalar("?", True)]
    described = [table([text(fid), Scalar("B", _LONG), text("Feature id"), *flags])]
    described += [_column(field) for field in fields]
    slots: list[Slot] = [text(layer.id), None, Scalar("B", form.kind), Scalar("?", form.high)]
    slots += [None, None, None, vector(described), Scalar("Q", count), Scalar("H", 0)]
    system = table([text("EPSG"), Scalar("i", reference.code(crs)), text(reference.name(crs))])
    slots += [system, text(column_names.title(layer.title)), text(_FLAT) if form.high else None]
    return MAGIC + root(table(slots))


def _column(field: Field) -> Piece:
    slots: list[Slot] = [text(field.name), Scalar("B", _TYPES[field.type])]
    slots += [
        text(words) if words else None
        for words in (column_names.title(field.title), column_names.meaning(field))
    ]
    return table(slots)


def _features(
    fields: Sequence[Field], form: _Form, rows: Rows, wkb: Sequence[bytes | None]
) -> Iterator[bytes]:
    cells = [_cells(_LONG, 0, rows.fids.tolist())]
    for index, field in enumerate(fields, 1):
        values = column_names.plain(field, rows.properties[field.name])
        cells.append(_cells(_TYPES[field.type], index, values))
    for one, row in zip(wkb, zip(*cells, strict=True), strict=True):
        geometry = b"" if one is None else flatgeometry.encode(one, form.kind, form.high)
        properties = b"".join(row)
        size = len(geometry)
        yield b"".join(
            (
                _FEATURE.pack(
                    32 + size + len(properties), 12, 8, 12, 4 if size else 0, 8, 8, 32, 8 + size, 0
                ),
                geometry,
                _COUNT.pack(len(properties)),
                properties,
            )
        )


def _cells(kind: int, index: int, values: Sequence[Any]) -> list[bytes]:
    """Each value as the number of its column and its bytes; nothing for null."""
    if kind in _FIXED:
        pack = _FIXED[kind].pack
        return [b"" if value is None else pack(index, value) for value in values]
    texts = [None if value is None else value.encode("utf-8", "replace") for value in values]
    return [b"" if one is None else _TEXT.pack(index, len(one)) + one for one in texts]

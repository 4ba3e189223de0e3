"""Property tables of EXT_structural_metadata: one row a feature of the tile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.batch import Batch
from tiles.dictionary import DictionaryColumn, gather
from tiles.scheme import Floats

#: Stands for null in a number; no height, depth or count of a city is near it.
NO_NUMBER = -99999.0
NO_INTEGER = -(2**31)
_ID = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class PropertyColumn:
    """One property: its schema entry and its buffers (values, and string offsets for text)."""

    schema: dict[str, Any]
    values: bytes
    offsets: bytes | None = None


def table(batch: Batch) -> dict[str, PropertyColumn]:
    """The properties of a batch by schema id; those without a value in the tile are left out."""
    columns: dict[str, PropertyColumn] = {}
    for name, prop in batch.props.items():
        if (prop.codes >= 0).any():
            column = _column(prop)
            if column is not None:
                key = _key(name, columns)
                columns[key] = PropertyColumn({"name": name, **column.schema}, column.values, column.offsets)
    return columns


def single(fid: int) -> dict[str, PropertyColumn]:
    """A table of one row with nothing but a feature id."""
    return {"fid": _integers(np.array([fid]), np.array([True]))}


def _column(prop: DictionaryColumn) -> PropertyColumn | None:
    known = prop.codes >= 0
    if prop.values.kind == "s":
        return _strings(prop)
    filled = prop.values.numbers[np.where(known, prop.codes, 0)]
    if prop.values.kind == "i":
        return _integers(filled, known)
    if prop.values.kind == "d":
        return _floats(filled, known)
    return _booleans(filled, known)


def _strings(prop: DictionaryColumn) -> PropertyColumn | None:
    """UTF-8 text; null is empty text. A column empty in the whole tile has no legal buffer."""
    compact = prop.compact()
    values = compact.values
    # the text is the tail of an entry of the value table
    starts = values.offsets[1:] - values.text
    joined = np.concatenate([values.text.astype(np.int64), [0]])
    pieces = np.stack([starts, values.offsets[1:]], axis=1).ravel()
    rows = np.where(compact.codes >= 0, 2 * compact.codes.astype(np.int64), -1)
    bounds = np.zeros(len(rows) + 1, np.uint32)
    np.cumsum(joined[compact.codes], out=bounds[1:])
    blob, _ = gather(values.blob, pieces, rows[rows >= 0])
    if not len(blob):
        return None
    return PropertyColumn({"type": "STRING", "noData": ""}, blob.tobytes(), bounds.tobytes())


def _integers(numbers: NDArray[np.int64], known: NDArray[np.bool_]) -> PropertyColumn:
    """int32, or float64 beyond it: a 64-bit integer is a BigInt in JavaScript and breaks styles."""
    inside = (np.abs(numbers[known]) < 2**31).all()
    if not inside:
        return _floats(numbers.astype(float), known)
    schema: dict[str, Any] = {"type": "SCALAR", "componentType": "INT32"}
    if not known.all():
        schema["noData"] = NO_INTEGER
    return PropertyColumn(schema, np.where(known, numbers, NO_INTEGER).astype("<i4").tobytes())


def _floats(numbers: Floats, known: NDArray[np.bool_]) -> PropertyColumn:
    schema: dict[str, Any] = {"type": "SCALAR", "componentType": "FLOAT64"}
    if not known.all():
        schema["noData"] = NO_NUMBER
    return PropertyColumn(schema, np.where(known, numbers, NO_NUMBER).astype("<f8").tobytes())


def _booleans(numbers: NDArray[np.uint8], known: NDArray[np.bool_]) -> PropertyColumn:
    """Bits when every row has a value; the extension knows no null of a boolean, text has one."""
    if known.all():
        return PropertyColumn({"type": "BOOLEAN"}, np.packbits(numbers, bitorder="little").tobytes())
    words = [b"true" if n else b"false" if k else b"" for n, k in zip(numbers & known, known, strict=True)]
    bounds = np.cumsum([0, *map(len, words)]).astype("<u4")
    return PropertyColumn({"type": "STRING", "noData": ""}, b"".join(words), bounds.tobytes())


def _key(name: str, columns: Mapping[str, PropertyColumn]) -> str:
    """A schema id (letters, digits, underscore) for a column name, told apart from those taken."""
    plain = _ID.sub("_", name)
    if not plain or not (plain[0].isalpha() or plain[0] == "_"):
        plain = f"_{plain}"
    return next(key for key in _numbered(plain) if key not in columns)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1

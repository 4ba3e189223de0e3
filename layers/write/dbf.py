"""dBASE III tables as Shapefiles have them: columns of fixed width, names of 10 bytes, texts of 254."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

from layers.types import Field, FieldType
from layers.write import column_names

MAX_NAME, MAX_TEXT = 10, 254
LEAST_DIGITS = 9  # so that whoever edits the table has room
_HEAD = struct.Struct("<B3BIHH20x")
_FIELD = struct.Struct("<11sc4xBB14x")
_END = b"\x1a"
#: Field type → letter, decimals, and width where it is fixed (0: as wide as the widest value).
_KINDS: dict[FieldType, tuple[bytes, int, int]] = {
    "string": (b"C", 0, 0),
    "array": (b"C", 0, 0),
    "integer": (b"N", 0, 0),
    "number": (b"N", 15, 24),  # a double never needs more than 24 characters
    "boolean": (b"L", 0, 1),
    "date": (b"D", 0, 8),
    "datetime": (b"C", 0, 24),
}


@dataclass(slots=True)
class DbfColumn:
    """One column: the field, its short name, the width that its values need, how many were cut."""

    field: Field
    name: str
    width: int = 1
    cut: int = 0

    @property
    def letter(self) -> str:
        """The dBASE type."""
        return _KINDS[self.field.type][0].decode()

    def cells(self, values: Sequence[Any]) -> list[bytes]:
        """The values as they will be written, without padding; notes their width, and those cut."""
        kind, _, fixed = _KINDS[self.field.type]
        cell = _CELLS[self.field.type]
        made = [b"" if v is None else cell(v) for v in column_names.plain(self.field, values)]
        widest = max(map(len, made), default=0)
        if kind == b"C" and widest > MAX_TEXT:
            self.cut += sum(len(one) > MAX_TEXT for one in made)
            made = [shortened(one, MAX_TEXT) for one in made]
            widest = max(map(len, made))
        least = LEAST_DIGITS if kind == b"N" else 1
        self.width = fixed or max(self.width, least, widest)
        return made

    def padded(self, cells: Sequence[bytes]) -> list[bytes]:
        """Cells of one width: numbers to the right, everything else to the left."""
        kind, width = _KINDS[self.field.type][0], self.width
        if kind == b"N":
            return [one.rjust(width) for one in cells]
        return [one.ljust(width, b"?" if kind == b"L" else b" ") for one in cells]


def _text(value: str) -> bytes:
    return value.encode("utf-8", "replace")


#: Field type → a value of ``columns.plain`` that is not None → its cell.
_CELLS: dict[FieldType, Callable[[Any], bytes]] = {
    "string": _text,
    "array": _text,
    "integer": lambda value: b"%d" % value,
    "number": lambda value: repr(value).encode(),
    "boolean": lambda value: b"T" if value else b"F",
    "date": lambda value: value.replace("-", "").encode(),
    "datetime": _text,
}


def shortened(raw: bytes, size: int) -> bytes:
    """UTF-8 cut to a number of bytes, never inside a character."""
    return raw[:size].decode("utf-8", "ignore").encode()


def names(fields: Sequence[str]) -> list[str]:
    """Names of at most 10 bytes, no two alike in any case; a number takes the place of the last letters."""
    used: set[str] = set()
    result = []
    for name in fields:
        clean = name.replace("\x00", "") or "field"
        short = shortened(clean.encode("utf-8", "replace"), MAX_NAME).decode()
        number = 0
        while short.casefold() in used:
            number += 1
            tail = f"_{number}"
            short = shortened(clean.encode("utf-8", "replace"), MAX_NAME - len(tail)).decode() + tail
        used.add(short.casefold())
        result.append(short)
    return result


def head(described: Sequence[DbfColumn], count: int) -> bytes:
    """The header of a table of so many records."""
    today = datetime.now(UTC)
    size = _HEAD.size + _FIELD.size * len(described) + 1
    record = 1 + sum(column.width for column in described)
    parts = [_HEAD.pack(3, today.year - 1900, today.month, today.day, count, size, record)]
    for column in described:
        kind, decimals, _ = _KINDS[column.field.type]
        parts.append(_FIELD.pack(column.name.encode(), kind, column.width, decimals))
    return b"".join([*parts, b"\r"])


def records(out: BinaryIO, described: Sequence[DbfColumn], cells: Sequence[Sequence[bytes]]) -> None:
    """Write rows given as columns of cells."""
    padded = [column.padded(one) for column, one in zip(described, cells, strict=True)]
    out.writelines(b"".join((b" ", *row)) for row in zip(*padded, strict=True))


def finish(out: BinaryIO) -> None:
    """Write the mark at the end of a table."""
    out.write(_END)

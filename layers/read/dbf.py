"""dBASE III tables beside a Shapefile: what GDAL does not say of them, their raw texts and long numbers.

GDAL is asked for Latin-1, which keeps every byte as a character; which encoding it is in is decided here, of
all names and cells. Source: dBASE file format, https://www.loc.gov/preservation/digital/formats/fdd/fdd000325.shtml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.read.base import Sink
from layers.read.encodings import Encoding, decoded

#: What GDAL is told, and every byte survives.
RAW = "ISO-8859-1"
#: Digits that GDAL reads as a whole number; of more it makes a number with a fraction, and rounds it.
_DIGITS = 18
_BLOCK = 8 << 20
#: Types of columns that are texts, and all that are read.
_TEXTS = "CV"
_TYPES = f"{_TEXTS}NFDL"
_WHOLE = re.compile(rb"[+-]?\d+")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?")
#: What a whole number does not have.
_POINTS = np.frombuffer(b".eE", np.uint8)
#: What the byte 29 of the header says (of those values that programs do not write by default).
_PAGES = {
    **{0x4D: "936", 0x7A: "936", 0x4F: "950", 0x78: "950", 0x13: "932", 0x7B: "932", 0x4E: "949"},
    **{0x79: "949", 0xC8: "1250", 0xC9: "1251", 0xCA: "1254", 0xCB: "1253", 0x26: "866", 0x65: "866"},
}


@dataclass(frozen=True, slots=True)
class DbfField:
    """A column: its name as bytes, its type, and where it lies in a record."""

    name: bytes
    type: str
    start: int
    width: int
    decimals: int


class Dbf:
    """A table; one that is cut off has as many records as are whole. Raises OSError."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            head = file.read(32)
            self._start = int.from_bytes(head[8:10], "little")
            described = file.read(max(self._start - 32, 0))
        self._fractions: dict[int, bool] = {}
        self.word = _PAGES.get(head[29]) if len(head) == 32 else None
        self._size = int.from_bytes(head[10:12], "little")
        self.fields = list(_fields(described))
        #: Records that the header announces.
        self.count = int.from_bytes(head[4:8], "little")
        whole = max(path.stat().st_size - self._start, 0) // self._size if self._size else 0
        count = min(self.count, whole)
        self._records: NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        if count:
            self._records = np.memmap(path, np.uint8, "r", self._start, (count, self._size))

    def __len__(self) -> int:
        return len(self._records)

    def unknown(self) -> list[DbfField]:
        """The columns of other programs' types, numbers in bytes or places in another file, which are left
        empty."""
        return [field for field in self.fields if field.type not in _TYPES]

    def texts(self) -> list[bytes]:
        """All names, and the distinct cells that are not ASCII."""
        names = {field.name for field in self.fields}
        step = max(_BLOCK // max(self._size, 1), 1)
        for field in (f for f in self.fields if f.type in _TEXTS and self._holds(f)):
            for start in range(0, len(self._records), step):
                cells = self._cells(field, slice(start, start + step))
                high = (cells.view(np.uint8).reshape(len(cells), -1) > 127).any(axis=1)
                names.update(cell.rstrip(b" ") for cell in np.unique(cells[high]).tolist())
        return list(names)

    def _holds(self, field: DbfField) -> bool:
        """Whether a record has room for a field, as it has not where the header is damaged."""
        return field.width > 0 and field.start + field.width <= self._size

    def _cells(self, field: DbfField, rows: slice | NDArray[np.int64]) -> NDArray[np.bytes_]:
        block = np.ascontiguousarray(self._records[rows, field.start : field.start + field.width])
        return block.view(f"S{field.width}").reshape(-1)

    def long(self, field: DbfField, rows: NDArray[np.int64]) -> pa.Array | None:
        """Whole numbers that GDAL rounds, to the last digit: as text; None where some are no such."""
        if field.type not in "NF" or field.decimals or field.width <= _DIGITS or len(rows) == 0:
            return None
        if int(rows.max()) >= len(self._records) or not self._holds(field):
            return None
        cells = [cell.strip(b" \x00") for cell in self._cells(field, rows).tolist()]
        if any(cell and not _WHOLE.fullmatch(cell) for cell in cells):
            return None
        if all(len(cell) <= _DIGITS for cell in cells):
            return pa.array([int(cell) if cell else None for cell in cells], pa.int64())
        return pa.array([cell.decode() if cell else None for cell in cells], pa.string())

    def fractions(self, index: int) -> bool:
        """Whether a column of whole numbers holds others, too: GDAL gives the digits before a point or an
        exponent."""
        field = self.fields[index]
        if field.type not in "NF" or field.decimals or not self._holds(field):
            return False
        if index not in self._fractions:
            step = max(_BLOCK // max(self._size, 1), 1)
            blocks = (slice(start, start + step) for start in range(0, len(self._records), step))
            self._fractions[index] = any(
                np.isin(self._cells(field, block).view(np.uint8), _POINTS).any() for block in blocks
            )
        return self._fractions[index]

    def numbers(self, index: int, rows: NDArray[np.int64]) -> Iterator[float | None]:
        """The cells of a column as numbers; None for what is none."""
        for cell in self._cells(self.fields[index], rows).tolist():
            text = cell.strip(b" \x00")
            yield float(text) if _NUMBER.fullmatch(text) else None

    def logical(self, index: int, rows: NDArray[np.int64]) -> dict[int, str]:
        """Place among ``rows`` → cell that is neither true nor false, which GDAL takes for false."""
        field = self.fields[index]
        if field.type != "L" or not self._holds(field):
            return {}
        cells = (cell.decode("latin-1").strip(" \x00?") for cell in self._cells(field, rows).tolist())
        return {at: cell for at, cell in enumerate(cells) if cell and cell not in "TtYyFfNn"}

    def unread(self, index: int, column: pa.Array, rows: NDArray[np.int64]) -> Iterator[tuple[int, str]]:
        """Row from 1 and cell of numbers that GDAL has no value for although something is there."""
        none = rows[column.is_null().to_numpy(zero_copy_only=False)]
        if index >= len(self.fields) or not len(none) or int(none.max()) >= len(self._records):
            return
        field = self.fields[index]
        if field.type not in "NF" or not self._holds(field):
            return
        cells = self._cells(field, none)
        if not (cells.view(np.uint8) > 0x20).any():
            return
        for row, cell in zip(none.tolist(), cells.tolist(), strict=True):
            if cell.strip(b" \x00"):
                yield row + 1, cell.decode("latin-1").strip()

    def odd_dates(self, index: int) -> dict[int, str]:
        """Record from 0 → what a column of dates holds beside dates, which GDAL takes for others."""
        field = self.fields[index] if index < len(self.fields) else None
        result: dict[int, str] = {}
        if field is None or field.type != "D" or not self._holds(field):
            return result
        step = max(_BLOCK // max(self._size, 1), 1)
        for start in range(0, len(self._records), step):
            cells, which = np.unique(self._cells(field, slice(start, start + step)), return_inverse=True)
            texts = [cell.decode("latin-1").strip() for cell in cells.tolist()]
            bad = [number for number, text in enumerate(texts) if text.strip("0") and not _is_date(text)]
            for at in np.flatnonzero(np.isin(which, bad)).tolist() if bad else ():
                result[start + at] = texts[which[at]]
        return result


def _is_date(text: str) -> bool:
    try:
        return len(text) == 8 and text.isdigit() and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _fields(described: bytes) -> Iterator[DbfField]:
    start = 1  # behind the mark of a deleted record
    for at in range(0, len(described) - 31, 32):
        one = described[at : at + 32]
        if one[0] == 0x0D:
            return
        kind = chr(one[11])
        width, decimals = one[16], one[17]
        if kind == "C":
            width, decimals = width + 256 * decimals, 0
        yield DbfField(one[:11].split(b"\x00")[0].rstrip(b" "), kind, start, width, decimals)
        start += width


@dataclass(frozen=True, slots=True)
class Texts:
    """The names and cells of a table in its encoding."""

    table: Dbf
    encoding: Encoding

    def name(self, raw: str) -> str:
        """A column's name, which may be cut inside a character."""
        return decoded(raw.encode("latin-1", "replace"), self.encoding.name)[0].rstrip("\ufffd")

    def column(
        self, index: int, undecoded: pa.Array, rows: NDArray[np.int64], name: str, sink: Sink
    ) -> pa.Array:
        """A column as GDAL gave it (of records counted from 0), read as what it is."""
        if index < len(self.table.fields) and self.table.fields[index].type not in _TYPES:
            return pa.nulls(len(undecoded), pa.string())
        if index < len(self.table.fields) and len(rows) and int(rows.max()) < len(self.table):
            undecoded = self._exact(index, undecoded, rows, name, sink)
        long = self.table.long(self.table.fields[index], rows) if index < len(self.table.fields) else None
        if long is not None:
            return long
        if not pa.types.is_string(undecoded.type):
            for row, cell in self.table.unread(index, undecoded, rows):
                sink.unreadable(name, cell, row)
            return undecoded
        coded = undecoded.dictionary_encode()
        raw = coded.dictionary.to_pylist()
        read = [decoded(text.encode("latin-1", "replace"), self.encoding.name) for text in raw]
        bad = {number for number, (_, whole) in enumerate(read) if not whole}
        if bad:
            for row, code in enumerate(coded.indices.to_pylist()):
                if code in bad:
                    reason = f"{name}: some bytes are no text in {self.encoding.title}, and were replaced"
                    sink.note("text.encoding", reason, int(rows[row]) + 1)
        return pa.array([text for text, _ in read], pa.string()).take(coded.indices)

    def _exact(
        self, index: int, undecoded: pa.Array, rows: NDArray[np.int64], name: str, sink: Sink
    ) -> pa.Array:
        """A column of numbers with their fractions, or of truths without those that GDAL made up."""
        if self.table.fractions(index):
            return pa.array(list(self.table.numbers(index, rows)), pa.float64())
        odd = self.table.logical(index, rows)
        for at, cell in odd.items():
            sink.unreadable(name, cell, int(rows[at]) + 1)
        if not odd:
            return undecoded
        kept = pa.array([at not in odd for at in range(len(undecoded))])
        return pc.if_else(kept, undecoded, pa.scalar(None, undecoded.type))

"""CSV tables of points: longitude and latitude, plane coordinates, or WKT in a column."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import shapely

from layers import wkb
from layers.batch import ROW, SOURCE_ID, WKB
from layers.errors import BadFile, shown
from layers.findings import ASIDE
from layers.formula import unguarded
from layers.kinds.base import blank
from layers.read.base import BATCH_ROWS, ReadOptions, Sink
from layers.read.coordinates import CoordinateColumns, columns_of, is_grouped, position
from layers.read.encodings import Lines, choose, of_beginning
from layers.read.format import Format, Reader
from layers.read.records import Records
from layers.source import SourceLayer

#: How WKT begins, and what it may have before it.
_SHAPE = re.compile(
    r"\s*(SRID=(?P<srid>\d+);)?\s*(POINT|LINESTRING|POLYGON|MULTI\w+|GEOMETRYCOLLECTION)\b", re.IGNORECASE
)
#: WKB, as a database shows it.
_HEX = re.compile(r"\s*(\\x|0x)?(?P<bytes>0[01]([0-9a-f]{2}){8,})\s*", re.IGNORECASE)
#: The bit of the type that says that a number of a CRS follows (PostGIS).
_HAS_SRID = 0x20000000
#: Parentheses of a WKT text within each other; GEOS reads them by recursion.
_MOST_NESTING = 16
#: What every filled cell of a column looks like, the narrowest first; any other column is text.
_READ: tuple[tuple[pa.DataType, re.Pattern[str]], ...] = (
    (pa.int64(), re.compile(r"^-?(0|[1-9]\d{0,14})$")),
    (pa.float64(), re.compile(r"^-?(0|[1-9]\d{0,14}|(0|[1-9]\d*)\.\d+([eE][+-]?\d{1,3})?)$")),
    (pa.bool_(), re.compile(r"^(true|false)$", re.IGNORECASE)),
)
_VALUES: Mapping[pa.DataType, Callable[[str], Any]] = {
    pa.int64(): int,
    pa.float64(): float,
    pa.bool_(): lambda cell: cell.casefold() == "true",
    pa.string(): str,
}


type Rows = Iterator[list[str]]


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a table. Raises BadFile: encoding.wrong, csv.columns, csv.damaged, limit.columns."""
    chosen = _encoding(path, options.declared.encoding, sink)
    sink.meta.update(driver="CSV", encoding=chosen.name)
    try:
        table = Records.of(path, chosen.name, _is_header)
        if table.above:
            above = "; ".join(map(shown, table.above))
            sink.note(
                "table.above",
                f"the names of the columns were found below other lines, which are no rows: {above}",
            )
        sink.meta["rows"] = ("line", 2 + table.blank)
        header = _header(table, options, sink)
        place = _place(header, table.rows, sink)
        kinds, grouped = _types(table, place, options.limits.rows)
        rows = _watched(table, header, chosen, sink)
        own = _own_columns(header, sink)
        columns = {i: (n, kinds[i]) for i, n in enumerate(header) if i not in place.columns and i not in own}
        _batches(rows, header, columns, place._replace(grouped=grouped), options, sink)
    except UnicodeError as error:
        raise BadFile(
            "encoding.wrong", f"the text is not {chosen.name}; declare the right encoding"
        ) from error
    except csv.Error as error:
        raise BadFile("csv.damaged", f"the table cannot be read: {error}") from error


class _Encoding(NamedTuple):
    """The codec, and whether it reads all of the text: bytes that it cannot are replaced."""

    name: str
    whole: bool


def _encoding(path: Path, declared: str | None, sink: Sink | None = None) -> _Encoding:
    """As declared, else by the beginning, else by all of the text, which is reported. Raises BadFile
    encoding.wrong."""
    lines = Lines(path)
    name = of_beginning(path, declared)
    if name is None:
        name = choose(lines, declared).name
    plain = name in ("utf-8", "utf-8-sig", "utf-16", "utf-32")
    if not plain and declared is None and sink is not None:
        sink.note("encoding.sniffed", f"the table's text was read as {name.upper()}")
    return _Encoding(name, lines.all_in(name))


def _watched(table: Records, header: list[str], encoding: _Encoding, sink: Sink) -> Rows:
    """The rows, texts of a download of ours as they were; notes which cells could not be read."""

    def open_quote(at: int) -> None:
        reason = "a quote opens and does not close: it was read as a character, and what is below as rows"
        sink.note("row.quote", reason, at)

    ours = _is_ours(table.header)
    for at, row in enumerate(table.rows(open_quote), 1):
        if not encoding.whole:
            bad = [name for name, cell in zip(header, row, strict=False) if "\ufffd" in cell]
            for name in bad:
                title = encoding.name.upper()
                reason = f"{name}: some bytes are no text in {title}, and were replaced"
                sink.note("text.encoding", reason, at)
        yield [unguarded(cell) for cell in row] if ours else row


def _own_columns(header: list[str], sink: Sink) -> frozenset[int]:
    """The columns that a load put around the source's when it set rows aside."""
    if tuple(header[:3]) != ASIDE or columns_of(header[-1:]) is None:
        return frozenset()
    reason = "a load set the rows aside; row, rule and reason are what it said of them, and are left out"
    sink.note("column.own", reason)
    return frozenset({0, 1, 2, len(header) - 1})


def _header(table: Records, options: ReadOptions, sink: Sink) -> list[str]:
    if not table.header:
        raise BadFile("file.no_features", "the table has no row that is not blank")
    if len(table.header) > options.limits.columns:
        raise BadFile("limit.columns", f"the table has more than {options.limits.columns} columns")
    ours = _is_ours(table.header)
    return sink.called(map(unguarded, table.header) if ours else table.header)


def _is_ours(header: Sequence[str]) -> bool:
    """Whether a table is a download of ours or one of rows that were set aside: its texts are guarded."""
    return tuple(header[:3]) == ASIDE or header[0].casefold() == "fid"


def _is_header(row: Sequence[str]) -> bool:
    """Whether a row names columns of coordinates, or those of a table of ours."""
    return tuple(row[:3]) == ASIDE or columns_of(row) is not None


def _place(header: list[str], rows: Callable[[], Iterator[list[str]]], sink: Sink) -> CoordinateColumns:
    """Where the coordinates are. Raises BadFile csv.columns."""
    place = columns_of(header)
    if place is None:
        names = shown(", ".join(header))
        raise BadFile("csv.columns", f"no coordinate columns (lon/lat, 经度/纬度, x/y or wkt) among: {names}")
    if place.geographic:
        sink.meta["crs_of_columns"] = "EPSG:4326"
    if place.pair is not None and place.wkt is not None and not _holds_wkt(rows(), place.wkt):
        place = place._replace(wkt=None)
    sink.meta["place_columns"] = [header[index] for index in sorted(place.columns)]
    sink.meta["directed"] = place.directed or place.wkt is not None
    return place


def _holds_wkt(rows: Iterator[list[str]], column: int) -> bool:
    """Whether the first filled cell of a column begins as WKT does."""
    filled = (row[column] for row in rows if len(row) > column and not blank(row[column]))
    cell = next(filled, "")
    return _SHAPE.match(cell) is not None or _HEX.fullmatch(cell) is not None


def _types(table: Records, place: CoordinateColumns, most: int | None) -> tuple[list[pa.DataType], bool]:
    """int64, float64, bool or text a column; a number with a leading zero is a code, so text. And whether
    commas in coordinates group digits by thousands, as some of them show."""
    size, grouped = len(table.header), False
    candidates: list[list[tuple[pa.DataType, re.Pattern[str]]]] = [list(_READ) for _ in range(size)]
    seen = [False] * size
    for row in islice(table.rows(), most):
        for i in place.pair or ():
            grouped = grouped or (i < len(row) and is_grouped(row[i]))
        for i, cell in enumerate(row[:size]):
            if blank(cell):
                continue
            seen[i] = True
            if candidates[i]:
                candidates[i] = [one for one in candidates[i] if one[1].match(cell)]
    types = [
        left[0][0] if left and any_ else pa.string() for left, any_ in zip(candidates, seen, strict=True)
    ]
    return types, grouped


def _batches(
    rows: Iterator[list[str]],
    header: list[str],
    columns: Mapping[int, tuple[str, pa.DataType]],
    place: CoordinateColumns,
    options: ReadOptions,
    sink: Sink,
) -> None:
    pending: list[tuple[int, bytes, list[str]]] = []
    number_of_row = 0
    srids: set[int] = set()
    for number_of_row, row in enumerate(rows, 1):
        if sink.enough(options.limits, number_of_row - 1):
            break
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(header) and not any(map(str.strip, row[len(header) :])):
            row = row[: len(header)]
        if len(row) != len(header):
            reason = f"the row has {len(row)} cells, the header {len(header)}"
            sink.drop("row.cells", reason, number_of_row, held=_held(header, row))
            continue
        try:
            blob, srid = _geometry(row, place, options)
            srids.update((srid,) if srid else ())
            pending.append((number_of_row, blob, row))
        except BadFile as error:
            sink.drop(error.rule, error.reason, number_of_row, held=_held(header, row))
        if len(pending) == BATCH_ROWS:
            sink.batch(_table(pending, columns))
            pending = []
    if pending:
        sink.batch(_table(pending, columns))
    sink.meta["features"] = number_of_row
    if len(srids) > 1:
        named = ", ".join(f"EPSG:{srid}" for srid in sorted(srids))
        raise BadFile("crs.mixed", f"rows name different CRSs ({named}); load those of each alone")
    if srids:
        sink.meta["crs"] = f"EPSG:{srids.pop()}"


def _held(header: list[str], row: list[str]) -> dict[str, str]:
    """The cells of a row by their names; those that the header has none for as columns of a number."""
    names = [*header, *(f"column_{number}" for number in range(len(header) + 1, len(row) + 1))]
    return dict(zip(names, row, strict=False))


def _geometry(row: list[str], place: CoordinateColumns, options: ReadOptions) -> tuple[bytes, int | None]:
    """The row's geometry as WKB, and the number of the CRS that it names. Raises BadFile, of the row."""
    if place.pair is None or (place.wkt is not None and not blank(row[place.wkt])):
        return _from_wkt(row[place.wkt or 0], options)
    x, y = place.pair
    point: bytes = shapely.to_wkb(shapely.Point(*position((row[x], row[y]), grouped=place.grouped)))
    return point, None


def _from_wkt(text: str, options: ReadOptions) -> tuple[bytes, int | None]:
    """WKT checked for size and nesting before GEOS sees it, which a deep nesting would end, or WKB in
    hexadecimal digits. Raises BadFile."""
    if blank(text):
        raise BadFile("geometry.missing", "the row has no geometry")
    if (match := _HEX.fullmatch(text)) is not None:
        return _from_wkb(bytes.fromhex(match["bytes"]), options)
    depth = deepest = 0
    for mark in re.findall(r"[()]", text):
        depth += 1 if mark == "(" else -1
        deepest = max(deepest, depth)
    if deepest > _MOST_NESTING or text.count(",") > options.limits.vertices:
        raise BadFile("limit.depth", "the geometry is nested too deeply or has too many vertices")
    begins = _SHAPE.match(text)
    try:
        blob: bytes = shapely.to_wkb(shapely.from_wkt(re.sub(r"^\s*SRID=\d+;", "", text)))
    except (shapely.errors.GEOSException, NotImplementedError) as error:  # the latter of curves
        raise BadFile("geometry.unreadable", f"{shown(text)} is not WKT") from error
    return blob, int(begins["srid"]) if begins is not None and begins["srid"] else None


def _from_wkb(blob: bytes, options: ReadOptions) -> tuple[bytes, int | None]:
    """WKB, and the number of the CRS in it. Raises BadFile."""
    if len(blob) > options.limits.vertices * 16 + 64:
        raise BadFile("limit.vertices", f"the geometry has more than {options.limits.vertices} vertices")
    if (fault := wkb.fault(blob)) is not None:
        raise BadFile("geometry.unreadable", fault)
    order: Literal["little", "big"] = "little" if blob[0] else "big"
    named = int.from_bytes(blob[1:5], order) & _HAS_SRID
    return blob, int.from_bytes(blob[5:9], order) if named else None


def _table(
    rows: list[tuple[int, bytes, list[str]]], columns: Mapping[int, tuple[str, pa.DataType]]
) -> pa.Table:
    out: dict[str, Any] = {
        ROW: pa.array(np.array([k[0] for k in rows], np.int64)),
        WKB: pa.array([k[1] for k in rows], pa.binary()),
        SOURCE_ID: pa.nulls(len(rows), pa.string()),
    }
    for i, (name, kind) in columns.items():
        as_type = _VALUES[kind]
        cells = (k[2][i] for k in rows)
        out[name] = pa.array([None if blank(c) else as_type(c) for c in cells], kind)
    return pa.table(out)


def layers(path: Path, options: ReadOptions) -> list[SourceLayer]:
    """The table as the one layer of its file; none where no columns hold coordinates."""
    try:
        table = Records.of(path, _encoding(path, options.declared.encoding).name, _is_header)
        if not table.header or columns_of(_header(table, options, Sink(None))) is None:
            return []
        count = sum(any(cell.strip() for cell in row) for row in table.rows())
    except (UnicodeError, csv.Error):
        return []
    return [SourceLayer("", count, "Point")]


FORMATS: tuple[Format, ...] = (
    Reader(
        name="csv",
        titles={"en": "CSV table", "zh-CN": "CSV 表格"},
        endings=(".csv", ".tsv", ".txt"),
        recognise=lambda sample: sample.is_text,
        read=read,
        layers=layers,
        last=True,
    ),
)

"""CSV tables of points: longitude and latitude, plane coordinates, or WKT in a column."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import shapely

from layers.batch import ROW, SOURCE_ID, WKB
from layers.errors import BadFile, shown
from layers.kinds.base import blank, number
from layers.read.base import BATCH_ROWS, ReadOptions, Sink
from layers.read.encodings import Lines, choose, of_beginning
from layers.read.format import Format, Reader
from layers.source import SourceLayer

#: Names of column pairs (first = east or longitude), and whether they say longitude/latitude.
_PAIRS: tuple[tuple[tuple[str, ...], tuple[str, ...], bool], ...] = (
    (("lon", "lng", "long", "longitude", "经度"), ("lat", "latitude", "纬度"), True),
    (("x", "easting", "east", "东坐标", "横坐标"), ("y", "northing", "north", "北坐标", "纵坐标"), False),
)
_WKT = ("wkt", "geometry", "geom", "the_geom", "wkt_geom")
_SHAPE = re.compile(
    r"\s*(SRID=\d+;)?\s*(POINT|LINESTRING|POLYGON|MULTI\w+|GEOMETRYCOLLECTION)\b", re.IGNORECASE
)
#: Parentheses of a WKT text within each other; GEOS reads them by recursion.
_MOST_NESTING = 16
#: Characters of a cell: a geometry as text is long.
_MOST_CELL = 4 << 20
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


class CoordinateColumns(NamedTuple):
    """Indices of the two columns of coordinates, of that of WKT, or of both: WKT may say more."""

    pair: tuple[int, int] | None
    wkt: int | None

    @property
    def columns(self) -> set[int]:
        """All of them: they are no properties."""
        return {*(self.pair or ()), *(() if self.wkt is None else (self.wkt,))}


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a table. Raises BadFile: encoding.wrong, csv.columns, csv.damaged, limit.columns."""
    csv.field_size_limit(_MOST_CELL)
    found = _encoding(path, options.declared.encoding, sink)
    encoding = found.name
    sink.meta["rows"] = ("line", 2)
    sink.meta.update(driver="CSV", encoding=encoding)
    try:
        dialect = _dialect(path, encoding)
        header = _header(path, encoding, dialect, options, sink)
        place = _place(header, lambda: _rows(path, encoding, dialect), sink)
        kinds = _types(path, encoding, dialect, header, options.limits.rows)
        rows = _watched(_rows(path, encoding, dialect), header, found, sink)
        columns = {i: (name, kinds[i]) for i, name in enumerate(header) if i not in place.columns}
        _batches(rows, header, columns, place, options, sink)
    except UnicodeError as error:
        raise BadFile("encoding.wrong", f"the text is not {encoding}; declare the right encoding") from error
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


def _watched(rows: Iterator[list[str]], header: list[str], encoding: _Encoding, sink: Sink) -> Rows:
    """The rows; notes which cells could not be read."""
    for at, row in enumerate(rows, 1):
        if not encoding.whole:
            bad = [name for name, cell in zip(header, row, strict=False) if "\ufffd" in cell]
            for name in bad:
                title = encoding.name.upper()
                reason = f"{name}: some bytes are no text in {title}, and were replaced"
                sink.note("text.encoding", reason, at)
        yield row


def _dialect(path: Path, encoding: str) -> str:
    """The delimiter that cuts the header line into most cells."""
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        line = file.readline(1 << 20)
    return max(",;\t|", key=line.count)


def _rows(path: Path, encoding: str, delimiter: str) -> Iterator[list[str]]:
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        next(reader, None)
        yield from reader


def _header(path: Path, encoding: str, delimiter: str, options: ReadOptions, sink: Sink) -> list[str]:
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        header = [name.strip() for name in next(csv.reader(file, delimiter=delimiter), [])]
    if len(header) > options.limits.columns:
        raise BadFile("limit.columns", f"the table has more than {options.limits.columns} columns")
    return sink.called(header)


def _columns(header: list[str]) -> tuple[tuple[int, int] | None, int | None, bool] | None:
    """Indices of a pair of coordinates and of WKT, and whether the pair is longitude and latitude by name."""
    lower = [name.casefold() for name in header]
    wkt = next((lower.index(n) for n in _WKT if n in lower), None)
    for first, second, geographic in _PAIRS:
        x = next((lower.index(n) for n in first if n in lower), None)
        y = next((lower.index(n) for n in second if n in lower), None)
        if x is not None and y is not None:
            return (x, y), wkt, geographic
    return None if wkt is None else (None, wkt, False)


def _place(header: list[str], rows: Callable[[], Iterator[list[str]]], sink: Sink) -> CoordinateColumns:
    """Where the coordinates are. Raises BadFile csv.columns."""
    found = _columns(header)
    if found is None:
        names = shown(", ".join(header))
        raise BadFile("csv.columns", f"no coordinate columns (lon/lat, 经度/纬度, x/y or wkt) among: {names}")
    pair, wkt, geographic = found
    if geographic:
        sink.meta["crs_of_columns"] = "EPSG:4326"
    if pair is not None and wkt is not None and not _holds_wkt(rows(), wkt):
        wkt = None
    place = CoordinateColumns(pair, wkt)
    sink.meta["place_columns"] = [header[index] for index in sorted(place.columns)]
    return place


def _holds_wkt(rows: Iterator[list[str]], column: int) -> bool:
    """Whether the first filled cell of a column begins as WKT does."""
    filled = (row[column] for row in rows if len(row) > column and not blank(row[column]))
    return _SHAPE.match(next(filled, "")) is not None


def _types(
    path: Path, encoding: str, delimiter: str, header: list[str], most: int | None
) -> list[pa.DataType]:
    """int64, float64, bool or text a column; a number with a leading zero is a code, so text."""
    found: list[list[tuple[pa.DataType, re.Pattern[str]]]] = [list(_READ) for _ in header]
    seen = [False] * len(header)
    for row in islice(_rows(path, encoding, delimiter), most):
        for i, cell in enumerate(row[: len(header)]):
            if blank(cell):
                continue
            seen[i] = True
            if found[i]:
                found[i] = [one for one in found[i] if one[1].match(cell)]
    return [left[0][0] if left and any_ else pa.string() for left, any_ in zip(found, seen, strict=True)]


def _batches(
    rows: Iterator[list[str]],
    header: list[str],
    columns: Mapping[int, tuple[str, pa.DataType]],
    place: CoordinateColumns,
    options: ReadOptions,
    sink: Sink,
) -> None:
    kept: list[tuple[int, bytes, list[str]]] = []
    number_of_row = 0
    for number_of_row, row in enumerate(rows, 1):
        if sink.enough(options.limits, number_of_row - 1):
            break
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            reason = f"the row has {len(row)} cells, the header {len(header)}"
            sink.drop("row.cells", reason, number_of_row, held=_held(header, row))
            continue
        try:
            kept.append((number_of_row, _geometry(row, place, options), row))
        except BadFile as error:
            sink.drop(error.rule, error.reason, number_of_row, held=_held(header, row))
        if len(kept) == BATCH_ROWS:
            sink.batch(_table(kept, columns))
            kept = []
    if kept:
        sink.batch(_table(kept, columns))
    sink.meta["features"] = number_of_row


def _held(header: list[str], row: list[str]) -> dict[str, str]:
    """The cells of a row by their names; those that the header has none for as columns of a number."""
    names = [*header, *(f"column_{number}" for number in range(len(header) + 1, len(row) + 1))]
    return dict(zip(names, row, strict=False))


def _geometry(row: list[str], place: CoordinateColumns, options: ReadOptions) -> bytes:
    """The row's geometry as WKB. Raises BadFile, of the row alone."""
    if place.pair is None or (place.wkt is not None and not blank(row[place.wkt])):
        return _from_wkt(row[place.wkt or 0], options)
    x, y = place.pair
    east, north = number(row[x]), number(row[y])
    if east is None or north is None or east[1] or north[1]:
        if blank(row[x]) or blank(row[y]):
            raise BadFile("geometry.missing", "the row has no coordinates")
        raise BadFile("geometry.unreadable", f"{shown(row[x])}, {shown(row[y])} are not coordinates")
    point: bytes = shapely.to_wkb(shapely.Point(east[0], north[0]))
    return point


def _from_wkt(text: str, options: ReadOptions) -> bytes:
    """WKT checked for size and nesting before GEOS sees it, which a deep nesting would end. Raises
    BadFile."""
    if blank(text):
        raise BadFile("geometry.missing", "the row has no geometry")
    depth = deepest = 0
    for mark in re.findall(r"[()]", text):
        depth += 1 if mark == "(" else -1
        deepest = max(deepest, depth)
    if deepest > _MOST_NESTING or text.count(",") > options.limits.vertices:
        raise BadFile("limit.depth", "the geometry is nested too deeply or has too many vertices")
    try:
        wkb: bytes = shapely.to_wkb(shapely.from_wkt(re.sub(r"^\s*SRID=\d+;", "", text)))
    except shapely.errors.GEOSException as error:
        raise BadFile("geometry.unreadable", f"{shown(text)} is not WKT") from error
    return wkb


def _table(
    kept: list[tuple[int, bytes, list[str]]], columns: Mapping[int, tuple[str, pa.DataType]]
) -> pa.Table:
    out: dict[str, Any] = {
        ROW: pa.array(np.array([k[0] for k in kept], np.int64)),
        WKB: pa.array([k[1] for k in kept], pa.binary()),
        SOURCE_ID: pa.nulls(len(kept), pa.string()),
    }
    for i, (name, kind) in columns.items():
        as_type = _VALUES[kind]
        cells = (k[2][i] for k in kept)
        out[name] = pa.array([None if blank(c) else as_type(c) for c in cells], kind)
    return pa.table(out)


def layers(path: Path, options: ReadOptions) -> list[SourceLayer]:
    """The table as the one layer of its file; none where no columns hold coordinates."""
    encoding = _encoding(path, options.declared.encoding).name
    try:
        dialect = _dialect(path, encoding)
        header = _header(path, encoding, dialect, options, Sink(None))
        if _columns(header) is None:
            return []
        count = sum(any(cell.strip() for cell in row) for row in _rows(path, encoding, dialect))
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

"""Which columns a layer gets, and cleaned rows turned into them.

The kind's normalised fields come first, then the source's columns under their own names. Where each
row has columns of its own, as tags are, those that are rarely filled are folded into one JSON text column,
``other``; a table that a person laid out keeps all of its columns. What is published under another name
or folded is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from layers.batch import MESH, SOURCE_ID, WKB, properties
from layers.errors import BadParameter, listed
from layers.kinds import vector
from layers.kinds.base import Columns, Kind, SourceBatch, blank, named, text
from layers.model import FeatureLayer, Problem
from layers.times import Times
from layers.types import REST, Field, FieldType, GeometryType, only_time

#: A tag that is filled in less than this share of the rows is folded.
RARE = 0.05
#: Digits that every client keeps: a whole number of more is a code (ECMA-262 has them as doubles).
_DIGITS = 15
_RESERVED = frozenset({"fid", "geom", "source_id", "rowid", "ogc_fid", REST})

_ARROW: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.string(),
    "datetime": pa.string(),
    "array": pa.string(),
}
_GEOMETRY: Mapping[int, GeometryType] = {
    0: "Point",
    1: "LineString",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
}
_MULTI: Mapping[str, GeometryType] = {
    "Point": "MultiPoint",
    "LineString": "MultiLineString",
    "Polygon": "MultiPolygon",
}


@dataclass(slots=True)
class Fill:
    """How a source's columns are filled, gathered batch by batch; the column that ``times`` wants is to be
    the layer's time."""

    times: Times
    #: Codes of the kind's fields, by the name of the field in small letters.
    coded: Mapping[str, Collection[str]] = field(default_factory=dict)
    rows: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    types: dict[str, FieldType] = field(default_factory=dict)
    #: Columns of whole numbers that are codes, by their length.
    codes: set[str] = field(default_factory=set)
    #: Columns that are called like a field of codes, and hold other words.
    foreign: set[str] = field(default_factory=set)
    #: Columns of which the source does not even say a type.
    unknown: set[str] = field(default_factory=set)
    #: Whether a column ``other`` holds what an earlier load folded.
    rest: bool = True

    def add(self, table: pa.Table) -> None:
        """Count the filled values of every source column of one batch."""
        self.rows += len(table)
        self.times.add(table)
        for name in properties(table.column_names):
            column = table[name]
            count = len(column) - column.null_count
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                count -= int(pc.sum(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py() or 0)
            self.filled[name] += count
            field_type = _type(column.type)
            if pa.types.is_null(column.type):
                self.unknown.add(name)
            if field_type == "integer" and _long(column):
                self.codes.add(name)
            if (before := self.types.setdefault(name, field_type)) != field_type:
                self.types[name] = "number" if {before, field_type} == {"integer", "number"} else "string"
            codes = self.coded.get(name.casefold())
            if codes is not None and name not in self.foreign:
                words = (text(value) for value in pc.unique(column).to_pylist())
                if any(word is not None and word not in codes for word in words):
                    self.foreign.add(name)
            if name == REST:
                self.rest = self.rest and all(map(_is_folded, column.to_pylist()))


def _long(column: pa.ChunkedArray) -> bool:
    """Whether a whole number has more digits than a code may have to be a number."""
    ends = pc.min_max(column).as_py()
    return any(end is not None and abs(end) >= 10**_DIGITS for end in ends.values())


def _is_folded(value: Any) -> bool:
    return blank(value) or (isinstance(value, str) and REST not in _unfolded(value))


def _type(kind: pa.DataType) -> FieldType:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    return "array" if pa.types.is_list(kind) else "string"


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """The columns of a layer: the kind's fields, source column → published name, and what is folded.

    ``types`` are those of the source's columns, ``time_field`` is the published name of the layer's time,
    ``problems`` say which columns are called otherwise, folded or left out."""

    kind: Kind
    kept: Mapping[str, str]
    folded: tuple[str, ...]
    types: Mapping[str, FieldType]
    fields: tuple[Field, ...]
    times: Times
    time_field: str | None
    problems: tuple[Problem, ...] = ()

    def table(
        self,
        batch: SourceBatch,
        values: Columns,
        meshes: Sequence[bytes | None] | None,
        geometry: GeometryType,
    ) -> pa.Table:
        """One batch as the store's stage wants it; notes on it what could not be read."""
        ids = (
            batch.ids.column if isinstance(batch.ids, vector.ArrowTexts) else pa.array(batch.ids, pa.string())
        )
        out: dict[str, pa.Array] = {SOURCE_ID: ids, WKB: _wkb(batch, geometry)}
        for spec in self.fields:
            if spec.name in values:
                out[spec.name] = _typed(values[spec.name], _ARROW[spec.type])
        for source, name in self.kept.items():
            out[name] = self._column(source, batch)
        if any(f.name == REST for f in self.fields):
            out[REST] = pa.array(self._other(batch), pa.string())
        if meshes is not None:
            out[MESH] = pa.array(meshes, pa.binary())
        return pa.table(out)

    def _column(self, source: str, batch: SourceBatch) -> pa.Array:
        kind = self.types[source]
        if kind in ("date", "datetime"):
            return pa.array(self.times.column(source, kind, batch), _ARROW[kind])
        column = batch.arrow.get(source)
        if column is None or column.type != _ARROW[kind]:
            return pa.array([_cell(v, kind) for v in batch.columns[source]], _ARROW[kind])
        blanks = vector.blanks(column)
        return pc.if_else(pa.array(blanks), pa.scalar(None, column.type), column) if blanks.any() else column

    def _other(self, batch: SourceBatch) -> list[str | None]:
        """The folded columns of every row as JSON; an ``other`` of an earlier load is unfolded first."""
        before = batch.columns.get(REST)
        out: list[str | None] = []
        columns = [(name, batch.columns[name]) for name in self.folded if name != REST]
        for i in range(len(batch)):
            row = _unfolded(before[i]) if before is not None else {}
            row.update({name: column[i] for name, column in columns if not blank(column[i])})
            folded = orjson.dumps(row, option=orjson.OPT_SORT_KEYS, default=str).decode() if row else None
            out.append(folded)
        return out


def _typed(values: list[Any] | pa.Array, kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


def _wkb(batch: SourceBatch, geometry: GeometryType) -> pa.Array:
    """The geometries, single parts as multi ones where the layer's type is multi."""
    if batch.wkb is not None and not geometry.startswith("Multi"):
        return batch.wkb
    shapes = promoted(batch.geometry, geometry)
    return pa.array(list(shapely.to_wkb(shapes, include_srid=False, flavor="iso")), pa.binary())


def _unfolded(value: Any) -> dict[str, Any]:
    if blank(value):
        return {}
    try:
        read = orjson.loads(value)
    except (orjson.JSONDecodeError, TypeError):
        read = None
    return read if isinstance(read, dict) else {REST: value}


def _cell(value: Any, kind: FieldType) -> Any:
    """A source value for its column: text stays as it is, a blank is null."""
    if blank(value):
        return None
    return str(value) if kind == "string" and not isinstance(value, str) else value


def plan(
    kind: Kind,
    fill: Fill,
    present: FeatureLayer | None = None,
    *,
    append: bool = False,
    bag: bool = False,
    ours: Collection[str] = (),
) -> ColumnPlan:
    """Decide the columns of a layer from how the source fills its own.

    ``present`` is the layer as it is now, to which the source is added if ``append``. ``bag``: each row has
    columns of its own. ``ours`` are columns that are no properties. Raises BadParameter when the time field
    that is asked for is no column of dates or times."""
    wanted = fill.times.wanted
    rest = REST in fill.filled and fill.rest
    covered = _covered(kind, fill)
    data = [n for n in fill.filled if n not in ours and n not in covered and not (rest and n == REST)]
    empty = [n for n in data if not fill.filled[n] and (bag or n in fill.unknown)]
    folded = [n for n in data if bag and n != wanted and 0 < fill.filled[n] < RARE * fill.rows]
    names = _published([n for n in data if n not in {*empty, *folded}], kind, present)
    stays = present.fields if present is not None and append else ()
    types = fill.types | _codes(fill, names, stays) | _times(fill, names, stays)
    fields = [*kind.fields, *(Field(published, types[name]) for name, published in names.items())]
    if folded or rest:
        fields.append(Field(REST, "string", {"zh-CN": "其他属性", "en": "Other properties"}))
    had = present.time_field if present is not None else None
    time = _time_field(wanted, names, (*fields, *stays), had)
    problems = (*_renamed(names), *_folded(folded), *_unfilled(empty))
    columns = (*folded, *((REST,) if rest else ()))
    return ColumnPlan(kind, names, columns, types, tuple(fields), fill.times, time, problems)


def _published(names: Sequence[str], kind: Kind, present: FeatureLayer | None) -> dict[str, str]:
    """Source column → name of its field. No two names differ in case alone, since SQLite's columns cannot:
    what the layer has goes first, then what comes first in the file; the others get ``_src`` beside a field
    of ours and ``_`` beside one of the file, in every store."""
    ours = {f.name.casefold() for f in kind.fields} | _RESERVED
    spelled = {} if present is None else {f.name.casefold(): f.name for f in present.fields}
    used = set(ours)
    # a name that a former file had beside its twin stays what it was called then
    former = {f.name for f in present.fields} if present is not None else set()
    out = {n: f"{n}_" for n in names if n not in former and f"{n}_" in former and n.casefold() not in ours}
    used |= {name.casefold() for name in out.values()}
    for name in sorted(names, key=lambda name: spelled.get(name.casefold()) != name):
        if name not in out and name.casefold() not in used:
            out[name] = spelled.get(name.casefold(), name)
            used.add(name.casefold())
    for name in names:
        if name in out:
            continue
        published = f"{name}_src" if name.casefold() in ours else f"{name}_"
        while published.casefold() in used:
            published += "_"
        used.add(published.casefold())
        out[name] = published
    return {name: out[name] for name in names}


def _covered(kind: Kind, fill: Fill) -> set[str]:
    """Source columns that are wholly told by the kind's field of the same name."""
    numeric = ("integer", "number")
    out = set()
    for spec in kind.fields:
        name = named(fill.filled, spec.name)
        if name is None:
            continue
        field_type = fill.types[name]
        if name not in fill.codes | fill.foreign and (
            field_type == spec.type
            or not fill.filled[name]
            or (spec.type == "number" and field_type in numeric)
        ):
            out.add(name)
    return out


def _renamed(names: Mapping[str, str]) -> Iterator[Problem]:
    """Which columns are published under another name."""
    pairs = [f"{name} is {published}" for name, published in names.items() if name != published]
    if pairs:
        reason = f"the layer has other names for columns of the file: {listed(pairs)}"
        yield Problem("column.renamed", 0, reason, "noted")


def _folded(names: Sequence[str]) -> Iterator[Problem]:
    if names:
        reason = (
            f"{len(names)} columns are filled in fewer than {RARE:.0%} of the rows, and are members of the"
            f" JSON text in {REST} (filter it with LIKE): {listed(names)}"
        )
        yield Problem("column.folded", 0, reason, "noted")


def _unfilled(names: Collection[str]) -> Iterator[Problem]:
    if names:
        reason = f"no row fills these columns, and they are left out: {listed(names)}"
        yield Problem("column.empty", 0, reason, "noted")


def _codes(fill: Fill, published: Mapping[str, str], stays: Sequence[Field]) -> dict[str, FieldType]:
    """Codes are text, but for those that are added to a field of numbers."""
    there = {f.name: f.type for f in stays}
    return {n: "string" for n in fill.codes if n in published and there.get(published[n]) != "integer"}


def _times(fill: Fill, names: Mapping[str, str], stays: Sequence[Field]) -> dict[str, FieldType]:
    """The columns of dates and times. Where the fields that they are added to keep text, they stay text;
    where those keep times, dates become times."""
    there = {f.name: f.type for f in stays}
    out: dict[str, FieldType] = {}
    for name, published in names.items():
        field_type = fill.times.type(name)
        if field_type is not None and there.get(published) != "string":
            out[name] = "datetime" if there.get(published) == "datetime" else field_type
    return out


def _time_field(
    wanted: str | None, published: Mapping[str, str], fields: Sequence[Field], had: str | None
) -> str | None:
    """The name of the layer's time: the wanted one, else the one it had, else the only one there is."""
    dated = list({f.name: f for f in fields if f.type in ("date", "datetime")}.values())
    names = [f.name for f in dated]
    if wanted is None:
        return had if had in names else only_time(dated)
    name = published.get(wanted, wanted)
    if name not in names:
        there = ", ".join(names) or "there is none"
        raise BadParameter("time_field", wanted, f"expected a column of dates or times: {there}")
    return name


def geometry_type(types: Counter[int]) -> GeometryType:
    """The one type that holds all: a single one, its multi form, or Geometry for a mixture."""
    names = {_GEOMETRY.get(code, "Geometry") for code in types}
    if len(names) == 1:
        return names.pop()
    multi = {_MULTI.get(name, name) for name in names}
    return multi.pop() if len(multi) == 1 else "Geometry"


def promoted(shapes: Any, geometry: GeometryType) -> Any:
    """Single parts as multi geometries where the layer's type is multi."""
    if not geometry.startswith("Multi"):
        return shapes
    makers = {0: shapely.multipoints, 1: shapely.multilinestrings, 3: shapely.multipolygons}
    return [makers[t]([s]) if (t := shapely.get_type_id(s)) in makers else s for s in shapes]

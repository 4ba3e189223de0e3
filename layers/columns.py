"""Which columns a layer gets, and cleaned rows turned into them.

The kind's normalised fields come first, then the source's columns under their own names. A
source column that is rarely filled is folded into one JSON text column, ``other``, so that a
table stays readable; nothing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from layers.batch import MESH, SOURCE_ID, WKB
from layers.errors import BadParameter
from layers.kinds.base import Batch, Columns, Kind, blank
from layers.model import FeatureLayer
from layers.times import Times
from layers.types import REST, Field, FieldType, GeometryType, only_time

#: A source column filled in less than this share of the rows is folded.
RARE = 0.05
#: Columns a layer may have in all.
MOST = 40
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
    rows: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    types: dict[str, FieldType] = field(default_factory=dict)

    def add(self, table: pa.Table) -> None:
        """Count the filled values of every source column of one batch."""
        self.rows += len(table)
        self.times.add(table)
        for name in table.column_names:
            if name.startswith("__"):
                continue
            column = table[name]
            count = len(column) - column.null_count
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                count -= int(pc.sum(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py() or 0)
            self.filled[name] += count
            found = _type(column.type)
            if self.types.setdefault(name, found) != found:
                self.types[name] = "string"


def _type(kind: pa.DataType) -> FieldType:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    return "array" if pa.types.is_list(kind) else "string"


def cells(column: pa.ChunkedArray) -> list[Any]:
    """The values of a source column; a list, whose members are JSON, as the JSON text of the whole."""
    values: list[Any] = column.to_pylist()
    if not pa.types.is_list(column.type):
        return values
    return [None if v is None else f"[{','.join(v)}]" for v in values]


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns of a layer: the kind's fields, source column → published name, and what is folded.

    ``types`` are those of the source's columns, ``time_field`` is the published name of the layer's time."""

    kind: Kind
    kept: Mapping[str, str]
    folded: tuple[str, ...]
    types: Mapping[str, FieldType]
    fields: tuple[Field, ...]
    times: Times
    time_field: str | None

    def table(
        self, batch: Batch, values: Columns, meshes: Sequence[bytes | None] | None, geometry: GeometryType
    ) -> pa.Table:
        """One batch as the store's stage wants it; notes on it what could not be read."""
        shapes = promoted(batch.geometry, geometry)
        out: dict[str, pa.Array] = {
            SOURCE_ID: pa.array(batch.ids, pa.string()),
            WKB: pa.array(list(shapely.to_wkb(shapes, include_srid=False, flavor="iso")), pa.binary()),
        }
        for spec in self.fields:
            if spec.name in values:
                out[spec.name] = pa.array(values[spec.name], _ARROW[spec.type])
        for source, name in self.kept.items():
            out[name] = pa.array(self._column(source, batch), _ARROW[self.types[source]])
        if any(f.name == REST for f in self.fields):
            out[REST] = pa.array(self._other(batch), pa.string())
        if meshes is not None:
            out[MESH] = pa.array(meshes, pa.binary())
        return pa.table(out)

    def _column(self, source: str, batch: Batch) -> list[Any]:
        kind = self.types[source]
        if kind in ("date", "datetime"):
            return list(self.times.column(source, kind, batch))
        return [_cell(v, kind) for v in batch.columns[source]]

    def _other(self, batch: Batch) -> list[str | None]:
        """The folded columns of every row as JSON; an ``other`` of an earlier load is unfolded first."""
        before = batch.columns.get(REST)
        out: list[str | None] = []
        columns = [(name, batch.columns[name]) for name in self.folded if name != REST]
        for i in range(len(batch)):
            row = _unfolded(before[i]) if before is not None else {}
            row.update({name: column[i] for name, column in columns if not blank(column[i])})
            text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS, default=str).decode() if row else None
            out.append(text)
        return out


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


def plan(kind: Kind, fill: Fill, present: FeatureLayer | None = None, *, append: bool = False) -> Plan:
    """Decide the columns of a layer from how the source fills its own.

    ``present`` is the layer as it is now, to which the source is added if ``append``. Raises BadParameter
    when the time field that is asked for is no column of dates or times."""
    own = {f.name.casefold(): f for f in kind.fields}
    taken = set(own) | _RESERVED
    kept: dict[str, str] = {}
    folded = [REST] if REST in fill.filled else []
    room = MOST - len(kind.fields) - 2
    ours = _of_the_store(fill.filled)
    wanted = fill.times.wanted
    for name, count in sorted(fill.filled.items(), key=lambda item: (item[0] != wanted, -item[1])):
        if count == 0 or name == REST or _same(name, own, fill):
            continue
        if name in ours:
            continue
        if name != wanted and (count < RARE * fill.rows or len(kept) >= room):
            folded.append(name)
            continue
        published = name if name.casefold() not in taken else f"{name}_src"
        while published.casefold() in taken:
            published += "_"
        taken.add(published.casefold())
        kept[name] = published
    kept = {name: kept[name] for name in fill.filled if name in kept}
    stays = present.fields if present is not None and append else ()
    types = fill.types | _times(fill, kept, stays)
    fields = [*kind.fields, *(Field(published, types[name]) for name, published in kept.items())]
    if folded:
        fields.append(Field(REST, "string", {"zh-CN": "其他属性", "en": "Other properties"}))
    had = present.time_field if present is not None else None
    time = _time_field(wanted, kept, (*fields, *stays), had)
    return Plan(kind, kept, tuple(folded), types, tuple(fields), fill.times, time)


def _of_the_store(names: Iterable[str]) -> set[str]:
    """Columns that a store adds to every layer: the source id, and beside it the number of the feature."""
    ours = {name for name in names if name.casefold() == "source_id"}
    return ours | {name for name in names if ours and name.casefold() == "fid"}


def _times(fill: Fill, kept: Mapping[str, str], stays: Sequence[Field]) -> dict[str, FieldType]:
    """The columns of dates and times. Where the fields that they are added to keep text, they stay text;
    where those keep times, dates become times."""
    there = {f.name: f.type for f in stays}
    out: dict[str, FieldType] = {}
    for name, published in kept.items():
        found = fill.times.type(name)
        if found is not None and there.get(published) != "string":
            out[name] = "datetime" if there.get(published) == "datetime" else found
    return out


def _time_field(
    wanted: str | None, kept: Mapping[str, str], fields: Sequence[Field], had: str | None
) -> str | None:
    """The name of the layer's time: the wanted one, else the one it had, else the only one there is."""
    dated = list({f.name: f for f in fields if f.type in ("date", "datetime")}.values())
    names = [f.name for f in dated]
    if wanted is None:
        return had if had in names else only_time(dated)
    name = kept.get(wanted, wanted)
    if name not in names:
        there = ", ".join(names) or "there is none"
        raise BadParameter("time_field", wanted, f"expected a column of dates or times: {there}")
    return name


def _same(name: str, own: Mapping[str, Field], fill: Fill) -> bool:
    """Whether a source column is wholly told by the kind's field of the same name."""
    spec = own.get(name.casefold())
    if spec is None:
        return False
    numeric = ("integer", "number")
    return spec.type == fill.types[name] or (spec.type == "number" and fill.types[name] in numeric)


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

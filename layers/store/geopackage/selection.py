"""Which features a query selects: those of one page in their order, and how many in all.

Few candidates are gathered whole: a narrow box, or a small layer. Of more only the page is looked for: by
walking the table in the order of the ids as long as that may find it, else by asking SQLite for all in
order with a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layers.model import FeatureLayer
from layers.query import Query
from layers.store import compile, geojson
from layers.store.counting import is_wide, matched_by_page
from layers.store.geopackage import boxes
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.filter import Sqlite
from layers.store.geopackage.read_view import ReadView, RowSource, fetch, listed
from layers.types import Cursor

#: Rows that are walked at least before the page is looked for in another way: about 20 ms.
WALK = 20_000
#: Rows that are walked for each feature of a page.
_EACH = 10
#: Rows that are looked at beyond twice a page, for those among them that are others'.
_SPARE = 100
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Chosen:
    """The features of a page in order, whether more follow, and how many match in all, where counted."""

    fids: list[int]
    more: bool
    matched: int | None = None


@dataclass(frozen=True, slots=True)
class Subquery:
    """``FROM … WHERE …`` of the matching features, with the alias ``t`` for their table."""

    sql: str
    values: list[Any]


def choose(view: ReadView, table: FeatureTable, query: Query, layer: FeatureLayer, few: int) -> Chosen:
    """The page of a query. ``layer`` is the table's summary at this snapshot.

    Raises BadParameter: a property that is not a field."""
    condition = _Condition(view, table, query, layer)
    if not condition.parts and not condition.where:
        page = condition.first() or _page(view, table, query, condition.source(whole=True))
        return Chosen(page.fids, page.more, layer.count)
    wide = query.bbox is not None and is_wide(layer, query.bbox, few)
    fids = condition.up_to(few) if layer.count <= few or (not wide and condition.is_narrow(few)) else None
    if fids is not None and not query.sort:
        return _slice(np.sort(fids), query)
    if fids is not None:
        page = _page(view, table, query, _among(table, fids.tolist()))
        return Chosen(page.fids, page.more, len(fids))
    found = condition.first() if query.sort else condition.walk()
    page = found or _page(view, table, query, condition.source(whole=bool(query.sort)))
    return Chosen(page.fids, page.more, matched_by_page(query, len(page.fids), page.more))


def count(view: ReadView, table: FeatureTable, query: Query, layer: FeatureLayer, most: int) -> int | None:
    """How many features a query selects; None when they are more than ``most``. Raises as :func:`choose`."""
    condition = _Condition(view, table, query, layer)
    matched = condition.count(most) if condition.parts or condition.where else layer.count
    return matched if matched <= most else None


def _slice(every: NDArray[np.int64], query: Query) -> Chosen:
    """The page of features that are all at hand, in order of fid."""
    start = query.offset
    if query.after is not None:
        start += int(np.searchsorted(every, np.int64(str(query.after[-1])), side="right"))
    fids = every[start : start + (query.limit or 0)].tolist()
    return Chosen(fids, bool(fids) and start + len(fids) < len(every), len(every))


def _page(view: ReadView, table: FeatureTable, query: Query, source: Subquery) -> Chosen:
    """One page in the order of the query, with one feature more to see whether any follow."""
    limit = query.limit or 0
    fids = _fids(view, table, query, source, limit + 1, query.offset)
    return Chosen(fids[:limit], len(fids) > limit)


def _fids(
    view: ReadView, table: FeatureTable, query: Query, source: Subquery, most: int, offset: int
) -> list[int]:
    """So many of a source that follow the cursor of the query, in its order."""
    after, bound = compile.after(Sqlite(table), query)
    order, keys = compile.order(Sqlite(table), query)
    # of what was, SQLite takes the two parts by themselves where it shows what it sorts by, else makes a
    # table of all (sqlite.org/optoverview.html, section 11, rule 18 of its source)
    shown = compile.sort_values(Sqlite(table), query)
    rows = fetch(
        view.con,
        f"SELECT t.fid{shown} {source.sql}{after} ORDER BY {order} LIMIT ? OFFSET ?",
        (*source.values, *bound, *keys, most, offset),
    )
    return [row[0] for row in rows]


def _among(table: FeatureTable, fids: list[int]) -> Subquery:
    return Subquery(
        f"FROM json_each(?) e CROSS JOIN {table.name} t ON t.fid = e.value WHERE 1", [listed(fids)]
    )


def cursor(view: ReadView, table: FeatureTable, query: Query, fid: int) -> Cursor:
    """The cursor of a feature: the values of the sort fields, then its fid."""
    if not query.sort:
        return (fid,)
    keys = compile.sort_values(Sqlite(table), query)
    row = fetch(view.con, f"SELECT t.fid{keys} FROM {table.name} t WHERE t.fid = ?", (fid,))[0]
    fields = [table.field(key.field) for key in query.sort]
    values = zip(fields, row[1:], strict=True)
    return (*(geojson.boolean(v) if f and f.type == "boolean" else v for f, v in values), fid)  # type: ignore[arg-type]


def ordered(view: ReadView, table: FeatureTable, query: Query, layer: FeatureLayer) -> Subquery:
    """Everything a query selects, as a subquery of fids ``q`` in its order, for a whole download."""
    source = _Condition(view, table, query, layer).source(whole=bool(query.sort))
    order, keys = compile.order(Sqlite(table), query)
    # a LIMIT keeps SQLite from dropping the order, and from sorting whole rows instead of their keys
    return Subquery(
        f"FROM (SELECT t.fid AS fid {source.sql} ORDER BY {order} LIMIT -1) q"
        f" CROSS JOIN {table.name} t ON t.fid = q.fid",
        [*source.values, *keys],
    )


def every(view: ReadView, table: FeatureTable, query: Query, layer: FeatureLayer) -> Iterator[int]:
    """The fids of everything that a query selects, in its order."""
    source = _Condition(view, table, query, layer).source(whole=bool(query.sort))
    order, keys = compile.order(Sqlite(table), query)
    rows = view.con.execute(f"SELECT t.fid {source.sql} ORDER BY {order}", (*source.values, *keys))
    return (row[0] for row in rows)


class _Condition:
    """What a query asks of a layer at one snapshot."""

    def __init__(self, view: ReadView, table: FeatureTable, query: Query, layer: FeatureLayer) -> None:
        self._view, self._table, self._query = view, table, query
        self.parts = boxes.parts(query, layer)
        self.where, self._values = compile.where(Sqlite(table), query)

    @property
    def _with_unplaced(self) -> bool:
        """Whether features without a place belong to it: they meet every box."""
        return any(part.exact for part in self.parts) and self._view.unplaced(self._table)

    @cached_property
    def _outside(self) -> list[set[int]]:
        """Of each part the features that it gives but that do not meet its box."""
        return [part.outside(self._view, self._whole) for part in self.parts]

    @property
    def _whole(self) -> RowSource:
        """Where all rows lie together."""
        return RowSource(self._table.name, self._table.rtree)

    # Few

    def is_narrow(self, few: int) -> bool:
        """Whether the R-tree leaves at most so many features on which the conditions must be tried."""
        if not self.where:
            return bool(self.parts)  # to gather them ends at few by itself
        unplaced = (self._table.unplaced, "r.layer = ?", [self._table.id])
        if not self.parts or (self._with_unplaced and self._many([unplaced], few)):
            return False
        for part in self.parts:
            apart = [(source.rtree, part.sql, part.values) for source in self._view.sources(self._table)]
            # where those are few that may also be others' it is not asked which are
            if self._many(apart, few) and self._many([(self._whole.rtree, part.sql, part.values)], few):
                return False
        return True

    def _many(self, sources: Sequence[tuple[str, str, Sequence[Any]]], few: int) -> bool:
        """Whether relations ``r`` hold together more than so many rows of a condition."""
        left = few
        for name, condition, values in sources:
            sql = f"SELECT count(*) FROM (SELECT 1 FROM {name} r WHERE {condition} LIMIT ?)"
            left -= self._one(sql, (*values, left + 1))
            if left < 0:
                return True
        return False

    def up_to(self, most: int) -> NDArray[np.int64] | None:
        """The matching features in no order, int64 (n,); None when they are more than ``most``."""
        sources = self._view.sources(self._table)
        found = self._gathered(sources, most)
        if found is None and any(source.others is not None for source in sources):
            found = self._gathered((self._whole,), most)  # it may be others that are so many
        return found

    def _gathered(self, sources: Sequence[RowSource], most: int) -> NDArray[np.int64] | None:
        table, where, values = self._table, self.where, self._values
        found: list[NDArray[np.int64]] = []
        for source in sources:
            fids = self._of_source(source, most)
            if fids is None:
                return None
            found.append(source.own(fids))
        if self._with_unplaced:
            join = f" JOIN {table.name} t ON t.fid = u.fid" if where else ""
            sql = f"SELECT u.fid AS id FROM {table.unplaced} u{join} WHERE u.layer = ?{where}"
            fids = self._up_to(most, sql, (table.id, *values))
            if fids is None:
                return None
            found.append(fids)
        fids = found[0] if len(found) == 1 else np.concatenate(found)
        return fids if len(fids) <= most else None

    def _of_source(self, source: RowSource, most: int) -> NDArray[np.int64] | None:
        where, values = self.where, self._values
        if not self.parts:
            return self._up_to(most, f"SELECT t.fid AS id FROM {source.name} t WHERE 1{where}", values)
        join = f" JOIN {source.name} t ON t.fid = r.id" if where else ""
        found: list[NDArray[np.int64]] = []
        for part in self.parts:
            sql = f"SELECT r.id AS id FROM {source.rtree} r{join} WHERE {part.sql}{where}"
            fids = self._up_to(most, sql, (*part.values, *values))
            if fids is None:
                return None
            # a second walk of the R-tree costs less than a first one that gives the certainty of each
            outside = part.outside(self._view, source, len(fids))
            found.append(fids[~np.isin(fids, list(outside))] if outside else fids)
        return found[0] if len(found) == 1 else np.unique(np.concatenate(found))

    def _up_to(self, most: int, sql: str, values: Sequence[Any]) -> NDArray[np.int64] | None:
        row = self._view.con.execute(f"SELECT group_concat(id) FROM ({sql} LIMIT ?)", (*values, most + 1))
        text = row.fetchone()[0]
        fids: list[int] = [] if text is None else orjson.loads(f"[{text}]")
        return np.array(fids, np.int64) if len(fids) <= most else None

    # Many

    def walk(self) -> Chosen | None:
        """The page in order of fid, by trying one feature after the other; None where that would take long.

        Where many match it ends soon, however many there are."""
        table, query = self._table, self._query
        limit = query.limit or 0
        after, bound = compile.after(Sqlite(table), query)
        row = self._view.con.execute(
            f"SELECT t.fid FROM {table.name} t WHERE 1{after} ORDER BY t.fid LIMIT 1", bound
        ).fetchone()
        if row is None:
            return Chosen([], False)
        first = row[0]
        last = min(first + max(WALK, _EACH * (limit + query.offset)), _LAST)
        within, values = self._within()
        rows = self._view.con.execute(
            f"SELECT t.fid FROM {table.name} t NOT INDEXED WHERE t.fid BETWEEN ? AND ?{within}{self.where}"
            " ORDER BY t.fid LIMIT ? OFFSET ?",
            (first, last, *values, *self._values, limit + 1, query.offset),
        ).fetchall()
        newest = f"SELECT t.fid FROM {table.name} t ORDER BY t.fid DESC LIMIT 1"
        if len(rows) <= limit and last < self._one(newest, ()):
            return None
        return Chosen([row[0] for row in rows[:limit]], len(rows) > limit)

    def first(self) -> Chosen | None:
        """The page of what lies in several relations and is sorted, by the first of each; None where all lies
        in one, where a box is asked for, or where too many of the first are others'.

        To look at each row whether it is another's costs half of what it costs to sort them."""
        view, table, query = self._view, self._table, self._query
        sources = view.sources(table)
        if not query.sort or len(sources) == 1 or self.parts:
            return None
        wanted = query.offset + (query.limit or 0) + 1
        found: list[int] = []
        for source in sources:
            most = wanted if source.others is None else 2 * wanted + _SPARE
            rows = Subquery(f"FROM {source.name} t WHERE 1{self.where}", [*self._values])
            fids = _fids(view, table, query, rows, most, 0)
            own = source.own(np.array(fids, np.int64)).tolist()
            if len(own) < wanted and len(fids) == most > wanted:
                return None
            found += own[:wanted]
        return _page(view, table, query, _among(table, found))

    def _within(self) -> tuple[str, list[Any]]:
        """The condition that a row of ``t`` is in one of the parts."""
        either: list[str] = []
        values: list[Any] = []
        for part, outside in zip(self.parts, self._outside, strict=True):
            but = " AND t.fid NOT IN (SELECT value FROM json_each(?))" if outside else ""
            inside = f"SELECT 1 FROM {self._table.rtree} r WHERE r.id = t.fid AND {part.sql}"
            either.append(f"(EXISTS ({inside}){but})")
            values += [*part.values, *([listed(outside)] if outside else [])]
        if self._with_unplaced:
            unplaced = f"SELECT 1 FROM {self._table.unplaced} u WHERE u.layer = ? AND u.fid = t.fid"
            either.append(f"EXISTS ({unplaced})")
            values.append(self._table.id)
        return (f" AND ({' OR '.join(either)})" if either else ""), values

    def source(self, *, whole: bool) -> Subquery:
        """The matching features by way of the R-tree. ``whole``: every column is needed, not just the fid."""
        table, where = self._table, self.where
        if not self.parts:
            return Subquery(f"FROM {table.name} t WHERE 1{where}", [*self._values])
        ids: list[str] = []
        bound: list[Any] = []
        for part, outside in zip(self.parts, self._outside, strict=True):
            but = " AND r.id NOT IN (SELECT value FROM json_each(?))" if outside else ""
            ids.append(f"SELECT r.id AS fid FROM {table.rtree} r WHERE {part.sql}{but}")
            bound += [*part.values, *([listed(outside)] if outside else [])]
        if self._with_unplaced:
            ids.append(f"SELECT u.fid FROM {table.unplaced} u WHERE u.layer = ?")
            bound.append(table.id)
        subquery = f"({' UNION '.join(ids)})"
        if not where and not whole:
            return Subquery(f"FROM {subquery} t WHERE 1", bound)
        join = f"FROM {subquery} r JOIN {table.name} t ON t.fid = r.fid WHERE 1{where}"
        return Subquery(join, [*bound, *self._values])

    def count(self, most: int) -> int:
        """How many match, right up to ``most``."""
        source = self.source(whole=False)
        sql = f"SELECT count(*) FROM (SELECT 1 {source.sql} LIMIT ?)"
        return int(self._one(sql, (*source.values, most + 1)))

    def _one(self, sql: str, values: Sequence[Any]) -> Any:
        return self._view.con.execute(sql, values).fetchone()[0]

"""Pages of features: of few candidates by one statement that counts them, of many by a search."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from layers.model import FeatureLayer
from layers.query import Query
from layers.store import compile
from layers.store.counting import is_wide, matched_by_page
from layers.store.layer_record import chosen_fields
from layers.store.postgis import read
from layers.store.postgis.connection import Connection, ReadingErrors
from layers.store.postgis.filter import Postgis, fields_named
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.read import RowPage, SnapshotState
from layers.types import Field

_KEPT = 500  # statements of a table
_SPARE = 100  # present rows of a sorted page beside twice as many as it shows, for those that were others
TRIED = 1_000_000  # features of a layer on all of which conditions may be tried, when a box seems to have few


@dataclass(frozen=True)
class PageRequest:
    """A query of a layer. ``unplaced``: whether a registered table may have features without a geometry."""

    table: LayerTable
    query: Query
    wkb: bool
    unplaced: bool = True

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that it wants. Raises BadParameter."""
        return chosen_fields(self.table, self.query)

    @property
    def end(self) -> str:
        """One feature more than the page has shows whether any follow."""
        return f"LIMIT {(self.query.limit or 0) + 1} OFFSET {self.query.offset}"

    @cached_property
    def branches(self) -> tuple[str, ...]:
        """What keys are looked for in."""
        named = fields_named(self.table, self.query)
        return self.table.branches(named, boxed=self.query.bbox is not None, walked=not self.query.sort)

    @property
    def source(self) -> str:
        """What stands after FROM."""
        if len(self.branches) == 1:
            return f"{self.branches[0]} t"
        return f"({' UNION ALL '.join(f'SELECT * FROM {b} b' for b in self.branches)}) t"

    def box(self) -> tuple[str, list[Any]]:
        """The condition of the box, and its values."""
        if self.query.bbox is None:
            return "", []
        return read.within(self.table, self.query.bbox, self.unplaced)

    def others(self) -> tuple[str, list[Any]]:
        """All other conditions, and their values."""
        return read.selection(self.table, replace(self.query, bbox=None))

    def after(self) -> tuple[str, list[Any]]:
        """The condition that a feature follows the cursor, and its values."""
        return ("", []) if self.query.after is None else compile.after(Postgis(self.table), self.query)

    def first(self, what: str, conditions: str, values: list[Any]) -> tuple[str, list[Any]]:
        """The statement of ``what`` of the first features of the page's order, ordered; and its values.

        What lies in two relations is read from the beginning of both, each in its own order."""
        order, ordered = self.order()
        if len(self.branches) == 1:
            source, bound = f"{self.source} WHERE true{conditions}", values
        else:
            most = f"LIMIT {(self.query.limit or 0) + self.query.offset + 1}"
            begin = f"WHERE true{conditions} ORDER BY {order} {most}"
            parts = " UNION ALL ".join(f"(SELECT * FROM {b} t {begin})" for b in self.branches)
            source, bound = f"({parts}) t", [*values, *ordered] * len(self.branches)
        return f"SELECT {what} FROM {source} ORDER BY {order} {self.end}", [*bound, *ordered]

    def order(self) -> tuple[str, list[Any]]:
        """What stands after ORDER BY, and its values."""
        return compile.order(Postgis(self.table), self.query)

    def row(self, number: str) -> str:
        """The statement of the rows of a page, whose keys are in ``k``, with their place in its order, and
        names for their columns."""
        keys = compile.sort_values(Postgis(self.table), self.query)
        columns = "".join(f", {self.table.column(f)}" for f in self.fields) + keys
        shape = read.shape_sql(self.table, self.wkb)
        source = f"k {self.table.joined}"
        sql = f"SELECT {self.table.fid}, {shape}{columns}, {number} FROM {source}"
        names = [f"c{i}" for i in range(3 + len(self.fields) + len(self.query.sort))]
        return f"LEFT JOIN LATERAL ({sql}) p({', '.join(names)}) ON true ORDER BY p.{names[-1]}"

    def result(self, rows: list[tuple[Any, ...]]) -> RowPage:
        """The page that rows of a moment, a count and what :meth:`row` gives are."""
        moment, matched = read.state(rows[0][0]), rows[0][1]
        records = [r[2:-1] for r in rows] if rows[0][2] is not None else []
        more = len(records) > (self.query.limit or 0)
        records = records[: self.query.limit]
        next_after = (*records[-1][2 + len(self.fields) :], records[-1][0]) if more else None
        return RowPage(moment, self.fields, records, matched, next_after)


def page(con: Connection, request: PageRequest, few: int, about: FeatureLayer, seconds: float) -> RowPage:
    """The features of a page within so many seconds. ``about``: the layer at this moment or one before.

    Raises BadParameter: an unknown property, a filter that cannot be computed."""
    began = time.monotonic()
    query = request.query
    if query.bbox is not None:
        gather = about.count <= few or not is_wide(about, query.bbox, few)
    else:
        gather = about.count <= few or not (query.sort or request.others()[0])
    if gather:
        rows = gathered(con, request, few, about.count > TRIED)
        if rows is not None:
            return rows
    return searched(con, request, began + seconds)


def gathered(con: Connection, request: PageRequest, few: int, bounded: bool) -> RowPage | None:
    """The page by one statement that gathers every match; None where that are more than ``few`` or, if it
    shall be ``bounded``, a box has more features on which the other conditions would have to be tried.

    Rows are matched once, as keys, and counted; only those of the page are fetched whole."""
    table, query = request.table, request.query
    head, last, values, whole = _keys(request, few, bounded)
    key = (query.properties, query.sort, request.wkb, head)
    sql = table.memo.get(key)
    if sql is None:
        rows = request.row("k.n")
        sql = (
            f"WITH s AS MATERIALIZED ({read.state_sql(table.schema, table)}){head}"
            f" SELECT s.state, {last}, p.* FROM s {rows}"
        )
        if query.filter is None:
            if len(table.memo) > _KEPT:
                table.memo.clear()
            table.memo[key] = sql
    prepare = False if query.filter is not None or query.words else None
    with ReadingErrors(request.query):
        rows_ = con.execute(sql, values, binary=True, prepare=prepare).fetchall()
    if not whole and rows_[0][1] is None:
        return None
    return replace(request.result(rows_), whole=whole)


def _keys(request: PageRequest, few: int, bounded: bool) -> tuple[str, str, list[Any], bool]:
    """CTEs that end in ``k``, the keys of a page and their order ``n``; SQL of how many match, null for too
    many; the values; whether there is no condition.

    ``bounded``: no more than ``few`` features of a box are tried on the other conditions. It costs a
    quarter more, for else the cheaper of them spare the exact test of the box."""
    table, query = request.table, request.query
    (box, box_values), (others, values) = request.box(), request.others()
    follow, follow_values = request.after()
    if not box and not others and not query.sort:
        by, by_values = request.first(
            f"{table.fid} AS id, {table.fid} AS n{table.mark}", follow, follow_values
        )
        return f", k AS MATERIALIZED ({by})", "NULL::bigint", by_values, True
    inner, inner_values, tried, tried_values = box + others, [*box_values, *values], "", list[Any]()
    if box and bounded:
        inner, inner_values, tried, tried_values = box, box_values, others, values
    near = f"{request.source} WHERE true{inner} LIMIT {few + 1}"
    if tried or query.sort:
        near = f"(SELECT t.* FROM {near}) t"
    matched = f"(SELECT CASE WHEN count(*) <= {few} THEN count(*) FILTER (WHERE m.fits) END FROM m)"
    fits, mark, v = f"(true{tried}) AS fits", table.mark, ", m.v" if table.mark else ""
    if not query.sort:
        later = "" if query.after is None else " AND m.id > %s::bigint"
        head = (
            f", m AS MATERIALIZED (SELECT {table.fid} AS id, {table.fid} AS n{mark}, {fits} FROM {near}),"
            f" k AS MATERIALIZED (SELECT m.id, m.n{v} FROM m WHERE m.fits{later} ORDER BY m.id {request.end})"
        )
        return head, matched, [*tried_values, *inner_values, *(query.after or ())], False
    order, order_values = request.order()
    place = f"row_number() OVER (ORDER BY {order}) AS n, true{follow} AS later"
    head = (
        f", m AS MATERIALIZED (SELECT {table.fid} AS id{mark}, {place}, {fits} FROM {near}),"
        f" k AS MATERIALIZED (SELECT m.id, m.n{v} FROM m WHERE m.later AND m.fits ORDER BY m.n {request.end})"
    )
    return head, matched, [*order_values, *follow_values, *tried_values, *inner_values], False


def searched(con: Connection, request: PageRequest, until: float) -> RowPage:
    """The page by a search that ends when it is full.

    The planner knows whether to walk the table in order or to gather by an index and sort."""
    table, query = request.table, request.query
    (box, box_values), (others, values) = request.box(), request.others()
    conditions, values = box + others, [*box_values, *values]
    follow, follow_values = request.after()
    order, order_values = request.order()
    first, first_values = request.first(
        f"{table.fid} AS id{table.mark}", conditions + follow, [*values, *follow_values]
    )
    ways = [("NULL", f"k AS MATERIALIZED ({first})", first_values)]
    settled = _settled(request, conditions + follow, [*values, *follow_values])
    ways[:0] = [] if settled is None else [settled]
    rows = request.row(f"row_number() OVER (ORDER BY {order})")
    with con.transaction(), ReadingErrors(request.query):
        for enough, keys, bound in ways:
            con.execute(f"SET LOCAL statement_timeout = {max(1, int((until - time.monotonic()) * 1000))}")
            sql = (
                f"WITH s AS MATERIALIZED ({read.state_sql(table.schema, table)}), {keys}"
                f" SELECT s.state, {enough}, p.* FROM s {rows}"
            )
            found = con.execute(sql, [*bound, *order_values], binary=True, prepare=False).fetchall()
            if enough == "NULL" or found[0][1]:
                break
        result = replace(request.result(found), matched=None)
        if not conditions:
            return replace(result, whole=True)
        return replace(
            result, matched=matched_by_page(query, len(result.rows), result.next_after is not None)
        )


def _settled(request: PageRequest, conditions: str, values: list[Any]) -> tuple[str, str, list[Any]] | None:
    """The keys of a sorted page of present rows and old ones by the first of each: SQL of whether they are
    all, of CTEs that end in ``k``, and the values. None where all lie in one relation, or a box is asked for.

    Whether a present row is another's by now is asked of the first of them alone: to ask it of each costs
    more than to sort them."""
    table, query = request.table, request.query
    named = fields_named(table, query)
    found = table.settled(named) if query.sort and query.bbox is None else None
    if found is None:
        return None
    present, own, old = found
    order, ordered = request.order()
    wanted = (query.limit or 0) + query.offset + 1
    most = 2 * wanted + _SPARE
    begin = f"t WHERE true{conditions} ORDER BY {order} LIMIT"
    either = f"(SELECT * FROM own) UNION ALL (SELECT * FROM {old} {begin} {wanted})"
    keys = (
        f"n AS MATERIALIZED (SELECT * FROM {present} {begin} {most}), own AS MATERIALIZED ({own}),"
        f" k AS MATERIALIZED (SELECT {table.fid} AS id{table.mark} FROM ({either}) t"
        f" ORDER BY {order} {request.end})"
    )
    enough = f"((SELECT count(*) FROM n) < {most} OR (SELECT count(*) FROM own) >= {wanted})"
    return enough, keys, [*values, *ordered, *values, *ordered, *ordered]


def count(con: Connection, request: PageRequest, most: int) -> tuple[SnapshotState, int]:
    """How many features a query selects, right up to ``most``, and the moment of it."""
    table = request.table
    (box, box_values), (others, values) = request.box(), request.others()
    with con.transaction(), ReadingErrors(request.query):
        con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        read.hold(con, table.raw)
        moment = read.moment(con, table.schema, table)
        sql = (
            f"SELECT count(*) FROM (SELECT FROM {request.source} WHERE true{box + others} LIMIT {most + 1}) m"
        )
        row = con.execute(sql, [*box_values, *values], binary=True, prepare=False).fetchone()
        return moment, 0 if row is None else int(row[0])

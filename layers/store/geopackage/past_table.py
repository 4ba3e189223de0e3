"""A layer as it was: names under which its rows are read like those of a present one.

They are views of the connection, of two parts: the present rows of features that have not changed since, and
the old rows of those that have. Which these are is in a table of the connection, ``changed``. SQLite takes
such a view apart into its parts wherever a query neither counts it nor joins it from the outside.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from layers.errors import Gone, NotFound, shown
from layers.store import forms as other_forms
from layers.store.geopackage import catalog, keeping, past, recorded, schema
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.connection import literal, quoted
from layers.types import EditKind, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTable(FeatureTable):
    """A layer after change ``seq``. ``end`` is the number at which it was gone, None where it goes on; values
    gives SQL for each field, of a present row ``l`` and of an old row ``p``."""

    seq: int
    end: int | None
    values: Mapping[str, tuple[str, str]] = field(repr=False)
    has_old: bool
    only: int | None = None  # a feature: rows of it alone are read, and no view is needed

    def temp(self, part: str) -> str:
        """Quoted name of something of the connection that belongs to the layer."""
        return f"temp.{quoted(f'twin_at_{self.id}_{part}')}"

    @property
    def in_order(self) -> bool:
        """One part of the view comes after the other."""
        return False

    @property
    def texts(self) -> str:
        """As of a present table, but that present rows without GeoJSON are not in it: to look each of them up
        costs a third of a page. :attr:`untold` finds them."""
        body = f"(SELECT x.body FROM {self.temp('texts')} x WHERE x.fid = c.fid) AS body"
        kept = f"SELECT c.fid AS fid, {body} FROM {self.changed} c WHERE c.n IS NOT NULL"
        if self.end is not None:
            return kept
        stored = f"SELECT l.fid AS fid, l.body AS body FROM {self.json_now} l"
        return f"{stored} WHERE l.fid NOT IN (SELECT fid FROM {self.changed}) UNION ALL {kept}"

    @property
    def untold(self) -> str | None:
        """Whether there may be present rows of fids above one and up to another that have no GeoJSON."""
        if self.end is not None:
            return None
        each = (f"main.{quoted(self.id)}", self.json_now)
        of = [f"(SELECT count(*) FROM {name} WHERE fid > :after AND fid <= :last)" for name in each]
        return f"SELECT {of[0]} <> {of[1]}"

    @property
    def json_now(self) -> str:
        """The GeoJSON of present rows."""
        return f"main.{quoted(schema.json_table(self.id))}"

    @property
    def name(self) -> str:
        return self.temp("rows") if self.only is None else f"({self.one(self.only)})"

    @property
    def json(self) -> str:
        return self.temp("json")

    @property
    def mesh(self) -> str:
        return self.temp("mesh")

    @property
    def rtree(self) -> str:
        return self.temp("rtree")

    @property
    def unplaced(self) -> str:
        return self.temp("unplaced")

    @property
    def changed(self) -> str:
        """Features that have changed since: (fid, n), n of the old row, NULL where there was none."""
        return self.temp("changed")

    @property
    def old(self) -> str:
        """The old rows."""
        return f"main.{quoted(past.table(self.id))}"

    @property
    def old_body(self) -> str:
        """The body of an old row ``p``."""
        return past.body(self.id, present=self.end is None)

    @property
    def edits(self) -> tuple[EditKind, ...]:
        """Nothing: what was is not edited."""
        return ()

    @property
    def fixed_because(self) -> str:
        return "it is read as it was, and what was is not edited"

    @property
    def revision(self) -> str:
        """The revision of the feature ``:fid`` of ``:layer`` at ``:at``."""
        logged = "SELECT max(seq) FROM twin_changes WHERE layer = :layer AND fid {} AND seq <= :at"
        parts = [logged.format("= :fid"), logged.format("IS NULL")]
        if self.has_old:
            parts.append(f"SELECT max(until) FROM {self.old} WHERE fid = :fid AND until <= :at")
        return f"max({', '.join(f'coalesce(({part}), 0)' for part in parts)})"

    @property
    def since(self) -> str:
        """The condition of an old row that it ended after the moment, and in this life of the layer."""
        until = "" if self.end is None else f" AND until <= {self.end}"
        return f"until > {self.seq}{until}"

    @property
    def not_since(self) -> str:
        """The condition, after others, that the feature ``:fid`` has not changed since the moment."""
        if not self.has_old:
            return ""
        return f" AND NOT EXISTS (SELECT 1 FROM {self.old} WHERE fid = :fid AND {self.since})"

    def rows(self, now: str, then: str, fid: str) -> str:
        """The two parts of the layer's rows: present ones ``l`` of a condition, old ones ``p`` of a source,
        whose ``fid`` is given."""
        parts = []
        if self.end is None:
            parts.append(self.now(now))
        if self.has_old:
            parts.append(self.then(then, fid))
        return " UNION ALL ".join(parts) or "SELECT 0 AS fid, NULL AS geom WHERE 0"

    def of(self, fids: str) -> str:
        """The rows of some features, which an SQL selects by id."""
        if not self.has_old:
            return self.rows(f"l.fid IN ({fids})", "", "")
        return self.rows(
            f"l.fid IN ({fids}) AND NOT EXISTS ({self._later('l.fid')})",
            f"({fids}) f CROSS JOIN {self.old} p"
            f" WHERE p.n = ({self._later('f.value')} ORDER BY o.until LIMIT 1) AND p.there",
            "p.fid",
        )

    def bodies(self, fids: str) -> str:
        """The bodies of some features."""
        now = f"SELECT l.fid AS fid, l.body AS body FROM main.{quoted(schema.mesh_table(self.id))} l"
        now += f" WHERE l.fid IN ({fids})"
        if not self.has_old:
            return now if self.end is None else "SELECT 0 AS fid, NULL AS body WHERE 0"
        then = (
            f"SELECT p.fid AS fid, {self.old_body} AS body FROM ({fids}) f CROSS JOIN {self.old} p"
            f" WHERE p.n = ({self._later('f.value')} ORDER BY o.until LIMIT 1) AND {past.HAS_BODY}"
        )
        if self.end is not None:
            return then
        return f"{now} AND NOT EXISTS ({self._later('l.fid')}) UNION ALL {then}"

    def _later(self, fid: str) -> str:
        """The old rows of a feature that were true after the moment, the first of them being of it."""
        since = self.since.replace("until", "o.until")
        return f"SELECT n FROM {self.old} o WHERE o.fid = {fid} AND {since}"

    def now(self, condition: str) -> str:
        """The part of present rows."""
        columns = "".join(f", {present} AS {quoted(name)}" for name, (present, _) in self.values.items())
        # + takes the affinity of the declared type away: both parts must have the same
        source = f"main.{quoted(self.id)} l WHERE {condition}"
        return f"SELECT l.fid AS fid, +l.geom AS geom{columns} FROM {source}"

    def then(self, source: str, fid: str) -> str:
        """The part of old rows."""
        columns = "".join(f", {value} AS {quoted(name)}" for name, (_, value) in self.values.items())
        geom = past.geometry(self.id, present=self.end is None)
        return f"SELECT {fid} AS fid, {geom} AS geom{columns} FROM {source}"

    def alone(self, fid: int) -> PastTable:
        """The same for reading one feature."""
        return replace(self, only=fid, trusted=False)

    def one(self, fid: int) -> str:
        """The row of a feature, if there was one."""
        if not self.has_old:
            return self.rows(f"l.fid = {fid}", "", "")
        first = f"SELECT n FROM {self.old} WHERE fid = {fid} AND {self.since} ORDER BY until LIMIT 1"
        return self.rows(
            f"l.fid = {fid} AND NOT EXISTS (SELECT 1 FROM {self.old} WHERE fid = {fid} AND {self.since})",
            f"{self.old} p WHERE p.n = ({first}) AND p.there",
            "p.fid",
        )


def find(con: sqlite3.Connection, layer: str, seq: int) -> PastTable:
    """A layer of features after a change. Raises NotFound, Gone, Unreadable."""
    record = recorded.at(con, layer, seq)
    if record is None:
        raise absent(layer, layer in recorded.layers(con))
    if record["table"] == "twin_forms":
        raise other_forms.no_features(layer, record["form"])
    since = keeping.since(con, layer)
    if since > seq:
        raise gone(layer, since)
    return at(con, layer, seq, record).usable()


def absent(layer: str, known: bool) -> NotFound:
    """There was no such layer then; ``known``: but there is, or was later."""
    return NotFound(
        f"layer {shown(layer)} did not exist then" if known else f"there is no layer {shown(layer)}"
    )


def gone(layer: str, since: int) -> Gone:
    """What there was of a layer is no longer kept."""
    return Gone(f"layer {layer} is not known as it was then: its history is kept from @{since} on")


def at(con: sqlite3.Connection, layer: str, seq: int, record: Mapping[str, Any]) -> PastTable:
    """A layer of features as its record at a moment says it was."""
    words = catalog.described(record)
    end = recorded.ended(con, layer, seq)
    has_old = past.is_there(con, layer)
    rows = con.execute(
        "SELECT name, place, type FROM twin_columns WHERE layer=? AND first <= ?"
        " AND (until IS NULL OR until > ?) ORDER BY first",
        (layer, seq, seq),
    ).fetchall()
    places = {row[0]: row[1:] for row in rows}
    sql = "SELECT place, name FROM twin_columns WHERE layer=? AND until IS NULL"
    now_called = dict(con.execute(sql, (layer,)).fetchall())  # another program may have renamed it since
    fields: tuple[Field, ...] = words["fields"]
    moved = False  # two may have exchanged their names
    values: dict[str, tuple[str, str]] = {}
    for one in fields:
        place, type_ = places.get(one.name, (None, "BLOB"))
        nothing = f"CAST(NULL AS {type_})"
        called = now_called.get(place) if end is None else None
        moved |= called != one.name
        values[one.name] = (
            f"l.{quoted(called)}" if called else nothing,
            f"p.{quoted(place)}" if place else nothing,
        )
    now = catalog.tables(con).get(layer)
    same = now is not None and end is None and not moved and _kinds(now.fields) == _kinds(fields)
    words |= {"trusted": same and now is not None and now.trusted}
    return PastTable(**words, seq=seq, end=end, values=values, has_old=has_old)


def _kinds(fields: Any) -> list[tuple[str, str]]:
    return [(one.name, one.type) for one in fields]


def views(table: PastTable) -> list[str]:
    """What the connection needs before the layer is read: tables to be filled, and the views over them."""
    layer, old, changed = table.id, table.old, table.changed
    same = f"NOT IN (SELECT fid FROM {changed})"
    then = f"{changed} c CROSS JOIN {old} p ON p.n = c.n"
    halves = [f"CREATE VIEW {table.temp('then')} AS {table.then(then, 'c.fid')}"] if table.has_old else []
    if table.end is None:
        halves.append(f"CREATE VIEW {table.temp('now')} AS {table.now('1')}")
    box = "SELECT l.id AS id, l.minx AS minx, l.maxx AS maxx, l.miny AS miny, l.maxy AS maxy"
    placed = f"{box} FROM {table.temp('boxes')} l"
    unplaced = f"SELECT {literal(layer)} AS layer, l.fid AS fid FROM {table.temp('nowhere')} l"
    texts = f"SELECT l.fid AS fid, l.body AS body FROM {table.temp('texts')} l"
    bodies = "SELECT 0 AS fid, NULL AS body WHERE 0"
    if table.has_old:
        bodies = f"SELECT c.fid AS fid, {table.old_body} AS body FROM {then} WHERE {past.HAS_BODY}"
    if table.end is None:
        of = {name: f"main.{quoted(name)}" for name in (schema.rtree(layer), schema.json_table(layer))}
        placed = f"{box} FROM {of[schema.rtree(layer)]} l WHERE l.id {same} UNION ALL {placed}"
        texts = (
            f"SELECT l.fid AS fid, l.body AS body FROM {of[schema.json_table(layer)]} l WHERE l.fid {same}"
            f" UNION ALL {texts}"
        )
        mesh = f"SELECT l.fid AS fid, l.body AS body FROM main.{quoted(schema.mesh_table(layer))} l"
        bodies = f"{mesh} WHERE l.fid {same}" + (f" UNION ALL {bodies}" if table.has_old else "")
        nowhere = f"SELECT l.layer AS layer, l.fid AS fid FROM main.twin_unplaced l WHERE l.fid {same}"
        unplaced = f"{nowhere} AND l.layer = {literal(layer)} UNION ALL {unplaced}"
    return [
        f"CREATE TABLE {changed} (fid INTEGER PRIMARY KEY, n INTEGER)",
        f"CREATE TABLE {table.temp('nowhere')} (fid INTEGER PRIMARY KEY)",
        f"CREATE TABLE {table.temp('texts')} (fid INTEGER PRIMARY KEY, body BLOB NOT NULL)",
        f"CREATE VIRTUAL TABLE {table.temp('boxes')} USING rtree(id, minx, maxx, miny, maxy)",
        f"CREATE VIEW {table.temp('rows')} AS {table.rows(f'l.fid {same}', then, 'c.fid')}",
        f"CREATE VIEW {table.rtree} AS {placed}",
        f"CREATE VIEW {table.json} AS {texts}",
        f"CREATE VIEW {table.mesh} AS {bodies}",
        f"CREATE VIEW {table.unplaced} AS {unplaced}",
        *halves,
    ]

"""How a stage renews a layer: which staged row is which feature, what changed, what is gone.

One script for every store, whose SQL they all read. A feature keeps its fid: rows are matched by source id;
else, where one of the two has none, by geometry and key together, then by key alone; else the row is new.
What did not change is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layers.errors import BadFile
from layers.store.staged import LOGGED_EACH, Plan
from layers.types import Field

_GONE = "NOT EXISTS (SELECT 1 FROM {rows} s WHERE s.fid = t.fid)"


@dataclass(frozen=True, slots=True)
class Altered:
    """The fields of a new generation; of the layer's columns those that go, and those that come."""

    fields: tuple[Field, ...]
    drop: tuple[str, ...]
    add: tuple[Field, ...]


def altered(
    columns: Mapping[str, Field], fields: Sequence[Field], staged: Sequence[Field], mode: str
) -> Altered:
    """What a stage makes of a layer's ``fields``, of which ``columns`` lie in its table. Raises BadFile."""
    wanted = {f.name: f for f in staged}
    if mode == "append":
        clash = [n for n, f in wanted.items() if n in columns and columns[n].type != f.type]
        if clash:
            raise BadFile("store.field-type", f"{clash[0]} has another type in the layer")
        renewed = (*fields, *(f for f in staged if f.name not in columns))
        drop: tuple[str, ...] = ()
    else:
        renewed = tuple(staged)
        drop = tuple(n for n, f in columns.items() if n not in wanted or wanted[n].type != f.type)
    folded = {name.lower(): name for name in columns if name not in drop}
    for field in renewed:
        if folded.get(field.name.lower(), field.name) != field.name:
            raise BadFile("store.field-name", f"{field.name} differs only in case from a column of the layer")
    return Altered(renewed, drop, tuple(f for f in renewed if f.name.lower() not in folded))


@dataclass(frozen=True, slots=True)
class Script:
    """What a store says in its own words. ``rows`` is the stage: n, fid, state, geom, source_id, p0 …, mesh;
    ``table`` and ``mesh`` are the layer's."""

    run: Callable[[str], Any]
    rows: str
    table: str
    mesh: str
    distinct: str  # compares, nulls and all
    raw: str  # after a geometry: its bytes
    key: Callable[[Sequence[str]], str]  # the values of some columns as one text

    def one(self, sql: str) -> Any:
        """The first column of the first row."""
        return self.run(sql).fetchone()[0]

    @property
    def gone(self) -> str:
        """The condition that a feature ``t`` of the layer is not in the stage."""
        return _GONE.format(rows=self.rows)


def by_source(script: Script) -> None:
    """Give staged rows the fids of the features with their source ids."""
    script.run(
        f"UPDATE {script.rows} AS s SET fid = m.fid FROM (SELECT r.n, min(t.fid) AS fid FROM {script.rows} r"
        f" JOIN {script.table} t ON t.source_id = r.source_id GROUP BY r.n) m WHERE m.n = s.n"
    )


def match(
    script: Script,
    shared: Sequence[tuple[str, str]],
    gained: Sequence[str],
    keys: Sequence[tuple[str, str]],
    high: int,
) -> None:
    """Give each staged row its fid and state (0 unchanged, 1 created, 2 updated); by source they have theirs.

    ``shared`` are the (layer's, stage's) columns of properties, ``keys`` those of them that tell features
    apart; ``gained`` are stage's columns that the layer has not. New features get fids above ``high``."""
    _pair(script, keys, by_geometry=True)
    if keys:
        _pair(script, keys, by_geometry=False)
    script.run(
        f"UPDATE {script.rows} AS s SET state = 1, fid = {high} + m.r FROM (SELECT n, row_number() OVER"
        f" (ORDER BY n) AS r FROM {script.rows} WHERE fid IS NULL) m WHERE m.n = s.n"
    )
    pairs = [("source_id", "source_id"), ("geom" + script.raw, "geom" + script.raw), *shared]
    differs = [f"t.{column} {script.distinct} s.{staged}" for column, staged in pairs]
    differs += [f"s.{staged} IS NOT NULL" for staged in gained]
    script.run(
        f"UPDATE {script.rows} AS s SET state = CASE WHEN {' OR '.join(differs)} OR m.body {script.distinct}"
        f" s.mesh THEN 2 ELSE 0 END FROM {script.table} t LEFT JOIN {script.mesh} m ON m.fid = t.fid"
        " WHERE s.state IS NULL AND t.fid = s.fid"
    )


def _pair(script: Script, keys: Sequence[tuple[str, str]], *, by_geometry: bool) -> None:
    """Match rows where one side has no source id; the n-th of equal ones with the n-th."""
    free = f"{script.gone} AND t.geom IS NOT NULL"
    left, named = script.run(
        f"SELECT count(*), count(source_id) FROM {script.rows} WHERE fid IS NULL"
    ).fetchone()
    if not left:
        return
    # where all of these have a source id, only a feature without one can be theirs
    bare = f"SELECT EXISTS (SELECT 1 FROM {script.table} WHERE source_id IS NULL)"
    if left == named and not script.one(bare):
        return
    if not script.one(f"SELECT EXISTS (SELECT 1 FROM {script.table} t WHERE {free})"):
        return
    # one sort of both sides: SQLite would join them by comparing each with each
    union = f"{_side(script, 's', keys, by_geometry)}, s.n AS n, NULL AS fid FROM {script.rows} s"
    union += f" WHERE s.fid IS NULL UNION ALL {_side(script, 't', keys, by_geometry)}, NULL, t.fid"
    script.run(
        f"UPDATE {script.rows} AS x SET fid = m.fid FROM (SELECT max(n) AS n, max(fid) AS fid FROM"
        " (SELECT q.*, row_number() OVER (PARTITION BY fid IS NULL, g, k ORDER BY n, fid) AS r FROM"
        f" ({union} FROM {script.table} t WHERE {free}) q) p"
        " GROUP BY g, k, r HAVING count(*) = 2 AND max(bare) = 1) m WHERE m.n = x.n"
    )


def _side(script: Script, alias: str, keys: Sequence[tuple[str, str]], by_geometry: bool) -> str:
    """Of features (t) or staged rows (s): what equal ones share, and whether they lack a source id."""
    geometry = f"{alias}.geom{script.raw}" if by_geometry else "1"
    key = script.key([f"{alias}.{pair[alias == 's']}" for pair in keys])
    bare = f"CASE WHEN {alias}.source_id IS NULL THEN 1 ELSE 0 END"
    return f"SELECT {geometry} AS g, {key} AS k, {bare} AS bare"


def plan(script: Script, mode: str, *, changed: bool) -> Plan:
    """Count what is to be done. ``changed``: columns of the layer came or went."""
    counts = dict(script.run(f"SELECT state, count(*) FROM {script.rows} GROUP BY state").fetchall())
    deleted = 0
    if mode != "append":
        deleted = int(script.one(f"SELECT count(*) FROM {script.table} t WHERE {script.gone}"))
    made, updated, unchanged = counts.get(1, 0), counts.get(2, 0), counts.get(0, 0)
    return Plan(made, updated, unchanged, deleted, changed or made + updated + deleted > LOGGED_EACH)


def update(script: Script, columns: Sequence[tuple[str, str]]) -> None:
    """Write the features that changed."""
    pairs = [("geom", "geom"), ("source_id", "source_id"), *columns]
    assigned = ", ".join(f"{column} = s.{staged}" for column, staged in pairs)
    script.run(
        f"UPDATE {script.table} AS t SET {assigned} FROM {script.rows} s WHERE s.state = 2 AND s.fid = t.fid"
    )


def insert(
    script: Script, columns: Sequence[tuple[str, str]], fid: str = "fid", chosen: str = "state = 1"
) -> None:
    """Write the new features, or the ``chosen`` rows with another SQL of their fid, in the stage's order."""
    names = "".join(f", {column}" for column, _ in columns)
    staged = "".join(f", {column}" for _, column in columns)
    script.run(
        f"INSERT INTO {script.table} (fid, geom, source_id{names})"
        f" SELECT {fid}, geom, source_id{staged} FROM {script.rows} WHERE {chosen} ORDER BY n"
    )


def meshes(script: Script, fid: str = "fid", chosen: str = "state IN (1, 2)") -> None:
    """Write the bodies of new and changed features; ``fid`` and ``chosen`` as of :func:`insert`."""
    changed = f"SELECT fid FROM {script.rows} WHERE state = 2"
    script.run(f"DELETE FROM {script.mesh} WHERE fid IN ({changed})")
    script.run(
        f"INSERT INTO {script.mesh} SELECT {fid}, mesh FROM {script.rows} WHERE mesh IS NOT NULL AND {chosen}"
    )

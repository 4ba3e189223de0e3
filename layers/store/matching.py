"""How a stage renews a layer: which staged row is which feature, what changed, what is gone.

One script for every store, whose SQL they all read. A feature keeps its fid: rows are matched by source id;
else, where one of the two has none, by geometry and key together where one feature and one row have them;
then those that are alike in all; then by key alone, where no other has it; else the row is new. So no
feature's fid goes to another. What did not change is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layers.errors import BadFile
from layers.store.staged import LOGGED_EACH, PublishPlan
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
    #: SQL of the fids of all features that may have the geometry, or the key in these (layer's, stage's)
    #: columns, of a staged row; None where it is no dearer to look at every feature.
    near: Callable[[Sequence[tuple[str, str]] | None], str] | None = None

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
) -> int:
    """Give each staged row its fid and state (0 unchanged, 1 created, 2 updated); by source they have theirs.

    ``shared`` are the (layer's, stage's) columns of properties, ``keys`` those of them that tell features
    apart; ``gained`` are stage's columns that the layer has not. New features get fids above ``high``.
    How many rows are new because what would tell them apart is not theirs alone."""
    vague = _pair_all(script, shared, keys)
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
    return vague


#: One row of the stage and one feature, both free, of which one has no source id.
_ONE_OF_EACH = "count(*) = 2 AND count(n) = 1 AND max(bare) = 1 AND min(free) = 1"
#: Some of both are left, which they are not where they were one of each.
_VAGUE = "count(free_row) > 0 AND count(free_feature) > 0 AND max(bare) = 1"


def _pair_all(script: Script, shared: Sequence[tuple[str, str]], keys: Sequence[tuple[str, str]]) -> int:
    """Match rows where one side has no source id; how many are left whose key, or place where the layer has
    no key, is not theirs alone."""
    if not _may_pair(script):
        return 0
    place = _sides(script, keys, by_geometry=True)
    _assign(script, place, "g, k")
    if _vague(script, place):
        # alike in all: whichever is whichever, nothing is handed on
        alike = _sides(script, shared, by_geometry=True)
        order = "row_number() OVER (PARTITION BY n IS NULL, g, k ORDER BY n, fid)"
        _assign(script, f"SELECT q.*, {order} AS r FROM ({alike}) q", "g, k, r")
    if not keys:
        return _vague(script, place)
    key = _sides(script, keys, by_geometry=False)
    _assign(script, key, "g, k")
    return _vague(script, key)


def _may_pair(script: Script) -> bool:
    """Whether there are rows without a feature, features without a row, and one of them has no source id."""
    left, named = script.run(
        f"SELECT count(*), count(source_id) FROM {script.rows} WHERE fid IS NULL"
    ).fetchone()
    if not left:
        return False
    # where all of these have a source id, only a feature without one can be theirs
    bare = f"SELECT EXISTS (SELECT 1 FROM {script.table} WHERE source_id IS NULL)"
    if left == named and not script.one(bare):
        return False
    return bool(script.one(f"SELECT EXISTS (SELECT 1 FROM {script.table} t WHERE {_free(script)})"))


def _free(script: Script) -> str:
    return f"{script.gone} AND t.geom IS NOT NULL"


def _assign(script: Script, sides: str, group: str) -> None:
    """Give rows the features that are alone with them in a group."""
    pairs = f"SELECT max(n) AS n, max(fid) AS fid FROM ({sides}) p GROUP BY {group} HAVING {_ONE_OF_EACH}"
    script.run(f"UPDATE {script.rows} AS x SET fid = m.fid FROM ({pairs}) m WHERE m.n = x.n")


def _vague(script: Script, sides: str) -> int:
    """How many free rows share with free features what would tell them apart, were it theirs alone."""
    free = "CASE WHEN free = 1 THEN n END AS free_row, CASE WHEN free = 1 THEN fid END AS free_feature"
    groups = f"SELECT count(free_row) AS c FROM (SELECT q.*, {free} FROM ({sides}) q) p GROUP BY g, k"
    return int(script.one(f"SELECT coalesce(sum(c), 0) FROM ({groups} HAVING {_VAGUE}) v"))


def _sides(script: Script, columns: Sequence[tuple[str, str]], *, by_geometry: bool) -> str:
    """Rows and features one after the other: one sort of both, since SQLite would join them by comparing each
    with each. By geometry the free ones: rows without a feature, and features without a row. By key alone all
    that have one: it tells features apart only where no other has it."""
    rows, features = (
        "CASE WHEN s.fid IS NULL THEN 1 ELSE 0 END",
        f"CASE WHEN {_free(script)} THEN 1 ELSE 0 END",
    )
    of_rows = f"{_side(script, 's', columns, by_geometry)}, s.n AS n, NULL AS fid, {rows} AS free"
    of_features = f"{_side(script, 't', columns, by_geometry)}, NULL, t.fid, {features}"
    if by_geometry:
        chosen = ["s.fid IS NULL", _free(script)]
    else:
        chosen = [" OR ".join(f"{side}.{pair[side == 's']} IS NOT NULL" for pair in columns) for side in "st"]
    if script.near is not None:
        # of other features no group has a row, and none of them is asked for
        chosen[1] = f"({chosen[1]}) AND t.fid IN ({script.near(None if by_geometry else columns)})"
    return (
        f"{of_rows} FROM {script.rows} s WHERE {chosen[0]}"
        f" UNION ALL {of_features} FROM {script.table} t WHERE {chosen[1]}"
    )


def _side(script: Script, alias: str, columns: Sequence[tuple[str, str]], by_geometry: bool) -> str:
    """Of features (t) or staged rows (s): what equal ones share, and whether they lack a source id."""
    geometry = f"{alias}.geom{script.raw}" if by_geometry else "1"
    key = script.key([f"{alias}.{pair[alias == 's']}" for pair in columns])
    bare = f"CASE WHEN {alias}.source_id IS NULL THEN 1 ELSE 0 END"
    return f"SELECT {geometry} AS g, {key} AS k, {bare} AS bare"


def plan(script: Script, mode: str, *, changed: bool, vague: int) -> PublishPlan:
    """Count what is to be done. ``changed``: columns of the layer came or went; ``vague`` as of
    :func:`match`."""
    counts = dict(script.run(f"SELECT state, count(*) FROM {script.rows} GROUP BY state").fetchall())
    deleted = 0
    if mode != "append":
        deleted = int(script.one(f"SELECT count(*) FROM {script.table} t WHERE {script.gone}"))
    made, updated, unchanged = counts.get(1, 0), counts.get(2, 0), counts.get(0, 0)
    whole = changed or made + updated + deleted > LOGGED_EACH
    return PublishPlan(made, updated, unchanged, deleted, whole, vague)


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

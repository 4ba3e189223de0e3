"""Which features of a layer were changed between two numbers of the log."""

from __future__ import annotations

import sqlite3
from typing import Any

from layers.errors import NotFound, shown
from layers.model import Touch
from layers.store.geopackage import catalog, past, recorded, sets
from layers.store.geopackage.connection import quoted


def touched(
    con: sqlite3.Connection,
    layer: str,
    after: int,
    until: int,
    actor: str | None,
    beyond: int | None,
    limit: int,
) -> list[Touch]:
    """See :meth:`layers.store.base.Store.touched`; within a read transaction."""
    if layer not in recorded.layers(con):
        raise NotFound(f"there is no layer {shown(layer)}")
    asked = {"layer": layer, "after": after, "until": until, "actor": actor, "limit": limit}
    asked["beyond"] = -(2**63) if beyond is None else beyond
    parts = _born(con, layer, after, until, actor)
    if past.is_there(con, layer):
        parts.append(_changed(layer, by_actor=actor is not None))
    if not parts:
        return []
    union = " UNION ALL ".join(parts)
    sql = f"SELECT fid, min(n), max(n), count(*) FROM ({union}) GROUP BY fid ORDER BY fid LIMIT :limit"
    rows = con.execute(sql, asked).fetchall()
    of = sets.of_numbers(con, {row[2] for row in rows})
    return [Touch(fid=fid, first=first, seq=n, set=of[n], times=times) for fid, first, n, times in rows]


def reshaped(con: sqlite3.Connection, layer: str, after: int, until: int) -> list[int]:
    """See :meth:`layers.store.base.Store.reshaped`; within a read transaction."""
    among = "WHERE layer = :layer AND {0} > :after AND {0} <= :until"
    sql = " UNION ".join(
        f"SELECT {number} FROM {table} {among.format(number)}"
        for table, number in (("twin_records", "until"), ("twin_columns", "until"), ("twin_columns", "first"))
    )
    found = con.execute(f"{sql} ORDER BY 1", {"layer": layer, "after": after, "until": until})
    return [int(row[0]) for row in found]


def _changed(layer: str, *, by_actor: bool) -> str:
    old = quoted(past.table(layer))
    if not by_actor:
        return (
            f"SELECT p.fid AS fid, p.until AS n FROM {old} p"
            f" WHERE p.until > :after AND p.until <= :until AND p.fid > :beyond{past.LOGGED}"
        )
    return (
        f"SELECT p.fid AS fid, p.until AS n FROM twin_sets s CROSS JOIN {old} p"
        " ON p.until BETWEEN max(s.first, :after + 1) AND min(s.last, :until)"
        f" WHERE s.actor = :actor AND s.last > :after AND s.first <= :until AND p.fid > :beyond{past.LOGGED}"
    )


def _born(con: sqlite3.Connection, layer: str, after: int, until: int, actor: str | None) -> list[str]:
    """What selects the features of a layer that was made in between, if it was: a first load leaves no old
    rows of its own."""
    row: tuple[Any, ...] = con.execute(
        "SELECT max(until) FROM twin_records WHERE layer = ? AND record IS NULL AND until > ? AND until <= ?",
        (layer, after, until),
    ).fetchone()
    if row[0] is None:
        return []
    number = int(row[0])
    made = sets.of_numbers(con, {number})[number]
    if actor is not None and (made is None or made.actor != actor):
        return []
    parts = []
    if layer in catalog.tables(con):
        parts.append(f"SELECT t.fid AS fid, {number} AS n FROM {quoted(layer)} t WHERE t.fid > :beyond")
    if past.is_there(con, layer):
        parts.append(
            f"SELECT p.fid AS fid, {number} AS n FROM {quoted(past.table(layer))} p"
            f" WHERE p.until > {number} AND p.there AND p.fid > :beyond"
        )
    return parts

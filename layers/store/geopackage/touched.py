"""Which features of a layer were changed between two numbers of the log."""

from __future__ import annotations

import sqlite3
from typing import Any

from layers.errors import NotFound, shown
from layers.model import ChangeSet, Touch
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
    sql = f"SELECT fid, min(n), max(n) FROM ({union}) GROUP BY fid ORDER BY fid LIMIT :limit"
    known: dict[int, ChangeSet | None] = {}
    return [
        Touch(fid=fid, first=first, seq=n, set=_set(con, known, n))
        for fid, first, n in con.execute(sql, asked)
    ]


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
    made = _set(con, {}, number)
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


def _set(con: sqlite3.Connection, known: dict[int, ChangeSet | None], number: int) -> ChangeSet | None:
    if number not in known:
        pending = next((one for one in sets.pending(con) if one.first <= number <= one.last), None)
        found = pending or sets.with_number(con, number)
        known[number] = found if found is not None and found.last >= number else None
    return known[number]

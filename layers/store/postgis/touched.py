"""Which features of a layer were changed between two numbers of the log."""

from __future__ import annotations

from typing import Any

from psycopg.types.numeric import Int8

from layers.errors import NotFound, shown
from layers.model import Touch
from layers.store.postgis import layer_table, moments
from layers.store.postgis.connection import Connection, bound


def touched(
    con: Connection,
    city: str,
    layer: str,
    after: int,
    until: int,
    actor: str | None,
    beyond: int | None,
    limit: int,
) -> list[Touch]:
    """See :meth:`layers.store.base.Store.touched`; within the caller's transaction, of one moment."""
    s = bound(city)
    asked: dict[str, Any] = {
        "layer": layer,
        "after": Int8(after),
        "until": Int8(until),
        "actor": actor,
        "beyond": Int8(-(2**63) if beyond is None else beyond),
        "limit": Int8(limit),
    }
    table = layer_table.tables(con, city).get(layer)
    known = f"SELECT EXISTS (SELECT FROM {s}.twin_forms WHERE id = %(layer)s)"
    known += f" OR EXISTS (SELECT FROM {s}.twin_records WHERE layer = %(layer)s)"
    if table is None and not _one(con, known, asked):
        raise NotFound(f"there is and was no layer {shown(layer)}")
    parts = [
        f"SELECT p.fid, p.until AS n FROM {s}.twin_past p WHERE p.layer = %(layer)s"
        " AND p.until > %(after)s AND p.until <= %(until)s AND p.fid > %(beyond)s"
        + (f" AND {_by_actor(s, 'p.until')}" if actor is not None else "")
    ]
    made = (
        f"SELECT max(until) FROM {s}.twin_records WHERE layer = %(layer)s AND record IS NULL"
        " AND until > %(after)s AND until <= %(until)s"
    )
    number = _one(con, made, asked)
    if number is not None and (actor is None or _one(con, f"SELECT {_by_actor(s, str(number))}", asked)):
        parts.append(
            f"SELECT p.fid, {number} FROM {s}.twin_past p WHERE p.layer = %(layer)s"
            f" AND p.until > {number} AND p.there AND p.fid > %(beyond)s"
        )
        if table is not None:
            parts.append(
                f"SELECT {table.fid}, {number} FROM {table.relation} t WHERE {table.fid} > %(beyond)s"
            )
    union = " UNION ALL ".join(parts)
    rows = con.execute(
        f"SELECT fid::bigint, min(n)::bigint, max(n)::bigint, count(*) FROM ({union}) c"
        " GROUP BY fid ORDER BY fid LIMIT %(limit)s",
        asked,
        binary=True,
    ).fetchall()
    sets = moments.sets_of(con, city, sorted({row[2] for row in rows}))
    return [Touch(fid=fid, first=first, seq=n, set=sets.get(n), times=times) for fid, first, n, times in rows]


def reshaped(con: Connection, city: str, layer: str, after: int, until: int) -> list[int]:
    """See :meth:`layers.store.base.Store.reshaped`."""
    among = "WHERE layer = %s AND until > %s AND until <= %s"
    rows = con.execute(
        f"SELECT until FROM {bound(city)}.twin_records {among} ORDER BY 1",
        (layer, Int8(after), Int8(until)),
        binary=True,
    ).fetchall()
    return [row[0] for row in rows]


def _by_actor(s: str, number: str) -> str:
    """Whether a number of the log is of a change set of the actor."""
    return (
        f"(SELECT c.actor = %(actor)s AND c.first <= {number} FROM {s}.twin_sets c"
        f" WHERE c.last >= {number} ORDER BY c.last LIMIT 1)"
    )


def _one(con: Connection, sql: str, values: Any) -> Any:
    row = con.execute(sql, values, binary=True).fetchone()
    return None if row is None else row[0]

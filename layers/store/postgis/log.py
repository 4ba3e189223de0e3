"""The change log: read, and kept short.

Of what lies ``KEPT`` numbers back each feature keeps its newest row: that row is the feature's revision, so
no ETag changes. Whoever last read the log before the number in ``twin_pruned`` missed boxes that are gone,
and is told that the layer changed as a whole. Counts are moved to the layers' bases before rows go.
"""

from __future__ import annotations

from psycopg.types.numeric import Int8

from layers.model import Change
from layers.store.postgis import schema
from layers.store.postgis.connection import Connection, bound
from layers.store.postgis.ddl import DdlTarget, rebase

KEPT = 200_000
STEP = 5_000  # numbers looked at in one transaction


def changes(con: Connection, city: str, since: int, limit: int, upto: int = 2**63 - 1) -> list[Change]:
    """Log rows with ``since`` < seq <= ``upto``, ascending; one of a whole layer in place of those that are
    no longer."""
    s = bound(city)
    none = "NULL::double precision"
    rows = con.execute(
        f"(SELECT c.seq, c.layer, c.fid, {schema.BOXES} FROM {s}.twin_changes c"
        f" LEFT JOIN {s}.twin_pruned p ON p.layer = c.layer"
        f" WHERE c.seq > %s AND c.seq <= %s AND c.seq > coalesce(p.seq, 0) ORDER BY c.seq LIMIT %s)"
        f" UNION ALL SELECT least(p.seq, %s), p.layer, NULL, {', '.join([none] * 8)} FROM {s}.twin_pruned p"
        " WHERE p.seq > %s ORDER BY 1 LIMIT %s",
        (Int8(since), Int8(upto), limit, Int8(upto), Int8(since), limit),
        binary=True,
    ).fetchall()
    return [
        Change(r[0], r[1], r[2], r[3:7] if r[3] is not None else None, r[7:11] if r[7] is not None else None)
        for r in rows
    ]


def nonce(con: Connection, city: str, seq: int) -> int | None:
    """The random number of a row, None where it is not there."""
    sql = f"SELECT nonce FROM {bound(city)}.twin_changes WHERE seq = %s"
    row = con.execute(sql, (Int8(seq),), binary=True).fetchone()
    return None if row is None else int(row[0])


def prune(place: DdlTarget, newest: int) -> bool:
    """Look at the next numbers of the log, in one transaction; whether there were any to look at.

    Of several processes one does."""
    low = int(place.one(f"SELECT pruned FROM {place.s}.twin_meta"))
    if newest - KEPT - low < STEP:
        return False
    with place.con.transaction():
        key = schema.key(place.schema, "prune")
        if not place.one("SELECT pg_try_advisory_xact_lock(%s)", (key,)):
            return False
        low = int(place.one(f"SELECT pruned FROM {place.s}.twin_meta"))
        _step(place, low, min(low + STEP, newest - KEPT))
    return True


def _step(place: DdlTarget, low: int, high: int) -> None:
    s = place.s
    rebase(place, high)
    place.con.execute(
        f"WITH r AS MATERIALIZED (SELECT seq, layer, fid FROM {s}.twin_changes"
        " WHERE seq > %(low)s AND seq <= %(high)s),"
        f" gone AS (DELETE FROM {s}.twin_changes o USING r WHERE o.layer = r.layer AND o.seq < r.seq"
        " AND (o.fid = r.fid OR r.fid IS NULL) RETURNING o.layer)"
        f" INSERT INTO {s}.twin_pruned AS p SELECT layer, max(seq) FROM r"
        " WHERE layer IN (SELECT layer FROM gone) GROUP BY layer"
        " ON CONFLICT (layer) DO UPDATE SET seq = excluded.seq",
        {"low": low, "high": high},
    )
    place.con.execute(f"UPDATE {s}.twin_meta SET pruned = %s", (Int8(high),))

"""The change log: what changed since a number; and how it is kept short.

Of what lies ``KEPT`` numbers back, each feature keeps its newest row. That row is the feature's revision,
so no ETag changes. Whoever last read the log before the number in ``twin_pruned`` missed boxes that are
gone, and is told that the layer changed as a whole. The log is then no longer than ``KEPT`` rows and one a
feature. Who changed it stays: change sets are kept beside the log.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from layers import instants
from layers.model import Change
from layers.types import Bbox

KEPT = 200_000
STEP = 2_000  # numbers looked at in one transaction, about 20 ms

#: The instant of a statement in milliseconds since 1970, by SQLite's own clock: other programs have it, too.
NOW_MS = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


def now() -> str:
    """The present instant, as stores write it."""
    return instants.utc(datetime.now(UTC))


def last_seq(con: sqlite3.Connection) -> int:
    """The newest number of the change log."""
    return int(con.execute("SELECT coalesce(max(seq), 0) FROM twin_changes").fetchone()[0])


def whole(con: sqlite3.Connection, layer: str, old: Bbox | None, new: Bbox | None) -> int:
    """Log a layer, or the region of it, as changed whole; the log number."""
    none = (None, None, None, None)
    cursor = con.execute(
        "INSERT INTO twin_changes (layer, fid, old_minx, old_miny, old_maxx, old_maxy,"
        f" new_minx, new_miny, new_maxx, new_maxy, at) VALUES (?,NULL,?,?,?,?,?,?,?,?,{NOW_MS})",
        (layer, *(old or none), *(new or none)),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


_SINCE = (
    "SELECT seq, layer, fid, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy"
    " FROM twin_changes c WHERE seq > :since AND NOT EXISTS"
    " (SELECT 1 FROM twin_pruned p WHERE p.layer = c.layer AND p.seq >= c.seq) ORDER BY seq LIMIT :limit"
)


def changes(con: sqlite3.Connection, since: int, limit: int) -> list[Change]:
    """Log rows with seq > since, ascending; one of a whole layer in place of those that are no longer."""
    rows = con.execute(_SINCE, {"since": since, "limit": limit}).fetchall()
    result = [
        Change(r[0], r[1], r[2], r[3:7] if r[3] is not None else None, r[7:11] if r[7] is not None else None)
        for r in rows
    ]
    pruned = con.execute("SELECT seq, layer FROM twin_pruned WHERE seq > ?", (since,)).fetchall()
    if not pruned:
        return result
    result += [Change(seq, layer, None, None, None) for seq, layer in pruned]
    return sorted(result, key=lambda change: change.seq)[:limit]


def nonce(con: sqlite3.Connection, seq: int) -> int | None:
    """The random number of a row, None where it is not there."""
    row = con.execute("SELECT nonce FROM twin_changes WHERE seq=?", (seq,)).fetchone()
    return None if row is None else int(row[0])


def pruned(con: sqlite3.Connection) -> int:
    """The number up to which the log was looked at."""
    row = con.execute("SELECT value FROM twin_meta WHERE key='pruned'").fetchone()
    return int(row[0]) if row else 0


def is_prune_due(con: sqlite3.Connection, known: int) -> bool:
    """Whether there is a step to be made, when the log was looked at up to a number."""
    return last_seq(con) - KEPT - known >= STEP


def prune(con: sqlite3.Connection) -> int:
    """Look at the next numbers, within the caller's transaction; the number that it ended at."""
    low = pruned(con)
    high = min(low + STEP, last_seq(con) - KEPT)
    newest = con.execute(
        "SELECT layer, max(seq) FROM twin_changes WHERE seq > ? AND seq <= ? GROUP BY layer", (low, high)
    ).fetchall()
    gone = con.execute(
        "DELETE FROM twin_changes WHERE seq IN ("
        "SELECT o.seq FROM twin_changes r JOIN twin_changes o ON o.layer = r.layer AND o.fid = r.fid"
        " AND o.seq < r.seq WHERE r.seq > :low AND r.seq <= :high"
        " UNION SELECT o.seq FROM twin_changes r JOIN twin_changes o ON o.layer = r.layer"
        " AND o.seq < r.seq WHERE r.seq > :low AND r.seq <= :high AND r.fid IS NULL) RETURNING layer",
        {"low": low, "high": high},
    ).fetchall()
    layers = {row[0] for row in gone}
    con.executemany(
        "INSERT OR REPLACE INTO twin_pruned VALUES (?,?)", [row for row in newest if row[0] in layers]
    )
    con.execute("INSERT OR REPLACE INTO twin_meta VALUES ('pruned', ?)", (str(high),))
    return high

"""The change log is kept short: of what lies ``KEPT`` numbers back, each feature keeps its newest row.

That row is the feature's revision, so no ETag changes. Whoever last read the log before the number in
``twin_pruned`` missed boxes that are gone, and is told that the layer changed as a whole. The log is
then no longer than ``KEPT`` rows and one a feature. Actors stay: they are kept beside the log.
"""

from __future__ import annotations

import sqlite3

from layers.store.geopackage.catalog import last_seq

KEPT = 200_000
STEP = 2_000  # numbers looked at in one transaction, about 20 ms


def done(con: sqlite3.Connection) -> int:
    """The number up to which the log was looked at."""
    row = con.execute("SELECT value FROM twin_meta WHERE key='pruned'").fetchone()
    return int(row[0]) if row else 0


def due(con: sqlite3.Connection, known: int) -> bool:
    """Whether there is a step to be made, when the log was looked at up to a number."""
    return last_seq(con) - KEPT - known >= STEP


def step(con: sqlite3.Connection) -> int:
    """Look at the next numbers, within the caller's transaction; the number that it ended at."""
    low = done(con)
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

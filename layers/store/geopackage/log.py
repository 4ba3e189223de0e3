"""Reading the change log: what changed since a number, and who edited a feature."""

from __future__ import annotations

import sqlite3

from layers.model import Change

_SINCE = (
    "SELECT seq, layer, fid, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy"
    " FROM twin_changes c WHERE seq > :since AND NOT EXISTS"
    " (SELECT 1 FROM twin_pruned p WHERE p.layer = c.layer AND p.seq >= c.seq) ORDER BY seq LIMIT :limit"
)


def changes(con: sqlite3.Connection, since: int, limit: int) -> list[Change]:
    """Log rows with seq > since, ascending; one of a whole layer in place of those that are no longer."""
    rows = con.execute(_SINCE, {"since": since, "limit": limit}).fetchall()
    found = [
        Change(r[0], r[1], r[2], r[3:7] if r[3] is not None else None, r[7:11] if r[7] is not None else None)
        for r in rows
    ]
    pruned = con.execute("SELECT seq, layer FROM twin_pruned WHERE seq > ?", (since,)).fetchall()
    if not pruned:
        return found
    found += [Change(seq, layer, None, None, None) for seq, layer in pruned]
    return sorted(found, key=lambda change: change.seq)[:limit]


def actors(con: sqlite3.Connection, layer: str, fid: int) -> list[tuple[int, str, str]]:
    """(revision, name, UTC instant) of each edit of a feature through this program, newest first."""
    return con.execute(
        "SELECT seq, actor, at FROM twin_actors WHERE layer=? AND fid=? ORDER BY seq DESC", (layer, fid)
    ).fetchall()

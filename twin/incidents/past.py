"""Incidents as they were: what moves them is in their log, and nothing else of them ever changes."""

from __future__ import annotations

import sqlite3

#: The columns that a move changes, as the log has them up to one of its rows.
_MOVED = {"status": "was.status", "changed": "was.changed", "revision": "was.revision"}
_WAS = (
    '(SELECT l.incident, l."to" AS status, l.at AS changed, c.moves AS revision FROM incident_log l JOIN '
    "(SELECT incident, max(seq) AS newest, count(*) AS moves FROM incident_log WHERE seq <= {last} "
    "GROUP BY incident) c ON l.seq = c.newest) was"
)


def source(columns: str, last: int) -> str:
    """What to read in the place of the table of incidents: those that there were after a row of the log."""
    shown = ", ".join(
        f"{_MOVED[name]} AS {name}" if name in _MOVED else f"i.{name}" for name in columns.split(", ")
    )
    return f"(SELECT {shown} FROM incident i JOIN {_WAS.format(last=int(last))} ON was.incident = i.id)"  # noqa: S608


def last(conn: sqlite3.Connection, at: int) -> int:
    """The newest row of the log that is not after an instant (ms), 0 for none. Rows before it count, whatever
    the clock said of them."""
    row = conn.execute(
        "SELECT seq FROM incident_log WHERE at <= ? ORDER BY seq DESC LIMIT 1", (at,)
    ).fetchone()
    return row[0] if row else 0

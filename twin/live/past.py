"""The latest value of a datastream at an instant, and the state that it was in, from what is kept of it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from twin.live.rules import Rule, Threshold

_NEWEST = "SELECT id, t, num, txt FROM observation WHERE ds=? AND t<=? ORDER BY t DESC, n DESC LIMIT 1"
#: The newest value that alone says whether a threshold is raised; after one in between it stays as it was.
_DECIDING = (
    "SELECT num FROM observation WHERE ds=? AND t<=? AND (num {0} ? OR num {1} ?) "
    "ORDER BY t DESC, n DESC LIMIT 1"
)
_SIDES = {"above": _DECIDING.format(">=", "<="), "below": _DECIDING.format("<=", ">=")}


@dataclass(frozen=True, slots=True)
class Value:
    """One observation: its id, time (ms) and result, a number or JSON as text."""

    id: int
    time: int
    number: float | int | None
    text: str | None


def newest(conn: sqlite3.Connection, stream: int, at: int) -> Value | None:
    """The value of a datastream that is the latest up to an instant (ms), whenever it came."""
    row = conn.execute(_NEWEST, (stream, at)).fetchone()
    return None if row is None else Value(*row)


def state(conn: sqlite3.Connection, stream: int, rule: Rule, time: int, at: int) -> str:
    """The state in which the values up to an instant (ms), the latest of ``time``, put a datastream under a
    rule."""
    if rule.stale(time, at):
        return "stale"
    raised = 0
    for bit, threshold in enumerate(rule.thresholds):
        raised |= _raised(conn, stream, threshold, at) << bit
    return rule.state(raised)


def _raised(conn: sqlite3.Connection, stream: int, threshold: Threshold, at: int) -> bool:
    values = stream, at, threshold.raise_at, threshold.clear_at
    row = conn.execute(_SIDES[threshold.side], values).fetchone()
    return row is not None and threshold.holds(row[0], raised=False)

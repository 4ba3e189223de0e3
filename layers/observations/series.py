"""Observations in ``live.gpkg``: appended in the writer's transaction, read by range.

Times are integer milliseconds since 1970-01-01T00:00:00Z. A result is a number (``num``) or any
other JSON value as text (``txt``). Sealing of old rows into compressed chunks is not here yet;
nothing is ever removed by DELETE.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

#: Bits of the datastream's rule state before and after a value: (datastream, value, raised) → raised.
type Step = Callable[[int, float, int], int]


@dataclass(frozen=True, slots=True)
class Observation:
    """One observation, checked, not yet kept. ``time`` and ``end`` are the phenomenon time."""

    datastream: int
    time: int
    number: float | int | None = None
    text: str | None = None
    end: int | None = None
    result_time: int | None = None
    extra: str | None = None
    feature: int | None = None


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest value of a datastream, its span and count, and its rule state.

    ``raised`` has one bit a raised threshold; ``since`` is the time of the last change of it."""

    id: int
    time: int
    number: float | int | None
    text: str | None
    first: int
    count: int
    raised: int = 0
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did: an id a row (an existing one for an identical redelivery), and the
    datastreams whose latest value moved."""

    ids: list[int]
    moved: dict[int, Latest]


def _keep_state(_datastream: int, _value: float, raised: int) -> int:
    return raised


INSERT = (
    "INSERT INTO observation (ds, t, n, id, t_end, rt, num, txt, extra, foi) VALUES (?,?,?,?,?,?,?,?,?,?)"
)
_SAVE = (
    "INSERT INTO latest (ds, id, t, num, txt, first, count, raised, since) VALUES (?,?,?,?,?,?,?,?,?) "
    "ON CONFLICT (ds) DO UPDATE SET id=excluded.id, t=excluded.t, num=excluded.num, txt=excluded.txt, "
    "first=excluded.first, count=excluded.count, raised=excluded.raised, since=excluded.since"
)


class Series:
    """The append side. Used by the writer thread alone, inside its transaction.

    ``latest`` is the truth as committed; :meth:`append` works on an overlay, which
    :meth:`committed` takes over and :meth:`rolled_back` forgets."""

    def __init__(self, conn: sqlite3.Connection, step: Step = _keep_state) -> None:
        self.latest = load_latest(conn)
        self._step = step
        self._pending: dict[int, Latest] = {}
        self._next = self._committed_next = _next_id(conn)

    def append(self, conn: sqlite3.Connection, rows: Iterable[Observation]) -> Appended:
        """Keep observations and step the rules over them, in the given order.

        An observation equal in every member to one that is there is not kept again. A time that
        is older than the latest never moves the latest back and never steps the rules."""
        ids: list[int] = []
        batch: list[tuple[object, ...]] = []
        touched: set[int] = set()
        moved: dict[int, Latest] = {}
        for row in rows:
            last = self._pending.get(row.datastream) or self.latest.get(row.datastream)
            n = 0
            if last is not None and row.time <= last.time:
                if batch:
                    conn.executemany(INSERT, batch)
                    batch.clear()
                found, n = _same(conn, row)
                if found is not None:
                    ids.append(found)
                    continue
            ids.append(self._next)
            batch.append(
                (
                    row.datastream,
                    row.time,
                    n,
                    self._next,
                    row.end,
                    row.result_time,
                    row.number,
                    row.text,
                    row.extra,
                    row.feature,
                )
            )
            after = self._advance(row, last, self._next)
            self._pending[row.datastream] = after
            touched.add(row.datastream)
            if after.id == self._next:
                moved[row.datastream] = after
            self._next += 1
        if batch:
            conn.executemany(INSERT, batch)
        conn.executemany(_SAVE, (_saved(ds, self._pending[ds]) for ds in touched))
        return Appended(ids, moved)

    def _advance(self, row: Observation, last: Latest | None, new_id: int) -> Latest:
        if last is not None and row.time < last.time:
            return replace(last, first=min(last.first, row.time), count=last.count + 1)
        before = last.raised if last else 0
        raised = before if row.number is None else self._step(row.datastream, row.number, before)
        since = row.time if last is None or raised != before else last.since
        first = last.first if last else row.time
        count = last.count + 1 if last else 1
        return Latest(new_id, row.time, row.number, row.text, first, count, raised, since)

    def committed(self) -> None:
        """The transaction is on disk: what was pending is the truth."""
        self.latest.update(self._pending)
        self._pending.clear()
        self._committed_next = self._next

    def rolled_back(self) -> None:
        """The transaction is gone: forget what was pending."""
        self._pending.clear()
        self._next = self._committed_next

    def mark(self) -> tuple[dict[int, Latest], int]:
        """Where the overlay stands, for :meth:`reset`."""
        return dict(self._pending), self._next

    def reset(self, mark: tuple[dict[int, Latest], int]) -> None:
        """Back to a mark: the savepoint behind it was rolled back."""
        self._pending, self._next = dict(mark[0]), mark[1]


def _saved(datastream: int, last: Latest) -> tuple[object, ...]:
    return (
        datastream,
        last.id,
        last.time,
        last.number,
        last.text,
        last.first,
        last.count,
        last.raised,
        last.since,
    )


def _same(conn: sqlite3.Connection, row: Observation) -> tuple[int | None, int]:
    """The id of an equal observation, or None, and the next free ``n`` at that time."""
    n = 0
    wanted = (row.end, row.result_time, row.number, row.text, row.extra, row.feature)
    for found in conn.execute(
        "SELECT n, id, t_end, rt, num, txt, extra, foi FROM observation WHERE ds=? AND t=?",
        (row.datastream, row.time),
    ):
        if found[2:] == wanted:
            return int(found[1]), 0
        n = max(n, found[0] + 1)
    return None, n


def _next_id(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT coalesce(max(id), 0) + 1 FROM observation").fetchone()[0])


def load_latest(conn: sqlite3.Connection) -> dict[int, Latest]:
    """Datastream id → its latest value, as committed."""
    rows = conn.execute("SELECT ds, id, t, num, txt, first, count, raised, since FROM latest")
    return {ds: Latest(*rest) for ds, *rest in rows}


def window(conn: sqlite3.Connection, datastream: int, start: int, end: int) -> list[tuple[int, float]]:
    """(time, number) of one datastream with start ≤ time < end, ascending."""
    return conn.execute(
        "SELECT t, num FROM observation WHERE ds=? AND t>=? AND t<? AND num IS NOT NULL ORDER BY t, n",
        (datastream, start, end),
    ).fetchall()

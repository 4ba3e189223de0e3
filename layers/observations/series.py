"""Observations in ``live.gpkg``: appended in the writer's transaction, read by range.

Times are integer milliseconds since 1970-01-01T00:00:00Z. A result is a number (``num``) or any
other JSON value as text (``txt``). ``n`` counts observations of one time; from :data:`LATE` on, the row came
when a newer one was there already. Sealing of old rows into compressed chunks is not here yet;
nothing is ever removed by DELETE.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

#: Bits of the datastream's rule state before and after a value: (datastream, value, raised) → raised.
type Step = Callable[[int, float, int], int]


#: Added to ``n`` of an observation that is older than the newest that was due when it came.
LATE = 2**32
#: Later, and earlier, than every time.
ALWAYS, NEVER = 2**62, -(2**62)


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
    """The newest value of a datastream that is due, its span and count, and its rule state.

    The ``id`` is 0 where none is due yet; ``time`` then is that of one to come. ``raised`` has one bit a
    raised threshold; ``since`` is the time of the last change of it."""

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
    """What an append did: an id a row (an existing one for an identical redelivery), the datastreams whose
    latest value moved, and the ids of rows that came late."""

    ids: list[int]
    moved: dict[int, Latest]
    late: frozenset[int] = frozenset()


def _keep_state(_datastream: int, _value: float, raised: int) -> int:
    return raised


INSERT = (
    "INSERT INTO observation (ds, t, n, id, t_end, rt, num, txt, extra, foi) VALUES (?,?,?,?,?,?,?,?,?,?)"
)
#: A value whose time has not come: its time, id, datastream, number and text.
type _Ahead = tuple[int, int, int, float | int | None, str | None]
#: CROSS JOIN has SQLite take each datastream's own range of time (lang_select, "The CROSS JOIN operator"): by
#: itself it looks through all observations, for it does not guess how few are later.
_AHEAD = (
    "SELECT o.t, o.id, o.ds, o.num, o.txt FROM latest l CROSS JOIN observation o ON o.ds = l.ds AND o.t > "
    "CASE l.id WHEN 0 THEN -9e18 ELSE l.t END"
)
_SAVE = (
    "INSERT INTO latest (ds, id, t, num, txt, first, count, raised, since) VALUES (?,?,?,?,?,?,?,?,?) "
    "ON CONFLICT (ds) DO UPDATE SET id=excluded.id, t=excluded.t, num=excluded.num, txt=excluded.txt, "
    "first=excluded.first, count=excluded.count, raised=excluded.raised, since=excluded.since"
)


class Series:
    """The append side. Used by the writer thread alone, inside its transaction.

    ``latest`` is the truth as committed; :meth:`append` works on an overlay, which
    :meth:`committed` takes over and :meth:`rolled_back` forgets. A value from the future is kept at once, and
    becomes the latest, and steps the rules, when its time has come (:meth:`fall_due`)."""

    def __init__(self, conn: sqlite3.Connection, step: Step = _keep_state) -> None:
        self.latest = load_latest(conn)
        self._step = step
        self._pending: dict[int, Latest] = {}
        self._next = self._committed_next = _next_id(conn)
        self._ahead: list[_Ahead] = list(conn.execute(_AHEAD))
        heapq.heapify(self._ahead)
        self._horizon: dict[int, int] = {}
        for t, _, ds, *_ in self._ahead:
            self._horizon[ds] = max(t, self._horizon.get(ds, t))
        self._coming: list[_Ahead] = []
        self._fallen: list[_Ahead] = []

    def append(self, conn: sqlite3.Connection, rows: Iterable[Observation], now: int = ALWAYS) -> Appended:
        """Keep observations and step the rules over them, in the given order.

        An observation equal in every member to one that is there is not kept again. A time that is older
        than the latest never moves the latest back and never steps the rules; nor does one that is after
        ``now``, before it is due."""
        ids: list[int] = []
        late: set[int] = set()
        horizon = self._horizon
        batch: list[tuple[object, ...]] = []
        touched: set[int] = set()
        moved: dict[int, Latest] = {}
        for row in rows:
            last = self._pending.get(row.datastream) or self.latest.get(row.datastream)
            n = 0
            if last is not None and (row.time <= last.time or row.time <= horizon.get(row.datastream, NEVER)):
                if batch:
                    conn.executemany(INSERT, batch)
                    batch.clear()
                existing, n = _same(conn, row)
                if existing is not None:
                    ids.append(existing)
                    continue
            ids.append(self._next)
            if last is not None and last.id and row.time < last.time:
                n += LATE
                late.add(self._next)
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
            after = self._advance(row, last, self._next, now)
            self._pending[row.datastream] = after
            touched.add(row.datastream)
            if after.id == self._next:
                moved[row.datastream] = after
            self._next += 1
        if batch:
            conn.executemany(INSERT, batch)
        conn.executemany(_SAVE, (_saved(ds, self._pending[ds]) for ds in touched))
        return Appended(ids, moved, frozenset(late))

    def _advance(self, row: Observation, last: Latest | None, new_id: int, now: int) -> Latest:
        """The state of a datastream with one row more. Of every row: no step here is for nothing."""
        time, ds = row.time, row.datastream
        if last is None:
            last = Latest(0, time, None, None, time, 0)
        first, count = last.first if last.first < time else time, last.count + 1
        if time > now:
            self._coming.append((time, new_id, ds, row.number, row.text))
            self._horizon[ds] = max(time, self._horizon.get(ds, time))
        elif not last.id or time >= last.time:
            before = last.raised
            raised = before if row.number is None else self._step(ds, row.number, before)
            since = time if not last.id or raised != before else last.since
            return Latest(new_id, time, row.number, row.text, first, count, raised, since)
        return Latest(last.id, last.time, last.number, last.text, first, count, last.raised, last.since)

    def _shown(
        self, ds: int, last: Latest, new_id: int, time: int, number: float | int | None, text: str | None
    ) -> Latest:
        """The state of a datastream with a value that is due and was counted before, if it is its newest."""
        if last.id and time < last.time:
            return last
        raised = last.raised if number is None else self._step(ds, number, last.raised)
        since = time if not last.id or raised != last.raised else last.since
        return replace(last, id=new_id, time=time, number=number, text=text, raised=raised, since=since)

    def due(self, now: int) -> bool:
        """Whether the time of a value that was kept before has come."""
        return bool(self._ahead) and self._ahead[0][0] <= now

    def fall_due(self, conn: sqlite3.Connection, now: int) -> dict[int, Latest]:
        """Take what is due now as the newest values; what moved."""
        moved: dict[int, Latest] = {}
        while self.due(now):
            value = heapq.heappop(self._ahead)
            self._fallen.append(value)
            time, id_, ds, number, text = value
            last = self._pending.get(ds) or self.latest.get(ds)
            if last is None:
                continue
            after = self._shown(ds, last, id_, time, number, text)
            if after is not last:
                self._pending[ds] = moved[ds] = after
        conn.executemany(_SAVE, (_saved(ds, self._pending[ds]) for ds in moved))
        return moved

    def ahead_of(self, now: int) -> bool:
        """Whether a newest value is of a time to come, as after a clock was set back."""
        return any(last.time > now and last.id for last in self.latest.values())

    def set_back(self, conn: sqlite3.Connection, now: int) -> dict[int, Latest]:
        """Newest values that are of a time to come give way to those before; what moved."""
        moved: dict[int, Latest] = {}
        for ds, last in self.latest.items():
            if last.time <= now or not last.id:
                continue
            row = conn.execute(
                "SELECT id, t, num, txt FROM observation WHERE ds=? AND t<=? ORDER BY t DESC, n DESC LIMIT 1",
                (ds, now),
            ).fetchone()
            none = replace(last, id=0, number=None, text=None, raised=0, since=None)
            moved[ds] = self._pending[ds] = none if row is None else self._shown(ds, none, *row)
            self._coming += conn.execute(
                "SELECT t, id, ds, num, txt FROM observation WHERE ds=? AND t>? AND t<=?",
                (ds, now, last.time),
            ).fetchall()
        conn.executemany(_SAVE, (_saved(ds, last) for ds, last in moved.items()))
        return moved

    def committed(self) -> None:
        """The transaction is on disk: what was pending is the truth."""
        self.latest.update(self._pending)
        self._pending.clear()
        self._committed_next = self._next
        for value in self._coming:
            heapq.heappush(self._ahead, value)
        self._coming, self._fallen = [], []
        if not self._ahead:
            self._horizon.clear()

    def rolled_back(self) -> None:
        """The transaction is gone: forget what was pending."""
        self._pending.clear()
        self._next = self._committed_next
        for value in self._fallen:
            heapq.heappush(self._ahead, value)
        self._coming, self._fallen = [], []

    def mark(self) -> tuple[dict[int, Latest], int, int]:
        """Where the overlay stands, for :meth:`reset`."""
        return dict(self._pending), self._next, len(self._coming)

    def reset(self, mark: tuple[dict[int, Latest], int, int]) -> None:
        """Back to a mark: the savepoint behind it was rolled back."""
        self._pending, self._next = dict(mark[0]), mark[1]
        del self._coming[mark[2] :]


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
    for stored in conn.execute(
        "SELECT n, id, t_end, rt, num, txt, extra, foi FROM observation WHERE ds=? AND t=?",
        (row.datastream, row.time),
    ):
        if stored[2:] == wanted:
            return int(stored[1]), 0
        n = max(n, stored[0] % LATE + 1)
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

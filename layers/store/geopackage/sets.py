"""Change sets: which numbers of the log were given in one transaction, when, and by whom.

A transaction of ours writes its own set. What other programs logged is taken into sets before that, or when
somebody looks: one a run of rows of one second, by the instants that their triggers wrote. Sets are in the
order of the numbers, and of their instants: a clock that steps back counts as standing still.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from layers import instants
from layers.model import Author, ChangeSet
from layers.store.geopackage import keeping, log
from layers.store.geopackage.connection import transaction

#: Sets that are read one after the other before another one is sought.
_NEAR = 20
COLUMNS = "id, first, last, at, actor, via, message, address, layer, generation, undone"


@dataclass(slots=True)
class Draft:
    """The set of a transaction that is under way: what is known of it by the end."""

    generation: int | None = None


@contextmanager
def writing(con: sqlite3.Connection, by: Author, layer: str | None = None) -> Iterator[Draft]:
    """One write transaction, whose changes are one set; there is none where nothing was logged."""
    with transaction(con):
        before = adopt(con)
        draft = Draft()
        yield draft
        close(con, by, before, layer, draft.generation)


def close(
    con: sqlite3.Connection, by: Author, before: int, layer: str | None, generation: int | None = None
) -> None:
    """Make the numbers above ``before`` a set, within the caller's transaction."""
    newest = log.last_seq(con)
    if newest == before:
        return
    row = con.execute("SELECT at FROM twin_sets ORDER BY id DESC LIMIT 1").fetchone()
    at = max(log.now(), row[0] if row else "")
    con.execute(
        "INSERT INTO twin_sets (first, last, at, actor, via, message, address, layer, generation, undone)"
        " VALUES (?,?,?,?,?,?,?,?,?,?)",
        (before + 1, newest, at, by.actor, by.via, by.message, by.address, layer, generation, by.undone),
    )


def adopt(con: sqlite3.Connection) -> int:
    """Take what other programs logged into sets, within the caller's transaction; the newest number."""
    newest, known = log.last_seq(con), _last(con)
    if newest > (known.last if known else 0):
        con.executemany(
            f"INSERT INTO twin_sets ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            ([getattr(one, name) for name in COLUMNS.split(", ")] for one in _foreign(con, known)),
        )
    return newest


def pending(con: sqlite3.Connection) -> list[ChangeSet]:
    """The sets that :func:`adopt` would write."""
    return list(_foreign(con, _last(con)))


def _last(con: sqlite3.Connection) -> ChangeSet | None:
    row = con.execute(f"SELECT {COLUMNS} FROM twin_sets ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else read(row)


def _foreign(con: sqlite3.Connection, known: ChangeSet | None) -> Iterator[ChangeSet]:
    """One set for each run of rows of one second that are in none yet."""
    beginning, began = keeping.beginning(con)
    number, after, latest = (known.id, known.last, known.at) if known else (0, beginning, began)
    rows = con.execute(
        "SELECT seq, layer, at FROM twin_changes WHERE seq > ? ORDER BY seq", (max(after, beginning),)
    )
    for run in _runs(rows):
        latest, number = max(latest, _text(run.at)), number + 1
        yield ChangeSet(
            id=number,
            first=run.first,
            last=run.last,
            at=latest,
            actor=None,
            via="other",
            message="",
            layer=run.layer,
        )


@dataclass(slots=True)
class _Run:
    first: int
    last: int
    at: int | None
    layer: str | None  # None: of several


def _runs(rows: Iterable[tuple[int, str, int | None]]) -> Iterator[_Run]:
    """Rows of one second that follow each other, of which there may be millions."""
    run: _Run | None = None
    for seq, layer, at in rows:
        if run is None or _second(at) != _second(run.at):
            if run is not None:
                yield run
            run = _Run(seq, seq, at, layer)
        run.last, run.at = seq, at
        run.layer = layer if run.layer == layer else None
    if run is not None:
        yield run


def _second(at: int | None) -> int | None:
    return None if at is None else at // 1000


def _text(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    try:
        return instants.utc(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (ValueError, OverflowError, OSError):  # written by a clock that is none
        return ""


def read(row: Sequence[Any]) -> ChangeSet:
    """A set from the values of :data:`COLUMNS`."""
    return ChangeSet(**dict(zip(COLUMNS.split(", "), row, strict=True)))


def with_number(con: sqlite3.Connection, seq: int) -> ChangeSet | None:
    """The set that a number is of, or the nearest before it."""
    return _newest(con, lambda one: one.first <= seq)


def of_numbers(con: sqlite3.Connection, numbers: Collection[int]) -> dict[int, ChangeSet | None]:
    """The sets of numbers of the log, by these; None where one was given before there were sets."""
    found: dict[int, ChangeSet | None] = {}
    late = pending(con)
    following: Iterator[Any] = iter(())
    one: ChangeSet | None = None
    for number in sorted(numbers):
        if late and number >= late[0].first:
            found[number] = next((s for s in late if s.first <= number <= s.last), None)
            continue
        for _ in range(_NEAR):  # those of neighbours are asked for together
            if one is None or one.last >= number:
                break
            row = next(following, None)
            one = None if row is None else read(row)
        if one is None or not one.first <= number <= one.last:
            one = with_number(con, number)
            sql = f"SELECT {COLUMNS} FROM twin_sets WHERE id > ? ORDER BY id"
            following = iter(()) if one is None else con.execute(sql, (one.id,))
        found[number] = one if one is not None and one.last >= number else None
    return found


def not_after(con: sqlite3.Connection, at: str) -> ChangeSet | None:
    """The newest set that was not made after an instant."""
    return _newest(con, lambda one: one.at <= at)


def _newest(con: sqlite3.Connection, holds: Callable[[ChangeSet], bool]) -> ChangeSet | None:
    """The last set for which something holds that holds for all before it, by halving: sets need no index."""
    row = con.execute("SELECT min(id), max(id) FROM twin_sets").fetchone()
    if row[0] is None:
        return None
    low, high, found = row[0], row[1], None
    sql = f"SELECT {COLUMNS} FROM twin_sets WHERE id >= ? ORDER BY id LIMIT 1"
    while low <= high:
        middle = (low + high) // 2
        one = read(con.execute(sql, (middle,)).fetchone())
        if one.id > high:
            high = middle - 1
        elif holds(one):
            found, low = one, one.id + 1
        else:
            high = middle - 1
    return found


def chosen(
    con: sqlite3.Connection, after: int, before: int | None, actor: str | None, layer: str | None, limit: int
) -> list[ChangeSet]:
    """See :meth:`layers.store.base.Store.change_sets`."""
    conditions = ["id > ?"]
    bound: list[Any] = [after]
    if before is not None:
        conditions.append("id < ?")
        bound.append(before)
    if actor is not None:
        conditions.append("actor = ?")
        bound.append(actor)
    if layer is not None:
        conditions.append(
            "(layer = ? OR layer IS NULL AND EXISTS (SELECT 1 FROM twin_changes c WHERE c.layer = ?"
            " AND c.seq BETWEEN first AND last))"
        )
        bound += [layer, layer]
    sql = f"SELECT {COLUMNS} FROM twin_sets WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"
    found = [read(row) for row in con.execute(sql, (*bound, limit))]
    if actor is not None:  # which nobody knows of other programs
        return found
    late = [
        one
        for one in reversed(pending(con))
        if one.id > after and (before is None or one.id < before) and (layer is None or _of(con, one, layer))
    ]
    return [*late, *found][:limit]


def _of(con: sqlite3.Connection, one: ChangeSet, layer: str) -> bool:
    """Whether a set has changes of a layer."""
    if one.layer is not None:
        return one.layer == layer
    sql = "SELECT 1 FROM twin_changes WHERE layer=? AND seq BETWEEN ? AND ? LIMIT 1"
    return con.execute(sql, (layer, one.first, one.last)).fetchone() is not None

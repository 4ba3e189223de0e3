"""When the city was how: moments, change sets, and the versions of a feature."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from layers.errors import BadParameter, Gone, NotFound, shown
from layers.model import ChangeSet, Moment, Version
from layers.store.asking import number_or_instant
from layers.store.geopackage import keeping, log, past, recorded, sets
from layers.store.geopackage.connection import quoted

_LARGEST = 2**63 - 1


def moment(con: sqlite3.Connection, at: str) -> Moment:
    """See :meth:`layers.store.base.Store.moment`; within a read transaction."""
    asked, pending = number_or_instant(at), sets.pending(con)
    number, began = keeping.beginning(con)
    if isinstance(asked, int):
        newest = log.last_seq(con)
        if asked > newest:
            raise BadParameter("at", at, f"at most @{newest}, the newest number that was given")
        found = _last(pending, lambda one: one.first <= asked) or sets.with_number(con, asked)
        if found is not None and found.last < asked:
            found = None  # of before there were sets
        return _moment(con, at, found, before=asked < number)
    if asked > log.now():
        raise BadParameter("at", at, "an instant that has been")
    found = _last(pending, lambda one: one.at <= asked) or sets.not_after(con, asked)
    return _moment(con, at, found, before=asked < began)


def _last(found: Sequence[ChangeSet], holds: Callable[[ChangeSet], bool]) -> ChangeSet | None:
    return next((one for one in reversed(found) if holds(one)), None)


def _moment(con: sqlite3.Connection, at: str, found: ChangeSet | None, *, before: bool) -> Moment:
    """The moment after a set; without one, the beginning."""
    number, began = keeping.beginning(con)
    if found is None or found.last < number:
        found = None
        if before:
            raise _gone(con, at)
    seq, instant = (found.last, found.at) if found else (number, began)
    least = city(con)
    if seq < least:
        raise _gone(con, at)
    newest = log.last_seq(con)
    return Moment(seq=seq, at=instant, fixed=seq < newest)


def _gone(con: sqlite3.Connection, at: str) -> Gone:
    first = kept(con, None)
    return Gone(f"at={shown(at)}: the history of the city is kept from {first.at} (@{first.seq}) on")


def city(con: sqlite3.Connection) -> int:
    """The least number after which something is known of the city: of a layer that there is, or was."""
    known = [keeping.since(con, layer) for layer in recorded.layers(con) if keeping.is_kept(con, layer)]
    return max(keeping.beginning(con)[0], min(known, default=0))


def kept(con: sqlite3.Connection, layer: str | None) -> Moment:
    """See :meth:`layers.store.base.Store.kept`; within a read transaction."""
    if layer is not None and layer not in recorded.layers(con):
        raise NotFound(f"there is no layer {shown(layer)}")
    seq = city(con) if layer is None else keeping.since(con, layer)
    beginning, began = keeping.beginning(con)
    found = _last(sets.pending(con), lambda one: one.first <= seq) or sets.with_number(con, seq)
    at = began if found is None or found.last <= beginning else found.at
    return Moment(seq=seq, at=at, fixed=seq < log.last_seq(con))


def versions(con: sqlite3.Connection, layer: str, fid: int, before: int | None, limit: int) -> list[Version]:
    """See :meth:`layers.store.base.Store.versions`; within a read transaction."""
    if layer not in recorded.layers(con):
        raise NotFound(f"there is no layer {shown(layer)}")
    rows: list[tuple[int, int]] = []
    least = keeping.since(con, layer)
    if abs(fid) <= _LARGEST and past.is_there(con, layer):
        bound = "" if before is None else f" AND p.until <= {int(before)}"
        rows = con.execute(
            f"SELECT p.until, p.there FROM {quoted(past.table(layer))} p"
            f" WHERE p.fid = :fid AND p.until > :least{bound}{past.LOGGED}"
            " ORDER BY p.until DESC LIMIT :limit",
            {"layer": layer, "fid": fid, "least": least, "limit": limit + 1},
        ).fetchall()
    present = _is_present(con, layer, fid)
    if not rows and before is None and not present:
        raise NotFound(f"layer {layer} has no feature {shown(fid)}")
    states: list[tuple[int | None, bool]] = [(until, bool(there)) for until, there in rows]
    if before is None:
        states.insert(0, (None, present))
    pending = sets.pending(con)
    found: list[Version] = []
    for i, (until, there) in enumerate(states[:limit]):
        since = states[i + 1][0] if i + 1 < len(states) else None
        if since is None and not there:
            break  # before it was created
        first = _first(con, layer, until) if since is None else 0
        known = since is not None or first > least  # else it was so before anything is known
        begin = max(least, first) if since is None else since
        made = _made(con, pending, begin) if known else None
        found.append(Version(since=begin, until=until, at=made.at if made else None, there=there, set=made))
    return found


def earliest(con: sqlite3.Connection, layer: str, fid: int) -> Version | None:
    """See :meth:`layers.store.base.Store.earliest`; within a read transaction."""
    until: int | None = None
    if abs(fid) <= _LARGEST and past.is_there(con, layer):
        until = con.execute(
            f"SELECT min(p.until) FROM {quoted(past.table(layer))} p"
            f" WHERE p.fid = :fid AND p.there AND p.until > :least{past.LOGGED}",
            {"layer": layer, "fid": fid, "least": keeping.since(con, layer)},
        ).fetchone()[0]
    found = versions(con, layer, fid, until, 1)
    return found[0] if found and found[0].there else None


def _made(con: sqlite3.Connection, pending: Sequence[ChangeSet], seq: int) -> ChangeSet | None:
    """The set that a number is of; None where it was given before there were sets."""
    made = _last(pending, lambda one: one.first <= seq) or sets.with_number(con, seq)
    return made if made is not None and made.last >= seq else None


def _is_present(con: sqlite3.Connection, layer: str, fid: int) -> bool:
    if abs(fid) > _LARGEST:
        return False
    there = con.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (layer,)).fetchone()
    if there is None or con.execute("SELECT 1 FROM twin_layers WHERE id=?", (layer,)).fetchone() is None:
        return False
    return con.execute(f"SELECT 1 FROM {quoted(layer)} WHERE fid=?", (fid,)).fetchone() is not None


def _first(con: sqlite3.Connection, layer: str, until: int | None) -> int:
    """The number with which the layer came that there was before a change, or is now (None); 0 where it came
    before the history's beginning."""
    row = con.execute(
        "SELECT max(until) FROM twin_records WHERE layer=? AND record IS NULL AND (? IS NULL OR until < ?)",
        (layer, until, until),
    ).fetchone()
    return int(row[0] or 0)

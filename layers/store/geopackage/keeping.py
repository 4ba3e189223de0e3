"""How far back a city's history reaches: what is to be kept of it, where it begins, and why there."""

from __future__ import annotations

import sqlite3

from layers.store.geopackage import log
from layers.store.history import Retention

#: The format in which every old row is kept whole.
WHOLE = 7
#: In place of a layer's id: the city as a whole.
CITY = ""


def retention(con: sqlite3.Connection) -> Retention:
    """What the settings said last."""
    row = con.execute("SELECT value FROM twin_meta WHERE key='history'").fetchone()
    return Retention.parsed(row[0] if row else None)


def is_kept(con: sqlite3.Connection, layer: str) -> bool:
    """Whether old rows of a layer are written."""
    return retention(con).of(layer) != 0


def is_shared(con: sqlite3.Connection) -> bool:
    """Whether old rows are written without what their change left as it was: not in a file of format 7,
    which is only read."""
    row = con.execute("SELECT value FROM twin_meta WHERE key='format'").fetchone()
    return bool(row != (str(WHOLE),))


def cut(con: sqlite3.Connection, layer: str, seq: int, why: str) -> None:
    """From now on nothing of before a number of the log is known of a layer: its history ``began``, was
    ``pruned``, has a ``gap`` (a program took our triggers away), or was turned ``off``."""
    con.execute("INSERT OR IGNORE INTO twin_kept VALUES (?,?,?,?)", (layer, seq, why, log.now()))


def begin(con: sqlite3.Connection) -> None:
    """Note that the history of the city begins here."""
    cut(con, CITY, log.last_seq(con), "began")


def begin_epoch(con: sqlite3.Connection, epoch: str) -> None:
    """Note that numbers from here on are of another history than those of the same value before."""
    con.execute("INSERT INTO twin_epochs VALUES (?,?,?)", (epoch, log.last_seq(con), log.now()))


def beginning(con: sqlite3.Connection) -> tuple[int, str]:
    """The number of the log after which the city's history begins, and the instant."""
    row: tuple[int, str] = con.execute(
        "SELECT seq, at FROM twin_kept WHERE layer='' ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return row


def since(con: sqlite3.Connection, layer: str) -> int:
    """The least number after which a layer is known: of before it, nothing is."""
    row = con.execute("SELECT max(seq) FROM twin_kept WHERE layer IN ('', ?)", (layer,)).fetchone()
    number = int(row[0] or 0)
    if is_kept(con, layer):
        return number
    newest = con.execute("SELECT max(seq) FROM twin_changes WHERE layer=?", (layer,)).fetchone()[0]
    return max(number, newest or 0)

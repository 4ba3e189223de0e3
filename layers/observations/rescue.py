"""A ``live.gpkg`` that cannot be used: it is kept, and what can be read of it is taken over."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from layers.damage import is_damage
from layers.observations.tables import FORMAT, SCHEMA

#: Files beyond this many bytes are not walked whole when they are opened: a second of reading.
WALKED = 256 * 2**20


@dataclass(frozen=True, slots=True)
class RescueResult:
    """How many rows were taken over, and whether every table was read to its end."""

    rows: int
    whole: bool


def damage(conn: sqlite3.Connection, size: int) -> str | None:
    """Why a file of so many bytes is not one of live data, None where it is. Raises sqlite3.Error for what
    is no damage (locks, room)."""
    try:
        meta = dict(conn.execute("SELECT key, value FROM twin_live"))
        known = int(meta["format"]) == FORMAT and bool(meta["epoch"])
        if size <= WALKED:
            (state,) = conn.execute("PRAGMA quick_check(1)").fetchone()
            return None if state == "ok" and known else "its pages contradict each other"
        return None if known else "it is of another format"
    except (KeyError, ValueError):
        return "it is of another format"
    except sqlite3.Error as error:
        if is_damage(error):
            return "its pages cannot be read"
        if "no such table" in str(error):
            return "it has no live data"
        raise


def make(path: Path) -> sqlite3.Connection:
    """A new file with the tables of live data and nothing in them, in the place of what lies there."""
    path.unlink(missing_ok=True)
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    conn.executescript(SCHEMA)
    return conn


def take_over(source: sqlite3.Connection, target: sqlite3.Connection) -> RescueResult:
    """Copy what can be read of the tables of one file into those of another; a table whose middle cannot be
    read is read from both ends."""
    rows, whole = 0, True
    # of a file that was cut SQLite reads what is left only so (btree.c, lockBtree)
    with contextlib.suppress(sqlite3.Error):
        source.execute("PRAGMA writable_schema=ON")
    target.execute("BEGIN")
    names = [name for (name,) in target.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    for name in (one for one in names if not one.startswith(("gpkg_", "sqlite_", "twin_"))):
        columns = list(target.execute(f"PRAGMA table_info({name})"))
        listed = ", ".join(f'"{column[1]}"' for column in columns)
        key = [column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]]
        insert = f"INSERT OR IGNORE INTO {name} ({listed}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        for order in ("", " DESC"):
            broken: list[sqlite3.Error] = []
            select = f"SELECT {listed} FROM {name} ORDER BY {', '.join(part + order for part in key)}"  # noqa: S608
            rows += max(0, target.executemany(insert, _until_broken(source, select, broken)).rowcount)
            if not broken:
                break
            whole = False
    # a number that was given once is not given again
    for name, seq in _until_broken(source, "SELECT name, seq FROM sqlite_sequence", []):
        target.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (seq, name))
    if whole:
        for row in _until_broken(source, "SELECT value FROM twin_live WHERE key = 'epoch'", []):
            target.execute("UPDATE twin_live SET value = ? WHERE key = 'epoch'", row)
    target.execute("COMMIT")
    return RescueResult(rows, whole)


def _until_broken(
    source: sqlite3.Connection, select: str, broken: list[sqlite3.Error]
) -> Iterator[tuple[object, ...]]:
    try:
        source.text_factory = lambda raw: raw.decode("utf-8", "replace")
        yield from source.execute(select)
    except sqlite3.Error as error:
        broken.append(error)
    finally:
        source.text_factory = str

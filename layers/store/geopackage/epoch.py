"""Whether this file continues the history that earlier ETags were made from.

An ETag is ``epoch-seq``. A file restored from a copy would count the same numbers again over other
contents, so a small mark beside the store remembers the newest log row that was ever shown: its
number, its random nonce, and the file's inode (a restored copy of a whole folder brings an old mark
with it, but a new inode). Where the mark does not agree, the store gets a new epoch.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path


def fresh() -> str:
    """A new epoch: 48 random bits, hexadecimal."""
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest log row that was shown to anyone."""

    epoch: str
    seq: int
    nonce: int
    inode: int


def of(con: sqlite3.Connection, store: Path) -> Mark:
    """The mark that describes the store as the connection sees it."""
    epoch = con.execute("SELECT value FROM twin_meta WHERE key='epoch'").fetchone()[0]
    row = con.execute("SELECT seq, nonce FROM twin_changes ORDER BY seq DESC LIMIT 1").fetchone()
    seq, nonce = row or (0, 0)
    return Mark(epoch, seq, nonce, store.stat().st_ino)


def read(path: Path) -> Mark | None:
    """The mark that was kept, or None when there is none that can be read."""
    try:
        return Mark(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def continues(con: sqlite3.Connection, kept: Mark | None, now: Mark) -> bool:
    """Whether the log of the file still holds the row that the mark names."""
    if kept is None or kept.epoch != now.epoch or kept.inode != now.inode or kept.seq > now.seq:
        return False
    if kept.seq == 0:
        return True
    row = con.execute("SELECT nonce FROM twin_changes WHERE seq=?", (kept.seq,)).fetchone()
    return row is not None and row[0] == kept.nonce


def write(path: Path, mark: Mark) -> None:
    """Keep a mark, unless a newer one of the same epoch is there. Raises OSError."""

    path.parent.mkdir(exist_ok=True)
    lock = os.open(path.with_suffix(".mark-lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = read(path)
        if kept and kept.epoch == mark.epoch and kept.inode == mark.inode and kept.seq >= mark.seq:
            return
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps({s: getattr(mark, s) for s in Mark.__slots__}))
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.close(lock)

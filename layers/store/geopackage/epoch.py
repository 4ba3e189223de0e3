"""Whether this file continues the history that earlier ETags were made from.

An ETag is ``epoch-seq``. A file restored from a copy would count the same numbers again over other
contents, so a small mark beside the store remembers the newest log row that was ever shown: its
number, its random nonce, and the file's inode (a restored copy of a whole folder brings an old mark
with it, but a new inode). Where the mark does not agree, the store gets a new epoch.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from pathlib import Path

from layers.store.geopackage import catalog, keeping
from layers.store.geopackage.connection import sqlite_errors, transaction
from layers.store.mark import Mark, fresh_epoch, parsed, read

_SIZE = 512  # within one sector


def of(con: sqlite3.Connection, store: Path) -> Mark:
    """The mark that describes the store as the connection sees it."""
    epoch = con.execute("SELECT value FROM twin_meta WHERE key='epoch'").fetchone()[0]
    row = con.execute("SELECT seq, nonce FROM twin_changes ORDER BY seq DESC LIMIT 1").fetchone()
    seq, nonce = row or (0, 0)
    return Mark(epoch, seq, nonce, store.stat().st_ino)


def continues(con: sqlite3.Connection, recorded: Mark | None, now: Mark) -> bool:
    """Whether the log of the file still holds the row that the mark names."""
    if (
        recorded is None
        or recorded.epoch != now.epoch
        or recorded.inode != now.inode
        or recorded.seq > now.seq
    ):
        return False
    if recorded.seq == 0:
        return True
    row = con.execute("SELECT nonce FROM twin_changes WHERE seq=?", (recorded.seq,)).fetchone()
    return row is not None and row[0] == recorded.nonce


def begin(con: sqlite3.Connection, path: Path, mark: Path, *, read_only: bool) -> str | None:
    """Renew the epoch unless the mark shows that the file continues its history.

    Gives the epoch that holds for this process alone, where the file cannot be written."""
    recorded = read(mark)
    with sqlite_errors():
        if continues(con, recorded, of(con, path)):
            return None
    if read_only:
        return fresh_epoch()
    with transaction(con):
        # another process may have opened it at the same moment and been first
        if not continues(con, read(mark), of(con, path)):
            epoch = fresh_epoch()
            con.execute("UPDATE twin_meta SET value=? WHERE key='epoch'", (epoch,))
            keeping.begin_epoch(con, epoch)
            catalog.touch(con)
    return None


class Keeper:
    """Keeps the mark of one store up to date. Not safe to use from several threads at once.

    The file is written in place: to replace it costs a millisecond, a thousand times a small write, at
    the first read after every edit. A write that a power cut tears is no mark, and means a new epoch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def keep(self, mark: Mark) -> None:
        """Keep a mark, unless a newer one of the same history is there. Raises OSError."""
        file = self._opened()
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            recorded = parsed(os.pread(file, _SIZE, 0))
            if (
                recorded
                and recorded.epoch == mark.epoch
                and recorded.inode == mark.inode
                and recorded.seq >= mark.seq
            ):
                return
            text = json.dumps({s: getattr(mark, s) for s in Mark.__slots__})
            os.pwrite(file, text.ljust(_SIZE).encode(), 0)
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    def _opened(self) -> int:
        if self._file is not None and os.fstat(self._file).st_nlink == 0:
            self.close()
        if self._file is None:
            self._path.parent.mkdir(exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return self._file

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

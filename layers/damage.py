"""SQLite files that are damaged: what tells them, and how they are kept out of the way."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

#: What a file without use answers (sqlite.org/rescode.html).
_DAMAGED = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
)
_BESIDE = ("-wal", "-shm")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is damaged, rather than locked, full or asked something wrong."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def aside(path: Path, why: str) -> str:
    """Move a file and its log out of the way; the name under which it is kept. Raises OSError."""
    moved = free_name(path, why)
    for end in ("", *_BESIDE):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{end}", f"{moved}{end}")
    return moved.name


def free_name(path: Path, why: str) -> Path:
    """A name beside the file that says what it is and since when."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return path.with_name(f"{path.name}.{why}-{stamp}Z")

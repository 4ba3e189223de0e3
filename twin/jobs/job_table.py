"""The table of jobs: durable, so that what became of one is known after a restart, too."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from layers.damage import aside, is_damage
from layers.errors import Unavailable

log = logging.getLogger("twin")

#: As OGC API - Processes Part 1 (OGC 18-062r2), clause 7.12, names them.
type State = Literal["accepted", "running", "successful", "failed", "dismissed"]
FILE = "jobs.db"
#: How long it is kept what became of a job.
KEPT = timedelta(days=7)
#: Records that a listing gives, the newest.
LISTED = 1000
INTERRUPTED = "the server ended while the job ran"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job. Times are UTC (ISO 8601); ``progress`` is per cent; ``code`` and ``detail`` say why it
    failed; ``result`` is what its work returned. ``kept`` tells a job that goes on without anybody waiting
    for it, so that it is begun again after a restart."""

    id: str
    work: str
    input: Mapping[str, Any]
    caller: str | None
    rights: str
    kept: bool
    created: str
    state: State = "accepted"
    started: str | None = None
    ended: str | None = None
    progress: int = 0
    message: str = ""
    code: str | None = None
    detail: str | None = None
    result: Mapping[str, Any] | None = None


def instant(before: timedelta = timedelta()) -> str:
    """This moment, or one before it, as a record holds it."""
    moment = datetime.now(UTC) - before
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JobTable:
    """The jobs of one city. Safe with threads; in memory where the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._path = folder / FILE
        self._con, self._inode = self._opened()

    def put(self, record: JobRecord) -> None:
        """Keep a record as it is now. Raises sqlite3.Error when the disk does not take it."""
        row = record.id, record.created, record.state, msgspec.json.encode(record).decode()
        with self._connected() as con, con:
            con.execute("INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?)", row)

    def get(self, job_id: str) -> JobRecord | None:
        """The record of a job."""
        records = self._records("WHERE id = ?", job_id)
        return records[0] if records else None

    def newest(self) -> list[JobRecord]:
        """The newest jobs first."""
        return self._records("ORDER BY created DESC, id LIMIT ?", LISTED)

    def recover(self) -> list[JobRecord]:
        """After a start: forget what is old, mark what was interrupted; the jobs that are to be begun."""
        with self._connected() as con, con:
            con.execute("DELETE FROM job WHERE created < ?", (instant(KEPT),))
        waiting = []
        for record in self._records("WHERE state IN ('accepted', 'running') ORDER BY created, id"):
            if record.state == "accepted" and record.kept:
                waiting.append(record)
                continue
            ended = replace(record, state="failed", ended=instant(), code="Unavailable", detail=INTERRUPTED)
            self.put(ended)
        return waiting

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._con.close()

    def _records(self, where: str, *values: object) -> list[JobRecord]:
        with self._connected() as con:
            rows = con.execute(f"SELECT record FROM job {where}", values).fetchall()  # noqa: S608
        records = []
        for (text,) in rows:
            with contextlib.suppress(msgspec.DecodeError):
                records.append(msgspec.json.decode(text, type=JobRecord))
        return records

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, of the file that lies there; one that is damaged is set aside.

        Raises Unavailable for what was asked of a damaged file: it is well when it is asked again."""
        with self._lock:
            if self._inode != _inode(self._path):
                self._con.close()
                self._con, self._inode = self._opened()
            try:
                yield self._con
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                self._anew()
                raise Unavailable("the table of jobs was damaged and begins anew: ask again") from error

    def _anew(self) -> None:
        self._aside()
        self._con.close()
        self._con, self._inode = self._opened()

    def _aside(self) -> None:
        with contextlib.suppress(OSError):
            moved = aside(self._path, "damaged")
            log.warning("%s is damaged: it is kept as %s, and begins anew", FILE, moved)

    def _opened(self) -> tuple[sqlite3.Connection, int | None]:
        """A connection, and the number of its file; None where it is in memory."""
        for _ in range(2):
            try:
                return _open(str(self._path)), _inode(self._path)
            except sqlite3.OperationalError:
                break
            except sqlite3.DatabaseError:
                self._aside()
        return _open(":memory:"), _inode(self._path)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _open(name: str) -> sqlite3.Connection:
    con = sqlite3.connect(name, timeout=10, check_same_thread=False)
    try:
        # a record that is lost with the machine's power is no loss: its job is lost with it
        con.execute("PRAGMA journal_mode = WAL")
        con.execute("PRAGMA synchronous = NORMAL")
        con.execute(
            "CREATE TABLE IF NOT EXISTS job (id TEXT PRIMARY KEY, created TEXT NOT NULL,"
            " state TEXT NOT NULL, record TEXT NOT NULL) STRICT"
        )
        con.execute("BEGIN IMMEDIATE").connection.rollback()  # a file that is there may be read-only
    except sqlite3.Error:
        con.close()
        raise
    return con

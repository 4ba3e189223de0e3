"""The table of jobs: durable, so that what became of one is known after a restart, too."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

#: As OGC API - Processes Part 1 (OGC 18-062r2), clause 7.12, names them.
type State = Literal["accepted", "running", "successful", "failed", "dismissed"]
FILE = "jobs.db"
#: How long it is kept what became of a job.
KEPT = timedelta(days=7)
#: Records that a listing gives, the newest.
LISTED = 1000
INTERRUPTED = "the server ended while the job ran"


@dataclass(frozen=True, slots=True)
class Record:
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


class Table:
    """The jobs of one city. Safe with threads; in memory where the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._con = _open(str(folder / FILE))
        except sqlite3.OperationalError:
            self._con = _open(":memory:")

    def put(self, record: Record) -> None:
        """Keep a record as it is now. Raises sqlite3.Error when the disk does not take it."""
        row = record.id, record.created, record.state, msgspec.json.encode(record).decode()
        with self._lock, self._con:
            self._con.execute("INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?)", row)

    def get(self, job_id: str) -> Record | None:
        """The record of a job."""
        found = self._records("WHERE id = ?", job_id)
        return found[0] if found else None

    def newest(self) -> list[Record]:
        """The newest jobs first."""
        return self._records("ORDER BY created DESC, id LIMIT ?", LISTED)

    def recover(self) -> list[Record]:
        """After a start: forget what is old, mark what was interrupted; the jobs that are to be begun."""
        with self._lock, self._con:
            self._con.execute("DELETE FROM job WHERE created < ?", (instant(KEPT),))
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

    def _records(self, where: str, *values: object) -> list[Record]:
        with self._lock:
            rows = self._con.execute(f"SELECT record FROM job {where}", values).fetchall()  # noqa: S608
        return [msgspec.json.decode(text, type=Record) for (text,) in rows]


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
    except sqlite3.OperationalError:
        con.close()
        raise
    return con

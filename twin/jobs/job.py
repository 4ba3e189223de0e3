"""One job as its server holds it, and what who waits for it may take of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from layers.errors import Conflict
from twin.jobs import work
from twin.jobs.job_table import JobRecord


class Ended(Conflict):
    """The job was ended before it was done."""

    code = "Dismissed"


class Taker(Protocol):
    """Who waits for a job and wants more of it than its result: what it writes into its folder."""

    def begin(self, folder: Path) -> None:
        """Before the work begins. Runs in a thread, as ``take``."""

    def take(self, folder: Path, result: Mapping[str, Any]) -> None:
        """When the work is done, before the folder is removed."""


class Job:
    """One job that this server does: its record as it is now, its folder while it runs."""

    def __init__(self, record: JobRecord, taker: Taker | None = None) -> None:
        self.record = record
        self.taker = taker
        self.folder: Path | None = None
        self.begun = asyncio.Event()
        self.task: asyncio.Task[Mapping[str, Any]] | None = None

    async def result(self) -> Mapping[str, Any]:
        """Wait for what its work returns. Raises what that raised, Busy, Ended, Unavailable.

        The job goes on when whoever waits is cancelled."""
        assert self.task is not None
        try:
            return await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if self.task.cancelled():
                raise Ended("the job was ended before it was done") from None
            raise

    def seen(self) -> JobRecord:
        """Its record, with how far it is."""
        if self.record.state != "running" or self.folder is None:
            return self.record
        progress, message = work.noted(self.folder)
        return replace(self.record, progress=progress, message=message)

"""Jobs: work that is too long for an answer or too heavy for the server's own process.

One pool a server: a few processes that are kept for the next job, a bounded number of jobs that wait, a
durable table of all of them. A job is ended by killing its process, so it can be ended whatever it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from layers.errors import Busy, Conflict, NotFound, TwinError, Unavailable, shown
from twin.access.caller import Caller
from twin.access.rights import Rights
from twin.jobs import registry
from twin.jobs.child import BEGUN, Order, perform
from twin.jobs.job import Ended, Job, Taker
from twin.jobs.job_table import JobRecord, JobTable, instant
from twin.jobs.kept import FileCache
from twin.jobs.scratch import Scratch
from twin.jobs.work import Work
from twin.threads import Threads

__all__ = ["Ended", "Job", "Jobs"]

log = logging.getLogger("twin")

#: Processes of the pool.
PROCESSES = 3
#: Jobs that wait and are to be done whether or not anybody waits for them.
WAITING = 100


class Jobs:
    """The pool of one server and city. For one event loop, and called in it."""

    def __init__(self, city: Path, rules: Rights) -> None:
        self._city, self._rules = city, rules
        self._table = JobTable(city)
        #: Files that jobs have made, for whoever asks for them again.
        self.kept = FileCache()
        self._scratch = Scratch(city / "derived" / "jobs")
        self._files = Threads(1, "twin-jobs")
        self._running: dict[str, Job] = {}
        self._places: dict[str, asyncio.Semaphore] = {}
        self._pool = asyncio.Semaphore(PROCESSES)
        self._processes: CapacityLimiter | None = None
        self._closing = False

    async def recover(self) -> None:
        """Begin what was accepted before the server ended."""
        try:
            left = await self._files.run(self._table.recover)
        except Unavailable:
            left = []  # what a damaged table held is told in the log
        for record in left:
            with contextlib.suppress(NotFound):
                self._begin(Job(record), registry.find(record.work), None)

    async def start(
        self,
        work_id: str,
        values: Mapping[str, Any],
        caller: Caller,
        *,
        patience: float | None = None,
        taker: Taker | None = None,
    ) -> Job:
        """Begin a job. With ``patience`` somebody waits for it: it is Busy when it gets no place within so
        many seconds, and not begun again after a restart. Raises NotFound, BadParameter, Busy."""
        kind = registry.find(work_id)
        kind.read(values)
        durable = patience is None
        if durable and sum(job.record.kept for job in self._running.values()) >= WAITING:
            raise Busy(f"{WAITING} jobs wait already; try again later")
        name = secrets.token_hex(8)
        record = JobRecord(name, work_id, dict(values), caller.name, caller.rights, durable, instant())
        await self._put(record)
        job = Job(record, taker)
        self._begin(job, kind, patience)
        return job

    async def cancel(self, job_id: str, caller: Caller) -> JobRecord:
        """End a job, whatever it does. Raises NotFound, Conflict when it has ended already."""
        await self.get(job_id, caller)
        job = self._running.get(job_id)
        if job is None or job.task is None or not job.task.cancel():
            raise Conflict(f"job {job_id} has ended already")
        await asyncio.wait([job.task])
        return job.record

    async def list(self, caller: Caller) -> list[JobRecord]:
        """The newest jobs that a caller may see: those of its own rights, without a key those of nobody."""
        records = await self._files.run(self._table.newest)
        return [self._now(one) for one in records if _shown(one, caller)]

    async def get(self, job_id: str, caller: Caller) -> JobRecord:
        """One job. Raises NotFound, alike where there is none and where it is not the caller's to see."""
        record = await self._files.run(self._table.get, job_id)
        if record is None or not _shown(record, caller):
            raise NotFound(f"there is no job {shown(job_id)}")
        return self._now(record)

    async def drop(self, job: Job) -> None:
        """End a job of the caller's own, if it has not ended."""
        if job.task is not None and job.task.cancel():
            await asyncio.wait([job.task])

    async def stop(self) -> None:
        """End what runs; what waits and is kept is begun again after the next start."""
        self._closing = True
        self.kept.close()
        await asyncio.gather(*map(self.drop, list(self._running.values())))

    def close(self) -> None:
        """Close the table and the kept files. Nothing runs any more."""
        self.kept.close()
        self._files.close()
        self._table.close()

    def _now(self, record: JobRecord) -> JobRecord:
        job = self._running.get(record.id)
        return record if job is None else job.seen()

    def _begin(self, job: Job, kind: Work, patience: float | None) -> None:
        self._running[job.record.id] = job
        job.task = asyncio.create_task(self._do(job, kind, patience))
        job.task.add_done_callback(_retrieve)

    async def _do(self, job: Job, kind: Work, patience: float | None) -> Mapping[str, Any]:
        """Wait for a place, do the work, keep what became of it."""
        try:
            async with self._place(kind, patience):
                result = await self._perform(job)
        except asyncio.CancelledError:
            if not (self._closing and job.record.kept and job.record.state == "accepted"):
                await self._end(job, state="dismissed")
            raise
        except TwinError as error:
            await self._end(job, state="failed", code=error.code, detail=str(error))
            raise
        except Exception:
            log.exception("job %s (%s) failed", job.record.id, kind.id)
            reason = "an unexpected error; the server's log has it"
            await self._end(job, state="failed", code="ServerError", detail=reason)
            raise Unavailable(reason) from None
        finally:
            self._running.pop(job.record.id, None)
        await self._end(job, state="successful", progress=100, result=result)
        return result

    @asynccontextmanager
    async def _place(self, kind: Work, patience: float | None) -> AsyncIterator[None]:
        """A place among those of the kind and of the pool. Raises Busy."""
        of_kind = self._places.setdefault(kind.id, asyncio.Semaphore(kind.places))
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(patience):
                    for places in (of_kind, self._pool):
                        await held.enter_async_context(places)
            except TimeoutError as error:
                reason = (
                    f"all {kind.places} places of the job {kind.id} are taken at this moment; try again soon"
                )
                raise Busy(reason) from error
            yield

    async def _perform(self, job: Job) -> Mapping[str, Any]:
        """Do the work in a process of the pool. Raises what it raises."""
        async with self._folder() as folder:
            record = job.record
            if job.taker is not None:
                await self._files.run(job.taker.begin, folder)
            job.record, job.folder = replace(record, state="running", started=instant()), folder
            await self._put(job.record)
            job.begun.set()
            order = Order(
                record.work, record.input, record.rights, self._rules, self._city, folder, os.getpid()
            )
            done = await self._beside(order)
            if isinstance(done, TwinError):
                raise done
            if job.taker is not None:
                await self._files.run(job.taker.take, folder, done)
            job.record = replace(job.seen(), progress=100)
            return done

    async def _beside(self, order: Order) -> Mapping[str, Any] | TwinError:
        """Do the work in a process that is there, or a new one. Raises Unavailable when it dies of it."""
        for _ in range(PROCESSES + 1):
            try:
                return await to_process.run_sync(perform, order, cancellable=True, limiter=self._limiter())
            except BrokenWorkerProcess as error:
                if (order.folder / BEGUN).exists():
                    reason = "the process of this job died; it may need more memory than there is"
                    raise Unavailable(reason) from error
                # one that had died while it waited for work
        raise Unavailable("no process for this job can be started")

    @asynccontextmanager
    async def _folder(self) -> AsyncIterator[Path]:
        """A folder of the job's own, made and removed beside the event loop."""
        held = self._scratch.folder()
        folder = await self._files.run(held.__enter__)
        try:
            yield folder
        finally:
            await asyncio.shield(self._files.run(held.__exit__, None, None, None))

    def _limiter(self) -> CapacityLimiter:
        if self._processes is None:
            self._processes = CapacityLimiter(PROCESSES)
        return self._processes

    async def _end(self, job: Job, **changes: Any) -> None:
        job.record = replace(job.record, ended=instant(), **changes)
        await asyncio.shield(self._put(job.record))

    async def _put(self, record: JobRecord) -> None:
        """Keep a record; a full disk costs the record, not the job."""
        try:
            await self._files.run(self._table.put, record)
        except (sqlite3.Error, Unavailable) as error:
            log.warning("the record of a job could not be kept: %s", error)


def _shown(record: JobRecord, caller: Caller) -> bool:
    return record.rights == caller.rights and (caller.name is not None or record.caller is None)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Nobody need wait for a job: what it raised is in its record."""
    if not task.cancelled():
        task.exception()

"""What a job makes beside its result, taken by the one who waits: a file, or a stream of pieces."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from layers.errors import Unavailable
from twin.jobs.job import Job

#: Name of the pipe in a job's folder; its work opens it and writes.
PIPE = "pipe"
#: Bytes that the pipe holds, where the kernel allows it, and that are read at a time.
PIPE_BYTES = 1 << 20


class FileTaker:
    """Takes the file that the result names: open, and without a name any more."""

    def __init__(self) -> None:
        self.file: BinaryIO | None = None
        self.size = 0

    def begin(self, folder: Path) -> None:
        """Nothing is needed."""

    def take(self, folder: Path, result: Mapping[str, Any]) -> None:
        """Open the file."""
        self.file = (folder / result["file"]).open("rb")
        self.size = result["size"]

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()


class PipeTaker:
    """Takes what the work writes into the pipe, while it writes."""

    def __init__(self) -> None:
        self._pipe: int | None = None

    def begin(self, folder: Path) -> None:
        """Make the pipe. It is held open for writing, too: how much was written tells its end, not who is
        there to write."""
        os.mkfifo(folder / PIPE, 0o600)
        self._pipe = os.open(folder / PIPE, os.O_RDWR | os.O_NONBLOCK)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def take(self, folder: Path, result: Mapping[str, Any]) -> None:
        """What is still in the pipe stays there."""

    async def pieces(self, job: Job) -> AsyncGenerator[bytes]:
        """What the work writes, until it is done. Raises what the job raises."""
        done = asyncio.ensure_future(job.result())
        sent = 0
        try:
            while True:
                ended = done.done()
                piece = self._read()
                sent += len(piece)
                if piece:
                    yield piece
                elif not ended:
                    await self._wait(job, done)
                elif done.result()["size"] == sent:
                    return
                else:
                    raise Unavailable("a part of what the job made was lost")
        finally:
            done.cancel()

    def _read(self) -> bytes:
        try:
            return b"" if self._pipe is None else os.read(self._pipe, PIPE_BYTES)
        except BlockingIOError:
            return b""

    async def _wait(self, job: Job, done: asyncio.Future[Any]) -> None:
        """Until there is something to read or the job has ended."""
        loop, pipe, ready = asyncio.get_running_loop(), self._pipe, job.begun
        if pipe is not None:
            ready = asyncio.Event()
            loop.add_reader(pipe, ready.set)
        waiting = asyncio.ensure_future(ready.wait())
        try:
            await asyncio.wait([waiting, done], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if pipe is not None:
                loop.remove_reader(pipe)
            waiting.cancel()

    def close(self) -> None:
        """Close the pipe: whoever writes learns that nobody reads."""
        if self._pipe is not None:
            os.close(self._pipe)

"""Files that jobs have made, kept for a while for whoever reads them part by part.

A client that opens a file on the web (GDAL's ``/vsicurl/``, DuckDB) asks for its length and then for many
pieces of it, all of which must be of one file."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import BinaryIO

#: How long a file is kept after it was last read; how many files and bytes at one time.
KEPT_SECONDS = 300.0
MOST_FILES = 16
MOST_BYTES = 2 << 30

type Made = tuple[BinaryIO, int]


class Held:
    """An open file without a name, its size in bytes and a mark that no other file has."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.mark = secrets.token_hex(4)
        self.users = 0
        self.dropped = False
        self.timer: asyncio.TimerHandle | None = None


class FileCache:
    """Files by what they were made of. For one event loop, and called in it."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, Held] = OrderedDict()
        self._making: dict[Hashable, asyncio.Event] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held

    @asynccontextmanager
    async def of(self, key: Hashable, make: Callable[[], Awaitable[Made]]) -> AsyncIterator[Held]:
        """The file of a key, open as long as the block lasts. It is made once however many ask; where that
        fails, the next one who waits tries anew. Raises what ``make`` raises."""
        held = await self._find(key, make)
        held.users += 1
        if held.timer is not None:
            held.timer.cancel()
        try:
            yield held
        finally:
            held.users -= 1
            self._rest(key, held)

    def close(self) -> None:
        """Close all that nobody reads; what is read is closed by its last reader."""
        for key in list(self._held):
            self._drop(key)

    async def _find(self, key: Hashable, make: Callable[[], Awaitable[Made]]) -> Held:
        while key not in self._held:
            if (waiting := self._making.get(key)) is not None:
                await waiting.wait()
                continue
            self._making[key] = done = asyncio.Event()
            try:
                self._held[key] = Held(*await make())
            finally:
                del self._making[key]
                done.set()
        self._held.move_to_end(key)
        return self._held[key]

    def _rest(self, key: Hashable, held: Held) -> None:
        if held.users:
            return
        if held.dropped:
            held.file.close()
            return
        held.timer = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._drop, key)
        while len(self._held) > MOST_FILES or sum(one.size for one in self._held.values()) > MOST_BYTES:
            self._drop(next(iter(self._held)))

    def _drop(self, key: Hashable) -> None:
        held = self._held.pop(key)
        held.dropped = True
        if held.timer is not None:
            held.timer.cancel()
        if not held.users:
            held.file.close()

"""A city that is open: its settings, store, tiles, live data and keys, held together."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from layers.errors import Busy
from layers.store.base import Store
from twin.access.keys import Keys
from twin.settings import CitySettings

if TYPE_CHECKING:
    from tiles.service import Tiles
    from twin.live import Live
    from twin.live.bus import Bus

T = TypeVar("T")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass
class City:
    """Everything an HTTP module may use. Built by :func:`twin.app.open_city`."""

    folder: Path
    settings: CitySettings
    store: Store
    tiles: Tiles
    live: Live
    bus: Bus
    keys: Keys
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, "twin-read"))

    async def run(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run blocking work in the reader threads."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, partial(call, *args, **kwargs))

    def hosts(self) -> frozenset[str]:
        """The host names this server answers to."""
        public = urlsplit(self.settings.url).hostname if self.settings.url else None
        return LOOPBACK | set(self.settings.allowed_hosts) | ({public} if public else set())

    def trusts(self, scope: Mapping[str, Any]) -> bool:
        """Whether the peer is a proxy whose X-Forwarded-* headers are believed."""
        client = scope.get("client") or ("",)
        return client[0] in self.settings.trusted_proxies


class Lock:
    """One server a city: an advisory lock on ``city.lock``, released by the kernel if we die."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "city.lock"
        self._handle: int | None = None

    def take(self) -> None:
        """Take the lock. Raises Busy when another server has it; a read-only folder has no lock."""
        try:
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        except (PermissionError, OSError):
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "?"
            os.close(handle)
            raise Busy(f"another server (process {pid}) serves this city already") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

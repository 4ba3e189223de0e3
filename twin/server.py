"""``twin serve``: one process, one city, one socket."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import gc
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from layers.errors import Busy, Unavailable
from twin import app, connections
from twin.city import Lock
from twin.http.respond import ASGIApp
from twin.transport import Protocol

log = logging.getLogger("twin")
#: How long a stop waits for answers that were begun, and then for those that are told of it.
SHUTDOWN_SECONDS, LAST_SECONDS = 5.0, 1.0
#: How long a start waits for a database that is not up yet.
PATIENCE_SECONDS = 30.0
#: Parameters of mallopt(3), and how much free memory the process keeps.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 64 * 2**20


class Server(uvicorn.Server):
    """uvicorn that says when it is ready and where, and ends open streams before it waits for them."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """A stream never ends by itself, so it is told first."""
        self._stopping()
        await super().shutdown(sockets)

    async def _wait_tasks_to_complete(self) -> None:
        """Wait for answers as long as is said; whoever still waits then is told (503)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await super()._wait_tasks_to_complete()
        if tasks := set(self.server_state.tasks):
            log.warning("%d requests were not answered within %g s of the stop", len(tasks), SHUTDOWN_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=LAST_SECONDS)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Busy when the port is taken or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise Busy(f"port {port} on {host} is in use: choose another with --port") from error
        raise Busy(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return sock


def address(sock: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def config(application: ASGIApp) -> uvicorn.Config:
    """How the HTTP server runs an application: quiet, bounded shutdown, no header that names it."""
    return uvicorn.Config(
        application,
        http=Protocol,
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(SHUTDOWN_SECONDS + 2 * LAST_SECONDS),
        proxy_headers=False,
    )


def keep_freed_memory() -> None:
    """Have the C library keep what a large answer freed for the next one (mallopt(3)).

    Left to itself, glibc gives some of it back after every answer of a megabyte, and the kernel clears
    the pages again for the next. Other C libraries go without."""
    with contextlib.suppress(AttributeError, OSError):
        tune = ctypes.CDLL(None).mallopt
        tune(M_TRIM_THRESHOLD, KEPT_BYTES)
        tune(M_MMAP_THRESHOLD, KEPT_BYTES // 4)


def serve(folder: Path, host: str, port: int, ready: Callable[[str], None] | None = None) -> None:
    """Serve until a signal. Raises Busy (city or port taken), NotFound, BadConfig, Unavailable."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    # a lost database is told once, by us; the driver would tell each attempt to reach it
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    keep_freed_memory()
    connections.OPEN.most = connections.descriptors()
    lock = Lock(folder)
    lock.take()
    try:
        sock = bind(host, port)
        url = address(sock)
        city = app.open_city(folder, PATIENCE_SECONDS)
        with contextlib.suppress(Unavailable):  # told already
            for reason in city.unreadable().values():
                log.warning("%s", reason)

        def announce() -> None:
            # what was imported stays: a collector that walks it again costs 20 ms a time
            gc.collect()
            gc.freeze()
            if ready is not None:
                ready(url)
            else:
                print(f"Serving {folder.name} at {url}/", flush=True)

        Server(config(app.build(city)), announce, city.bus.close).run([sock])
    finally:
        lock.release()

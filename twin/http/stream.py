"""/stream: server-sent events. A snapshot, then what changes; one stream a page."""

from __future__ import annotations

import asyncio
import contextlib

from layers.errors import Busy, NotFound
from twin.access.caller import CALLER
from twin.city import City
from twin.http import respond
from twin.http.errors import WrongMethod
from twin.http.respond import ASGIApp, Receive, Scope, Send
from twin.live.bus import MAX_CLIENTS, Client, encode

HEARTBEAT_SECONDS = 15.0
#: How soon a stream ends whose reader's key was removed, or who sees something else by now.
RECHECK_SECONDS = 5.0
STALLED_SECONDS = 30.0
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    *respond.CORS,
]


def make(city: City) -> ASGIApp:
    """The ASGI callable for /stream."""
    return _Room(city)


class _Room:
    def __init__(self, city: City) -> None:
        self._city = city

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/stream":
            raise NotFound("the one stream is /stream")
        if scope["method"] not in ("GET", "HEAD"):
            raise WrongMethod(scope["method"], "GET, HEAD")
        given = respond.query_map(scope, ("last_event_id",))
        bus = self._city.bus
        if bus.clients >= MAX_CLIENTS:
            raise Busy(f"{MAX_CLIENTS} streams are open already")
        if scope["method"] == "HEAD":
            await respond.send(send, 200, b"", _HEADERS)
            return
        last = respond.header(scope, b"last-event-id") or given.get("last_event_id")
        client, whole = bus.subscribe(last, scope[CALLER].rights)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._until_gone(client, whole, scope, receive, send)
        finally:
            bus.unsubscribe(client)

    async def _until_gone(
        self, client: Client, whole: bool, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Feed the client until it goes away, stalls, is somebody else, or the server stops."""
        tasks = [
            asyncio.create_task(self._feed(client, whole, send)),
            asyncio.create_task(respond.gone(receive)),
            asyncio.create_task(self._city.bus.closed.wait()),
            asyncio.create_task(self._until_other(scope)),
        ]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for task in done:
            if not isinstance(task.exception(), TimeoutError | OSError | None):
                await task
        if tasks[0] not in done:
            # a body that ends well lets the server close without waiting; the peer may be gone
            with contextlib.suppress(OSError):
                await send({"type": "http.response.body", "body": b""})

    async def _until_other(self, scope: Scope) -> None:
        """Until the request would be another caller's than it was."""
        caller, callers = scope[CALLER], self._city.callers
        while callers.of(scope) == caller:
            await asyncio.sleep(RECHECK_SECONDS)

    async def _feed(self, client: Client, whole: bool, send: Send) -> None:
        if not whole:
            await self._snapshot(send)
        else:
            await _write(send, b": replayed\n\n")
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await client.wake.wait()
            except TimeoutError:
                await _write(send, b": still here\n\n")
                continue
            if client.lost:
                client.wake.clear()
                client.lost = False
                await self._snapshot(send)
            else:
                await _write(send, client.take())

    async def _snapshot(self, send: Send) -> None:
        """What is queued is older than the snapshot or idempotent on top of it; the id is taken first,
        so that a replay from it repeats rather than misses."""
        position = self._city.bus.at
        data = await self._city.run(self._city.snapshot)
        await _write(send, b"retry: 1000\n" + encode("snapshot", data, position))


async def _write(send: Send, data: bytes) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await send({"type": "http.response.body", "body": data, "more_body": True})

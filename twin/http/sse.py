"""Event streams (WHATWG HTML, server-sent events): what each of them is sent as, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine

from twin.access.caller import CALLER, Caller
from twin.city import City
from twin.http import answers, respond
from twin.http.respond import Headers, Receive, Scope, Send

HEARTBEAT_SECONDS = 15.0
#: How soon a stream ends whose reader's key was removed, or who sees something else by now.
RECHECK_SECONDS = 5.0
STALLED_SECONDS = 30.0
MEDIA = "text/event-stream"
HEADERS: Headers = [
    (b"content-type", MEDIA.encode() + b"; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
#: Tells a reader, and what lies between, that the stream goes on.
BEAT = b": still here\n\n"


async def stream(
    city: City, feed: Coroutine[None, None, None], scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer with an event stream that ``feed`` writes (:func:`write`), until the client goes away, stalls,
    is somebody else, or the server stops."""
    await answers.start(send, 200, HEADERS)
    tasks = [
        asyncio.create_task(feed),
        asyncio.create_task(respond.gone(receive)),
        asyncio.create_task(city.bus.closed.wait()),
        asyncio.create_task(_until_other(city, scope)),
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


async def write(send: Send, data: bytes) -> None:
    """Send whole events. Raises TimeoutError when the client takes nothing for long."""
    async with asyncio.timeout(STALLED_SECONDS):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _until_other(city: City, scope: Scope) -> None:
    """Until the request would be another caller's than it was."""
    began: Caller = scope[CALLER]
    now = began
    while (now.name, now.rights) == (began.name, began.rights):
        await asyncio.sleep(RECHECK_SECONDS)
        now = city.callers.of(scope)

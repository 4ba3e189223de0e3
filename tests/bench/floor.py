"""The constant-bytes floor: the same HTTP server, an ASGI callable that answers fixed bytes.

``/<n>`` answers n bytes, ``/304`` answers 304 with an ETag. Run: ``python -m tests.bench.floor``.
"""

from __future__ import annotations

from twin import server
from twin.http.respond import Receive, Scope, Send

BODIES: dict[str, bytes] = {}
HEADERS = [
    (b"content-type", b"application/geo+json"),
    (b"etag", b'"00000000-1"'),
    (b"cache-control", b"no-cache"),
]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Fixed bytes; nothing is looked up but a dict entry."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]
    if path == "/304":
        await send({"type": "http.response.start", "status": 304, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b""})
        return
    body = BODIES.get(path)
    if body is None:
        body = BODIES[path] = b"x" * int(path[1:])
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve on a free port and print the address, as ``twin serve`` does."""
    sock = server.bind("127.0.0.1", 0)
    url = server.address(sock)
    server.Server(server.config(app), lambda: told("floor", url), lambda: None).run([sock])


def told(name: str, url: str) -> None:
    """The line that a starter waits for."""
    print(f"Serving {name} at {url}/", flush=True)


if __name__ == "__main__":
    main()

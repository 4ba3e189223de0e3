"""The same city through pygeoapi's own items path: the peer of the items figures.

Same HTTP server, same store, same process model; only the road differs.
Run: ``python -m tests.bench.pygeoapi_path CITY``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench.floor import told
from twin import app, server
from twin.http.ogc import pygeoapi_host
from twin.http.respond import ASGIApp, Receive, Scope, Send


def make(folder: Path) -> ASGIApp:
    """An ASGI callable for ``/collections/{id}/items?…`` through pygeoapi."""
    city = app.open_city(folder)
    host = pygeoapi_host.Host(city)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        layer_id = scope["path"].split("/")[-2]
        query = scope["query_string"].decode()
        status, content = await city.run(host.raw_items, "http://127.0.0.1/ogc", layer_id, query)
        body = content.encode()
        headers = [(b"content-type", b"application/geo+json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def main() -> None:
    """Serve on a free port and print the address."""
    sock = server.bind("127.0.0.1", 0)
    url = server.address(sock)
    application = make(Path(sys.argv[1]))
    server.Server(server.config(application), lambda: told("pygeoapi", url), lambda: None).run([sock])


if __name__ == "__main__":
    main()

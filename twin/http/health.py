"""/health/live (the process answers) and /health/ready (it can do its work)."""

from __future__ import annotations

from layers.errors import NotFound, TwinError
from twin.access.caller import CALLER, Caller
from twin.access.rights import ALL
from twin.city import City
from twin.http import respond
from twin.http.respond import ASGIApp, Receive, Scope, Send


def make(city: City) -> ASGIApp:
    """The ASGI callable below /health."""

    async def health(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        if scope["path"] == "/health/live":
            await respond.send_json(send, {"status": "live"})
        elif scope["path"] == "/health/ready":
            status, body = await _ready(city, scope[CALLER])
            await respond.send_json(send, body, status, [(b"retry-after", b"2")] if status == 503 else [])
        else:
            raise NotFound("the checks are /health/live and /health/ready")

    return health


async def _ready(city: City, caller: Caller) -> tuple[int, dict[str, object]]:
    """200 with the state of each part, 503 when the store cannot be read.

    A table of the city that cannot be read is named (to those who see all), and does not make the server
    unready."""
    try:
        view = city.catalogue.of(caller)
        layers = await city.read(view.layers)
        seq = await city.read(view.seq)
        broken = await city.read(city.unreadable) if caller.rights == ALL else {}
    except TwinError as error:
        return 503, {"status": "not ready", "store": str(error)}
    return 200, {
        "status": "ready",
        "layers": len(layers),
        "features": sum(layer.count for layer in layers),
        "seq": seq,
        "read_only": view.read_only,
        "unreadable": broken,
    }

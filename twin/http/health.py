"""/health/live (the process answers) and /health/ready (it can do its work)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from layers.errors import TwinError
from layers.model import has_features
from twin.access.caller import CALLER, Caller
from twin.access.rights import ALL
from twin.city import City
from twin.http import answers, respond
from twin.http.context import Context, Link, link
from twin.http.formats import JSON
from twin.http.openapi_parts import get, object_of, ok
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site


def make(site: Site) -> Sequence[Room]:
    """The two checks."""
    city = site.city

    async def live(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        await answers.give_json(scope, send, {"status": "live"})

    async def ready(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        status, body = await _ready(city, scope[CALLER])
        retry = [(b"retry-after", b"2")] if status == 503 else []
        await answers.give_json(scope, send, body, retry, status)

    routes = (
        Route("/health/live", {"GET": live}, _describe_live),
        Route("/health/ready", {"GET": ready}, _describe_ready),
    )
    return (Room("health", ("State of the server", "服务状态"), routes, _links),)


def _links(context: Context) -> list[Link]:
    # RFC 8631, section 4.4
    return [link("status", f"{context.root}/health/ready", JSON, context.say("State", "服务状态"))]


def _status(*values: str) -> dict[str, Any]:
    return object_of({"status": {"type": "string", "enum": list(values)}}, "status")


def _describe_live(context: Context) -> dict[str, Any]:
    summary = context.say("The process answers", "进程在运行")
    return {"get": get("health.live", "health", summary, ok(summary, {JSON: _status("live")}), [])}


def _describe_ready(context: Context) -> dict[str, Any]:
    summary = context.say("The server can do its work", "服务可用")
    found = get("health.ready", "health", summary, ok(summary, {JSON: _status("ready")}), [])
    found["responses"]["503"] = ok("It cannot", {JSON: _status("not ready")})
    return {"get": found}


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
        "features": sum(layer.count for layer in layers if has_features(layer)),
        "seq": seq,
        "read_only": view.read_only,
        "unreadable": broken,
    }

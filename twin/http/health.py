"""/health/live (the process answers), /health/ready (it can do its work, part by part) and /metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from layers.errors import TwinError
from layers.model import has_features
from twin import metrics, part_status
from twin.access import caller
from twin.access.caller import CALLER, Caller
from twin.access.rights import ALL
from twin.city import City
from twin.http import answers, respond
from twin.http.context import Context, Link, link
from twin.http.formats import JSON
from twin.http.openapi_parts import get, keyed, object_of, ok
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site
from twin.part_status import OK, PartStatus


def make(site: Site) -> Sequence[Room]:
    """The two checks, and the figures."""
    city = site.city
    known = metrics.Figures(city)

    async def live(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        await answers.give_json(scope, send, {"status": "live"})

    async def ready(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        status, body = await _ready(city, scope[CALLER])
        retry = [(b"retry-after", b"2")] if status == 503 else []
        await answers.give_json(scope, send, body, retry, status)

    async def figures(scope: Scope, receive: Receive, send: Send) -> None:
        # who may act on the city may see how busy it is; behind a proxy every peer is loopback, so the
        # address of the peer says nothing
        respond.query_map(scope, ())
        caller.named(scope)
        body = await city.run(known.text)
        media = (b"content-type", metrics.MEDIA.encode())
        await answers.give(scope, send, (body,), [media, answers.VARY_CODING])

    routes = (
        Route("/health/live", {"GET": live}, _describe_live),
        Route("/health/ready", {"GET": ready}, _describe_ready),
        Route("/metrics", {"GET": figures}, _describe_metrics),
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
    summary = context.say("The server can do its work, part by part", "服务各部分是否可用")
    operation = get("health.ready", "health", summary, ok(summary, {JSON: _status("ready", "degraded")}), [])
    operation["responses"]["503"] = ok("It cannot", {JSON: _status("not ready")})
    return {"get": operation}


def _describe_metrics(context: Context) -> dict[str, Any]:
    summary = context.say(
        "Figures of this server in the text format of Prometheus", "运行指标（Prometheus 文本格式）"
    )
    operation = get("metrics", "health", summary, ok(summary, {metrics.MEDIA: {"type": "string"}}), [])
    return {"get": keyed(operation)}


async def _ready(city: City, caller: Caller) -> tuple[int, dict[str, object]]:
    """200 with the state of each part, 503 when one that is read by everybody cannot be.

    A table of the city that cannot be read is named (to those who see all), and does not make the server
    unready; nor does a full disk: what can be read is read, and a proxy must not send its readers away."""
    facts: dict[str, object] = {}
    found = await city.run(part_status.of, city)
    try:
        view = city.catalogue.of(caller)
        layers = await city.read(view.layers)
        facts = {
            "layers": len(layers),
            "features": sum(layer.count for layer in layers if has_features(layer)),
            "seq": await city.read(view.seq),
            "read_only": view.read_only,
            "unreadable": await city.read(city.unreadable) if caller.rights == ALL else {},
        }
        found["store"] = OK
    except TwinError as error:
        facts = {"store": str(error)}
        found["store"] = PartStatus("failed", str(error))
    document = {"parts": {name: part.as_json() for name, part in sorted(found.items())}}
    states = {part.status for part in found.values()}
    if "failed" in states:
        return 503, {"status": "not ready", **facts, **document}
    return 200, {"status": "degraded" if "degraded" in states else "ready", **facts, **document}

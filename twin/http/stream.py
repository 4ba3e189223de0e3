"""/stream: server-sent events. A snapshot, then what changes; one stream a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from layers.errors import BadParameter
from layers.parameters import PARAMETERS, Parameter, between
from twin.access.caller import CALLER
from twin.city import City
from twin.http import answers, respond, sse
from twin.http.context import Context, Link, link
from twin.http.openapi_parts import (
    TEXT,
    array_of,
    get,
    header_parameter,
    object_of,
    ok,
    query_parameter,
    reference,
)
from twin.http.respond import Receive, Scope, Send
from twin.http.room import EventStream, Room, Route, Site
from twin.live.bus import MAX_CLIENTS
from twin.live.client import Client, encode
from twin.live.places import STATES
from twin.live.views import MOST, Wanted
from twin.overload import Shares
from twin.packing import piece

BBOX = PARAMETERS["bbox"]
_SENSOR = Parameter(
    "sensor",
    "With bbox: the id of a datastream that is told wherever it stands",
    {"type": "integer", "minimum": 1, "maximum": 2**53},
    between(1, 2**53),
)
_READ = {one.name: one for one in (BBOX, _SENSOR)}
_IN_VIEW = (
    "Of sensors only those in this box (west, south, east, north), widened to whole cells of the web map; "
    f"more than {MOST} are told as counts by state and cell. Without it, all are told one by one"
)
#: From this many bytes a snapshot is compressed beside the event loop.
LARGE = 32_768


def make(site: Site) -> Sequence[Room]:
    """The one stream."""
    route = Route("/stream", {"GET": EventStreams(site.city).open}, _describe)
    return (Room("stream", ("Changes as they happen", "实时推送"), (route,), _links, streams=_streams),)


def _links(context: Context) -> list[Link]:
    # RFC 5989, section 3.2
    title = context.say("Changes as they happen", "实时推送")
    return [link("monitor", f"{context.root}/stream", sse.MEDIA, title)]


def _describe(context: Context) -> dict[str, Any]:
    summary = context.say("A snapshot, then what changes, as server-sent events", "快照与后续变化（SSE）")
    text = {"type": "string", "maxLength": 200}
    known = "The last event that was received: the stream goes on after it"
    parameters = [
        query_parameter("last_event_id", text, known),
        header_parameter("Last-Event-ID", known, text),
        query_parameter(BBOX.name, dict(BBOX.schema), _IN_VIEW),
        query_parameter("sensor", dict(_SENSOR.schema), _SENSOR.description),
    ]
    return {"get": get("stream", "stream", summary, ok(summary, {sse.MEDIA: {"type": "string"}}), parameters)}


def _streams(context: Context) -> list[EventStream]:
    say = context.say
    whole = {"type": "integer"}
    number = {"type": "number", "nullable": True}
    words, numbers = array_of(TEXT), array_of(number)
    seen = {
        "id": array_of(whole),
        "value": numbers,
        "time": array_of(whole | {"nullable": True, "description": "Milliseconds since 1970"}),
        "state": words,
    }
    sensors = object_of(
        seen
        | dict.fromkeys(("name", "property", "unit"), words)
        | {"lon": numbers, "lat": numbers, "simulated": array_of({"type": "boolean"})},
        "id name property unit lon lat value time state simulated",
    )
    view = object_of({"box": array_of(number), "clusters": _clusters(say)}, "box clusters")
    totals = _totals(whole)
    counts = object_of(dict.fromkeys("1234", whole), "1 2 3 4")
    incidents = array_of(reference("incident"))
    snapshot = object_of(
        {
            "time": TEXT,
            "sensors": sensors,
            "incidents": incidents,
            "open_incidents": counts,
            "view": view,
            "states": totals,
        },
        "time sensors incidents open_incidents",
    )
    tile = object_of({"url": TEXT, "version": TEXT}, "url version")
    layer = object_of({"id": TEXT, "generation": whole}, "id generation")
    events: dict[str, tuple[str, dict[str, Any]]] = {
        "snapshot": (say("What a page begins with, and begins anew with", "页面的起始快照"), snapshot),
        "obs": (
            say("Newest observations, by datastream", "最新观测"),
            object_of(seen, "id value time state"),
        ),
        "view": (
            say("What is in view, where a stream with a bbox goes on", "续传时视野内的内容"),
            object_of({"sensors": sensors, "view": view, "states": totals}, "sensors view states"),
        ),
        "clusters": (say("Counts of cells in view that changed", "视野内变化的聚合计数"), _clusters(say)),
        "states": (say("How many sensors are in each state, in all", "各状态监测设备总数"), totals),
        "sensors": (say("Datastreams that were made or changed", "新增或变更的数据流"), sensors),
        "incident": (
            say("An incident that was reported or moved", "上报或流转的事件"),
            reference("incident"),
        ),
        "open_incidents": (say("How many incidents are open, by level", "各级未结事件数"), counts),
        "tiles": (say("Tiles to be fetched again", "需重新获取的瓦片"), array_of(tile)),
        "layers": (say("A layer to be loaded anew", "需重新加载的图层"), layer),
    }
    return [EventStream("/stream", say("Live data and changes, for the page", "页面实时数据与变化"), events)]


def _totals(whole: dict[str, Any]) -> dict[str, Any]:
    states = object_of(dict.fromkeys(STATES, whole), " ".join(STATES))
    return object_of({"states": states, "simulated": {"type": "boolean"}}, "states simulated")


def _clusters(say: Callable[[str, str], str]) -> dict[str, Any]:
    number, whole = {"type": "number"}, {"type": "integer", "minimum": 0}
    states = say(f"Of each cell: {', '.join(STATES)}", f"每个格网：{'、'.join(STATES)}")
    columns = {
        "zoom": whole,
        **dict.fromkeys(("x", "y", "count"), array_of(whole)),
        **dict.fromkeys(("lon", "lat"), array_of(number)),
        "states": array_of(array_of(whole)) | {"description": states},
        "whole": {"type": "boolean"},
    }
    return object_of(columns, "zoom x y lon lat count states") | {"nullable": True}


class EventStreams:
    """Opens streams until there are too many."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._places = Shares(MAX_CLIENTS, MAX_CLIENTS // 10, "streams")
        self._streams = sse.Streams(city)

    async def open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One stream, until the client goes away. Raises BadParameter, Busy."""
        parameters = respond.query_map(scope, ("last_event_id", *_READ))
        wanted = _wanted(parameters)
        bus = self._city.bus
        with self._places.place(respond.client(self._city, scope)):
            if scope["method"] == "HEAD":
                await answers.send(send, 200, b"", sse.HEADERS)
                return
            last = respond.header(scope, b"last-event-id") or parameters.get("last_event_id")
            client, whole = bus.subscribe(last, scope[CALLER].rights, wanted)
            try:
                feed = partial(self._feed, client, whole)
                await self._streams.stream(feed, scope, receive, send, pack=True)
            finally:
                bus.unsubscribe(client)

    async def _feed(self, client: Client, whole: bool, stream: sse.Stream) -> None:
        if not whole:
            await self._snapshot(client, stream)
        else:
            await stream.write(b": replayed\n\n" + client.take())
            if client in self._city.bus.views:
                await self._view(client, stream)
        client.straight = stream.push
        while True:
            with stream.straight():
                await client.wake.wait()
            if client.lost:
                client.wake.clear()
                client.lost = False
                await self._snapshot(client, stream)
            else:
                await stream.write(client.take())

    async def _snapshot(self, client: Client, stream: sse.Stream) -> None:
        """What is queued is older than the snapshot or idempotent on top of it; the id is taken first,
        so that a replay from it repeats rather than misses."""
        bus = self._city.bus
        position = bus.at
        view = bus.views.again(client) if client in bus.views else None
        data = await self._city.run(self._city.snapshot, view)
        await self._tell(stream, b"retry: 1000\n" + encode("snapshot", data, position))

    async def _view(self, client: Client, stream: sse.Stream) -> None:
        position, views = self._city.bus.at, self._city.bus.views
        data = await self._city.run(views.content, views.of(client))
        await self._tell(stream, encode("view", data, position))

    async def _tell(self, stream: sse.Stream, event: bytes) -> None:
        beside = stream.packs and len(event) > LARGE
        await stream.write(event, await self._city.run(piece, event) if beside else None)


def _wanted(parameters: Mapping[str, str]) -> Wanted | None:
    """What is to be in view. Raises BadParameter."""
    given: dict[str, Any] = {
        name: _READ[name].read(text) for name, text in parameters.items() if name in _READ
    }
    if "bbox" in given:
        return Wanted(given["bbox"], given.get("sensor"))
    if "sensor" in given:
        raise BadParameter("sensor", parameters["sensor"], "is for streams with a bbox: others tell all")
    return None

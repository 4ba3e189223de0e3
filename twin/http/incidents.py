"""/incidents: report, list, read and move incidents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from layers.errors import NotFound, shown
from layers.parameters import AT, Parameter, between
from twin.access import caller
from twin.city import City
from twin.http import answers, etags, past, readable, respond
from twin.http.context import Context, Link, link
from twin.http.formats import GEOJSON, HTML, JSON
from twin.http.openapi_parts import (
    array_of,
    get,
    header_parameter,
    object_of,
    ok,
    path_parameter,
    reference,
    write,
)
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site
from twin.incidents import LENGTHS, feature
from twin.live import clock

BODY_BYTES = 64_000
DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET = 100, 1_000, 100_000
SHAPES = ("json", "geojson", readable.HTML)
_TITLE = ("Incidents", "事件")
_ID = re.compile(r"[1-9][0-9]{0,15}")


def make(site: Site) -> Sequence[Room]:
    """The list, one incident, and its moves."""
    cases = Cases(site.city)
    routes = (
        Route(
            "/incidents",
            {"GET": cases.list, "POST": cases.report},
            cases.describe_list,
            takes={"POST": JSON},
            slash=True,
        ),
        Route("/incidents/{incident}", {"GET": cases.one}, cases.describe_one),
        Route("/incidents/{incident}/actions", {"POST": cases.act}, cases.describe_act, takes={"POST": JSON}),
    )
    return (Room("incidents", _TITLE, routes, _links, schemas=_schemas),)


def _links(context: Context) -> list[Link]:
    here, title = f"{context.root}/incidents", context.say(*_TITLE)
    return [
        link("related", here, JSON, title),
        link("related", f"{here}?f=geojson", GEOJSON, f"{title} (GeoJSON)"),
        link("related", f"{here}?f=html", HTML, f"{title} (HTML)"),
    ]


class Cases:
    """The handlers, and what the API document says of them."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._states = tuple(city.incidents.workflow.states)
        self._parameters = parameters(self._states)
        self._shape = {name: self._parameters[name] for name in ("f", AT.name)}

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The newest incidents."""
        query = respond.query_values(scope, self._parameters)
        send = await self._then(scope, send, query)
        html = readable.wanted(scope, query.get("f"))
        shape, limit = query.pop("f", "json"), query.pop("limit", DEFAULT_LIMIT)
        open_ = query.pop("open", None)
        incidents, matched = await self._city.run(
            self._city.incidents.find, limit=limit, open_=open_, **query
        )
        counts = {"numberMatched": matched, "numberReturned": len(incidents)}
        if html:
            await self._readable(scope, send, _TITLE, {"incidents": incidents, **counts})
        elif shape == "geojson":
            body = {"type": "FeatureCollection", "features": [feature(i) for i in incidents], **counts}
            await answers.give_json(scope, send, body, media=answers.GEOJSON, vary=answers.VARY)
        else:
            await answers.give_json(scope, send, {"incidents": incidents, **counts}, vary=answers.VARY)

    async def one(self, scope: Scope, receive: Receive, send: Send, incident: str) -> None:
        """One incident with its log. Raises NotFound."""
        query = respond.query_values(scope, self._shape)
        send = await self._then(scope, send, query)
        f = query.get("f")
        shape = f or "json"
        document = await self._city.run(self._city.incidents.get, _id(incident), query.get("at"))
        if readable.wanted(scope, f):
            title = (f"Incident {document['code']}", f"事件 {document['code']}")
            await self._readable(scope, send, title, document)
            return
        etag = self._etag(document)
        if await answers.fresh(scope, send, etag, answers.VARY):
            return
        body, media = (feature(document), answers.GEOJSON) if shape == "geojson" else (document, answers.JSON)
        headers = [(b"etag", etag.encode())]
        await answers.give_json(scope, send, body, headers, media=media, vary=answers.VARY)

    async def _then(self, scope: Scope, send: Send, query: dict[str, Any]) -> Send:
        """What sends the answer. The parameter ``at`` of a query becomes an instant (ms). Raises
        BadParameter, Gone."""
        text = query.get(AT.name)
        if text is None:
            return send
        query[AT.name], answering = await past.instant(self._city, scope, send, text)
        return answering

    async def _readable(
        self, scope: Scope, send: Send, title: tuple[str, str], document: Mapping[str, Any]
    ) -> None:
        """The same as a page, which leads to the table of all incidents."""
        base = respond.base_url(self._city, scope)
        path, table = scope["path"].rstrip("/"), f"{base}/ogc/collections/incidents/items?f=html"
        leads = [link("related", table, HTML, "As a table, with a filter · 表格")]
        await readable.give(self._city, scope, send, title, document, f"{base}{path}?f=json", leads)

    async def report(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A new incident: 201 with its address."""
        key, body = await self._read(scope, receive)
        document = await self._city.incidents.report(body, key)
        location = f"{respond.base_url(self._city, scope)}/incidents/{document['id']}"
        headers = [(b"location", location.encode()), (b"etag", self._etag(document).encode())]
        await answers.give_json(scope, send, document, headers, 201)

    async def act(self, scope: Scope, receive: Receive, send: Send, incident: str) -> None:
        """A move of one incident."""
        key, body = await self._read(scope, receive)
        incidents = self._city.incidents
        known = etags.revisions(respond.header(scope, b"if-match"), incidents.epoch)
        document = await incidents.act(_id(incident), body, key, known)
        await answers.give_json(scope, send, document, [(b"etag", self._etag(document).encode())])

    async def _read(self, scope: Scope, receive: Receive) -> tuple[str, Any]:
        """The name of the key and the body."""
        name = caller.require(scope, "incident")
        respond.query_map(scope, ())
        return name, await respond.json_body(scope, receive, BODY_BYTES, JSON)

    def _etag(self, incident: Mapping[str, Any]) -> str:
        return etags.tag(self._city.incidents.epoch, incident["revision"])

    def describe_list(self, context: Context) -> dict[str, Any]:
        """The path item of the list."""
        say = context.say
        summary = say("The newest incidents", "最新事件")
        content = {JSON: "incidents", GEOJSON: "featureCollection", HTML: {"type": "string"}}
        given = [one.openapi() for one in self._parameters.values()]
        made = ok(say("The incident", "事件"), {JSON: "incident"}) | {"headers": _header("Location", "ETag")}
        return {
            "get": get("incidents.list", "incidents", summary, ok(summary, content), given),
            "post": write(
                "incidents.report",
                "incidents",
                say("Report an incident", "上报事件"),
                {"201": made},
                {JSON: "incidentReport"},
            ),
        }

    def describe_one(self, context: Context) -> dict[str, Any]:
        """The path item of an incident."""
        summary = context.say("One incident with its log", "单个事件及日志")
        content = {JSON: "incident", GEOJSON: {"type": "object"}, HTML: {"type": "string"}}
        response = ok(summary, content) | {"headers": _header("ETag")}
        given = [one.openapi() for one in self._shape.values()]
        return {"parameters": [_path()], "get": get("incidents.get", "incidents", summary, response, given)}

    def describe_act(self, context: Context) -> dict[str, Any]:
        """The path item of the moves."""
        summary = context.say("Move an incident along the workflow", "事件流转")
        done = ok(context.say("The incident after it", "流转后的事件"), {JSON: "incident"})
        if_match = header_parameter(
            "If-Match",
            "The ETag of the incident as it was read; its revision number alone is taken too",
            {"type": "string", "pattern": etags.PATTERN},
        )
        return {
            "parameters": [_path()],
            "post": write(
                "incidents.act",
                "incidents",
                summary,
                {"200": done | {"headers": _header("ETag")}},
                {JSON: "incidentAction"},
                [if_match],
                (409, 412),
            ),
        }


def parameters(states: Sequence[str]) -> dict[str, Parameter]:
    """The parameters of the list, for a workflow of these states."""
    table = (
        Parameter(
            "status",
            "Only incidents in this state.",
            {"type": "string", "enum": list(states)},
            _one_of(states),
        ),
        Parameter(
            "level",
            "Only incidents of this level, 1 the worst.",
            {"type": "integer", "minimum": 1, "maximum": 4},
            between(1, 4),
        ),
        Parameter(
            "since",
            "Only incidents that changed at this instant or later (RFC 3339).",
            {"type": "string", "format": "date-time"},
            # a plus sign that was not percent-encoded arrives as a space
            lambda text: clock.parse(text.replace(" ", "+"), "since"),
        ),
        Parameter(
            "open",
            "Only incidents that have not ended, the worst first (true), or that have (false).",
            {"type": "boolean"},
            _truth,
        ),
        Parameter(
            "offset",
            "How many to leave out at the beginning.",
            {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
            between(0, MAX_OFFSET),
        ),
        Parameter(
            "limit",
            "How many at most.",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            between(1, MAX_LIMIT),
        ),
        Parameter("f", "The representation.", {"type": "string", "enum": list(SHAPES)}, _one_of(SHAPES)),
        AT,
    )
    return {one.name: one for one in table}


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _one_of(known: Sequence[str]) -> Any:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError("one of " + ", ".join(known))
        return text

    return parse


def _id(text: str) -> int:
    if not _ID.fullmatch(text):
        raise NotFound(f"no incident {shown(text)}")
    return int(text)


def _path() -> dict[str, Any]:
    return path_parameter("incident", {"type": "integer", "minimum": 1, "format": "int64"}, "Its id")


def _header(*names: str) -> dict[str, Any]:
    return {name: {"description": name, "schema": {"type": "string"}} for name in names}


def _schemas(context: Context) -> dict[str, Any]:
    text = {"type": "string"}
    words: dict[str, Any] = {
        name: {"type": "string", "maxLength": most, "nullable": True} for name, most in LENGTHS.items()
    }
    place = {
        name: {"type": "number", "minimum": -most, "maximum": most, "nullable": True}
        for name, most in (("lon", 180), ("lat", 90))
    }
    members: dict[str, Any] = {
        **words,
        "title": {"type": "string", "minLength": 1, "maxLength": LENGTHS["title"]},
        "level": {"type": "integer", "minimum": 1, "maximum": 4, "nullable": True},
        **place,
        "simulated": {"type": "boolean", "nullable": True},
        "sensor": {"type": "integer", "nullable": True},
    }
    times_ = {name: {"type": "string", "format": "date-time"} for name in ("reported", "changed")}
    number = {"type": "integer", "minimum": 1}
    own = {"id": number, "code": text, "status": text, "revision": number, **times_}
    listed = {name: array_of({"type": "object"}) for name in ("actions", "log")}
    count = {"type": "integer", "minimum": 0}
    return {
        "incident": object_of({**own, **members, **listed}, "id code title level status revision"),
        "incidents": object_of(
            {"incidents": array_of(reference("incident")), "numberMatched": count, "numberReturned": count},
            "incidents numberMatched numberReturned",
        ),
        "incidentReport": object_of(members, "title") | {"additionalProperties": False},
        "incidentAction": object_of({"action": text, "note": text | {"maxLength": 4000}}, "action")
        | {"additionalProperties": False},
    }

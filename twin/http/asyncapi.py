"""The event streams of the server as AsyncAPI 3.0, at ``/asyncapi.json``.

It is made of what the rooms declare, as the API document is: channels of their event streams, query
parameters of the routes that open them, schemas of the events. Those are JSON Schema here, in which what may
be null has two types (OpenAPI 3.0 has a word of its own)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from twin.access.caller import CALLER
from twin.http import answers, negotiate, respond
from twin.http.context import Context, Link, link
from twin.http.formats import ASYNCAPI
from twin.http.negotiate import text
from twin.http.openapi_parts import get, ok
from twin.http.respond import Receive, Scope, Send
from twin.http.room import EventStream, Room, Route, Site

VERSION = "3.0.0"
#: Of the bindings of HTTP (github.com/asyncapi/bindings, http).
BINDING = "0.3.0"
_SCHEMAS = "#/components/schemas/"


def make(site: Site) -> Sequence[Room]:
    """The document of all rooms of the site."""
    city = site.city

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        lang = negotiate.language(scope, city.settings.languages)
        base = respond.base_url(city, scope) + "/ogc"
        context = Context(city, city.catalogue.of(scope[CALLER]), base, lang, scope["path"])
        body = await city.aside(lambda: orjson.dumps(document(context, site.rooms)))
        await answers.give_document(scope, send, body, ASYNCAPI, lang)

    route = Route("/asyncapi.json", {"GET": answer}, _describe)
    return (Room("asyncapi", ("The event streams", "事件流接口定义"), (route,), _links),)


def _title(context: Context) -> str:
    return context.say("Definition of the event streams (AsyncAPI)", "事件流定义（AsyncAPI）")


def _links(context: Context) -> list[Link]:
    return [link("service-desc", f"{context.root}/asyncapi.json", ASYNCAPI, _title(context))]


def _describe(context: Context) -> dict[str, Any]:
    answer = ok(_title(context), {ASYNCAPI: {"type": "object"}})
    return {"get": get("getAsyncApi", "asyncapi", _title(context), answer, [])}


def document(context: Context, rooms: Sequence[Room]) -> dict[str, Any]:
    """The whole document."""
    root = urlsplit(context.root)
    server = {"host": root.netloc, "protocol": root.scheme} | ({"pathname": root.path} if root.path else {})
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for room in rooms:
        for stream in room.streams(context):
            (route,) = (one for one in room.routes if one.path == stream.path)
            name = stream.path.removeprefix("/").replace("/", "_")
            channels[name] = _channel(stream)
            operations[f"send_{name}"] = _operation(name, stream, route.paths(context)[stream.path]["get"])
    schemas = {name: schema for room in rooms for name, schema in room.schemas(context).items()}
    needed: dict[str, Any] = {}
    _gather(list(_references(channels)), schemas, needed)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": text(context.city.settings.title, context.lang, "City"),
            "version": "1.0.0",
            "description": context.say(
                "What the server tells as it happens, by server-sent events. No key is needed; who sends one "
                "is told of what it may see. The other interfaces are in the API document at /ogc/api.",
                "服务器通过 SSE 推送的变化。无需密钥；带密钥者按其权限获知。其他接口见 /ogc/api。",
            ),
        },
        "servers": {"city": server},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": needed},
    }


def _channel(stream: EventStream) -> dict[str, Any]:
    return {
        "address": stream.path,
        "title": stream.title,
        "messages": {
            name: {
                "name": name,
                "summary": summary,
                "contentType": "application/json",
                "payload": json_schema(schema),
            }
            for name, (summary, schema) in stream.events.items()
        },
    }


def _operation(name: str, stream: EventStream, reading: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [one for one in reading["parameters"] if one["in"] == "query"]
    query = {
        one["name"]: {**json_schema(one["schema"]), "description": one["description"]} for one in parameters
    }
    binding = {
        "method": "GET",
        "query": {"type": "object", "properties": query, "additionalProperties": False},
        "bindingVersion": BINDING,
    }
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "title": stream.title,
        "messages": [{"$ref": f"#/channels/{name}/messages/{event}"} for event in stream.events],
        "bindings": {"http": binding},
    }


def json_schema(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema (draft 7)."""
    if isinstance(schema, list):
        return [json_schema(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: json_schema(value) for name, value in schema.items() if name != "nullable"}
    if schema.get("nullable") is True and "type" in made:
        made["type"] = [made["type"], "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    return made


def _references(part: Any) -> Iterator[str]:
    """The names of the schemas that a part of the document refers to."""
    if isinstance(part, Mapping):
        for name, value in part.items():
            if name == "$ref" and isinstance(value, str) and value.startswith(_SCHEMAS):
                yield value.removeprefix(_SCHEMAS)
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)


def _gather(names: list[str], schemas: Mapping[str, Any], needed: dict[str, Any]) -> None:
    """Put those schemas, and those that they refer to, among the needed ones."""
    while names:
        name = names.pop()
        if name not in needed:
            needed[name] = json_schema(schemas[name])
            names += _references(needed[name])

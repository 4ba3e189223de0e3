"""/sta/v1.1: OGC SensorThings API 1.1 (18-088) over HTTP."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import orjson

from layers.errors import BadParameter
from layers.observations.series import Observation
from layers.parameters import AT
from twin.access import caller
from twin.access.caller import Caller
from twin.city import City
from twin.http import answers, past, readable, respond, sensorthings_paths
from twin.http.context import Context, Link, link
from twin.http.errors import WrongMethod
from twin.http.formats import HTML, JSON, MERGE_PATCH
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site, allowed, never
from twin.http.sensorthings_paths import ROOT
from twin.live.ingest import Transaction
from twin.things import paths
from twin.things.model import CONFORMANCE, OBSERVATIONS, SETS
from twin.things.read import observation
from twin.things.service import PropertyValue, Things
from twin.things.write import Writer

ENTITY_BYTES = 1_000_000
ARRAY_BYTES = 32_000_000
TITLE = ("OGC SensorThings API 1.1", "OGC SensorThings API 1.1（物联感知）")


def make(site: Site) -> Sequence[Room]:
    """The service document, every set below it, and CreateObservations."""
    api = SensorThings(site.city)
    below = {"GET": api.read, "POST": api.create, "PATCH": api.change}
    routes = (
        Route(ROOT, {"GET": api.root}, sensorthings_paths.root, slash=True),
        Route(
            f"{ROOT}/CreateObservations",
            {"POST": api.create_observations},
            sensorthings_paths.arrays,
            takes={"POST": JSON},
            told=never,
        ),
        Route(
            f"{ROOT}/{{resource...}}",
            below,
            describe_all=sensorthings_paths.entities,
            allow=api.allowed,
            takes={"POST": JSON, "PATCH": MERGE_PATCH},
            told=lambda path: not path.endswith("Observations"),
        ),
    )
    return (Room("sta", TITLE, routes, _links, schemas=sensorthings_paths.schemas),)


def _links(context: Context) -> list[Link]:
    # not ``service``: clients of OGC APIs, QGIS among them, take that for the link to the API document
    here, title = context.root + ROOT, context.say(*TITLE)
    return [link("related", here, JSON, title), link("related", f"{here}?f=html", HTML, f"{title} (HTML)")]


class SensorThings:
    """The handlers."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._things = Things(city.live)

    def _base(self, scope: Scope) -> str:
        return respond.base_url(self._city, scope) + ROOT

    async def root(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The service document (clause 9.2.1)."""
        f = respond.query_map(scope, ("f",)).get("f")
        if f not in (None, "json", readable.HTML):
            raise BadParameter("f", f, "one of json, html")
        base = self._base(scope)
        body = {
            "value": [{"name": name, "url": f"{base}/{name}"} for name in SETS],
            "serverSettings": {"conformance": CONFORMANCE},
        }
        if readable.wanted(scope, f):
            leads = [link("item", f"{base}/{name}", JSON, name) for name in SETS]
            await readable.give(self._city, scope, send, TITLE, body, f"{base}?f=json", leads)
        else:
            await answers.give_json(scope, send, body, vary=answers.VARY)

    async def allowed(self, scope: Scope, resource: str) -> Collection[str]:
        """What may be done with a resource, by the form of its path. Raises NotFound."""
        return paths.methods(resource)

    async def read(self, scope: Scope, receive: Receive, send: Send, resource: str) -> None:
        """A set, an entity, a property or its value. Raises NotFound, BadParameter."""
        rest, pairs = resource.strip("/"), respond.query_pairs(scope)
        if not rest:
            await self.root(scope, receive, send)
            return
        gone = partial(respond.gone, receive)
        text = past.asked(scope)
        at: tuple[str, int] | None = None
        if text is not None:
            pairs = [pair for pair in pairs if pair[0] != AT.name]
            then, send = await past.instant(self._city, scope, send, text)
            at = text, then
        media, body = await self._city.sense(self._read, rest, pairs, self._base(scope), at, gone=gone)
        if body is None:
            await answers.send(send, 204, b"", [answers.FRESH])
        else:
            await answers.give(scope, send, (body,), [media, answers.VARY_CODING])

    def _read(
        self, rest: str, pairs: list[tuple[str, str]], base: str, at: tuple[str, int] | None
    ) -> tuple[answers.Header, bytes | None]:
        entity = self._things.read(rest, pairs, base, at)
        return (
            _property(entity) if isinstance(entity, PropertyValue) else (answers.JSON, orjson.dumps(entity))
        )

    async def create(self, scope: Scope, receive: Receive, send: Send, resource: str) -> None:
        """A new entity: 201 with its address. Raises BadBody, NotFound, WrongMethod."""
        rest = _checked(scope, resource)
        caller.require(scope, "observe", "configure")
        respond.query_map(scope, ())
        body = await respond.json_body(scope, receive, ENTITY_BYTES, JSON)
        base, who = self._base(scope), caller.of(scope)
        quick = self._things.lone(rest, body, who)
        if quick is not None:
            entity = OBSERVATIONS
            made, late = await self._city.live.ingest.keep(quick)
            answer = orjson.dumps(observation(base, made, quick, late=late))
        else:
            entity, made = await self._city.live.ingest.put(partial(self._create, rest, body, who))
            answer = await self._city.run(self._made, entity.set, made, base)
        location = (b"location", f"{base}/{entity.set}({made})".encode())
        await answers.send(send, 201, answer, [answers.JSON, answers.FRESH, location])

    def _create(self, rest: str, body: object, who: Caller, tx: Transaction) -> tuple[Any, int]:
        target = paths.resolve(tx.conn, rest)
        return target.entity, Writer(self._city.live, tx, who, self._things.located).create(target, body)

    def _made(self, name: str, id_: int, base: str) -> bytes:
        return orjson.dumps(self._things.entity(name, id_, base))

    async def change(self, scope: Scope, receive: Receive, send: Send, resource: str) -> None:
        """Some properties of an entity anew. Raises BadBody, NotFound, WrongMethod."""
        rest = _checked(scope, resource)
        caller.require(scope, "configure")
        respond.query_map(scope, ())
        body = await respond.json_body(scope, receive, ENTITY_BYTES, JSON, MERGE_PATCH)
        changing = partial(self._change, rest, body, caller.of(scope))
        entity, id_ = await self._city.live.ingest.put(changing)
        answer = await self._city.run(self._made, entity.set, id_, self._base(scope))
        await answers.send(send, 200, answer, [answers.JSON, answers.FRESH])

    def _change(self, rest: str, body: object, who: Caller, tx: Transaction) -> tuple[Any, int]:
        target = paths.resolve(tx.conn, rest)
        assert target.id is not None  # by the form of the path
        Writer(self._city.live, tx, who, self._things.located).patch(target.entity, target.id, body)
        return target.entity, target.id

    async def create_observations(self, scope: Scope, receive: Receive, send: Send) -> None:
        """CreateObservations: good rows are kept in one transaction, bad ones reported by row."""
        caller.require(scope, "observe")
        respond.query_map(scope, ())
        raw = await respond.body_of(scope, receive, ARRAY_BYTES, JSON)
        rows = await self._city.run(self._rows, raw, caller.of(scope))
        good = [row for row in rows if isinstance(row, Observation)]
        ids = iter(await self._city.live.ingest.put(lambda tx: tx.append(good), len(good)) if good else [])
        link = f"{self._base(scope)}/Observations("
        answer = [row if isinstance(row, str) else f"{link}{next(ids)})" for row in rows]
        await answers.send(send, 201, orjson.dumps(answer), [answers.JSON, answers.FRESH])

    def _rows(self, raw: bytes, who: Caller) -> list[Observation | str]:
        return self._things.rows(respond.read_json(raw), who)


def _checked(scope: Scope, resource: str) -> str:
    """The resource, of one that may be written so. Raises NotFound, WrongMethod."""
    methods = paths.methods(resource)
    if scope["method"] not in methods:
        raise WrongMethod(scope["method"], allowed(methods))
    return resource.strip("/")


def _property(single: PropertyValue) -> tuple[answers.Header, bytes | None]:
    """``Things(1)/name`` and ``Things(1)/name/$value`` (clause 9.2.5); no body for one without a value."""
    value = single.value
    if value is None:
        return answers.JSON, None
    if not single.raw:
        return answers.JSON, orjson.dumps({single.prop.name: value})
    # a JSON text is given bare, as the media type says
    bare = orjson.loads(orjson.dumps(value))
    text = bare.encode() if isinstance(bare, str) else orjson.dumps(value)
    return (b"content-type", b"text/plain; charset=utf-8"), text

"""/sta/v1.1: OGC SensorThings API 1.1 (18-088) over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from layers.errors import NotFound
from layers.observations.series import Observation
from twin.access import caller
from twin.city import City
from twin.http import respond
from twin.http.errors import WrongMedia, WrongMethod
from twin.http.respond import ASGIApp, Receive, Scope, Send
from twin.live.ingest import Transaction
from twin.things import paths
from twin.things.model import CONFORMANCE, OBSERVATIONS, SETS
from twin.things.read import observation
from twin.things.service import Things, Value
from twin.things.write import Writer

ROOT = "/sta/v1.1"
ENTITY_BYTES = 1_000_000
ARRAY_BYTES = 32_000_000
_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-cache"), *respond.CORS]


def make(city: City) -> ASGIApp:
    """The ASGI callable for /sta."""
    return _Room(city)


class _Room:
    def __init__(self, city: City) -> None:
        self._city = city
        self._things = Things(city.live)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path != ROOT and not path.startswith(ROOT + "/"):
            raise NotFound(f"the service root is {ROOT}")
        rest = path[len(ROOT) :].strip("/")
        method = scope["method"]
        if method == "OPTIONS":
            await self._options(send)
        elif rest == "CreateObservations":
            if method != "POST":
                raise WrongMethod(method, "POST, OPTIONS")
            await self._arrays(scope, receive, send)
        elif method in ("GET", "HEAD"):
            await (self._get(scope, send, rest) if rest else self._root(scope, send))
        elif rest and method == "POST":
            await self._post(scope, receive, send, rest)
        elif rest and method == "PATCH":
            await self._patch(scope, receive, send, rest)
        else:
            raise WrongMethod(method, "GET, HEAD, POST, PATCH, OPTIONS" if rest else "GET, HEAD, OPTIONS")

    def _base(self, scope: Scope) -> str:
        return respond.base_url(self._city, scope) + ROOT

    async def _options(self, send: Send) -> None:
        allow = b"GET, HEAD, POST, PATCH, OPTIONS"
        headers = [
            (b"allow", allow),
            (b"access-control-allow-methods", allow),
            (b"access-control-allow-headers", b"Authorization, Content-Type, X-Api-Key"),
            *respond.CORS,
        ]
        await respond.send(send, 204, b"", headers)

    async def _root(self, scope: Scope, send: Send) -> None:
        respond.query_map(scope, ())
        base = self._base(scope)
        body = {
            "value": [{"name": name, "url": f"{base}/{name}"} for name in SETS],
            "serverSettings": {"conformance": CONFORMANCE},
        }
        await respond.send(send, 200, orjson.dumps(body), _JSON)

    async def _get(self, scope: Scope, send: Send, rest: str) -> None:
        pairs = respond.query_pairs(scope)
        status, body, headers = await self._city.run(self._read, rest, pairs, self._base(scope))
        await respond.send(send, status, body, headers)

    def _read(self, rest: str, pairs: list[tuple[str, str]], base: str) -> tuple[int, bytes, respond.Headers]:
        found = self._things.read(rest, pairs, base)
        return _property(found) if isinstance(found, Value) else (200, orjson.dumps(found), _JSON)

    async def _post(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        caller.require(scope, "observe")
        respond.query_map(scope, ())
        body = await _body(scope, receive, ENTITY_BYTES)
        base = self._base(scope)
        quick = self._things.lone(rest, body)
        if quick is not None:
            entity = OBSERVATIONS
            made = (await self._city.live.ingest.put(lambda tx: tx.append([quick])))[0]
            answer = orjson.dumps(observation(base, made, quick))
        else:
            entity, made = await self._city.live.ingest.put(partial(self._create, rest, body))
            answer = await self._city.run(self._made, entity.set, made, base)
        location = (b"location", f"{base}/{entity.set}({made})".encode())
        await respond.send(send, 201, answer, [*_JSON, location])

    def _create(self, rest: str, body: object, tx: Transaction) -> tuple[Any, int]:
        target = paths.resolve(tx.conn, rest)
        if target.id is not None or target.prop is not None or target.ref:
            raise WrongMethod("POST", "GET, HEAD, PATCH, OPTIONS")
        return target.entity, Writer(self._city.live, tx).create(target, body)

    def _made(self, name: str, id_: int, base: str) -> bytes:
        return orjson.dumps(self._things.entity(name, id_, base))

    async def _patch(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        caller.require(scope, "observe")
        respond.query_map(scope, ())
        media = ("application/json", "application/merge-patch+json")
        body = await _body(scope, receive, ENTITY_BYTES, media)
        entity, id_ = await self._city.live.ingest.put(partial(self._change, rest, body))
        answer = await self._city.run(self._made, entity.set, id_, self._base(scope))
        await respond.send(send, 200, answer, _JSON)

    def _change(self, rest: str, body: object, tx: Transaction) -> tuple[Any, int]:
        target = paths.resolve(tx.conn, rest)
        if target.id is None or target.prop is not None or target.ref or target.entity is OBSERVATIONS:
            raise WrongMethod("PATCH", "GET, HEAD, OPTIONS")
        Writer(self._city.live, tx).patch(target.entity, target.id, body)
        return target.entity, target.id

    async def _arrays(self, scope: Scope, receive: Receive, send: Send) -> None:
        """CreateObservations: good rows are kept in one transaction, bad ones reported by row."""
        caller.require(scope, "observe")
        respond.query_map(scope, ())
        raw = await _raw(scope, receive, ARRAY_BYTES)
        rows = await self._city.run(self._rows, raw)
        good = [row for row in rows if isinstance(row, Observation)]
        ids = iter(await self._city.live.ingest.put(lambda tx: tx.append(good), len(good)) if good else [])
        link = f"{self._base(scope)}/Observations("
        answer = [row if isinstance(row, str) else f"{link}{next(ids)})" for row in rows]
        await respond.send(send, 201, orjson.dumps(answer), _JSON)

    def _rows(self, raw: bytes) -> list[Observation | str]:
        return self._things.rows(respond.read_json(raw))


def _property(found: Value) -> tuple[int, bytes, respond.Headers]:
    """``Things(1)/name`` and ``Things(1)/name/$value`` (clause 9.2.5)."""
    value = found.value
    if value is None:
        return 204, b"", [*respond.CORS]
    if not found.raw:
        return 200, orjson.dumps({found.prop.name: value}), _JSON
    # a JSON text is given bare, as the media type says
    bare = orjson.loads(orjson.dumps(value))
    text = bare.encode() if isinstance(bare, str) else orjson.dumps(value)
    plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-cache"), *respond.CORS]
    return 200, text, plain


async def _body(
    scope: Scope, receive: Receive, limit: int, media: tuple[str, ...] = ("application/json",)
) -> Any:
    return respond.read_json(await _raw(scope, receive, limit, media))


async def _raw(
    scope: Scope, receive: Receive, limit: int, media: tuple[str, ...] = ("application/json",)
) -> bytes:
    given = (respond.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if given not in media:
        raise WrongMedia(f"the body must be {' or '.join(media)}")
    return await respond.read_body(scope, receive, limit)

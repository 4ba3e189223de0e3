"""/incidents: report, list, read and move incidents."""

from __future__ import annotations

import re

from layers.errors import BadParameter, NotFound
from twin.access import caller
from twin.city import City
from twin.http import respond
from twin.http.errors import WrongMedia, WrongMethod
from twin.http.respond import ASGIApp, Receive, Scope, Send
from twin.incidents import feature
from twin.live import times

BODY_BYTES = 64_000
MAX_LIMIT = 1_000
_REVISION = re.compile(r'^(?:W/)?"?(?:[^"]*-)?(\d{1,15})"?$')
_ID = re.compile(r"^[1-9]\d{0,15}$")
_FRESH = [(b"cache-control", b"no-cache")]


def make(city: City) -> ASGIApp:
    """The ASGI callable for /incidents."""
    return _Room(city)


class _Room:
    def __init__(self, city: City) -> None:
        self._city = city

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        parts = [part for part in scope["path"].split("/")[2:] if part]
        post = (not parts) or parts[1:] == ["actions"]
        get = len(parts) < 2
        allow = (
            "GET, HEAD, POST, OPTIONS" if post and get else "POST, OPTIONS" if post else "GET, HEAD, OPTIONS"
        )
        if len(parts) > 2 or not (post or get) or (parts and not _ID.match(parts[0])):
            raise NotFound("the resources here are /incidents, /incidents/{id}, /incidents/{id}/actions")
        if method == "OPTIONS":
            await respond.send(send, 204, b"", [(b"allow", allow.encode()), *_preflight(allow)])
        elif method in ("GET", "HEAD") and get:
            await (self._one(scope, send, int(parts[0])) if parts else self._list(scope, send))
        elif method == "POST" and post:
            await self._post(scope, receive, send, int(parts[0]) if parts else None)
        else:
            raise WrongMethod(method, allow)

    async def _list(self, scope: Scope, send: Send) -> None:
        given = respond.query_map(scope, ("status", "level", "limit", "since", "f"))
        incidents = self._city.incidents
        status = given.get("status")
        if status is not None and status not in incidents.workflow.states:
            raise BadParameter("status", status, "one of " + ", ".join(incidents.workflow.states))
        level = _integer(given, "level", 1, 4)
        limit = _integer(given, "limit", 1, MAX_LIMIT) or 100
        since = _time(given.get("since"))
        shape = _shape(given)
        found, matched = await self._city.run(
            incidents.find, status=status, level=level, since=since, limit=limit
        )
        counts = {"numberMatched": matched, "numberReturned": len(found)}
        if shape == "geojson":
            body = {"type": "FeatureCollection", "features": [feature(i) for i in found], **counts}
            await _geojson(send, body)
        else:
            await respond.send_json(send, {"incidents": found, **counts}, headers=_FRESH)

    async def _one(self, scope: Scope, send: Send, incident: int) -> None:
        shape = _shape(respond.query_map(scope, ("f",)))
        found = await self._city.run(self._city.incidents.get, incident)
        etag = f'"{found["revision"]}"'
        headers = [(b"etag", etag.encode()), *_FRESH]
        if respond.etag_matches(respond.header(scope, b"if-none-match"), etag):
            await respond.not_modified(send, etag, _FRESH)
        elif shape == "geojson":
            await _geojson(send, feature(found), headers)
        else:
            await respond.send_json(send, found, headers=headers)

    async def _post(self, scope: Scope, receive: Receive, send: Send, incident: int | None) -> None:
        name = caller.require(scope, "incident")
        respond.query_map(scope, ())
        media = (respond.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise WrongMedia("the body must be application/json")
        body = respond.read_json(await respond.read_body(scope, receive, BODY_BYTES))
        incidents = self._city.incidents
        if incident is not None:
            found = await incidents.act(incident, body, name, _if_match(scope))
            headers = [(b"etag", f'"{found["revision"]}"'.encode())]
            await respond.send_json(send, found, headers=headers)
            return
        found = await incidents.report(body, name)
        location = f"{respond.base_url(self._city, scope)}/incidents/{found['id']}"
        headers = [(b"location", location.encode()), (b"etag", b'"1"')]
        await respond.send_json(send, found, 201, headers)


async def _geojson(send: Send, body: object, headers: respond.Headers = _FRESH) -> None:
    import orjson

    media = [(b"content-type", b"application/geo+json"), *respond.CORS]
    await respond.send(send, 200, orjson.dumps(body), [*media, *headers])


def _preflight(allow: str) -> respond.Headers:
    return [
        *respond.CORS,
        (b"access-control-allow-methods", allow.encode()),
        (b"access-control-allow-headers", b"Authorization, Content-Type, If-Match, X-Api-Key"),
    ]


def _shape(given: dict[str, str]) -> str:
    shape = given.get("f", "json")
    if shape not in ("json", "geojson"):
        raise BadParameter("f", shape, "json or geojson")
    return shape


def _integer(given: dict[str, str], name: str, least: int, most: int) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise BadParameter(name, text, f"an integer from {least} to {most}")
    return int(text)


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    # a plus sign that was not percent-encoded arrives as a space
    return times.parse(text.replace(" ", "+"), "since")


def _if_match(scope: Scope) -> int | None:
    given = respond.header(scope, b"if-match")
    if given is None or given.strip() == "*":
        return None
    match = _REVISION.match(given.strip())
    if match is None:
        raise BadParameter("If-Match", given, 'the revision of the incident, as "3"')
    return int(match[1])

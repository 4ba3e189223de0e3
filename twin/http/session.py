"""/session: a browser's page opens a session with its key, and is known by a cookie from then on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from layers.errors import NoKey
from twin.access.caller import CALLER, Caller, cookie
from twin.access.sessions import SECONDS
from twin.http import answers, respond
from twin.http.context import Context
from twin.http.formats import JSON
from twin.http.openapi_parts import array_of, errors, get, object_of, ok, write
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import Room, Route, Site

if TYPE_CHECKING:
    from twin.city import City

#: Whoever asks is told of himself: nothing of it is kept. Another origin reads what nobody is told: with a
#: cookie a browser gives it no answer that every origin may read (Fetch, section 4.9).
_OWN: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


def make(site: Site) -> Sequence[Room]:
    """The session of whoever asks."""
    city = site.city

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        await answers.exactly(scope, send, orjson.dumps(_public(scope[CALLER])), _OWN)

    async def begin(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        await _open(city, scope, send, scope[CALLER])

    async def end(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        await _close(city, scope, send)

    route = Route("/session", {"GET": read, "POST": begin, "DELETE": end}, _describe)
    return (Room("session", ("Sessions of pages", "页面会话"), (route,), schemas=_schemas),)


def _schemas(context: Context) -> dict[str, Any]:
    text = {"type": "string"}
    return {"session": object_of({"name": text | {"nullable": True}, "may": array_of(text)}, "name may")}


def _describe(context: Context) -> dict[str, Any]:
    say = context.say
    cookie_ = {"Set-Cookie": {"description": "The session", "schema": {"type": "string"}}}
    opened = ok(say("The session is open", "会话已建立"), {JSON: "session"}) | {"headers": cookie_}
    closed = {"description": say("The session is over", "会话已结束"), "headers": cookie_}
    whose = say("Who asks, and what it may do", "当前身份与权限")
    return {
        "get": get("session.get", "session", whose, ok(whose, {JSON: "session"}), []),
        "post": write("session.open", "session", say("Open a session", "建立会话"), {"201": opened}, {}),
        "delete": {
            "operationId": "session.close",
            "tags": ["session"],
            "summary": say("Close the session", "结束会话"),
            "responses": {"204": closed, **errors(400, 403, 503)},
        },
    }


async def _open(city: City, scope: Scope, send: Send, caller: Caller) -> None:
    """201 with the cookie. Raises NoKey, Unavailable, ReadOnly."""
    if caller.problem is not None:
        raise caller.problem
    if caller.key is None or caller.by_cookie:
        raise NoKey("a session is opened with a key: Authorization: Bearer <key>")
    token = await city.run(city.sessions.open, caller.key)
    set_cookie = _cookie(city, scope, token, SECONDS)
    await answers.send(send, 201, orjson.dumps(_public(caller)), [*_OWN, set_cookie])


async def _close(city: City, scope: Scope, send: Send) -> None:
    """204, and the cookie goes; so does the session, wherever else its cookie may lie. Raises ReadOnly."""
    token = cookie(scope, city.sessions.cookie)
    if token is not None:
        await city.run(city.sessions.close, token)
    await answers.send(send, 204, b"", [*_OWN[1:], _cookie(city, scope, "", 0)])


def _public(caller: Caller) -> dict[str, object]:
    of = {} if caller.of is None else {"of": caller.of.texts()}
    return {"name": caller.name, "may": list(caller.may), **of}


def _cookie(city: City, scope: Scope, token: str, seconds: int) -> tuple[bytes, bytes]:
    """Set-Cookie (RFC 6265): no script reads it, no other site sends it."""
    base = urlsplit(respond.base_url(city, scope))
    secure = "; Secure" if base.scheme == "https" else ""
    path = f"{base.path}/"
    value = (
        f"{city.sessions.cookie}={token}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    )
    return b"set-cookie", value.encode("ascii")

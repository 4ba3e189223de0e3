"""/session: a browser's page opens a session with its key, and is known by a cookie from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from layers.errors import NoKey, NotFound
from twin.access.caller import CALLER, Caller, cookie
from twin.access.sessions import SECONDS
from twin.http import respond
from twin.http.errors import WrongMethod
from twin.http.respond import ASGIApp, Headers, Receive, Scope, Send

if TYPE_CHECKING:
    from twin.city import City

METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
#: Whoever asks is told of himself: nothing of it is kept, and no other origin reads it.
_OWN: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


def make(city: City) -> ASGIApp:
    """The ASGI callable at /session."""

    async def session(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/session":
            raise NotFound("the one session is /session")
        respond.query_map(scope, ())
        caller: Caller = scope[CALLER]
        match scope["method"]:
            case "GET" | "HEAD":
                body = b"" if scope["method"] == "HEAD" else orjson.dumps(_public(caller))
                await respond.send(send, 200, body, _OWN)
            case "POST":
                await _open(city, scope, send, caller)
            case "DELETE":
                await _close(city, scope, send)
            case "OPTIONS":
                await respond.send(send, 204, b"", [(b"allow", METHODS.encode())])
            case method:
                raise WrongMethod(method, METHODS)

    return session


async def _open(city: City, scope: Scope, send: Send, caller: Caller) -> None:
    """201 with the cookie. Raises NoKey, Unavailable, ReadOnly."""
    if caller.problem is not None:
        raise caller.problem
    if caller.key is None or caller.by_cookie:
        raise NoKey("a session is opened with a key: Authorization: Bearer <key>")
    token = await city.run(city.sessions.open, caller.key)
    set_cookie = _cookie(city, scope, token, SECONDS)
    await respond.send(send, 201, orjson.dumps(_public(caller)), [*_OWN, set_cookie])


async def _close(city: City, scope: Scope, send: Send) -> None:
    """204, and the cookie goes; so does the session, wherever else its cookie may lie. Raises ReadOnly."""
    token = cookie(scope, city.sessions.cookie)
    if token is not None:
        await city.run(city.sessions.close, token)
    await respond.send(send, 204, b"", [*_OWN[1:], _cookie(city, scope, "", 0)])


def _public(caller: Caller) -> dict[str, object]:
    return {"name": caller.name, "may": list(caller.may)}


def _cookie(city: City, scope: Scope, token: str, seconds: int) -> tuple[bytes, bytes]:
    """Set-Cookie (RFC 6265): no script reads it, no other site sends it."""
    secure = "; Secure" if respond.base_url(city, scope).startswith("https:") else ""
    value = f"{city.sessions.cookie}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    return b"set-cookie", value.encode("ascii")

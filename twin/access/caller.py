"""Who calls: resolved once a request, carried in its scope, asked by every room."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from layers.errors import NoKey, NotAllowed, TwinError, Unavailable
from twin.access.keys import Action, Keys
from twin.access.rights import ALL, Rights
from twin.access.sessions import Sessions

#: Where the caller lies in the scope of a request.
CALLER = "twin.caller"
#: Headers by which a caller may be known.
NAMES = frozenset({b"authorization", b"x-api-key", b"cookie"})
type Scope = Mapping[str, Any] | MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """``name`` of the key, None without one; what it ``may`` do; the class of its ``rights``.

    ``by_cookie`` marks one who is known by a session: a browser sends that by itself, so a request that
    writes must prove that our own page made it. ``problem`` is why a key that was given is not one; ``key``
    the digest of the key."""

    name: str | None = None
    may: tuple[Action, ...] = ()
    rights: str = ALL
    by_cookie: bool = False
    problem: TwinError | None = None
    key: str | None = field(default=None, repr=False)


class Callers:
    """Requests to callers, by the keys, sessions and rights of one city."""

    def __init__(self, keys: Keys, sessions: Sessions, rights: Rights) -> None:
        self._keys, self._sessions, self._rights = keys, sessions, rights
        self.anonymous = Caller(rights=rights.class_of(None, ()))

    def of(self, scope: Scope) -> Caller:
        """The caller of a request. Raises nothing: a key that is not known makes nobody of a reader, and is
        refused where one is needed (:func:`require`)."""
        for name, _ in scope["headers"]:
            if name in NAMES:
                return self._named(scope)
        return self.anonymous

    def _named(self, scope: Scope) -> Caller:
        """By the key that a header carries, else by the session of a cookie."""
        by_cookie = False
        try:
            key = self._keys.who(scope)
            if key is None:
                by_cookie = True
                token = cookie(scope, self._sessions.cookie)
                digest = None if token is None else self._sessions.key(token)
                key = None if digest is None else self._keys.known(digest)
        except (NoKey, Unavailable) as error:
            return Caller(rights=self.anonymous.rights, problem=error)
        if key is None:
            return self.anonymous
        rights = self._rights.class_of(key.name, key.may)
        return Caller(key.name, key.may, rights, by_cookie, key=key.digest)


def cookie(scope: Scope, name: str) -> str | None:
    """The value of a cookie (RFC 6265, section 4.2), None without it."""
    for header, value in scope["headers"]:
        if header == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                own, _, text = pair.strip().partition("=")
                if own == name:
                    return str(text)
    return None


def of(scope: Scope) -> Caller:
    """The caller that the front door put into the scope."""
    caller: Caller = scope[CALLER]
    return caller


def require(scope: Scope, action: Action) -> str:
    """The name of a caller that may do ``action``. Raises NoKey, NotAllowed, Unavailable."""
    caller = of(scope)
    if caller.problem is not None:
        raise caller.problem
    if caller.name is None:
        raise NoKey(
            "writing needs a named key: Authorization: Bearer <key>, Basic with it as password,"
            " or X-Api-Key: <key>"
        )
    if action not in caller.may:
        raise NotAllowed(f"the key {caller.name!r} may not {action}")
    return caller.name

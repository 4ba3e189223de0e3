"""Who calls: resolved once a request, carried in its scope, asked by every room."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from layers.errors import NoKey, NotAllowed, TwinError, Unavailable
from twin.access.keys import Action, Keys
from twin.access.rights import ALL, Rights

#: Where the caller lies in the scope of a request.
CALLER = "twin.caller"
type Scope = Mapping[str, Any] | MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """``name`` of the key, None without one; what it ``may`` do; the class of its ``rights``.

    ``by_cookie`` marks one who is known by a session: a browser sends that by itself, so the request
    must prove that our own page made it. ``problem`` is why a key that was given is not one."""

    name: str | None = None
    may: tuple[Action, ...] = ()
    rights: str = ALL
    by_cookie: bool = False
    problem: TwinError | None = None


class Callers:
    """Requests to callers, by the keys and rights of one city."""

    def __init__(self, keys: Keys, rights: Rights) -> None:
        self._keys, self._rights = keys, rights
        self.anonymous = Caller(rights=rights.class_of(None, ()))

    def of(self, scope: Scope) -> Caller:
        """The caller of a request. Raises nothing: a key that is not known makes nobody of a reader, and is
        refused where one is needed (:func:`require`)."""
        for name, _ in scope["headers"]:
            if name in (b"authorization", b"x-api-key"):
                return self._by_key(scope)
        return self.anonymous

    def _by_key(self, scope: Scope) -> Caller:
        try:
            key = self._keys.who(scope)
        except (NoKey, Unavailable) as error:
            return Caller(rights=self.anonymous.rights, problem=error)
        if key is None:
            return self.anonymous
        return Caller(key.name, key.may, self._rights.class_of(key.name, key.may))


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

"""Who calls: resolved once a request, carried in its scope, asked by every room."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from layers.errors import NoKey, NotAllowed, TooMany, TwinError, Unavailable
from twin.access.keys import Keys
from twin.access.rights import ALL, Action, Objects, Rights
from twin.access.sessions import Sessions

log = logging.getLogger("twin")

#: Where the caller lies in the scope of a request.
CALLER = "twin.caller"
#: Headers by which a caller may be known.
NAMES = frozenset({b"authorization", b"x-api-key", b"cookie"})
#: Wrong keys of one address in a minute that are answered one by one, where ``city.yml`` does not say.
WRONG_KEYS = 300
type Scope = Mapping[str, Any] | MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """``name`` of the key, None without one; what it ``may`` do; the class of its ``rights``.

    ``by_cookie`` marks one who is known by a session: a browser sends that by itself, so a request that
    writes must prove that our own page made it. ``problem`` is why a key that was given is not one; ``key``
    the digest of the key; ``of`` the things and datastreams that it may act on, None for all."""

    name: str | None = None
    may: tuple[Action, ...] = ()
    rights: str = ALL
    by_cookie: bool = False
    problem: TwinError | None = None
    key: str | None = field(default=None, repr=False)
    of: Objects | None = None

    def check(self, action: Action, thing: int | None = None, stream: int | None = None) -> None:
        """Raises NotAllowed where the caller may not do this, or not to that thing or datastream."""
        if action not in self.may:
            raise NotAllowed(f"the key {self.name!r} may not {action}")
        if self.of is not None and not self.of.hold(thing, stream):
            rights = ", ".join(self.of.texts()) or "nothing"
            raise NotAllowed(f"the key {self.name!r} may {action} only {rights}")


class Callers:
    """Requests to callers, by the keys, sessions and rights of one city."""

    def __init__(self, keys: Keys, sessions: Sessions, rights: Rights, wrong_keys: int = WRONG_KEYS) -> None:
        self._keys, self._sessions, self._rights = keys, sessions, rights
        self._wrong = Wrong(wrong_keys)
        self.anonymous = Caller(rights=rights.class_of(None, ()))

    @property
    def wrong(self) -> int:
        """Requests with a key that is not one, since the start."""
        return self._wrong.total

    def of(self, scope: Scope) -> Caller:
        """The caller of a request. Raises nothing: a key that is not known makes nobody of a reader, and is
        refused where one is needed (:func:`require`)."""
        for name, _ in scope["headers"]:
            if name in NAMES:
                return self._named(scope)
        return self.anonymous

    def named(self, name: str | None) -> Caller:
        """The caller that the key of that name makes, None: who has none. Raises NotFound, Unavailable."""
        if name is None:
            return self.anonymous
        key = self._keys.named(name)
        return Caller(key.name, key.may, self._rights.class_of(key.name, key.may), key=key.digest, of=key.of)

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
        except NoKey as error:
            return Caller(rights=self.anonymous.rights, problem=self._wrong.again(scope) or error)
        except Unavailable as error:
            return Caller(rights=self.anonymous.rights, problem=error)
        if key is None:
            return self.anonymous
        rights = self._rights.class_of(key.name, key.may)
        return Caller(key.name, key.may, rights, by_cookie, key=key.digest, of=key.of)


class Wrong:
    """Keys that are none, by the address of the peer: beyond ``most`` a minute they are answered as one.

    A key is 256 random bits and is not found by trying; what is bounded is the noise. Right keys of the same
    address are taken all the same: behind a proxy it is everybody's."""

    SECONDS = 60.0

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._since = clock()
        self._counted: Counter[str] = Counter()
        #: All, since the start.
        self.total = 0

    def again(self, scope: Scope) -> TooMany | None:
        """One more; what is to be told instead of the usual, where there are too many."""
        address = str((scope.get("client") or ("?",))[0])
        now = self._clock()
        if now - self._since >= self.SECONDS:
            self._since = now
            self._counted.clear()
        self.total += 1
        self._counted[address] += 1
        beyond = self._counted[address] - self._most
        if beyond <= 0:
            return None
        if beyond == 1:
            log.warning("%d wrong keys in a minute from %s: more are refused (429)", self._most, address)
        return TooMany("too many wrong keys from this address; try again in a minute")


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


def named(scope: Scope, what: str = "this") -> Caller:
    """A caller that has a key. Raises NoKey, Unavailable."""
    caller = of(scope)
    if caller.problem is not None:
        raise caller.problem
    if caller.name is None:
        raise NoKey(
            f"{what} needs a named key: Authorization: Bearer <key>, Basic with it as password,"
            " or X-Api-Key: <key>"
        )
    return caller


def require(scope: Scope, *actions: Action) -> str:
    """The name of a caller that may do one of these actions. Raises NoKey, NotAllowed, Unavailable."""
    caller = named(scope, "writing")
    if not any(action in caller.may for action in actions):
        raise NotAllowed(f"the key {caller.name!r} may not {' or '.join(actions)}")
    assert caller.name is not None
    return caller.name

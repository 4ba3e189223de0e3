"""Named keys: who may write.

A key is 256 random bits, so a plain SHA-256 of it is kept (a slow hash protects guessable
passwords, which these are not). The file is read again when it changes on disk, so that
``twin key add`` works while the server runs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from layers.errors import Exists, NoKey, NotFound, Unavailable
from twin.access import private

type Action = Literal["edit", "observe", "incident"]
ACTIONS: tuple[Action, ...] = ("edit", "observe", "incident")
FILE = "keys.json"


@dataclass(frozen=True, slots=True)
class Key:
    """Who acts: the key's name, what it may do, and the digest by which it is kept."""

    name: str
    may: tuple[Action, ...]
    digest: str = field(repr=False)


class Keys:
    """The keys of one city folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._mtime = -1.0
        self._keys: dict[str, Key] = {}

    def names(self) -> list[str]:
        """The names of all keys."""
        self._read()
        return sorted(key.name for key in self._keys.values())

    def add(self, name: str, may: Iterable[Action] = ACTIONS) -> str:
        """Make a key and return it; it is shown this once and kept only as a hash. Raises Exists."""
        self._read()
        if name in self.names():
            raise Exists(f"a key named {name!r} exists")
        secret = "twk_" + secrets.token_urlsafe(32)
        digest = _digest(secret)
        self._keys[digest] = Key(name, tuple(may), digest)
        self._write()
        return secret

    def remove(self, name: str) -> None:
        """Remove a key. Raises NotFound."""
        self._read()
        found = [digest for digest, key in self._keys.items() if key.name == name]
        if not found:
            raise NotFound(f"no key named {name!r}")
        for digest in found:
            del self._keys[digest]
        self._write()

    def who(self, scope: Mapping[str, Any] | MutableMapping[str, Any]) -> Key | None:
        """The key a request carries (Bearer, Basic password or X-Api-Key), None without one.

        Raises NoKey when one is given that is not known, Unavailable when the keys cannot be read."""
        secret = _given(scope)
        if secret is None:
            return None
        key = self.known(_digest(secret))
        if key is None:
            raise NoKey("the key is not known to this city")
        return key

    def known(self, digest: str) -> Key | None:
        """The key of that digest, None when there is no such key (any more). Raises Unavailable."""
        self._read()
        for known, key in self._keys.items():
            if hmac.compare_digest(known, digest):
                return key
        return None

    def _read(self) -> None:
        try:
            mtime = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            self._keys, self._mtime = {}, -1.0
            return
        if mtime == self._mtime:
            return
        try:
            rows = json.loads(self._file.read_text("utf-8"))
            self._keys = {one.digest: one for row in rows if (one := _key(row))}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unavailable("the keys of this city cannot be read: its keys.json is damaged") from error
        self._mtime = mtime

    def _write(self) -> None:
        rows = [
            {"name": key.name, "sha256": digest, "may": list(key.may), "written": int(time.time())}
            for digest, key in self._keys.items()
        ]
        private.write(self._file, rows)
        self._mtime = -1.0


def _key(row: Mapping[str, Any]) -> Key:
    return Key(row["name"], tuple(row["may"]), row["sha256"])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _given(scope: Mapping[str, Any] | MutableMapping[str, Any]) -> str | None:
    authorization: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            # beside it, Authorization is meant for a proxy that asks for a password of its own
            return str(value.decode("latin-1"))
        if name == b"authorization" and authorization is None:
            authorization = value
    return None if authorization is None else _authorization(authorization.decode("latin-1"))


def _authorization(value: str) -> str | None:
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(rest.strip(), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise NoKey("the Basic credentials cannot be read") from error
        return text.partition(":")[2]
    raise NoKey(f"the authorization scheme {scheme[:20]!r} is not known: use Bearer, Basic or X-Api-Key")

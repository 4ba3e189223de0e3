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
import logging
import re
import secrets
import time
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layers.errors import BadParameter, Exists, NoKey, NotFound, Unavailable
from twin.access import private
from twin.access.rights import ACTIONS, Action, Objects

FILE = "keys.json"
#: For so long a key that was known is, without a look at the file.
LOOK_SECONDS = 1.0
DAMAGED = "the keys of this city cannot be read: its keys.json is damaged"
_DIGEST = re.compile("[0-9a-f]{64}")
log = logging.getLogger("twin")


@dataclass(frozen=True, slots=True)
class Key:
    """Who acts: the key's name, what it may do, the digest by which it is kept, and the things and
    datastreams that it may do it to (None: all)."""

    name: str
    may: tuple[Action, ...]
    digest: str = field(repr=False)
    of: Objects | None = None


class Keys:
    """The keys of one city folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._mtime = -1.0
        self._looked = -LOOK_SECONDS
        self._keys: dict[str, Key] = {}
        # entries that are none: they are left where they are, and the others hold
        self._damaged = 0

    def names(self) -> list[str]:
        """The names of all keys. Raises Unavailable when not all can be read."""
        self._whole()
        return sorted(key.name for key in self._keys.values())

    def add(self, name: str, may: Iterable[Action] = ACTIONS, of: Objects | None = None) -> str:
        """Make a key and return it; it is shown this once and kept only as a hash. Raises Exists, ReadOnly,
        Unavailable when the file is damaged: it is not written over."""
        self._whole()
        if name in self.names():
            raise Exists(f"a key named {name!r} exists")
        secret = "twk_" + secrets.token_urlsafe(32)
        digest = _digest(secret)
        self._write({**self._keys, digest: Key(name, tuple(may), digest, of)})
        return secret

    def remove(self, name: str) -> None:
        """Remove a key. Raises NotFound, ReadOnly, Unavailable as :meth:`add`."""
        self._whole()
        digests = [digest for digest, key in self._keys.items() if key.name == name]
        if not digests:
            raise NotFound(f"no key named {name!r}")
        self._write({digest: key for digest, key in self._keys.items() if digest not in digests})

    def who(self, scope: Mapping[str, Any] | MutableMapping[str, Any]) -> Key | None:
        """The key a request carries (Bearer, Basic password or X-Api-Key), None without one.

        Raises NoKey when one is given that is not known, Unavailable when the keys cannot be read."""
        secret = _token_of(scope)
        if secret is None:
            return None
        key = self.known(_digest(secret))
        if key is None:
            raise NoKey("the key is not known to this city")
        return key

    def named(self, name: str) -> Key:
        """The key of that name. Raises NotFound, Unavailable."""
        self._read()
        for key in self._keys.values():
            if key.name == name:
                return key
        if self._damaged:
            raise Unavailable(DAMAGED)
        raise NotFound(f"no key named {name!r}")

    def known(self, digest: str) -> Key | None:
        """The key of that digest, None when there is no such key: one that was made holds at once, one that
        was removed ends within :data:`LOOK_SECONDS`. Raises Unavailable."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._read()
        key = self._find(digest)
        if key is None:
            self._read()
            key = self._find(digest)
        if key is not None:
            return key
        if self._damaged:
            # it may be one of those
            raise Unavailable(DAMAGED)
        return None

    def _find(self, digest: str) -> Key | None:
        for known, key in self._keys.items():
            if hmac.compare_digest(known, digest):
                return key
        return None

    def _whole(self) -> None:
        self._read()
        if self._damaged:
            raise Unavailable(DAMAGED)

    def _read(self) -> None:
        try:
            mtime = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            self._keys, self._mtime, self._damaged = {}, -1.0, 0
            return
        if mtime == self._mtime:
            self._looked = time.monotonic()
            return
        try:
            rows = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise Unavailable(DAMAGED) from error
        if not isinstance(rows, list):
            raise Unavailable(DAMAGED)
        keys = [_key(row) for row in rows]
        self._keys = {key.digest: key for key in keys if key is not None}
        self._damaged = sum(key is None for key in keys)
        if self._damaged:
            log.warning(
                "keys.json: %d of its %d entries are damaged and left alone", self._damaged, len(rows)
            )
        self._mtime, self._looked = mtime, time.monotonic()

    def _write(self, keys: Mapping[str, Key]) -> None:
        rows = [
            {"name": key.name, "sha256": digest, "may": list(key.may), "written": int(time.time())}
            | ({} if key.of is None else {"of": key.of.texts()})
            for digest, key in keys.items()
        ]
        private.write(self._file, rows)
        self._mtime, self._looked = -1.0, -LOOK_SECONDS


def _key(row: object) -> Key | None:
    """The key that an entry of the file is, None for one that is none."""
    if not isinstance(row, dict):
        return None
    name, may, digest = row.get("name"), row.get("may"), row.get("sha256")
    if not isinstance(name, str) or not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        return None
    if not isinstance(may, list) or not all(isinstance(action, str) for action in may):
        return None
    of = row.get("of")
    if of is not None and (not isinstance(of, list) or not all(isinstance(one, str) for one in of)):
        return None
    try:
        objects = None if of is None else Objects.named(of)
    except BadParameter:
        return None
    return Key(name, tuple(action for action in ACTIONS if action in may), digest, objects)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _token_of(scope: Mapping[str, Any] | MutableMapping[str, Any]) -> str | None:
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

"""Sessions of browsers: what stands for a key where a page cannot send one (tiles, the stream).

A session is a signed token in a cookie: the digest of the key it was opened with, its end and a number of its
own. The secret that signs lies in a file beside the keys, so that a restart ends no session, and servers
of one city whose folders are copies know each other's. Every request looks the key up again, so a
removed key ends its sessions at once; those that were closed before their end are remembered till then.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from twin.access import private

log = logging.getLogger("twin")
FILE = "sessions.json"
#: How long a session lasts.
SECONDS = 30 * 24 * 3600


class Sessions:
    """The sessions of one city folder. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._lock = threading.Lock()
        # the number of a closed session → when it would have ended (s since 1970)
        self._secret, self._closed = self._read()
        #: Cookies do not know ports: two cities on one host need two names.
        self.cookie = _name(self._secret)

    def open(self, key: str) -> str:
        """A new session for the key of that digest. Raises ReadOnly."""
        with self._lock:
            if not self._secret:
                self._keep(secrets.token_urlsafe(32), {})
        payload = f"{key}.{int(time.time() + SECONDS)}.{secrets.token_urlsafe(12)}"
        return f"{payload}.{self._signature(payload)}"

    def key(self, token: str) -> str | None:
        """The digest of the key of a session; None for one that is not ours, or is over."""
        payload, _, signature = token.rpartition(".")
        if not self._secret or not hmac.compare_digest(signature.encode(), self._signature(payload).encode()):
            return None
        key, end, number = payload.split(".")
        return key if int(end) > time.time() and number not in self._closed else None

    def close(self, token: str) -> None:
        """End a session, wherever its cookie may lie. Raises ReadOnly."""
        if self.key(token) is None:
            return
        _, end, number, _ = token.split(".")
        with self._lock:
            now = time.time()
            closed = {one: until for one, until in self._closed.items() if until > now}
            self._keep(self._secret, closed | {number: int(end)})

    def _signature(self, payload: str) -> str:
        return hmac.new(
            self._secret.encode(), payload.encode("utf-8", "surrogateescape"), "sha256"
        ).hexdigest()

    def _keep(self, secret: str, closed: Mapping[str, int]) -> None:
        private.write(self._file, {"secret": secret, "closed": dict(closed)})
        self._secret, self._closed, self.cookie = secret, closed, _name(secret)

    def _read(self) -> tuple[str, Mapping[str, int]]:
        try:
            stored = json.loads(self._file.read_text("utf-8"))
            return str(stored["secret"]), {str(one): int(end) for one, end in stored["closed"].items()}
        except FileNotFoundError:
            return "", {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            log.warning("%s is damaged: pages must be opened with their key again", FILE)
            return "", {}


def _name(secret: str) -> str:
    """The name of the cookie."""
    return "twin_" + hashlib.sha256(f"name {secret}".encode()).hexdigest()[:8]

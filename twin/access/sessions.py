"""Sessions of browsers: what stands for a key where a page cannot send one (tiles, the stream).

A session is 256 random bits in a cookie; kept is its SHA-256, the digest of the key it was opened with, and
its end. They lie in a file beside the keys, so that a restart ends none, and every request looks the key up
again, so that a removed key ends its sessions at once. One server has a city (``city.lock``), so its memory
is the truth and the file is only read at the start.
"""

from __future__ import annotations

import hashlib
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
#: How long a session lasts, and how many there are; the oldest end first.
SECONDS = 30 * 24 * 3600
MOST = 10_000


class Sessions:
    """The sessions of one city folder. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._lock = threading.Lock()
        # digest of the session → digest of the key, end (s since 1970); in the order of their beginning
        self._known: Mapping[str, tuple[str, float]] = self._read()
        #: Cookies do not know ports: two cities on one host need two names.
        self.cookie = "twin_" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]

    def open(self, key: str) -> str:
        """A new session for the key of that digest. Raises ReadOnly."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = time.time()
            known = {name: one for name, one in self._known.items() if one[1] > now}
            self._keep(dict([*known.items(), (_digest(token), (key, now + SECONDS))][-MOST:]))
        return token

    def key(self, token: str) -> str | None:
        """The digest of the key of a session; None for one that is not known or has ended."""
        found = self._known.get(_digest(token))
        return found[0] if found is not None and found[1] > time.time() else None

    def close(self, token: str) -> None:
        """End a session. Raises ReadOnly."""
        with self._lock:
            known = dict(self._known)
            if known.pop(_digest(token), None) is not None:
                self._keep(known)

    def _keep(self, known: Mapping[str, tuple[str, float]]) -> None:
        rows = [{"sha256": name, "key": key, "end": int(end)} for name, (key, end) in known.items()]
        private.write(self._file, rows)
        self._known = known

    def _read(self) -> dict[str, tuple[str, float]]:
        try:
            rows = json.loads(self._file.read_text("utf-8"))
            return {str(row["sha256"]): (str(row["key"]), float(row["end"])) for row in rows}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("%s is damaged: pages must be opened with their key again", FILE)
            return {}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()

"""How far those have come who must miss nothing of the change log: a cursor each, by name, over restarts."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Protocol

from layers import synced
from layers.errors import ReadOnly, Unavailable


class Cursors(Protocol):
    """The cursors of one process at a city. Of several processes one holds a name. Safe to use from several
    threads. Raises Unavailable, Busy, ReadOnly where the place in which they are kept does not answer."""

    def hold(self, name: str) -> bool:
        """Whether the name is this process's, taken now where nobody has it; it stays so until the process
        ends, however it ends, or is cut off from where cursors are kept."""

    def get(self, name: str) -> str | None:
        """The cursor of a name that is held, None where none was put yet."""

    def put(self, name: str, cursor: str) -> None:
        """Keep a cursor of a name that is held; when this returns, it outlives the process and the machine's
        power. Raises Busy where the name is held no longer."""

    def close(self) -> None:
        """Give back what is held."""


class FileCursors:
    """Cursors in a file of a city folder, whose one server (``city.lock``) holds every name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, str] | None = None

    def hold(self, name: str) -> bool:
        return True

    def get(self, name: str) -> str | None:
        with self._lock:
            return self._read().get(name)

    def put(self, name: str, cursor: str) -> None:
        with self._lock:
            cursors = {**self._read(), name: cursor}
            try:
                synced.replace(self._path, json.dumps(cursors, indent=1))
            except OSError as error:
                raise ReadOnly(f"{self._path.name} cannot be written: {error.strerror}") from error
            self._known = cursors

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self) -> dict[str, str]:
        if self._known is None:
            self._known = self._loaded()
        return self._known

    def _loaded(self) -> dict[str, str]:
        try:
            cursors = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise Unavailable(f"{self._path.name} cannot be read: repair it, or remove it") from error
        if not isinstance(cursors, dict) or not all(isinstance(one, str) for one in cursors.values()):
            raise Unavailable(f"{self._path.name} is damaged: repair it, or remove it")
        return cursors

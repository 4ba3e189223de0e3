"""Entries as lines of JSON in files of a folder, one a day; each line is on the disk when it counts as sent.

``audit-2026-11-30.jsonl``; ``audit-2026-11-30-2.jsonl`` where the lines begin anew on that day, for the store
was put back to an earlier copy. The last line says where it goes on, so a restart leaves nothing out."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from layers import synced
from layers.audit import chain
from layers.model import Link
from twin.audit.exports import NOTHING, Sent

_NAME = re.compile(r"audit-(\d{4}-\d{2}-\d{2})(?:-(\d+))?\.jsonl")
_BLOCK = 65_536


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


class Files:
    """Implements :class:`twin.audit.exports.Export`. Only their owner reads the files: they name people."""

    def __init__(self, folder: Path, day: Callable[[], date] = today) -> None:
        self.name = "its files"
        self._folder, self._day = folder, day
        self._last: Sent | None = None

    def sent(self) -> Sent:
        if self._last is None:
            self._last = self._found()
        return self._last

    def _found(self) -> Sent:
        """The last whole line of the newest file that has one; what a crash left of another goes."""
        for _, _, path in reversed(self._present()):
            line = _last_line(path)
            if line is not None:
                try:
                    link = chain.of_line(line.decode("utf-8"))
                except ValueError as error:  # somebody wrote there: it is left as it is
                    why = f"the last line of {path.name} is no entry"
                    raise OSError(errno.EBADMSG, why) from error
                return Sent(link.n, link.hash)
        return NOTHING

    def _present(self) -> list[tuple[str, int, Path]]:
        if not self._folder.is_dir():
            return []
        found = [(_NAME.fullmatch(path.name), path) for path in self._folder.iterdir()]
        return sorted((match[1], int(match[2] or 1), path) for match, path in found if match)

    def send(self, links: list[Link], *, anew: bool) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = self._present()
        newest, number = present[-1][:2] if present else ("", 1)
        day = max(self._day().isoformat(), newest)  # a clock that is set back makes no file earlier
        number = number if day == newest else 1
        if anew and day == newest:
            number += 1
        path = self._folder / f"audit-{day}{'' if number == 1 else f'-{number}'}.jsonl"
        self._last = None
        new = not path.exists()
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write("".join(chain.line(link) for link in links).encode())
            file.flush()
            os.fsync(file.fileno())
        if new:
            synced.sync(self._folder)
        self._last = Sent(links[-1].n, links[-1].hash)

    def close(self) -> None:
        """Nothing is held open."""


def _last_line(path: Path) -> bytes | None:
    """The last line of a file, after what follows the last line feed was cut off; None without one."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        tail, begin = b"", end
        while begin > 0 and tail.count(b"\n") < 2:
            begin = max(0, begin - _BLOCK)
            file.seek(begin)
            tail = file.read(end - begin)
        whole = tail.rfind(b"\n") + 1
        if begin + whole < end:
            file.truncate(begin + whole)
            os.fsync(file.fileno())
    lines = tail[:whole].splitlines()
    return lines[-1] if lines else None

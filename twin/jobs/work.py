"""What a kind of work is: a name, a typed input and a function; and what that has when it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson

from layers.errors import BadParameter
from layers.types import Titles
from twin.catalogue.view import View

#: Seconds between two notes of how far a job is.
NOTED_SECONDS = 0.2
_PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work. ``input`` is the :class:`msgspec.Struct` that ``run`` is given; what that returns goes
    as JSON into the job's record. ``run`` is called in a process that is kept for the next job, so it imports
    what is heavy by itself. At most ``places`` of a kind are done at a time."""

    id: str
    title: Titles
    input: type[msgspec.Struct]
    run: Callable[[Any, WorkContext], Mapping[str, Any]]
    places: int = 1

    def read(self, values: Mapping[str, Any]) -> msgspec.Struct:
        """The typed input. Raises BadParameter, naming the member."""
        try:
            return msgspec.convert(values, self.input)
        except msgspec.ValidationError as error:
            raise BadParameter("input", values, str(error)) from error


@dataclass(frozen=True, slots=True)
class WorkContext:
    """What a running job has: the city as who asked sees it, a folder of its own, and the city's."""

    view: View
    folder: Path
    _noted: list[float]
    #: The folder of the city.
    city: Path

    def progress(self, done: int, of: int, message: str = "") -> None:
        """Note how far it is; cheap enough to be called for each batch."""
        now = time.monotonic()
        if self._noted and now - self._noted[-1] < NOTED_SECONDS:
            return
        self._noted[:] = [now]
        percent = min(99, 100 * done // of) if of else 0
        part = self.folder / f"{_PROGRESS}.part"
        part.write_bytes(orjson.dumps([percent, message]))
        part.replace(self.folder / _PROGRESS)


def noted(folder: Path) -> tuple[int, str]:
    """How far the job of a folder was when it last noted it: per cent, and its words."""
    try:
        percent, message = orjson.loads((folder / _PROGRESS).read_bytes())
    except OSError:
        return 0, ""
    return percent, message

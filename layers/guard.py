"""Hostile files: a source is recognised and read in a limited child process.

The child, forked by a warm reader (``layers.read.warm``), has a clean environment, ceilings on memory,
CPU time and file size, no network where the kernel allows it, and a GDAL whose drivers are skipped but
for the few that are wanted: OGR_SKIP works only when it is set before GDAL loads, and without it a VRT
under any name makes GDAL read another file.
"""

from __future__ import annotations

import json
import signal
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from layers.errors import BadFile, BadParameter, scrubbed, shown
from layers.model import Problem, RasterFacts, SceneFacts
from layers.read import warm
from layers.read.base import AGAIN, AT, LOST, ReadLimits, ReadOptions
from layers.read.encodings import codec
from layers.read.texture.pack import TEXTURES
from layers.source import NOTHING, Declared, SeveralLayers, SourceLayer
from layers.textures import Texture, extension

__all__ = ["ReadLimits", "Reading", "read"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A file as the child read it: meta, findings and the batches, while the context lasts.

    ``names``: columns of the file that have another name here."""

    folder: Path
    meta: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)
    names: Mapping[str, str] = field(default_factory=dict)

    def batches(self) -> Iterator[pa.Table]:
        """The batches in file order."""
        for number in range(self.meta["batches"]):
            with pa.memory_map(str(self.folder / f"{number:06}.arrow")) as source:
                table = pa.ipc.open_file(source).read_all()
                yield table.rename_columns([self.names.get(name, name) for name in table.column_names])

    @property
    def raster(self) -> RasterFacts | None:
        """What was found of a raster; None for what has rows."""
        known = self.meta.get("raster")
        return known and RasterFacts.of(known)

    @property
    def scene(self) -> SceneFacts | None:
        """What was found of a tileset; None for what is none."""
        known = self.meta.get("scene")
        return known and SceneFacts.of(known)

    def lost(self) -> Iterator[tuple[int, str, str, dict[str, str]]]:
        """(row, rule, reason, values) of rows that the reader dropped, as far as they are kept."""
        file = self.folder / LOST
        if file.is_file():
            with file.open("rb") as lines:
                for line in lines:
                    row, rule, reason, values = json.loads(line)
                    yield row, rule, reason, {self.names.get(n, n): text for n, text in values.items()}

    def textures(self) -> Iterator[Texture]:
        """The images that bodies of the batches name."""
        for sha, media_type in self.meta["textures"].items():
            data = (self.folder / TEXTURES / f"{sha}.{extension(media_type)}").read_bytes()
            yield Texture(sha, media_type, data)

    def columns(self) -> list[str]:
        """The names of all columns; none where there is no batch."""
        first = next(self.batches(), None)
        return [] if first is None else list(first.column_names)

    def called(self, names: Mapping[str, str]) -> Reading:
        """The same with those columns renamed whose new name no other has."""
        present = set(self.columns())
        new = {old: name for old, name in names.items() if old in present and name not in present}
        times = {new.get(name, name): kind for name, kind in self.meta["times"].items()}
        return replace(self, meta={**self.meta, "times": times}, names={**self.names, **new})


def _reachable(path: Path, limits: ReadLimits) -> Path:
    """The whole path of a regular file or a folder. Raises BadFile with a stable rule id."""
    try:
        real = path.resolve(strict=True)
        state = real.stat()
    except (OSError, RuntimeError) as error:
        raise BadFile("file.missing", f"{shown(path.name)} does not exist or cannot be reached") from error
    whole = path.absolute()
    if any(str(each).startswith("/vsi") for each in (real, whole)):
        raise BadFile("file.special", f"{shown(path.name)} is a name that GDAL gives to what is no file")
    if stat.S_ISDIR(state.st_mode):
        return whole
    if not stat.S_ISREG(state.st_mode):
        raise BadFile("file.special", f"{shown(path.name)} is not a regular file")
    most = max(limits.size, limits.raster_size)
    if state.st_size > most:
        raise BadFile("limit.bytes", f"the file has {state.st_size} bytes, the limit is {most}")
    return whole


@contextmanager
def read(
    path: Path,
    declared: Declared = NOTHING,
    *,
    limits: ReadLimits | None = None,
    into: Path | None = None,
    vertical_datum: str = "",
) -> Iterator[Reading]:
    """Read a file, folder or zip archive in the limited child; the batches last as long as the context.

    A raster is written to the new folder ``into``, where one is named; ``vertical_datum`` is what heights of
    the city's terrain count from. Raises BadFile (refused, damaged, beyond a limit) and BadParameter (unknown
    encoding).
    """
    limits = limits or ReadLimits()
    whole = _reachable(path, limits)
    if declared.encoding is not None:
        _check_encoding(declared.encoding)
    with tempfile.TemporaryDirectory(prefix="twin-read-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        target = None if into is None else str(into.absolute())
        ReadOptions(str(whole), declared, limits, target, vertical_datum).save(folder)
        result = _child(folder, limits, limits.seconds if into is None else limits.raster_seconds)
        if refused := result.get("refused"):
            if refused["layers"]:
                raise SeveralLayers([SourceLayer(**each) for each in refused["layers"]])
            raise BadFile(refused["rule"], scrubbed(refused["reason"], str(whole.parent), name))
        problems = [Problem(**p) for p in result.pop("problems")]
        yield Reading(folder, result, problems)


def _check_encoding(encoding: str) -> None:
    if codec(encoding) is None and encoding.casefold() != "ascii":
        raise BadParameter("encoding", encoding, "a known text encoding such as UTF-8 or GB18030")


def _child(folder: Path, limits: ReadLimits, seconds: int) -> dict[str, Any]:
    """Run the reader and return its result. Raises BadFile when it died."""
    try:
        code = warm.READER.run(folder, seconds * 2)
    except TimeoutError:
        raise BadFile("limit.time", f"reading took longer than {seconds * 2} s{_at(folder)}") from None
    except warm.Died as error:
        why = str(error) or "try again"
        raise BadFile("reader.died", f"the reading process ended without an answer: {why}") from None
    answer = folder / "result.json"
    if answer.is_file():
        result: dict[str, Any] = orjson.loads(answer.read_bytes())
        return result
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        reason = f"reading took more than {limits.seconds} s of CPU or too much memory{_at(folder)}"
        raise BadFile("limit.time", f"{reason}; split the file, or save it as a GeoPackage and load that")
    reason = f"the file ended its reader (code {code}): it is damaged, or needs more memory than the limit"
    reason += _at(folder)
    raise BadFile("reader.died", f"{reason}; {AGAIN}; the city is as it was")


def _at(folder: Path) -> str:
    """How far reading had come, where a reader says it."""
    try:
        with (folder / AT).open("rb") as file:
            # a shorter line may stand over a longer one
            return f"; {shown(file.readline().decode('utf-8', 'replace').rstrip())}"
    except OSError:
        return ""

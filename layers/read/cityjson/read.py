"""A CityJSON file as rows: one document, or a sequence of which each line is a feature with vertices of its
own (CityJSONSeq: CityJSON specification 2.0.1, section 7)."""

from __future__ import annotations

import codecs
import contextlib
import gc
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from layers.errors import BadFile, shown
from layers.read.base import ReadOptions, Sink
from layers.read.cityjson.appearance import Appearance
from layers.read.cityjson.document import Floats, Shared, coordinates, shared, transform_of
from layers.read.cityjson.objects import Document, Objects
from layers.read.cityobjects import CityRows
from layers.read.jsontext import loads, utf8
from layers.read.pictures import Images
from layers.source import NOTHING, SourceLayer

#: Bytes of a line, which is a single feature, at most.
MOST_LINE = 256 << 20
_BETWEEN = codecs.BOM_UTF8 + b" \t\r\n\x1e"
#: Bytes of a member of an extension at most that every feature gets.
_COMMON = 1000
#: Bytes that are kept of a line that is left out.
_KEPT = 1000
_FEATURE = "CityJSONFeature"


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a file. Raises BadFile cityjson.*, json.syntax, limit.columns, limit.bytes."""
    gc.disable()  # orjson builds millions of lists; collecting between them is most of the time
    text = utf8(path, options.declared.encoding)
    text.tell(sink)
    rows = CityRows(sink, options.limits.columns)
    _File(text.path, options, sink, rows).read()
    rows.finish()


def layers(path: Path, options: ReadOptions) -> list[SourceLayer]:
    """The file as one layer. Raises BadFile."""
    gc.disable()
    whole = replace(options, declared=replace(NOTHING, encoding=options.declared.encoding))
    text = utf8(path, options.declared.encoding)
    sink = Sink(None)
    count = _File(text.path, whole, sink, CityRows(sink, options.limits.columns)).count()
    return [SourceLayer("", count, "Solid")]


def is_sequence(path: Path) -> bool:
    """Whether the first line is a whole CityJSON object and others follow it. Raises BadFile json.syntax
    where it is not whole, but the second is a feature."""
    with path.open("rb") as file:
        lines = (
            line for each in iter(lambda: file.readline(MOST_LINE), b"") if (line := each.strip(_BETWEEN))
        )
        first = next(lines, b"")
        if not first.startswith(b"{") or not first.endswith(b"}"):
            return False
        second = next(lines, b"")
    if not second:
        return False
    try:
        return _type(first) in ("CityJSON", _FEATURE)
    except json.JSONDecodeError as error:
        with contextlib.suppress(ValueError):
            if _type(second) == _FEATURE:
                reason = (
                    f"line 1, column {error.colno}: {error.msg}; the line is to be a whole CityJSON object"
                )
                raise BadFile("json.syntax", reason) from error
        return False


def _type(line: bytes) -> Any:
    """The ``type`` of a text. Raises ValueError."""
    said = loads(line)
    return said.get("type") if isinstance(said, dict) else None


class _File:
    """One file on its way to rows."""

    def __init__(self, path: Path, options: ReadOptions, sink: Sink, rows: CityRows) -> None:
        self._path = path
        self._options = options
        self._sink = sink
        self._rows = rows
        self._images = Images(options.folder, sink)

    def read(self) -> None:
        """Hand on every feature."""
        objects: Objects | None = None
        for known, document in self._documents():
            if objects is None:
                objects = self._begun(known)
            objects.add(document)
            if self._sink.enough(self._options.limits, objects.count):
                break
        if objects is not None:
            objects.finish()
        self._images.tell()

    def count(self) -> int:
        """How many features there are."""
        found: Objects | None = None
        count = 0
        for known, document in self._documents():
            found = found or Objects(known, self._options, self._sink, self._rows)
            count += sum(1 for _ in found.bodies(document))
        return count

    def _begun(self, known: Shared) -> Objects:
        sink = self._sink
        sink.meta.update(driver="CityJSON", kind="cim", crs=known.crs)
        objects = Objects(known, self._options, sink, self._rows)
        objects.common = self._common(known.extra)
        return objects

    def _common(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """What members of extensions say of the whole file; what is too long for every feature is noted."""
        long = []
        out = {}
        for name, value in extra.items():
            text = json.dumps(value, default=str)
            if len(text) <= _COMMON:
                out[name] = value
            else:
                long.append(f"{shown(name)} ({len(text)} characters)")
        if long:
            reason = f"members of the whole file are too long to be given to each feature: {', '.join(long)}"
            self._sink.note("cityjson.member", reason)
        return out

    def _documents(self) -> Iterator[tuple[Shared, Document]]:
        if is_sequence(self._path):
            yield from self._sequence()
            return
        city = _loaded(self._path)
        known = shared(city)
        vertices = coordinates(city["vertices"], known.transform)
        yield (
            known,
            Document(city["CityObjects"], vertices, Appearance(city, self._images), finite=_finite(vertices)),
        )

    def _sequence(self) -> Iterator[tuple[Shared, Document]]:
        """The first line, and each other. A line that is none costs itself."""
        self._sink.meta["rows"] = ("line", 1)
        with self._path.open("rb") as file:
            first = loads(file.readline().strip(_BETWEEN))
            if first.get("type") == _FEATURE:
                reason = "the sequence has no first line of type CityJSON, which has transform and CRS"
                raise BadFile("cityjson.sequence", f"{reason}; write it before the features")
            known = shared(first)
            common = Appearance(first, self._images)
            vertices = coordinates(first["vertices"], known.transform)
            yield known, Document(first["CityObjects"], vertices, common, 1, _finite(vertices))
            number = 1
            while line := file.readline(MOST_LINE):
                number += 1
                if len(line) == MOST_LINE:
                    raise BadFile("limit.bytes", f"line {number} has more than {MOST_LINE} bytes, the limit")
                line = line.strip(_BETWEEN)
                if line and (document := self._line(line, number, known, common)) is not None:
                    yield known, document

    def _line(self, line: bytes, number: int, known: Shared, common: Appearance) -> Document | None:
        """A feature of a sequence; None for what is none, which is dropped."""
        try:
            feature = loads(line)
        except json.JSONDecodeError as error:
            reason = f"the line is not whole: column {error.colno}: {error.msg}"
            self._sink.drop("json.syntax", reason, number, held=_beginning(line))
            return None
        said = feature if isinstance(feature, dict) else {}
        objects = said.get("CityObjects")
        if said.get("type") != _FEATURE or not isinstance(objects, dict):
            reason = f"the line is no CityJSONFeature with CityObjects (its type: {shown(said.get('type'))})"
            self._sink.drop("cityjson.feature", reason, number, held=_beginning(line))
            return None
        try:
            vertices = coordinates(said.get("vertices"), transform_of(said) or known.transform)
        except BadFile as error:
            held = {"id": said.get("id")}
            self._sink.drop(error.rule, error.reason, number, said.get("id"), held=held)
            return None
        look = Appearance(said, self._images) if "appearance" in said else common
        return Document(objects, vertices, look, number, _finite(vertices))


def _finite(vertices: Floats) -> bool:
    return bool(np.isfinite(vertices).all())


def _beginning(line: bytes) -> dict[str, str]:
    """What is kept of a line that is left out."""
    return {"line": line[:_KEPT].decode("utf-8", "replace")}


def _loaded(path: Path) -> Any:
    """The file's value. Raises BadFile json.syntax, cityjson.sequence."""
    try:
        return loads(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except json.JSONDecodeError as error:
        if error.msg.startswith("Extra data"):
            reason = "the file holds several texts, and not each on a line; write each on one line"
            raise BadFile("cityjson.sequence", reason) from error
        reason = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise BadFile("json.syntax", reason) from error

"""GeoJSON (RFC 7946) as one text, and as texts one after the other: by lines, printed over several, or each
behind a record separator (RFC 8142)."""

from __future__ import annotations

import contextlib
import gc
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from layers.batch import FID, ROW, SOURCE_ID, WKB
from layers.errors import BadFile, shown
from layers.identity import OURS
from layers.read import geojsonshape
from layers.read.base import BATCH_ROWS, ReadLimits, ReadOptions, Sink
from layers.read.column_profile import ColumnProfile
from layers.read.format import Format, Reader, Refused
from layers.read.jsontext import loads, utf8
from layers.read.sample import Sample
from layers.read.scan import Outline, outline_of
from layers.source import SourceLayer

#: All JSON formats are found under each of these names.
ENDINGS = (".geojson", ".json", ".cityjson", ".jsonl", ".geojsonl", ".geojsons", ".geojsonseq", ".ndjson")
_GEOMETRIES = frozenset(
    {
        *("Point", "MultiPoint", "LineString", "MultiLineString"),
        *("Polygon", "MultiPolygon", "GeometryCollection"),
    }
)
_TYPES = _GEOMETRIES | {"FeatureCollection", "Feature"}
#: Members of a feature that are no properties, and of which nothing is lost.
_MEMBERS = frozenset({"type", "id", "geometry", "properties", "bbox"})
#: The code of a CRS that a link of the member ``crs`` leads to.
_LINK = re.compile(r"/epsg/(?:[0-9.]+/)?(\d{4,6})(?:/|$)", re.IGNORECASE)
#: Bytes of a file that is parsed once, not once for its columns and once for its rows.
_SMALL = 64 << 20
#: What may lie between texts (commas too, as people cut arrays into lines), and what parts them.
_BETWEEN = b" \t\r\n\x1e,\xef\xbb\xbf"
_APART = re.compile(rb"[\s\x1e,]*[\r\n\x1e,][\s\x1e,]*")


def is_json(sample: Sample) -> bool:
    """Whether the text begins as a JSON object does."""
    return sample.text.startswith((b"{", b"\x1e"))


def _is_array(sample: Sample) -> bool:
    return sample.text.startswith(b"[") and sample.text[1:].lstrip().startswith(b"{")


def _may_be_one(sample: Sample) -> bool:
    return is_json(sample) or _is_array(sample)


def outlined(sample: Sample, limits: ReadLimits) -> Outline:
    """Where what lies in a JSON file, once in UTF-8. Raises BadFile json.*."""
    return outline_of(utf8(sample.path, sample.encoding).path, limits.depth)


def _is_one(sample: Sample, limits: ReadLimits) -> bool:
    """By the ``type`` of a single text (RFC 7946, section 3), or of the first object in an array."""
    outline = outlined(sample, limits)
    if _is_array(sample):
        return _is_array_of_features(utf8(sample.path, sample.encoding).path, outline)
    return len(outline.values) == 1 and not _is_sequence(sample) and outline.value("type") in _TYPES


def _is_array_of_features(path: Path, outline: Outline) -> bool:
    if len(outline.values) != 1 or not len(outline.spans[2]):
        return False
    start, end = outline.spans[2][0].tolist()
    with path.open("rb") as file:
        file.seek(start)
        first = file.read(min(end - start, _SMALL))
    with contextlib.suppress(ValueError):
        result = loads(first)
        return isinstance(result, dict) and result.get("type") in _TYPES
    return False


def _is_several(sample: Sample, limits: ReadLimits) -> bool:
    outline = outlined(sample, limits)
    return (len(outline.values) > 1 or _is_sequence(sample)) and outline.value("type") in _TYPES


def _is_sequence(sample: Sample) -> bool:
    """Whether a single text may be the only one of several."""
    return sample.text.startswith(b"\x1e") or sample.ending in (".jsonl", ".geojsonl", ".ndjson")


def _other(sample: Sample, limits: ReadLimits) -> str:
    """What JSON is that no reader took."""
    kind = outlined(sample, limits).value("type")
    what = f'its "type" is {shown(kind)}' if kind else 'it has no "type"'
    return f"JSON but neither GeoJSON nor CityJSON: {what}"


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read one GeoJSON text, or several. Raises BadFile: file.damaged, limit.columns."""
    gc.disable()  # millions of lists are built and kept; collecting between them is half of the time
    text = utf8(path, options.declared.encoding)
    outline = outline_of(text.path, options.limits.depth)
    several = len(outline.values) > 1
    if "features" in outline.repeated:
        raise BadFile("json.repeated", "the file has its member features more than once; join them to one")
    text.tell(sink)
    with text.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        source = _FeatureStream(data, outline, sink)
        if source.is_array:
            sink.note("json.array", "the file is an array of features; they were read as if of a collection")
        sink.meta.update(driver="GeoJSONSeq" if several else "GeoJSON", crs=source.crs())
        if len(data) <= _SMALL:
            source.keep(options.limits.rows)
        learnt = _learn(source, options)
        _write(source, learnt, options, sink)


def layers(path: Path, options: ReadOptions) -> list[SourceLayer]:
    """The file as one layer. Raises BadFile json.*."""
    text = utf8(path, options.declared.encoding)
    outline = outline_of(text.path, options.limits.depth)
    with text.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        kinds: set[str] = set()
        count = 0
        for batch in _FeatureStream(data, outline, Sink(None)).batches():
            count += len(batch)
            shapes = (feature.get("geometry") for _, feature in batch)
            kinds.update(str(shape.get("type")) for shape in shapes if isinstance(shape, dict))
    return [SourceLayer("", count, kinds.pop() if len(kinds) == 1 else "Unknown")]


class _FeatureStream:
    """The features of a file, in the order of the file."""

    def __init__(self, data: mmap.mmap, outline: Outline, sink: Sink) -> None:
        self._data = data
        self._outline = outline
        self._sink = sink
        self._one = len(outline.values) == 1
        self.is_array = self._one and data[outline.values[0, 0] : outline.values[0, 0] + 1] == b"["
        #: Whether the features are members of one array.
        self._listed = self.is_array or (self._one and outline.value("type") == "FeatureCollection")
        self._kept: list[list[tuple[int, Mapping[str, Any]]]] | None = None
        #: Rows that are no feature, told once.
        self._noted: set[int] = set()

    def crs(self) -> str | None:
        """What the member ``crs`` of 2008 says, null where it is not known; WGS 84 without that member."""
        if not self._one or "crs" not in self._outline.members:
            return "EPSG:4326"
        span = self._outline.span("crs")
        crs = loads(self._data[slice(*span)]) if span else self._outline.value("crs")
        if isinstance(crs, str):
            return crs
        says = crs.get("properties") if isinstance(crs, dict) else None
        if not isinstance(says, dict):
            return None if crs is None else json.dumps(crs)
        name = says.get("name", says.get("code"))
        if name is None and (match := _LINK.search(str(says.get("href", "")))) is not None:
            name = int(match[1])
        return f"EPSG:{name}" if isinstance(name, int) else name if isinstance(name, str) else json.dumps(crs)

    def keep(self, most: int | None) -> None:
        """Read the features once for all; as objects they take ten times the bytes of the file."""
        self._kept = list(self.batches(most))

    def batches(self, most: int | None = None) -> Iterator[list[tuple[int, Mapping[str, Any]]]]:
        """(row, feature) of some features at a time, of about the first ``most``. Raises BadFile
        file.damaged."""
        if self._kept is not None:
            yield from self._kept
            return
        spans, before, end = self._places()
        row = 0
        for start in range(0, len(spans), BATCH_ROWS):
            out = []
            for value in self._values(spans[start : start + BATCH_ROWS], before):
                for feature in _features(value):
                    row += 1
                    if isinstance(feature, Mapping):
                        out.append((row, feature))
                    else:
                        self._drop(row, "the text is no GeoJSON feature", feature)
            before = int(spans[min(start + BATCH_ROWS, len(spans)) - 1, 1])
            yield out
            if most is not None and row >= most:
                return
        tail = self._data[before:end].strip(_BETWEEN)
        for number, junk in enumerate(_APART.split(tail) if tail else (), row + 1):
            text = junk.decode("utf-8", "replace")
            self._drop(number, f"{shown(text)} is no GeoJSON feature", text)

    def _places(self) -> tuple[np.ndarray, int, int]:
        """Where the features lie, and where what holds them begins and ends."""
        outline = self._outline
        if self.is_array:
            start, end = outline.values[0].tolist()
            return outline.spans[2], start + 1, end - 1
        if not self._listed:
            return outline.values, 0, len(self._data)
        whole = outline.span("features")
        start = outline.members.get("features", (-1, None))[0]
        return outline.inside("features"), start + 1, whole[1] - 1 if whole else len(self._data)

    def _values(self, spans: np.ndarray, before: int) -> Iterator[Any]:
        """The JSON values of some spans, the first behind an offset, and of what lies between them. One of
        several that cannot be read, and what is no object, is given as its text."""
        if self._listed:
            first, last = int(spans[0, 0]), int(spans[-1, 1])
            with contextlib.suppress(ValueError):
                values = loads(b"[" + self._data[first:last] + b"]")
                if len(values) == len(spans) and not self._data[before:first].strip(_BETWEEN):
                    yield from values
                    return
        places = spans.tolist()
        parts = [self._data[start:end] for start, end in places]
        starts = (start for start, _ in places)
        ends = (before, *(end for _, end in places))
        gaps = [self._data[end:start].strip(_BETWEEN) for end, start in zip(ends, starts, strict=False)]
        try:
            values = loads(b"[" + b",".join(parts) + b"]")
        except ValueError:
            values = [self._value(part) for part in parts]
        for gap, value in zip(gaps, values, strict=True):
            yield from (junk.decode("utf-8", "replace") for junk in _APART.split(gap) if junk)
            yield value

    def _value(self, part: bytes) -> Any:
        try:
            return loads(part)
        except ValueError as error:
            if self._one:
                reason = f"{shown(part.decode('utf-8', 'replace'))} is not JSON: {shown(error)}"
                raise BadFile("file.damaged", reason) from error
            return part.decode("utf-8", "replace")

    def _drop(self, row: int, reason: str, text: Any) -> None:
        if row not in self._noted:
            self._noted.add(row)
            self._sink.drop("json.syntax", reason, row, held={"text": text})


def _held(feature: Mapping[str, Any]) -> dict[str, Any]:
    """What is given back of a feature that no layer can have."""
    return {**_properties(feature), "geometry": feature.get("geometry")}


def _features(value: Any) -> Iterator[Any]:
    """The features that a GeoJSON text holds; what is none as a text of it."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "FeatureCollection" and isinstance(value.get("features"), list):
        for member in value["features"]:
            yield from _features(member)
    elif kind in _GEOMETRIES:
        yield {"type": "Feature", "geometry": value, "properties": {}}
    else:
        yield value if kind == "Feature" or isinstance(value, str) else json.dumps(value)


def _properties(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of a feature; of one that has no such member (section 3.2 demands it) its other members."""
    if "properties" not in feature:
        return {name: value for name, value in feature.items() if name not in _MEMBERS}
    properties = feature["properties"]
    return properties if isinstance(properties, dict) else {}


@dataclass(slots=True)
class _Learnt:
    """What all features say: columns, whether ids merely count them or some are whole numbers, members
    beside properties."""

    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    counted: bool = True
    whole: bool = False
    rows: int = 0
    others: dict[str, int] = field(default_factory=dict)

    @property
    def numbers(self) -> bool:
        """Whether the ids are numbers of rows: they count them, or are those of the store which wrote the
        file and kept the source's own as a property."""
        return self.counted or (self.whole and any(name.casefold() == OURS for name in self.columns))


def _learn(source: _FeatureStream, options: ReadOptions) -> _Learnt:
    """First pass. Raises BadFile limit.columns."""
    learnt = _Learnt()
    columns = learnt.columns
    for batch in source.batches(options.limits.rows):
        for _, feature in batch:
            for name, value in _properties(feature).items():
                column = columns.get(name)
                if column is None:
                    column = columns[name] = ColumnProfile()
                column.add(value)
            learnt.counted = learnt.counted and _id(feature) in (str(learnt.rows), str(learnt.rows + 1))
            learnt.whole = learnt.whole or type(feature.get("id")) is int
            learnt.rows += 1
            if not isinstance(feature.get("properties") or {}, dict):
                learnt.others["properties"] = learnt.others.get("properties", 0) + 1
            if "properties" in feature and not feature.keys() <= _MEMBERS:
                for name in sorted(feature.keys() - _MEMBERS):
                    learnt.others[name] = learnt.others.get(name, 0) + 1
        if len(columns) > options.limits.columns:
            raise BadFile("limit.columns", f"the file has more than {options.limits.columns} columns")
    return learnt


def _write(source: _FeatureStream, learnt: _Learnt, options: ReadOptions, sink: Sink) -> None:
    """Second pass: the batches, and what is to be said of the whole."""
    names = dict(zip(learnt.columns, sink.called(learnt.columns), strict=True))
    sink.meta["bag"] = any(column.present < learnt.rows for column in learnt.columns.values())
    measured = rows = 0
    for batch in source.batches(options.limits.rows):
        shapes, readable = [], []
        for row, feature in batch:
            rows = row
            try:
                blob, measures = _shape(feature, options)
            except BadFile as error:
                sink.drop(error.rule, error.reason, row, _id(feature), held=_held(feature))
                continue
            except (ValueError, OverflowError, TypeError) as error:
                reason = f"the geometry cannot be read: {shown(error)}"
                sink.drop("geometry.unreadable", reason, row, _id(feature), held=_held(feature))
                continue
            shapes.append(blob)
            readable.append((row, feature))
            measured += measures
        if readable:
            sink.batch(_table(readable, shapes, learnt, names))
        if sink.enough(options.limits, rows):
            break
    sink.meta["features"] = rows
    if measured:
        sink.note("geometry.measures", f"positions of {measured} rows have a fourth number; it is left out")
    sink.members(learnt.others)
    for name, column in learnt.columns.items():
        if column.halves:
            reason = f"{names[name]}: {column.halves} texts have half a character, which was replaced"
            sink.note("text.encoding", reason)


def _shape(feature: Mapping[str, Any], options: ReadOptions) -> tuple[bytes | None, bool]:
    """A feature's WKB, None where it has none, and whether it lost measures. Raises BadFile
    limit.vertices; ValueError, OverflowError, TypeError for what is no geometry."""
    geometry = feature.get("geometry")
    if geometry is None:
        return None, False
    blob, measured = geojsonshape.wkb(geometry)
    if len(blob) > options.limits.vertices * 16 + 64:
        most = options.limits.vertices
        raise BadFile("limit.vertices", f"the geometry has more than {most} vertices")
    return blob, measured


def _id(feature: Mapping[str, Any]) -> str | None:
    """The feature's own id: a text or a number (section 3.2)."""
    value = feature.get("id")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None or isinstance(value, bool | list | dict) or value == "" else str(value)


def _table(
    batch: list[tuple[int, Mapping[str, Any]]],
    shapes: list[bytes | None],
    learnt: _Learnt,
    names: Mapping[str, str],
) -> pa.Table:
    """The reader's table."""
    ids = pa.array([_id(feature) for _, feature in batch], pa.string())
    none = pa.nulls(len(batch), pa.string())
    out: dict[str, Any] = {
        ROW: pa.array([row for row, _ in batch], pa.int64()),
        WKB: pa.array(shapes, pa.binary()),
        SOURCE_ID: none if learnt.numbers else ids,
        FID: ids if learnt.numbers else none,
    }
    properties = [_properties(feature) for _, feature in batch]
    for name, column in learnt.columns.items():
        out[names[name]] = column.array([each.get(name) for each in properties])
    return pa.table(out)


FORMATS: tuple[Format, ...] = (
    Reader(
        name="geojson",
        titles={"en": "GeoJSON", "zh-CN": "GeoJSON"},
        endings=ENDINGS,
        recognise=_may_be_one,
        confirm=_is_one,
        read=read,
        layers=layers,
    ),
    Reader(
        name="geojsonseq",
        titles={"en": "GeoJSON lines", "zh-CN": "GeoJSON 行"},
        endings=ENDINGS,
        recognise=is_json,
        confirm=_is_several,
        read=read,
        layers=layers,
    ),
    Refused(is_json, "json.not_geojson", _other),
    Refused(_is_array, "json.not_geojson", "JSON but no GeoJSON: an array of something else than features"),
)

"""GeoJSON (RFC 7946) as one text, and as one feature a line (RFC 8142)."""

from __future__ import annotations

import re
from pathlib import Path

import orjson

from layers.errors import BadFile, shown
from layers.read import gdal
from layers.read.base import Limits, Options, Sink
from layers.read.format import Format, Reader, Refused
from layers.read.sample import Sample
from layers.read.scan import outline_of

#: Both JSON formats are found under each of these names.
ENDINGS = (".geojson", ".json", ".cityjson")
SEQUENCE_ENDINGS = (".jsonl", ".geojsonl")
_TYPES = frozenset(
    {
        *("FeatureCollection", "Feature", "Point", "MultiPoint", "LineString", "MultiLineString"),
        *("Polygon", "MultiPolygon", "GeometryCollection"),
    }
)


def is_json(sample: Sample) -> bool:
    """Whether the text begins as a JSON object does."""
    return sample.text.startswith((b"{", b"\x1e{"))


def _is_sequence(sample: Sample) -> bool:
    return is_json(sample) and sample.ending in SEQUENCE_ENDINGS


def _is_geojson(path: Path, limits: Limits) -> bool:
    """By the top-level ``type`` (RFC 7946 section 3). Raises BadFile json.*."""
    return outline_of(path, limits.depth).value("type") in _TYPES


def _other(sample: Sample, limits: Limits) -> str:
    """What JSON is that no reader took."""
    kind = outline_of(sample.path, limits.depth).value("type")
    what = f'its "type" is {shown(kind)}' if kind else 'it has no "type"'
    return f"JSON but neither GeoJSON nor CityJSON: {what}"


def read(path: Path, options: Options, sink: Sink) -> None:
    """Read one GeoJSON text. Raises BadFile."""
    from layers.read import vector

    numbered, encoding = _has_integer_ids(path), options.declared.encoding
    vector.read(path, options, sink, "GeoJSON", encoding=encoding, numbered=numbered)


def read_sequence(path: Path, options: Options, sink: Sink) -> None:
    """Read a sequence of features. Raises BadFile, among others cityjson.sequence."""
    from layers.read import vector

    with path.open("rb") as file:
        head = file.read(65_536)
    if b'"CityJSON"' in head or b'"CityJSONFeature"' in head:
        raise BadFile(
            "cityjson.sequence", "CityJSON text sequences are not read yet; join them to one CityJSON file"
        )
    numbered, encoding = _has_integer_ids(path), options.declared.encoding
    vector.read(path, options, sink, "GeoJSONSeq", encoding=encoding, numbered=numbered)


def _has_integer_ids(path: Path) -> bool:
    """Whether the features of a GeoJSON file carry integer ids; GDAL invents them where they are absent."""
    with path.open("rb") as file:
        head = file.read(1 << 20)
    feature = re.search(rb'\{[^{}]*?"type"\s*:\s*"Feature"', head)
    if feature is None:
        return False
    part = _first_object(head, feature.start())
    if part is None:
        return False
    try:
        value = orjson.loads(part)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and isinstance(value.get("id"), int)


def _first_object(data: bytes, start: int) -> bytes | None:
    """The JSON object that begins at a position, if it ends within the data."""
    depth = 0
    for match in re.finditer(rb'"(?:[^"\\]|\\.)*"|[{}]', data[start:]):
        token = match.group()
        if token == b"{":
            depth += 1
        elif token == b"}":
            depth -= 1
            if depth == 0:
                return data[start : start + match.end()]
    return None


FORMATS: tuple[Format, ...] = (
    Reader(
        name="geojson",
        titles={"en": "GeoJSON", "zh-CN": "GeoJSON"},
        endings=ENDINGS,
        recognise=lambda sample: is_json(sample) and not _is_sequence(sample),
        confirm=_is_geojson,
        read=read,
        layers=gdal.listing("GeoJSON"),
        drivers=frozenset({"GeoJSON"}),
    ),
    Reader(
        name="geojsonseq",
        titles={"en": "GeoJSON lines", "zh-CN": "GeoJSON 行"},
        endings=SEQUENCE_ENDINGS,
        recognise=_is_sequence,
        read=read_sequence,
        layers=gdal.listing("GeoJSONSeq"),
        drivers=frozenset({"GeoJSONSeq"}),
    ),
    Refused(is_json, "json.not_geojson", _other),
)

"""Request parameters → :class:`layers.model.Query`: one strict table drives parsing and OpenAPI."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from layers import crs as crs_
from layers.errors import BadParameter
from layers.model import CRS84, Bbox, Field, Layer, Query
from layers.store.values import day, instant, stored

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
MAX_OFFSET = 100_000
MAX_FID = 2**63 - 1

type Interval = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter: its name, what it means, its OpenAPI schema, and its strict parser.

    ``parse`` takes the text and raises BadParameter, or ValueError with the reason."""

    name: str
    description: str
    schema: Mapping[str, Any]
    parse: Callable[[str], Any]

    def read(self, text: str) -> Any:
        """The typed value. Raises BadParameter naming parameter, value and what is allowed."""
        try:
            return self.parse(text)
        except ValueError as error:
            raise BadParameter(self.name, text, str(error)) from error

    def openapi(self) -> dict[str, Any]:
        """An OpenAPI 3.0 parameter object, with style and explode written out (QGIS needs them)."""
        return {
            "name": self.name,
            "in": "query",
            "required": False,
            "description": self.description,
            "schema": dict(self.schema),
            "style": "form",
            "explode": False,
        }


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_WHOLE = re.compile(r"[+-]?\d{1,40}", re.ASCII)


def _numbers(text: str) -> tuple[float, ...]:
    parts = text.split(",")
    if len(parts) not in (4, 6) or not all(_NUMBER.fullmatch(p) for p in parts):
        raise ValueError("4 or 6 finite numbers separated by commas")
    values = tuple(float(p) for p in parts)
    if not all(math.isfinite(v) for v in values):
        raise ValueError("4 or 6 finite numbers separated by commas")
    if len(values) == 6:
        if values[2] > values[5]:
            raise ValueError("the lower height comes before the upper one")
        values = (values[0], values[1], values[3], values[4])
    return values


def _limit(text: str) -> int:
    if not _WHOLE.fullmatch(text) or int(text) < 1:
        raise ValueError(f"a whole number from 1; above {MAX_LIMIT} it counts as {MAX_LIMIT}")
    return min(int(text), MAX_LIMIT)


def _between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _datetime(text: str) -> Interval:
    parts = text.split("/")
    if len(parts) == 1:
        start, end = _bound(parts[0], False), _bound(parts[0], True)
        if start is None or end is None:
            raise ValueError("an instant, or an interval with one end open (..)")
        return start, end
    if len(parts) != 2:
        raise ValueError("an instant, or two of them separated by one slash")
    start, end = _bound(parts[0], False), _bound(parts[1], True)
    if start is not None and end is not None and start > end:
        raise ValueError("an interval begins before it ends")
    return start, end


def _bound(text: str, end: bool) -> str | None:
    """One end of an interval as a UTC instant; None when open.

    QGIS writes an open end as the year 0000 or 9999."""
    if text in ("", "..") or text.startswith(("0000-", "9999-")):
        return None
    if len(text) == 10:
        return day(text) + ("T23:59:59.999Z" if end else "T00:00:00.000Z")
    return instant(text)


def _crs(name: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        return crs_.uri(crs_.label(text, name))

    return parse


_BOX = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}

#: Every parameter of an items request except ``f`` (the representation) and the property filters.
PARAMETERS: dict[str, Parameter] = {
    p.name: p
    for p in (
        Parameter(
            "bbox",
            "Only features that intersect this box: west, south, east, north (or with heights: 6 numbers). "
            "West greater than east crosses the antimeridian.",
            _BOX | {"oneOf": [{"maxItems": 4}, {"minItems": 6}]},
            _numbers,
        ),
        Parameter(
            "bbox-crs",
            "The CRS of bbox, in the axis order of its authority.",
            {"type": "string", "format": "uri", "default": CRS84},
            _crs("bbox-crs"),
        ),
        Parameter(
            "crs",
            "The CRS of the answer, in the axis order of its authority.",
            {"type": "string", "format": "uri", "default": CRS84},
            _crs("crs"),
        ),
        Parameter(
            "datetime",
            "Only features whose time intersects this instant or interval (RFC 3339; `..` is an open end).",
            {"type": "string"},
            _datetime,
        ),
        Parameter(
            "limit",
            "How many features at most.",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            _limit,
        ),
        Parameter(
            "offset",
            "How many matching features to skip. Following `next` links is faster and stable under edits.",
            {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
            _between(0, MAX_OFFSET),
        ),
        Parameter(
            "after",
            "Only features whose id is greater; `next` links carry it.",
            {"type": "integer", "format": "int64", "minimum": 0},
            _between(0, MAX_FID),
        ),
    )
}

RESERVED = frozenset({*PARAMETERS, "f", "token", "filter", "filter-lang", "filter-crs", "sortby", "q"})

_SCHEMAS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}


def filters(layer: Layer) -> dict[str, Parameter]:
    """The property filters of a layer, by field name; a field named like a parameter has none."""
    return {f.name: _filter(f) for f in layer.fields if f.name not in RESERVED}


def _filter(field: Field) -> Parameter:
    title = field.title.get("en") or field.name
    schema = dict(_SCHEMAS[field.type])
    if field.codes:
        schema["enum"] = list(field.codes) if field.type == "string" else None
        schema = {k: v for k, v in schema.items() if v is not None}
    return Parameter(field.name, f"Only features whose {title} is this value.", schema, _typed(field))


def _typed(field: Field) -> Callable[[str], str | int | float | bool]:
    def parse(text: str) -> str | int | float | bool:
        if field.type == "integer":
            if not _WHOLE.fullmatch(text):
                raise ValueError("a whole number")
            text_value: Any = int(text)
        elif field.type == "number":
            if not _NUMBER.fullmatch(text):
                raise ValueError("a finite number")
            text_value = float(text)
        elif field.type == "boolean":
            if text not in ("true", "false"):
                raise ValueError("true or false")
            return text == "true"
        else:
            text_value = text
        value = stored(field.type, text_value)
        assert value is not None
        return value

    return parse


def parse(layer: Layer, pairs: Iterable[tuple[str, str]]) -> Query:
    """A checked query from decoded (name, value) pairs, without ``f``.

    Raises BadParameter: unknown or repeated name, malformed value, CRS that is not offered."""
    table: dict[str, Parameter] | None = None
    values: dict[str, Any] = {}
    raw: dict[str, str] = {}
    equals: list[tuple[str, str | int | float | bool]] = []
    for name, text in pairs:
        if name in raw:
            raise BadParameter(name, text, "a parameter is given once")
        raw[name] = text
        known = PARAMETERS.get(name)
        if known is not None:
            values[name] = known.read(text)
            continue
        table = filters(layer) if table is None else table
        if name not in table:
            raise BadParameter(name, text, f"unknown parameter; allowed are {_allowed(table)}")
        equals.append((name, table[name].read(text)))
    return Query(
        bbox=_bbox(layer, values, raw),
        datetime=_closed(values.get("datetime")),
        equals=tuple(equals),
        limit=values.get("limit", DEFAULT_LIMIT),
        offset=values.get("offset", 0),
        after=values.get("after"),
        crs=_offered(layer, "crs", values, raw),
    )


def parse_item(layer: Layer, pairs: Iterable[tuple[str, str]]) -> str:
    """The output CRS of a request for one item: ``crs`` is its only parameter. Raises BadParameter."""
    crs = CRS84
    seen = False
    for name, text in pairs:
        if name != "crs":
            raise BadParameter(name, text, "unknown parameter; allowed are crs, f")
        if seen:
            raise BadParameter(name, text, "a parameter is given once")
        seen = True
        crs = _offered(layer, "crs", {"crs": PARAMETERS["crs"].read(text)}, {"crs": text})
    return crs


def _allowed(table: Mapping[str, Parameter]) -> str:
    return ", ".join([*PARAMETERS, "f", *sorted(table)][:40])


def _closed(interval: Interval | None) -> Interval | None:
    return None if interval == (None, None) else interval


def _offered(layer: Layer, name: str, values: Mapping[str, Any], raw: Mapping[str, str]) -> str:
    uri: str = values.get(name, CRS84)
    if uri != CRS84 and uri not in (offered := crs_.supported(layer)):
        raise BadParameter(name, raw[name], "one of " + ", ".join(offered))
    return uri


def _bbox(layer: Layer, values: Mapping[str, Any], raw: Mapping[str, str]) -> Bbox | None:
    crs = _offered(layer, "bbox-crs", values, raw)
    box: Bbox | None = values.get("bbox")
    if box is None:
        return None
    swapped = crs != CRS84 and crs_.swaps(crs)
    west, south, east, north = (box[1], box[0], box[3], box[2]) if swapped else box
    if south > north:
        raise BadParameter("bbox", raw["bbox"], "south comes before north")
    if west > east:
        if not (crs_.is_geographic(crs) and abs(west) <= 180 and abs(east) <= 180):
            raise BadParameter("bbox", raw["bbox"], "west comes before east (across 180° both within ±180)")
        return west, south, east, north
    return crs_.bbox_to_lonlat(box, crs)

"""The parameters of a request for features: one strict table drives parsing and OpenAPI."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from layers import crs as crs_
from layers import cursor
from layers.cql import limits
from layers.cql.ast import FID
from layers.cql.parse import LANGUAGES
from layers.errors import BadParameter
from layers.instants import day, instant
from layers.model import FeatureLayer
from layers.types import CRS84, Field, Interval, Sort
from layers.values import stored

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
MAX_OFFSET = 100_000
MAX_SORT = 8
MAX_WORDS = 10
MAX_WORD = 100


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


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
_CHANGE = re.compile(r"@\d{1,18}", re.ASCII)
#: Of an offset whose plus sign was not escaped: it reaches a server as a space.
_SPACE = re.compile(r" (?=\d\d:?\d\d$)")
#: How QGIS writes an open start and an open end.
_FIRST, _LAST = "0000-01-01T00:00:00Z", "9999-12-31T00:00:00Z"


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
    digits = text.removeprefix("+").lstrip("0")
    if not _DIGITS.fullmatch(digits):
        raise ValueError(f"a whole number from 1; above {MAX_LIMIT} it counts as {MAX_LIMIT}")
    # however many digits it has, too large a limit is no error (17-069r4, /req/core/fc-limit-response-1)
    return min(int(digits[:20]), MAX_LIMIT)


def between(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers within a range."""

    def parse(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _datetime(text: str) -> Interval:
    parts = text.split("/")
    if len(parts) == 1:
        if text in ("", ".."):
            raise ValueError("an instant, or an interval with one end open (..)")
        return _moment(text, False), _moment(text, True)
    if len(parts) != 2:
        raise ValueError("an instant, or two of them separated by one slash")
    start = None if parts[0] in ("", "..", _FIRST) else _moment(parts[0], False)
    end = None if parts[1] in ("", "..", _LAST) else _moment(parts[1], True)
    if start is not None and end is not None and start > end:
        raise ValueError("an interval begins before it ends")
    return start, end


def _moment(text: str, end: bool) -> str:
    """An instant in UTC; a date as the first or the last millisecond of its day."""
    if len(text) == 10:
        return day(text) + ("T23:59:59.999Z" if end else "T00:00:00.000Z")
    return instant(text)


def _at(text: str) -> str:
    if _CHANGE.fullmatch(text):
        return text
    if text.startswith("@"):
        raise ValueError("@ and a number of the change log, as @4711")
    return instant(_SPACE.sub("+", text))


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise ValueError("names of properties separated by commas, each once")
    return names


def _sortby(text: str) -> tuple[Sort, ...]:
    # A plus sign that was not escaped reaches a server as a space.
    keys = tuple(
        Sort(
            part.removeprefix("-") if part[:1] == "-" else part.removeprefix("+").removeprefix(" "),
            part[:1] == "-",
        )
        for part in text.split(",")
    )
    if not all(k.field for k in keys) or len({k.field for k in keys}) < len(keys):
        raise ValueError("names of properties separated by commas, each once, with + or - before it")
    if len(keys) > MAX_SORT:
        raise ValueError(f"at most {MAX_SORT} properties")
    return keys


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise ValueError("words separated by commas")
    if len(words) > MAX_WORDS or any(len(word) > MAX_WORD for word in words):
        raise ValueError(f"at most {MAX_WORDS} words of at most {MAX_WORD} characters")
    if any(not c.isprintable() for word in words for c in word):
        raise ValueError("words without control characters")
    return words


def _language(text: str) -> str:
    if text not in LANGUAGES:
        raise ValueError(f"one of {', '.join(LANGUAGES)}")
    return text


def _crs(name: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        return crs_.uri(crs_.label(text, name))

    return parse


_LIST = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_BOX = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}

#: Every parameter of an items request except ``f`` (the representation) and the property filters.
PARAMETERS: dict[str, Parameter] = {
    p.name: p
    for p in (
        Parameter(
            "bbox",
            "Only features that intersect this box: west, south, east, north. Of six numbers the heights "
            "(third and sixth) choose nothing. West greater than east crosses the antimeridian.",
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
            between(0, MAX_OFFSET),
        ),
        Parameter(
            "after",
            "Only features that follow this place in the order; `next` links carry it.",
            {"type": "string", "maxLength": cursor.MAX_TEXT},
            str,
        ),
        Parameter(
            "properties",
            "Only these properties, separated by commas.",
            _LIST,
            _names,
        ),
        Parameter(
            "sortby",
            "The order: properties separated by commas, with `-` before one that descends (`+` ascends). "
            "Features without a value come last; features that are equal are in the order of their ids.",
            _LIST | {"items": {"type": "string", "pattern": "^[+-]?.+"}, "maxItems": MAX_SORT},
            _sortby,
        ),
        Parameter(
            "q",
            "Only features in which one of these words (separated by commas) occurs in a text property, "
            "without regard to case and accents.",
            _LIST | {"items": {"type": "string", "maxLength": MAX_WORD}, "maxItems": MAX_WORDS},
            _words,
        ),
        Parameter(
            "filter",
            "Only features for which this CQL2 expression is true.",
            {"type": "string", "maxLength": limits.MAX_BYTES},
            str,
        ),
        Parameter(
            "filter-lang",
            "The language of filter.",
            {"type": "string", "enum": list(LANGUAGES), "default": LANGUAGES[0]},
            _language,
        ),
        Parameter(
            "filter-crs",
            "The CRS of the geometries in filter, in the axis order of its authority.",
            {"type": "string", "format": "uri", "default": CRS84},
            _crs("filter-crs"),
        ),
    )
}

#: The parameter of every request that can be answered as of an instant.
AT = Parameter(
    "at",
    "As the city was at this instant (RFC 3339, with a zone), or after this change (`@` and a number of the "
    "change log). Not to be mixed up with `datetime`, which is about the time that features tell of.",
    {"type": "string", "maxLength": 40},
    _at,
)
#: Why something takes none, the values of rasters among it.
NOT_KEPT = "nothing is kept of what this was: without it, it is told as it is now"
#: Parameters of a page; a download is whole and has none of them.
PAGING = frozenset({"limit", "offset", "after"})
RESERVED = frozenset({*PARAMETERS, AT.name, "f", "profile", "token"})

_SCHEMAS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}


def filters(layer: FeatureLayer) -> dict[str, Parameter]:
    """The property filters of a layer, by field name, and ``id``, the feature's own number where no property
    has that name; none for an array or a field named like a parameter."""
    own = {f.name: _filter(f) for f in layer.fields if f.name not in RESERVED and f.type != "array"}
    return own if layer.field(FID.name) is not None else {FID.name: _filter(FID)} | own


def _filter(field: Field) -> Parameter:
    title = field.title.get("en") or field.name
    # No enum of the field's codes: rows may hold other values, and to ask for those is no mistake.
    schema = _SCHEMAS[field.type]
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

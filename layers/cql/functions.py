"""The functions a filter may call: typed signatures, and words for ``/ogc/functions``.

Each store writes them so that the answers are equal. Numbers are doubles: a result (or the operand of
an addition) of a magnitude beyond about 1e304 is null, as is a quotient or power that has no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from layers.types import FieldType

_TEXT: frozenset[FieldType] = frozenset({"string"})
_NUMBER: frozenset[FieldType] = frozenset({"integer", "number"})
_DAY: frozenset[FieldType] = frozenset({"date", "datetime"})
_TIME: frozenset[FieldType] = frozenset({"datetime"})
_WHOLE: frozenset[FieldType] = frozenset({"integer"})


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: its title, and the types it may have."""

    title: str
    types: frozenset[FieldType]


@dataclass(frozen=True, slots=True)
class Function:
    """One function: what it does (English), its arguments, the type of its result."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    returns: FieldType


def _of(
    title: str, types: frozenset[FieldType], returns: FieldType, **functions: str
) -> tuple[Function, ...]:
    argument = (Argument(title, types),)
    return tuple(Function(name, text, argument, returns) for name, text in functions.items())


_TILE = tuple(Argument(f"{name}, a literal", _WHOLE) for name in ("zoom", "column", "row"))
#: Those that compare the feature's box with a tile of WebMercatorQuad: see :mod:`layers.quadtree`.
TILE_FUNCTIONS: Mapping[str, str] = {
    "middle_in_tile": (
        "Whether the middle of the geometry's bounding box lies in a tile of WebMercatorQuad:"
        " west <= longitude < east, south < latitude <= north."
    ),
    "fits_tile": (
        "Whether the geometry's bounding box is neither wider nor higher than that tile, in degrees,"
        " wherever it lies."
    ),
}

#: Name → function, in the order in which they are listed.
FUNCTIONS: Mapping[str, Function] = {
    f.name: f
    for f in (
        *_of(
            "text",
            _TEXT,
            "string",
            lower="The text in lower case.",
            upper="The text in upper case.",
            trim="The text without spaces at its beginning and end.",
        ),
        *_of("text", _TEXT, "integer", char_length="The number of characters (Unicode code points)."),
        *_of(
            "number",
            _NUMBER,
            "number",
            abs="The number without its sign.",
            floor="The greatest whole number that is not greater.",
            ceil="The least whole number that is not less.",
            round="The nearest whole number; a half goes away from zero.",
        ),
        *_of(
            "time",
            _DAY,
            "integer",
            year="The year of a date, or of an instant in UTC.",
            month="The month, 1 to 12.",
            day="The day of the month, 1 to 31.",
        ),
        *_of(
            "time",
            _TIME,
            "integer",
            hour="The hour of an instant in UTC, 0 to 23.",
            minute="The minute, 0 to 59.",
            second="The whole second, 0 to 59.",
        ),
        *(Function(name, text, _TILE, "boolean") for name, text in TILE_FUNCTIONS.items()),
    )
}

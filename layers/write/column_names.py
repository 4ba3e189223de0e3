"""What every writer begins with: which columns a file gets, their names, and values as the field's type."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import orjson

from layers import instants
from layers.model import FeatureLayer, Rows
from layers.types import Field, FieldType

FID = "fid"
GEOMETRY = "geometry"


def fields(layer: FeatureLayer, rows: Rows | None) -> tuple[Field, ...]:
    """The fields that the rows carry, in the order of the layer; all of them while there are no rows."""
    if rows is None:
        return layer.fields
    return tuple(f for f in layer.fields if f.name in rows.properties)


def begun(layer: FeatureLayer, batches: Iterable[Rows]) -> tuple[tuple[Field, ...], Iterator[Rows]]:
    """The fields that the first batch carries, as :func:`fields` gives them, and all the batches."""
    rest = iter(batches)
    first = next(rest, None)
    return fields(layer, first), rest if first is None else _with_first(first, rest)


def _with_first(first: Rows, rest: Iterator[Rows]) -> Iterator[Rows]:
    yield first
    del first  # a batch is large: none is held longer than it is used
    yield from rest


def free(name: str, used: Iterable[str]) -> str:
    """The name, or with the first ``_1``, ``_2``… that is not taken; case is not told apart."""
    folded = {one.casefold() for one in used}
    candidate, number = name, 0
    while candidate.casefold() in folded:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def distinct(names: Sequence[str], reserved: Iterable[str] = ()) -> list[str]:
    """Names for formats that do not tell case apart: a later one that is taken gets a number."""
    used = list(reserved)
    result = []
    for name in names:
        result.append(free(name, used))
        used.append(result[-1])
    return result


def title(titles: Mapping[str, str]) -> str:
    """The title for a file, which has one language: the first; empty where there is none."""
    return next(iter(titles.values()), "")


def meaning(field: Field) -> str:
    """What a format may say of a column beside its title: the titles of other languages, the unit."""
    first = title(field.title)
    others = [text for text in field.title.values() if text != first]
    return "; ".join([*others, *([f"unit: {field.unit}"] if field.unit else [])])


def text(value: object) -> str:
    """A stored value as text. Bytes that another program stored are read as UTF-8."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple | dict):
        return orjson.dumps(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def whole(value: object) -> int | None:
    """A 64-bit integer, or None for what another program stored that is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def number(value: object) -> float | None:
    """A finite double, or None for what is none."""
    if not isinstance(value, int | float):
        return None
    try:
        double = float(value)
    except OverflowError:
        return None
    return double if math.isfinite(double) else None


def truth(value: object) -> bool | None:
    """True or false, or None for what is neither."""
    return bool(value) if value in (0, 1) else None


def day(value: object) -> date | None:
    """A stored date, or None for what is none."""
    try:
        return date.fromisoformat(text(value)[:10])
    except ValueError:
        return None


def moment(value: object) -> datetime | None:
    """A stored instant in UTC; one without a zone counts as UTC. None for what is none."""
    try:
        read = instants.moment(text(value))
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def instant(value: object) -> str | None:
    """A stored instant as ``YYYY-MM-DDThh:mm:ss.sssZ``, or None."""
    if isinstance(value, str) and len(value) == 24 and value[10] == "T" and value[23] == "Z":
        return value
    read = moment(value)
    return None if read is None else instants.utc(read)


def calendar(value: object) -> str | None:
    """A stored date as ``YYYY-MM-DD``, or None."""
    read = day(value)
    return None if read is None else read.isoformat()


#: Field type → stored value (never None) → the value as plain Python of that type, or None.
PLAIN: Mapping[FieldType, Callable[[Any], Any]] = {
    "string": text,
    "array": text,
    "integer": whole,
    "number": number,
    "boolean": truth,
    "date": calendar,
    "datetime": instant,
}


#: Field type → the class of values that are as they should be.
_HELD: Mapping[FieldType, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
}


def plain(field: Field, values: Sequence[Any]) -> Sequence[Any]:
    """A column as text, int, float or bool by the type of its field; null where a value does not fit."""
    held = _HELD.get(field.type)
    if held is not None and set(map(type, values)) <= {held, type(None)} and _in_range(held, values):
        return values
    as_type = PLAIN[field.type]
    return [None if value is None else as_type(value) for value in values]


def _in_range(held: type, values: Sequence[Any]) -> bool:
    """Whether all numbers are 64-bit or finite; False may only mean that one has to look closer."""
    if held is int:
        there = [value for value in values if value is not None]
        return not there or (min(there) >= -(2**63) and max(there) < 2**63)
    return held is not float or math.isfinite(sum(value for value in values if value is not None))

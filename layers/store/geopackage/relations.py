"""Relations of a feature's geometry to a literal, as functions that SQLite calls for each row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

from layers import wkb
from layers.store.geopackage import blob


class _Literal:
    """A geometry literal while a statement uses it."""

    def __init__(self, shape: Any) -> None:
        import shapely

        shapely.prepare(shape)
        self.shape = shape
        self.bounds: tuple[float, float, float, float] = shape.bounds
        self.box = bool(shape.equals_exact(shapely.box(*self.bounds), normalize=True))


class _Handle(int):
    """The number by which SQL names a literal; it keeps the literal alive."""

    literal: _Literal


_literals: WeakValueDictionary[int, _Literal] = WeakValueDictionary()
_numbers = itertools.count(1)


def handle(shape: Any) -> int:
    """A value to bind for a shapely geometry; the geometry is prepared once for all rows."""
    made = _Handle(next(_numbers))
    made.literal = _literals[int(made)] = _Literal(shape)
    return made


#: Relation → what the literal must be to the feature's geometry, so that the prepared one comes first.
_RELATIONS: Mapping[str, str] = {
    "s_intersects": "intersects",
    "s_disjoint": "disjoint",
    "s_equals": "equals",
    "s_touches": "touches",
    "s_within": "contains",
    "s_contains": "within",
    "s_overlaps": "overlaps",
    "s_crosses": "crosses",
}
#: What holds of a geometry that lies within the interior of a box.
_INSIDE = frozenset({"s_intersects", "s_within"})


def _relation(op: str, name: str) -> Callable[[Any, Any], int | None]:
    def of(value: Any, number: Any) -> int | None:
        literal = _literals.get(number)
        if literal is None or not isinstance(value, bytes):
            return None
        box = blob.envelope(value)
        if box is not None and (known := _by_box(op, box, literal)) is not None:
            return known
        shape = _read(value)
        try:
            return None if shape is None else int(getattr(literal.shape, name)(shape))
        except _failure():  # of a geometry that is not valid
            return None

    return of


def _by_box(op: str, box: blob.Envelope, literal: _Literal) -> int | None:
    """The answer that the boxes of the two geometries give already, or None."""
    west, south, east, north = literal.bounds
    minx, maxx, miny, maxy = box
    if minx > east or maxx < west or miny > north or maxy < south:
        return int(op == "s_disjoint")
    if literal.box and minx > west and maxx < east and miny > south and maxy < north:
        return int(op in _INSIDE)
    if op == "s_within" and not (minx >= west and maxx <= east and miny >= south and maxy <= north):
        return 0
    if op == "s_contains" and not (minx <= west and maxx >= east and miny <= south and maxy >= north):
        return 0
    return None


def _read(value: bytes) -> Any:
    try:
        return wkb.shape(blob.wkb(value))
    except ValueError:
        return None


def _middle_in_tile(value: Any, west: float, south: float, east: float, north: float) -> int | None:
    box = blob.envelope(value)
    if box is None:
        return _no_box(value)
    lon, lat = (box[0] + box[1]) / 2, (box[2] + box[3]) / 2
    return int(west <= lon < east and south < lat <= north)


def _fits_tile(value: Any, width: float, height: float) -> int | None:
    box = blob.envelope(value)
    return _no_box(value) if box is None else int(box[1] - box[0] <= width and box[3] - box[2] <= height)


def _no_box(value: Any) -> int | None:
    """As a relation of an empty geometry is false, and of what cannot be read null."""
    shape = _read(value) if isinstance(value, bytes) else None
    return None if shape is None else 0


@lru_cache(maxsize=1)
def _failure() -> type[Exception]:
    import shapely

    failure: type[Exception] = shapely.errors.ShapelyError
    return failure


#: Name, number of arguments (geometry, then a handle or numbers), function; null for null and for what
#: cannot be read.
FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    *((op, 2, _relation(op, name)) for op, name in _RELATIONS.items()),
    ("middle_in_tile", 5, _middle_in_tile),
    ("fits_tile", 3, _fits_tile),
)

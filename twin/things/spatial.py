"""The geospatial functions and relations of ``$filter`` and ``$orderby`` (OGC 18-088 clause 9.3.3.5.2).

What is asked of a kept geometry and a literal is answered by the index in memory, and reaches the SQL as the
ids of those it is true of, or as a number by id. Distances and lengths are in the unit of the CRS, as OData
has it: degrees of EPSG:4326."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import shapely
from shapely import Geometry

from twin.things.geometries import Indexed, Located
from twin.things.model import SETS, Entity, Nav

#: Name → relation; ``relate`` takes a pattern, too.
RELATIONS = {
    "geo.intersects": "intersects",
    **{
        f"st_{name}": name
        for name in (
            "equals",
            "disjoint",
            "touches",
            "within",
            "overlaps",
            "crosses",
            "intersects",
            "contains",
        )
    },
    "st_relate": "relate",
}
NUMBERS = ("geo.distance", "geo.length")
FUNCTIONS = (*NUMBERS, *RELATIONS)
PATTERN = re.compile("[TF*012]{9}")
_SRID = re.compile(r"\s*SRID\s*=\s*(\d+)\s*;", re.IGNORECASE)
_LINES = (1, 2, 5)

type Params = tuple[Any, ...]
type Sql = tuple[str, Params]


@dataclass(frozen=True, slots=True)
class Stored:
    """A geometry that is kept: of which set, under which alias, over which navigations from which entity."""

    set: str
    alias: str
    base: Entity
    navs: tuple[Nav, ...] = ()


type Place = Stored | Geometry


@dataclass(slots=True)
class Space:
    """What one request asks of geometries."""

    located: Located
    #: What the SQL function of numbers gives by id, one a use of it.
    _numbers: list[Callable[..., Any]] = field(default_factory=list)

    def bind(self, conn: sqlite3.Connection) -> None:
        """Let a connection evaluate what was compiled."""
        if self._numbers:
            conn.create_function("sta_of", -1, lambda use, *ids: self._numbers[use](*ids))

    def relation(self, name: str, one: Place, other: Place, pattern: str = "") -> Sql:
        """A condition over alias ``a``, or over those of two kept geometries."""
        relation = RELATIONS[name]
        if isinstance(one, Stored) and isinstance(other, Stored):
            return self._pair(one, other, lambda a, b: int(_tested(relation, a, b, pattern)))
        if isinstance(one, Stored):
            return _reached(one, self._related(one, relation, other, pattern, first=False))
        if isinstance(other, Stored):
            return _reached(other, self._related(other, relation, one, pattern, first=True))
        return "?", (int(_tested(relation, one, other, pattern)),)

    def _related(self, kept: Stored, relation: str, asked: Place, pattern: str, *, first: bool) -> list[int]:
        question = Indexed.relate if relation == "relate" else Indexed.related
        ids = self.located.ask(kept.set, question, pattern or relation, asked, first=first)
        return [int(id_) for id_ in ids]

    def nearer(self, kept: Stored, asked: Geometry, distance: float, *, strictly: bool) -> Sql:
        """A condition: what is kept is at most so far away, or nearer than that."""
        found = self.located.ask(kept.set, Indexed.near, asked, distance)
        ids, far = found
        return _reached(kept, (ids[far < distance] if strictly else ids).tolist())

    def distance(self, one: Place, other: Place) -> Sql:
        """A number: how far two geometries are from one another."""
        if isinstance(one, Stored) and isinstance(other, Stored):
            return self._pair(one, other, lambda a, b: float(shapely.distance(a, b)))
        if not isinstance(one, Stored) and not isinstance(other, Stored):
            return "?", (float(shapely.distance(one, other)),)
        kept, asked = (one, other) if isinstance(one, Stored) else (other, one)
        assert isinstance(kept, Stored)
        return self._number(kept, lambda some: shapely.distance(some, asked))

    def length(self, one: Place) -> Sql:
        """A number: the length of lines; that of all else is 0."""
        if isinstance(one, Stored):
            return self._number(one, _lengths)
        return "?", (float(_lengths(np.array([one], object))[0]),)

    def _number(self, kept: Stored, of: Callable[[Any], Any]) -> Sql:
        found = self.located.ask(kept.set, Indexed.all)
        ids, some = found
        numbers = dict(zip(ids.tolist(), of(some).tolist(), strict=True))
        self._numbers.append(numbers.get)
        return f"sta_of(?, {kept.alias}.id)", (len(self._numbers) - 1,)

    def _pair(self, one: Stored, other: Stored, of: Callable[[Geometry, Geometry], float]) -> Sql:
        def value(first: int, second: int) -> float | None:
            a: Geometry | None = self.located.ask(one.set, Indexed.get, first)
            b: Geometry | None = self.located.ask(other.set, Indexed.get, second)
            return None if a is None or b is None else of(a, b)

        self._numbers.append(value)
        return f"sta_of(?, {one.alias}.id, {other.alias}.id)", (len(self._numbers) - 1,)


def literal(text: str) -> Geometry:
    """A geometry from WKT in longitude, latitude. Raises ValueError saying why not."""
    match = _SRID.match(text)
    if match is not None and int(match[1]) != 4326:
        raise ValueError("coordinates are longitude, latitude: no SRID but 4326")
    try:
        found = shapely.from_wkt(text[match.end() :] if match else text)
    except shapely.errors.ShapelyError as error:
        raise ValueError("no geometry in WKT, as geography'POINT (24.9 60.2)'") from error
    if found is None or found.is_empty:
        raise ValueError("an empty geometry")
    if not all(map(math.isfinite, found.bounds)):
        raise ValueError("coordinates are to be finite")
    west, south, east, north = found.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise ValueError("coordinates are longitude, latitude in degrees")
    if not found.is_valid:
        raise ValueError(f"no valid geometry: {shapely.is_valid_reason(found)}")
    shapely.prepare(found)
    return found


def _tested(relation: str, one: Geometry, other: Geometry, pattern: str) -> bool:
    if relation == "relate":
        return bool(shapely.relate_pattern(one, other, pattern))
    return bool(getattr(shapely, relation)(one, other))


def _lengths(some: Any) -> Any:
    return np.where(np.isin(shapely.get_type_id(some), _LINES), shapely.length(some), 0.0)


def _reached(kept: Stored, ids: list[int]) -> Sql:
    """That what is kept is among some: asked from there on, so that only what leads to them is looked at."""
    among = "SELECT value FROM json_each(?)"
    params: Params = (orjson.dumps(ids).decode(),)
    if not kept.navs:
        return f"({kept.alias}.id IN ({among}))", params
    first, entities = kept.navs[0], [kept.base, *(SETS[nav.target] for nav in kept.navs)]
    for entity, nav in reversed(list(zip(entities[1:-1], kept.navs[1:], strict=True))):
        among = _leading(entity, nav, among)
    if first.column:
        return f"(a.{first.column} IN ({among}))", params
    return f"(a.id IN ({_leading(kept.base, first, among)}))", params


def _leading(entity: Entity, nav: Nav, among: str) -> str:
    """The ids of entities whose navigation leads to some."""
    if nav.link is not None:
        table, own, their = nav.link
        return f"SELECT {own} FROM {table} WHERE {their} IN ({among})"  # noqa: S608
    if nav.column:
        return f"SELECT id FROM {entity.table} WHERE {nav.column} IN ({among})"  # noqa: S608
    return f"SELECT {nav.far} FROM {SETS[nav.target].table} WHERE id IN ({among})"  # noqa: S608

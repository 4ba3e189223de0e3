"""Random valid queries for a layer, and a small layer of every type of value on which they find something.

Everything comes from a seeded ``random.Random``, so that a failure can be repeated.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import psycopg
import shapely

from layers.batch import SOURCE_ID, WKB
from layers.cql.parse import parse
from layers.model import FeatureLayer
from layers.query import Query
from layers.store.base import LayerSpec
from layers.store.geopackage.connection import register
from layers.types import CRS84, Bbox, Field, Sort

ODD = "quo\"te's %s 100% {}"

FIELDS = (
    Field("name", "string"),
    Field("名称", "string"),
    Field(ODD, "string"),
    Field("levels", "integer"),
    Field("size", "integer"),
    Field("height_m", "number"),
    Field("listed", "boolean"),
    Field("built", "date"),
    Field("seen", "datetime"),
    Field("tags", "array"),
)
SPEC = LayerSpec(
    id="everything",
    kind="feature",
    title={"en": "Everything"},
    fields=FIELDS,
    geometry_type="Geometry",
    crs="EPSG:4326",
    time_field="seen",
)

_TEXTS = (
    None,
    "",
    "a",
    "A",
    "ab%c",
    "a_c",
    "back\\slash",
    "it's",
    'say "x"',
    "Straße",
    "STRASSE",
    "Ärger",
    "arger",
    "A\u0308rger",
    "ΟΔΟΣ",
    "οδος",
    "İstanbul",
    "ﬁne",
    "医院",
    "第一医院 A",
    "𠮷野家",
    "😀😀",
    " padded ",
    "\ue000private",
    "z\nline",
)
_WHOLE = (None, 0, 1, 2, 3, 7, -1, -7, 10, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
_NUMBERS = (None, 0.0, -0.0, 0.1, 0.5, 1.0, 1.5, 2.5, -2.5, 3.7, -3.7, 1e300, -1e300, 1e-310, 1e15, 2.0**53)
_DAYS = (None, "2020-01-01", "2020-02-29", "2019-12-31", "0001-01-01", "9999-12-31", "2021-06-15")
_CLOCKS = (
    None,
    "2020-01-01T00:00:00.000Z",
    "2020-01-01T23:59:59.999Z",
    "2020-02-29T12:30:15.250Z",
    "2019-12-31T23:00:00.000Z",
    "2021-06-15T06:07:08.009Z",
)
_LISTS: tuple[list[Any] | None, ...] = (
    None,
    [],
    ["a"],
    ["a", "b"],
    ["b", "a", "a"],
    [1, 2],
    [1.5, 2],
    [True, 1],
    ["a", 1, False],
    ["医院"],
    [None, "a"],
    ["2020-01-01", "2020-02-29T12:30:15.250Z"],
    ["2020-01-01", ".."],
)
#: What a field of each type may hold, as JSON has it.
VALUES: Mapping[str, Sequence[Any]] = {
    "string": _TEXTS,
    "integer": _WHOLE,
    "number": _NUMBERS,
    "boolean": (None, True, False),
    "date": _DAYS,
    "datetime": _CLOCKS,
    "array": _LISTS,
}
#: What other programs write into ``tags``, by the feature's number: lists in lists, objects (names in the
#: order of jsonb, shorter ones first).
NESTED: dict[int, list[Any]] = {
    20: [["a", "b"], ["a"], []],
    21: [[1, 2.0], [2, 1], [True, [1]]],
    22: [{"type": "Point", "coordinates": [25.25, 60]}, "a"],
    23: [{"type": "Point", "coordinates": [25.25, 60.0]}, "a"],
    24: [{"x": 1, "type": "Point", "coordinates": [25.25, 60]}, 2**64 - 1],
    25: [["a"], "a"],
    26: [[]],
    27: [[1, 2]],
    28: [["a", 1, False], 1],
    29: [["2020-01-01", ".."], ["2020-01-01"]],
}
#: Whole numbers beside those of 64 bits.
_BEYOND = (2**63, 2**64 - 1, -float(2**63) * (1 + 2**-52), 1e19, -1e300)


def shape(rng: Random) -> Any:
    """A geometry on a coarse grid, so that relations other than disjoint happen often."""
    west = rng.choice((25.0, 25.0, 25.0, -180.0, 176.5))
    spot = [(west + rng.randrange(8) / 4, 60 + rng.randrange(8) / 4) for _ in range(4)]
    (x, y), (u, v) = spot[0], spot[1]
    box = shapely.box(x, y, x + rng.choice((0.25, 0.5, 1)), y + rng.choice((0.25, 0.5, 1)))
    line = shapely.LineString([(x, y), (u, v + 0.25), spot[2]]) if spot[2] != (u, v + 0.25) else box.exterior
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: shapely.Point(x, y),
        lambda: shapely.Point(x, y, 12.5),
        lambda: shapely.LineString(line.coords),
        lambda: box,
        lambda: shapely.Polygon(
            box.exterior.coords, [shapely.box(x + 0.05, y + 0.05, x + 0.1, y + 0.1).exterior.coords]
        ),
        lambda: shapely.MultiPoint([(x, y), (u, v)]),
        lambda: shapely.MultiLineString([[(x, y), (x + 1, y)], [(u, v), (u, v + 1)]]),
        lambda: shapely.MultiPolygon([box, shapely.box(x + 1.25, y, x + 1.5, y + 0.25)]),
    )
    return rng.choice(kinds)()


def rows(rng: Random, count: int) -> list[dict[str, Any]]:
    """Staged rows of :data:`SPEC`."""
    return [
        {
            SOURCE_ID: f"r{i}",
            WKB: shapely.to_wkb(shape(rng), flavor="iso"),
            "name": rng.choice(_TEXTS),
            "名称": rng.choice(_TEXTS),
            ODD: rng.choice(_TEXTS),
            "levels": rng.choice(_WHOLE),
            "size": rng.choice(_WHOLE[:9]),
            "height_m": rng.choice(_NUMBERS),
            "listed": rng.choice((None, True, False)),
            "built": rng.choice(_DAYS),
            "seen": rng.choice(_CLOCKS),
            "tags": _listed(rng.choice(_LISTS)),
        }
        for i in range(count)
    ]


def nest_in_geopackage(path: Path) -> None:
    """Write :data:`NESTED` into a GeoPackage that holds the rows."""
    con = sqlite3.connect(path)
    register(con)
    sql = "UPDATE everything SET tags = ? WHERE fid = ?"
    con.executemany(sql, [(orjson.dumps(v).decode(), fid) for fid, v in NESTED.items()])
    con.commit()
    con.close()


def nest_in_postgis(url: str) -> None:
    """Write :data:`NESTED` into a database that holds the rows."""
    with psycopg.connect(url) as con:
        sql = "UPDATE city.everything SET tags = %s::jsonb WHERE fid = %s"
        con.cursor().executemany(sql, [(orjson.dumps(v).decode(), fid) for fid, v in NESTED.items()])


def _listed(value: list[Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


class Maker:
    """Makes queries for a layer with the fields of :data:`FIELDS`."""

    def __init__(self, rng: Random, layer: FeatureLayer) -> None:
        self.rng = rng
        self.layer = layer

    def query(self) -> Query:
        """A query with some of everything."""
        rng = self.rng
        return Query(
            bbox=self.bbox() if rng.random() < 0.3 else None,
            datetime=self.interval() if rng.random() < 0.15 else None,
            equals=self.equals() if rng.random() < 0.15 else (),
            filter=parse(orjson.dumps(self.predicate(3)).decode(), "cql2-json", self.layer)
            if rng.random() < 0.7
            else None,
            words=self.words() if rng.random() < 0.15 else (),
            sort=self.sort() if rng.random() < 0.5 else (),
            properties=self.names() if rng.random() < 0.2 else None,
            limit=rng.choice((1, 3, 10, 50, 1000)),
            offset=rng.choice((0, 0, 0, 1, 5)),
            crs=rng.choice((CRS84,) * 4 + ("http://www.opengis.net/def/crs/EPSG/0/3857",)),
        )

    def bbox(self) -> Bbox:
        """A box, at times across the antimeridian, a line, or a point."""
        rng = self.rng
        if rng.random() < 0.2:
            return rng.choice((176.0, 177.5)), 60.0, rng.choice((-179.5, -179.0)), 61.0
        west, south = 25 + rng.randrange(8) / 4, 60 + rng.randrange(8) / 4
        return west, south, west + rng.choice((0, 0.25, 0.6, 2)), south + rng.choice((0, 0.25, 0.6, 2))

    def interval(self) -> tuple[str | None, str | None]:
        """An instant, or an interval with an end."""
        found = sorted(self.rng.choices(_CLOCKS[1:], k=2), key=str)
        return self.rng.choice(((found[0], found[1]), (found[0], None), (None, found[1]), (found[0],) * 2))

    def equals(self) -> tuple[tuple[str, str | int | float | bool], ...]:
        """A property and a value."""
        if self.rng.random() < 0.1:
            return (("id", self.rng.randrange(1, 150)),)
        field = self.rng.choice([f for f in FIELDS if f.type != "array"])
        return ((field.name, self.known(field)),)

    def words(self) -> tuple[str, ...]:
        """Parts of the texts."""
        return tuple(self.rng.choices(("strasse", "ARGER", "医院", "%", "r1", "οδοσ", "ist", "'", "😀"), k=2))

    def sort(self) -> tuple[Sort, ...]:
        """Some keys."""
        fields = self.rng.sample([f for f in FIELDS if f.type != "array"], self.rng.choice((1, 1, 2, 3)))
        return tuple(Sort(f.name, self.rng.random() < 0.5) for f in fields)

    def names(self) -> tuple[str, ...]:
        """Some properties."""
        return tuple(f.name for f in self.rng.sample(FIELDS, self.rng.randrange(1, 5)))

    def known(self, field: Field) -> Any:
        """A value that a row may have."""
        return self.rng.choice([v for v in VALUES[field.type] if v is not None])

    # CQL2 JSON

    def predicate(self, depth: int) -> Any:
        """A condition."""
        rng = self.rng
        if depth and rng.random() < 0.4:
            parts = [self.predicate(depth - 1) for _ in range(rng.choice((2, 2, 3)))]
            return rng.choice(
                ({"op": "and", "args": parts}, {"op": "or", "args": parts}, {"op": "not", "args": parts[:1]})
            )
        return rng.choice(
            (
                self.comparison,
                self.comparison,
                self.like,
                self.between,
                self.among,
                self.null,
                self.spatial,
                self.spatial,
                self.temporal,
                self.temporal,
                self.array,
                self.truth,
            )
        )()

    def _field(self, *types: str) -> Field:
        return self.rng.choice([f for f in FIELDS if f.type in types])

    def _property(self, *types: str) -> Any:
        if "integer" in types and self.rng.random() < 0.1:
            return {"property": "id"}
        return {"property": self._field(*types).name}

    def literal(self, kind: str) -> Any:
        """A literal of a type."""
        if kind == "integer" and self.rng.random() < 0.2:
            return self.rng.choice(_BEYOND)
        value = self.known(Field("x", kind))  # type: ignore[arg-type]
        return {"date": {"date": value}, "datetime": {"timestamp": value}}.get(kind, value)

    def text(self, depth: int = 2) -> Any:
        """A text."""
        rng = self.rng
        if depth and rng.random() < 0.4:
            op = rng.choice(("casei", "accenti", "lower", "upper", "trim"))
            return {"op": op, "args": [self.text(depth - 1)]}
        return self._property("string") if rng.random() < 0.7 else self.literal("string")

    def number(self, depth: int = 2) -> Any:
        """A number."""
        rng = self.rng
        if depth and rng.random() < 0.4:
            op = rng.choice(
                ("+", "-", "*", "/", "div", "%", "^", "abs", "floor", "ceil", "round", "char_length")
            )
            if op == "char_length":
                return {"op": op, "args": [self.text(1)]}
            count = 1 if op in ("abs", "floor", "ceil", "round") else 2
            return {"op": op, "args": [self.number(depth - 1) for _ in range(count)]}
        if rng.random() < 0.15:
            part = rng.choice(("year", "month", "day"))
            return {"op": part, "args": [self._property("date", "datetime")]}
        if rng.random() < 0.1:
            return {"op": rng.choice(("hour", "minute", "second")), "args": [self._property("datetime")]}
        if rng.random() < 0.6:
            return self._property("integer", "number")
        return self.literal(rng.choice(("integer", "number")))

    def scalar(self, kind: str) -> Any:
        """A value of a type: string, number, boolean, date, datetime."""
        if kind == "string":
            return self.text()
        if kind == "number":
            return self.number()
        return self._property(kind) if self.rng.random() < 0.6 else self.literal(kind)

    def comparison(self) -> Any:
        """Two values."""
        rng = self.rng
        kind = rng.choice(("string", "number", "number", "boolean", "date", "datetime"))
        op = rng.choice(("=", "<>", "<", "<=", ">", ">="))
        left, right = self.scalar(kind), self.scalar(kind)
        if kind == "datetime" and rng.random() < 0.4:
            left, right = self._property("datetime"), self.literal("date")
            left, right = (left, right) if rng.random() < 0.7 else (right, left)
        return {"op": op, "args": [left, right]}

    def like(self) -> Any:
        """A pattern."""
        rng = self.rng
        pattern: Any = rng.choice(
            ("a%", "%a%", "_", "%", "", "a\\%%", "%\\_%", "%s%s%", "%院%", "__", "\\a%", "%ss_")
        )
        text = self.text()
        if rng.random() < 0.4:
            op = rng.choice(("casei", "accenti"))
            text, pattern = {"op": op, "args": [text]}, {"op": op, "args": [pattern]}
        return {"op": "like", "args": [text, pattern]}

    def between(self) -> Any:
        """A range."""
        kind = self.rng.choice(("string", "number", "date", "datetime"))
        args = [self.scalar(kind) for _ in range(3)]
        if kind == "datetime" and self.rng.random() < 0.4:
            args = [self._property("datetime"), self.literal("date"), self.literal("date")]
        return {"op": "between", "args": args}

    def among(self) -> Any:
        """A list."""
        kind = self.rng.choice(("string", "number", "boolean", "date", "datetime"))
        items = [self.scalar(kind) for _ in range(self.rng.randrange(1, 5))]
        value = self.scalar(kind)
        if kind == "datetime" and self.rng.random() < 0.4:
            value, items = self._property("datetime"), [self.literal("date"), self.literal("datetime")]
        return {"op": "in", "args": [value, items]}

    def null(self) -> Any:
        """A null, of a property or of whatever else may be unknown."""
        rng = self.rng
        name = rng.choice([*(f.name for f in FIELDS), "geometry"])
        others = (self.comparison, self.array, self.spatial, self.number, self.time)
        operand = rng.choice(others)() if rng.random() < 0.5 else {"property": name}
        return {"op": "isNull", "args": [operand]}

    def truth(self) -> Any:
        """A boolean."""
        return self.rng.choice((True, False, {"property": "listed"}, {"property": "listed"}))

    def spatial(self) -> Any:
        """A relation with a literal."""
        rng = self.rng
        op = rng.choice(
            (
                "s_intersects",
                "s_disjoint",
                "s_equals",
                "s_touches",
                "s_within",
                "s_overlaps",
                "s_crosses",
                "s_contains",
            )
        )
        other: Any = json.loads(shapely.to_geojson(shape(rng)))
        if rng.random() < 0.2:
            other = {"bbox": list(self.bbox())}
        elif rng.random() < 0.1:
            other = {"property": "geometry"}
        elif rng.random() < 0.2:
            parts = (
                [shapely.Point(25.5, 60.5), shape(rng)]
                if op in ("s_intersects", "s_disjoint")
                else [shape(rng)]
            )
            other = json.loads(shapely.to_geojson(shapely.GeometryCollection(parts)))
        args = [{"property": "geometry"}, other]
        return {"op": op, "args": args if rng.random() < 0.7 else args[::-1]}

    def temporal(self) -> Any:
        """A relation of times."""
        op = self.rng.choice(
            (
                "t_after",
                "t_before",
                "t_contains",
                "t_disjoint",
                "t_during",
                "t_equals",
                "t_finishedBy",
                "t_finishes",
                "t_intersects",
                "t_meets",
                "t_metBy",
                "t_overlappedBy",
                "t_overlaps",
                "t_startedBy",
                "t_starts",
            )
        )
        return {"op": op, "args": [self.time(), self.time()]}

    def time(self) -> Any:
        """An instant or an interval."""
        rng = self.rng
        if rng.random() < 0.5:
            return self._property("date", "datetime") if rng.random() < 0.7 else self.literal("date")
        kind = rng.choice(("date", "datetime"))
        known = sorted(
            self.rng.choices([v for v in (_DAYS if kind == "date" else _CLOCKS) if v], k=2), key=str
        )
        start: Any = self._property(kind) if rng.random() < 0.3 else known[0]
        end: Any = self._property(kind) if rng.random() < 0.3 else known[1]
        return {"interval": rng.choice(([start, end], [start, end], [start, ".."], ["..", end]))}

    def array(self) -> Any:
        """A relation of sets."""
        op = self.rng.choice(("a_equals", "a_contains", "a_containedBy", "a_overlaps"))
        known = [v for v in _LISTS if v is not None and None not in v]
        mixed = [self.member(2) for _ in range(self.rng.randrange(1, 4))] + ["a"]
        known += NESTED.values()
        other = self.rng.choice(([self.rng.choice(known)] * 4) + [{"property": "tags"}, mixed])
        args = [{"property": "tags"}, other]
        return {"op": op, "args": args if self.rng.random() < 0.7 else args[::-1]}

    def member(self, depth: int) -> Any:
        """A member of an array."""
        rng = self.rng
        if rng.random() < 0.2:
            return rng.choice(rng.choice([v for v in NESTED.values() if v]))
        if depth and rng.random() < 0.3:
            return [self.member(depth - 1) for _ in range(rng.randrange(3))]
        if rng.random() < 0.2:
            return {"type": "Point", "coordinates": [25.25, 60.0]}
        if rng.random() < 0.2:
            return rng.choice(({"property": "tags"}, {"interval": [self._property("date"), ".."]}))
        return self.scalar(rng.choice(("string", "number", "boolean", "date", "datetime")))

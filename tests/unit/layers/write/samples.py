"""Layers and rows for the tests of the writers, and hypothesis strategies for their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely
from hypothesis import strategies as st

from layers.model import FeatureLayer, Rows
from layers.types import Field, GeometryType
from layers.write import FORMATS, stream, write
from tests import storing

FIELDS = (*storing.FIELDS, Field("标签", "array", {"zh-CN": "标签"}))
FULL: dict[str, Any] = {
    "name": "甲\"乙\", '丙'\nÅ 𠀀",
    "height_m": -0.1,
    "levels": 2**62,
    "listed": True,
    "built": "1550-06-12",
    "seen": "2024-02-29T23:59:59.999Z",
    "标签": '["学校",1,null]',
}
HOLED = shapely.box(0, 0, 9, 9).difference(shapely.box(1, 1, 2, 2)).difference(shapely.box(3, 3, 5, 5))
_HIGH = shapely.force_3d(shapely.MultiPolygon([HOLED, shapely.box(20, 20, 21, 21)]), 7.5)
FLAT: dict[GeometryType, list[Any]] = {
    "Point": [shapely.Point(116.391276543, 39.907), None, shapely.Point(-179.5, -89.25)],
    "LineString": [shapely.LineString([(0, 0), (1, 1), (2, 5)]), shapely.LineString([(5, 5), (6, 6)])],
    "Polygon": [HOLED, None, shapely.box(10, 10, 11, 11)],
    "MultiPoint": [shapely.MultiPoint([(0, 1), (2, 3)]), shapely.MultiPoint([(4, 4)])],
    "MultiLineString": [shapely.MultiLineString([[(0, 0), (1, 1), (5, 5)], [(2, 2), (3, 3)]])],
    "MultiPolygon": [shapely.MultiPolygon([HOLED, shapely.box(20, 20, 21, 21)]), None],
}
GEOMETRIES: dict[str, tuple[GeometryType, list[Any]]] = {
    **{name: (name, shapes) for name, shapes in FLAT.items()},
    **{
        f"{name} Z": (name, [None if s is None else shapely.force_3d(s, 7.5) for s in shapes])
        for name, shapes in FLAT.items()
    },
    "mixed": ("Geometry", [shape for shapes in FLAT.values() for shape in shapes]),
    "heights on some": ("Point", [shapely.Point(1, 2, 3), shapely.Point(4, 5)]),
    "heights on some areas": ("MultiPolygon", [shapely.MultiPolygon([HOLED]), _HIGH, None]),
}

_texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=40),
    st.sampled_from(
        ["", " ", "=1+1", "中文，“引号”", 'a"b', "a,b", "a\r\nb", "\n", "'=x", "-5", "a\\b", "\ufeffx"]
    ),
)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": _texts,
    "height_m": st.floats(allow_nan=False, allow_infinity=False),
    "levels": st.integers(-(2**63), 2**63 - 1),
    "listed": st.booleans(),
    "built": st.dates().map(lambda day: day.isoformat()),
    "seen": st.datetimes(min_value=datetime(1000, 1, 1)).map(
        lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
    ),
    "标签": st.lists(st.one_of(st.text("甲ab'\"", max_size=5), st.integers(-9, 9)), max_size=3).map(
        lambda values: orjson.dumps(values).decode()
    ),
}
#: Property values of up to 6 rows, one dict a row.
tables = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in _VALUES.items()}),
    min_size=1,
    max_size=6,
)


def layer(
    geometry: GeometryType = "Point", fields: Sequence[Field] = FIELDS, name: str = "places"
) -> FeatureLayer:
    """A layer as a store tells of it."""
    title = {"en": "Places", "zh-CN": "地点"}
    return FeatureLayer(
        id=name,
        kind="feature",
        title=title,
        fields=tuple(fields),
        geometry_type=geometry,
        extent=None,
        crs="EPSG:4326",
        count=0,
        generation=1,
        seq=1,
    )


def rows(shapes: Sequence[Any], values: Sequence[dict[str, Any]] | None = None, first: int = 1) -> Rows:
    """Rows with these geometries and values; the full sample where none are given."""
    given = [FULL] * len(shapes) if values is None else values
    names = list(given[0]) if given else [f.name for f in FIELDS]
    return Rows(
        np.arange(first, first + len(shapes), dtype=np.int64),
        [None if shape is None else shapely.to_wkb(shape, flavor="iso") for shape in shapes],
        {name: [row[name] for row in given] for name in names},
    )


def file(name: str, of: FeatureLayer, batches: Iterable[Rows], folder: Path) -> Path:
    """The layer as a file of that format."""
    form = FORMATS[name]
    path = folder / f"{of.id}.{form.extension}"
    path.unlink(missing_ok=True)
    if form.streamed:
        path.write_bytes(b"".join(stream(name, of, batches)))
    else:
        write(name, of, batches, path)
    return path


def shapes_of(features: Iterable[tuple[int, bytes | None, list[Any]]]) -> list[Any]:
    """The geometries of what GDAL read."""
    return [None if wkb is None else shapely.from_wkb(wkb) for _, wkb, _ in features]


def same(one: Any, other: Any) -> bool:
    """Whether two geometries are equal in type, coordinates and heights, wherever their rings begin."""
    if one is None or other is None:
        return one is other
    a, b = (shapely.normalize(shape) for shape in (one, other))
    coordinates = (shapely.get_coordinates(shape, include_z=True) for shape in (a, b))
    return a.geom_type == b.geom_type and bool(np.array_equal(*coordinates, equal_nan=True))

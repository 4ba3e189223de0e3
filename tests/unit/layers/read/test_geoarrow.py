"""Coordinates as GeoArrow and GeoParquet 1.1 keep them, separated and interleaved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from layers import load, wkb
from layers.errors import BadFile
from layers.read.geoarrow import to_wkb
from tests.parquets import geoparquet

SHAPES: dict[str, list[str]] = {
    "point": ["POINT{} ({})"],
    "linestring": ["LINESTRING{} ({}, {})"],
    "polygon": ["POLYGON{} (({}, {}, {}, {}), ({}, {}, {}, {}))", "POLYGON{} (({}, {}, {}, {}))"],
    "multipoint": ["MULTIPOINT{} (({}), ({}))"],
    "multilinestring": ["MULTILINESTRING{} (({}, {}), ({}, {}, {}))"],
    "multipolygon": ["MULTIPOLYGON{} ((({}, {}, {}, {})), (({}, {}, {}, {}), ({}, {}, {}, {})))"],
}
#: A ring, twice and once more.
RING = ((0, 0), (9, 0), (9, 9), (0, 0))


def shapes(encoding: str, dimensions: str) -> list[Any]:
    extra = " 5" * (len(dimensions) - 2)
    texts = [f"{x} {y}{extra}" for x, y in RING * 3]
    marks = {"xy": "", "xyz": " Z", "xym": " M", "xyzm": " ZM"}
    return [shapely.from_wkt(form.format(marks[dimensions], *texts)) for form in SHAPES[encoding]]


def encoded(values: list[Any], dimensions: str, interleaved: bool) -> pa.Array:
    """The geometries as GeoArrow has them, with a null behind."""
    _, coordinates, offsets = shapely.to_ragged_array(
        values, include_z="z" in dimensions, include_m="m" in dimensions
    )
    size = len(dimensions)
    if interleaved:
        of = pa.list_(pa.field(dimensions, pa.float64()), size)
        array: pa.Array = pa.FixedSizeListArray.from_arrays(pa.array(coordinates.ravel()), type=of)
    else:
        array = pa.StructArray.from_arrays([*map(pa.array, coordinates.T)], list(dimensions))
    for level in offsets:
        array = pa.ListArray.from_arrays(pa.array(level, pa.int32()), array)
    return pa.concat_arrays([array, pa.nulls(1, array.type)])


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("dimensions", ["xy", "xyz", "xym", "xyzm"])
@pytest.mark.parametrize("encoding", SHAPES)
def test_every_type_in_every_dimension(encoding: str, dimensions: str, interleaved: bool) -> None:
    wanted = shapes(encoding, dimensions)
    array = encoded(wanted, dimensions, interleaved)
    found = to_wkb(array, encoding)
    assert found[-1] is None
    assert [wkb.fault(one) for one in found[:-1] if one is not None] == [None] * len(wanted)
    assert found[:-1] == [*shapely.to_wkb(wanted, flavor="iso", include_srid=False)]
    assert to_wkb(array.slice(len(wanted) - 1), encoding) == found[len(wanted) - 1 :]


def test_a_point_without_coordinates_is_empty() -> None:
    x = pa.array([1.0, None, np.nan])
    (first, second, third) = to_wkb(pa.StructArray.from_arrays([x, x], ["x", "y"]), "point")
    assert shapely.from_wkb(first) == shapely.Point(1, 1)
    assert shapely.from_wkb(second).is_empty
    assert shapely.from_wkb(third).is_empty


def test_a_ring_that_is_open_costs_no_other_row(tmp_path: Path) -> None:
    rings = [[[{"x": float(x), "y": float(y)} for x, y in ring]] for ring in (RING, RING[:3], RING[:1])]
    file = geoparquet(
        tmp_path / "a.parquet", pa.table({"n": [1, 2, 3], "geometry": rings}), encoding="polygon"
    )
    report = load.check(file)
    assert (report.driver, report.kept, report.quarantined) == ("GeoParquet", 2, 1)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1.0]),
        pa.array([[1.0, 2.0]]),
        pa.array([{"x": 1.0}]),
        pa.array([{"x": 1.0, "y": 2.0, "q": 3.0}]),
        pa.array([{"x": "1", "y": "2"}]),
        pa.array([[1.0]], pa.list_(pa.float64(), 1)),
    ],
)
def test_what_is_built_otherwise_is_a_reason(array: pa.Array) -> None:
    with pytest.raises(BadFile, match=r"geometry\.encoding.*write them as WKB"):
        to_wkb(array, "point")

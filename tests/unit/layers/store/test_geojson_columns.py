"""Columns become the GeoJSON that rows become."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st

from layers import flat
from layers.batch import SOURCE_ID, WKB
from layers.errors import BadFile
from layers.store import geojson, geojson_columns, staged
from layers.store.geopackage import blob
from layers.types import Field
from layers.values import stored
from tests.storing import spec

FIELDS = (
    Field('na"me\\', "string"),
    Field("height", "number"),
    Field("levels", "integer"),
    Field("listed", "boolean"),
    Field("built", "date"),
    Field("seen", "datetime"),
    Field("tags", "array"),
)
ROWS: list[tuple[Any, ...]] = [
    ("a", 'say "x" \\ \n\t\x1f 楼\x7f', 1.5, 3, True, "2020-01-02", "2020-01-02T03:04:05.000Z", '["a",1.0]'),
    (None, None, None, None, None, None, None, None),
    ("c", "", float("nan"), -(2**63), False, "1999-12-31", "2020-01-02T11:04:05+08:00", "[]"),
    ('"', "plain", -0.0, 0, None, None, None, '[null,true,"\\""]'),
    ("e", "x", 1e300, 2**53 + 1, True, "0001-01-01", "2020-01-02T03:04:05Z", "[2]"),
]
NAMES = [SOURCE_ID, *(f.name for f in FIELDS)]
SHAPES = [
    shapely.Point(120.123456789123, 30),
    shapely.LineString([(0, 0), (1e-9, -0.0)]),
    shapely.Polygon([(-1, 0), (0, 0.25), (1, 5)]),
    shapely.Polygon([(0, 0), (9, 0), (9, 9)], [[(2, 1), (3, 1), (3, 2)]]),
    shapely.MultiPoint([(1, 2), (3, 4)]),
]


def batch(shapes: list[Any], rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    return pa.table({WKB: pa.array(list(shapely.to_wkb(shapes)), pa.binary()), **columns})


@pytest.mark.parametrize("shapes", [SHAPES, SHAPES[:3] + SHAPES[:2], [SHAPES[2]] * 5, [SHAPES[0]] * 5])
def test_a_batch_is_staged_as_its_rows_are(shapes: list[Any]) -> None:
    words = spec(fields=FIELDS, geometry_type="Geometry")
    fields = staged.fields(words)
    made = staged.decode(batch(shapes, ROWS), words, fields)
    kinds = ["string", *(f.type for f in FIELDS)]
    values = [
        tuple(None if v is None else stored(kind, v) for kind, v in zip(kinds, row, strict=True))  # type: ignore[arg-type]
        for row in ROWS
    ]
    assert list(zip(*made.values(), strict=True)) == values
    array = np.array(shapes, object)
    assert made.wkb.to_pylist() == list(shapely.to_wkb(array))
    assert made.boxes().tolist() == shapely.bounds(array)[:, [0, 2, 1, 3]].tolist()
    if not isinstance(made.shapes, np.ndarray):
        assert blob.column(made.wkb, made.shapes, made.boxes()) == blob.encode(array)
        texts = geojson_columns.geometries(made.shapes)
    else:
        texts = pa.array(geojson.geometries(array), pa.string())
    features = geojson_columns.features(pa.array(range(7, 12)), texts, fields, made.columns).to_pylist()
    tails = geojson.tails(array, fields, values)
    wanted = [geojson.feature(7 + i, tail) for i, tail in enumerate(tails)]
    assert [text.encode() for text in features] == wanted


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field("x", "number"), pa.array([float("inf")])),
        (Field("x", "string"), pa.array(["a\0b"])),
        (Field("x", "string"), pa.array([1])),
        (Field("x", "integer"), pa.array([2**63], pa.uint64())),
        (Field("x", "integer"), pa.array([1.5])),
        (Field("x", "boolean"), pa.array([1])),
        (Field("x", "date"), pa.array(["2020-02-30"])),
    ],
)
def test_values_that_do_not_fit_are_refused(field: Field, value: pa.Array) -> None:
    words = spec(fields=(field,), geometry_type="Point")
    table = pa.table({WKB: pa.array([shapely.to_wkb(SHAPES[0])]), "x": value})
    with pytest.raises(BadFile, match="x: "):
        staged.decode(table, words, staged.fields(words))


def test_many_geometries_are_written_as_few_are() -> None:
    shapes = np.array([*SHAPES, shapely.Point(), None, shapely.Point(1, 2, 3)] * 10, object)
    few = [geojson.geometries(shapes[i : i + 1])[0] for i in range(len(shapes))]
    assert geojson.geometries(shapes) == few


#: Doubles of any size, degrees, and what lies halfway between two numbers of nine decimals.
NUMBERS = (
    st.floats(-1e290, 1e290)
    | st.floats(-180, 180)
    | st.integers(-180 * 10**9, 180 * 10**9).map(lambda n: n / 1e9)
    | st.integers(-180 * 10**9, 180 * 10**9).map(lambda n: (n + 0.5) / 1e9)
    | st.floats(-1e-8, 1e-8)
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=40), st.sampled_from([9, 4]))
@example([(25.226006601999998, -85.00642680199999), (-0.0, 1e-9)], 9)
@example([(5e-10, 1.5e-9), (-5e-10, 2.5e-9), (1e22, 5e-324), (1e16, 123456789012345680.0)], 9)
def test_a_number_has_one_text_whichever_way_it_is_written(
    positions: list[tuple[float, float]], decimals: int
) -> None:
    line = shapely.LineString(positions)
    column = flat.read(pa.array([shapely.to_wkb(line)], pa.binary()))
    assert column is not None
    [as_column] = geojson_columns.geometries(column, decimals).to_pylist()
    [as_row] = geojson.geometries(np.array([line], object), decimals)
    assert as_row == as_column
    assert set(geojson.geometries(np.array([line] * 40, object), decimals)) == {as_column}
    [of_many] = geojson.geometries(np.array([shapely.MultiLineString([line])], object), decimals)
    numbers = as_column.removeprefix('{"type":"LineString","coordinates":')
    assert of_many == f'{{"type":"MultiLineString","coordinates":[{numbers[:-1]}]}}'
    rounded = shapely.to_geojson(geojson.round_to(np.array([line], object), decimals))[0]
    assert orjson.loads(as_row) == orjson.loads(rounded)
    for number in np.ravel(orjson.loads(as_row)["coordinates"]).tolist():
        assert orjson.dumps(number).decode() in as_row

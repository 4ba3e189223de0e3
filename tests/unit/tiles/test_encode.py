"""The vector tile encoder against another decoder and another clipper."""

from __future__ import annotations

from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.model import Rows
from layers.types import Field
from tiles import batch as batches
from tiles import column_build, dictionary, scheme
from tiles.batch import Batch
from tiles.dictionary import DictionaryColumn
from tiles.dictionary import encode as encode_column
from tiles.vector import encode, wire
from tiles.vector.clip import Clip

Z, X, Y = 16, 37308, 18968
WEST, SOUTH, EAST, NORTH = scheme.tile_bounds(Z, X, Y)


def in_units(shape: Any) -> Any:
    """A lon/lat geometry in the units of the tile, exactly."""

    def convert(lonlat: Any) -> Any:
        x, y = scheme.world(lonlat[:, 0], lonlat[:, 1])
        return (np.stack([x, y], axis=1) * 2.0**Z - [X, Y]) * 4096

    return shapely.transform(shape, convert)


def at(u: float, v: float) -> tuple[float, float]:
    """Longitude and latitude at parts of the tile, from its south-west corner."""
    return WEST + u * (EAST - WEST), SOUTH + v * (NORTH - SOUTH)


def make(shapes: list[Any], **columns: list[Any]) -> Batch:
    """A batch of geometries with text columns."""
    rows = Rows(np.arange(1, len(shapes) + 1), [shapely.to_wkb(s) for s in shapes], dict(columns.items()))
    return column_build.from_rows(rows, [Field(name, "string") for name in columns])


def decoded(batch: Batch, z: int = Z, x: int = X, y: int = Y, clip: Clip = "buffer") -> dict[int, Any]:
    """The features of the encoded tile by id, as shapely geometries."""
    data = encode.layer("layer", batch, z, x, y, clip)
    if not data:
        return {}
    found = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True})["layer"]
    assert found["extent"] == 4096
    assert found["version"] == 2
    assert all(f["properties"]["fid"] == f["id"] for f in found["features"])
    return {f["id"]: shapely.geometry.shape(f["geometry"]) for f in found["features"]}


def test_all_parts_of_a_collection_are_drawn() -> None:
    area = shapely.box(*at(0.1, 0.1), *at(0.4, 0.4))
    line = shapely.LineString([at(0.5, 0.5), at(0.9, 0.9)])
    inner = shapely.GeometryCollection([shapely.Point(at(0.5, 0.2)), line])
    batch = make([shapely.Point(at(0.6, 0.6)), shapely.GeometryCollection([area, inner])], name=["a", "b"])
    assert batch.fids.tolist() == [1, 2, 2, 2]
    assert batch.texts("name") == ["a", "b", "b", "b"]
    found = mapbox_vector_tile.decode(encode.layer("layer", batch, Z, X, Y))["layer"]["features"]
    drawn = sorted((f["id"], f["geometry"]["type"]) for f in found)
    assert drawn == [(1, "Point"), (2, "LineString"), (2, "Point"), (2, "Polygon")]


spot = st.tuples(st.floats(-0.6, 1.6), st.floats(-0.6, 1.6))


@st.composite
def stars(draw: st.DrawFn) -> Any:
    """A star-shaped polygon, often crossing the edge, sometimes with a hole."""
    u, v = draw(spot)
    n = draw(st.integers(3, 9))
    radii = draw(st.lists(st.floats(0.05, 0.4), min_size=n, max_size=n))
    angles = 2 * np.pi * np.arange(n) / n
    ring = [at(u + r * np.cos(a), v + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)]
    holes = []
    if draw(st.booleans()):
        r = 0.3 * min(radii) * np.cos(np.pi / n)
        holes = [[at(u + r * np.cos(a), v + r * np.sin(a)) for a in angles]]
    shape = shapely.Polygon(ring, holes)
    return shape if shape.is_valid else shapely.Polygon(ring)


CLIPS: list[tuple[Clip, int]] = [("buffer", 64), ("exact", 0)]


@given(st.lists(stars(), min_size=1, max_size=4), st.sampled_from(CLIPS))
@settings(max_examples=80, deadline=None)
def test_polygons_keep_their_area_and_winding(shapes: list[Any], how: tuple[Clip, int]) -> None:
    clip, margin = how
    shapes = [s for s in shapes if s.is_valid]
    if not shapes:
        return
    batch = make(shapes)
    drawn = encode.draw(batch, Z, X, Y, clip)
    found = decoded(batch, clip=clip)
    window = shapely.box(-margin, -margin, 4096 + margin, 4096 + margin)
    for fid, shape in enumerate(shapes, 1):
        expected = shapely.intersection(in_units(shape), window)
        area = found[fid].area if fid in found else 0.0
        # every vertex moves by at most half a unit in each axis
        assert abs(area - expected.area) <= 0.75 * expected.length + 1
    assert ((drawn.xy >= -margin) & (drawn.xy <= 4096 + margin)).all()
    for ring in range(len(drawn.coords) - 1):
        x, y = drawn.xy[drawn.coords[ring] : drawn.coords[ring + 1]].T
        area = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum()
        assert area > 0 if drawn.outer[ring] else area < 0


@given(
    st.lists(st.lists(spot, min_size=2, max_size=6, unique=True), min_size=1, max_size=4),
    st.sampled_from(CLIPS),
)
@settings(max_examples=80, deadline=None)
def test_lines_keep_their_course(courses: list[list[tuple[float, float]]], how: tuple[Clip, int]) -> None:
    shapes = [shapely.LineString([at(*p) for p in course]) for course in courses]
    found = decoded(make(shapes), clip=how[0])
    for fid, shape in enumerate(shapes, 1):
        expected = shapely.intersection(in_units(shape), shapely.box(-64, -64, 4160, 4160))
        if fid not in found:
            assert expected.length < 2
            continue
        # rounding moves a vertex by at most half a unit in each axis, and pieces shorter than that may go
        pieces = [one for one in shapely.get_parts(expected) if one.length >= 2]
        assert shapely.hausdorff_distance(found[fid], shapely.union_all(pieces or [expected])) <= 2
        assert shapely.buffer(expected, 0.72).covers(found[fid])


@given(st.lists(spot, min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_point_is_in_exactly_one_tile_and_in_the_buffer_of_others(
    places: list[tuple[float, float]],
) -> None:
    batch = make([shapely.Point(at(*p)) for p in places])
    seen: dict[int, int] = {}
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            whole = decoded(batch, Z, X + dx, Y + dy)
            for fid in decoded(batch, Z, X + dx, Y + dy, "exact"):
                seen[fid] = seen.get(fid, 0) + 1
                assert fid in whole
            for fid, place in enumerate(batch.xy * 2.0**Z - [X + dx, Y + dy], 1):
                if (np.abs(place - 0.5) < 0.5 + 63 / 4096).all():
                    assert fid in whole
    assert seen == dict.fromkeys(range(1, len(places) + 1), 1)


@pytest.mark.parametrize("edge", ["east", "west", "north", "south"])
def test_no_wall_is_drawn_where_a_tile_ends(edge: str) -> None:
    """A client draws the outline of what it gets: a cut along the edge would be a wall that is not there."""
    middle = {"east": (1.0, 0.5), "west": (0.0, 0.5), "north": (0.5, 1.0), "south": (0.5, 0.0)}[edge]
    house = shapely.box(*at(middle[0] - 0.1, middle[1] - 0.1), *at(middle[0] + 0.1, middle[1] + 0.1))
    (found,) = decoded(make([house])).values()
    axis, border = (0, 4096.0 if edge == "east" else 0.0) if edge in ("east", "west") else (1, None)
    along = {round(corner[axis]) for corner in found.exterior.coords}
    assert along & {-64, 4160}
    assert not along & {0, 4096}
    assert border is None or found.intersects(shapely.Point(border, 2048))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40))
@settings(deadline=None)
def test_varints(numbers: list[int]) -> None:
    data = wire.pack(np.array(numbers, np.uint64))
    assert len(data) == int(wire.sizes(np.array(numbers, np.uint64)).sum())
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value)
            value, shift = 0, 0
    assert found == numbers


def test_property_values_keep_their_types() -> None:
    values: dict[str, tuple[str, list[Any]]] = {
        "name": ("string", ["路灯", "", None]),
        "count": ("integer", [-5, 2**53 + 1, None]),
        "height": ("number", [1.5, -2.0, None]),
        "open": ("boolean", [True, False, None]),
        "none": ("string", [None, None, None]),
    }
    shapes = [shapely.Point(at(0.1 * i + 0.1, 0.5)) for i in range(3)]
    rows = Rows(
        np.array([2**40, 2**40 + 1, 2**40 + 2]),
        [shapely.to_wkb(s) for s in shapes],
        {name: column for name, (_, column) in values.items()},
    )
    fields = [Field(name, kind) for name, (kind, _) in values.items()]  # type: ignore[arg-type]
    data = encode.layer("lamps", column_build.from_rows(rows, fields), Z, X, Y)
    features = mapbox_vector_tile.decode(data)["lamps"]["features"]
    assert [f["id"] for f in features] == [2**40, 2**40 + 1, 2**40 + 2]
    for i, feature in enumerate(features):
        expected = {name: column[i] for name, (_, column) in values.items() if column[i] is not None}
        assert feature["properties"] == expected | {"fid": feature["id"]}


codes = st.lists(st.integers(-1, 30), min_size=1, max_size=40)


@given(codes, st.booleans())
@settings(deadline=None)
def test_a_compact_dictionary_has_each_used_value_once_in_order(given_codes: list[int], wide: bool) -> None:
    names = [f"v{i}" for i in range(31 + 1000 * wide)]
    values = dictionary.encode(names, "string").values
    prop = DictionaryColumn(np.array(given_codes, np.int32), values).compact()
    entries = values.entries()
    used = list(dict.fromkeys(code for code in given_codes if code >= 0))
    assert prop.values.entries() == [entries[code] for code in used]
    assert prop.codes.tolist() == [used.index(code) if code >= 0 else -1 for code in given_codes]


def test_values_of_another_type_than_declared_are_null() -> None:
    found = encode_column(["abc", 3, None, 2**70], "integer")
    assert found.codes.tolist() == [-1, 0, -1, -1]


def test_multi_geometries_and_collections() -> None:
    polygon = shapely.box(*at(0.1, 0.1), *at(0.2, 0.2))
    other = shapely.box(*at(0.3, 0.3), *at(0.4, 0.4))
    line = shapely.LineString([at(0.5, 0.5), at(0.6, 0.6)])
    shapes = [
        shapely.MultiPolygon([polygon, other]),
        shapely.MultiLineString([line, shapely.LineString([at(0.7, 0.5), at(0.8, 0.5)])]),
        shapely.MultiPoint([at(0.2, 0.8), at(0.3, 0.8), at(1.5, 0.8)]),
        shapely.GeometryCollection([line, polygon, shapely.Point(at(0.9, 0.9))]),
    ]
    found = decoded(make(shapes))
    assert [found[i].geom_type for i in (1, 2, 3, 4)] == [
        "MultiPolygon",
        "MultiLineString",
        "MultiPoint",
        "Polygon",
    ]
    assert len(found[3].geoms) == 2
    assert found[1].area == pytest.approx(2 * found[4].area, rel=0.01)


def test_points_around_a_tile_of_which_none_is_in_it() -> None:
    around = shapely.MultiPoint([at(-0.5, 0.5), at(1.5, 0.5)])
    assert decoded(make([around])) == {}
    inside = shapely.MultiPoint([at(-0.5, 0.5), at(0.5, 0.5)])
    assert list(decoded(make([around, inside]))) == [2]


def test_a_polygon_cut_in_two_becomes_two() -> None:
    comb = shapely.Polygon([at(*p) for p in ((0.9, 0.1), (1.2, 0.1), (1.2, 0.4), (0.9, 0.4), (1.1, 0.25))])
    (found,) = decoded(make([comb])).values()
    assert found.geom_type == "MultiPolygon"
    assert found.is_valid
    (exact,) = decoded(make([comb]), clip="exact").values()
    assert exact.geom_type == "MultiPolygon"


def test_an_invalid_polygon_over_the_edge_still_makes_a_tile() -> None:
    bow = shapely.Polygon([at(*p) for p in ((0.8, 0.2), (1.3, 0.6), (1.3, 0.2), (0.8, 0.6))])
    assert not bow.is_valid
    assert decoded(make([bow]))


def test_bytes_do_not_depend_on_history() -> None:
    shapes = [shapely.Point(at(0.1 * i, 0.5)) for i in range(8)]
    names = ["a", "b", "a", "c", "b", "d", None, "a"]
    whole = make(shapes, name=names)
    odd = whole.take(np.array([1, 3, 5, 7]))
    even = whole.take(np.array([0, 2, 4, 6]))
    joined = batches.concat(odd, even)
    assert encode.layer("p", joined, Z, X, Y) == encode.layer("p", whole, Z, X, Y)


def test_an_empty_batch_makes_no_layer() -> None:
    assert encode.layer("nothing", make([]), Z, X, Y) == b""
    far = make([shapely.Point(0, 0)])
    assert encode.layer("far", far, Z, X, Y) == b""

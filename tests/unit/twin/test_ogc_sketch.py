"""The drawing of a page's features: every kind of geometry, bounded, north up."""

import math
import re

import pytest

from layers.types import CRS84
from twin.http.ogc import sketch

EPSG = "http://www.opengis.net/def/crs/EPSG/0/"


def drawn(*geometries, crs=CRS84):
    features = [{"id": number, "geometry": one} for number, one in enumerate(geometries, 1)]
    return sketch.draw(features, crs, "a <drawing>")


def pixels(svg):
    return [
        [tuple(map(int, pair)) for pair in re.findall(r"[ML](-?\d+) (-?\d+)", path)]
        for path in re.findall(r' d="([^"]*)"', svg)
    ]


SQUARE = [[0, 0], [0.01, 0], [0.01, 0.01], [0, 0.01], [0, 0]]
HOLE = [[0.002, 0.002], [0.004, 0.002], [0.004, 0.004], [0.002, 0.002]]


@pytest.mark.parametrize(
    ("geometry", "parts", "looks"),
    [
        ({"type": "Point", "coordinates": [0.005, 0.005]}, 1, "dot"),
        ({"type": "MultiPoint", "coordinates": [[0, 0], [0.01, 0.01]]}, 2, "dot"),
        ({"type": "LineString", "coordinates": [[0, 0, 5], [0.01, 0.01, 6]]}, 1, "line"),
        ({"type": "MultiLineString", "coordinates": [[[0, 0], [0.01, 0]], [[0, 0], [0, 0.01]]]}, 2, "line"),
        ({"type": "Polygon", "coordinates": [SQUARE, HOLE]}, 2, "area"),
        ({"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [SQUARE]]}, 3, "area"),
        (
            {
                "type": "GeometryCollection",
                "geometries": [
                    {"type": "Point", "coordinates": [0, 0]},
                    {"type": "LineString", "coordinates": [[0, 0], [0.01, 0.01]]},
                ],
            },
            2,
            "line",
        ),
    ],
)
def test_every_kind_of_geometry(geometry, parts, looks):
    svg = drawn(geometry)
    assert svg.count("M") == parts
    assert f'<path class="{looks}"' in svg
    assert svg.count("Z") == (parts if looks == "area" else 0)


def test_north_is_up_and_a_degree_of_longitude_is_as_short_as_it_is_there():
    svg = drawn({"type": "LineString", "coordinates": [[24, 59.5], [26, 60.5]]})
    ((left, bottom), (right, top)) = pixels(svg)[0]
    assert left < right
    assert top < bottom
    assert (right - left) / (bottom - top) == pytest.approx(2 * math.cos(math.radians(60)), rel=0.01)


def test_the_order_of_axes_is_that_of_the_crs():
    line = drawn({"type": "LineString", "coordinates": [[24, 60], [25, 61]]})
    turned = drawn({"type": "LineString", "coordinates": [[60, 24], [61, 25]]}, crs=EPSG + "4326")
    assert pixels(turned) == pixels(line)
    metres = drawn({"type": "LineString", "coordinates": [[0, 0], [500, 500]]}, crs=EPSG + "3857")
    ((left, bottom), (right, top)) = pixels(metres)[0]
    assert right - left == bottom - top


def test_what_is_smaller_than_a_pixel_is_left_out():
    wave = [[i / 1e6, math.sin(i / 1e4)] for i in range(100_000)]
    svg = drawn(
        {"type": "LineString", "coordinates": [[0, -1], [1, 1]]}, {"type": "LineString", "coordinates": wave}
    )
    assert len(pixels(svg)[1]) < 5_000


def test_features_without_a_place_are_not_drawn():
    assert drawn(None, {"type": "Point", "coordinates": []}, {"type": "Polygon", "coordinates": []}) == ""
    svg = drawn(None, {"type": "Point", "coordinates": [1, 2]})
    assert 'href="#f2"' in svg
    assert 'href="#f1"' not in svg
    assert "a &lt;drawing&gt;" in svg

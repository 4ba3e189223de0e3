"""Pipes keep their depth below the ground all along, not only where they have points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from layers.types import Bbox
from tests.unit.tiles.test_mesh import LAT, LON, batch_of, local, solid
from tiles import geocentric
from tiles.ground import ConstantGround, Ground
from tiles.mesh import follow as following
from tiles.mesh.body import Body
from tiles.mesh.follow import MOST, MOST_EACH, TOLERANCE, follow
from tiles.mesh.tube import SIDES, tube
from tiles.scheme import Floats

TO_LONLAT = Transformer.from_crs(4978, 4979, always_xy=True)


@dataclass(frozen=True)
class Waves:
    """Hills of a height (m) whose tops are so many metres apart to the east, half as many to the north."""

    height: float = 10.0
    apart: float = 200.0
    step: float = 2.0
    key: str = "waves"

    def at(self, lon: Floats, lat: Floats) -> Floats:
        east, north = (np.asarray(lon) - LON) * 55_500, (np.asarray(lat) - LAT) * 111_400
        turn = 2 * np.pi / self.apart
        return np.asarray(self.height * (np.sin(turn * east) + np.cos(2 * turn * north)) / 2)

    def between(self, box: Bbox) -> tuple[float, float]:
        return -self.height, self.height


def axis(body: Body, row: int) -> Floats:
    """The middles (k, 3) of the rings of one feature's tube, a line of one part."""
    rings = body.positions[body.rows == row][: -2 * SIDES]
    return rings.reshape(-1, SIDES, 3).mean(axis=1)


def astray(points: Floats, ground: Ground, above: float) -> Floats:
    """Metres between a polyline and what lies so high above the ground, at many places along it."""
    part = np.linspace(0, 1, 40)[:, None, None]
    along = (points[:-1] + part * np.diff(points, axis=0)).reshape(-1, 3)
    lon, lat, height = TO_LONLAT.transform(*along.T)
    return np.abs(height - ground.at(lon, lat) - above)


def test_a_long_pipe_keeps_its_depth_over_hill_and_valley() -> None:
    ground = Waves()
    lines = [
        shapely.LineString(local((0, 0), (400, 0))),
        shapely.LineString(local((0, 10), (300, 200), (301, 201), (-500, 900))),
    ]
    # of their points alone one goes through a hill
    ends = np.array(lines[0].coords)
    straight = geocentric.ecef(*ends.T, ground.at(*ends.T) - 1)
    assert astray(straight, ground, -1).max() > 4
    body = tube(batch_of(lines), np.array([-1.0, -2.0]), np.array([0.2, 0.1]), ground)
    for row, depth in enumerate((1.0, 2.0)):
        assert astray(axis(body, row), ground, -depth).max() < TOLERANCE + 0.02
    # 1,800 m: far fewer points than places that were asked
    assert 40 < len(axis(body, 0)) + len(axis(body, 1)) < 300


@given(
    st.floats(0.2, 40),
    st.floats(60, 900),
    st.lists(st.tuples(st.floats(-900, 900), st.floats(-900, 900)), min_size=2, max_size=5, unique=True),
)
@settings(max_examples=40, deadline=None)
def test_over_any_hills_its_points_stay_and_the_ground_is_near(
    height: float, apart: float, places: list[tuple[float, float]]
) -> None:
    ground = Waves(height, apart)
    batch = batch_of([shapely.LineString(local((0, 0), (0.6, 0.8))), shapely.LineString(local(*places))])
    lines, level = follow(batch, ground)
    assert lines.parts.tolist() == batch.parts.tolist()
    assert lines.coords[-1] == len(lines.xy) == len(level)
    assert lines.xy[:2].tolist() == batch.xy[:2].tolist()
    assert np.isin(batch.xy[2:], lines.xy[2:]).all()
    assert level == pytest.approx(ground.at(*lines.lonlat()), abs=1e-9)
    points = geocentric.ecef(*lines.lonlat(), level)[lines.coords[1] :]
    # between the places that are asked hills as steep as these bend by a little more
    bend = (2 * np.pi * height / apart) * (4 * np.pi / apart) * following.FINEST**2 / 8
    assert astray(points, ground, 0.0).max() < TOLERANCE + 0.05 + 2 * bend


def test_a_grounds_own_places_are_far_apart_but_it_bends_between_them() -> None:
    lines, level = follow(batch_of([shapely.LineString(local((0, 0), (900, 0)))]), Waves(4.0, 100.0, 24.0))
    assert astray(geocentric.ecef(*lines.lonlat(), level), Waves(4.0, 100.0), 0.0).max() < TOLERANCE + 0.1


def test_a_tube_over_hills_is_closed_and_each_feature_its_own() -> None:
    lines: list[Any] = [
        shapely.MultiLineString([local((0, 0), (200, 0)), local((200, 50), (0, 50), (0, 300))]),
        shapely.Point(LON, LAT),
        shapely.LineString(local((0, 100), (150, 130))),
    ]
    body = tube(batch_of(lines), np.full(3, -1.0), np.full(3, 0.3), Waves(3.0))
    assert np.unique(body.rows).tolist() == [0, 2]
    triangles = body.rows[body.triangles]
    assert (triangles == triangles[:, :1]).all()
    for row in (0, 2):
        assert solid(body, row).is_watertight
        assert solid(body, row).is_winding_consistent
    # two that are closed
    assert solid(body, 0).euler_number == 4


@dataclass(frozen=True)
class Plane(Waves):
    """A slope of 10 m a 100 m to the east."""

    def at(self, lon: Floats, lat: Floats) -> Floats:
        return np.asarray((np.asarray(lon) - LON) * 5_550)


def test_where_the_ground_is_straight_or_constant_lines_stay_as_they_are() -> None:
    batch = batch_of([shapely.LineString(local((0, 0), (300, 0), (900, 500))), shapely.Point(LON, LAT)])
    lines = batch.take(np.array([0]))
    assert follow(lines, ConstantGround(7.0))[0] is lines
    found, level = follow(lines, Plane())
    assert found.xy.tolist() == lines.xy.tolist()
    assert found.coords.tolist() == lines.coords.tolist()
    assert level == pytest.approx([0, 30, 90], abs=0.1)


def test_a_slip_of_one_line_costs_the_others_nothing() -> None:
    slip = shapely.LineString([(LON, LAT), (LON + 90, LAT - 40)])
    lines, level = follow(batch_of([slip, shapely.LineString(local((0, 0), (400, 0)))]), Waves())
    assert len(lines.xy) <= MOST_EACH + 200
    own = slice(lines.coords[1], None)
    lon, lat = lines.lonlat()
    assert astray(geocentric.ecef(lon[own], lat[own], level[own]), Waves(), 0.0).max() < TOLERANCE + 0.02


def test_what_is_asked_of_all_lines_has_an_end() -> None:
    many = [shapely.LineString(local((0, i), (3_000, i + 1_000))) for i in range(120)]
    lines, _ = follow(batch_of(many), Waves(30.0, 50.0))
    assert MOST / 4 < len(lines.xy) <= MOST + 240

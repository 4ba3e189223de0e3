"""Tiles in their budget, whatever comes: points on one place, many large areas, long lines, long texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely

from layers.kinds import known
from tests.unit.tiles.test_encode import make
from tiles import scheme
from tiles.batch import Batch
from tiles.levels import build, order, ranks, segments, trace
from tiles.snapshots import Snapshot, snapshot_of
from tiles.vector import overview
from tiles.vector.overview import Budget, Drawing

LON, LAT = 25.0, 60.0


def drawing(kind: str) -> Drawing:
    style = known(kind).style
    return Drawing(build.scheme_of(style), frozenset({"fid", "class"}))


def tile(
    batch: Batch, kind: str, z: int, budget: Budget | None = None
) -> tuple[list[dict[str, Any]], overview.Made]:
    """The features of the tile around a place, and what it is made of."""
    x, y = scheme.world(np.array(LON), np.array(LAT))
    at = (z, int(x * 2**z), int(y * 2**z))
    snapshot: Snapshot = snapshot_of(batch, 1)
    made = overview.layer("l", snapshot, drawing(kind), at, "buffer", budget or Budget())
    return (mapbox_vector_tile.decode(made.body)["l"]["features"] if made.body else []), made


def counted(features: Sequence[dict[str, Any]]) -> int:
    return sum(one["properties"].get("group_count", 1) for one in features)


@pytest.mark.parametrize("z", [0, 9, 14, 16])
def test_points_on_one_place(z: int) -> None:
    n = 30_000
    features, made = tile(make([shapely.Point(LON, LAT)] * n), "address", z)
    assert [one["properties"]["group_count"] for one in features] == [n]
    assert made.merged == n


@pytest.mark.parametrize("z", [0, 9, 13, 16])
def test_many_footprints_on_one_place(z: int) -> None:
    n = 25_000
    features, made = tile(make([shapely.box(LON, LAT, LON + 0.002, LAT + 0.001)] * n), "building", z)
    assert counted(features) == n
    assert made.packed < 500_000
    assert all(one["geometry"]["coordinates"] for one in features)


@pytest.mark.parametrize("z", [0, 5, 16])
def test_a_line_around_the_world_and_a_polygon_of_many_vertices(z: int) -> None:
    around = shapely.LineString(np.stack([np.linspace(-180, 180, 2000), np.full(2000, LAT)], axis=1))
    turn = np.linspace(0, 2 * np.pi, 300_000)
    radius = 0.4 + 0.1 * np.sin(turn * 900)
    coast = shapely.Polygon(np.stack([LON + radius * np.cos(turn), LAT + radius * np.sin(turn) / 2], axis=1))
    features, made = tile(make([around, coast]), "feature", z)
    assert made.packed <= 500_000
    assert counted(features) >= 1


def test_long_texts_go_before_features_do() -> None:
    n = 4000
    rng = np.random.default_rng(1)
    texts = [rng.bytes(300).hex() for _ in range(n)]
    xy = rng.uniform(-0.001, 0.001, (n, 2)) + np.array([LON + 0.002, LAT + 0.001])
    features, made = tile(make([shapely.Point(p) for p in xy], name=texts), "address", 14)
    assert made.packed <= 500_000
    assert made.thin
    assert counted(features) == n


def test_a_budget_is_shared_by_need() -> None:
    def made(size: int, features: int = 1) -> overview.Made:
        # bytes that gzip makes no fewer
        return overview.Made(np.random.default_rng(1).bytes(size), features, 0, False)

    assert overview.shares([made(200_000), made(300_000)], Budget()) is None
    share = overview.shares([made(400_000), made(400_000), made(20_000)], Budget())
    assert share == Budget(125_000, 20_000)
    assert share.holds(made(20_000))
    alike = overview.Made(bytes(900_000), 1, 0, False)
    assert overview.shares([alike, alike], Budget()) is None
    assert share.holds(alike)
    features = overview.shares([made(1, 15_000), made(1, 9_000)], Budget())
    assert features is not None
    assert features.features == 10_000


def test_outlines_are_valid_and_cover_the_cells() -> None:
    rng = np.random.default_rng(0)
    for share in (0.3, 0.5, 0.9, 1.0):
        y, x = np.nonzero(rng.random((64, 64)) < share)
        group = (y // 16) * 4 + x // 16
        found = trace.outlines(x, y, group)
        rings = [found.xy[a:b] for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]
        polygons: list[list[Any]] = []
        for ring, outer in zip(rings, found.outer, strict=True):
            if outer:
                polygons.append([ring, []])
            else:
                polygons[-1][1].append(ring)
        shapes = [shapely.Polygon(*one) for one in polygons]
        assert all(shapely.is_valid(shapes))
        assert sum(one.area for one in shapes) == len(x)


def test_chains_and_rings() -> None:
    # 3 -> 1 -> 4; 2 -> 5 -> 0 -> 2
    links = np.array([2, 4, 5, 1, -1, 0])
    elements, chain = order.ordered(links)
    assert elements.tolist() == [3, 1, 4, 0, 2, 5]
    assert len(set(chain[:3].tolist())) == len(set(chain[3:].tolist())) == 1
    long = np.append(np.arange(1, 5000), -1)
    assert order.ordered(long)[0].tolist() == list(range(5000))


def test_lines_are_joined_where_two_meet() -> None:
    xy = np.array([(0, 0), (1e-3, 0), (2e-3, 0), (2e-3, 1e-3)]) + np.array([LON, LAT])
    batch = make([shapely.LineString(xy[i : i + 2]) for i in range(3)])
    table = segments.drawn(batch, np.arange(3), 10)
    corner = np.zeros((len(table), 2), np.int64)
    paths = segments.paths(table.keys, np.zeros(len(table), np.int64), corner)
    assert len(paths.feature) <= len(table)
    assert (np.diff(paths.offsets) >= 2).all()


def town(z: int) -> list[dict[str, Any]]:
    """The lines of the middle of a town of main roads between streets, all in sections of 100 m."""
    east, north = 1e-3 / np.cos(np.radians(LAT)) * 1.8, 0.9e-3
    lines, classes = [], []
    for i, j in np.ndindex(32, 32):
        here = np.array([LON + i * east, LAT + j * north])
        for step, number in ((np.array([east, 0]), j), (np.array([0, north]), i)):
            lines.append(shapely.LineString([here, here + step]))
            classes.append("main" if number % 8 == 0 else "street" if number % 2 == 0 else "path")
    features, _ = tile(make(lines, **{"class": classes}), "road", z)
    return features


def length(features: Sequence[dict[str, Any]], class_: str) -> float:
    """Of the lines of a class, in units of a tile."""
    shapes = [
        shapely.geometry.shape(f["geometry"]) for f in features if f["properties"].get("class") == class_
    ]
    return float(sum(shape.length for shape in shapes))


def test_main_roads_stay_where_streets_and_then_lanes_are_too_short() -> None:
    near, far = town(12), town(9)
    assert length(near, "main") > 0
    assert length(near, "street") > length(near, "main")
    assert length(far, "main") > 8 * length(far, "street")
    assert length(far, "path") == 0
    # the roads that are drawn tell the others
    told = [one["properties"] for one in far]
    assert sum(one["group_count"] for one in told) == 2 * 32 * 32
    assert sum(one.get("group_count_path", 0) for one in told) == 32 * 32
    assert any(
        "IN ('main', 'street', 'path')" in one["group_filter"] or " AND fits" in one["group_filter"]
        for one in told
    )


def test_ranks_are_of_values_or_of_numbers() -> None:
    batch = make([shapely.Point(LON, LAT)] * 4, size=[800.0, 300.0, 299.0, None], use=["a", "c", "b", None])
    assert ranks.Rank("size", least=(600, 300)).of(batch).tolist() == [0, 1, 2, 2]
    assert ranks.Rank("use", (("a", "b"), ("c",))).of(batch).tolist() == [0, 1, 0, 2]
    assert ranks.Rank("none", (("a",),)).of(batch).tolist() == [1, 1, 1, 1]


def test_small_quarters_are_seen_nearer_than_large_towns() -> None:
    box = shapely.box(LON, LAT, LON + 0.01, LAT + 0.005)
    seen = {
        level: ranks.seen_from(make([box], level=[level]), drawing("boundary").scheme.rank, 14)[0]
        for level in ("country", "district", "community", "grid", "unknown")
    }
    assert list(seen.values()) == [7, 10, 12, 13, 14]

"""New elements of a model against what is drawn from fields: houses of footprints, pipes of lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import shapely
import trimesh

from layers.batch import MESH
from layers.mesh import Mesh
from layers.models import check_in, metres
from layers.models.clash import Frame
from layers.types import Field
from tests.storing import load, row, spec
from twin import app, clashes
from twin.access.rights import ALL
from twin.catalogue.view import View
from twin.city import City
from twin.clashes import Question

LON, LAT = 25.0, 60.0
#: An octagon in a circle of the radius 1.
OCTAGON = 2 * 2**0.5
FIELDS = (
    Field("name", "string"),
    Field("min_height_m", "number"),
    Field("height_m", "number"),
    Field("building_id", "string"),
)
FACES = [
    *([0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4]),
    *([1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]),
]
#: The height of the ground in the heights of the model.
LEVEL = 100.0


def at(*places: tuple[float, float]) -> list[tuple[float, float]]:
    """Metres east and north as degrees."""
    east, north = metres.of_degrees(LAT)
    return [(LON + x / east, LAT + y / north) for x, y in places]


def area(x: float, y: float, side: float, deep: float | None = None) -> Any:
    x1, y1 = x + side, y + (deep or side)
    return shapely.Polygon(at((x, y), (x1, y), (x1, y1), (x, y1)))


def element(name: str, x: float, y: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    """A box of 4 by 4 m, from so many metres above the ground to so many."""
    corners = [(*place, LEVEL + z) for z in (low, high) for place in area(x, y, 4).exterior.coords[:4]]
    mesh = Mesh(np.array(corners), np.array(FACES, np.uint32), np.zeros(12, np.uint8))
    values = {"name": name, "min_height_m": low, "height_m": high, "building_id": None, **more}
    return row(name, area(x, y, 4), **values, **{MESH: mesh.to_bytes()})


def bare(name: str, x: float, y: float, low: float, high: float) -> dict[str, Any]:
    """The same without a body."""
    return {**element(name, x, y, low, high), MESH: None}


def publish(city: City, layer: str, kind: str, geometry: str, rows: Sequence[Mapping[str, Any]]) -> None:
    own = tuple(Field(name, "number") for name in ("depth_m", "diameter_mm", "depth_change_m"))
    fields = (Field("name", "string"), *own) if kind == "pipeline" else FIELDS
    load(city.store, spec(layer, kind=kind, fields=fields, geometry_type=geometry), rows)


def pipe(name: str, y: float, depth: float, diameter: float, change: float = 0.0) -> dict[str, Any]:
    """From west to east, 40 m."""
    values = {"name": name, "depth_m": depth, "diameter_mm": diameter, "depth_change_m": change}
    return row(name, shapely.LineString(at((-20, y), (20, y))), **values)


NEW = [
    element("stays", -18, -18, 0, 3),
    element("bay", 8, 0, 1, 5),  # 2 m into the house
    element("cellar", 0, -8, -3, -0.5),
    element("in its house", 2, 2, 0, 3, building_id="own"),
    bare("planned", 30, 30, 0, 4),
    element("beside it", 32, 30, 1, 3),  # 2 m into what is planned
]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "city.yml").write_text("themes: []\nheights: {ground: 12.5}\n", "utf-8")
    opened = app.open_city(folder)
    publish(opened, "model", "cim", "Polygon", NEW[:1])
    publish(opened, "model", "cim", "Polygon", NEW)
    check_in.check_in(opened.store, "model", "v2")
    publish(opened, "model", "cim", "Polygon", NEW[:1])
    house = {"min_height_m": 0.0, "height_m": 6.0, "building_id": None}
    publish(
        opened,
        "houses",
        "building",
        "Polygon",
        [
            row("other", area(0, 0, 10), name="other", **house),
            row("own", area(1, 1, 6), name="own", **house),
            row("far", area(500, 0, 10), name="far", **house),
        ],
    )
    publish(
        opened,
        "pipes",
        "pipeline",
        "LineString",
        [
            pipe("through", -6, 2, 1000),
            pipe("beside", -8.9, 2, 1000),  # 0.4 m from the cellar
            pipe("below", -5.5, 4.25, 500),  # 1 m under it
            pipe("falling", -4.2, 1.5, 200, 2),
        ],
    )
    yield opened
    opened.close()


@pytest.fixture
def view(city: City) -> View:
    return city.catalogue.view(ALL)


def told(pairs: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(one["new"]["element"], one["other"]["element"]): one for one in pairs}


def test_houses_and_pipes_are_held_against_as_they_are_drawn(view: View) -> None:
    found = clashes.look(view, "model", "v2")
    pairs = told(found.pairs)
    assert pairs.keys() == {
        ("bay", "other"),
        ("in its house", "other"),
        ("cellar", "through"),
        ("cellar", "falling"),
        ("planned", "beside it"),
    }
    assert (found.count, found.looked, found.open, found.left_out, found.near) == (5, 5, 0, {}, [])
    volumes = {pair: one["volume_m3"] for pair, one in pairs.items()}
    assert volumes["bay", "other"] == pytest.approx(2 * 4 * 4, rel=1e-4)
    assert volumes["planned", "beside it"] == pytest.approx(2 * 4 * 2, rel=1e-4)
    assert volumes["in its house", "other"] == pytest.approx(4 * 4 * 3, rel=1e-4)
    assert volumes["cellar", "through"] == pytest.approx(OCTAGON * 0.5**2 * 4, rel=1e-3)
    # the axis falls by 2 m over 40: from 1.5 m to 1.7 m within the cellar, that is 3 m deep
    assert volumes["cellar", "falling"] == pytest.approx(OCTAGON * 0.1**2 * 4, rel=2e-2)
    # told in the heights of the model, whatever the ground is drawn at
    lon, lat, height = pairs["bay", "other"]["at"]
    assert (lon, lat) == pytest.approx(at((9, 2))[0], abs=1e-7)
    assert height == pytest.approx(LEVEL + 3, abs=0.01)
    assert pairs["cellar", "through"]["at"][2] == pytest.approx(LEVEL - 2, abs=0.01)


def test_pipes_that_are_too_near_are_told_with_the_gap(view: View) -> None:
    asked = Question(beside=["pipes"], clearance=1.2)
    found = clashes.look(view, "model", "v2", asked)
    assert found.count == 3  # in its own parts and in two pipes
    near = told(found.near)
    assert near.keys() == {("cellar", "beside"), ("cellar", "below")}
    assert found.near_count == 2
    # a corner of the octagon looks to the side, and one down
    assert near["cellar", "beside"]["gap_m"] == pytest.approx(0.4, abs=2e-3)
    assert near["cellar", "below"]["gap_m"] == pytest.approx(1.0, abs=2e-3)
    assert [one["gap_m"] for one in found.near] == sorted(one["gap_m"] for one in found.near)
    closer = clashes.look(view, "model", "v2", Question(beside=["pipes"], clearance=0.3))
    assert closer.near_count == 0


def test_drawn_bodies_are_closed_and_as_large_as_they_are_said_to_be(view: View) -> None:
    """By trimesh, of what the engine draws."""
    frame = Frame(LON, LAT)
    for layer, fids, volumes in (
        ("houses", {1, 2}, [600, 216]),
        ("pipes", {1, 3}, [OCTAGON * 0.25 * 40, OCTAGON * 0.0625 * 40]),
    ):
        bodies = view.make_tiles().bodies(layer, fids)
        assert bodies.keys() == fids
        for fid, volume in zip(sorted(fids), volumes, strict=True):
            body = frame.body("one", bodies[fid])
            assert body is not None
            solid = trimesh.Trimesh(body.corners, body.triangles, process=False)
            assert solid.is_watertight
            assert solid.volume == pytest.approx(volume, rel=1e-3)
            assert body.solid.volume() == pytest.approx(solid.volume, rel=1e-9)
    low, high = view.make_tiles().bodies("houses", {1})[1].positions[:, 2].min(), 18.5
    assert low == pytest.approx(12.5, abs=1e-6)
    assert view.make_tiles().bodies("houses", {1})[1].positions[:, 2].max() == pytest.approx(high, abs=1e-6)

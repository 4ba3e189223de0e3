"""Values of rasters at positions and along lines, as a client gets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio

from layers.model import Asset
from tests import imagery
from tests.imagery import CELL, NORTH, WEST, Ask

HERE = "/ogc/collections/{}/{}?coords={}"
TO_MERCATOR = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True)
PLACES = ((24.95, 60.168), (24.941234, 60.169), (24.9589, 60.1649))
CLASSES = {1: (255, 0, 0, 255), 2: (0, 255, 0, 255)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = imagery.city(tmp_path_factory.mktemp("positions"))
    values = imagery.ramp()
    values[0, :64, :64] = -9999
    ground = imagery.write(folder / "g.tif", values, nodata=-9999, describe=["Height"])
    imagery.record(folder, "ground", ground, form="surface")
    rows, columns = np.mgrid[0:256, 0:256]
    classes = (1 + (rows + columns) % 2).astype(np.uint8)[None]
    imagery.record(folder, "cover", imagery.write(folder / "c.tif", classes, palette=CLASSES))
    old, new = (imagery.write(folder / f"{name}.tif", imagery.ramp() + name) for name in (1, 2))
    two = np.stack([imagery.ramp()[0], imagery.ramp()[0] * 2])
    imagery.record(folder, "both", imagery.write(folder / "b.tif", two, describe=["one", "two"]))
    times = Asset(href=str(old), time="2020-01-01"), Asset(href=str(new), time="2024-01-01")
    imagery.record(folder, "yearly", *times)
    for name in ("raster/dem_valais_2056.tif", "raster/cog_dateline.tif", "nanaimo_ca/nanaimo_dem.tif"):
        if (imagery.SHARED / name).is_file():
            imagery.record(folder, Path(name).stem, imagery.SHARED / name, box=None)
    return folder


@pytest.fixture(scope="module")
def ask(folder: Path) -> Iterator[Ask]:
    with imagery.asking(folder) as (_, ask):
        yield ask


def plane(lon: float, lat: float) -> float:
    """What the ramp is at a place: its cells' values are those of their middles."""
    x, y = TO_MERCATOR.transform(lon, lat)
    return (x - WEST) / CELL - 0.5 + 1000 * ((NORTH - y) / CELL - 0.5)


def wkt(*places: tuple[float, float], shape: str = "LINESTRING") -> str:
    return f"{shape}({','.join(f'{lon} {lat}' for lon, lat in places)})"


def of(document: dict[str, Any]) -> list[float | None]:
    (found,) = document["ranges"].values()
    return found["values"]


@pytest.mark.parametrize("place", PLACES)
def test_a_value_lies_between_those_of_the_cells_around(ask: Ask, place: tuple[float, float]) -> None:
    answer = ask(HERE.format("ground", "position", wkt(place, shape="POINT")))
    assert answer.headers["content-type"] == "application/prs.coverage+json"
    document = answer.json()
    assert list(document["parameters"]) == ["Height"]
    assert document["domain"]["domainType"] == "Point"
    assert document["domain"]["axes"] == {"x": {"values": [place[0]]}, "y": {"values": [place[1]]}}
    assert of(document) == pytest.approx([plane(*place)], abs=0.02)  # float32 of 200 000


def test_several_points_and_nothing_outside(ask: Ask) -> None:
    beyond = (24.9, 60.168), (24.9391, 60.1734)
    document = ask(HERE.format("ground", "position", wkt(*PLACES, *beyond, shape="MULTIPOINT"))).json()
    assert document["domain"]["axes"]["composite"]["coordinates"] == ["x", "y"]
    assert document["ranges"]["Height"]["shape"] == [5]
    assert of(document) == [*(pytest.approx(plane(*place), abs=0.02) for place in PLACES), None, None]


def test_between_classes_there_is_nothing(ask: Ask) -> None:
    line = wkt(PLACES[1], PLACES[2])
    document = ask(HERE.format("cover", "trajectory", line)).json()
    assert set(of(document)) == {1.0, 2.0}


def test_a_line_has_a_value_for_each_cell_and_its_corners(ask: Ask) -> None:
    document = ask(HERE.format("ground", "trajectory", wkt(*PLACES))).json()
    places = document["domain"]["axes"]["composite"]["values"]
    assert [list(PLACES[0]), list(PLACES[2])] == [pytest.approx(places[0]), pytest.approx(places[-1])]
    assert any(place == pytest.approx(list(PLACES[1])) for place in places)
    steps = pyproj.Geod(ellps="WGS84").inv(*np.array(places[:-1]).T, *np.array(places[1:]).T)[2]
    assert max(steps) <= CELL * np.cos(np.radians(60.17)) * 1.001
    assert of(document) == [pytest.approx(plane(*place), abs=0.02) for place in places]
    some = ask(HERE.format("ground", "trajectory", wkt(*PLACES)) + "&resolution-x=5").json()
    assert len(of(some)) == 5


def test_fields_and_times_are_chosen(ask: Ask) -> None:
    here = HERE.format("both", "position", wkt(PLACES[0], shape="POINT"))
    assert list(ask(f"{here}&parameter-name=two").json()["ranges"]) == ["two"]
    assert list(ask(here).json()["ranges"]) == ["one", "two"]
    yearly = HERE.format("yearly", "position", wkt(PLACES[0], shape="POINT"))
    for when, more in (("", 2), ("&datetime=2022-06-01", 1), ("&datetime=2024-01-01T00:00:00Z", 2)):
        document = ask(yearly + when).json()
        assert of(document) == [pytest.approx(plane(*PLACES[0]) + more, abs=0.02)]
        assert document["domain"]["axes"]["t"] == {"values": [("2020", "2024")[more - 1] + "-01-01"]}
    assert ask(f"{yearly}&datetime=2019-01-01").status_code == 404


def bilinear(original: rasterio.DatasetReader, x: float, y: float) -> float | None:
    """Of the four cells around, one by one; None where the cell itself has no value."""
    column, row = ~original.transform @ (x, y)
    if not (0 <= column <= original.width and 0 <= row <= original.height):
        return None
    cells = original.read(1, masked=True)
    if np.ma.is_masked(cells[int(row), int(column)]):
        return None
    total = weights = 0.0
    for j in (int(np.floor(row - 0.5)), int(np.floor(row - 0.5)) + 1):
        for i in (int(np.floor(column - 0.5)), int(np.floor(column - 0.5)) + 1):
            if 0 <= i < original.width and 0 <= j < original.height and not np.ma.is_masked(cells[j, i]):
                weight = (1 - abs(column - 0.5 - i)) * (1 - abs(row - 0.5 - j))
                total, weights = total + weight * float(cells[j, i]), weights + weight
    return total / weights


@pytest.mark.parametrize(
    ("name", "box"),
    [
        ("dem_valais_2056", (7.0907, 45.9162, 7.1034, 45.925)),
        ("cog_dateline", (178.5, 50.8, 181.2, 52.5)),
        ("nanaimo_dem", (-124.1, 49.12, -123.9, 49.25)),
    ],
)
def test_values_are_those_of_the_original(ask: Ask, name: str, box: tuple[float, ...]) -> None:
    """By rasterio, bilinear, at positions by pyproj: to 1 cm."""
    (path,) = imagery.SHARED.glob(f"*/{name}.tif") or [imagery.shared(f"raster/{name}.tif")]
    rng = np.random.default_rng(11)
    lon = (rng.uniform(box[0], box[2], 50) + 180) % 360 - 180
    lat = rng.uniform(box[1], box[3], 50)
    document = ask(HERE.format(name, "position", wkt(*zip(lon, lat, strict=True), shape="MULTIPOINT"))).json()
    with rasterio.open(path) as original:
        way = pyproj.Transformer.from_crs("OGC:CRS84", original.crs.to_epsg(), always_xy=True)
        expected = [bilinear(original, *way.transform(*place)) for place in zip(lon, lat, strict=True)]
    assert sum(one is not None for one in expected) > 10
    assert of(document) == [one if one is None else pytest.approx(one, abs=0.01) for one in expected]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("position", "coords"),
        ("position?coords=POINT(24.9)", "POINT or MULTIPOINT"),
        ("position?coords=POINT(60.18%20124.9)", "latitudes within"),
        ("position?coords=POINT(nan%201)", "within"),
        ("position?coords=LINESTRING(1%201,2%202)", "POINT or MULTIPOINT"),
        ("position?coords=POINT%20EMPTY", "POINT or MULTIPOINT"),
        ("trajectory?coords=POINT(1%201)", "LINESTRING"),
        ("trajectory?coords=LINESTRING(1%201,2%202)&resolution-x=1001", "from 0 to 1000"),
        ("position?coords=POINT(1%201)&parameter-name=x", "there are Height"),
        ("position?coords=POINT(1%201)&crs=EPSG:3857", "CRS84"),
        ("position?coords=POINT(1%201)&z=1", "unknown parameter"),
        ("position?coords=POINT(1%201)&datetime=now", "datetime"),
    ],
)
def test_what_cannot_be_asked_is_refused(ask: Ask, query: str, reason: str) -> None:
    answer = ask(f"/ogc/collections/ground/{query}")
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]


def test_the_collection_says_how_it_is_asked(ask: Ask) -> None:
    queries = ask("/ogc/collections/ground").json()["data_queries"]
    assert list(queries) == ["position", "trajectory"]
    assert queries["position"]["link"]["href"].endswith("/ogc/collections/ground/position")

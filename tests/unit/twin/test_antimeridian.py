"""Rasters across the antimeridian are one place, not all around the Earth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pystac
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.io import MemoryFile

from tests import imagery, rasters

#: Where a file in UTM 60 S begins, 18 km wide, in Fiji; and one in degrees, of 0.2° from 179.9°.
EAST, NORTH, CELL, SIDE = 811_000.0, 8_180_000.0, 60.0, 300
TO_UTM = Transformer.from_crs(4326, 32760, always_xy=True)
type Get = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    city = tmp_path_factory.mktemp("fiji")
    (city / "city.yml").write_text("title: {en: Fiji}\n")
    whole = rasters.ramp(SIDE, SIDE, None)
    where: dict[str, Any] = {"crs": "EPSG:32760", "cell": CELL}
    rasters.write(city / "rasters/utm.tif", [whole], origin=(EAST, NORTH), **where)
    half = SIDE // 2
    for name, part, east in (("west", whole[:, :half], 0), ("east", whole[:, half:], half * CELL)):
        rasters.write(city / f"rasters/{name}.tif", [part], origin=(EAST + east, NORTH), **where)
    rasters.write(
        city / "rasters/degrees.tif",
        [rasters.ramp(200, 200, None)],
        crs="EPSG:4326",
        origin=(179.9, -16.4),
        cell=0.001,
    )
    rasters.record(city, "utm", "rasters/utm.tif", crs="EPSG:32760")
    rasters.record(city, "pair", "rasters/west.tif", "rasters/east.tif", crs="EPSG:32760")
    rasters.record(city, "degrees", "rasters/degrees.tif", crs="EPSG:4326")
    return city


@pytest.fixture(scope="module")
def get(folder: Path) -> Iterator[Get]:
    with imagery.asking_with_queries(folder) as ask:
        yield ask


def expected(lon: Any, lat: Any) -> Any:
    """The values of the file in UTM at places in degrees: those of a plane."""
    x, y = TO_UTM.transform(lon, lat)
    return (x - EAST) / CELL - 0.5 + 1000 * ((NORTH - y) / CELL - 0.5)


@pytest.mark.parametrize("layer", ["utm", "degrees"])
def test_a_stac_item_lies_on_both_sides_and_nowhere_else(get: Get, folder: Path, layer: str) -> None:
    document = get(f"/stac/{layer}/{layer}-1").json()
    west, south, east, north = document["bbox"]
    assert 179.8 < west < 180
    assert -180 < east < -179.8
    outline = shapely.geometry.shape(document["geometry"])
    assert outline.is_valid
    assert [one.bounds for one in outline.geoms] == [(west, south, 180, north), (-180, south, east, north)]
    assert outline.area < 0.1
    pystac.Item.from_dict(document)
    with rasterio.open(folder / f"rasters/{layer}.tif") as file:
        corners = [
            file.transform @ (c + 0.5, r + 0.5) for c in (0, file.width - 1) for r in (0, file.height - 1)
        ]
        lonlat = [Transformer.from_crs(file.crs, 4326, always_xy=True).transform(*one) for one in corners]
    for lon, lat in lonlat:
        assert outline.buffer(1e-9).covers(shapely.Point((lon + 180) % 360 - 180, lat))


@pytest.mark.parametrize("layer", ["utm", "pair"])
@pytest.mark.parametrize(
    ("box", "sides"),
    [
        (None, "both"),
        ("-180,-90,180,90", "both"),
        ("179.97,-16.6,-179.97,-16.45", "both"),
        ("-179.99,-16.6,-179.96,-16.45", "east"),
        ("179.96,-16.6,179.99,-16.45", "west"),
    ],
)
def test_a_coverage_in_degrees_has_the_values_of_both_sides(
    get: Get, layer: str, box: str | None, sides: str
) -> None:
    given = {"bbox": box} if box else {}
    answer = get(f"/ogc/collections/{layer}/coverage", crs="OGC:CRS84", **given)
    assert answer.status_code == 200, answer.text
    west, _, east, _ = map(float, answer.headers["content-bbox"].split(","))
    assert (west > 0, east < 0) == {"both": (True, True), "east": (False, True), "west": (True, False)}[sides]
    with MemoryFile(answer.content) as memory, memory.open() as file:
        values = file.read(1, masked=True)
        rows, columns = np.nonzero(~np.ma.getmaskarray(values))
        lon, lat = rasterio.transform.xy(file.transform, rows, columns)
    assert len(rows) > 0.8 * values.size or sides != "west"
    inner = np.abs(values.data[rows, columns] - expected(np.array(lon), np.array(lat)))
    # of the cells at the edge some weigh less; a row is worth 1000
    assert np.percentile(inner, 95) < 1.5
    middle = np.asarray(lon) % 360
    if sides == "both":
        assert middle.min() < 179.98
        assert middle.max() > 180.02


def test_a_projection_that_ends_there_is_refused_and_a_map_of_degrees_is_drawn(get: Get) -> None:
    refused = get("/ogc/collections/utm/coverage", crs="EPSG:3857")
    assert (refused.status_code, refused.json()["code"]) == (400, "InvalidParameterValue")
    assert "antimeridian" in refused.json()["detail"]
    drawn = imagery.pixels(
        get("/ogc/collections/pair/map", bbox="179.98,-16.55,-179.98,-16.5", width="80").content
    )
    assert drawn.shape[2] == 80
    assert drawn[3].min() == 255


def test_values_at_positions_on_both_sides(get: Get) -> None:
    for layer in ("utm", "degrees"):
        for lon in (179.97, -179.97):
            answer = get(f"/ogc/collections/{layer}/position", coords=f"POINT({lon} -16.5)").json()
            (value,) = answer["ranges"]["height"]["values"]
            own = (lon % 360 - 179.9) * 1000 - 0.5 + 1000 * (100 - 0.5)
            assert value == pytest.approx(expected(lon, -16.5) if layer == "utm" else own, abs=1)

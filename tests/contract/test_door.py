"""The door of notebooks, over every store, while another process could write: read-only, typed, exact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Geod, Transformer
from rasterio.enums import Resampling
from rasterio.windows import Window

import layers
from layers.batch import MESH
from layers.door import CityLayers, FeatureReader, RasterReader
from layers.errors import BadConfig, BadInput, BadParameter, NotFound, Unavailable
from layers.mesh import Material
from layers.model import Asset, Author
from layers.store.base import FormSpec, Store
from layers.store.database import Database
from layers.store.open import open_store
from layers.textures import Texture
from tests import rasters
from tests.contract.conftest import STORES
from tests.postgres import Cluster
from tests.storing import grid, load, one, row, spec, square
from tests.textured import QUARTERS, box, image, textured


@pytest.fixture(params=STORES)
def city(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[CityLayers, Store]]:
    """A city through the door, and its store open for writing beside it."""
    folder = tmp_path / "mycity"
    folder.mkdir()
    database, written = None, ""
    if request.param == "postgis":
        url = request.getfixturevalue("postgres").database()
        database, written = Database(url), f"store: {url}\n"
    (folder / "city.yml").write_text(f"title: {{en: Mine}}\ncrs: EPSG:3879\n{written}")
    store = open_store(folder, database)
    rows = grid(12, built="1999-12-31", seen="2024-05-01T10:00:00.000Z", listed=True, height_m=3.5)
    rows.append(row("last", square(24.9, 59.9), name="empty house"))
    load(store, spec(), rows)
    rasters.write(folder / "rasters/dem.tif")
    asset = Asset(href="rasters/dem.tif", media_type=rasters.COG)
    store.record(FormSpec("dem", "surface", "terrain", {"en": "DEM"}, "EPSG:3857", assets=(asset,)))
    store.record(FormSpec("shell", "scene", "scene", {"en": "Shell"}, "EPSG:4979"))
    with layers.open(folder) as opened:
        yield opened, store
    store.close()


def buildings(city: CityLayers) -> FeatureReader:
    return cast(FeatureReader, city["buildings"])


def test_it_is_a_mapping_of_what_can_be_read(city: tuple[CityLayers, Store]) -> None:
    opened, _ = city
    assert list(opened) == ["buildings", "dem"]
    assert len(opened) == 2
    assert (len(buildings(opened)), next(f.name for f in buildings(opened).fields)) == (13, "source_id")
    assert "shell" not in opened
    with pytest.raises(KeyError, match="there are buildings, dem"):
        opened["roads"]
    assert repr(opened) == "<layers of mycity: buildings, dem>"
    assert repr(opened["buildings"]) == "<buildings: 13 features of kind building>"


def test_features_come_as_a_typed_table(city: tuple[CityLayers, Store]) -> None:
    opened, store = city
    table = buildings(opened).to_geopandas()
    assert isinstance(table, geopandas.GeoDataFrame)
    assert (table.index.name, table.index.tolist()) == ("fid", list(range(1, 14)))
    assert str(table.crs) == "OGC:CRS84"
    types = {name: str(kind) for name, kind in table.dtypes.items()}
    assert types == {
        "source_id": types["name"],
        "name": types["name"],
        "height_m": "float64",
        "levels": "Int64",
        "listed": "boolean",
        "built": "datetime64[s]",
        "seen": "datetime64[ms, UTC]",
        "geometry": "geometry",
    }
    assert types["name"] in ("string", "str")
    for fid in (1, 13):
        feature = one(store, fid)
        assert table.geometry[fid].equals_exact(_shape(feature), 1e-9)
        assert table.name[fid] == feature["properties"]["name"]
    assert table.built[1] == pd.Timestamp("1999-12-31")
    assert table.seen[1] == pd.Timestamp("2024-05-01T10:00:00Z")
    assert table.loc[13, ["levels", "listed", "built", "seen", "height_m"]].isna().all()


def _shape(feature: dict[str, Any]) -> Any:
    return shapely.from_geojson(json.dumps(feature["geometry"]))


def test_a_selection_is_that_of_the_api(city: tuple[CityLayers, Store]) -> None:
    reader = buildings(city[0])
    text = "levels > 2 AND levels < 6"
    as_json = {
        "op": "and",
        "args": [
            {"op": ">", "args": [{"property": "levels"}, 2]},
            {"op": "<", "args": [{"property": "levels"}, 6]},
        ],
    }
    assert reader.to_geopandas(filter=text).levels.tolist() == [3, 4, 5]
    assert reader.to_geopandas(filter=as_json).levels.tolist() == [3, 4, 5]
    assert reader.to_geopandas(bbox=(24.999, 59.999, 25.002, 60.002)).levels.tolist() == [0]
    few = reader.to_geopandas(properties=["name"], sortby="-levels", filter=text)
    assert [list(few.columns), few.name.tolist()] == [["name", "geometry"], ["house 5", "house 4", "house 3"]]
    none = reader.to_geopandas(filter="levels > 100")
    assert (len(none), list(none.columns)[-1], str(none.crs)) == (0, "geometry", "OGC:CRS84")
    for wrong, told in (
        ({"filter": "depth > 1"}, "depth"),
        ({"bbox": (1.0, 2.0, float("nan"), 4.0)}, "finite"),
        ({"crs": "EPSG:2154"}, "EPSG/0/3879"),
        ({"properties": ["depth"]}, "depth"),
    ):
        with pytest.raises(BadParameter, match=told):
            reader.to_geopandas(**cast(Any, wrong))


def test_another_crs_is_that_of_pyproj(city: tuple[CityLayers, Store]) -> None:
    table = buildings(city[0]).to_geopandas(crs="EPSG:3879")
    expected = Transformer.from_crs(4326, 3879, always_xy=True).transform(25.0, 60.0)
    west, south, *_ = table.geometry[1].bounds
    assert table.crs.to_epsg() == 3879
    assert abs(west - expected[0]) < 0.1
    assert abs(south - expected[1]) < 0.1


def test_what_is_edited_meanwhile_is_seen_and_nothing_is_written(city: tuple[CityLayers, Store]) -> None:
    opened, store = city
    reader = buildings(opened)
    assert reader.to_geopandas().name[1] == "house 0"
    store.patch("buildings", 1, {"properties": {"name": "renamed"}}, by=Author(actor="me"))
    assert reader.to_geopandas().name[1] == "renamed"
    seq = store.seq()
    for _ in range(3):
        reader.to_geopandas(filter="name LIKE 'r%'")
        cast(RasterReader, opened["dem"]).sample([(24.94, 60.165)])
    assert store.seq() == seq
    verbs = [verb for verb in dir(reader) if not verb.startswith("_")]
    assert sorted(verbs) == ["fields", "layer", "to_geopandas", "to_trimesh"]


def test_a_raster_is_sampled_as_rasterio_does_and_opened(city: tuple[CityLayers, Store]) -> None:
    dem = cast(RasterReader, city[0]["dem"])
    assert [(band.name, band.unit) for band in dem.bands] == [("height", "m")]
    random = np.random.default_rng(3)
    points = np.column_stack([random.uniform(24.9375, 24.964, 200), random.uniform(60.1626, 60.1713, 200)])
    values = dem.sample(points)
    assert values.shape == (200, 1)
    assert np.isnan(dem.sample([(0, 0), (24.93724, 60.1714)])).all()
    to_metres = Transformer.from_crs(4326, 3857, always_xy=True)
    with dem.open() as file:
        assert file.mode == "r"
        for (lon, lat), value in zip(points, values[:, 0], strict=True):
            x, y = to_metres.transform(lon, lat)
            column, line = ~file.transform @ (x, y)
            # one cell that GDAL makes of the four, with its middle at the point
            window = Window(column - 0.5, line - 0.5, 1, 1)
            bilinear = Resampling.bilinear
            expected = file.read(1, window=window, out_shape=(1, 1), resampling=bilinear)[0, 0]
            assert np.isnan(value) == (expected == -9999)
            assert np.isnan(value) or abs(value - expected) < 0.01


def test_wrong_points_and_bands_are_told(city: tuple[CityLayers, Store]) -> None:
    dem = cast(RasterReader, city[0]["dem"])
    for points in ([1, 2, 3], [(1, 2, 3)], [[[1, 2]]]):
        with pytest.raises(BadInput, match="pairs of longitude and latitude"):
            dem.sample(points)
    with pytest.raises(BadInput, match="there are height"):
        dem.sample([(1, 2)], bands=["depth"])
    assert dem.sample(np.empty((0, 2))).shape == (0, 1)
    assert np.isnan(dem.sample([(float("nan"), 60.0), (float("inf"), 60.0), (500.0, 60.0)])).all()


def test_files_with_dates_are_chosen_by_time(tmp_path: Path) -> None:
    (tmp_path / "city.yml").write_text("title: {en: Times}\n")
    for year in (2020, 2024):
        rasters.write(tmp_path / f"rasters/{year}.tif", [np.full((20, 20), year, np.int16)], nodata=None)
    rasters.record(tmp_path, "levels", ("rasters/2020.tif", "2020-06-01"), ("rasters/2024.tif", "2024-06-01"))
    rasters.record(tmp_path, "both", "rasters/2020.tif", "rasters/2024.tif")
    with layers.open(tmp_path) as opened:
        levels, both = (cast(RasterReader, opened[one]) for one in ("levels", "both"))
        point = [(24.9377, 60.1712)]
        assert levels.sample(point).tolist() == [[2024]]
        assert levels.sample(point, datetime="2021-01-01").tolist() == [[2020]]
        with pytest.raises(NotFound, match="so long ago"):
            levels.sample(point, datetime="2019-01-01")
        with pytest.raises(NotFound, match="so long ago"):
            levels.open(datetime="2019-01-01")
        assert both.sample(point).tolist() == [[2024]]
        with pytest.raises(BadInput, match="2 files"):
            both.open()
        assert [path.name for path in both.paths()] == ["2020.tif", "2024.tif"]
        (tmp_path / "rasters/2024.tif").write_bytes(b"II*\0 no raster")
        with pytest.raises(Unavailable):
            levels.open()


def test_a_folder_without_a_server_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "city.yml").write_text("title: {en: Alone}\nvisitors: {unknown: to this}\n")
    store = open_store(tmp_path)
    load(store, spec(), grid(3))
    store.close()
    before = hashlib.sha256((tmp_path / "city.gpkg").read_bytes()).hexdigest()
    with layers.open(str(tmp_path)) as opened:
        assert len(buildings(opened).to_geopandas()) == 3
    assert hashlib.sha256((tmp_path / "city.gpkg").read_bytes()).hexdigest() == before


def test_what_is_no_city_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="no city folder"):
        layers.open(tmp_path)
    (tmp_path / "city.yml").write_text("store: postgresql://me:${NO_SUCH_PASSWORD}@127.0.0.1/db\n")
    with pytest.raises(BadConfig, match="NO_SUCH_PASSWORD is not set"):
        layers.open(tmp_path)
    (tmp_path / "city.yml").write_text("store: mysql://there\n")
    with pytest.raises(BadConfig, match="not an address"):
        layers.open(tmp_path)
    (tmp_path / "city.yml").write_text("{}\n")
    with pytest.raises(NotFound, match="no store yet"):
        layers.open(tmp_path)


def test_the_reading_role_of_a_database_is_enough(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    store = open_store(tmp_path, Database(url))
    load(store, spec(), grid(3))
    store.close()
    name = url.rsplit("/", 1)[1]
    reader = f"notebook_{name}"
    with postgres.connect(name) as con:
        con.execute(f"CREATE ROLE {reader} LOGIN PASSWORD 'x'")
        con.execute(f"GRANT USAGE ON SCHEMA city TO {reader}")
        con.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA city TO {reader}")
    head, _, tail = url.partition("://")
    read_url = f"{head}://{reader}:x@{tail.rpartition('@')[2]}"
    nobody = f"{head}://nobody_at_all@{tail.rpartition('@')[2]}"
    (tmp_path / "city.yml").write_text(f"store: {{url: '{nobody}', read_url: '{read_url}'}}\n")
    with layers.open(tmp_path) as opened:
        assert len(buildings(opened).to_geopandas()) == 3


_WEST, _SOUTH, _EAST, _NORTH = *box(25, 60).positions[0, :2], *box(25, 60).positions[7, :2]
_WIDE, _DEEP = (
    Geod(ellps="WGS84").line_length(*ends)
    for ends in (((_WEST, _EAST), (_SOUTH, _SOUTH)), ((_WEST, _WEST), (_SOUTH, _NORTH)))
)
#: Cubic metres of a box of ten metres' height, by its sides on the ellipsoid.
VOLUME = _WIDE * _DEEP * 10


@pytest.fixture
def houses(city: tuple[CityLayers, Store]) -> FeatureReader:
    """Bodies: a plain box, one with an image on its roof, and none."""
    opened, store = city
    roof = Texture.of(image(), "image/png")
    dyed = textured(box(25, 60.2), roof.sha)
    dyed = replace(dyed, material_table=(Material(), Material((128, 255, 0, 255), roof.sha), Material()))
    bodies = [box(25, 60), textured(box(25, 60.1), roof.sha), None, dyed]
    shape = square(25, 60)
    rows = [row(f"h{i}", shape, **{MESH: one and one.to_bytes()}) for i, one in enumerate(bodies)]
    load(store, spec("houses", kind="cim"), rows, textures=[roof])
    return cast(FeatureReader, opened["houses"])


def test_a_body_is_a_closed_mesh_in_metres(houses: FeatureReader) -> None:
    found = houses.to_trimesh(1)
    assert found.is_watertight
    assert found.is_winding_consistent
    assert found.volume == pytest.approx(VOLUME, rel=1e-4)
    lon, lat, height = found.metadata["origin"]
    assert (lon, lat, height) == pytest.approx((25.00009, 60.000045, 0), abs=1e-5)
    assert np.abs(found.bounds[:, :2]).max() < 5.1
    assert found.bounds[:, 2].tolist() == pytest.approx([0, 10], abs=1e-4)
    roof = found.face_attributes["surface"] == "ROOF"
    assert (found.face_normals[roof, 2] > 0.99).all()
    assert roof.sum() == 2


def test_a_body_lies_where_its_crs_says(houses: FeatureReader) -> None:
    found = houses.to_trimesh(1, crs="EPSG:3879")
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:3879", always_xy=True).transform(25, 60)
    assert found.bounds[0] == pytest.approx((x, y, 0), abs=1e-3)
    assert found.volume == pytest.approx(VOLUME, rel=1e-4)
    with pytest.raises(BadInput):
        houses.to_trimesh(1, crs="EPSG:1")


def test_a_body_keeps_parts_colours_and_its_image(houses: FeatureReader) -> None:
    found = houses.to_trimesh(2)
    assert found.is_watertight
    assert [found.metadata["parts"][i]["type"] for i in found.face_attributes["part"][[0, 2, 4]]] == [
        "GroundSurface",
        "RoofSurface",
        "WallSurface",
    ]
    colours = found.visual.face_colors
    assert (colours[4:] == [120, 90, 60, 255]).all()
    assert (colours[:2] == 255).all()
    assert colours[2].tolist() == [*QUARTERS[3], 255]
    seen = houses.to_trimesh(2, texture=True)
    assert seen.volume == pytest.approx(found.volume)
    lowest = seen.visual.uv[seen.faces[2]]
    # the roof's south-west is the lower left of its image, which trimesh counts from below
    assert lowest.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert seen.visual.material.baseColorTexture.getpixel((1, 1)) == (*QUARTERS[0], 255)


def test_a_colour_beside_an_image_is_multiplied_in(houses: FeatureReader) -> None:
    colours = houses.to_trimesh(4).visual.face_colors
    expected = np.array([*QUARTERS[3], 255]) * [128 / 255, 1, 0, 1]
    assert np.abs(colours[2] - expected).max() <= 1
    assert houses.to_trimesh(4, texture=True).visual.material.baseColorFactor.tolist() == [128, 255, 0, 255]


def test_no_body_is_told_from_no_feature(houses: FeatureReader) -> None:
    with pytest.raises(NotFound, match="no body"):
        houses.to_trimesh(3)
    with pytest.raises(NotFound, match="no feature"):
        houses.to_trimesh(9)

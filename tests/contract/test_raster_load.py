"""Rasters come into both stores by the road of every file, and their files into the city's folder."""

from __future__ import annotations

import fcntl
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.vrt import WarpedVRT
from rio_cogeo.cogeo import cog_validate

from layers import load, load_manifest
from layers.content import kept
from layers.errors import BadFile, BadParameter, Exists
from layers.model import ContentLayer, Report
from layers.source import Declared
from layers.store.base import Store
from tests.raster_sources import hills, picture, write

TERRAIN = Declared(kind="terrain")


def loaded(store: Store, layer_id: str) -> ContentLayer:
    layer = store.layer(layer_id)
    assert isinstance(layer, ContentLayer)
    return layer


def files(city: Path) -> set[str]:
    return {each.name for each in (city / kept.FOLDER).iterdir()}


def test_a_raster_becomes_a_cog_of_the_city(store: Store, tmp_path: Path) -> None:
    source = write(tmp_path / "hills.tif", hills())
    report = load.run(store, source, TERRAIN, layer_id="ground", city=tmp_path)
    layer = loaded(store, "ground")
    assert (layer.form, layer.kind, layer.crs, layer.generation) == ("surface", "terrain", "EPSG:32631", 1)
    [asset] = layer.assets
    assert asset.media_type == kept.COG
    assert files(tmp_path) == {Path(asset.href).name}
    path = tmp_path / asset.href
    assert cog_validate(path, quiet=True) == (True, [], [])
    with rasterio.open(path) as cog, rasterio.open(source) as own:
        assert (cog.read() == own.read()).all()
        assert (cog.crs, cog.transform) == (own.crs, own.transform)
        assert float(cog.tags(1)["STATISTICS_MEAN"]) == pytest.approx(own.read().mean())
    assert report.raster is not None
    assert (report.raster.width, report.raster.height, report.raster.cell) == (60, 40, (10, 10))
    kept_report = store.report("ground")
    assert kept_report is not None
    assert Report.of(kept_report) == report
    checked = load.check(source, TERRAIN, layer_id="ground", rows=None)
    assert (checked.raster, checked.problems, checked.sha256) == (
        report.raster,
        report.problems,
        report.sha256,
    )


def test_a_picture_is_kept_in_the_tiles_of_the_web_map(store: Store, tmp_path: Path) -> None:
    source = write(tmp_path / "ortho.tif", picture(400, 600))
    report = load.run(store, source, layer_id="ortho", city=tmp_path)
    assert report.raster is not None
    assert report.raster.aligned
    layer = loaded(store, "ortho")
    assert layer.form == "coverage"
    path = tmp_path / layer.assets[0].href
    assert cog_validate(path, quiet=True) == (True, [], [])
    with rasterio.open(path) as cog:
        assert cog.crs.to_epsg() == 3857
        assert 156543.03392804097 / cog.res[0] == pytest.approx(round(156543.03392804097 / cog.res[0]))
        assert [each.name for each in cog.colorinterp] == ["red", "green", "blue"]
        seen = cog.dataset_mask() > 0
        colours = cog.read()
        with (
            rasterio.open(source) as own,
            WarpedVRT(
                own, crs=cog.crs, transform=cog.transform, width=cog.width, height=cog.height, add_alpha=True
            ) as there,
        ):
            assert (seen == (there.read(4) > 0)).mean() > 0.999
    assert 0.3 < seen.mean() < 1
    assert (colours[:, ~seen] == 0).all()


def test_a_new_whole_takes_the_place_of_the_old(store: Store, tmp_path: Path) -> None:
    source = write(tmp_path / "hills.tif", hills())
    load.run(store, source, TERRAIN, layer_id="ground", city=tmp_path)
    old = files(tmp_path)
    with pytest.raises(Exists):
        load.run(store, source, TERRAIN, layer_id="ground", city=tmp_path)
    write(tmp_path / "hills.tif", hills(low=0))
    report = load.run(store, source, layer_id="ground", mode="replace", city=tmp_path)
    assert (report.kind, report.generation) == ("terrain", 2)
    assert len(files(tmp_path)) == 1
    assert not files(tmp_path) & old


def test_another_time_and_another_piece_are_added(store: Store, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", hills())
    load.run(store, source, Declared(time="2024-05-01"), layer_id="depth", city=tmp_path)
    there = rasterio.transform.from_origin(378_600, 4_707_000, 10, 10)
    beside = write(tmp_path / "b.tif", hills(), transform=there)
    declared = Declared(time="2024-05-02T08:00:00+08:00")
    load.run(store, beside, declared, layer_id="depth", mode="append", city=tmp_path)
    layer = loaded(store, "depth")
    assert [asset.time for asset in layer.assets] == ["2024-05-01", "2024-05-02T00:00:00.000Z"]
    assert len(files(tmp_path)) == 2
    assert layer.extent is not None
    assert layer.extent[2] - layer.extent[0] == pytest.approx(0.0145, abs=1e-3)


def test_rows_and_cells_do_not_share_an_id(store: Store, tmp_path: Path) -> None:
    load.run(store, write(tmp_path / "a.tif", hills()), layer_id="a", city=tmp_path)
    table = tmp_path / "b.csv"
    table.write_text("name,lon,lat\nx,1.5,42.5\n")
    with pytest.raises(Exists, match="coverage"):
        load.run(store, table, layer_id="a", mode="replace", city=tmp_path)
    load.run(store, table, layer_id="b", city=tmp_path)
    with pytest.raises(Exists, match="features"):
        load.run(store, tmp_path / "a.tif", layer_id="b", mode="replace", city=tmp_path)
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "declared",
    [Declared(kind="building"), Declared(time="May"), Declared(id_field="x"), Declared(offset=1.0)],
)
def test_what_no_raster_has_is_not_declared_of_one(store: Store, tmp_path: Path, declared: Declared) -> None:
    source = write(tmp_path / "a.tif", hills())
    for read in (
        lambda: load.check(source, declared),
        lambda: load.run(store, source, declared, layer_id="a", city=tmp_path),
    ):
        with pytest.raises(BadParameter):
            read()
    assert not files(tmp_path)


def test_terrain_of_another_datum_is_laid_beside_only_with_an_offset(store: Store, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", hills())
    load.run(store, source, Declared(kind="terrain", vertical="EPSG:5737"), layer_id="a", city=tmp_path)
    other = Declared(kind="terrain", vertical="EPSG:5736")
    with pytest.raises(BadFile, match=r"Yellow Sea 1956.*Yellow Sea 1985.*--offset") as refused:
        load.run(store, source, other, layer_id="b", city=tmp_path)
    assert refused.value.rule == "datum.differs"
    shifted = Declared(kind="terrain", vertical="EPSG:5736", offset=-0.029)
    load.run(store, source, shifted, layer_id="b", city=tmp_path)
    layer = loaded(store, "b")
    assert layer.vertical_datum == "Yellow Sea 1985 height"
    with rasterio.open(tmp_path / layer.assets[0].href) as cog:
        assert np.abs(cog.read(1) - (hills() - 0.029)).max() < 1e-3


def test_a_cog_is_registered_where_it_lies_and_stays_there(store: Store, tmp_path: Path) -> None:
    city = tmp_path / "city"
    city.mkdir()
    source = write(tmp_path / "cog.tif", hills(), "COG")
    load.run(store, source, Declared(in_place=True), layer_id="plan", city=city)
    assert loaded(store, "plan").assets[0].href == str(source.resolve())
    assert files(city) == set()
    load.run(store, write(tmp_path / "a.tif", hills()), layer_id="plan", mode="replace", city=city)
    assert source.exists()
    with zipfile.ZipFile(tmp_path / "cog.zip", "w") as out:
        out.write(source, "cog.tif")
    with pytest.raises(BadFile, match="container"):
        load.run(store, tmp_path / "cog.zip", Declared(in_place=True), layer_id="b", city=city)


def test_what_an_interrupted_load_left_is_swept_but_not_what_another_writes(
    store: Store, tmp_path: Path
) -> None:
    source = write(tmp_path / "a.tif", hills())
    folder = tmp_path / kept.FOLDER
    orphan, coming = folder / "a-0123456789abcdef.tif", folder / ".coming-1"
    coming.mkdir(parents=True)
    for file in (coming / "cells.tif", orphan, folder / "mine.tif"):
        file.write_bytes(b"")
    with kept.writing(tmp_path, tuple) as other:
        assert [each.name for each in folder.iterdir()] == ["mine.tif"]
        other.mkdir()
        orphan.write_bytes(b"")
        load.run(store, source, layer_id="a", city=tmp_path)
        assert (other.exists(), orphan.exists()) == (True, True)
    load.run(store, source, layer_id="b", city=tmp_path)
    used = {Path(loaded(store, one).assets[0].href).name for one in ("a", "b")}
    assert files(tmp_path) == {*used, "mine.tif"}


def test_a_load_does_not_wait_for_a_server_that_holds_the_city(store: Store, tmp_path: Path) -> None:
    held = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        load.run(store, write(tmp_path / "hills.tif", hills()), TERRAIN, layer_id="ground", city=tmp_path)
    finally:
        os.close(held)
    assert loaded(store, "ground").generation == 1


def test_a_city_folder_without_room_for_rasters_takes_rows_all_the_same(store: Store, tmp_path: Path) -> None:
    city = tmp_path / "city"
    city.mkdir()
    (city / kept.FOLDER).write_text("a file where the folder of rasters would be")
    source = write(tmp_path / "hills.tif", hills())
    with pytest.raises(
        BadFile, match=r"raster.unwritten: the city's folder cannot be written: Not a directory"
    ):
        load.run(store, source, layer_id="ground", city=city)
    table = tmp_path / "wells.csv"
    table.write_text("lon,lat,depth\n24.9,60.1,5\n")
    assert load.run(store, table, Declared(crs="EPSG:4326"), layer_id="wells", city=city).kept == 1


def test_rasters_in_archives_and_manifests(store: Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.write(write(tmp_path / "a.tif", hills()), "deep/a.tif")
        out.writestr("deep/a.tfw", "10\n0\n0\n-10\n0\n0\n")
    (tmp_path / "load.yml").write_text(
        "layers:\n  - {id: depth, file: a.zip, time: '2024-05-01', title: {en: Depth}}\n"
        "  - {id: ground, file: a.tif, kind: terrain, nodata: -1, vertical: N2000, offset: 1.5}\n"
    )
    depth, ground = load_manifest.run(store, tmp_path / "load.yml", city=tmp_path)
    assert depth.problems[0].rule == "kind.raster"
    assert loaded(store, "depth").assets[0].time == "2024-05-01"
    assert loaded(store, "depth").title == {"en": "Depth"}
    assert ground.vertical_datum == "N2000 +1.5 m"


def test_what_only_rasters_have_is_not_declared_of_rows(tmp_path: Path) -> None:
    table = tmp_path / "b.csv"
    table.write_text("name,lon,lat\nx,1.5,42.5\n")
    with pytest.raises(BadParameter, match="time=2024-05-01"):
        load.check(table, Declared(time="2024-05-01"))


@pytest.mark.parametrize(
    ("file", "declared"),
    [
        ("raster/s2a_l2a_fishbourne.tif", Declared()),
        ("raster/dem_valais_2056.tif", TERRAIN),
        ("nanaimo_ca/nanaimo_dem.tif", TERRAIN),
        ("andorra/elevation.tif", TERRAIN),
        ("raster/cog_dateline.tif", Declared()),
    ],
)
def test_values_of_real_rasters_are_those_of_the_original(
    store: Store, tmp_path: Path, shared_data: Path, file: str, declared: Declared
) -> None:
    if not store.local:
        pytest.skip("the file is the same in every store")
    load.run(store, shared_data / file, declared, layer_id="real", city=tmp_path)
    with (
        rasterio.open(tmp_path / loaded(store, "real").assets[0].href) as cog,
        rasterio.open(shared_data / file) as own,
    ):
        assert cog.transform == own.transform
        assert (cog.read(masked=True) == own.read(masked=True)).all()

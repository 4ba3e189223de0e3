"""Tilesets come into both stores by the road of every file, and their files into the city's folder."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from layers import load
from layers.content import kept
from layers.errors import BadFile, BadParameter, Exists
from layers.model import ContentLayer, Report
from layers.source import Declared
from layers.store.base import Store
from tests import tilesets

LON, LAT = 114.3, 30.6


def loaded(store: Store, layer_id: str) -> ContentLayer:
    layer = store.layer(layer_id)
    assert isinstance(layer, ContentLayer)
    return layer


def sets(city: Path) -> set[str]:
    folder = city / kept.SCENES
    return {one.name for one in folder.iterdir()} if folder.exists() else set()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tilesets.write(tmp_path / "Production_1", tilesets.photo_mesh(LON, LAT))


@pytest.fixture
def city(tmp_path: Path) -> Path:
    (tmp_path / "city").mkdir()
    return tmp_path / "city"


def test_a_tileset_becomes_a_scene_of_the_city(store: Store, source: Path, city: Path) -> None:
    report = load.run(store, source.parent, layer_id="photo", city=city)
    layer = loaded(store, "photo")
    assert (layer.form, layer.kind, layer.generation) == ("scene", "scene", 1)
    assert layer.title == {"en": "3D scene", "zh-CN": "三维场景"}
    [asset] = layer.assets
    assert asset.media_type == kept.TILESET
    copied = city / asset.href
    for one in source.parent.rglob("*.*"):
        assert (copied.parent / one.relative_to(source.parent)).read_bytes() == one.read_bytes()
    assert report.scene is not None
    assert Report.of(store.report("photo") or {}) == report
    again = Report.of(json.loads(json.dumps(store.report("photo"))))
    assert again == report
    checked = load.check(source.parent, layer_id="photo")
    assert (checked.scene, checked.loadable) == (report.scene, True)


def test_a_new_one_takes_the_place_of_the_old(store: Store, source: Path, city: Path) -> None:
    load.run(store, source, layer_id="photo", city=city)
    old = sets(city)
    with pytest.raises(Exists):
        load.run(store, source, layer_id="photo", city=city)
    assert load.run(store, source, layer_id="photo", mode="replace", city=city).generation == 2
    assert len(sets(city)) == 1
    assert not sets(city) & old


def test_blocks_that_were_delivered_apart_are_one_layer(store: Store, tmp_path: Path, city: Path) -> None:
    for n in (0, 1):
        path = tilesets.write(tmp_path / f"Block_{n}", tilesets.photo_mesh(LON + n * 0.01, LAT))
        load.run(store, path, layer_id="photo", mode="append" if n else "create", city=city)
    layer = loaded(store, "photo")
    assert len(layer.assets) == len(sets(city)) == 2
    assert layer.extent is not None
    assert layer.extent[2] - layer.extent[0] == pytest.approx(0.0121, abs=1e-4)


def test_one_that_is_read_where_it_lies_stays_there(store: Store, source: Path, city: Path) -> None:
    for path in (source, source.parent):
        load.run(store, path, Declared(in_place=True), layer_id=f"p{path.is_dir():d}", city=city)
        assert loaded(store, f"p{path.is_dir():d}").assets[0].href == str(source)
    assert sets(city) == set()
    load.run(store, source, layer_id="p0", mode="replace", city=city)
    assert source.exists()


def test_its_anchor_is_kept(store: Store, tmp_path: Path, city: Path) -> None:
    files = tilesets.photo_mesh(LON, LAT)
    del files["tileset.json"]["root"]["transform"]  # type: ignore[index]
    path = tilesets.write(tmp_path / "set", files)
    with pytest.raises(BadFile, match="--anchor"):
        load.run(store, path, layer_id="model", city=city)
    (tmp_path / "set/tileset.anchor.yml").write_text(f"point: [{LON}, {LAT}, 7]\n")
    load.run(store, path, layer_id="model", city=city)
    transform = loaded(store, "model").assets[0].transform
    assert transform == pytest.approx(tilesets.frame(LON, LAT, 7), abs=1e-4)


def test_an_archive_of_one_is_unpacked(store: Store, source: Path, city: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as out:
        for one in source.parent.rglob("*.*"):
            out.write(one, one.relative_to(source.parent))
    report = load.run(store, tmp_path / "set.zip", layer_id="photo", city=city)
    assert report.scene is not None
    assert report.scene.tiles == 7
    assert len(list((city / kept.SCENES).rglob("*.b3dm"))) == 5


@pytest.mark.parametrize(
    "declared",
    [Declared(kind="building"), Declared(kind="terrain"), Declared(nodata=0.0), Declared(id_field="x")],
)
def test_what_no_tileset_has_is_not_declared_of_one(source: Path, declared: Declared) -> None:
    with pytest.raises(BadParameter):
        load.check(source, declared)


def test_a_scene_and_a_raster_do_not_share_an_id(
    store: Store, source: Path, city: Path, tmp_path: Path
) -> None:
    load.run(store, source, layer_id="photo", city=city)
    table = tmp_path / "b.csv"
    table.write_text("name,lon,lat\nx,1.5,42.5\n")
    with pytest.raises(Exists, match="scene"):
        load.run(store, table, layer_id="photo", mode="replace", city=city)


def test_what_an_interrupted_load_left_is_swept(store: Store, source: Path, city: Path) -> None:
    orphan = city / kept.SCENES / "photo-0123456789abcdef"
    orphan.mkdir(parents=True)
    mine = city / kept.SCENES / "mine"
    mine.mkdir()
    load.run(store, source, layer_id="photo", city=city)
    assert (orphan.exists(), mine.exists(), len(sets(city))) == (False, True, 2)

"""Bodies of points: of the form that their class has, on the ground, once in a file or each of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from layers.kinds import FORMS, get
from layers.store.base import Store
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put
from tiles.mesh import models
from tiles.scene import tree
from tiles.service import Tiles

LON, LAT = 114.1, 28.2
CLASSES = ["lamp", "hydrant", "manhole", "tree", None, "lamp", "cabinet"]


def layer(store: Store, points: list[Any], classes: list[str | None]) -> None:
    """Street assets of some classes."""
    put(store, "assets", "component", points, {"class": classes})


@pytest.mark.parametrize("form", FORMS)
def test_forms_are_lit_from_outside_and_stand_on_the_ground(form: str) -> None:
    made = models.model(form)
    assert made.positions[:, 2].min() == 0
    assert 0 < made.positions[:, 2].max() <= models.TALLEST
    assert np.allclose(np.linalg.norm(made.normals, axis=1), 1)
    a, b, c = (made.positions[made.triangles[:, i]] for i in range(3))
    facing = np.cross(b - a, c - a)
    assert (np.linalg.norm(facing, axis=1) > 1e-9).all()
    for i in range(3):
        assert ((facing * made.normals[made.triangles[:, i]]).sum(axis=1) > -1e-9).all()


def test_every_class_of_street_assets_has_a_form() -> None:
    kind = get("component")
    codes = next(field.codes for field in kind.fields if field.name == "class")
    assert codes is not None
    assert kind.body.forms.keys() == codes.keys() - {"valve", "station", "other"}  # type: ignore[union-attr]


def test_each_stands_once_where_it_is_or_all_do(store: Store, tmp_path: Path) -> None:
    points: list[Any] = [shapely.MultiPoint([(LON + i * 0.0002, LAT)]) for i in range(len(CLASSES) - 1)]
    points.append(shapely.MultiPoint([(LON, LAT + 0.0003), (LON + 0.0003, LAT + 0.0003)]))
    layer(store, points, CLASSES)
    tiles = Tiles(store, tmp_path / "d")
    document = json.loads(tiles.tileset("assets").plain())
    contents = gltf.check_tileset(document)
    read: dict[str, list[gltf.File]] = {"none": [], "gpu": []}
    for uri in contents:
        at = tuple(map(int, uri.removesuffix(".glb").split("/")))
        for form, found in read.items():
            found.append(gltf.read(tiles.glb("assets", *at, form).plain()))  # type: ignore[arg-type]
    for plain, once in zip(read["none"], read["gpu"], strict=True):
        assert plain.table == once.table
        assert len(once.document["meshes"]) <= len(FORMS)
        for row in range(plain.count):
            one, other = (
                np.sort(file.positions[file.of(row)].reshape(-1, 3), axis=0) for file in (plain, once)
            )
            assert one.shape == other.shape
            assert np.abs(one - other).max() < 2e-3
    fids = [fid for file in read["gpu"] for fid in file.table["fid"]]
    assert sorted(fids) == list(range(1, len(CLASSES) + 1))
    to = Transformer.from_crs(4978, 4979, always_xy=True)
    for file in read["none"]:
        for row, fid in enumerate(file.table["fid"]):
            lon, lat, height = to.transform(*file.positions[file.of(row)].reshape(-1, 3).T)
            shape = shapely.MultiPoint(np.column_stack([lon, lat])).envelope.buffer(1e-6)
            assert shape.covers(points[fid - 1])
            assert height.min() == pytest.approx(0, abs=2e-3)
            form = {"manhole": "cover", None: "post"}.get(CLASSES[fid - 1], CLASSES[fid - 1])
            tall = models.model(str(form)).positions[:, 2].max()
            assert height.max() == pytest.approx(tall, abs=2e-3)


def test_what_is_small_is_not_fetched_from_afar(store: Store, tmp_path: Path) -> None:
    layer(store, [shapely.Point(LON, LAT)], ["tree"])
    root = json.loads(Tiles(store, tmp_path / "d").tileset("assets").plain())["root"]
    (child,) = root["children"]
    assert child["geometricError"] == models.TALLEST
    assert tree.node_of((0.3, 0.3, 0.3, 0.3))[0] == 16


def test_two_hundred_trees_are_few_bytes(store: Store, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    points = [shapely.Point(LON + x, LAT + y) for x, y in random.uniform(0, 0.002, (200, 2))]
    layer(store, points, ["tree"] * 200)
    tiles = Tiles(store, tmp_path / "d")
    sizes = {"none": 0, "gpu": 0}
    for uri in gltf.check_tileset(json.loads(tiles.tileset("assets").plain())):
        at = tuple(map(int, uri.removesuffix(".glb").split("/")))
        for form in sizes:
            sizes[form] += len(tiles.glb("assets", *at, form).body)  # type: ignore[arg-type]
    assert sizes["gpu"] < 40 * 200
    assert sizes["none"] < 500 * 200

"""A format whose bodies have images: a reader hands them on, and a node of the 3D tiles has them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from layers import load
from layers.store.base import Store
from layers.store.open import open_store
from tests.doors.readers import installed
from tests.textured import QUARTERS, WHITE, image
from tests.unit.tiles import gltf
from tiles import scheme
from tiles.scene import tree
from tiles.service import Tiles

#: Lines of longitude, latitude and the name of an image: flat roofs of ten metres, four metres above ground.
MODULE = """
from dataclasses import replace
import numpy as np, pyarrow as pa, shapely
from layers.batch import MESH, ROW, SOURCE_ID, WKB
from layers.mesh import Material, Part, Surface
from layers.read.faces import Faces, triangulated
from layers.read.format import Reader

UV = [[0, 1], [1, 1], [1, 0], [0, 0]]

def roof(lon, lat, name):
    x, y = lon + 0.0001, lat + 0.0001
    vertices = np.array([[lon, lat, 4], [x, lat, 4], [x, y, 4], [lon, y, 4]], float)
    local = (vertices - [lon, lat, 0]) * [1e5, 1e5, 1]
    faces = Faces([[[0, 1, 2, 3]]], [Surface.ROOF], True, [0], (Part("r", "RoofSurface"),), [0],
                  (Material(None, name),), [[UV]])
    (shell,), _ = triangulated([faces], [local])
    return replace(shell.mesh(), positions=vertices)

def read(path, options, sink):
    lines = [line.split() for line in path.read_text("utf-8").splitlines()[1:]]
    bodies, bases = [], []
    for row, (lon, lat, name) in enumerate(lines, 1):
        texture = sink.texture((path.parent / name).read_bytes(), name, row)
        mesh = roof(float(lon), float(lat), texture)
        bodies.append(mesh.to_bytes())
        bases.append(shapely.to_wkb(shapely.Polygon(mesh.positions[:, :2])))
    sink.meta.update(driver="ROOFS", encoding="utf-8", crs="EPSG:4326", kind="cim", features=len(lines))
    sink.batch(pa.table({ROW: range(1, len(lines) + 1), WKB: pa.array(bases, pa.binary()),
                         SOURCE_ID: [f"r{i}" for i in range(len(lines))],
                         MESH: pa.array(bodies, pa.binary())}))

FORMATS = (Reader("roofs", {"en": "Roofs"}, (".roofs",), lambda one: one.head.startswith(b"ROOFS"), read),)
"""


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package."""
    with (
        pytest.MonkeyPatch.context() as patch,
        installed(tmp_path_factory.mktemp("roofs"), patch, "roofs", MODULE),
    ):
        yield


def _load(folder: Path, second: bytes, mode: str = "create") -> tuple[Store, load.Report]:
    """A city with two roofs; the report of its load."""
    (folder / "a.png").write_bytes(image())
    (folder / "b.jpg").write_bytes(second)
    (folder / "town.roofs").write_text("ROOFS\n24.94 60.17 a.png\n24.9402 60.17 b.jpg\n")
    store = open_store(folder, None)
    return store, load.run(store, folder / "town.roofs", layer_id="town", mode=mode)


def test_an_image_of_a_file_is_seen_on_its_roof(tmp_path: Path) -> None:
    store, report = _load(tmp_path, image(QUARTERS[::-1], form="JPEG"))
    try:
        assert (report.kept, report.counts) == (2, {})
        box = scheme.world_boxes(np.array([[24.94, 60.17, 24.9401, 60.1701]]))[0]
        node = tree.node_of(tuple(box.tolist()))
        file = gltf.read(Tiles(store, tmp_path / "derived").glb("town", *node).plain())
        assert file.part_table["class"] == ["RoofSurface", "RoofSurface"]
        (uri,) = {file.image(number) for number in range(len(file.document["materials"]))}
        assert uri is not None
        sha = uri.removeprefix("../../textures/").removesuffix(".jpg")
        atlas = Image.open(io.BytesIO(store.texture("town", sha).data))
        for row, lower_right in ((0, WHITE), (1, QUARTERS[0])):
            # the corner in the south-east has the lower right of its image
            uv = file.uv[file.ids == row]
            u, v = uv[:, 0].max() * atlas.width - 8, uv[:, 1].max() * atlas.height - 8
            assert np.abs(np.array(atlas.getpixel((u, v))) - lower_right).max() < 12
        before = store.seq()
        again = load.run(store, tmp_path / "town.roofs", layer_id="town", mode="replace")
        assert (again.unchanged, store.seq()) == (2, before)
        assert store.sweep_textures() == 0
    finally:
        store.close()


def test_an_image_that_is_none_costs_its_roof_nothing_else(tmp_path: Path) -> None:
    store, report = _load(tmp_path, b"<html>404</html>")
    try:
        assert report.kept == 2
        (problem,) = report.problems
        assert (problem.rule, problem.row) == ("texture.unreadable", 2)
        assert "b.jpg" in problem.reason
        meshes = store.rows("town", meshes=True).meshes
        assert [len(mesh.textures()) for mesh in meshes.values()] == [1, 0]
    finally:
        store.close()

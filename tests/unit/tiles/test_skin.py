"""Nodes of bodies with parts, colours and images: primitives, second feature ids, tables, the validator."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from layers.batch import MESH
from layers.mesh import Material, Mesh, Part
from layers.store.base import Store
from layers.textures import Texture, extension
from tests.storing import batch, row, spec
from tests.support import ROOT
from tests.textured import box, image, textured
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put, square
from tiles import scheme
from tiles.mesh.skin import NO_PART
from tiles.scene import tree
from tiles.scene.look import MATERIAL, linear
from tiles.service import Caches, Tiles

LON, LAT = 24.94, 60.17
ROOF = Texture.of(image(form="JPEG"), "image/jpeg")
LEAVES = Texture.of(image([(0, 120, 0, 255)] * 3 + [(0, 0, 0, 0)]), "image/png")
GLASS = (100, 140, 200, 120)


def _node(lon: float = LON, lat: float = LAT) -> tree.Node:
    found = scheme.world_boxes(np.array([square(lon, lat).bounds]))[0]
    return tree.node_of(tuple(found.tolist()))


def _load(store: Store, meshes: list[Mesh | None], *textures: Texture) -> None:
    """Houses side by side, each with its body."""
    stage = store.stage(spec("parts", kind="cim"))
    shapes = [square(LON + i * 0.0003, LAT) for i in range(len(meshes))]
    stage.add(
        batch(
            [
                row(f"h{i}", shape, height_m=8.0, **{MESH: mesh and mesh.to_bytes()})
                for i, (shape, mesh) in enumerate(zip(shapes, meshes, strict=True))
            ]
        )
    )
    for one in textures:
        stage.texture(one)
    store.publish(stage)


def _house(i: int) -> Mesh:
    return box(LON + i * 0.0003, LAT)


@pytest.fixture
def tiles(store: Store, tmp_path: Path) -> Tiles:
    return Tiles(store, tmp_path / "d")


def test_each_texture_is_a_primitive_beside_what_has_none(store: Store, tiles: Tiles) -> None:
    window = textured(_house(1), LEAVES.sha)
    assert window.materials is not None
    looks = (*window.material_table, Material(GLASS))
    seen = replace(window, material_table=looks, materials=np.where(np.arange(12) < 2, 3, window.materials))
    _load(store, [textured(_house(0), ROOF.sha), seen, None, _house(3)], ROOF, LEAVES)
    file = gltf.read(tiles.glb("parts", *_node()).plain())
    assert file.count == 4
    materials = file.document["materials"]
    assert materials[0] == MATERIAL
    # in the one primitive without a texture: walls of a colour, the extruded house, the one of surfaces
    rows = {
        number: set(file.ids[file.triangles[file.materials == number, 0]].tolist()) for number in range(4)
    }
    assert rows[0] == {0, 1, 2, 3}
    images = {file.image(number) for number in range(4)}
    roof, leaves = (f"../../textures/{one.sha}.{extension(one.media_type)}" for one in (ROOF, LEAVES))
    assert images == {None, roof, leaves}
    by_image = {file.image(number): number for number in range(4) if file.image(number)}
    assert rows[by_image[roof]] == {0}
    assert rows[by_image[leaves]] == {1}
    assert materials[by_image[leaves]]["alphaMode"] == "MASK"
    (glass,) = (m for m in materials if m.get("alphaMode") == "BLEND")
    assert glass["pbrMetallicRoughness"]["baseColorFactor"] == linear(GLASS)
    assert all(len(file.of(number)) == 12 for number in range(4))
    # the roof's corners have the coordinates of the body
    top = file.triangles[file.materials == by_image[roof]].ravel()
    assert sorted(map(tuple, file.uv[top].tolist())) == sorted(
        [(0, 1), (1, 1), (1, 0), (0, 1), (1, 0), (0, 0)]
    )


def test_a_surface_is_told_apart_by_the_second_feature_ids(store: Store, tiles: Tiles) -> None:
    named = textured(_house(1), ROOF.sha)
    _load(store, [_house(0), named, textured(_house(2), ROOF.sha)], ROOF)
    file = gltf.read(tiles.glb("parts", *_node()).plain())
    table = file.part_table
    assert table["class"] == ["GroundSurface", "RoofSurface", *["WallSurface"] * 4] * 2
    assert table["surface"] == ["GROUND", "ROOF", *["WALL"] * 4] * 2
    assert table["id"] == ["g", "r", "w0", "w1", "w2", "w3"] * 2
    assert table["name"] == [None, "Dach", *[None] * 4] * 2
    assert set(file.parts[file.ids == 0].tolist()) == {-1}
    assert set(file.parts[file.ids == 1].tolist()) == set(range(6))
    assert set(file.parts[file.ids == 2].tolist()) == set(range(6, 12))
    # what a roof is called lies on top
    top = np.linalg.norm(file.positions, axis=1)
    roofs = np.isin(file.parts, [1, 7])
    assert top[roofs].min() > top[file.parts == 0].max() + 9


def test_a_texture_that_the_store_does_not_have_is_left_out(store: Store, tiles: Tiles) -> None:
    _load(store, [textured(_house(0), "ab" * 32)])
    file = gltf.read(tiles.glb("parts", *_node()).plain())
    assert "images" not in file.document
    assert len(file.document["materials"]) == 1


def test_the_past_names_its_textures_as_of_then(store: Store, tmp_path: Path) -> None:
    _load(store, [textured(_house(0), ROOF.sha)], ROOF)
    before = store.seq()
    _load(store, [_house(0)])
    made = Tiles(store.as_of(before), Tiles(store, tmp_path / "d")).glb("parts", *_node())
    file = gltf.read(made.plain())
    assert file.document["images"] == [{"uri": f"../../textures/{ROOF.sha}.jpg?at=@{before}"}]


def test_now_names_its_textures_as_of_now_when_a_moment_was_asked_before(
    store: Store, tmp_path: Path
) -> None:
    """Where nothing changed, both have one ETag, and one memory."""
    _load(store, [textured(_house(0), ROOF.sha)], ROOF)
    before, caches = store.seq(), Caches()
    put(store, "other", "building", [square(LON, LAT)], {"height_m": [3.0]})
    now = Tiles(store, tmp_path / "d", caches=caches)
    then = Tiles(store.as_of(before), now, caches=caches)
    for tiles, query in ((then, f"?at=@{before}"), (now, ""), (then, f"?at=@{before}")):
        made = tiles.glb("parts", *_node())
        assert tiles.glb_held("parts", *_node(), made.etag) is made
        images = gltf.read(made.plain()).document["images"]
        assert images == [{"uri": f"../../textures/{ROOF.sha}.jpg{query}"}]


def test_parts_alone_need_no_material(store: Store, tiles: Tiles) -> None:
    parts = (Part("", "Door"), NO_PART)
    numbered = np.where(np.arange(12) < 2, 0, 1).astype(np.uint32)
    _load(store, [replace(_house(0), parts=numbered, part_table=parts)])
    file = gltf.read(tiles.glb("parts", *_node()).plain())
    assert file.part_table == {"surface": ["GROUND"], "class": ["Door"]}
    assert (file.parts >= 0).sum() == 6
    assert len(file.document["materials"]) == 1


def test_colours_of_a_source_are_those_of_the_vertices(store: Store, tiles: Tiles) -> None:
    red = Material((255, 0, 0, 255))
    plain = replace(_house(0), materials=np.zeros(12, np.uint16), material_table=(red,))
    _load(store, [plain])
    data = tiles.glb("parts", *_node()).plain()
    file = gltf.read(data)
    (primitive,) = file.document["meshes"][0]["primitives"]
    start = 28 + int.from_bytes(data[12:16], "little")
    colours = gltf.accessor(file.document, data[start:], primitive["attributes"]["COLOR_0"])
    assert (colours == [255, 0, 0, 255]).all()


def test_code_lists_are_enums_and_fields_are_described(store: Store, tiles: Tiles) -> None:
    shapes = [square(LON + i * 0.0003, LAT) for i in range(4)]
    sources = ["measured", None, "measured", "levels"]
    put(store, "houses", "building", shapes, {"height_m": [3.0, 4.0, 5.0, 6.0], "height_source": sources})
    file = gltf.read(tiles.glb("houses", *_node()).plain())
    assert file.table["height_source"] == sources
    schema = file.document["extensions"]["EXT_structural_metadata"]["schema"]
    properties = schema["classes"]["feature"]["properties"]
    assert properties["height_m"]["extras"] == {"unit": "m"}
    assert properties["height_m"]["description"].endswith("(m)")
    enum = schema["enums"][properties["height_source"]["enumType"]]
    assert [one["name"] for one in enum["values"]] == ["measured", "levels", "null"]
    assert all(one.get("description") for one in enum["values"][:2])


#: Infos of the validator that say what it does not look at: it knows neither extension, so views that only
#: these use count as not used.
NOT_LOOKED_AT = {"UNSUPPORTED_EXTENSION", "UNUSED_OBJECT"}
#: And that images lie beside the file, which is meant: many nodes share one.
BESIDE = "URI_GLB"


def test_the_official_validator_finds_nothing(store: Store, tiles: Tiles, tmp_path: Path) -> None:
    _load(
        store,
        [
            textured(_house(0), ROOF.sha),
            textured(_house(1), LEAVES.sha, walls=GLASS),
            None,
            _house(3),
            replace(_house(4), parts=np.zeros(12, np.uint32), part_table=(Part("x", "Room"),)),
        ],
        ROOF,
        LEAVES,
    )
    shapes = [square(LON + i * 0.0003, LAT) for i in range(3)]
    shapes[1] = shapes[1].difference(shapely.centroid(shapes[1]).buffer(0.00005))
    put(
        store,
        "houses",
        "building",
        shapes,
        {"height_m": [3.0, None, 5.0], "height_source": ["levels", None, "x"], "listed": [True, False, True]},
    )
    line = shapely.LineString([(LON, LAT), (LON + 0.0002, LAT), (LON + 0.0002, LAT + 0.0002)])
    put(store, "pipes", "pipeline", [line], {"diameter_mm": [300.0], "depth_m": [2.0]})
    z, x, y = _node()
    wanted = [("parts", z, x, y), ("houses", z, x, y), ("houses", z, x + 9, y), ("pipes", z, x, y)]
    folder = tmp_path / "out"
    (folder / "textures").mkdir(parents=True)
    for one in (ROOF, LEAVES):
        (folder / "textures" / f"{one.sha}.{extension(one.media_type)}").write_bytes(one.data)
    files = []
    for number, at in enumerate(wanted):
        data = tiles.glb(*at).plain()
        gltf.read(data)
        file = folder / str(number) / "x" / "y.glb"
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
        files.append(file)
    reports = validated(files)
    for file in files:
        issues = reports[str(file)]["issues"]
        found = [m for m in issues["messages"] if m["code"] not in {*NOT_LOOKED_AT, BESIDE}]
        assert found == []
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0)
        unused = [m["pointer"] for m in issues["messages"] if m["code"] == "UNUSED_OBJECT"]
        assert all(pointer.startswith("/bufferViews/") for pointer in unused)
    info = reports[str(files[0])]["info"]
    assert sorted(r["mimeType"] for r in info["resources"] if r.get("image")) == ["image/jpeg", "image/png"]


def validated(files: list[Path]) -> dict[str, Any]:
    """The reports of the official validator."""
    modules = ROOT / "twin/web/app/node_modules"
    assert (modules / "gltf-validator").is_dir(), "the tools are not installed: make env"
    node = Path(sys.executable).with_name("node")
    script = Path(__file__).with_name("validate.mjs")
    done = subprocess.run(
        [node, script, modules, *files], capture_output=True, text=True, timeout=120, check=True
    )
    return dict(json.loads(done.stdout))


def test_the_validator_would_tell(tmp_path: Path, store: Store, tiles: Tiles) -> None:
    _load(store, [textured(_house(0), ROOF.sha)], ROOF)
    file = tmp_path / "node.glb"
    data = tiles.glb("parts", *_node()).plain()
    file.write_bytes(data.replace(b'"VEC3"', b'"VEC2"', 1))
    assert validated([file])[str(file)]["issues"]["numErrors"] > 0

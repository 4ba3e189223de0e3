"""Bodies that are the same but for their place: which are found, and that a file which holds them once shows
what one shows that holds each of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from layers.batch import MESH
from layers.mesh import Material, Mesh
from layers.store.base import Store
from layers.textures import Texture
from tests.storing import batch, row, spec
from tests.textured import image
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import square
from tests.unit.tiles.test_skin import BESIDE, NOT_LOOKED_AT, validated
from tiles import geocentric, scheme
from tiles.mesh import instances
from tiles.scene import tree
from tiles.service import Tiles

LON, LAT = 24.94, 60.17
#: Metres of longitude and latitude there.
ACROSS, ALONG = (np.degrees(one) for one in geocentric.radians_of_metres(float(np.radians(LAT))))
ROOF = Texture.of(image(form="JPEG"), "image/jpeg")


def chair(seed: int = 0, corners: int = 50) -> NDArray[Any]:
    """Some triangles about the origin, metres: (n, 3, 3)."""
    return np.random.default_rng(seed).uniform((-1, -1, 1), (1, 1, 3), (corners, 3, 3))


def at(shape: NDArray[Any], east: float, north: float, turn: float = 0.0, size: float = 1.0) -> Mesh:
    """A shape turned about its upright axis at a place in metres from the corner."""
    c, s = np.cos(turn), np.sin(turn)
    points = size * shape.reshape(-1, 3) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    places = (points + np.array([east, north, 0])) * [ACROSS, ALONG, 1] + [LON, LAT, 0]
    count = len(shape)
    return Mesh(places, np.arange(3 * count, dtype=np.uint32).reshape(-1, 3), np.zeros(count, np.uint8))


def groups(meshes: list[Mesh], lifts: list[float] | None = None) -> list[list[int]]:
    lift = dict(enumerate(lifts or [0.0] * len(meshes)))
    return [one.rows.tolist() for one in instances.found(dict(enumerate(meshes)), lift)]


def test_what_is_the_same_but_for_its_place_is_found() -> None:
    one, other = chair(1), chair(2)
    meshes = [at(one, 0, 0), at(other, 5, 0), at(one, 9, 3, 1.2), at(other, 2, 7, -2), at(one, 1, 1, 3)]
    assert groups(meshes) == [[0, 2, 4], [1, 3]]
    # a body that is nearly the same, a mirrored one and one of another size are others
    moved = one.copy()
    moved[3, 1, 2] += 0.02
    assert groups([at(one, 0, 0), at(moved, 4, 0), at(one, 8, 0)]) == [[0, 2]]
    assert groups([at(one, 0, 0), at(one * (-1, 1, 1), 4, 0)]) == []
    assert groups([at(one, 0, 0), at(one, 4, 0, size=1.01)]) == []
    assert groups([at(one, 0, 0), at(one, 4, 0)], [0.0, 3.5]) == [[0, 1]]


def test_what_is_not_worth_a_draw_of_its_own_stays() -> None:
    small = chair(corners=4)
    assert groups([at(small, i, 0) for i in range(9)]) == []
    assert groups([at(small, i, 0) for i in range(15)]) == [list(range(15))]


def test_colours_and_parts_tell_bodies_apart() -> None:
    looks: list[Mesh] = []
    for i in range(4):
        mesh = at(chair(), 3.0 * i, 0)
        red = Material((200, 0, 0, 255)) if i % 2 else Material((0, 0, 200, 255))
        looks.append(replace(mesh, materials=np.zeros(50, np.uint16), material_table=(red,)))
    assert groups(looks) == [[0, 2], [1, 3]]


def test_many_of_one_kind_that_all_differ_take_no_time() -> None:
    rng = np.random.default_rng(3)
    shape = chair(corners=12)
    meshes = [at(shape * rng.uniform(0.5, 2, 3), 3.0 * i, 0) for i in range(2000)]
    assert groups(meshes) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: sum(x * x for x in q) > 0.01))
def test_quaternions(numbers: list[float]) -> None:
    wanted = np.array(numbers) / np.linalg.norm(numbers)
    rotation = gltf._rotation(wanted)
    (found,) = instances.quaternions(rotation[None])
    assert found[3] >= 0
    assert np.allclose(gltf._rotation(found), rotation, atol=1e-9)


def loaded(store: Store, meshes: list[Mesh], *textures: Texture) -> None:
    stage = store.stage(spec("parts", kind="cim"))
    rows = []
    for i, mesh in enumerate(meshes):
        middle = mesh.positions[:, :2].mean(axis=0)
        rows.append(row(f"p{i}", square(*middle, 1e-5), height_m=2.0, **{MESH: mesh.to_bytes()}))
    stage.add(batch(rows))
    for one in textures:
        stage.texture(one)
    store.publish(stage)


def skinned(mesh: Mesh) -> Mesh:
    """A third of it with an image, a third of glass."""
    count = len(mesh.triangles)
    uv = np.random.default_rng(0).uniform(0, 1, (count, 3, 2)).astype(np.float32)
    table = (Material(texture=ROOF.sha), Material((100, 140, 200, 120)), Material())
    return replace(mesh, materials=np.arange(count, dtype=np.uint16) % 3, material_table=table, uv=uv)


@pytest.mark.parametrize("bare", [False, True])
def test_a_file_that_holds_them_once_shows_what_one_shows_that_holds_each(
    store: Store, tmp_path: Path, bare: bool
) -> None:
    meshes = [skinned(at(chair(1), 4.0 * i, 1.0 * i, 0.7 * i)) for i in range(5)]
    if not bare:  # what is there once is beside them
        meshes += [at(chair(2), 3, 9), skinned(at(chair(3), 9, 3))]
    loaded(store, meshes, ROOF)
    tiles = Tiles(store, tmp_path / "d")
    box = scheme.world_boxes(np.array([square(LON, LAT, 1e-5).bounds]))[0]
    node = tree.node_of(tuple(box.tolist()))
    plain, once = tiles.glb("parts", *node), tiles.glb("parts", *node, "gpu")
    assert once.etag != plain.etag
    assert tiles.glb_etag("parts", *node, "gpu") == tiles.glb_etag_known("parts", *node, "gpu") == once.etag
    assert len(once.plain()) < 0.6 * len(plain.plain())
    first, second = gltf.read(plain.plain()), gltf.read(once.plain())
    assert len(second.document["meshes"]) == 2 - bare
    assert second.table == first.table
    for number in range(first.count):
        ours, theirs = (_corners(file, number) for file in (first, second))
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 0.002
    assert sorted(filter(None, map(second.image, set(second.materials)))) == sorted(
        filter(None, map(first.image, set(first.materials)))
    )
    file = tmp_path / "once" / "x" / "y.glb"
    file.parent.mkdir(parents=True)
    file.write_bytes(once.plain())
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / f"{ROOF.sha}.jpg").write_bytes(ROOF.data)
    issues = validated([file])[str(file)]["issues"]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
    known = {*NOT_LOOKED_AT, BESIDE}
    assert [m for m in issues["messages"] if m["code"] not in known] == []


def _corners(file: gltf.File, number: int) -> NDArray[Any]:
    """The corners of a row's triangles, ordered by their material and shape, which no two share."""
    mine = file.ids[file.triangles[:, 0]] == number
    triangles, looks = file.triangles[mine], file.materials[mine]
    names = [str(file.document["materials"][look]) for look in looks.tolist()]
    spread = np.linalg.norm(
        file.positions[triangles] - file.positions[triangles].mean(axis=1)[:, None], axis=2
    )
    order = sorted(range(len(names)), key=lambda i: (names[i], round(float(spread[i].sum()), 3)))
    return np.asarray(file.positions[triangles[order]])


def test_layers_without_stored_bodies_have_one_form(store: Store, tmp_path: Path) -> None:
    loaded(store, [at(chair(1), 4.0 * i, 0) for i in range(3)])
    tiles = Tiles(store, tmp_path / "d")
    stage = store.stage(spec("houses", kind="building"))
    stage.add(batch([row("h", square(LON, LAT), height_m=3.0)]))
    store.publish(stage)
    box = scheme.world_boxes(np.array([square(LON, LAT).bounds]))[0]
    node = tree.node_of(tuple(box.tolist()))
    assert tiles.glb("houses", *node) is tiles.glb("houses", *node, "gpu")

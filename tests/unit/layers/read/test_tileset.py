"""Tilesets that somebody else made: what is found in them, where they lie by pyproj, boxes by trimesh, and
what is refused with what to do."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import trimesh

from layers.errors import BadFile
from layers.guard import Reading
from layers.read.base import ReadOptions, Sink
from layers.read.tileset import content, volumes
from layers.read.tileset.read import read as read_tileset
from layers.source import Declared
from tests import tilesets as t

type Json = dict[str, Any]
type Files = dict[str, bytes | Json]
LON, LAT = 114.3, 30.6
ECEF = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
BOX = {"box": [0, 0, 0, 100, 0, 0, 0, 100, 0, 0, 0, 20]}
MESH = t.b3dm(t.glb(t.ground(2)))


def read(path: Path, declared: Declared | None = None, into: Path | None = None) -> Reading:
    """The reader alone, in this process."""
    sink = Sink(None)
    read_tileset(path, ReadOptions(str(path), declared or Declared(), into=into and str(into)), sink)
    return Reading(path, sink.meta, sink.problems)


def refused(path: Path, declared: Declared | None = None) -> BadFile:
    with pytest.raises(BadFile) as caught:
        read(path, declared)
    return caught.value


def told(reading: Reading) -> set[str]:
    return {problem.rule for problem in reading.problems}


def tile(uri: str | None = "a.b3dm", error: object = 1, **more: Any) -> Json:
    made: Json = {"boundingVolume": BOX, "geometricError": error, **more}
    return made | ({"content": {"uri": uri}} if uri is not None else {})


def root(*children: Json, version: str = "1.1", **more: Any) -> Json:
    made = {"boundingVolume": BOX, "geometricError": 10, "refine": "ADD", "transform": t.frame(LON, LAT)}
    made |= {"children": list(children), **more}
    return {"asset": {"version": version}, "geometricError": 100, "root": made}


def of(folder: Path, *children: Json, files: Files | None = None, **more: Any) -> Path:
    """A set of some tiles and the files that they show."""
    return t.write(folder, {"tileset.json": root(*children, **more), "a.b3dm": MESH, **(files or {})})


def test_a_photo_mesh_is_told_of(tmp_path: Path) -> None:
    reading = read(t.write(tmp_path, t.photo_mesh(LON, LAT, 20.0)))
    scene = reading.scene
    assert scene is not None
    assert (scene.version, scene.tiles, scene.contents) == ("1.0", 7, {"b3dm": 5})
    assert (scene.root, scene.transform, scene.in_place) == ("tileset.json", None, False)
    assert scene.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.b3dm"))
    assert told(reading) == set()
    assert (scene.low, scene.high) == (pytest.approx(20, abs=0.02), pytest.approx(20 + t.TALL, abs=0.02))
    half = t.SIDE / 2
    corner = pyproj.Proj(proj="tmerc", lat_0=LAT, lon_0=LON, ellps="WGS84")
    ends = [corner(x, y, inverse=True) for x in (-half, half) for y in (-half, half)]
    wanted = [
        min(x for x, _ in ends),
        min(y for _, y in ends),
        max(x for x, _ in ends),
        max(y for _, y in ends),
    ]
    assert reading.meta["extent"] == pytest.approx(wanted, abs=2e-8)


def test_a_folder_is_read_by_its_root(tmp_path: Path) -> None:
    t.write(tmp_path / "Production_3", t.photo_mesh(LON, LAT))
    assert read(tmp_path / "Production_3").meta["driver"] == "3D Tiles 1.0"


@pytest.mark.parametrize("up", ["Y", "Z", "X"])
def test_boxes_of_contents_are_those_of_trimesh(up: str) -> None:
    scene = trimesh.Scene()
    mesh = t.ground(3)
    turn = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3], [4, 5, 6])
    scene.add_geometry(mesh, transform=turn @ np.diag([2, 1, 3, 1.0]))
    scene.add_geometry(mesh, transform=trimesh.transformations.translation_matrix([50, 0, 9]))
    data = scene.export(file_type="glb")
    found = content.Content("glb")
    content._glb(data, found, np.eye(4))
    corners = content.box(found, up)
    assert corners is not None
    # trimesh has the axes of the file; a tile has z up
    again = trimesh.load(io.BytesIO(data), file_type="glb")
    boxes = [
        trimesh.transform_points(
            trimesh.bounds.corners(again.geometry[again.graph[node][1]].bounds), again.graph[node][0]
        )
        for node in again.graph.nodes_geometry
    ]
    points = np.concatenate(boxes)
    turned = {"Y": lambda p: np.column_stack([p[:, 0], -p[:, 2], p[:, 1]]), "Z": lambda p: p}
    turned["X"] = lambda p: np.column_stack([-p[:, 2], p[:, 1], p[:, 0]])
    wanted = turned[up](points)
    assert np.abs(corners.min(axis=0) - wanted.min(axis=0)).max() < 1e-4
    assert np.abs(corners.max(axis=0) - wanted.max(axis=0)).max() < 1e-4


def test_a_model_without_a_place_is_placed_by_its_anchor(tmp_path: Path) -> None:
    path = of(tmp_path, tile(), transform=np.eye(4).ravel().tolist())
    error = refused(path)
    assert (error.rule, "--anchor" in error.reason) == ("anchor.missing", True)
    reading = read(path, Declared(anchor=f"{LON},{LAT},15", rotation=30))
    assert reading.scene is not None
    assert reading.scene.transform is not None
    matrix = np.array(reading.scene.transform).reshape(4, 4).T
    # 40 m along the model's y, which points 30° east of north, 5 m up
    east, north = 40 * np.sin(np.radians(30)), 40 * np.cos(np.radians(30))
    lon, lat = pyproj.Proj(proj="tmerc", lat_0=LAT, lon_0=LON, ellps="WGS84")(east, north, inverse=True)
    wanted = np.array(ECEF.transform(lon, lat, 20))
    # a plane that touches the Earth lies a little above it 40 m away
    assert np.linalg.norm((matrix @ [0, 40, 5, 1])[:3] - wanted) < 1e-3
    assert reading.scene.low == pytest.approx(15 - 20, abs=0.01)


def test_a_set_that_has_a_place_takes_no_anchor(tmp_path: Path) -> None:
    assert refused(of(tmp_path, tile()), Declared(anchor=f"{LON},{LAT}")).rule == "anchor.surplus"


def circle(folder: Path) -> Path:
    inner = {**root(tile("../tileset.json")), "root": tile("../tileset.json")}
    return of(folder, tile("in/b.json"), files={"in/b.json": inner})


def linked(folder: Path) -> Path:
    path = of(folder, tile("out.b3dm"))
    (folder.parent / "elsewhere.b3dm").write_bytes(MESH)
    os.symlink(folder.parent / "elsewhere.b3dm", folder / "out.b3dm")
    return path


def nested(folder: Path) -> Path:
    """600 documents, one in the other."""
    one = {"asset": {"version": "1.0"}, "geometricError": 9}
    files = {f"{n}.json": {**one, "root": tile(f"{n + 1}.json")} for n in range(600)}
    return of(folder, tile("0.json"), files=files)


def raw(text: bytes) -> Callable[[Path], Path]:
    return lambda folder: t.write(folder, {"tileset.json": text})


REFUSED: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "no JSON": ("tileset.damaged", raw(b'{"asset": {"version": "1.0"}, "root": {')),
    "no root": ("tileset.damaged", raw(b'{"asset": {"version": "1.0"}, "geometricError": 1}')),
    "a list": ("tileset.damaged", raw(b"[1, 2]")),
    "deep": ("tileset.damaged", raw(b'{"root": {"children": ' + b"[" * 3000)),
    "another version": ("tileset.version", lambda f: of(f, tile(), version="2.0")),
    "a circle": ("tileset.cycle", circle),
    "600 documents": ("tileset.cycle", nested),
    "another server": ("tileset.outside", lambda f: of(f, tile("https://example.org/a.b3dm"))),
    "no scheme": ("tileset.outside", lambda f: of(f, tile("//example.org/a.b3dm"))),
    "a file": ("tileset.outside", lambda f: of(f, tile("file:///etc/passwd"))),
    "the root": ("tileset.outside", lambda f: of(f, tile("/etc/passwd"))),
    "above": ("tileset.outside", lambda f: of(f, tile("../a.b3dm"))),
    "above, written otherwise": ("tileset.outside", lambda f: of(f, tile("x/%2e%2e/%2E%2E/a.b3dm"))),
    "a hidden file": ("tileset.outside", lambda f: of(f, tile(".git/a.b3dm"))),
    "another type": ("tileset.outside", lambda f: of(f, tile("city.yml"))),
    "a link": ("tileset.outside", linked),
    "nothing there": ("tileset.empty", lambda f: of(f, tile("b.b3dm"), tile("c.b3dm"))),
    "nothing good": ("tileset.empty", lambda f: of(f, tile("b.glb"), files={"b.glb": b"glTF" + b"\0" * 9})),
    "no content": ("tileset.empty", lambda f: of(f)),
    "a box of text": ("tileset.damaged", lambda f: of(f, tile(boundingVolume={"box": ["0"] * 12}))),
    "a short box": ("tileset.damaged", lambda f: of(f, tile(boundingVolume={"box": [0] * 11}))),
    "no volume": ("tileset.damaged", lambda f: of(f, {"geometricError": 1})),
    "an error of text": ("tileset.damaged", lambda f: of(f, tile(error="1"))),
    "an error below nothing": ("tileset.damaged", lambda f: of(f, tile(error=-1))),
    "a transform of nothing": ("tileset.damaged", lambda f: of(f, tile(transform=[0] * 16))),
    "a short transform": ("tileset.damaged", lambda f: of(f, tile(transform=[1] * 15))),
    "children of text": ("tileset.damaged", lambda f: of(f, tile(children="none"))),
    "a tile of text": ("tileset.damaged", lambda f: of(f, tile(children=["none"]))),
    "a content without address": ("tileset.damaged", lambda f: of(f, tile(None, content={}))),
    "tiles elsewhere": ("tileset.place", lambda f: of(f, tile(transform=t.frame(LON, LAT)))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_what_to_do(tmp_path: Path, case: str) -> None:
    rule, make = REFUSED[case]
    error = refused(make(tmp_path / "set"))
    assert error.rule == rule, error.reason
    assert str(tmp_path) not in error.reason
    assert "passwd" not in error.reason or "tileset.json names" in error.reason


FINDINGS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "a file is missing": ("tileset.missing", lambda f: of(f, tile(), tile("b.b3dm"))),
    "a content is cut off": (
        "tileset.content",
        lambda f: of(f, tile(), tile("b.b3dm"), files={"b.b3dm": MESH[:90]}),
    ),
    "a content is none": (
        "tileset.content",
        lambda f: of(f, tile(), tile("b.glb"), files={"b.glb": b"\x89PNG\r\n\x1a\n...."}),
    ),
    "a texture is missing": (
        "tileset.content",
        lambda f: of(
            f,
            tile(),
            tile("b.gltf"),
            files={"b.gltf": {"asset": {"version": "2.0"}, "images": [{"uri": "no.jpg"}]}},
        ),
    ),
    "glTF 1.0": (
        "tileset.gltf1",
        lambda f: of(
            f,
            tile(),
            tile("b.b3dm"),
            files={"b.b3dm": t.b3dm(struct.pack("<4sII", b"glTF", 1, 20) + b"\0" * 8)},
        ),
    ),
    "a tile beyond its parent": (
        "tileset.box",
        lambda f: of(f, tile(children=[tile(boundingVolume={"sphere": [500, 0, 0, 10]})])),
    ),
    "a content beyond its tile": (
        "tileset.box",
        lambda f: of(f, tile(boundingVolume={"box": [0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9]})),
    ),
    "a growing error": ("tileset.error", lambda f: of(f, tile(error=50))),
    "a volume of an extension": (
        "tileset.volume",
        lambda f: of(f, tile(), tile(boundingVolume={"extensions": {"3DTILES_bounding_volume_S2": {}}})),
    ),
}


@pytest.mark.parametrize("case", FINDINGS)
def test_what_may_be_wrong_is_told(tmp_path: Path, case: str) -> None:
    rule, make = FINDINGS[case]
    assert told(read(make(tmp_path / "set"))) == {rule}


def test_every_form_of_content_is_known(tmp_path: Path) -> None:
    model = t.glb(t.ground(2))
    places = np.array([[0, 0, 0], [10, 10, 5]], float)
    points = t.pnts(places, np.full((2, 3), 200))
    files: Files = {
        "b.i3dm": t.i3dm(model, places),
        "c.i3dm": t.i3dm("tree.glb", places),
        "tree.glb": model,
        "d.pnts": points,
        "e.cmpt": t.cmpt(MESH, points, t.cmpt(MESH)),
        "f.glb": model,
        "g.b3dm": gzip.compress(MESH),
        "h.gltf": {"asset": {"version": "2.0"}, "images": [{"uri": "h.png"}], "buffers": [{"uri": "data:,"}]},
        "h.png": b"\x89PNG\r\n\x1a\n",
    }
    names = ["a.b3dm", "b.i3dm", "c.i3dm", "d.pnts", "e.cmpt", "f.glb", "g.b3dm", "h.gltf"]
    path = of(tmp_path / "set", *map(tile, names), files=files | {"unrelated.json": {}, "notes.txt": b"x"})
    reading = read(path, into=tmp_path / "copy")
    assert told(reading) == set()
    assert reading.scene is not None
    assert reading.scene.contents == {"b3dm": 2, "cmpt": 1, "glb": 1, "gltf": 1, "i3dm": 2, "pnts": 1}
    copied = {one.relative_to(tmp_path / "copy").as_posix() for one in (tmp_path / "copy").rglob("*")}
    assert copied == {"tileset.json", "tree.glb", "h.png", *names}


def test_several_contents_of_a_tile_are_read(tmp_path: Path) -> None:
    many = {"contents": [{"uri": "a.b3dm"}, {"uri": "b.b3dm"}]}
    drafts = {
        "extensions": {"3DTILES_multiple_contents": {"content": [{"uri": "c.b3dm"}, {"url": "d.b3dm"}]}}
    }
    files = dict.fromkeys(("b.b3dm", "c.b3dm", "d.b3dm"), MESH)
    reading = read(of(tmp_path, tile(None, **many), tile(None, **drafts), files=files))
    assert reading.scene is not None
    assert reading.scene.contents == {"b3dm": 4}


def subtree(levels: list[list[int]], contents: list[list[int]], children: list[int] | int) -> bytes:
    """A subtree of some levels with bits in Morton order (OGC 22-025r4, 7.4)."""

    def packed(bits: list[int]) -> bytes:
        raw_ = np.packbits(np.array(bits, bool), bitorder="little").tobytes()
        return raw_ + b"\0" * (-len(raw_) % 8)

    streams = [packed([bit for level in bits for bit in level]) for bits in (levels, contents)]
    below: Json = {"constant": children} if isinstance(children, int) else {"bitstream": 2}
    if isinstance(children, list):
        streams.append(packed(children))
    views, at = [], 0
    for one in streams:
        views.append({"buffer": 0, "byteOffset": at, "byteLength": len(one)})
        at += len(one)
    document = {
        "buffers": [{"byteLength": at}],
        "bufferViews": views,
        "tileAvailability": {"bitstream": 0},
        "contentAvailability": [{"bitstream": 1}],
        "childSubtreeAvailability": below,
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<4sIQQ", b"subt", 1, len(text), at) + text + b"".join(streams)


def implicit(folder: Path, **more: Any) -> Path:
    """A quadtree of 4 levels in subtrees of 2: the root, its second and third child, and one below that."""
    tiling = {
        "subdivisionScheme": "QUADTREE",
        "subtreeLevels": 2,
        "availableLevels": 4,
        "subtrees": {"uri": "subtrees/{level}.{x}.{y}.subtree"},
        **more,
    }
    first = subtree([[1], [0, 1, 1, 0]], [[0], [0, 1, 1, 0]], [0] * 6 + [1] + [0] * 9)
    second = subtree([[1], [1, 0, 0, 0]], [[1], [1, 0, 0, 0]], 0)
    # of 16 children the seventh (110 in bits, x by even and y by odd ones) is x 2, y 1
    files: Files = {"subtrees/0.0.0.subtree": first, "subtrees/2.2.1.subtree": second}
    for name in ("1/1/0", "1/0/1", "2/2/1", "3/4/2"):
        files[f"content/{name}.b3dm"] = MESH
    files["tileset.json"] = root(content={"uri": "content/{level}/{x}/{y}.b3dm"}, implicitTiling=tiling)
    return t.write(folder, files)


def test_implicit_tiling_is_followed_by_its_availability(tmp_path: Path) -> None:
    reading = read(implicit(tmp_path / "set"), into=tmp_path / "copy")
    assert told(reading) == set()
    assert reading.scene is not None
    assert reading.scene.contents == {"b3dm": 4}
    assert len([one for one in (tmp_path / "copy").rglob("*") if one.is_file()]) == 7


@pytest.mark.parametrize(
    "wrong",
    [{"subdivisionScheme": "HEXTREE"}, {"availableLevels": 99}, {"subtrees": {}}, {"subtreeLevels": 0}],
)
def test_an_implicit_tiling_that_is_not_whole_is_refused(tmp_path: Path, wrong: Json) -> None:
    assert refused(implicit(tmp_path, **wrong)).rule == "tileset.damaged"


def test_a_subtree_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = implicit(tmp_path)
    file = tmp_path / "subtrees" / "2.2.1.subtree"
    file.write_bytes(file.read_bytes()[:70])
    error = refused(path)
    assert (error.rule, "2.2.1.subtree" in error.reason) == ("tileset.damaged", True)


def test_volumes_hold_what_lies_in_them() -> None:
    frame = np.array(t.frame(LON, LAT)).reshape(1, 4, 4).transpose(0, 2, 1)
    inner = volumes.points("box", np.array([[0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 5]], float), frame)
    outer = np.array([[0, 0, 0, 6, 2, 0, -2, 6, 0, 0, 0, 6]], float)
    degrees = np.radians([LON - 1e-3, LAT - 1e-3, LON + 1e-3, LAT + 1e-3])
    held = {
        "box": outer,
        "sphere": np.array([[0, 0, 0, 9]], float),
        "region": np.append(degrees, [-6, 6])[None],
    }
    for kind, numbers in held.items():
        assert volumes.inside(kind, numbers, frame, inner).tolist() == [True], kind
        assert volumes.inside(kind, numbers, frame, inner * [1, 1, 1.00001]).tolist() == [False], kind


def test_a_region_across_the_antimeridian_stays_small() -> None:
    numbers = np.array([[np.radians(179.99), 0.1, np.radians(-179.99), 0.1001, 0, 10]])
    box, low, high = volumes.around(volumes.points("region", numbers, np.eye(4)[None]))
    assert box[0] == pytest.approx(179.99)
    assert box[2] == pytest.approx(-179.99)
    assert (low, high) == (pytest.approx(0, abs=1e-6), pytest.approx(10))

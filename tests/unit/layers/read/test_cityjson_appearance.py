"""What surfaces of CityJSON look like: materials, textures, and images that cannot be had."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layers import load
from layers.batch import MESH
from layers.errors import BadFile
from layers.mesh import Material, Mesh
from layers.read.base import Sink
from layers.read.cityjson.appearance import Appearance
from layers.read.pictures import Images
from layers.read.texture.images import name
from layers.read.texture.wrapping import WRAP, Wrapping
from tests.cityjsons import City, changed, features, lines, read, solid, told, written
from tests.textured import image

ROOF = 5
CORNERS = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]


def dressed(city: City, path: str = "images/roof.png") -> None:
    """An image on one slope of the roof of the first house, a colour on its ground."""
    city["appearance"] = {
        "materials": [
            {"name": "brick", "diffuseColor": [0.5, 0.25, 1.0], "transparency": 0.5},
            {"name": "none"},
        ],
        "textures": [{"type": "PNG", "image": path}],
        "vertices-texture": CORNERS,
    }
    geometry = city["CityObjects"]["house-a"]["geometry"][0]
    values: list[Any] = [[[None]]] * 7
    values[ROOF] = [[0, 0, 1, 2, 3]]
    geometry["texture"] = {"summer": {"values": [values]}, "winter": {"values": [values]}}
    geometry["material"] = {"visual": {"values": [[0, None, 1, None, 77, 0, None]]}}


def with_image(folder: Path, data: bytes = b"") -> None:
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images/roof.png").write_bytes(data or image())


def body(path: Path) -> Mesh:
    return Mesh.from_bytes(features(path)["house-a"][MESH])


def looks(mesh: Mesh) -> list[Material]:
    assert mesh.materials is not None
    return [mesh.material_table[number] for number in mesh.materials.tolist()]


def test_images_and_colours_lie_where_the_file_puts_them(tmp_path: Path) -> None:
    with_image(tmp_path)
    mesh = body(changed(tmp_path, dressed))
    seen = looks(mesh)
    # triangles are in the order of the faces: two of the ground first
    assert seen[:2] == [Material((128, 64, 255, 127))] * 2
    textured = [at for at, one in enumerate(seen) if one.texture]
    assert len(textured) == 2
    assert mesh.uv is not None
    atlas = mesh.uv[textured].reshape(-1, 2)
    # the first corner of the ring has the image's lower left, v goes down
    low, high = atlas.min(axis=0), atlas.max(axis=0)
    corners = mesh.positions[mesh.triangles[textured]].reshape(-1, 3)
    ring = json.loads((tmp_path / "a.city.json").read_text("utf-8"))
    at = ring["CityObjects"]["house-a"]["geometry"][0]["boundaries"][0][ROOF][0]
    scale, move = (np.array(ring["transform"][name]) for name in ("scale", "translate"))
    for number, (u, v) in zip(at, CORNERS, strict=True):
        here = np.abs(corners - (np.array(ring["vertices"][number]) * scale + move)).max(axis=1) < 1e-6
        expected = low + (high - low) * [u, 1 - v]
        assert np.abs(atlas[here] - expected).max() < 1e-5
    assert solid(features(tmp_path / "a.city.json")["house-a"]).is_watertight


@pytest.mark.parametrize(
    ("said", "wrap"),
    [
        ({"wrapMode": "border", "borderColor": [1.0, 0.0, 0.5]}, Wrapping("border", (255, 0, 128, 255))),
        ({"wrapMode": "border", "borderColor": [1, 0, 0, 0]}, Wrapping("border", (255, 0, 0, 0))),
        ({"wrapMode": "border", "borderColor": "red"}, Wrapping("none")),
        ({"wrapMode": "border", "borderColor": [1, "x", 0]}, WRAP),
        ({"wrapMode": "mirror"}, Wrapping("mirror")),
        ({"wrapMode": 7}, WRAP),
    ],
)
def test_what_lies_around_an_image_of_cityjson(tmp_path: Path, said: dict[str, Any], wrap: Wrapping) -> None:
    with_image(tmp_path)
    sink = Sink(tmp_path / "out")
    (tmp_path / "out").mkdir()
    texture = {"type": "PNG", "image": "images/roof.png", **said}
    look = Appearance({"appearance": {"textures": [texture]}}, Images(tmp_path, sink)).texture(0)
    assert look is not None
    assert look.texture == name(image(), wrap)


def test_the_first_theme_is_taken_and_the_others_told(tmp_path: Path) -> None:
    with_image(tmp_path)
    reading = read(changed(tmp_path, dressed))
    (note,) = [p.reason for p in reading.problems if p.rule == "appearance.theme"]
    assert "winter (1)" in note


def test_a_single_value_is_that_of_all_surfaces(tmp_path: Path) -> None:
    def change(city: City) -> None:
        dressed(city)
        geometry = city["CityObjects"]["house-a"]["geometry"][0]
        del geometry["texture"]
        geometry["material"] = {"visual": {"value": 0}}

    assert set(looks(body(changed(tmp_path, change)))) == {Material((128, 64, 255, 127))}


@pytest.mark.parametrize("packing", ["folder", "gz", "zip"])
def test_images_are_found_beside_what_is_packed(tmp_path: Path, packing: str) -> None:
    with_image(tmp_path)
    file = changed(tmp_path, dressed)
    if packing == "gz":
        packed = tmp_path / "a.city.json.gz"
        packed.write_bytes(gzip.compress(file.read_bytes()))
        file = packed
    elif packing == "zip":
        packed = tmp_path / "a.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(file, "models/a.city.json")
            archive.write(tmp_path / "images/roof.png", "models/images/roof.png")
        file = packed
    rules = {p.rule for p in load.check(file).problems}
    assert not rules & {"texture.missing", "texture.unreadable"}


@pytest.mark.parametrize(
    ("path", "rule", "reason"),
    [
        ("images/none.png", "texture.missing", "not beside"),
        ("../../../../etc/passwd", "texture.missing", "not beside"),
        ("https://example.org/a.png", "texture.missing", "nothing is fetched"),
        ("data:image/png;base64,AAAA", "texture.missing", "no path"),
        ("images/text.png", "texture.unreadable", "no image"),
    ],
)
def test_an_image_that_cannot_be_had_costs_itself(tmp_path: Path, path: str, rule: str, reason: str) -> None:
    with_image(tmp_path)
    (tmp_path / "images/text.png").write_text("no image")
    reading = read(changed(tmp_path, lambda city: dressed(city, path)))
    found = [p.reason for p in reading.problems if p.rule == rule]
    assert found
    assert reason in found[0]
    assert "surfaces with it have no texture" in found[0]
    assert {one.texture for one in looks(body(tmp_path / "a.city.json"))} == {None}


def test_paths_of_windows_and_other_capitals_are_found(tmp_path: Path) -> None:
    with_image(tmp_path)
    reading = read(changed(tmp_path, lambda city: dressed(city, ".\\Images\\ROOF.png")))
    assert "texture.missing" not in told(reading)


@pytest.mark.parametrize(
    "break_",
    [
        lambda g, a: g.update(texture={"x": {"values": [[[[0, 0, 1, 2, 99]]] * 7]}}),
        lambda g, a: g.update(texture={"x": {"values": [[[[9, 0, 1, 2, 3]]] * 7]}}),
        lambda g, a: g.update(texture={"x": {"values": [[[["a", 0, 1]]] * 7]}}),
        lambda g, a: g.update(texture={"x": {"values": [[[[0, "q", 1, 2, 3]]] * 7]}}),
        lambda g, a: g.update(texture={"x": {"values": 5}}),
        lambda g, a: g.update(texture=[1], material="x"),
        lambda g, a: a.update({"vertices-texture": [[1, 2, 3]], "textures": {}, "materials": [5, None, []]}),
        lambda g, a: a.update({"vertices-texture": "abc", "textures": [{"image": 5}], "materials": 1}),
    ],
)
def test_what_does_not_fit_is_left_out(tmp_path: Path, break_: Any) -> None:
    def change(city: City) -> None:
        dressed(city)
        break_(city["CityObjects"]["house-a"]["geometry"][0], city["appearance"])

    with_image(tmp_path)
    row = features(changed(tmp_path, change))["house-a"]
    assert solid(row).volume == pytest.approx(390)
    assert Mesh.from_bytes(row[MESH]).textures() == set()


def test_each_line_of_a_sequence_has_its_own_look(tmp_path: Path) -> None:
    with_image(tmp_path)
    city = json.loads(changed(tmp_path, dressed).read_text("utf-8"))
    look = city.pop("appearance")
    texts = lines(city)
    texts[1]["appearance"] = look
    found = Mesh.from_bytes(features(written(tmp_path / "a.city.jsonl", texts))["house-a"][MESH])
    assert len(found.textures()) == 1


def test_a_bad_image_does_not_hide_a_bad_file(tmp_path: Path) -> None:
    def change(city: City) -> None:
        dressed(city)
        city["vertices"] = "none"

    with pytest.raises(BadFile, match=r"cityjson\.shape"):
        read(changed(tmp_path, change))

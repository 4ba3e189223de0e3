"""Images of a source: what is taken, and where it lies in atlases."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from layers.batch import MESH, ROW
from layers.mesh import Material, Mesh
from layers.read.base import Sink
from layers.read.texture import images
from layers.read.texture.atlas import SIDE
from layers.read.texture.shelves import packed
from layers.read.texture.wrapping import wrapping
from tests.textured import BLUE, GREEN, QUARTERS, RED, WHITE, box, image, textured

OTHERS = (WHITE, BLUE, GREEN, RED)


def _finished(folder: Path, meshes: list[Mesh], sink: Sink, batches: int = 1) -> list[Mesh]:
    """The bodies as a load gets them."""
    for part in np.array_split(np.arange(len(meshes)), batches):
        rows = [meshes[i].to_bytes() for i in part.tolist()]
        sink.batch(pa.table({ROW: pa.array(part), MESH: pa.array(rows, pa.binary())}))
    sink.finish()
    out = []
    for number in range(batches):
        with pa.memory_map(str(folder / f"{number:06}.arrow")) as source:
            out += pa.ipc.open_file(source).read_all()[MESH].to_pylist()
    return [Mesh.from_bytes(one) for one in out]


def _colour(
    folder: Path, sink: Sink, mesh: Mesh, triangle: int, corner: Any, mode: str = "RGB"
) -> np.ndarray[Any, Any]:
    """The pixel that a place of a triangle (weights of its corners) shows."""
    assert mesh.uv is not None
    assert mesh.materials is not None
    texture = mesh.material_table[int(mesh.materials[triangle])].texture
    assert texture is not None
    ending = {"image/jpeg": "jpg", "image/png": "png"}[sink.meta["textures"][texture]]
    with Image.open(folder / "textures" / f"{texture}.{ending}") as atlas:
        u, v = np.asarray(corner) @ mesh.uv[triangle] % 1.0
        return np.array(atlas.convert(mode).getpixel((u * atlas.width, v * atlas.height)))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_every_body_shows_in_the_atlas_what_it_showed_in_its_image(tmp_path: Path, form: str) -> None:
    sink = Sink(tmp_path)
    names = [sink.texture(image(colours, form=form)) for colours in (QUARTERS, OTHERS)]
    assert all(names)
    houses = [textured(box(25 + i * 0.001, 60), str(names[i % 2])) for i in range(5)]
    made = _finished(tmp_path, houses, sink, batches=2)
    (texture,) = sink.meta["textures"]
    assert {sha for mesh in made for sha in mesh.textures()} == {texture}
    # triangle 2 is the lower right of the roof, 3 its upper left: south is the image's lower side
    lower_right, upper_left = [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]
    for i, mesh in enumerate(made):
        colours = (QUARTERS, OTHERS)[i % 2]
        assert np.abs(_colour(tmp_path, sink, mesh, 2, lower_right) - colours[3]).max() < 12
        assert np.abs(_colour(tmp_path, sink, mesh, 3, upper_left) - colours[0]).max() < 12
        assert mesh.part_table == houses[i].part_table
        assert mesh.material_table[2] == Material((120, 90, 60, 255))


def _expected(mode: str, u: float, v: float) -> tuple[int, ...] | None:
    """The colour of the image of quarters at a place, by the rule of the standard; None: seen through."""
    inside = 0 <= u <= 1 and 0 <= v <= 1
    match mode:
        case "wrap":
            u, v = u % 1, v % 1
        case "mirror":
            u, v = (1 - abs(one % 2 - 1) for one in (u, v))
        case "clamp":
            u, v = min(max(u, 0), 1), min(max(v, 0), 1)
        case "none" | "clear" if not inside:
            return None
        case "border" if not inside:
            return (255, 128, 0)
    return QUARTERS[(u >= 0.5) + 2 * (v >= 0.5)]


@pytest.mark.parametrize("mode", ["wrap", "mirror", "clamp", "border", "none", "clear", "odd"])
@pytest.mark.parametrize("size", [(64, 64), (3000, 1600)])
def test_around_an_image_there_is_what_its_file_says(
    tmp_path: Path, mode: str, size: tuple[int, int]
) -> None:
    """Coordinates from -1.5 to 2.5: also of an image that no atlas holds three times."""
    border = {"border": (1, 0.5, 0), "clear": (1, 1, 1, 0.2)}.get(mode, ())
    wrap = wrapping("border" if mode == "clear" else mode.upper(), border)
    sink = Sink(tmp_path)
    name = sink.texture(image(size=size), wrap=wrap)
    (house,) = [textured(box(25, 60), str(name))]
    assert house.uv is not None
    (made,) = _finished(tmp_path, [replace(house, uv=house.uv * 4 - 1.5)], sink)
    for triangle, corner in itertools.product((2, 3), itertools.permutations((0.05, 0.22, 0.73))):
        u, v = np.array(corner) @ (house.uv[triangle] * 4 - 1.5)
        if min(abs(2 * one - round(2 * one)) for one in (u, v)) < 0.05:
            continue  # too near to where two colours meet
        expected = _expected("wrap" if mode == "odd" else mode, float(u), float(v))
        seen = _colour(tmp_path, sink, made, triangle, corner, "RGBA")
        if expected is None:
            assert seen[3] <= 51
        else:
            assert np.abs(seen[:3].astype(int) - expected).max() < 16
            assert seen[3] == 255
    assert not sink.problems


def test_an_image_far_from_its_surface_is_told(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    name = sink.texture(image(), "far.png", wrap=wrapping("clamp"))
    house = textured(box(25, 60), str(name))
    assert house.uv is not None
    (made,) = _finished(tmp_path, [replace(house, uv=house.uv + 1e7)], sink)
    assert not made.textures()
    (problem,) = sink.problems
    assert problem.rule == "texture.unreadable"
    assert "far.png: coordinates of it lie more than 64 images" in problem.reason


def test_the_same_file_gives_the_same_textures(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        sink = Sink(tmp_path / name)
        names = [str(sink.texture(image(colours))) for colours in (QUARTERS, OTHERS)]
        made = _finished(tmp_path / name, [textured(box(25, 60), one) for one in names], sink)
        found.append((sink.meta["textures"], [mesh.to_bytes() for mesh in made]))
    assert found[0] == found[1]


def test_a_repeated_image_stays_one_of_its_own(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    name = str(sink.texture(image(size=(3000, 100))))
    plain = textured(box(25, 60), name)
    assert plain.uv is not None
    (mesh,) = _finished(tmp_path, [replace(plain, uv=plain.uv * 3)], sink)
    assert mesh.uv is not None
    np.testing.assert_array_equal(mesh.uv, plain.uv * 3)
    (texture,) = mesh.textures()
    with Image.open(tmp_path / "textures" / f"{texture}.jpg") as alone:
        assert alone.width == SIDE


def test_holes_stay_holes(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    clear = [(*one, 255) for one in QUARTERS[:3]] + [(0, 0, 0, 0)]
    leaves, wall = str(sink.texture(image(clear))), str(sink.texture(image(OTHERS, form="JPEG")))
    made = _finished(tmp_path, [textured(box(25, 60), leaves), textured(box(25, 60), wall)], sink)
    assert sorted(sink.meta["textures"].values()) == ["image/jpeg", "image/png"]
    types = [sink.meta["textures"][sha] for mesh in made for sha in mesh.textures()]
    assert types == ["image/png", "image/jpeg"]


def test_many_images_become_few_atlases_of_neighbours(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    rng = np.random.default_rng(1)
    houses = []
    for i in range(60):
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (400, 500, 3), np.uint8)).save(out, "JPEG", quality=30)
        houses.append(textured(box(25 + i * 0.001, 60), str(sink.texture(out.getvalue()))))
    made = _finished(tmp_path, houses, sink, batches=3)
    atlases = [next(iter(mesh.textures())) for mesh in made]
    assert 3 <= len(set(atlases)) <= 5
    # along the street, the atlas changes no more often than there are atlases
    assert sum(a != b for a, b in itertools.pairwise(atlases)) < len(set(atlases)) + 2
    for sha in set(atlases):
        with Image.open(tmp_path / "textures" / f"{sha}.jpg") as atlas:
            assert max(atlas.size) <= SIDE


def _broken() -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "text", b"not an image"
    yield "gif", image(form="GIF")
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    # 60 000 by 60 000 pixels in a header of a few bytes
    bomb = bytearray(image())
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    yield "bomb", bytes(bomb)


@pytest.mark.parametrize(("what", "data"), list(_broken()))
def test_what_is_no_image_is_noted_and_left_out(tmp_path: Path, what: str, data: bytes) -> None:
    sink = Sink(tmp_path)
    assert sink.texture(data, f"roofs/{what}.jpg") is None
    (problem,) = sink.problems
    assert (problem.rule, problem.action) == ("texture.unreadable", "noted")
    assert f"roofs/{what}.jpg" in problem.reason


def test_an_image_that_ends_early_costs_its_texture_alone(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    whole, cut = image(OTHERS, (256, 256)), image(QUARTERS, (256, 256), form="JPEG")
    names = [str(sink.texture(whole)), str(sink.texture(cut[: len(cut) // 2], "cut.jpg"))]
    made = _finished(tmp_path, [textured(box(25, 60), one) for one in names], sink)
    assert len(made[0].textures()) == 1
    assert made[1].textures() == set()
    assert made[1].uv is None
    (problem,) = sink.problems
    assert "cut.jpg" in problem.reason


def test_a_source_without_images_is_not_touched(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    (mesh,) = _finished(tmp_path, [box(25, 60)], sink)
    assert mesh.to_bytes() == box(25, 60).to_bytes()
    assert sink.meta["textures"] == {}
    assert not (tmp_path / "textures").exists()


def test_grey_of_sixteen_bits_is_taken(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((8, 8), 0x8000, np.uint16)).save(out, "PNG")
    file = tmp_path / "grey"
    file.write_bytes(out.getvalue())
    assert images.decoded(file).getpixel((3, 3)) == (128, 128, 128)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=20))
def test_rectangles_lie_inside_and_apart(sizes: list[tuple[int, int]]) -> None:
    taken = np.zeros((64, 64), int)
    for (w, h), place in zip(sizes, packed(sizes, 64, 64), strict=True):
        if place is not None:
            x, y = place
            assert x + w <= 64
            assert y + h <= 64
            taken[y : y + h, x : x + w] += 1
    assert taken.max(initial=0) <= 1
    if sizes:
        assert packed(sizes, 64, 64).count(None) < len(sizes)

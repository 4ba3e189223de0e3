"""Bodies as bytes: what is written is read again, and what is no body is refused."""

from __future__ import annotations

import struct
from dataclasses import fields, replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from layers.mesh import Material, Mesh, Part
from tests.storing import tetrahedron

SHA = "ab" * 32
_texts = st.text(st.characters(codec="utf-8"), max_size=12)
_part = st.builds(Part, _texts, _texts, _texts)
_byte = st.integers(0, 255)
_material = st.builds(
    Material,
    st.none() | st.tuples(_byte, _byte, _byte, _byte),
    st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
)
_coordinate = st.floats(allow_nan=False, width=32)


@st.composite
def meshes(draw: st.DrawFn) -> Mesh:
    """Any mesh, with and without further arrays."""
    n, m = draw(st.integers(1, 6)), draw(st.integers(0, 6))

    def integers(kind: Any, shape: int | tuple[int, ...], most: int) -> Any:
        return draw(arrays.arrays(kind, shape, elements=st.integers(0, most)))

    plain = Mesh(
        draw(arrays.arrays(np.float64, (n, 3), elements=st.floats(allow_nan=False))),
        integers(np.uint32, (m, 3), n - 1),
        integers(np.uint8, m, 8),
    )
    if draw(st.booleans()):
        table = tuple(draw(st.lists(_part, min_size=1, max_size=5)))
        plain = replace(plain, parts=integers(np.uint32, m, len(table) - 1), part_table=table)
    if draw(st.booleans()):
        looks = tuple(draw(st.lists(_material, min_size=1, max_size=5)))
        plain = replace(plain, materials=integers(np.uint16, m, len(looks) - 1), material_table=looks)
    if draw(st.booleans()):
        plain = replace(plain, uv=draw(arrays.arrays(np.float32, (m, 3, 2), elements=_coordinate)))
    return plain


def _assert_same(one: Mesh, other: Mesh) -> None:
    for each in fields(Mesh):
        left, right = getattr(one, each.name), getattr(other, each.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)
        else:
            assert left == right


@settings(deadline=None)
@given(meshes())
def test_a_mesh_comes_back_from_its_bytes(mesh: Mesh) -> None:
    blob = mesh.to_bytes()
    back = Mesh.from_bytes(blob)
    _assert_same(mesh, back)
    assert back.to_bytes() == blob


@settings(deadline=None)
@given(meshes(), st.data())
def test_a_blob_that_was_cut_is_refused(mesh: Mesh, data: st.DataObject) -> None:
    blob = mesh.to_bytes()
    with pytest.raises(ValueError, match=r".+"):
        Mesh.from_bytes(blob[: data.draw(st.integers(0, len(blob) - 1))])


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"MSH1", b"MSH2", b""]))
def test_other_bytes_are_a_mesh_or_a_value_error(blob: bytes, magic: bytes) -> None:
    try:
        Mesh.from_bytes(magic + blob)
    except ValueError:
        return
    assert magic or blob[:4] in {b"MSH1", b"MSH2"}


def test_a_mesh_of_triangles_alone_is_written_as_ever() -> None:
    mesh = tetrahedron(24.9, 60.1)
    n, m = len(mesh.positions), len(mesh.triangles)
    assert mesh.to_bytes() == b"MSH1" + struct.pack("<II", n, m) + (
        mesh.positions.astype("<f8").tobytes() + mesh.triangles.astype("<u4").tobytes() + bytes(mesh.surfaces)
    )


def _rich() -> Mesh:
    plain = tetrahedron(24.9, 60.1)
    return replace(
        plain,
        parts=np.array([0, 1, 1, 0], np.uint32),
        part_table=(Part("", ""), Part("roof-1", "RoofSurface", "south")),
        materials=np.array([0, 1, 1, 0], np.uint16),
        material_table=(Material((200, 10, 10, 255), None), Material(None, SHA)),
        uv=np.zeros((4, 3, 2), np.float32),
    )


def test_the_textures_of_a_mesh() -> None:
    assert _rich().textures() == {SHA}
    assert tetrahedron(24.9, 60.1).textures() == set()


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"[]",
        b"{",
        b'{"parts":[],"materials":[]}',
        b'{"parts":[["","",""]],"materials":[[null,null],[null,null]]}',
        orjson.dumps({"parts": [["", "", ""], ["", 1, ""]], "materials": [[None, None]] * 2}),
        orjson.dumps({"parts": [["", "", ""]] * 2, "materials": [[[0, 0, 0, 256], None]] * 2}),
        orjson.dumps({"parts": [["", "", ""]] * 2, "materials": [[[0, 0, 0], None]] * 2}),
        orjson.dumps({"parts": [["", "", ""]] * 2, "materials": [[None, "../../etc/passwd"]] * 2}),
        orjson.dumps({"parts": [["", "", ""]] * 2, "materials": [[None, SHA + "\n"]] * 2}),
    ],
)
def test_tables_that_do_not_fit_are_refused(tail: bytes) -> None:
    blob = _rich().to_bytes()
    head = blob[: blob.index(b'{"parts"')]
    with pytest.raises(ValueError, match=r".+"):
        Mesh.from_bytes(head + tail)


def test_unknown_arrays_are_refused() -> None:
    blob = bytearray(_rich().to_bytes())
    at = blob.index(b'{"parts"') - 4 * (4 + 2 + 24) - 1
    assert blob[at] == 7
    for flags in (0, 8, 15):
        blob[at] = flags
        with pytest.raises(ValueError, match=r".+"):
            Mesh.from_bytes(bytes(blob))


def test_a_triangle_beyond_the_positions_is_refused() -> None:
    plain = tetrahedron(24.9, 60.1)
    far = replace(plain, triangles=plain.triangles + np.uint32(1))
    with pytest.raises(ValueError, match="beyond its positions"):
        Mesh.from_bytes(far.to_bytes())

"""Tilesets that were made to hold up, to fill or to spy on whoever reads them."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from layers.model import Problem
from tests import tilesets as t
from tests.unit.layers.read.test_tileset import Json, implicit, of, read, refused, subtree, tile, told

#: What a subtree says in which everything is there.
_ALL: Json = {
    "tileAvailability": {"constant": 1},
    "contentAvailability": [{"constant": 1}],
    "childSubtreeAvailability": {"constant": 1},
}


def of_subtree(folder: Path, document: Json, **tiling: Any) -> Path:
    """An implicit set whose first subtree says this."""
    path = implicit(folder, **tiling)
    (folder / "subtrees/0.0.0.subtree").write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("tiling", "rule"),
    [
        ({"subtreeLevels": 12, "availableLevels": 12}, "tileset.missing"),
        ({"subtreeLevels": 12, "availableLevels": 24}, "tileset.missing"),
        ({"subtreeLevels": 9, "subdivisionScheme": "OCTREE"}, "tileset.damaged"),
        ({"subtreeLevels": 8, "subdivisionScheme": "OCTREE"}, "tileset.missing"),
    ],
)
def test_an_implicit_tiling_that_says_everything_is_there_is_refused(
    tmp_path: Path, tiling: Json, rule: str
) -> None:
    if "subdivisionScheme" in tiling:
        tiling["subtrees"] = {"uri": "subtrees/{level}.{x}.{y}.subtree"}
    begin = time.process_time()
    assert refused(of_subtree(tmp_path, _ALL, **tiling)).rule == rule
    assert time.process_time() - begin < 20


@pytest.mark.parametrize("name", ["subtrees/2.2.1.subtree", "subtrees/bits.bin"])
def test_a_file_of_subtrees_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(subtree([[1], [0] * 4], [[1], [0] * 4], 0))
    folder = tmp_path / "set"
    path = implicit(folder)
    if name.endswith(".bin"):
        bits = {"buffers": [{"uri": "bits.bin", "byteLength": 8}], "bufferViews": []}
        of_subtree(folder, {**_ALL, **bits})
    (folder / name).unlink(missing_ok=True)
    os.symlink(secret, folder / name)
    error = refused(path)
    assert (error.rule, "leads out" in error.reason) == ("tileset.outside", True)


def test_a_buffer_of_subtrees_that_is_not_there_is_told(tmp_path: Path) -> None:
    error = refused(of_subtree(tmp_path, {**_ALL, "buffers": [{"uri": "bits.bin", "byteLength": 8}]}))
    assert (error.rule, "bits.bin" in error.reason) == ("tileset.damaged", True)


def test_a_subtree_of_no_object_is_refused(tmp_path: Path) -> None:
    path = implicit(tmp_path)
    (tmp_path / "subtrees/0.0.0.subtree").write_text("[1]")
    assert refused(path).rule == "tileset.damaged"


def gltf_of(nodes: list[Json], **more: Any) -> Json:
    return {"asset": {"version": "2.0"}, "nodes": nodes, "scenes": [{"nodes": [0]}], **more}


@pytest.mark.parametrize(
    "document",
    [
        gltf_of([{"children": [0]}]),
        gltf_of([{"children": [at + 1, at + 1]} for at in range(60)] + [{}]),
        gltf_of([5]),  # type: ignore[list-item]
        gltf_of([{}], buffers=[7]),
        gltf_of([{}], extensions=[1]),
        [1, "root"],
    ],
)
def test_a_content_that_is_damaged_costs_itself(tmp_path: Path, document: Any) -> None:
    begin = time.process_time()
    files: dict[str, Any] = {"b.gltf": json.dumps(document).encode()}
    found = read(of(tmp_path, tile(), tile("b.gltf"), files=files))
    assert told(found) <= {"tileset.content"}
    problems: list[Problem] = list(found.problems)
    assert any("b.gltf" in each.reason for each in problems) or document == [1, "root"]
    assert time.process_time() - begin < 10


def test_a_content_that_is_packed_a_thousandfold_is_not_unpacked(tmp_path: Path) -> None:
    whole = bytearray(t.b3dm(t.glb(t.ground(1))))
    bomb = gzip.compress(bytes(whole) + bytes(300 << 20), 1)
    begin = time.process_time()
    found = read(of(tmp_path, tile(), tile("b.b3dm"), files={"b.b3dm": bomb}))
    assert found.scene is not None
    assert found.scene.contents == {"b3dm": 2}
    assert time.process_time() - begin < 5

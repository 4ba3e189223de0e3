"""Implicit tiling: the same contents in the same boxes as the explicit tree."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from layers.store.base import Store
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put, square
from tiles.scene.implicit import implicit, place
from tiles.scene.tileset import document
from tiles.scene.tree import Node
from tiles.service import Tiles

LON, LAT = 114.1, 28.2


def taken_apart(data: bytes, levels: int) -> tuple[dict[str, Any], list[Any]]:
    """A subtree: its document, and by tile (level, x, y), its box, its error and its contents by number."""
    magic, version, length, size = struct.unpack_from("<4sIQQ", data)
    assert (magic, version) == (b"subt", 1)
    assert length % 8 == size % 8 == 0
    assert len(data) == 24 + length + size
    document = json.loads(data[24 : 24 + length])
    binary = data[24 + length :]
    assert document["buffers"] == [{"byteLength": size}]

    def view(number: int) -> bytes:
        one = document["bufferViews"][number]
        assert one["byteOffset"] % 8 == 0
        return binary[one["byteOffset"] : one["byteOffset"] + one["byteLength"]]

    tiles = (4**levels - 1) // 3

    def bits(said: dict[str, int]) -> np.ndarray:
        if "constant" in said:
            return np.full(tiles, bool(said["constant"]))
        found = np.unpackbits(np.frombuffer(view(said["bitstream"]), np.uint8), bitorder="little")
        assert len(found) == 8 * ((tiles + 7) // 8)
        assert not found[tiles:].any()
        assert found.sum() == said["availableCount"]
        return found[:tiles].astype(bool)

    available = np.flatnonzero(bits(document["tileAvailability"]))
    contents = [bits(one) for one in document["contentAvailability"]]
    assert document["childSubtreeAvailability"] == {"constant": 0}
    (table,) = document["propertyTables"]
    assert table["count"] == len(available)
    regions = np.frombuffer(view(table["properties"]["region"]["values"])).reshape(-1, 6)
    errors = np.frombuffer(view(table["properties"]["error"]["values"]))
    found = []
    for index, region, error in zip(available.tolist(), regions, errors, strict=True):
        level = 0
        while (4 ** (level + 1) - 1) // 3 <= index:
            level += 1
        at = index - (4**level - 1) // 3
        x, y = (sum((at >> (2 * i + axis) & 1) << i for i in range(level)) for axis in (0, 1))
        found.append(((level, x, y), region, error, [n for n, one in enumerate(contents) if one[index]]))
    return document, found


def nodes(made: Any) -> dict[str, tuple[np.ndarray, float]]:
    """Boxes and errors by the address that the explicit tree has."""
    told = json.loads(made.document)
    properties = told["schema"]["classes"]["tile"]["properties"]
    assert {one["semantic"] for one in properties.values()} == {
        "TILE_BOUNDING_REGION",
        "TILE_GEOMETRIC_ERROR",
    }
    out: dict[str, tuple[np.ndarray, float]] = {}
    seen = set()
    for root in told["root"].get("children", []):
        said = root["implicitTiling"]
        assert said["subtreeLevels"] == said["availableLevels"]
        address = said["subtrees"]["uri"].partition("?")[0].format(level=0, x=0, y=0)
        seen.add(address)
        templates = [one["uri"] for one in root.get("contents", [root.get("content")])]
        z, x, y = map(int, address.split("/")[:3])
        _, tiles = taken_apart(made.subtrees[address], said["subtreeLevels"])
        held: dict[Node, tuple[np.ndarray, float]] = {}
        for at, region, error, contents in tiles:
            held[at] = region, error
            level, column, row = at
            up = (level - 1, column >> 1, row >> 1)
            around, above = (
                held[up] if level else (np.array(root["boundingVolume"]["region"]), root["geometricError"])
            )
            assert error <= above
            assert (region[[0, 1, 4]] >= around[[0, 1, 4]] - 1e-12).all()
            assert (region[[2, 3, 5]] <= around[[2, 3, 5]] + 1e-12).all()
            for number in contents:
                uri = templates[number].partition("?")[0].format(level=level, x=column, y=row)
                node = "{}/{}/{}.glb".format(*place((z, x, y), level, column, row))
                name = f"blocks/{node}" if "/blocks/" in uri else node
                assert name not in out
                out[name] = region, error
    assert seen == set(made.subtrees)
    return out


@pytest.mark.parametrize("kind", ["building", "pipeline", "component"])
def test_it_has_what_the_explicit_tree_has(store: Store, tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(3)
    places = [(LON + x, LAT + y) for x, y in random.uniform(0, 0.1, (60, 2))]
    sides = random.choice([0.0002, 0.001, 0.004], 60)
    if kind == "building":
        shapes = [square(*at, side) for at, side in zip(places, sides, strict=True)]
        put(store, "layer", kind, shapes, {"height_m": [20.0] * 60})
    elif kind == "pipeline":
        lines = [
            shapely.LineString([(x, y), (x + side, y)]) for (x, y), side in zip(places, sides, strict=True)
        ]
        put(store, "layer", kind, lines, {"depth_m": [2.0] * 60})
    else:
        put(store, "layer", kind, [shapely.Point(at) for at in places], {"class": ["lamp"] * 60})
    tiles = Tiles(store, tmp_path / "d")
    explicit = json.loads(tiles.tileset("layer").plain())
    bodies, blocks = gltf.check_tileset(explicit), gltf.check_blocks(explicit)
    found = nodes(implicit(explicit))
    assert found.keys() == bodies.keys() | blocks.keys()
    for uri, (region, error) in found.items():
        node = (bodies | blocks)[uri]
        own = np.array(node["boundingVolume"]["region"])
        if kind != "building" or uri.startswith(("blocks/", "16/")):
            assert error == node["geometricError"]
            assert (region == own).all()
        assert (region[:2] <= own[:2]).all()
        assert (region[2:4] >= own[2:4]).all()


def test_a_layer_without_features_has_no_quadtree() -> None:
    made = implicit(json.loads(document({})))
    assert made.subtrees == {}
    assert "children" not in json.loads(made.document)["root"]


def test_places_of_a_quadtree_go_north() -> None:
    assert place((10, 5, 7), 0, 0, 0) == (10, 5, 7)
    assert place((10, 5, 7), 1, 1, 0) == (11, 11, 15)
    assert place((10, 5, 7), 1, 0, 1) == (11, 10, 14)

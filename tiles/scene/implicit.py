"""The tree of a layer's 3D tiles as implicit tiling (3D Tiles 1.1, 7): quadtrees that say in bits which tiles
there are, for clients that would rather not read a document of all of them.

It is made of the explicit document, and has the same contents in the same boxes. Quadtrees begin at cells of
one zoom, since boxes of Web Mercator are not halves of each other: each tile says its own
(TILE_BOUNDING_REGION), and each quadtree is one subtree, so that no box is ever guessed."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from tiles.scene.tileset import around
from tiles.scene.tree import ROOT_ERROR, Node, far_error, first_far
from tiles.scheme import SCENE_ZOOMS

type Region = list[float]
type Json = dict[str, Any]

#: The coarsest zoom of a quadtree's root: its bits are four times as many for each zoom that it is higher.
COARSEST = 7
#: What the bits of a tile are about: it holds bodies, it holds blocks.
BODIES, BLOCKS = "bodies", "blocks"
_TABLE = {
    "region": {
        "type": "SCALAR",
        "componentType": "FLOAT64",
        "array": True,
        "count": 6,
        "semantic": "TILE_BOUNDING_REGION",
    },
    "error": {"type": "SCALAR", "componentType": "FLOAT64", "semantic": "TILE_GEOMETRIC_ERROR"},
}


@dataclass(slots=True)
class _Tile:
    region: Region
    error: float
    contents: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Implicit:
    """The document, and its subtrees by their address."""

    document: bytes
    subtrees: Mapping[str, bytes]

    @property
    def weight(self) -> int:
        """Bytes held."""
        return len(self.document) + sum(map(len, self.subtrees.values()))


def implicit(explicit: Json) -> Implicit:
    """The implicit view of an explicit document (:func:`tiles.scene.tileset.document`)."""
    found = _listed(explicit)
    far = any(kind == BLOCKS for kind, *_ in found)
    query = next((uri.partition("?")[2] for *_, uri in found if uri), "")
    query = f"?{query}" if query else ""
    cells = {
        (x >> (z - SCENE_ZOOMS[0]), y >> (z - SCENE_ZOOMS[0])) for k, (z, x, y), *_ in found if k == BODIES
    }
    first = max(first_far(cells), COARSEST) if cells else SCENE_ZOOMS[0]
    children: list[Json] = []
    subtrees: dict[str, bytes] = {}
    parts = [("REPLACE", _replaced(found)), ("ADD", _beside(found))] if far else [("ADD", _all(found))]
    for number, (refine, tiles) in enumerate(parts):
        _lift(tiles, first)
        for root in sorted(node for node in tiles if node[0] == first):
            name = "{}/{}/{}".format(*root)
            uri = f"{name}/{number}"
            below = {node: one for node, one in tiles.items() if _within(node, root)}
            kinds = [kind for kind in (BLOCKS, BODIES) if any(kind in one.contents for one in below.values())]
            subtrees[f"{uri}/0/0/0.subtree"] = _subtree(below, root, kinds)
            children.append(_root(tiles[root], refine, kinds, name, uri, query))
    made = explicit["root"] | {"refine": "ADD"}
    made.pop("children", None)
    if children:
        made |= {"children": children, "geometricError": _error(made, children)}
    schema = {"id": "tile", "classes": {"tile": {"properties": _TABLE}}}
    document = {
        "asset": explicit["asset"],
        "schema": schema,
        "geometricError": made["geometricError"],
        "root": made,
    }
    return Implicit(orjson.dumps(document), subtrees)


def place(root: Node, level: int, x: int, y: int) -> Node:
    """The node at a place of the quadtree of a root, whose rows go north."""
    z, column, row = root
    return z + level, (column << level) + x, ((row + 1) << level) - 1 - y


def _error(made: Json, children: list[Json]) -> float:
    return max(
        [float(made["geometricError"]), ROOT_ERROR, *(2 * float(one["geometricError"]) for one in children)]
    )


def _listed(explicit: Json) -> _Found:
    """What there is: its kind (empty where nothing is held), node, box, geometric error and address."""
    found: _Found = []

    def look(tile: Json) -> Node:
        below = [look(child) for child in tile.get("children", [])]
        uri = tile.get("content", {}).get("uri", "")
        if uri:
            *far, z, x, y = uri.partition("?")[0].removesuffix(".glb").split("/")
            kind, node = BLOCKS if far else BODIES, (int(z), int(x), int(y))
        else:
            kind, (z, x, y) = "", below[0]
            node = z - 1, x >> 1, y >> 1
        found.append((kind, node, tile["boundingVolume"]["region"], tile["geometricError"], uri))
        return node

    for child in explicit["root"].get("children", []):
        look(child)
    return found


type _Found = list[tuple[str, Node, Region, float, str]]


def _all(found: _Found) -> dict[Node, _Tile]:
    return {node: _Tile(region, error, {kind} - {""}) for kind, node, region, error, _ in found}


def _replaced(found: _Found) -> dict[Node, _Tile]:
    """Blocks, down to the bodies of the last zoom; of bodies that stand beside blocks an empty tile, which
    ends the blocks that stand for them above."""
    tiles = {node: _Tile(region, error, {kind}) for kind, node, region, error, _ in found if kind == BLOCKS}
    for kind, node, region, error, _ in found:
        if kind == BODIES and node[0] == SCENE_ZOOMS[-1]:
            tiles[node] = _Tile(region, error, {kind})
        elif kind == BODIES and node not in tiles:
            tiles[node] = _Tile(region, error)
    return tiles


def _beside(found: _Found) -> dict[Node, _Tile]:
    """Bodies that stay where finer blocks are beside them: they come where the blocks above them go, so the
    tile above each has the box and the error of these."""
    blocks = {node: (region, error) for kind, node, region, error, _ in found if kind == BLOCKS}
    tiles = {
        node: _Tile(region, 0.0, {kind})
        for kind, node, region, _, _ in found
        if kind == BODIES and node[0] != SCENE_ZOOMS[-1]
    }
    above = {(z - up, x >> up, y >> up) for z, x, y in tiles for up in range(z + 1)}
    for node, (region, error) in blocks.items():
        if node in above:
            contents = tiles[node].contents if node in tiles else set()
            tiles[node] = _Tile(
                around([region, *([tiles[node].region] if node in tiles else [])]), error, contents
            )
    return tiles


def _lift(tiles: dict[Node, _Tile], first: int) -> None:
    """Give every tile those above it, from the zoom of the roots on, in boxes that hold what is below."""
    for z in range(SCENE_ZOOMS[-1], first, -1):
        above: dict[Node, list[_Tile]] = {}
        for node, one in tiles.items():
            if node[0] == z:
                above.setdefault((z - 1, node[1] >> 1, node[2] >> 1), []).append(one)
        for node, below in above.items():
            own = tiles.get(node)
            region = around([*([own.region] if own else []), *(one.region for one in below)])
            error = max([own.error if own else far_error(node), *(one.error for one in below)])
            tiles[node] = _Tile(region, error, own.contents if own else set())


def _within(node: Node, root: Node) -> bool:
    up = node[0] - root[0]
    return up >= 0 and (node[1] >> up, node[2] >> up) == root[1:]


def _root(tile: _Tile, refine: str, kinds: list[str], name: str, uri: str, query: str) -> Json:
    folder = {BODIES: f"{name}/", BLOCKS: f"{name}/blocks/"}
    contents = [{"uri": folder[kind] + "{level}/{x}/{y}.glb" + query} for kind in kinds]
    levels = SCENE_ZOOMS[-1] - int(name.partition("/")[0]) + 1
    return {
        "boundingVolume": {"region": tile.region},
        "geometricError": tile.error,
        "refine": refine,
        **({"content": contents[0]} if len(contents) == 1 else {"contents": contents}),
        "implicitTiling": {
            "subdivisionScheme": "QUADTREE",
            "subtreeLevels": levels,
            "availableLevels": levels,
            "subtrees": {"uri": uri + "/{level}/{x}/{y}.subtree" + query},
        },
    }


def _subtree(tiles: Mapping[Node, _Tile], root: Node, kinds: list[str]) -> bytes:
    """The binary subtree (3D Tiles 1.1, 7.4.4) of all tiles below a root."""
    levels = SCENE_ZOOMS[-1] - root[0] + 1
    length = (4**levels - 1) // 3
    index = {_index(node, root): one for node, one in tiles.items()}
    order = sorted(index)
    views: list[bytes] = []

    def bits(chosen: list[int]) -> Json:
        if not chosen:
            return {"constant": 0}
        flags = np.zeros(length, bool)
        flags[chosen] = True
        views.append(np.packbits(flags, bitorder="little").tobytes())
        return {"bitstream": len(views) - 1, "availableCount": len(chosen)}

    available = bits(order)
    contents = [bits([at for at in order if kind in index[at].contents]) for kind in kinds]
    views += [
        np.array([index[at].region for at in order], "<f8").tobytes(),
        np.array([index[at].error for at in order], "<f8").tobytes(),
    ]
    values = {"region": {"values": len(views) - 2}, "error": {"values": len(views) - 1}}
    padded = [view + bytes(-len(view) % 8) for view in views]
    starts = np.cumsum([0, *map(len, padded)]).tolist()
    document = {
        "buffers": [{"byteLength": starts[-1]}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": len(view)}
            for start, view in zip(starts, views, strict=False)
        ],
        "tileAvailability": available,
        "contentAvailability": contents,
        "childSubtreeAvailability": {"constant": 0},
        "propertyTables": [{"class": "tile", "count": len(order), "properties": values}],
        "tileMetadata": 0,
    }
    text = orjson.dumps(document)
    text += b" " * (-len(text) % 8)
    return struct.pack("<4sIQQ", b"subt", 1, len(text), starts[-1]) + text + b"".join(padded)


def _index(node: Node, root: Node) -> int:
    """The number of a tile's bit: level by level, along the Morton curve from the south-west."""
    level = node[0] - root[0]
    x = node[1] - (root[1] << level)
    y = ((root[2] + 1) << level) - 1 - node[2]
    morton: int = sum(((x >> i & 1) << (2 * i)) | ((y >> i & 1) << (2 * i + 1)) for i in range(level))
    return int((4**level - 1) // 3 + morton)

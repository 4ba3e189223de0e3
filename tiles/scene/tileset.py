"""``tileset.json`` of 3D Tiles 1.1 (OGC 22-025r4): one explicit tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import orjson

from tiles import extent
from tiles.scene.glb import asset
from tiles.scene.tree import ERRORS, ROOT_ERROR, Node, Tree, far_error, first_far
from tiles.scheme import SCENE_ZOOMS

#: The region of a layer without bodies.
_NOTHING = [0.0, 0.0, 1e-6, 1e-6, 0.0, 1.0]

#: West, south, east, north (radians, west > east across the antimeridian), low, high (ellipsoidal metres).
type Region = list[float]
type Json = dict[str, object]


def tileset(
    tree: Tree | None,
    copyright_: str = "",
    query: str = "",
    far: bool = False,
    largest: float = np.inf,
) -> bytes:
    """The document; a layer without features has a root without content. ``query`` stands behind the
    addresses of the nodes; ``far``: blocks stand for what is far away; no body is larger than ``largest``
    (m)."""
    regions = {node: tree.region(node) for node in tree.every()} if tree else {}
    return document(regions, copyright_, query, far, largest)


def document(
    regions: Mapping[Node, Region],
    copyright_: str = "",
    query: str = "",
    far: bool = False,
    largest: float = np.inf,
) -> bytes:
    """The document of nodes with content in regions."""
    roots = _behind_blocks(regions) if far else _additive(regions, largest)
    if query:
        _ask(roots, query)
    error = max([ROOT_ERROR, *(2 * float(one["geometricError"]) for one in roots)])  # type: ignore[arg-type]
    root: Json = {
        "boundingVolume": {"region": around(map(_region, roots)) if roots else _NOTHING},
        "geometricError": error,
        "refine": "ADD",
    }
    if roots:
        root["children"] = roots
    return orjson.dumps({"asset": asset("1.1", copyright_), "geometricError": error, "root": root})


def _additive(regions: Mapping[Node, Region], largest: float) -> list[Json]:
    """Each node with its own content, and below it the nodes of the next zoom."""
    below: dict[Node, list[Json]] = {}
    for z in reversed(SCENE_ZOOMS):
        for node in sorted({one for one in (*regions, *below) if one[0] == z}):
            made = _tile(node, min(ERRORS[z], largest), regions.get(node), below.pop(node, []))
            below.setdefault(_parent(node), []).append(made)
    return [made for _, several in sorted(below.items()) for made in several]


def _behind_blocks(regions: Mapping[Node, Region]) -> list[Json]:
    """Nodes without children, each beside the blocks of what is smaller in its cell, below the blocks that
    stand for both."""
    below: dict[Node, list[Json]] = {}
    first = first_far({(x >> (z - SCENE_ZOOMS[0]), y >> (z - SCENE_ZOOMS[0])) for z, x, y in regions})
    for z in range(SCENE_ZOOMS[-1], first - 1, -1):
        for node in sorted({one for one in (*regions, *below) if one[0] == z}):
            beside = below.setdefault(_parent(node), [])
            if node in below:
                made = _tile(node, far_error(node), None, below.pop(node))
                beside.append(made | {"refine": "REPLACE", "content": {"uri": blocks_uri(node)}})
            if node in regions:
                beside.append(_tile(node, 0.0, regions[node], []))
    return [made for _, several in sorted(below.items()) for made in several]


def _parent(node: Node) -> Node:
    z, x, y = node
    return z - 1, x >> 1, y >> 1


def blocks_uri(node: Node) -> str:
    """Where the blocks of a node lie, as the document names it."""
    return "blocks/{}/{}/{}.glb".format(*node)


def _tile(node: Node, error: float, own: Region | None, children: Sequence[Json]) -> Json:
    """A node with content where it has a region of its own."""
    z, x, y = node
    made: Json = {
        "boundingVolume": {"region": around([*([own] if own else []), *map(_region, children)])},
        "geometricError": error,
    }
    if own:
        made["content"] = {"uri": f"{z}/{x}/{y}.glb"}
    if children:
        made["children"] = children
    return made


def _ask(nodes: Sequence[Json], query: str) -> None:
    for node in nodes:
        if "content" in node:
            node["content"] = {"uri": node["content"]["uri"] + query}  # type: ignore[index]
        _ask(node.get("children", ()), query)  # type: ignore[arg-type]


def _region(made: Json) -> Region:
    return made["boundingVolume"]["region"]  # type: ignore[index, no-any-return]


def around(regions: Iterable[Region]) -> Region:
    """The region around some."""
    west, south, east, north, low, high = zip(*regions, strict=True)
    first, last = _ends(west, east)
    return [first, min(south), last, max(north), min(low), max(high)]


def _ends(west: Sequence[float], east: Sequence[float]) -> tuple[float, float]:
    if max(east) - min(west) > np.pi:
        turns = np.stack([west, east], axis=1) / (2 * np.pi) + 0.5
        if (ends := extent.across(turns)) is not None:
            return 2 * np.pi * (ends[0] - 0.5), 2 * np.pi * (ends[1] - 0.5)
    return min(west), max(east)

"""``tileset.json`` of 3D Tiles 1.1 (OGC 22-025r4): one explicit tree, additive refinement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import orjson

from tiles import extent
from tiles.scene.glb import asset
from tiles.scene.tree import ERRORS, ROOT_ERROR, Node, Tree
from tiles.scheme import Floats

#: The region of a layer without bodies.
_NOTHING = [0.0, 0.0, 1e-6, 1e-6, 0.0, 1.0]

#: West, south, east, north (radians, west > east across the antimeridian), low, high (ellipsoidal metres).
type Region = list[float]
type Json = dict[str, object]


def tileset(tree: Tree | None, copyright_: str = "", query: str = "") -> bytes:
    """The document; a layer without features has a root without content. ``query`` stands behind the
    addresses of the nodes."""
    return document([_node(tree, node) for node in tree.roots()] if tree else [], copyright_, query)


def document(roots: Sequence[Json], copyright_: str, query: str = "") -> bytes:
    """The document of what :func:`tile` has made."""
    if query:
        _ask(roots, query)
    root: Json = {
        "boundingVolume": {"region": _around(map(_region, roots)) if roots else _NOTHING},
        "geometricError": ROOT_ERROR,
        "refine": "ADD",
    }
    if roots:
        root["children"] = roots
    return orjson.dumps({"asset": asset("1.1", copyright_), "geometricError": ROOT_ERROR, "root": root})


def tile(node: Node, own: Region | None, children: Sequence[Json]) -> Json:
    """A node with content where it has a region of its own."""
    z, x, y = node
    made: Json = {
        "boundingVolume": {"region": _around([*([own] if own else []), *map(_region, children)])},
        "geometricError": ERRORS[z],
    }
    if own:
        made["content"] = {"uri": f"{z}/{x}/{y}.glb"}
    if children:
        made["children"] = children
    return made


def _node(tree: Tree, node: Node) -> Json:
    return tile(node, tree.region(node), [_node(tree, child) for child in tree.children(node)])


def _ask(nodes: Sequence[Json], query: str) -> None:
    for node in nodes:
        if "content" in node:
            node["content"] = {"uri": node["content"]["uri"] + query}  # type: ignore[index]
        _ask(node.get("children", ()), query)  # type: ignore[arg-type]


def _region(made: Json) -> Region:
    return made["boundingVolume"]["region"]  # type: ignore[index, no-any-return]


def _around(regions: Iterable[Region]) -> Region:
    west, south, east, north, low, high = map(np.array, zip(*regions, strict=True))
    first, last = _ends(west, east)
    return [first, float(south.min()), last, float(north.max()), float(low.min()), float(high.max())]


def _ends(west: Floats, east: Floats) -> tuple[float, float]:
    if east.max() - west.min() > np.pi:
        turns = np.stack([west, east], axis=1) / (2 * np.pi) + 0.5
        if (ends := extent.across(turns)) is not None:
            return 2 * np.pi * (ends[0] - 0.5), 2 * np.pi * (ends[1] - 0.5)
    return float(west.min()), float(east.max())

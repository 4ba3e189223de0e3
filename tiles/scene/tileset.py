"""``tileset.json`` of 3D Tiles 1.1 (OGC 22-025r4): one explicit tree, additive refinement."""

from __future__ import annotations

import orjson

from tiles.scene.glb import asset
from tiles.scene.tree import ERRORS, ROOT_ERROR, Node, Tree


def tileset(tree: Tree | None, copyright_: str = "") -> bytes:
    """The document; a layer without features has a root without content."""
    nodes = [_node(tree, node) for node in tree.roots()] if tree else []
    root: dict[str, object] = {
        "boundingVolume": {"region": _around(nodes)},
        "geometricError": ROOT_ERROR,
        "refine": "ADD",
    }
    if nodes:
        root["children"] = nodes
    return orjson.dumps({"asset": asset("1.1", copyright_), "geometricError": ROOT_ERROR, "root": root})


def _node(tree: Tree, node: Node) -> dict[str, object]:
    z, x, y = node
    children = [_node(tree, child) for child in tree.children(node)]
    tile: dict[str, object] = {
        "boundingVolume": {"region": _around(children, tree.region(node))},
        "geometricError": ERRORS[z],
        "content": {"uri": f"{z}/{x}/{y}.glb"},
    }
    if children:
        tile["children"] = children
    return tile


def _around(nodes: list[dict[str, object]], own: list[float] | None = None) -> list[float]:
    """The region around the regions of nodes and one more."""
    regions = [node["boundingVolume"]["region"] for node in nodes]  # type: ignore[index]
    regions += [own] if own else []
    if not regions:
        return [0.0, 0.0, 1e-6, 1e-6, 0.0, 1.0]
    west, south, east, north, low, high = zip(*regions, strict=True)
    return [min(west), min(south), max(east), max(north), min(low), max(high)]

"""The tree of a layer's 3D tiles as it is at one moment: nodes that hold something, in boxes that fit it.

What clients other than our page are given. The page holds a tree for longer than a moment, so that an edit
changes nodes and not the tree: see :mod:`tiles.scene.tree`."""

from __future__ import annotations

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles import scheme
from tiles.ground import Ground
from tiles.scene.glb import asset
from tiles.scene.tree import ERRORS, ROOT_ERROR, SLACK, Node, nodes
from tiles.scheme import CIRCUMFERENCE, SCENE_ZOOMS, Floats

#: Metres of a box above and below what it holds: positions are rounded to 32 bits.
PAD = 0.5
#: The region of a layer without bodies (radians, metres).
_NOTHING = [0.0, 0.0, 1e-6, 1e-6, 0.0, 1.0]

type Region = list[float]
type Json = dict[str, object]


def tileset(boxes: Floats, low: Floats, high: Floats, ground: Ground, copyright_: str = "") -> bytes:
    """The document of features with world boxes (n, 4) between heights (n,) in metres above ground."""
    regions = _regions(boxes, low, high, ground) if len(boxes) else {}
    children: dict[Node, list[Node]] = {}
    for z in reversed(SCENE_ZOOMS[1:]):
        for node in sorted({one for one in (*regions, *children) if one[0] == z}):
            children.setdefault((z - 1, node[1] >> 1, node[2] >> 1), []).append(node)
    first = sorted({one for one in (*regions, *children) if one[0] == SCENE_ZOOMS[0]})
    made = [_node(node, regions, children) for node in first]
    root: Json = {
        "boundingVolume": {"region": _around([_region(one) for one in made]) if made else _NOTHING},
        "geometricError": ROOT_ERROR,
        "refine": "ADD",
    }
    if made:
        root["children"] = made
    return orjson.dumps({"asset": asset("1.1", copyright_), "geometricError": ROOT_ERROR, "root": root})


def _node(node: Node, regions: dict[Node, Region], children: dict[Node, list[Node]]) -> Json:
    z, x, y = node
    below = [_node(child, regions, children) for child in children.get(node, [])]
    own = [regions[node]] if node in regions else []
    tile: Json = {
        "boundingVolume": {"region": _around([*own, *map(_region, below)])},
        "geometricError": ERRORS[z],
    }
    if own:
        tile["content"] = {"uri": f"{z}/{x}/{y}.glb"}
    if below:
        tile["children"] = below
    return tile


def _region(node: Json) -> Region:
    return node["boundingVolume"]["region"]  # type: ignore[index, no-any-return]


def _around(regions: list[Region]) -> Region:
    west, south, east, north, low, high = zip(*regions, strict=True)
    return [min(west), min(south), max(east), max(north), min(low), max(high)]


def _regions(boxes: Floats, low: Floats, high: Floats, ground: Ground) -> dict[Node, Region]:
    """West, south, east, north (radians), low, high (ellipsoidal m) of the nodes that hold something."""
    keys, member = np.unique(nodes(boxes), axis=0, return_inverse=True)
    order = np.argsort(member.ravel(), kind="stable")
    starts = np.searchsorted(member.ravel()[order], np.arange(len(keys)))
    ends: tuple[NDArray[np.float64], ...] = (
        np.minimum.reduceat(boxes[order, 0], starts),
        np.minimum.reduceat(boxes[order, 1], starts),
        np.maximum.reduceat(boxes[order, 2], starts),
        np.maximum.reduceat(boxes[order, 3], starts),
    )
    lows, highs = np.minimum.reduceat(low[order], starts), np.maximum.reduceat(high[order], starts)
    around = _degrees(np.stack(ends, axis=1))
    regions: dict[Node, Region] = {}
    for key, box, least, most in zip(keys.tolist(), around, lows.tolist(), highs.tolist(), strict=True):
        lowest, highest = ground.between(tuple(box.tolist()))
        regions[tuple(key)] = [*np.radians(box).tolist(), lowest + least - PAD, highest + most + PAD]
    return regions


def _degrees(boxes: Floats) -> Floats:
    """World boxes (k, 4) as west, south, east, north in degrees, with room for eaves and tubes."""
    _, middle = scheme.lonlat(boxes[:, 0], (boxes[:, 1] + boxes[:, 3]) / 2)
    margin = SLACK / (CIRCUMFERENCE * np.cos(np.radians(middle)))
    west, north = scheme.lonlat(boxes[:, 0] - margin, boxes[:, 1] - margin)
    east, south = scheme.lonlat(boxes[:, 2] + margin, boxes[:, 3] + margin)
    return np.stack([np.maximum(west, -180), south, np.minimum(east, 180), north], axis=1)

"""The tree of a layer's 3D tiles as it is at one moment: nodes that hold something, in boxes that fit it.

What clients other than our page are given. The page holds a tree for longer than a moment, so that an edit
changes nodes and not the tree: see :mod:`tiles.scene.tree`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiles import scheme
from tiles.ground import Ground
from tiles.scene.tileset import Region, document
from tiles.scene.tree import SLACK, Node, nodes
from tiles.scheme import CIRCUMFERENCE, Floats

#: Metres of a box above and below what it holds: positions are rounded to 32 bits.
PAD = 0.5


def tileset(
    boxes: Floats,
    low: Floats,
    high: Floats,
    ground: Ground,
    copyright_: str = "",
    query: str = "",
    far: bool = False,
    largest: float = np.inf,
) -> bytes:
    """The document of features with world boxes (n, 4) between heights (n,) in metres above ground;
    ``query`` stands behind the addresses of the nodes; ``far``: blocks stand for what is far away; no body is
    larger than ``largest`` (m)."""
    regions = _regions(boxes, low, high, ground) if len(boxes) else {}
    return document(regions, copyright_, query, far, largest)


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

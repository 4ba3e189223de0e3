"""The tree of a layer's 3D tiles as it is at one moment: nodes that hold something, in boxes that fit it.

What clients other than our page are given. The page holds a tree for longer than a moment, so that an edit
changes nodes and not the tree: see :mod:`tiles.scene.tree`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiles import scheme
from tiles.ground import Ground
from tiles.scene.tileset import Region, document
from tiles.scene.tree import SLACK, Node, keys, nodes, of_keys
from tiles.scheme import CIRCUMFERENCE, Floats

#: Metres of a box above and below what it holds: positions are rounded to 32 bits.
PAD = 0.5


@dataclass(frozen=True, slots=True)
class Held:
    """Nodes that hold something: ``keys`` int64 (k,) ascending (:func:`tiles.scene.tree.keys`), ``boxes``
    float64 (k, 4) around their features in world units, ``low`` and ``high`` float64 (k,) their ends in
    metres above the ground."""

    keys: NDArray[np.int64]
    boxes: Floats
    low: Floats
    high: Floats

    def without(self, others: NDArray[np.int64]) -> Held:
        """The nodes whose keys are not among some others."""
        kept = ~np.isin(self.keys, others)
        return Held(self.keys[kept], self.boxes[kept], self.low[kept], self.high[kept])


def held(boxes: Floats, low: Floats, high: Floats) -> Held:
    """The nodes of features with world boxes (n, 4) between heights (n,) in metres above the ground."""
    return _joined(Held(keys(nodes(boxes)), boxes, low, high))


def joined(first: Held, second: Held) -> Held:
    """The nodes of both."""
    both = (np.concatenate(pair) for pair in zip(_columns(first), _columns(second), strict=True))
    return _joined(Held(*both))


def _columns(of: Held) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    return of.keys, of.boxes, of.low, of.high


def _joined(rows: Held) -> Held:
    """Rows in any order, those of one node as one."""
    if not len(rows.keys):
        return rows
    order = np.argsort(rows.keys, kind="stable")
    ordered = rows.keys[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    boxes = rows.boxes[order]
    low, high = np.minimum.reduceat(boxes[:, :2], starts), np.maximum.reduceat(boxes[:, 2:], starts)
    return Held(
        ordered[starts],
        np.concatenate([low, high], axis=1),
        np.minimum.reduceat(rows.low[order], starts),
        np.maximum.reduceat(rows.high[order], starts),
    )


def tileset(
    held: Held,
    ground: Ground,
    copyright_: str = "",
    query: str = "",
    far: bool = False,
    largest: float = np.inf,
) -> bytes:
    """The document of nodes; ``query`` stands behind their addresses; ``far``: blocks stand for what is far
    away; no body is larger than ``largest`` (m)."""
    regions = _regions(held, ground) if len(held.keys) else {}
    return document(regions, copyright_, query, far, largest)


def _regions(held: Held, ground: Ground) -> dict[Node, Region]:
    """West, south, east, north (radians), low, high (ellipsoidal m) of the nodes that hold something."""
    regions: dict[Node, Region] = {}
    around, ends = _degrees(held.boxes), (held.low.tolist(), held.high.tolist())
    for key, box, least, most in zip(of_keys(held.keys).tolist(), around, *ends, strict=True):
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

"""The tree of a layer's 3D tiles: fixed cells of WebMercatorQuad, filled by size class.

A feature's node follows from its own box alone, so an edit never moves another feature, and the
nodes an edit touches follow from its old and new box. What a node shows, no other does.

Of a layer with far views, blocks (:mod:`tiles.scene.blocks`) stand for what a cell holds until it is shown:
those of a cell are replaced by the nodes of the next zoom and the blocks of what these still hold back. Of
other layers content is additive, and the geometric error of a node is the size of what its children hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from layers.types import Bbox
from tiles import scheme
from tiles.ground import FLAT, Ground
from tiles.scheme import CIRCUMFERENCE, SCENE_ZOOMS, Floats

type Node = tuple[int, int, int]

#: Largest horizontal dimension (m) from which a feature is shown at z14, and at z15.
BOUNDS = (200.0, 60.0)
#: Geometric error (m) of the nodes of each zoom: the bound of what is not yet shown.
ERRORS = {14: 200.0, 15: 60.0, 16: 0.0}
ROOT_ERROR = 2000.0
#: The deepest zoom at which blocks stand for features, and zooms between a node and the cells of its blocks.
FAR_ZOOM, SPLIT = SCENE_ZOOMS[-1] - 1, 5
#: Cells at most with which the far views of a layer begin.
FIRST = 4
#: Least geometric errors (m) of blocks, by zoom: what is merged in them is as large.
_LEAST = {15: 60.0, 14: 120.0, 13: 160.0}
#: Headroom (m) of the boxes over what a body may reach beyond its footprint (eaves, tube radius).
SLACK = 20.0
#: Headroom (m) below and above the ground, so that an edit stays inside boxes a page has loaded.
BELOW, ABOVE = 50.0, 500.0
#: Parts of a z16 cell that are declared beyond the features' extent.
MARGIN = 0.5
#: Cells of z16 up to which all of the extent is declared; a wider layer declares what holds something.
DENSE = 30_000
#: Radius of curvature of the meridian at the equator (m), its smallest.
_MERIDIAN_RADIUS = 6_335_439.0


def sizes(boxes: Floats) -> Floats:
    """Largest horizontal dimension (m) of world boxes (n, 4), measured at their middle latitude."""
    _, lat = scheme.lonlat(boxes[:, 0], (boxes[:, 1] + boxes[:, 3]) / 2)
    across = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return across * CIRCUMFERENCE * np.cos(np.radians(lat))


def nodes(boxes: Floats) -> NDArray[np.int64]:
    """The node (z, x, y) of each world box (n, 4), as int64 (n, 3)."""
    size = sizes(boxes)
    z = np.where(
        size >= BOUNDS[0], SCENE_ZOOMS[0], np.where(size >= BOUNDS[1], SCENE_ZOOMS[1], SCENE_ZOOMS[2])
    )
    n = np.left_shift(1, z)
    x = np.floor((boxes[:, 0] + boxes[:, 2]) / 2 * n)
    y = np.floor((boxes[:, 1] + boxes[:, 3]) / 2 * n)
    return np.stack([z, np.clip(x, 0, n - 1), np.clip(y, 0, n - 1)], axis=1).astype(np.int64)


def keys(held: NDArray[np.int64]) -> NDArray[np.int64]:
    """Nodes (n, 3) as one number each: five bits of zoom, 29 of each index."""
    return np.asarray(held[:, 0] << 58 | held[:, 1] << 29 | held[:, 2])


def of_keys(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nodes (n, 3) of some numbers."""
    mask = (1 << 29) - 1
    return np.stack([numbers >> 58, numbers >> 29 & mask, numbers & mask], axis=1)


def node_of(box: Bbox) -> Node:
    """The node of one world box."""
    z, x, y = nodes(np.array([box], float))[0].tolist()
    return z, x, y


def far_error(node: Node) -> float:
    """How far (m) blocks may be from what they stand for: the diagonal of a cell, where it is largest."""
    z, x, y = node
    _, south, _, north = scheme.tile_bounds(z, x, y)
    nearest = 0.0 if south < 0 < north else min(abs(south), abs(north))
    side = CIRCUMFERENCE / (1 << (z + SPLIT)) * float(np.cos(np.radians(nearest)))
    return max(1.5 * side, _LEAST.get(z, BOUNDS[0]))


def above(box: Bbox) -> Iterator[Node]:
    """The nodes whose blocks a feature with this world box is in, deepest first."""
    z, x, y = node_of(box)
    for up in range(1, z + 1):
        yield z - up, x >> up, y >> up


def first_far(cells: Collection[tuple[int, int]]) -> int:
    """The zoom with which far views begin, of cells (x, y) of the first zoom of nodes."""
    z, held = SCENE_ZOOMS[0] - 1, {(x >> 1, y >> 1) for x, y in cells}
    while z > 0 and len(held) > FIRST:
        z, held = z - 1, {(x >> 1, y >> 1) for x, y in held}
    return z


def nodes_in(box: Bbox) -> Iterator[Node]:
    """Every node whose cell meets a world box."""
    for z in SCENE_ZOOMS:
        yield from scheme.cells(box, z)


@dataclass(frozen=True, slots=True)
class Tree:
    """The declared cells of a layer: those of z16 in ``cells``, and their ancestors.

    ``only`` limits a sparse layer to the z14 cells (x, y) that hold something. ``reach`` (m) is
    how far the largest feature may stick out of its z14 cell; ``low`` and ``high`` are metres above
    ``ground``, which may be the ground ``beyond`` (m) the box of a feature."""

    cells: scheme.Cells
    only: frozenset[tuple[int, int]] | None
    reach: float
    low: float
    high: float
    ground: Ground
    beyond: float = 0.0

    def holds(self, node: Node) -> bool:
        """Whether the node is declared."""
        z, x, y = node
        if self.only is not None:
            up = z - SCENE_ZOOMS[0]
            return (x >> up, y >> up) in self.only
        level = self._level(z)
        return level.x0 <= x <= level.x1 and level.y0 <= y <= level.y1

    def covers(self, other: Tree) -> bool:
        """Whether everything in another tree lies in the nodes and boxes of this one."""
        mine, its = self.cells, other.cells
        if self.only is not None:
            nodes = other.only is not None and other.only <= self.only
        else:
            nodes = mine.x0 <= its.x0 and mine.y0 <= its.y0 and mine.x1 >= its.x1 and mine.y1 >= its.y1
        # the headroom is there for edits: only features beyond it need other boxes
        inside = self.low <= other.low + BELOW and self.high >= other.high - ABOVE
        return nodes and self.reach >= other.reach and self.beyond >= other.beyond and inside

    def admits(self, boxes: Floats, their: Tree) -> bool:
        """Whether some more features, world boxes (n, 4) and the tree of them alone, lie in this one."""
        if self.only is not None and their.only is None:
            their = replace(their, only=_held(boxes))
        return self.covers(their)

    def roots(self) -> Iterator[Node]:
        """The declared nodes of the first zoom."""
        if self.only is None:
            yield from self._level(SCENE_ZOOMS[0])
        else:
            yield from ((SCENE_ZOOMS[0], x, y) for x, y in sorted(self.only))

    def children(self, node: Node) -> Iterator[Node]:
        """The declared children of a node."""
        z, x, y = node
        if z == SCENE_ZOOMS[-1]:
            return
        for child in ((z + 1, 2 * x + i, 2 * y + j) for j in (0, 1) for i in (0, 1)):
            if self.holds(child):
                yield child

    def every(self) -> Iterator[Node]:
        """All declared nodes."""
        waiting = list(self.roots())
        while waiting:
            node = waiting.pop()
            yield node
            waiting += self.children(node)

    def region(self, node: Node) -> list[float]:
        """Bounding region: west, south, east, north (radians), low, high (ellipsoidal m), with headroom."""
        z, x, y = node
        margin = {14: self.reach, 15: BOUNDS[0] / 2, 16: BOUNDS[1] / 2}[z] + SLACK * (17 - z)
        west, south, east, north = np.radians(scheme.tile_bounds(z, x, y))
        box = west, south, east, north
        stood_on = np.degrees(_wider(box, margin + self.beyond))
        lowest, highest = self.ground.between(tuple(stood_on.tolist()))
        return [*_wider(box, margin), lowest + self.low, highest + self.high]

    def _level(self, z: int) -> scheme.Cells:
        by, c = SCENE_ZOOMS[-1] - z, self.cells
        return scheme.Cells(z, c.x0 >> by, c.y0 >> by, c.x1 >> by, c.y1 >> by)


def _wider(box: Bbox, metres: float) -> Bbox:
    """A box (radians) with so much room around it."""
    west, south, east, north = box
    north_south = metres / _MERIDIAN_RADIUS
    east_west = north_south / np.cos(max(abs(south), abs(north)))
    return (
        float(west - east_west),
        float(max(south - north_south, -np.pi / 2)),
        float(east + east_west),
        float(min(north + north_south, np.pi / 2)),
    )


def _coarse(metres: float) -> float:
    """A length in steps that double."""
    step = BOUNDS[0]
    while step < metres:
        step *= 2
    return step


def _held(boxes: Floats) -> frozenset[tuple[int, int]]:
    """The z14 cells (x, y) that hold some features, or nodes of them."""
    held = nodes(boxes)
    up = held[:, 0] - SCENE_ZOOMS[0]
    return frozenset(zip((held[:, 1] >> up).tolist(), (held[:, 2] >> up).tolist(), strict=True))


def tree(boxes: Floats, low: float, high: float, ground: Ground = FLAT, beyond: float = 0.0) -> Tree:
    """The tree for world boxes (n, 4), n > 0, of features between two heights (m) above the ground, each at
    a place up to ``beyond`` (m) from its box.

    Bounds are taken in coarse steps, so that ordinary edits leave the tree as it is."""
    reach = _coarse(float(sizes(boxes).max()) / 2)
    extent = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
    cells = scheme.cells(extent, SCENE_ZOOMS[-1], MARGIN)
    only = None
    if len(cells) > DENSE:
        only = _held(boxes)
    step = 100.0
    return Tree(
        cells,
        only,
        reach,
        float(step * np.floor(low / step)) - BELOW,
        float(step * np.ceil(high / step)) + ABOVE,
        ground,
        _coarse(beyond) if beyond else 0.0,
    )

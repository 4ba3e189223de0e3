"""Lines on a grid of a pixel: which segments of it a group's lines run along.

A row of a table is one segment of a group, with how many lines have it. Both ends are counted from the
group's cell, so a key is the cell along the Z-curve, then four numbers of seven bits: two columns and rows.
Ends that fall on one place of the grid vanish, and a segment that several lines have is there once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layers import quadtree
from tiles import kernel
from tiles.batch import Batch
from tiles.dictionary import slices
from tiles.levels import order, table
from tiles.levels.cells import DEEPER, cell_of
from tiles.levels.table import Keys, Numbers, Table

#: Zooms from a tile to the places of its grid.
FINER = 9
#: Zooms from a group's cell to them: it is 32 wide.
IN_GROUP = FINER - DEEPER
#: Places by which a line of a group may lie before its cell, and bits of a column or row.
_BEFORE, _BITS = 32, 7
KEY_BITS = 4 * _BITS
#: The zoom to which the grid is of two pixels: there lines lie closer than they can be told apart.
FAR = 10


def spacing(zoom: int) -> int:
    """Pixels from one place of a zoom's grid to the next."""
    return 2 if zoom <= FAR else 1


def drawn(batch: Batch, rows: Numbers, zoom: int, origin: tuple[int, int] = (0, 0)) -> Table:
    """The segments of some lines (r,) of a batch in the grid of a zoom; cells of groups count from
    ``origin``."""
    parts, bounds = slices(batch.parts, rows)
    index, coords = slices(batch.coords, parts)
    owner = np.repeat(np.arange(len(rows)), np.diff(bounds))
    cells = cell_of(batch.places[rows], zoom + DEEPER)
    x0, y0 = quadtree.columns_rows(cells)
    of = np.repeat(owner, np.diff(coords))
    places = np.floor(batch.xy[index] * float(1 << (zoom + FINER))).astype(np.int64)
    local = places - np.stack([x0[of], y0[of]], axis=1) * (1 << IN_GROUP) + _BEFORE
    local = np.clip(local, 0, (1 << _BITS) - 1) & -spacing(zoom)
    step = np.ones(max(len(index) - 1, 0), bool)
    step[coords[1:-1] - 1] = False
    step &= (local[1:] != local[:-1]).any(axis=1) if len(index) else step
    at = np.flatnonzero(step)
    own = quadtree.morton(x0 - origin[0], y0 - origin[1])[of[at]]
    return _table(own, local[at], local[at + 1], np.ones(len(at), np.int64))


def _table(cells: Keys, first: Numbers, second: Numbers, count: Numbers) -> Table:
    a, b = first[:, 0] << _BITS | first[:, 1], second[:, 0] << _BITS | second[:, 1]
    ends = np.minimum(a, b) << (2 * _BITS) | np.maximum(a, b)
    keys = cells << np.uint64(KEY_BITS) | ends.astype(np.uint64)
    return table.of(keys, count[:, None])


def _ends(keys: Keys) -> tuple[Numbers, Numbers]:
    """Both ends (n, 2) of segments, counted from the cell, plus :data:`_BEFORE`."""
    bits = (keys & np.uint64((1 << KEY_BITS) - 1)).astype(np.int64)
    mask = (1 << _BITS) - 1
    first = np.stack([bits >> (3 * _BITS), bits >> (2 * _BITS) & mask], axis=1)
    return first, np.stack([bits >> _BITS & mask, bits & mask], axis=1)


def coarser(fine: Table, zoom: int) -> Table:
    """The segments in the grid of a zoom from those of the one below it."""
    cells = fine.keys >> np.uint64(KEY_BITS)
    quarter = np.stack(quadtree.columns_rows(cells & np.uint64(3)), axis=1) << IN_GROUP
    first, second = (
        (((end - _BEFORE + quarter) >> 1) + _BEFORE) & -spacing(zoom) for end in _ends(fine.keys)
    )
    kept = (first[:, 0] != second[:, 0]) | (first[:, 1] != second[:, 1])
    return _table(cells[kept] >> np.uint64(2), first[kept], second[kept], fine.sums[kept, 0])


@dataclass(frozen=True, slots=True)
class Paths:
    """Lines of features: ``feature`` int64 (p,) ascending, ``offsets`` int64 (p + 1) into ``xy`` int64 (m,
    2)."""

    feature: Numbers
    offsets: Numbers
    xy: Numbers


def paths(keys: Keys, feature: Numbers, corner: Numbers) -> Paths:
    """Segments (n,) as lines, joined where two of one feature meet and no other does; ``feature`` int64 (n,),
    ascending, is whose each is, ``corner`` int64 (n, 2) the place of its group's cell in the grid."""
    none = np.empty(0, np.int64)
    if not len(keys):
        return Paths(none, np.zeros(1, np.int64), none.reshape(0, 2))
    compiled = kernel.compiled()
    if compiled is None:
        return by_arrays(keys, feature, corner)
    n, before = len(keys), corner - _BEFORE
    whose, offsets, xy = np.empty(n, np.int64), np.empty(n + 1, np.int64), np.empty((2 * n, 2), np.int64)
    lines, places = compiled.lines(keys, feature, before, whose, offsets, xy)
    return Paths(whose[:lines], offsets[: lines + 1], xy[:places])


def by_arrays(keys: Keys, feature: Numbers, corner: Numbers) -> Paths:
    """As :func:`paths` of one segment at least, where the kernel is not built."""
    first, second = (end - _BEFORE + corner for end in _ends(keys))
    # both directions of each segment, one beside the other
    start = np.stack([first, second], axis=1).reshape(-1, 2)
    whose = np.repeat(feature, 2)
    links = _links(_places(start, whose))
    along, chain = order.ordered(links)
    begins = np.flatnonzero(np.diff(chain, prepend=-1))
    # each line is there in both directions: the one with the lesser element stays
    least = np.minimum.reduceat(along, begins)
    sizes = np.diff(np.append(begins, len(along)))
    wanted = np.repeat(least % 2 == 0, sizes)
    along, chain = along[wanted], chain[wanted]
    return _lines(start, whose, along, np.flatnonzero(np.diff(chain, prepend=-1)), least[least % 2 == 0])


def _places(places: Numbers, whose: Numbers) -> Numbers:
    """A number for each place of each feature."""
    low = places.min(axis=0)
    span = places.max(axis=0) - low + 1
    return np.asarray((whose * span[0] + places[:, 0] - low[0]) * span[1] + places[:, 1] - low[1])


def _links(node: Numbers) -> Numbers:
    """What follows each directed segment (2 n,): the other one that leaves the place where it ends, where
    there is but one."""
    leaving = np.argsort(node)
    known = node[leaving]
    firsts = np.flatnonzero(np.concatenate([[True], known[1:] != known[:-1], [True]]))
    pairs = firsts[:-1][np.diff(firsts) == 2]
    one, other = leaving[pairs], leaving[pairs + 1]
    links = np.full(len(node), -1)
    links[one ^ 1], links[other ^ 1] = other, one
    return links


def _lines(start: Numbers, whose: Numbers, along: Numbers, begins: Numbers, least: Numbers) -> Paths:
    ends = np.append(begins[1:], len(along))
    # the places where its segments start, then the one where the last ends
    offsets = np.append(begins + np.arange(len(begins)), len(along) + len(begins))
    source = np.insert(along, ends, along[ends - 1] ^ 1)
    xy = start[source]
    step = np.diff(xy, axis=0)
    turn = np.ones(len(xy), bool)
    cross = step[:-1, 0] * step[1:, 1] - step[:-1, 1] * step[1:, 0]
    ahead = step[:-1, 0] * step[1:, 0] + step[:-1, 1] * step[1:, 1] > 0
    turn[1:-1] = ~((cross == 0) & ahead)
    turn[offsets[:-1]] = turn[offsets[1:] - 1] = True
    kept = np.concatenate([[0], np.cumsum(turn)])
    feature = whose[along[begins]]
    rank = np.argsort(least)
    index, moved = slices(kept[offsets], rank)
    return Paths(feature[rank], moved, xy[turn][index])

"""Whether the faces of solids close them, as val3dity tests it (codes 302, 303, 307, 405, 501 and 902)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from layers.read.triangles import Rings

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]

#: Positions nearer to one another than this (m) count as one.
ONE_M = 0.001
#: By how much (m) boxes of solids reach into one another that is more than rounding.
_INTO_M = 0.005
_BITS = 21
#: Solids of a body that are compared with one another.
_MOST = 200
#: Faces that meet in an edge.
_SIDES = 2
#: What a rule says of a body that breaks it so often.
FAULTS: Mapping[str, str] = {
    "solid.empty": "{} of its solids have no surface",
    "solid.open": "{} edges have a surface on one side only: the solid is open",
    "solid.nonmanifold": "{} edges have more than two surfaces: the solid is no manifold",
    "solid.turned": "{} edges have surfaces that are turned against one another",
    "solid.inverted": "{} solids have all surfaces turned inwards",
    "solid.overlap": "the boxes of {} pairs of its solids overlap: they may run into one another",
}


def faults(rings: Rings, points: Floats, closes: Sequence[bool], solids: Indices) -> dict[int, Counter[str]]:
    """Of each body that ``closes`` and has a fault how many edges one face has alone, more than two have, or
    two have that are turned against one another; how many solids are turned inwards, and how many pairs
    overlap by their boxes. ``points`` are the vertices of all in metres; ``solids`` says which of its body
    each face is of."""
    out: dict[int, Counter[str]] = defaultdict(Counter)
    chosen = np.array(closes, bool)[rings.body()]
    if not chosen.any():
        return out
    many = int(solids.max(initial=0)) + 1
    names, solid = np.unique(rings.body_of_face() * many + solids, return_inverse=True)
    body = names // many
    starts = np.cumsum(rings.sizes) - rings.sizes
    following = np.arange(1, len(rings.flat) + 1)
    full = rings.sizes > 0
    following[(starts + rings.sizes - 1)[full]] = starts[full]
    of = solid[rings.face_of_ring()[rings.ring()]]
    place = _places(points)[rings.flat]
    wrong = _edges(place[chosen], place[following][chosen], of[chosen], body, out)
    _inwards(points[rings.flat], following, rings, of, wrong, body, np.array(closes, bool), out)
    _overlaps(points[rings.flat], of, body, np.array(closes, bool), out)
    return out


def _places(points: Floats) -> Indices:
    """A number for each position, the same for those of a body that are one; bodies are not told apart."""
    cells = np.round(points / ONE_M).astype(np.int64)
    cells -= cells.min(axis=0, initial=np.iinfo(np.int64).max)
    if cells.max(initial=0) < 1 << _BITS:
        key = (cells[:, 0] << 2 * _BITS) | (cells[:, 1] << _BITS) | cells[:, 2]
        return np.asarray(np.unique(key, return_inverse=True)[1].reshape(-1))
    return np.asarray(np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1))


def _edges(
    one: Indices, other: Indices, of: Indices, body: Indices, out: dict[int, Counter[str]]
) -> NDArray[np.bool_]:
    """Count the edges that are wrong by body; which solids have one."""
    real = one != other
    one, other, of = one[real], other[real], of[real]
    low, high = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((high, low, of))
    low, high, of, forward = low[order], high[order], of[order], (one < other)[order]
    wrong = np.zeros(len(body), bool)
    if not len(low):
        return wrong
    new = (np.diff(low) != 0) | (np.diff(high) != 0) | (np.diff(of) != 0)
    begins = np.flatnonzero(np.append(True, new))
    counts = np.diff(begins, append=len(low))
    ahead = np.add.reduceat(forward.astype(np.int64), begins)
    whose = of[begins]
    for rule, found in (
        ("solid.open", counts < _SIDES),
        ("solid.nonmanifold", counts > _SIDES),
        ("solid.turned", (counts == _SIDES) & (ahead != 1)),
    ):
        wrong[whose[found]] = True
        for which, count in Counter(body[whose[found]].tolist()).items():
            out[which][rule] += count
    return wrong


def _inwards(
    at: Floats,
    following: Indices,
    rings: Rings,
    of: Indices,
    wrong: NDArray[np.bool_],
    body: Indices,
    closes: NDArray[np.bool_],
    out: dict[int, Counter[str]],
) -> None:
    """Count closed solids whose volume is negative: all of their faces look inwards."""
    starts = np.cumsum(rings.sizes) - rings.sizes
    near = at - at[np.searchsorted(of, np.arange(len(body)))][of] if (np.diff(of) >= 0).all() else at
    hub = near[np.repeat(starts, rings.sizes)]
    sixth = (hub * np.cross(near, near[following])).sum(axis=1)
    volume = np.bincount(of, sixth, len(body))
    for which in body[np.flatnonzero((volume < 0) & ~wrong & closes[body])].tolist():
        out[which]["solid.inverted"] += 1


def _overlaps(
    at: Floats, of: Indices, body: Indices, closes: NDArray[np.bool_], out: dict[int, Counter[str]]
) -> None:
    """Count pairs of solids of one body whose boxes reach into one another."""
    shared = np.flatnonzero((np.bincount(body, minlength=len(closes)) > 1) & closes)
    if not len(shared):
        return
    low, high = np.full((len(body), 3), np.inf), np.full((len(body), 3), -np.inf)
    np.minimum.at(low, of, at)
    np.maximum.at(high, of, at)
    for which in shared.tolist():
        mine = np.flatnonzero(body == which)[:_MOST]
        depth = np.minimum(high[mine][:, None], high[mine]) - np.maximum(low[mine][:, None], low[mine])
        pairs = int(np.triu((depth > _INTO_M).all(axis=2), 1).sum())
        if pairs:
            out[which]["solid.overlap"] += pairs

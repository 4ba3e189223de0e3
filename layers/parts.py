"""Wholes and parts: which building a part belongs to, and what its parts leave over of a building.

Nothing of it is stored: whoever needs the relation derives it from the features near a place, so it is
true right after any edit (see :mod:`tiles.relations`). A part belongs to the whole that its source
names, where their boxes meet; else to the smallest whose footprint contains its representative point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

type Shapes = NDArray[Any]

#: A remainder narrower than this (m) is a gap between two drawings of one wall, not a body.
_SLIVER_M = 0.4
#: Metres of a degree of latitude, near enough to tell a sliver.
_DEGREE_M = 111_320.0
#: Heights (m) that differ by less are the same.
_LEVEL_M = 0.01


def owners(
    parts: Shapes, wholes: Shapes, names: Sequence[str | None], ids: Sequence[str | None]
) -> NDArray[np.int64]:
    """Index of the whole of every part, −1 for a part of none.

    ``parts`` (n,) and ``wholes`` (m,) are polygons in lon/lat; ``names`` (n,) is the source id of its
    whole that each part's source gives, ``ids`` (m,) are the source ids of the wholes. Of several
    wholes that fit alike, the first."""
    out = np.full(len(parts), -1, np.int64)
    if not len(parts) or not len(wholes):
        return out
    tree = shapely.STRtree(wholes)
    part, whole = tree.query(shapely.point_on_surface(parts), predicate="within")
    order = np.lexsort((-whole, -shapely.area(wholes[whole]), part))
    out[part[order]] = whole[order]
    named = [i for i, name in enumerate(names) if name is not None]
    if named:
        boxes = shapely.box(*shapely.bounds(parts[named]).T)
        part, whole = tree.query(boxes)  # by boxes alone, without a predicate
        pairs = zip(part.tolist(), whole.tolist(), strict=True)
        for p, w in sorted(pairs, reverse=True):
            if names[named[p]] == ids[w]:
                out[named[p]] = w
    return out


@dataclass(frozen=True, slots=True)
class Remainders:
    """What parts leave over of the bodies of their wholes, as k polygons that stand where the wholes do.

    with_parts int64 (n,) numbers of the wholes that have parts; whole int64 (k,) that of each polygon;
    shape (k,) polygons in lon/lat; top float64 (k,) their heights (m)."""

    with_parts: NDArray[np.int64]
    whole: NDArray[np.int64]
    shape: Shapes
    top: NDArray[np.float64]


def remainders(
    wholes: Shapes,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    parts: Shapes,
    owner: NDArray[np.int64],
    bottom: NDArray[np.float64],
) -> Remainders:
    """What is left of the bodies of n wholes outside their p parts.

    ``low`` and ``high`` (n,) are the ends of the wholes, ``owner`` (p,) is the whole of every part and
    ``bottom`` (p,) its underside. Beside its parts a whole stands from its low to its high end; below a
    part that begins above the low end it stands up to the part's underside, unless a lower part is
    there. Shapes are polygons in lon/lat degrees, heights in metres."""
    try:
        return _remainders(wholes, low, high, parts, owner, bottom)
    except shapely.GEOSException:  # overlay refuses what is not valid
        return _remainders(shapely.make_valid(wholes), low, high, shapely.make_valid(parts), owner, bottom)


def _remainders(
    wholes: Shapes,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    parts: Shapes,
    owner: NDArray[np.int64],
    bottom: NDArray[np.float64],
) -> Remainders:
    mine = _table(owner, len(wholes))
    shapes = np.concatenate([parts, [None]])[mine]
    beside = shapely.difference(wholes, shapely.union_all(shapes, axis=1))
    # a part above the ground: what is under it, where no lower part is (of equal ones, no earlier)
    upper = np.flatnonzero(bottom > low[owner] + _LEVEL_M)
    its = mine[owner[upper]]
    heights = np.concatenate([bottom, [np.inf]])[its]
    own = bottom[upper][:, None]
    lower = (heights < own) | ((heights == own) & (its < upper[:, None]))
    filled = shapely.union_all(np.where(lower, shapes[owner[upper]], np.array(None)), axis=1)
    under = shapely.difference(shapely.intersection(parts[upper], wholes[owner[upper]]), filled)
    whole = np.concatenate([np.arange(len(wholes)), owner[upper]])
    top = np.concatenate([high, bottom[upper]])
    pieces, piece = shapely.get_parts(np.concatenate([beside, under]), return_index=True)
    keep = (shapely.get_type_id(pieces) == shapely.GeometryType.POLYGON) & (
        top[piece] > low[whole[piece]] + _LEVEL_M
    )
    keep[keep] = _wide(pieces[keep])
    return Remainders(np.arange(len(wholes)), whole[piece[keep]], pieces[keep], top[piece[keep]])


def _table(owner: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The parts of every whole, ascending, as rows (count, most); −1 where a whole has fewer."""
    order = np.argsort(owner, kind="stable")
    sizes = np.bincount(owner, minlength=count)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    out = np.full((count, int(sizes.max(initial=1))), -1, np.int64)
    out[owner[order], rank] = order
    return out


def _wide(polygons: Shapes) -> NDArray[np.bool_]:
    """Which polygons are wider than a sliver."""
    points, of = shapely.get_coordinates(polygons, return_index=True)
    middle = shapely.bounds(polygons)[:, 1]
    scale = np.stack([_DEGREE_M * np.cos(np.radians(middle)), np.full(len(middle), _DEGREE_M)], axis=1)
    metric = shapely.set_coordinates(polygons.copy(), points * scale[of])
    # the largest circle within a polygon is no smaller than area / perimeter
    area = shapely.area(metric)
    out = np.asarray((area > 0) & (area >= shapely.length(metric) * (_SLIVER_M / 2)))
    out[~out] = ~shapely.is_empty(shapely.buffer(metric[~out], -_SLIVER_M / 2))
    return out

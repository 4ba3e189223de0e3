"""The pyramids of a layer: what its groups hold at every zoom at which they may be merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from layers import quadtree
from tiles.batch import LINE, POLYGON, Batch
from tiles.dictionary import DictionaryColumn
from tiles.levels import coverage, ranks, segments, table
from tiles.levels.cells import DEEPER, cell_of, counted, size_of
from tiles.levels.ranks import Rank
from tiles.levels.table import Numbers, Table

#: The zooms of which pyramids are kept; what is merged at deeper ones is counted tile by tile.
DEEPEST_KEPT = 13
#: Classes of a layer that are counted apart, at most; what is in none of them is in the last.
MOST_CLASSES = 100
#: Bits of a key that tell the class.
CLASS_BITS = 7
#: Columns of a table of groups: how many points, lines and areas, how many of them are large enough to be
#: seen, and the sums of the columns and rows of their middles (cells of the deepest zoom).
POINTS, LINES, AREAS, VISIBLE, SUM_X, SUM_Y = range(6)


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a layer's pyramids tell beside counts: the property ``by`` whose ``values`` are its classes, None
    for no classes; by which rule the one matters more than the other, ``rank``, None for none."""

    by: str | None = None
    values: tuple[str, ...] = ()
    rank: Rank | None = None

    @property
    def other(self) -> int:
        """The class of what has none of the values."""
        return len(self.values)


def scheme_of(style: Mapping[str, object]) -> Scheme:
    """The scheme of a layer that is drawn in a style (as ``/config.json`` gives it)."""
    rule = style.get("color")
    rule = rule if isinstance(rule, Mapping) else {}
    values = rule.get("values")
    names = tuple(values)[: MOST_CLASSES - 1] if isinstance(values, Mapping) else ()
    name = rule.get("property")
    return Scheme(name if isinstance(name, str) and names else None, names, ranks.rank_of(style))


@dataclass(frozen=True, slots=True)
class Levels:
    """Tables by zoom, whose keys are cells of groups counted from ``origin``, with a class in ``classes``;
    ``segments`` by zoom and class. See :mod:`tiles.levels.coverage` and :mod:`tiles.levels.segments`."""

    groups: Mapping[int, Table]
    classes: Mapping[int, Table] = field(default_factory=dict)
    coverage: Mapping[int, Table] = field(default_factory=dict)
    segments: Mapping[int, Mapping[int, Table]] = field(default_factory=dict)


def classes_of(batch: Batch, scheme: Scheme) -> NDArray[np.int64]:
    """The class (n,) of each feature."""
    column = batch.props.get(scheme.by) if scheme.by else None
    if column is None:
        return np.full(len(batch), scheme.other)
    return class_codes(column, scheme)[column.codes]


def class_codes(column: DictionaryColumn, scheme: Scheme) -> Numbers:
    """The class of each value of a column, and last that of null."""
    known = {value: code for code, value in enumerate(scheme.values)}
    count = len(column.values)
    texts = (column.values.text_of(code) for code in range(count))
    return np.array([*(known.get(text, scheme.other) for text in texts), scheme.other])


def build(
    batch: Batch,
    scheme: Scheme,
    zooms: Sequence[int] = range(DEEPEST_KEPT + 1),
    origin: tuple[int, int] = (0, 0),
) -> Levels:
    """The pyramids of a batch for some zooms, one after the other; ``origin``: column and row of a cell of
    groups of the only zoom, from which cells count."""
    zooms = sorted(zooms, reverse=True)
    size = size_of(batch.places)
    # the deepest of the zooms at which a feature belongs to a group
    enters = np.minimum(size - DEEPER, zooms[0])
    classes = classes_of(batch, scheme)
    made = Levels(_groups(batch, scheme, zooms, size, origin), {}, {}, {})
    rows = np.flatnonzero((batch.dims == POLYGON) & (enters >= zooms[-1]))
    under, lines = table.empty(1), dict[tuple[int, int], Table]()
    kept = ranks.kept_from(batch, scheme.rank, DEEPEST_KEPT + 1)
    counts = table.empty(1)
    first = np.flatnonzero(counted(batch) & (enters >= zooms[-1]))
    for zoom in zooms:
        mine = rows[enters[rows] == zoom]
        corner = origin[0] << coverage.IN_GROUP, origin[1] << coverage.IN_GROUP
        fresh = coverage.covered(batch, mine, zoom, corner)
        under = table.joined([(1, coverage.coarser(under)), (1, fresh)])
        made.coverage[zoom] = under  # type: ignore[index]
        entering = np.flatnonzero((batch.dims == LINE) & (enters == zoom) & (kept <= zoom))
        lines = _segments(batch, (classes, kept), entering, zoom, lines, origin)
        made.segments[zoom] = _by_class(lines)  # type: ignore[index]
        if scheme.by or (batch.dims == LINE).any():
            own = first[enters[first] == zoom]
            counts = _classes(batch, own, classes, zoom, counts, origin)
            made.classes[zoom] = counts  # type: ignore[index]
    return made


def _groups(
    batch: Batch, scheme: Scheme, zooms: Sequence[int], size: Numbers, origin: tuple[int, int]
) -> dict[int, Table]:
    """The tables of groups of some zooms."""
    rows = np.flatnonzero(counted(batch))
    rows = rows[np.argsort(batch.places[rows], kind="stable")]
    places, size, dims = batch.places[rows], size[rows], batch.dims[rows]
    seen = ranks.seen_from(batch, scheme.rank, DEEPEST_KEPT + 1)[rows]
    x, y = quadtree.columns_rows(cell_of(places, quadtree.DEEPEST))
    found: dict[int, Table] = {}
    for zoom in zooms:
        small = size >= zoom + DEEPER
        cells = shifted(cell_of(places[small], zoom + DEEPER), origin)
        columns = [dims[small] == dim for dim in range(3)] + [seen[small] <= zoom, x[small], y[small]]
        if not small.any():
            found[zoom] = table.empty(6)
            continue
        starts = np.flatnonzero(np.concatenate([[True], cells[1:] != cells[:-1]]))
        sums = [np.add.reduceat(column.astype(np.int64), starts) for column in columns]
        unsorted = Table(cells[starts], np.stack(sums, axis=1))
        found[zoom] = unsorted if origin == (0, 0) else table.of(unsorted.keys, unsorted.sums)
    return found


def shifted(cells: NDArray[np.uint64], origin: tuple[int, int]) -> NDArray[np.uint64]:
    """Cells along the Z-curve, counted from one of them."""
    if origin == (0, 0):
        return cells
    x, y = quadtree.columns_rows(cells)
    return quadtree.morton(np.maximum(x - origin[0], 0), np.maximum(y - origin[1], 0))


def _segments(
    batch: Batch,
    by: tuple[Numbers, Numbers],
    rows: Numbers,
    zoom: int,
    below: Mapping[tuple[int, int], Table],
    origin: tuple[int, int],
) -> dict[tuple[int, int], Table]:
    """The segments of a zoom by class and the first zoom at which they are drawn: ``by`` of each feature,
    ``rows`` those that belong to a group from this zoom on, ``below`` the same of the next zoom."""
    out = {key: segments.coarser(fine, zoom) for key, fine in below.items() if key[1] <= zoom}
    classes, kept = by
    for code, first in np.unique(np.stack([classes[rows], kept[rows]], axis=1), axis=0).tolist():
        mine = rows[(classes[rows] == code) & (kept[rows] == first)]
        fresh = segments.drawn(batch, mine, zoom, origin)
        known = out.get((code, first))
        out[code, first] = table.joined([(1, known), (1, fresh)]) if known else fresh
    return out


def _by_class(lines: Mapping[tuple[int, int], Table]) -> dict[int, Table]:
    parts: dict[int, list[tuple[int, Table]]] = {}
    for (code, _), one in lines.items():
        parts.setdefault(code, []).append((1, one))
    return {code: table.joined(some) for code, some in parts.items()}


def _classes(
    batch: Batch, rows: Numbers, classes: Numbers, zoom: int, below: Table, origin: tuple[int, int]
) -> Table:
    bits = np.uint64(CLASS_BITS)
    cells = shifted(cell_of(batch.places[rows], zoom + DEEPER), origin)
    fresh = table.of(cells << bits | classes[rows].astype(np.uint64), np.ones((len(rows), 1), np.int64))
    above = below.keys >> bits >> np.uint64(2) << bits | below.keys & np.uint64((1 << CLASS_BITS) - 1)
    return table.joined([(1, table.of(above, below.sums)), (1, fresh)])

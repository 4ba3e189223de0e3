"""What stands for the members of a group: an outline of what they cover, the lines they run along, or a
point.

Each tells ``group_count``, how many features it stands for, ``group_filter``, CQL2 text that selects exactly
these from the layer, and of layers with classes how many of each there are (``group_count_CLASS``). The class
that half of them or more have is in the property that tells it, so that a style for features colours it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from functools import partial

import numpy as np
from numpy.typing import NDArray

from layers import quadtree
from layers.types import FieldType
from tiles.batch import LINE, POINT, POLYGON
from tiles.dictionary import slices
from tiles.levels import coverage, segments, trace
from tiles.levels.build import CLASS_BITS, SUM_X, SUM_Y, Levels, Scheme
from tiles.levels.cells import Field
from tiles.levels.source import Source
from tiles.levels.table import Keys, Numbers, Table
from tiles.scheme import Floats

#: Names of the properties of what stands for several features.
COUNT, FILTER = "group_count", "group_filter"
#: Its ids begin here, beyond those of features; they are exact as JSON numbers.
FIRST_ID = 1 << 52
#: The share of a cell that must be covered to be drawn, by zoom: near by a cell is a building, far away a
#: street and its houses.
SHARES = {13: 0.3, 12: 0.15, 11: 0.18, 10: 0.12}
_FAR_SHARE = 0.08
#: Cells beyond the edge of a tile that are drawn in it.
_REACH = 4


@dataclass(frozen=True, slots=True)
class Shapes:
    """Geometries as ragged arrays: ``dims`` (n,), ``parts`` (n + 1), ``coords`` (p + 1), ``outer`` (p,),
    ``xy`` (m, 2) world units."""

    dims: NDArray[np.uint8]
    parts: Numbers
    coords: Numbers
    outer: NDArray[np.uint8]
    xy: Floats


@dataclass(frozen=True, slots=True)
class Merged:
    """What stands for groups: the place of each one's cell in the field, the class whose shape it has (−1:
    all), its shape; ids (n,) and properties with their types. ``told`` (n, classes): the members of which
    classes it stands for; None: of all."""

    cell: Numbers
    kind: Numbers
    shapes: Shapes
    told: NDArray[np.bool_] | None = None
    ids: NDArray[np.int64] = made_by(default_factory=lambda: np.empty(0, np.int64))
    props: Mapping[str, tuple[Sequence[object], FieldType]] = made_by(default_factory=dict)


def areas(source: Source, field: Field, sums: Numbers, groups: Numbers, exact: bool) -> Merged:
    """The outlines of what the members of groups (places in the field) cover."""
    bits = 2 * coverage.IN_GROUP
    table = source.within(lambda levels: levels.coverage.get(field.z), field.keys[groups], bits, 1)
    which = np.searchsorted(field.keys[groups], table.keys >> np.uint64(bits))
    share = table.sums[:, 0] / coverage.cell_units(field.z)
    x, y = quadtree.columns_rows(table.keys)
    kept = share >= SHARES.get(field.z, _FAR_SHARE if field.z < 10 else SHARES[13])
    kept |= _best(which, share, len(groups))
    x, y, which = x[kept], y[kept], which[kept]
    # a group whose members lie in no cell of its own has one around their middle
    bare = np.flatnonzero(np.bincount(which, minlength=len(groups)) == 0)
    scale = 2.0 ** (field.z + coverage.FINER - quadtree.DEEPEST)
    middle = np.floor(_middles(sums[groups[bare]]) * scale).astype(np.int64)
    corner = np.array(field.origin) << coverage.IN_GROUP
    x, y = np.append(x, middle[:, 0] - corner[0]), np.append(y, middle[:, 1] - corner[1])
    which = np.append(which, bare)
    x, y = x + corner[0], y + corner[1]
    if not exact:
        side = 1 << coverage.FINER
        left, top = x - (field.x * side), y - (field.y * side)
        near = (left >= -_REACH) & (top >= -_REACH) & (left < side + _REACH) & (top < side + _REACH)
        x, y, which = x[near], y[near], which[near]
    out = trace.outlines(x, y, which)
    parts = _parts(out.group)
    n = float(1 << (field.z + coverage.FINER))
    cell = out.group[parts[:-1]]
    dims = np.full(len(cell), POLYGON, np.uint8)
    shapes = Shapes(dims, parts, out.offsets, out.outer, out.xy / n)
    return Merged(groups[cell], np.full(len(cell), -1), shapes)


def _best(which: Numbers, share: Floats, groups: int) -> NDArray[np.bool_]:
    """The fullest cell of each group."""
    best = np.zeros(len(which), bool)
    order = np.lexsort((share, which))
    last = np.flatnonzero(np.diff(which[order], append=groups))
    best[order[last]] = True
    return best


def _middles(sums: Numbers) -> Floats:
    """The mean of the middles of members (n, 2), in cells of the deepest zoom."""
    count = np.maximum(sums[:, :3].sum(axis=1), 1)
    return np.asarray(sums[:, [SUM_X, SUM_Y]] / count[:, None])


def lines(source: Source, field: Field, scheme: Scheme, sums: Numbers, groups: Numbers) -> Merged:
    """The lines of groups (places in the field), for each class by itself.

    The first class of which a group has lines stands also for those of which it has none: shorter than a
    pixel, or too short for their rank (:mod:`tiles.levels.ranks`). Where it has none at all, a line of one
    pixel stands for all."""
    counts = by_class(source, field, scheme, groups)
    n = float(1 << (field.z + segments.FINER))
    place = np.array([field.x, field.y]) * (1 << segments.FINER)
    cells, tables = field.keys[groups], list[Keys]()
    codes = np.flatnonzero(counts.any(axis=0))
    for code in codes.tolist():
        pick = partial(_segments, field.z, code)
        tables.append(source.within(pick, cells, segments.KEY_BITS, 1).keys)
    # all classes at once: of each its groups after those of the one before
    keys = np.concatenate([np.empty(0, np.uint64), *tables])
    which = np.searchsorted(cells, keys >> np.uint64(segments.KEY_BITS))
    after = np.repeat(np.arange(len(codes)) * len(groups), [len(one) for one in tables])
    corners = np.stack([field.columns[groups], field.rows[groups]], axis=1) << segments.IN_GROUP
    paths = segments.paths(keys, after + which, corners[which])
    at = _parts(paths.feature)
    whose = paths.feature[at[:-1]]
    own = whose % max(len(groups), 1)
    kind = codes[whose // max(len(groups), 1)]
    ones, dims = np.ones(len(paths.feature), np.uint8), np.full(len(whose), LINE, np.uint8)
    shapes = Shapes(dims, at, paths.offsets, ones, (paths.xy + place + segments.spacing(field.z) / 2) / n)
    drawn = Merged(groups[own], kind, shapes, _told(counts > 0, own, kind))
    bare = np.setdiff1d(np.arange(len(groups)), own)
    return joined([drawn, _pixels(sums, groups[bare], counts[bare] > 0, n)])


def _told(there: NDArray[np.bool_], own: Numbers, kind: Numbers) -> NDArray[np.bool_]:
    """The classes (n, classes) for which lines stand, of a group (place in ``there``) and a class each."""
    told = np.zeros((len(own), there.shape[1]), bool)
    told[np.arange(len(own)), kind] = True
    rest = there.copy()
    rest[own, kind] = False
    # by group, then by class: the first of each group
    order = np.lexsort((kind, own))
    first = order[np.flatnonzero(np.diff(own[order], prepend=-1))]
    told[first] |= rest[own[first]]
    return told


def _segments(zoom: int, code: int, levels: Levels) -> Table | None:
    return levels.segments.get(zoom, {}).get(code)


def _pixels(sums: Numbers, groups: Numbers, told: NDArray[np.bool_], n: float) -> Merged:
    """A line of a pixel in the middle of the members of each group, for some classes."""
    middle = (_middles(sums[groups]) + 0.5) / float(1 << quadtree.DEEPEST)
    half = np.array([0.5 / n, 0.0])
    xy = np.stack([middle - half, middle + half], axis=1).reshape(-1, 2)
    steps, ones = np.arange(len(groups) + 1), np.ones(len(groups), np.uint8)
    shapes = Shapes(ones * np.uint8(LINE), steps, 2 * steps, ones, xy)
    return Merged(groups, np.full(len(groups), -1), shapes, told)


def points(field: Field, sums: Numbers, groups: Numbers) -> Merged:
    """A point in the middle of the members of each group (places in the field)."""
    xy = (_middles(sums[groups]) + 0.5) / float(1 << quadtree.DEEPEST)
    steps, ones = np.arange(len(groups) + 1), np.ones(len(groups), np.uint8)
    shapes = Shapes(np.full(len(groups), POINT, np.uint8), steps, steps, ones, xy)
    return Merged(groups, np.full(len(groups), -1), shapes)


def joined(parts: Sequence[Merged]) -> Merged:
    """Several one after the other, without ids and properties."""
    some = [part for part in parts if len(part.cell)]
    if len(some) == 1:
        return some[0]
    none = np.zeros(1, np.int64)
    shapes = [part.shapes for part in parts]
    steps, coords, rings, places = [none], [none], 0, 0
    for one in shapes:
        steps.append(one.parts[1:] + rings)
        coords.append(one.coords[1:] + places)
        rings, places = rings + len(one.outer), places + len(one.xy)
    whole = Shapes(
        np.concatenate([np.empty(0, np.uint8), *(one.dims for one in shapes)]),
        np.concatenate(steps),
        np.concatenate(coords),
        np.concatenate([np.empty(0, np.uint8), *(one.outer for one in shapes)]),
        np.concatenate([np.empty((0, 2)), *(one.xy for one in shapes)]),
    )
    cell = np.concatenate([none[:0], *(part.cell for part in parts)])
    kind = np.concatenate([none[:0], *(part.kind for part in parts)])
    classes = next((part.told.shape[1] for part in some if part.told is not None), None)
    told = None if classes is None else np.concatenate([_classes_told(part, classes) for part in some])
    return Merged(cell, kind, whole, told)


def _classes_told(part: Merged, classes: int) -> NDArray[np.bool_]:
    return np.ones((len(part.cell), classes), bool) if part.told is None else part.told


def counted(source: Source, field: Field, scheme: Scheme, sums: Numbers, made: Merged) -> Merged:
    """The same with ids and properties."""
    count = sums[made.cell, :3].sum(axis=1)
    props: dict[str, tuple[Sequence[object], FieldType]] = {}
    filters = [_cell_filter(field, int(at)) for at in made.cell]
    if scheme.by is not None:
        there = by_class(source, field, scheme, made.cell)
        told = _classes_told(made, there.shape[1])
        # all that the cell has are all
        whole = (told | (there == 0)).all(axis=1)
        each_class = np.where(told, there, 0)
        count = np.where(whole, count, each_class.sum(axis=1))
        most = each_class.max(axis=1, initial=0) * 2 >= each_class.sum(axis=1)
        top = np.where(made.kind >= 0, made.kind, np.where(most, each_class.argmax(axis=1), scheme.other))
        names = [*scheme.values, None]
        props[scheme.by] = [names[code] for code in top.tolist()], "string"
        several = (made.kind < 0) | ((each_class > 0).sum(axis=1) > 1)
        for code in np.flatnonzero(each_class[several].any(axis=0)).tolist():
            own = np.where(several, each_class[:, code], 0).tolist()
            each = [n or None for n in own]
            props[f"{COUNT}_{names[code] or 'other'}"] = each, "integer"
        patterns, which = np.unique(each_class > 0, axis=0, return_inverse=True)
        texts = [f" AND {_class_filter(scheme, np.flatnonzero(one).tolist())}" for one in patterns]
        ends = zip(filters, whole.tolist(), which.ravel().tolist(), strict=True)
        filters = [text if all_ else text + texts[at] for text, all_, at in ends]
    props[COUNT] = count.tolist(), "integer"
    props[FILTER] = filters, "string"
    ids = FIRST_ID + ((field.cells[made.cell].astype(np.int64) << CLASS_BITS | made.kind + 1) % FIRST_ID)
    order = np.argsort(ids, kind="stable")
    assert len(np.unique(ids)) == len(ids)
    return _ordered(Merged(made.cell, made.kind, made.shapes, None, ids, props), order)


def by_class(source: Source, field: Field, scheme: Scheme, groups: Numbers) -> Numbers:
    """How many members of each class (n, classes) groups (places in the field) have."""
    codes = np.arange(scheme.other + 1, dtype=np.uint64)
    keys = (field.keys[groups][:, None] << np.uint64(CLASS_BITS) | codes).ravel()
    found = source.sums(lambda levels: levels.classes.get(field.z), keys, 1)
    return found.reshape(len(groups), len(codes))


def _cell_filter(field: Field, at: int) -> str:
    x, y = field.columns[at] + field.x * 16, field.rows[at] + field.y * 16
    place = f"{field.depth},{x},{y}"
    return f"middle_in_tile({place}) AND fits_tile({place})"


def _class_filter(scheme: Scheme, codes: Sequence[int]) -> str:
    name = f'"{scheme.by}"'
    texts = ["'" + value.replace("'", "''") + "'" for value in scheme.values]
    mine = [texts[code] for code in codes if code < len(texts)]
    others = set(range(len(texts))) - set(codes)
    if scheme.other in codes:
        rest = f" OR {name} NOT IN ({', '.join(texts[code] for code in sorted(others))})" if others else ""
        return f"({name} IS NULL{rest})"
    return f"{name} IN ({', '.join(mine)})" if len(mine) > 1 else f"{name} = {''.join(mine)}"


def _ordered(made: Merged, order: Numbers) -> Merged:
    shapes = made.shapes
    index, parts = slices(shapes.parts, order)
    places, coords = slices(shapes.coords, index)
    moved = Shapes(shapes.dims[order], parts, coords, shapes.outer[index], shapes.xy[places])
    ranks = order.tolist()
    props = {name: ([values[i] for i in ranks], type_) for name, (values, type_) in made.props.items()}
    return Merged(made.cell[order], made.kind[order], moved, None, made.ids[order], props)


def _parts(group: Numbers) -> Numbers:
    """Offsets (g + 1) of the runs of an ascending array."""
    return np.append(np.flatnonzero(np.diff(group, prepend=-1)), len(group))


def boxes_of(shapes: Shapes) -> Floats:
    """The boxes (n, 4) of shapes."""
    if not len(shapes.dims):
        return np.empty((0, 4))
    first = shapes.coords[shapes.parts[:-1]]
    low, high = np.minimum.reduceat(shapes.xy, first), np.maximum.reduceat(shapes.xy, first)
    return np.concatenate([low, high], axis=1)

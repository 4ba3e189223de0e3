"""One tile of a layer: which groups are drawn one by one, which are merged, and what stands for those.

All or nothing by group: its members are drawn where they are few and large enough to be seen, else one
feature stands for all of them (for each class of lines one). So a dense centre is merged and an empty edge
of the same zoom is drawn whole. A tile depends on the features that belong to groups of its own and of those
beside it, whose boxes all meet the tile widened by one group (:data:`tiles.levels.cells.NEAR`): that is what
its version counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tiles import dictionary
from tiles import scheme as world
from tiles.batch import Batch
from tiles.dictionary import DictionaryColumn
from tiles.large import Take
from tiles.levels import crowded, merged
from tiles.levels.build import AREAS, LINES, POINTS, VISIBLE, Scheme
from tiles.levels.cells import Field
from tiles.levels.merged import Merged
from tiles.levels.source import Source
from tiles.levels.table import Numbers
from tiles.levels.tiny import enlarged
from tiles.scheme import EXTENT

#: From this zoom features are merged only where they are too many.
WHOLE_ZOOM = 14
#: Points of a group that can be told from one another below it.
APART = 16


@dataclass(frozen=True, slots=True)
class Detail:
    """How much a tile may hold: features of a group that are drawn one by one where they are more than
    ``features`` in all, that is ``limit``; ``thin``: only properties that are drawn; ``crowded``: all is one
    feature, of so many vertices; ``coarser``: large features are drawn as so many zooms above, which is all
    that is otherwise than before where ``of_large``."""

    features: int = 20_000
    limit: int = 78
    thin: bool = False
    crowded: int | None = None
    coarser: int = 0
    of_large: bool = False


#: What is tried, one after the other, until a tile is within its budget.
DETAILS = (
    Detail(),
    Detail(thin=True),
    Detail(thin=True, coarser=1, of_large=True),
    Detail(thin=True, coarser=2, of_large=True),
    Detail(10_000, 39, thin=True, coarser=2),
    Detail(5_000, 16, thin=True, coarser=2),
    Detail(1_000, 4, thin=True, coarser=2),
    Detail(0, 0, thin=True, coarser=3),
    Detail(0, 0, True, 30_000, coarser=3),
    Detail(0, 0, True, 3_000, coarser=3),
    Detail(0, 0, True, 0, coarser=3),
)


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a layer, and what takes the features that are drawn one by one."""

    source: Source
    take: Take


@dataclass(frozen=True, slots=True)
class Content:
    """What a tile shows of a layer: features and what stands for groups, which come after them; how many
    features those are (of its own groups), of which lie within the tile; whether properties were left out."""

    batch: Batch
    merged: int
    thin: bool


def content(
    groups: Groups, field: Field, scheme: Scheme, detail: Detail, named: frozenset[str], exact: bool
) -> Content:
    """The content of a tile. ``named`` are the properties that are drawn; ``exact``: a tile that is cut at
    its edge shows no area or sign of a group beside it."""
    source = groups.source
    sums = source.sums(lambda levels: levels.groups.get(field.z), field.keys, 6)
    if detail.crowded is not None:
        return _crowded(groups, field, scheme, sums, detail.crowded)
    shown, hidden = _decided(sums, field, detail)
    box = world.tile_box(field.z, field.x, field.y, 1 / 64)
    features = source.features(field, field.cells[shown], box, groups.take)
    features = enlarged(features, 1 / (EXTENT * float(1 << field.z)))
    thin = bool(hidden.any()) or detail.thin
    if thin:
        props = {name: prop for name, prop in features.props.items() if name in named}
        features = replace(features, props=props)
    if not hidden.any():
        return Content(features, 0, thin)
    stands = _merged(source, field, scheme, sums, hidden, exact)
    inside = hidden & field.own
    return Content(_together(features, stands, scheme), int(sums[inside][:, :3].sum()), thin)


def _crowded(of: Groups, field: Field, scheme: Scheme, sums: Numbers, vertices: int) -> Content:
    box = world.tile_box(field.z, field.x, field.y, 1 / 64)
    large = of.source.features(field, field.cells[:0], box, of.take)
    if not len(large):
        groups = _merged(of.source, field, scheme, sums, sums[:, :3].any(axis=1), True)
    else:
        groups = crowded.whole(field, scheme, sums, large, vertices)
    nothing = large.take(np.empty(0, np.int64))
    batch = _together(replace(nothing, props={}), groups, scheme)
    return Content(batch, sum(cast("Sequence[int]", groups.props[merged.COUNT][0])), True)


def _decided(sums: Numbers, field: Field, detail: Detail) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The groups that are drawn one by one, and those that are merged."""
    total = sums[:, :3].sum(axis=1)
    there = total > 0
    shown = there.copy()
    if field.z < WHOLE_ZOOM:
        points = sums[:, POINTS]
        shown &= np.where(points * 2 > total, total <= APART, sums[:, VISIBLE] * 2 >= total)
    if total[shown].sum() > detail.features:
        shown &= total <= detail.limit
    return shown, there & ~shown


def _merged(
    source: Source,
    field: Field,
    scheme: Scheme,
    sums: Numbers,
    hidden: NDArray[np.bool_],
    exact: bool,
) -> Merged:
    """What stands for the merged groups of a tile."""
    kinds = (sums[:, :3] > 0).sum(axis=1)
    areas = hidden & (kinds == 1) & (sums[:, AREAS] > 0)
    lines = hidden & (kinds == 1) & (sums[:, LINES] > 0)
    points = hidden & ~areas & ~lines
    if exact:
        areas, points = areas & field.own, points & field.own
    parts = [
        merged.areas(source, field, sums, np.flatnonzero(areas), exact),
        merged.lines(source, field, scheme, sums, np.flatnonzero(lines)),
        merged.points(field, sums, np.flatnonzero(points)),
    ]
    made = merged.joined(parts)
    return merged.counted(source, field, scheme, sums, made)


def _together(features: Batch, groups: Merged, scheme: Scheme) -> Batch:
    """Features and what stands for groups as one batch."""
    n, m = len(features), len(groups.cell)
    props = {name: _padded(prop, m) for name, prop in features.props.items()}
    for name, (values, type_) in groups.props.items():
        own = dictionary.encode([*values], type_)
        if name == scheme.by and name in props:
            props[name] = dictionary.merge(features.props[name], own)
        else:
            codes = np.concatenate([np.full(n, -1, np.int32), own.codes])
            props[name] = DictionaryColumn(codes, own.values)
    shapes = groups.shapes
    boxes, measure = merged.boxes_of(shapes), np.zeros(m)
    return Batch(
        np.concatenate([features.fids, groups.ids]),
        np.concatenate([features.dims, shapes.dims]),
        np.concatenate([features.parts, shapes.parts[1:] + features.parts[-1]]),
        np.concatenate([features.coords, shapes.coords[1:] + features.coords[-1]]),
        np.concatenate([features.outer, shapes.outer]),
        np.concatenate([features.xy, shapes.xy]),
        np.concatenate([features.boxes, boxes]),
        np.concatenate([features.measure, measure]),
        np.concatenate([features.places, np.zeros(m, np.uint64)]),
        props,
    )


def _padded(prop: DictionaryColumn, more: int) -> DictionaryColumn:
    """A property with null for so many rows more."""
    return DictionaryColumn(np.concatenate([prop.codes, np.full(more, -1, np.int32)]), prop.values)

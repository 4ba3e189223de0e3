"""Where a layer lies that may lie on both sides of the antimeridian."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from layers.types import Bbox
from tiles import scheme
from tiles.batch import Batch
from tiles.scheme import Floats

#: World units of half the globe: a feature or layer as wide may be one that the antimeridian parts.
HALF = 0.5


def spans(batch: Batch, live: NDArray[np.bool_] | None = None) -> Floats:
    """West and east (world units) of what may stand alone, (k, 2): features, and the parts of wide ones;
    ``live`` (n,) are the rows that count."""
    spans_ = batch.boxes[:, [0, 2]]
    live = np.ones(len(batch), bool) if live is None else live
    wide = (spans_[:, 1] - spans_[:, 0] > HALF) & live
    if not wide.any():
        return spans_[live]
    parted = batch.take(np.flatnonzero(wide))
    x, starts = parted.xy[:, 0], parted.coords[:-1]
    parts = np.stack([np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)], axis=1)
    return np.concatenate([spans_[live & ~wide], parts])


def across(values: Floats) -> tuple[float, float] | None:
    """West and east (world units), west > east, of spans (k, 2) that lie within half the globe across the
    antimeridian (RFC 7946, section 5.2); None where they do not."""
    ordered = values[np.argsort(values[:, 0], kind="stable")]
    reached = np.maximum.accumulate(ordered[:, 1])
    gaps = ordered[1:, 0] - reached[:-1]
    if not len(gaps) or gaps.max() <= HALF:
        return None
    at = int(gaps.argmax())
    return float(ordered[at + 1, 0]), float(reached[at])


def around(layers: Sequence[tuple[Bbox, Callable[[], Floats]]]) -> list[float]:
    """The box of TileJSON (degrees, within ±180) around layers, each given as its box and what tells its
    spans. Where one lies across the antimeridian it goes the whole way round: clients take no west beyond
    east (TileJSON 3.0.0, section 3.4). The spans are asked for of wide layers only."""
    boxes = np.array([box for box, _ in layers])
    west, south = np.maximum(boxes[:, :2].min(axis=0), (-180.0, -90.0)).tolist()
    east, north = np.minimum(boxes[:, 2:].max(axis=0), (180.0, 90.0)).tolist()
    if any(box[2] - box[0] > 360 * HALF and across(spans_of()) is not None for box, spans_of in layers):
        west, east = -180.0, 180.0
    return [west, south, east, north]


def crossing(box: Bbox, values: Floats) -> Bbox:
    """A layer's box (degrees) with west > east where its spans (world units) lie so."""
    ends = across(values)
    if ends is None:
        return box
    west, east = scheme.lonlat(np.array(ends), np.zeros(2))[0].round(9).tolist()
    return west, box[1], east, box[3]

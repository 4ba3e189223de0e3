"""The extent of a layer as documents state it."""

from __future__ import annotations

from layers.model import Layer, has_features
from layers.types import Bbox
from twin.http.context import Context

#: Degrees from which a layer may lie across the antimeridian.
WIDE = 180.0


def of(context: Context, layer: Layer) -> Bbox | None:
    """West, south, east, north in degrees, west > east across the antimeridian (Features Part 1, clause
    7.14.2); None of an empty layer. An index rounds outward, so the box is cut to ±180, ±90.

    Of a wide layer the columns of its tiles are looked at, which are made where they are not."""
    if layer.extent is None:
        return None
    west, south, east, north = layer.extent
    box = max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)
    if has_features(layer) and east - west > WIDE:
        return context.view.make_tiles().crossing(layer.id, box)
    return box

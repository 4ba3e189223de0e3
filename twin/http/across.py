"""Where a layer lies that may lie on both sides of the antimeridian."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layers.model import Layer, has_features
from layers.types import Bbox

if TYPE_CHECKING:
    from twin.catalogue.view import View

#: Degrees from which a layer may lie across the antimeridian.
WIDE = 180.0


def extent(view: View, layer: Layer) -> Bbox | None:
    """West, south, east, north in degrees, west > east across the antimeridian (Features Part 1, clause
    7.14.2); None of an empty layer. An index rounds outward, so the box is cut to ±180, ±90."""
    return None if layer.extent is None else normalized(view, layer, layer.extent)


def normalized(view: View, layer: Layer, box: Bbox) -> Bbox:
    """As :func:`extent`, of a box in which the layer, or most of it, is known to lie.

    Of a wide layer the columns of its tiles are looked at, which are made where they are not."""
    west, south, east, north = box
    cut = max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)
    if has_features(layer) and east - west > WIDE:
        return view.make_tiles().crossing(layer.id, cut)
    return cut

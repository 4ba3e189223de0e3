"""How many features match a query: told where few are looked at to answer it, or of a whole layer.

A page that shows a few matches of millions costs next to nothing; to count the millions does. OGC lets a
page leave the number out (17-069r4, /rec/core/fc-numberMatched), so what is beyond that is not counted.
"""

from __future__ import annotations

from layers.model import FeatureLayer
from layers.query import Query, expected
from layers.types import Bbox

#: So many candidates are gathered whole, and counted for nothing.
FEW = 20_000
_SURELY = 4  # times as many as could be gathered


def holds(box: Bbox, extent: Bbox | None) -> bool:
    """Whether a box holds every feature of a layer with that extent."""
    return extent is not None and (
        box[0] <= extent[0] and box[1] <= extent[1] and extent[2] <= box[2] and extent[3] <= box[3]
    )


def is_wide(layer: FeatureLayer, box: Bbox, few: int) -> bool:
    """Whether to gather what a box meets would likely be in vain."""
    return expected(layer, box) > _SURELY * few


def matched_by_page(query: Query, returned: int, more: bool) -> int | None:
    """How many match, where a page of ``returned`` features tells it by itself: it begins and ends with
    them."""
    if more or query.after is not None or (not returned and query.offset):
        return None
    return query.offset + returned

"""What reading a page of features may cost, which decides where it is read."""

from __future__ import annotations

from typing import Literal

from layers.model import FeatureLayer
from layers.query import Query, expected
from twin.http import formats
from twin.http.formats import Representation
from twin.http.ogc.links import Pairs

type Cost = Literal["light", "aside", "heavy"]
#: A page up to this size may be read in the event loop where the store is local.
INLINE = 1000
#: Matches that an index counts within about 3 ms.
QUICK = 50_000
#: Parameters that choose by an index or say where a page begins.
_QUICK = frozenset({"bbox", "bbox-crs", "limit", "offset", "after"})
#: Parameters with which features are written anew: a few milliseconds for a page of 1000.
_WRITTEN = frozenset({"crs", "properties"})


def of_request(pairs: Pairs, form: Representation) -> Cost:
    """What reading a page may cost, told from the request alone.

    light: microseconds on a local store, so the event loop may do it. aside: milliseconds, in a
    thread. heavy: it may read the whole layer, so only a few may run at a time."""
    cost: Cost = "light" if form is formats.PAGE[0] else "aside"
    for name, value in pairs:
        if name in _WRITTEN:
            cost = "aside"
        elif name not in _QUICK or (name in ("limit", "offset") and len(value) > 3 and value != str(INLINE)):
            return "heavy"
    return cost


def is_wide(layer: FeatureLayer, query: Query) -> bool:
    """Whether a box is likely to match so many features that counting them takes milliseconds."""
    return query.bbox is not None and expected(layer, query.bbox) > QUICK

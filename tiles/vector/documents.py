"""What is told of a layer's vector tiles: their properties, and what is merged in them by which rule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from layers import kinds
from layers.model import FeatureLayer
from layers.types import REST
from tiles.column_build import FID
from tiles.levels import build, merged, ranks
from tiles.levels.cells import DEEPER
from tiles.levels.tile import APART, DETAILS, WHOLE_ZOOM
from tiles.vector.overview import MOST_BYTES, MOST_FEATURES, Drawing

#: Pixels of a picture that shows about as many metres as it is taken from; metres of one at zoom 0.
_WIDE, _ZOOM_0 = 1000, 40_075_016.7 / ranks.PIXELS
_TYPES = {"integer": "Number", "number": "Number", "boolean": "Boolean"}


def drawing(layer: FeatureLayer, properties: Iterable[str] = ()) -> Drawing:
    """How a layer is drawn: as its kind is; ``properties`` are kept as if they were drawn."""
    kind = kinds.known(layer.kind)
    scheme = build.scheme_of(kind.style)
    if scheme.by is not None and layer.field(scheme.by) is None:
        scheme = replace(scheme, by=None, values=())
    if scheme.rank is not None and layer.field(scheme.rank.by) is None:
        scheme = replace(scheme, rank=None)
    assumed, rank = kind.style.get("assumed"), scheme.rank
    named = {FID, scheme.by, assumed["property"] if assumed else None, rank.by if rank else None, *properties}
    return Drawing(
        scheme,
        frozenset(name for name in named if name),
        frozenset(kind.style.get("label", ())),
        written_from(kind.style.get("labelWithin", 0)),
    )


def written_from(metres: float) -> int:
    """The first zoom at which names are written that are seen from so far above."""
    return max(int(math.log2(_WIDE * _ZOOM_0 / metres)), 0) if metres > 0 else 0


def counts(layer: FeatureLayer) -> dict[str, str]:
    """The properties of what is merged, which a feature has not: name → ``integer`` or ``string``."""
    scheme = drawing(layer).scheme
    classes = [*scheme.values, "other"] if scheme.by is not None else []
    names = [merged.COUNT, *(f"{merged.COUNT}_{name}" for name in classes)]
    return dict.fromkeys(names, "integer") | {merged.FILTER: "string"}


def vector_layer(layer: FeatureLayer, deepest: int) -> dict[str, object]:
    """What TileJSON says of a layer in tiles down to a zoom."""
    fields = {field.name: _TYPES.get(field.type, "String") for field in layer.fields if field.name != REST}
    more = {name: "Number" if type_ == "integer" else "String" for name, type_ in counts(layer).items()}
    rank = drawing(layer).scheme.rank
    ranked = {"rank": {"property": rank.by, "values": rank.values, "least": rank.least}} if rank else {}
    return {
        "id": layer.id,
        "description": layer.title.get("en") or next(iter(layer.title.values()), layer.id),
        "minzoom": 0,
        "maxzoom": deepest,
        "fields": {"fid": "Number", "source_id": "String"} | more | fields,
        **ranked,
    }


def overzoom(deepest: int) -> str:
    """What clients do beyond the deepest zoom of tiles."""
    return f"Tiles beyond zoom {deepest} are drawn from those of it"


def merging(base_url: str, deepest: int, query: str = "") -> dict[str, Any]:
    """What is merged in vector tiles down to a zoom, and why; ``query`` ends addresses of the past."""
    at = f"&{query.removeprefix('?')}" if query else ""
    items = f"{base_url}/ogc/collections/{{layer}}/items"
    filter_ = f"{{{merged.FILTER}}}"
    return {
        "description": (
            f"A group is the features of a layer whose box's middle lies in one tile {DEEPER} zooms deeper,"
            f" if the box is no larger. Below zoom {WHOLE_ZOOM} it is merged where most of its features"
            f" would be smaller than {ranks.SEEN} pixels of a tile of {ranks.PIXELS}, or its points more"
            f" than {APART}; at any zoom"
            f" where a tile would exceed its limits, beginning with groups of more than {DETAILS[0].limit}."
            " Where a layer has ranks, each below the highest has to be twice as large as the one above it,"
            " for a line to be part of what stands for its group, too: those that are not are told by a line"
            " that is, else by one of a pixel."
            " Nothing is left out: what is merged tells how many features it stands for, and which. While"
            " anything of a layer is merged in a tile, its features have only the properties that are drawn"
            " or written at its zoom."
        ),
        "limits": {"bytes": MOST_BYTES, "features": MOST_FEATURES},
        "count": merged.COUNT,
        "links": [
            {"rel": "items", "href": f"{items}?filter={filter_}&filter-lang=cql2-text{at}", "templated": True}
        ],
        "overzoom": overzoom(deepest),
    }

"""The shared words at the bottom of the house: ids, boxes, intervals, titles, fields, orders.

They import nothing of the project, so that every other module may use them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

LAYER_ID = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"

#: Collections of the API that are no layers: what changes by the second. Their names are taken.
LIVE_LAYERS = ("incidents", "observations_latest")

type Bbox = tuple[float, float, float, float]
#: Two ends in time: dates, or instants in UTC (ISO 8601); None where one is open or not known.
type Interval = tuple[str | None, str | None]
type Titles = Mapping[str, str]
type FieldType = Literal["string", "integer", "number", "boolean", "date", "datetime", "array"]
#: The field that holds the source's rarely filled columns, folded into one JSON text.
REST = "other"
#: What a layer is: features (rows in a store), coverage (a raster), surface (terrain), scene (3D content
#: that is registered, not stored).
type Form = Literal["features", "coverage", "surface", "scene"]
FEATURES: tuple[Form, ...] = ("features",)
FORMS: tuple[Form, ...] = ("features", "coverage", "surface", "scene")
#: The forms whose content is rasters.
RASTERS: tuple[Form, ...] = ("coverage", "surface")
#: What may be done to single features of a layer.
type EditKind = Literal["create", "update", "delete"]
EDITS: tuple[EditKind, ...] = ("create", "update", "delete")
type GeometryType = Literal[
    "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "Geometry"
]


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a layer: column name, type, titles, unit (UCUM) and code list.

    The store computes the value of one that is ``read_only``; what a client sends of it is not kept."""

    name: str
    type: FieldType
    title: Titles = field(default_factory=dict, hash=False)
    unit: str | None = None
    codes: Mapping[str, Titles] | None = field(default=None, hash=False)
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class VersionMark:
    """What is recorded of model versions with a layer: the ``name`` of the one that it keeps, the layer
    ``of`` which that is one, and its ``number`` there; with ``of`` empty, what the layer was made."""

    name: str
    of: str = ""
    number: int = 0


#: What a feature is called in its source: the first property of every layer that a load made.
SOURCE_FIELD = Field("source_id", "string", {"en": "Source id", "zh-CN": "来源标识"})


def lon_spans(west: float, east: float) -> list[tuple[float, float]]:
    """The longitudes from the west to the east side of a box: two spans where it lies across the
    antimeridian, west > east (RFC 7946, 5.2)."""
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]


def only_time(fields: Sequence[Field]) -> str | None:
    """The name of the one date or datetime among some fields: the time of a layer that names none."""
    dated = [f.name for f in fields if f.type in ("date", "datetime")]
    return dated[0] if len(dated) == 1 else None


#: Where a page ended: the values of the sort fields of its last feature, then its fid.
type Cursor = tuple[str | int | float | bool | None, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key: a property, ascending or not. Nulls come last both ways; texts sort by code point."""

    field: str
    descending: bool = False

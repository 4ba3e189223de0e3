"""A layer with a field of every type, for filters to be read against."""

from __future__ import annotations

from layers.model import FeatureLayer
from layers.types import Field

LAYER = FeatureLayer(
    id="places",
    kind="feature",
    title={},
    fields=(
        Field("source_id", "string"),
        Field("name", "string"),
        Field("名称", "string"),
        Field('say "x"', "string"),
        Field("levels", "integer"),
        Field("height", "number"),
        Field("open", "boolean"),
        Field("built", "date"),
        Field("seen", "datetime"),
        Field("tags", "array"),
        Field("_mark", "string"),
        Field("井（深）", "number"),
    ),
    geometry_type="Point",
    extent=None,
    crs="EPSG:3879",
    count=0,
    generation=1,
    seq=1,
)

"""What TileJSON says of a layer."""

from __future__ import annotations

from layers.model import FeatureLayer
from layers.types import REST
from tiles.scheme import MAX_ZOOM

_TYPES = {"integer": "Number", "number": "Number", "boolean": "Boolean"}


def vector_layer(layer: FeatureLayer) -> dict[str, object]:
    """The entry of a layer in ``vector_layers`` (TileJSON 3.0.0, 3.3)."""
    fields = {field.name: _TYPES.get(field.type, "String") for field in layer.fields if field.name != REST}
    return {
        "id": layer.id,
        "description": layer.title.get("en") or next(iter(layer.title.values()), layer.id),
        "minzoom": 0,
        "maxzoom": MAX_ZOOM,
        "fields": {"fid": "Number", "source_id": "String"} | fields,
    }

"""GeoJSON (RFC 7946) of any length: the features as the store serialises them, one collection around."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from layers.model import Layer, Rows
from layers.store import geojson
from layers.write import columns, shapes

_BEGIN = b'{"type":"FeatureCollection","features":['
_END = b"]}\n"


def stream(layer: Layer, batches: Iterable[Rows]) -> Iterator[bytes]:
    """A FeatureCollection, one piece a batch; only a complete one ends with its closing brackets."""
    before = _BEGIN
    for rows in batches:
        fields = columns.fields(layer, rows)
        values = (
            zip(*(rows.properties[f.name] for f in fields), strict=True) if fields else [()] * len(rows.fids)
        )
        tails = geojson.tails(shapes.parse(shapes.iso(rows.wkb)), fields, values)
        features = [geojson.feature(fid, tail) for fid, tail in zip(rows.fids.tolist(), tails, strict=True)]
        if features:
            yield before + b",".join(features)
            before = b","
    yield (_BEGIN if before is _BEGIN else b"") + _END

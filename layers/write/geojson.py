"""GeoJSON (RFC 7946) of any length: the features as the store serialises them, one collection around.

In another CRS it is that of 2008, whose member ``crs`` GDAL and what is built on it write and read; RFC
7946 (section 4) leaves that to those who have agreed on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from layers.model import FeatureLayer, Rows
from layers.store import geojson
from layers.types import CRS84
from layers.write import column_names, reference, shapes

_END = b"]}\n"


def stream(layer: FeatureLayer, batches: Iterable[Rows], crs: str = CRS84) -> Iterator[bytes]:
    """A FeatureCollection, one piece a batch; only a complete one ends with its closing brackets."""
    begin = before = _begin(crs)
    decimals = reference.decimals(crs)
    for rows in batches:
        fields = column_names.fields(layer, rows)
        values = (
            zip(*(rows.properties[f.name] for f in fields), strict=True) if fields else [()] * len(rows.fids)
        )
        tails = geojson.tails(shapes.parse(shapes.iso(rows.wkb)), fields, values, decimals)
        features = [geojson.feature(fid, tail) for fid, tail in zip(rows.fids.tolist(), tails, strict=True)]
        if features:
            yield before + b",".join(features)
            before = b","
    yield (begin if before is begin else b"") + _END


def _begin(crs: str) -> bytes:
    members = {} if crs == CRS84 else {"crs": {"type": "name", "properties": {"name": reference.urn(crs)}}}
    return orjson.dumps({"type": "FeatureCollection", **members, "features": []})[: -len(b"]}")]

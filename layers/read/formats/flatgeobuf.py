"""FlatGeobuf 3 (https://flatgeobuf.org)."""

from __future__ import annotations

from layers.read import gdal
from layers.read.format import Format, Reader

FORMATS: tuple[Format, ...] = (
    Reader(
        name="fgb",
        titles={"en": "FlatGeobuf", "zh-CN": "FlatGeobuf"},
        endings=(".fgb",),
        recognise=lambda sample: sample.head.startswith(b"fgb\x03"),
        read=gdal.reading("FlatGeobuf"),
        layers=gdal.listing("FlatGeobuf"),
        drivers=frozenset({"FlatGeobuf"}),
    ),
)

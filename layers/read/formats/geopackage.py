"""GeoPackage (OGC 12-128r19): an SQLite database that says so in its application id."""

from __future__ import annotations

from layers.read import gdal
from layers.read.format import Format, Reader, Refused
from layers.read.sample import Sample

_APPLICATION_IDS = (b"GPKG", b"GP10", b"GP11")


def _is_database(sample: Sample) -> bool:
    return sample.head.startswith(b"SQLite format 3\x00")


def _is_geopackage(sample: Sample) -> bool:
    return _is_database(sample) and sample.head[68:72] in _APPLICATION_IDS


FORMATS: tuple[Format, ...] = (
    Reader(
        name="gpkg",
        titles={"en": "GeoPackage", "zh-CN": "GeoPackage"},
        endings=(".gpkg",),
        recognise=_is_geopackage,
        read=gdal.reading("GPKG", numbered=True),
        layers=gdal.listing("GPKG"),
        drivers=frozenset({"GPKG"}),
        beside=(".gpkg-wal", ".gpkg-shm", ".gpkg-journal"),
    ),
    Refused(_is_database, "file.type", "an SQLite database but not a GeoPackage"),
)

"""GeoPackage (OGC 12-128r19): an SQLite database that says so in its application id."""

from __future__ import annotations

from pathlib import Path

from layers.read import views
from layers.read.base import ReadOptions, Sink
from layers.read.format import Format, Reader, Refused
from layers.read.sample import Sample
from layers.source import SourceLayer

_APPLICATION_IDS = (b"GPKG", b"GP10", b"GP11")


def _is_database(sample: Sample) -> bool:
    return sample.head.startswith(b"SQLite format 3\x00")


def _is_geopackage(sample: Sample) -> bool:
    return _is_database(sample) and sample.head[68:72] in _APPLICATION_IDS


def _read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """A table, or a view that was named. Raises BadFile, among others limit.view."""
    from layers.read import vector

    computed, wanted = views.names(path), options.declared.layer
    if wanted in computed and wanted is not None:
        views.ends(path, wanted, options.limits)
    vector.read(path, options, sink, "GPKG", views=computed)


def _layers(path: Path, _options: ReadOptions) -> list[SourceLayer]:
    from layers.read import vector

    return vector.layers(path, "GPKG", views.names(path))


FORMATS: tuple[Format, ...] = (
    Reader(
        name="gpkg",
        titles={"en": "GeoPackage", "zh-CN": "GeoPackage"},
        endings=(".gpkg",),
        recognise=_is_geopackage,
        read=_read,
        layers=_layers,
        drivers=frozenset({"GPKG"}),
        beside=(".gpkg-wal", ".gpkg-shm", ".gpkg-journal"),
    ),
    Refused(_is_database, "file.type", "an SQLite database but not a GeoPackage"),
)

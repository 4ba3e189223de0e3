"""Layers as files: what is offered, and one call for each way to give it.

``page`` makes a small file at once, ``stream`` gives a file of any length in pieces, ``write`` makes a
file of a format that cannot be streamed. Rows come in longitude, latitude; files are in the CRS of a
URI, x first (see ``reference``), and carry the feature ids. All take bounded memory, whatever the
number of batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from layers.model import FeatureLayer, Rows
from layers.types import CRS84, Titles


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: its name, what people call it, media type, file name ending, other names, and
    other media types that ask for it.

    ``streamed``: given in pieces while it is read; else made as a file first."""

    name: str
    title: str
    media: str
    extension: str
    aliases: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    streamed: bool = False


_GEOJSON = Format(
    "geojson", "GeoJSON", "application/geo+json", "geojson", ("json",), ("application/json",), streamed=True
)
_FLATGEOBUF = Format(
    *("flatgeobuf", "FlatGeobuf", "application/flatgeobuf", "fgb", ("fgb",)),
    accepts=("application/x-flatgeobuf",),
    streamed=True,
)
_CSV = Format("csv", "CSV", "text/csv", "csv", streamed=True)
_GPKG = Format(
    *("gpkg", "GeoPackage", "application/geopackage+sqlite3", "gpkg", ("geopackage",)),
    accepts=("application/x-sqlite3",),
)
_PARQUET = Format("parquet", "GeoParquet", "application/vnd.apache.parquet", "parquet", ("geoparquet",))
_SHP = Format(
    *("shp", "Shapefile", "application/zip", "shp.zip", ("shapefile",)),
    accepts=("application/x-shapefile", "application/x-zip-compressed"),
)
FORMATS: dict[str, Format] = {one.name: one for one in (_GEOJSON, _FLATGEOBUF, _CSV, _GPKG, _PARQUET, _SHP)}


def localized(layer: FeatureLayer, lang: str) -> FeatureLayer:
    """The layer with its titles of that language first: a file shows the first title there is."""

    def first(titles: Titles) -> Titles:
        return {lang: titles[lang], **titles} if lang in titles else titles

    fields = (
        replace(
            f,
            title=first(f.title),
            codes=None if f.codes is None else {code: first(titles) for code, titles in f.codes.items()},
        )
        for f in layer.fields
    )
    return replace(layer, title=first(layer.title), fields=tuple(fields))


def page(name: str, layer: FeatureLayer, rows: Rows, crs: str = CRS84) -> bytes:
    """A whole file of one batch. Raises KeyError for a format that has no pages, BadFile for the CRS."""
    from layers.write import reference

    (rows,) = reference.projected([rows], crs)
    if name == "flatgeobuf":
        from layers.write import flatgeobuf

        return flatgeobuf.page(layer, rows, crs)
    if name == "csv":
        from layers.write import table

        return table.page(layer, rows, crs)
    raise KeyError(name)


def stream(
    name: str,
    layer: FeatureLayer,
    batches: Iterable[Rows],
    survey: Iterable[Rows] | None = None,
    crs: str = CRS84,
) -> Iterator[bytes]:
    """A file in pieces. ``survey`` is the same features without properties: a format that has to tell
    at its beginning what all geometries have in common reads it first; without it the first batch decides.

    Raises KeyError for a format that cannot be streamed, Conflict when a geometry is not as was told,
    BadFile for the CRS."""
    from layers.write import reference

    batches = reference.projected(batches, crs)
    if name == "flatgeobuf":
        from layers.write import flatgeobuf

        return flatgeobuf.stream(layer, batches, survey, crs)
    if name == "csv":
        from layers.write import table

        return table.stream(layer, batches, crs)
    if name == "geojson":
        from layers.write import geojson

        return geojson.stream(layer, batches, crs)
    raise KeyError(name)


def write(name: str, layer: FeatureLayer, batches: Iterable[Rows], path: Path, crs: str = CRS84) -> None:
    """Make a file; other files that this needs meanwhile lie beside it.

    Raises KeyError for a format that is streamed, TooLarge beyond what the format holds, OSError, BadFile
    for the CRS."""
    from layers.write import reference

    batches = reference.projected(batches, crs)
    if name == "gpkg":
        from layers.write import geopackage

        geopackage.write(layer, batches, path, crs)
    elif name == "parquet":
        from layers.write import parquet

        parquet.write(layer, batches, path, crs)
    elif name == "shp":
        from layers.write import shapefile

        shapefile.write(layer, batches, path, crs)
    else:
        raise KeyError(name)

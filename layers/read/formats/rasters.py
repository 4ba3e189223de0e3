"""Rasters: GeoTIFF (OGC 19-008r4) and BigTIFF, Arc/Info ASCII Grid, ERDAS Imagine, JPEG 2000 (ISO/IEC
15444-1), and pictures with a world file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from layers.read.base import ReadOptions, Sink
from layers.read.format import Format, Reader
from layers.read.sample import Sample

_GRID = re.compile(rb"\s*ncols\s+\d+\s+nrows\s+\d+\s", re.IGNORECASE)
_JP2 = (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\x00")
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def _begins(*marks: bytes) -> Callable[[Sample], bool]:
    return lambda sample: sample.head.startswith(marks)


def reading(driver: str) -> Callable[[Path, ReadOptions, Sink], None]:
    """The ``read`` of a raster format that needs nothing but its driver."""

    def read(path: Path, options: ReadOptions, sink: Sink) -> None:
        from layers.read.rasters import gdal

        gdal.limit_drivers(frozenset({driver}))
        from layers.read.rasters import read as raster

        raster.read(path, options, sink, driver)

    return read


def _raster(
    name: str,
    title: str,
    endings: tuple[str, ...],
    recognise: Callable[[Sample], bool],
    driver: str,
    beside: tuple[str, ...] = (),
) -> Reader:
    return Reader(
        name=name,
        titles={"en": title, "zh-CN": title},
        endings=endings,
        recognise=recognise,
        read=reading(driver),
        beside=(".prj", ".wld", *beside),
        raster=True,
    )


FORMATS: tuple[Format, ...] = (
    _raster(
        *("tif", "GeoTIFF", (".tif", ".tiff", ".gtif", ".gtiff", ".btf"), _begins(*_TIFF), "GTiff"),
        (".tfw", ".tifw", ".tiffw", ".tab", ".ovr", ".msk"),
    ),
    _raster("asc", "ASCII grid", (".asc", ".agr", ".grd"), lambda s: bool(_GRID.match(s.head)), "AAIGrid"),
    _raster("img", "ERDAS Imagine", (".img",), _begins(b"EHFA_HEADER_TAG"), "HFA", (".ige", ".rrd", ".igw")),
    _raster("jp2", "JPEG 2000", (".jp2", ".j2k", ".jpx", ".jpf"), _begins(*_JP2), "JP2OpenJPEG", (".j2w",)),
    _raster("jpg", "JPEG", (".jpg", ".jpeg"), _begins(b"\xff\xd8\xff"), "JPEG", (".jgw", ".jpgw", ".jpegw")),
    _raster("png", "PNG", (".png",), _begins(b"\x89PNG\r\n\x1a\n"), "PNG", (".pgw", ".pngw")),
)

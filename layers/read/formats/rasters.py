"""Rasters: GeoTIFF (OGC 19-008r4) and BigTIFF, Arc/Info ASCII Grid, ERDAS Imagine, JPEG 2000 (ISO/IEC
15444-1), and pictures with a world file."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from layers.read.base import ReadOptions, Sink
from layers.read.format import Format, Reader
from layers.read.sample import Sample

_GRID = re.compile(rb"\s*ncols\s+\d+\s+nrows\s+\d+\s", re.IGNORECASE)
_JP2 = (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\x00")
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


_JGW, _PGW = (".jgw", ".jpgw", ".jpegw"), (".pgw", ".pngw")
#: Tags by which a TIFF says where it lies (OGC 19-008r4, 7.1.2).
_GEOTAGS = (33550, 33922, 34264)


def _has_world(path: Path, *endings: str) -> bool:
    """Whether a file that says where a picture lies is beside it."""
    names = {name.casefold() for name in os.listdir(path.parent)}
    beside = (path.stem + ending for ending in (".wld", *endings))
    return any(name.casefold() in names for name in (*beside, f"{path.name}.aux.xml"))


def _has_geotags(path: Path) -> bool:
    from PIL import Image

    bad = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
    with contextlib.suppress(*bad), Image.open(path, formats=("TIFF",)) as image:
        return any(tag in image.tag_v2 for tag in _GEOTAGS)  # type: ignore[attr-defined]
    return True  # what it is nobody knows: let who loads choose


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
    placed: Callable[[Path], bool] | None = None,
) -> Reader:
    return Reader(
        name=name,
        titles={"en": title, "zh-CN": title},
        endings=endings,
        recognise=recognise,
        read=reading(driver),
        beside=(".prj", ".wld", *beside),
        raster=True,
        placed=placed,
    )


FORMATS: tuple[Format, ...] = (
    _raster(
        *("tif", "GeoTIFF", (".tif", ".tiff", ".gtif", ".gtiff", ".btf"), _begins(*_TIFF), "GTiff"),
        (".tfw", ".tifw", ".tiffw", ".tab", ".ovr", ".msk"),
        lambda path: _has_world(path, ".tfw", ".tifw", ".tiffw", ".tab") or _has_geotags(path),
    ),
    _raster("asc", "ASCII grid", (".asc", ".agr", ".grd"), lambda s: bool(_GRID.match(s.head)), "AAIGrid"),
    _raster("img", "ERDAS Imagine", (".img",), _begins(b"EHFA_HEADER_TAG"), "HFA", (".ige", ".rrd", ".igw")),
    _raster("jp2", "JPEG 2000", (".jp2", ".j2k", ".jpx", ".jpf"), _begins(*_JP2), "JP2OpenJPEG", (".j2w",)),
    _raster(
        *("jpg", "JPEG", (".jpg", ".jpeg"), _begins(b"\xff\xd8\xff"), "JPEG", _JGW),
        lambda path: _has_world(path, *_JGW),
    ),
    _raster(
        *("png", "PNG", (".png",), _begins(b"\x89PNG\r\n\x1a\n"), "PNG", _PGW),
        lambda path: _has_world(path, *_PGW),
    ),
)

"""The cells of a window of one raster or of several, in any CRS and at any size, by rio-tiler."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.crs import CRS
from rasterio.transform import from_bounds
from rasterio.windows import Window
from rio_tiler import reader
from rio_tiler.models import ImageData
from rio_tiler.mosaic.methods.defaults import FirstMethod

from tiles.imagery.place import Place

#: Parts of a cell of the picture by which a raster's edge may miss its grid.
_OFF = 1e-3


@dataclass(slots=True)
class Cells:
    """The cells of a picture: values (bands, height, width), masked where there are none, and how opaque
    each is, uint8 (height, width)."""

    values: np.ma.MaskedArray[tuple[int, int, int], np.dtype[np.generic]]
    opacity: NDArray[np.uint8]


def cells(
    rasters: Iterable[AbstractContextManager[DatasetReader]],
    place: Place,
    bands: tuple[int, ...],
    smooth: bool,
) -> Cells | None:
    """The cells of a place, from the raster that is drawn last there; ``rasters`` come in the order in which
    they are drawn. None where none of them lies. ``smooth``: between cells lie values.

    Raises RasterioIOError."""
    mosaic, only, count = FirstMethod(), None, 0
    for lent in reversed(list(rasters)):
        with lent as dataset:
            image = _read(dataset, place, bands, smooth)
        if image is None:
            continue
        only, count = image, count + 1
        mosaic.feed(image.array)
        if mosaic.is_done:
            break
    if only is None:
        return None
    values: Any = only.array if count == 1 else mosaic.data
    if values.dtype.kind == "f":
        values = np.ma.masked_invalid(values, copy=False)
    mask = np.ma.getmaskarray(values)
    if count == 1 and only.alpha_mask is not None:
        return Cells(values, _opacity(only.alpha_mask))
    return Cells(values, np.where(mask.all(axis=0), 0, 255).astype(np.uint8))


def _opacity(alpha: NDArray[Any]) -> NDArray[np.uint8]:
    if alpha.dtype == np.uint8:
        return alpha
    most = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1.0
    return (alpha.astype(np.float64) * (255.0 / most)).astype(np.uint8)


@lru_cache(maxsize=64)
def _crs(text: str) -> CRS:
    return CRS.from_string(text)


def _read(dataset: DatasetReader, place: Place, bands: tuple[int, ...], smooth: bool) -> ImageData | None:
    crs = _crs(place.crs)
    if dataset.crs == crs:
        return _read_aligned(dataset, place, bands, smooth)
    return _warp(dataset, crs, place, bands, smooth)


def _warp(dataset: DatasetReader, crs: CRS, place: Place, bands: tuple[int, ...], smooth: bool) -> ImageData:
    transform = from_bounds(*place.bounds, place.width, place.height)
    return reader.read(
        dataset,
        dst_crs=crs,
        indexes=bands,
        vrt_options={"transform": transform, "width": place.width, "height": place.height},
        reproject_method="bilinear" if smooth else "nearest",
    )


def _read_aligned(
    dataset: DatasetReader, place: Place, bands: tuple[int, ...], smooth: bool
) -> ImageData | None:
    """As :func:`_warp`, several times as quick, where the raster has the CRS of the place."""
    grid = dataset.transform
    if grid.b or grid.d or grid.a <= 0 or grid.e >= 0:
        return _warp(dataset, _crs(place.crs), place, bands, smooth)
    west, south, east, north = place.bounds
    cols = _Span.of((west - grid.c) / grid.a, (east - grid.c) / grid.a, place.width, dataset.width)
    rows = _Span.of((north - grid.f) / grid.e, (south - grid.f) / grid.e, place.height, dataset.height)
    if cols is None or rows is None:
        return None
    if not (cols.whole and rows.whole):
        return _warp(dataset, _crs(place.crs), place, bands, smooth)
    part = reader.read(
        dataset,
        indexes=bands,
        window=Window(cols.start, rows.start, cols.length, rows.length),
        width=cols.cells,
        height=rows.cells,
        resampling_method="bilinear" if smooth else "nearest",
    )
    if (rows.cells, cols.cells) == (place.height, place.width):
        return part
    return _laid(part, place, cols.first, rows.first)


@dataclass(frozen=True, slots=True)
class _Span:
    """One axis: where the raster is read (in its cells), and which cells of the picture that fills."""

    start: float
    length: float
    first: int
    cells: int
    whole: bool

    @classmethod
    def of(cls, start: float, end: float, wanted: int, there: int) -> _Span | None:
        """None where the raster does not reach."""
        scale = (end - start) / wanted
        begin, stop = max(0.0, -start / scale), min(float(wanted), (there - start) / scale)
        if stop - begin < _OFF:
            return None
        first, last = round(begin), round(stop)
        whole = abs(first - begin) < _OFF and abs(last - stop) < _OFF and last > first
        at = start + first * scale
        # off the edge by an error of rounding is outside to rasterio
        at, until = max(at, 0.0), min(start + last * scale, float(there))
        return cls(round(at, 6), round(until - at, 6), first, last - first, whole)


def _laid(part: ImageData, place: Place, left: int, top: int) -> ImageData:
    """A part of a picture, with nothing around it."""
    count, height, width = part.array.shape
    values = np.zeros((count, place.height, place.width), part.array.dtype)
    mask = np.ones(values.shape, bool)
    at = slice(top, top + height), slice(left, left + width)
    values[:, *at] = part.array.data
    mask[:, *at] = np.ma.getmaskarray(part.array)
    alpha = None
    if part.alpha_mask is not None:
        alpha = np.zeros(values.shape[1:], part.alpha_mask.dtype)
        alpha[at] = part.alpha_mask
    return ImageData(np.ma.MaskedArray(values, mask), alpha_mask=alpha)

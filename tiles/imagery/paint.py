"""Cells as a picture: colours, and the bytes of PNG, JPEG or WebP, by rio-tiler and GDAL's drivers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rio_tiler.colormap import cmap
from rio_tiler.utils import render

from layers.raster.profile import RasterProfile, Rgba
from tiles.imagery.colors import WHITE, Rgb
from tiles.imagery.read import Cells
from tiles.imagery.shade import hillshade
from tiles.imagery.style import Style

type Format = Literal["png", "jpg", "webp"]

#: Creation options of GDAL's drivers. Of a picture with noise, zlib's quickest level takes a fifth of the
#: time of its usual one for a sixth more bytes.
OPTIONS: Mapping[Format, tuple[str, Mapping[str, int]]] = {
    "png": ("PNG", {"ZLEVEL": 1}),
    "jpg": ("JPEG", {"QUALITY": 85}),
    "webp": ("WEBP", {"QUALITY": 85}),
}
#: Said of every picture, for rasterio warns of one that lies nowhere, and silencing it is no matter of one
#: thread. No format of :data:`OPTIONS` keeps it.
_SOMEWHERE = Affine.scale(2)
#: Colours of a scale; the index beside them is nothing.
STEPS = 255
#: Colours of it in a legend, between which a client blends.
LEGEND = 18
type Bytes = NDArray[np.uint8]


def picture(
    cells: Cells,
    style: Style,
    profile: RasterProfile,
    cell: float,
    form: Format,
    behind: Rgb | None = None,
) -> bytes:
    """The bytes of a picture; a colour ``behind`` it leaves nothing transparent. Of a shaded one the cells
    have a border of one cell, and ``cell`` is the metres from one to the next."""
    if style.hillshade:
        return _shaded(cells, style, profile, cell, form, behind)
    if len(style.bands) == 3:
        return encode(_rgb(cells, style, profile), cells.opacity, form, behind)
    if not style.colormap:
        return _own_colors(cells, profile, form, behind)
    return _indexed(_index(cells, style, profile), style.colormap, cells.opacity, form, behind)


def encode(rgb: Bytes, opacity: Bytes, form: Format, behind: Rgb | None = None) -> bytes:
    """Red, green and blue (3, height, width) as a picture, over a colour where one is behind it; JPEG knows
    no transparency, so that is white there without one (OGC 20-058, the default of ``bgcolor``)."""
    driver, options = OPTIONS[form]
    solid = bool(opacity.min() == 255)
    if form == "jpg" and behind is None:
        behind = WHITE
    if behind is not None and not solid:
        share = opacity.astype(np.uint16)
        color = np.array(behind, np.uint16).reshape(3, 1, 1)
        rgb = ((rgb * share + color * (255 - share)) // 255).astype(np.uint8)
    mask = None if solid or behind is not None else opacity
    more: dict[str, Any] = {**options, "transform": _SOMEWHERE}
    return render(rgb, mask, img_format=driver, **more)


def blank(width: int, height: int, form: Format, behind: Rgb | None = None) -> bytes:
    """A picture of nothing, or of the colour behind it."""
    nothing = np.zeros((height, width), np.uint8)
    if form == "png" and behind is None:
        return _palette_png(nothing, {0: (0, 0, 0, 0)})
    return encode(np.zeros((3, height, width), np.uint8), nothing, form, behind)


@lru_cache(maxsize=32)
def scale(name: str) -> NDArray[np.uint8]:
    """The colours of a colour map, RGBA (:data:`STEPS`, 4)."""
    table: Any = cmap.get(name)
    colors: NDArray[np.uint8] = np.array([table[at] for at in sorted(table)], np.uint8)
    chosen: NDArray[np.uint8] = colors[np.linspace(0, len(colors) - 1, STEPS).round().astype(int)]
    return chosen


def ramp(name: str) -> list[str]:
    """The colours of a colour map from the least value to the greatest, as :data:`LEGEND` of CSS."""
    chosen = scale(name)[np.linspace(0, STEPS - 1, LEGEND).round().astype(int)]
    return ["#" + bytes(rgba[:3]).hex() for rgba in chosen]


def _index(cells: Cells, style: Style, profile: RasterProfile) -> Bytes:
    """1 … :data:`STEPS` for values, 0 for none."""
    low, high = _stored(style, profile, 0)
    values = cells.values.data[0].astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        parts = np.clip((values - np.float32(low)) * np.float32((STEPS - 1) / (high - low)), 0, STEPS - 1)
    index: Bytes = np.nan_to_num(parts).round().astype(np.uint8) + np.uint8(1)
    index[cells.opacity == 0] = 0
    return index


def _stored(style: Style, profile: RasterProfile, at: int) -> tuple[float, float]:
    """The limits of a band as its values are stored."""
    band = profile.numbered(style.bands[at])
    low, high = style.ranges[at]
    return (low - band.offset) / band.scale, (high - band.offset) / band.scale


def _indexed(index: Bytes, colormap: str, opacity: Bytes, form: Format, behind: Rgb | None) -> bytes:
    colors = scale(colormap)
    if form == "png" and behind is None and not np.any((opacity > 0) & (opacity < 255)):
        table: dict[int, Rgba] = {0: (0, 0, 0, 0)}
        table |= {at + 1: (int(r), int(g), int(b), int(a)) for at, (r, g, b, a) in enumerate(colors)}
        return _palette_png(index, table)
    rgba = np.concatenate([np.zeros((1, 4), np.uint8), colors])[index].transpose(2, 0, 1)
    return encode(rgba[:3], np.minimum(rgba[3], opacity), form, behind)


def _palette_png(index: Bytes, table: Mapping[int, Rgba]) -> bytes:
    """One byte a cell: a third of the time and of the bytes that colours take."""
    height, width = index.shape
    driver, options = OPTIONS["png"]
    with MemoryFile() as file:
        size = {"width": width, "height": height, "count": 1, "dtype": "uint8", "transform": _SOMEWHERE}
        with file.open(driver=driver, **size, **options) as out:
            out.write(index, 1)
            out.write_colormap(1, table)
        return bytes(file.read())


def _own_colors(cells: Cells, profile: RasterProfile, form: Format, behind: Rgb | None) -> bytes:
    """By the file's palette; a value that it does not name is transparent."""
    values = cells.values.data[0].astype(np.int64)
    palette = profile.palette or {}
    table = np.zeros((max(palette, default=0) + 1, 4), np.uint8)
    for value, color in palette.items():
        table[value] = color
    known = (values >= 0) & (values < len(table))
    rgba = table[np.where(known, values, 0)].transpose(2, 0, 1)
    opacity = np.where(known, np.minimum(rgba[3], cells.opacity), 0).astype(np.uint8)
    return encode(rgba[:3], opacity, form, behind)


def _rgb(cells: Cells, style: Style, profile: RasterProfile) -> Bytes:
    values = cells.values.data
    if not style.ranges:
        return np.asarray(values, np.uint8)
    out = np.empty(values.shape, np.uint8)
    for at in range(3):
        low, high = _stored(style, profile, at)
        with np.errstate(invalid="ignore", over="ignore"):
            parts = np.clip((values[at].astype(np.float32) - low) * (255 / (high - low)), 0, 255)
        out[at] = np.nan_to_num(parts).round()
    return out


def _shaded(
    cells: Cells, style: Style, profile: RasterProfile, cell: float, form: Format, behind: Rgb | None
) -> bytes:
    band = profile.numbered(style.bands[0])
    heights = cells.values.data[0].astype(np.float64) * band.scale + band.offset
    shade = hillshade(heights, np.ma.getmaskarray(cells.values)[0], cell)
    inner = Cells(cells.values[:, 1:-1, 1:-1], np.ascontiguousarray(cells.opacity[1:-1, 1:-1]))
    if not style.colormap:
        index = (shade.astype(np.uint16) * (STEPS - 1) // 255 + 1).astype(np.uint8)
        index[inner.opacity == 0] = 0
        return _indexed(index, "gray", inner.opacity, form, behind)
    rgba = scale(style.colormap)[np.maximum(_index(inner, style, profile), 1) - 1].transpose(2, 0, 1)
    rgb = (rgba[:3].astype(np.uint16) * shade // 255).astype(np.uint8)
    return encode(rgb, np.minimum(rgba[3], inner.opacity), form, behind)

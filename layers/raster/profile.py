"""What a raster is: its bands, its colours, how fine it is, where it lies and where its values lie. All of it
is in the file (GDAL's raster data model)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layers.raster import grid
from layers.raster.bands import Band, bands
from layers.types import Bbox, Form

if TYPE_CHECKING:
    from rasterio import DatasetReader

type Rgba = tuple[int, int, int, int]

#: Cells a side of the picture of a raster by which its values are known.
SAMPLED = 256
#: Between these shares (%) of the values lies what a picture of them shows.
SHARES = (2.0, 98.0)
#: Equatorial circumference of the WGS 84 ellipsoid (m), and cells a side of a tile.
CIRCUMFERENCE, TILE = 2 * math.pi * 6_378_137.0, 256
#: The deepest zoom of any tile matrix set here.
DEEPEST = 24
#: Parts of a zoom by which cells may be finer than those of its tiles.
_FINER = 0.1


@dataclass(frozen=True, slots=True)
class BandValues:
    """Where the values of a band lie.

    A value is what is stored × ``scale`` + ``offset``. ``least`` and ``most`` hold all values, ``low`` and
    ``high`` most of them (:data:`SHARES`); NaN where there is no value."""

    band: Band
    scale: float
    offset: float
    least: float
    most: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RasterProfile:
    """What is true of a whole raster: ``bands`` without those that are masks; ``colors`` the numbers of red,
    green and blue, ``palette`` the colours of single values, where it has them; ``bounds`` in lon/lat, west >
    east across the antimeridian; ``zoom`` of WebMercatorQuad at which no cell is lost;
    ``cell`` the side of a cell (m)."""

    bands: tuple[BandValues, ...]
    colors: tuple[int, int, int] | None
    palette: Mapping[int, Rgba] | None
    bounds: Bbox
    zoom: int
    cell: float

    @property
    def continuous(self) -> bool:
        """Whether what lies between two cells has a value between theirs. The values of a palette are names
        of colours; those of eight bits are colours or classes, and a file does not say which."""
        return self.palette is None and self.bands[0].band.dtype not in ("uint8", "int8", "bool")

    def smooth(self, form: Form) -> bool:
        """Whether values are interpolated between the cells of a layer of that form: heights always are."""
        return self.continuous or form == "surface"

    def named(self, name: str) -> BandValues | None:
        """The band of a name or number, or None."""
        return next((one for one in self.bands if name in (one.band.name, str(one.band.index))), None)

    def numbered(self, index: int) -> BandValues:
        """The band of a number that it has."""
        return next(one for one in self.bands if one.band.index == index)


def profile(dataset: DatasetReader) -> RasterProfile:
    """The profile of an open raster; reads a picture of :data:`SAMPLED` cells a side. Raises
    RasterioIOError."""
    from rasterio.enums import ColorInterp

    means = dict(zip(dataset.indexes, dataset.colorinterp, strict=True))
    known = bands(dataset)
    rgb = [
        next((one.index for one in known if means[one.index] == color), 0)
        for color in (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    ]
    bounds, side = grid.lonlat(dataset.crs, tuple(dataset.bounds)), _cell(dataset)
    return RasterProfile(
        tuple(_values(dataset, known)),
        (rgb[0], rgb[1], rgb[2]) if all(rgb) else None,
        _palette(dataset) if means[known[0].index] == ColorInterp.palette else None,
        bounds,
        _zoom(side),
        side * math.cos(math.radians((bounds[1] + bounds[3]) / 2)),
    )


def _values(dataset: DatasetReader, known: Sequence[Band]) -> Iterator[BandValues]:
    scale = max(1.0, max(dataset.width, dataset.height) / SAMPLED)
    shape = max(1, round(dataset.height / scale)), max(1, round(dataset.width / scale))
    for band in known:
        picture = dataset.read(band.index, out_shape=shape, masked=True)
        values = np.ma.masked_invalid(picture).compressed().astype(np.float64)
        factor, offset = dataset.scales[band.index - 1], dataset.offsets[band.index - 1]
        tags = dataset.tags(band.index)
        held = (values.min(), values.max()) if len(values) else (math.nan, math.nan)
        ends = (
            _number(tags.get("STATISTICS_MINIMUM"), held[0]),
            _number(tags.get("STATISTICS_MAXIMUM"), held[1]),
        )
        most_of_them = np.percentile(values, SHARES).tolist() if len(values) else held
        least, most = sorted(float(end) * factor + offset for end in ends)
        low, high = sorted(float(end) * factor + offset for end in most_of_them)
        yield BandValues(band, factor, offset, least, most, low, high)


def _number(text: Any, otherwise: float) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return float(otherwise)
    return value if math.isfinite(value) else float(otherwise)


def _palette(dataset: DatasetReader) -> Mapping[int, Rgba] | None:
    try:
        return dict(dataset.colormap(1))
    except ValueError:
        return None


def _cell(dataset: DatasetReader) -> float:
    """The side of the cell in the middle, in units of Web Mercator."""
    from rasterio.warp import transform

    col, row = dataset.width / 2, dataset.height / 2
    corners = [dataset.transform @ at for at in ((col, row), (col + 1, row), (col, row + 1))]
    x, y = transform(dataset.crs, "EPSG:3857", [c[0] for c in corners], [c[1] for c in corners])[:2]
    half = CIRCUMFERENCE / 2  # two places beside each other may lie on both ends of the projection
    sides = [math.hypot((x[i] - x[0] + half) % CIRCUMFERENCE - half, y[i] - y[0]) for i in (1, 2)]
    return min((side for side in sides if math.isfinite(side) and side > 0), default=CIRCUMFERENCE)


def _zoom(cell: float) -> int:
    """The zoom whose tiles are as fine as a cell."""
    return min(max(math.ceil(math.log2(CIRCUMFERENCE / TILE / cell) - _FINER), 0), DEEPEST)

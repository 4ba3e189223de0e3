"""Small rasters for the tests of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

#: The upper left corner of what is made, in UTM 31N.
EAST, NORTH, CELL = 378_000.0, 4_707_000.0, 10.0


def hills(rows: int = 40, columns: int = 60, *, low: float = 900, high: float = 1400) -> NDArray[np.float32]:
    """Smooth heights (rows, columns) between two, of which no two neighbours are equal."""
    y, x = np.mgrid[0:rows, 0:columns]
    wave = (np.sin(x / 7.3) + np.cos(y / 5.1) + 2) / 4
    return (low + (high - low) * wave).astype(np.float32)


def picture(rows: int = 40, columns: int = 60) -> NDArray[np.uint8]:
    """Red, green and blue (3, rows, columns)."""
    y, x = np.mgrid[0:rows, 0:columns]
    return np.stack([x * 4 % 256, y * 6 % 256, (x + y) * 2 % 256]).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a raster says of its bands."""

    names: Sequence[str] = ()
    units: Sequence[str] = ()
    colors: Sequence[ColorInterp] = ()
    palette: Mapping[int, tuple[int, int, int, int]] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def write(
    path: Path, cells: NDArray[Any], driver: str = "GTiff", told: Words = Words(), **profile: Any
) -> Path:
    """Write cells (bands, rows, columns) or (rows, columns) as a raster at EAST, NORTH, in a folder that may
    have to be made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = cells[None] if cells.ndim == 2 else cells
    count, height, width = bands.shape
    words: dict[str, Any] = {
        "driver": driver,
        "width": width,
        "height": height,
        "count": count,
        "dtype": bands.dtype.name,
        "crs": "EPSG:32631",
        "transform": from_origin(EAST, NORTH, CELL, CELL),
    }
    if count == 3 and driver == "GTiff":
        words["photometric"] = "RGB"
    known = {name: value for name, value in (words | profile).items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **known) as out:
            if told.colors:
                out.colorinterp = told.colors
            out.write(bands)
            if told.palette:
                out.write_colormap(1, told.palette)
            for number, name in enumerate(told.names, 1):
                out.set_band_description(number, name)
            for number, unit in enumerate(told.units, 1):
                out.set_band_unit(number, unit)
            out.update_tags(1, **told.tags)
    return path

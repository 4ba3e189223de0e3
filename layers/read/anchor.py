"""Where a model without a place of its own lies: a point of the earth, how the model is turned about it, the
unit of its numbers and which of its axes points up.

It is declared with the options of a load, or in ``NAME.anchor.yml`` beside the file ``NAME.*``::

    point: [6.0971, 49.6283, 293.7]   # longitude, latitude, height (m); x and y where crs is a grid
    crs: EPSG:9897                    # of the point; left out: longitude and latitude of WGS 84
    rotation: 19                      # degrees clockwise from north to the model's y (z up) or -z (y up)
    unit: mm                          # m, cm, mm, km, ft, us-ft, in
    up: y                             # z or y
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from layers import strict
from layers.errors import BadConfig, BadFile, NotFound, shown
from layers.source import Declared

type Floats = NDArray[np.float64]

#: Metres of the units that models have.
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": 0.3048, "us-ft": 1200 / 3937, "in": 0.0254}
LONLAT = "EPSG:4326"
ENDING = ".anchor.yml"
_FORM = "--anchor LON,LAT[,HEIGHT], or X,Y[,HEIGHT] with a grid as --crs"


class _File(strict.Strict):
    point: Annotated[tuple[float, ...], Field(min_length=2, max_length=3)]
    crs: str | None = None
    rotation: float = 0.0
    unit: Literal["m", "cm", "mm", "km", "ft", "us-ft", "in"] | None = None
    up: Literal["z", "y"] | None = None

    @model_validator(mode="after")
    def _on_earth(self) -> _File:
        if self.crs is None and not _on_earth(self.point):
            raise strict.At(("point",), "no longitude and latitude; name the CRS of x and y with crs")
        return self


@dataclass(frozen=True, slots=True)
class Anchor:
    """The origin of a model lies at ``point`` (x, y in ``crs``, height in metres), its y axis, seen from
    above, points ``rotation`` degrees clockwise from north, of a grid from the grid's. ``unit`` are metres of
    a number of the model, ``up`` its upright axis; each None where the model itself decides."""

    point: tuple[float, float, float]
    crs: str = LONLAT
    rotation: float = 0.0
    unit: float | None = None
    up: Literal["z", "y"] | None = None

    def placed(self, positions: Floats) -> Floats:
        """Positions (n, 3) in metres, z up, as x, y in the units of the CRS and height in metres.

        About a longitude and latitude they lie on a transverse Mercator plane that is true there.
        Raises BadFile crs.unknown, anchor.unreadable."""
        turn = np.radians(self.rotation)
        x = positions[:, 0] * np.cos(turn) + positions[:, 1] * np.sin(turn)
        y = positions[:, 1] * np.cos(turn) - positions[:, 0] * np.sin(turn)
        height = positions[:, 2] + self.point[2]
        import pyproj

        from layers import crs

        grid = crs.definition(self.crs)
        if grid.is_geographic:
            if not _on_earth(self.point):
                reason = (
                    f"{self.point[0]:g}, {self.point[1]:g} is no longitude and latitude of {shown(self.crs)}"
                )
                raise BadFile("anchor.unreadable", reason)
            ellipsoid = grid.ellipsoid
            assert ellipsoid is not None
            plane = pyproj.Proj(
                proj="tmerc",
                lon_0=self.point[0],
                lat_0=self.point[1],
                a=ellipsoid.semi_major_metre,
                b=ellipsoid.semi_minor_metre,
            )
            return np.column_stack([*plane(x, y, inverse=True), height])
        unit = grid.axis_info[0].unit_conversion_factor
        return np.column_stack([self.point[0] + x / unit, self.point[1] + y / unit, height])

    def metres(self, positions: Floats) -> Floats:
        """Positions (n, 3) as the model has them in metres, z up."""
        scaled = positions * (self.unit or 1.0)
        return scaled if self.up != "y" else np.column_stack([scaled[:, 0], -scaled[:, 2], scaled[:, 1]])


def of(path: Path, declared: Declared) -> Anchor | None:
    """The anchor that was declared with options, else that of the file beside a source, else None.

    Raises BadFile anchor.unreadable."""
    if declared.anchor is not None:
        return _declared(declared)
    lost = [name for name in ("rotation", "unit", "up") if getattr(declared, name) is not None]
    if lost:
        raise BadFile("anchor.unreadable", f"--{lost[0]} goes with --anchor")
    file = path.with_name(path.stem + ENDING)
    try:
        read = strict.read(file, _File)
    except NotFound:
        return None
    except BadConfig as error:
        raise BadFile("anchor.unreadable", str(error)) from error
    unit = UNITS[read.unit] if read.unit else None
    return Anchor(_three(read.point), declared.crs or read.crs or LONLAT, read.rotation, unit, read.up)


def _declared(declared: Declared) -> Anchor:
    try:
        point = tuple(float(part) for part in (declared.anchor or "").split(","))
    except ValueError:
        point = ()
    if len(point) not in (2, 3) or not np.isfinite(point).all():
        raise BadFile("anchor.unreadable", f"{shown(declared.anchor)} is no point: {_FORM}")
    if declared.crs is None and not _on_earth(point):
        raise BadFile("anchor.unreadable", f"{shown(declared.anchor)} is no longitude and latitude: {_FORM}")
    if declared.unit is not None and declared.unit not in UNITS:
        raise BadFile("anchor.unreadable", f"{shown(declared.unit)} is none of the units {', '.join(UNITS)}")
    if declared.up not in (None, "y", "z"):
        raise BadFile("anchor.unreadable", f"{shown(declared.up)} is no upright axis: --up z or y")
    if not np.isfinite(declared.rotation or 0.0):
        raise BadFile("anchor.unreadable", "--rotation is no finite number of degrees")
    unit = UNITS[declared.unit] if declared.unit else None
    return Anchor(_three(point), declared.crs or LONLAT, declared.rotation or 0.0, unit, declared.up)  # type: ignore[arg-type]


def _on_earth(point: tuple[float, ...]) -> bool:
    return abs(point[0]) <= 180 and abs(point[1]) <= 90


def _three(point: tuple[float, ...]) -> tuple[float, float, float]:
    return point[0], point[1], point[2] if len(point) > 2 else 0.0

"""Bounding volumes of 3D Tiles (OGC 22-025r4, 6.7.1.4): where they lie, and which lies in which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import BadFile
from layers.types import Bbox

type Floats = NDArray[np.float64]

#: How many numbers each has.
LENGTHS = {"box": 12, "region": 6, "sphere": 4}
KINDS = tuple(LENGTHS)
_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
#: The Earth's smallest radius (m), less what lies under ground anywhere, and its largest with mountains.
_LEAST, _MOST = 6_340_000.0, 6_400_000.0
#: A box may be beyond the one around it by so much of that one's size, and by so many metres: programs round.
SLACK, METRES = 0.01, 0.05


def read(raw: object) -> tuple[str, list[float]] | None:
    """The kind and the numbers of a volume; None where it has another extension's form alone.

    Raises BadFile tileset.damaged."""
    if not isinstance(raw, Mapping):
        raise BadFile("tileset.damaged", "a tile has no boundingVolume")
    for kind, length in LENGTHS.items():
        numbers = raw.get(kind)
        if numbers is None:
            continue
        if not isinstance(numbers, list) or len(numbers) != length or not finite(numbers):
            raise BadFile("tileset.damaged", f"a {kind} of a boundingVolume is not {length} numbers")
        return kind, [float(number) for number in numbers]
    return None


def finite(numbers: Sequence[object]) -> bool:
    """Whether these are numbers that can be meant."""
    return all(isinstance(one, int | float) and type(one) is not bool and abs(one) < 1e12 for one in numbers)


def points(kind: str, numbers: Floats, frames: Floats) -> Floats:
    """Corners (n, 8, 3) of volumes of one kind in geocentric metres: ``numbers`` (n, length), ``frames``
    (n, 4, 4) from the tile to the Earth; a region is on the Earth whatever the frame."""
    if kind == "region":
        return _ecef(_spread(numbers[:, [0, 1, 4]], numbers[:, [2, 3, 5]]))
    if kind == "sphere":
        local = numbers[:, None, :3] + _CORNERS * numbers[:, None, 3:]
    else:
        axes = numbers[:, 3:].reshape(-1, 3, 3)
        local = numbers[:, None, :3] + np.einsum("cj,njk->nck", _CORNERS, axes)
    return placed(local, frames)


def placed(local: Floats, frames: Floats) -> Floats:
    """Points (n, k, 3) by matrices (n, 4, 4)."""
    moved: Floats = np.einsum("nij,nkj->nki", frames[:, :3, :3], local) + frames[:, None, :3, 3]
    return moved


def on_earth(corners: Floats) -> bool:
    """Whether the middle of volumes (n, 8, 3) lies near the surface of the Earth."""
    distance = float(np.linalg.norm(corners.reshape(-1, 3).mean(axis=0)))
    size = float(np.linalg.norm(np.ptp(corners.reshape(-1, 3), axis=0)))
    return bool(_LEAST - size < distance < _MOST + size and distance > _LEAST / 2)


def around(corners: Floats) -> tuple[Bbox, float, float]:
    """The box in degrees of corners (n, 8, 3) on the Earth, and their lowest and highest height above the
    ellipsoid (m); the west is beyond the east where they lie across the antimeridian."""
    lon, lat, height = geodetic(corners.reshape(-1, 3)).T
    if np.ptp(lon) > 180:
        lon = np.where(lon < 0, lon + 360, lon)
    west, east = ((one + 180) % 360 - 180 for one in (float(lon.min()), float(lon.max())))
    return (west, float(lat.min()), east, float(lat.max())), float(height.min()), float(height.max())


def inside(kind: str, numbers: Floats, frames: Floats, corners: Floats) -> NDArray[np.bool_]:
    """Whether volumes of one kind hold the points (n, k, 3), each its own, give or take rounding."""
    if kind == "region":
        return _in_region(numbers, corners)
    middle = placed(numbers[:, None, :3], frames)
    away = corners - middle
    if kind == "sphere":
        scale = np.cbrt(np.abs(np.linalg.det(frames[:, :3, :3])))
        radius = numbers[:, 3] * scale
        held = np.linalg.norm(away, axis=2) <= (radius * (1 + SLACK) + METRES)[:, None]
        return np.asarray(held.all(axis=1))
    axes = np.einsum("nij,nkj->nki", frames[:, :3, :3], numbers[:, 3:].reshape(-1, 3, 3))
    length = np.linalg.norm(axes, axis=2)
    flat = length < 1e-9
    unit = axes / np.where(flat, 1.0, length)[..., None]
    along = np.abs(np.einsum("nkj,naj->nka", away, unit))
    held = (along <= (length * (1 + 2 * SLACK) + METRES)[:, None, :]) | flat[:, None, :]
    return np.asarray(held.all(axis=(1, 2)))


def _in_region(numbers: Floats, corners: Floats) -> NDArray[np.bool_]:
    lonlat = geodetic(corners.reshape(-1, 3)).reshape(corners.shape)
    west, south, east, north = np.degrees(numbers[:, :4]).T
    wide = np.where(east < west, east + 360, east) - west
    room = METRES / 50_000
    lon = (lonlat[..., 0] - west[:, None] + 180) % 360 - 180
    ok = (lon >= -(SLACK * wide + room)[:, None]) & (lon <= (wide * (1 + SLACK) + room)[:, None])
    high = (north - south) * SLACK + room
    ok &= (lonlat[..., 1] >= (south - high)[:, None]) & (lonlat[..., 1] <= (north + high)[:, None])
    # the chord between two corners lies lower than the arc
    sag = (np.radians(np.maximum(wide, north - south)) ** 2) * _MOST / 8
    tall = (numbers[:, 5] - numbers[:, 4]) * SLACK + METRES + sag
    ok &= (lonlat[..., 2] >= (numbers[:, 4] - tall)[:, None]) & (
        lonlat[..., 2] <= (numbers[:, 5] + tall)[:, None]
    )
    return np.asarray(ok.all(axis=1))


def _spread(low: Floats, high: Floats) -> Floats:
    """The corners (n, 8, 3) of longitudes and latitudes (radians) and heights."""
    high = high.copy()
    high[:, 0] = np.where(high[:, 0] < low[:, 0], high[:, 0] + 2 * np.pi, high[:, 0])
    share = (_CORNERS + 1) / 2
    made: Floats = low[:, None, :] + share * (high - low)[:, None, :]
    made[..., :2] = np.degrees(made[..., :2])
    return made


def _transform(forth: str, back: str) -> Any:
    from pyproj import Transformer

    return Transformer.from_crs(forth, back, always_xy=True)


def _ecef(places: Floats) -> Floats:
    flat = places.reshape(-1, 3)
    made = np.column_stack(_transform("EPSG:4979", "EPSG:4978").transform(*flat.T))
    return made.reshape(places.shape)


def geodetic(positions: Floats) -> Floats:
    """Longitude, latitude (degrees) and ellipsoidal height (n, 3) of geocentric positions (n, 3)."""
    return np.column_stack(_transform("EPSG:4978", "EPSG:4979").transform(*positions.T))


def frame_of(lonlat: Floats) -> Floats:
    """The matrix (4, 4) that carries a model of which origin, x, y and z axis end at four places (longitude,
    latitude, height; 4, 3) to geocentric metres."""
    origin, *ends = _ecef(np.asarray(lonlat, float))
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([end - origin for end in ends])
    matrix[:3, 3] = origin
    return matrix

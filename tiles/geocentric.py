"""Placing longitude, latitude and height on the Earth: geocentric coordinates of WGS 84 (EPSG:4978)."""

from __future__ import annotations

import numpy as np

from tiles.scheme import Floats

#: WGS 84 ellipsoid (EPSG:7030): semi-major axis (m) and first eccentricity squared.
A = 6_378_137.0
_F = 1 / 298.257223563
E2 = _F * (2 - _F)


def ecef(lon: Floats, lat: Floats, height: Floats | float) -> Floats:
    """Geocentric X, Y, Z (n, 3) in metres of degrees and ellipsoidal heights (OGC GML 3.2 / EPSG 9602)."""
    lam, phi = np.radians(lon), np.radians(lat)
    sin, cos = np.sin(phi), np.cos(phi)
    normal = A / np.sqrt(1 - E2 * sin * sin)
    across = (normal + height) * cos
    return np.stack([across * np.cos(lam), across * np.sin(lam), (normal * (1 - E2) + height) * sin], axis=-1)


def geodetic(points: Floats) -> tuple[Floats, Floats, Floats]:
    """Longitude and latitude (degrees) and ellipsoidal height (m) of geocentric points (n, 3): Bowring 1976,
    to the micrometre for whatever is near the surface."""
    x, y, z = points.T
    across = np.hypot(x, y)
    minor = A * (1 - _F)
    slant = np.arctan2(z * A, across * minor)
    sin, cos = np.sin(slant), np.cos(slant)
    phi = np.arctan2(z + E2 / (1 - E2) * minor * sin**3, across - E2 * A * cos**3)
    height = across * np.cos(phi) + z * np.sin(phi) - A * np.sqrt(1 - E2 * np.sin(phi) ** 2)
    return np.degrees(np.arctan2(y, x)), np.degrees(phi), height


def up(lon: Floats, lat: Floats) -> Floats:
    """Unit vectors (n, 3) along the ellipsoid's normal."""
    lam, phi = np.radians(lon), np.radians(lat)
    cos = np.cos(phi)
    return np.stack([cos * np.cos(lam), cos * np.sin(lam), np.sin(phi)], axis=-1)


def axes(lon: float, lat: float) -> Floats:
    """East, north and up at a place in degrees, as the columns of a matrix (3, 3)."""
    upwards = up(np.array([lon]), np.array([lat]))[0]
    east = np.array([-np.sin(np.radians(lon)), np.cos(np.radians(lon)), 0.0])
    return np.column_stack([east, np.cross(upwards, east), upwards])


def radians_of_metres(phi: float) -> tuple[float, float]:
    """How many radians of longitude and of latitude a metre is, at a latitude in radians."""
    rest = 1 - E2 * np.sin(phi) ** 2
    across, along = A / np.sqrt(rest), A * (1 - E2) / rest**1.5
    return float(1 / (across * max(np.cos(phi), 1e-9))), float(1 / along)


def y_up(points: Floats) -> Floats:
    """Vectors in the axes of glTF: a 3D Tiles client turns content by y → z (3D Tiles 1.1, 6.7.1.6)."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)

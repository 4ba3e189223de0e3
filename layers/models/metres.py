"""Degrees as metres, near a place: good to a millimetre over a few hundred metres."""

from __future__ import annotations

import math

#: WGS 84: half the larger axis (m), and the square of the first eccentricity.
_A, _E2 = 6_378_137.0, 0.006_694_379_990_141_3


def of_degrees(lat: float) -> tuple[float, float]:
    """Metres of a degree of longitude and of one of latitude on the ellipsoid (WGS 84): the radii of
    curvature in the prime vertical and in the meridian."""
    sine = math.sin(math.radians(lat))
    root = math.sqrt(1 - _E2 * sine * sine)
    east = _A / root * max(math.cos(math.radians(lat)), 1e-9)
    north = _A * (1 - _E2) / root**3
    return math.radians(east), math.radians(north)

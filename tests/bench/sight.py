"""What a client fetches of a tileset to show a view: the traversal of CesiumJS (Cesium3DTilesetTraversal),
without its caches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles import geocentric

#: Pixels of a screen, the greatest error that is shown of them, and the angle (degrees) of its longer side.
WIDTH, HEIGHT, MOST_ERROR, ANGLE = 1920, 1080, 16.0, 60.0


@dataclass(frozen=True, slots=True)
class Eye:
    """Where one looks from: geocentric metres (3,), and the axes (3, 3) ahead, right and up as rows."""

    place: NDArray[np.float64]
    axes: NDArray[np.float64]

    @classmethod
    def at(cls, lon: float, lat: float, distance: float, pitch: float) -> Eye:
        """An eye so many metres from a place (degrees), that looks at it from the south, down by an angle."""
        east, north, up = geocentric.axes(lon, lat).T
        down = np.radians(pitch)
        ahead = np.cos(down) * north - np.sin(down) * up
        target = geocentric.ecef(np.array(lon), np.array(lat), np.array(0.0))
        return cls(target - distance * ahead, np.stack([ahead, east, np.cross(east, ahead)]))

    def fetched(self, document: dict[str, Any]) -> Iterator[str]:
        """The addresses of the contents that are shown."""
        across = np.tan(np.radians(ANGLE / 2))
        waiting = [document["root"]]
        while waiting:
            tile = waiting.pop()
            corners = _corners(tile["boundingVolume"]["region"])
            if not self._sees(corners, across):
                continue
            away = self._distance(corners)
            pixels = tile["geometricError"] * WIDTH / (2 * across * max(away, 1e-3))
            below = tile.get("children", []) if pixels > MOST_ERROR else []
            if "content" in tile and not (below and tile.get("refine") == "REPLACE"):
                yield tile["content"]["uri"]
            waiting += below

    def _sees(self, corners: NDArray[np.float64], across: float) -> bool:
        """Whether a body of these corners (8, 3) is before the eye, and on the screen."""
        ahead, right, up = ((corners - self.place) @ self.axes.T).T
        high = across * HEIGHT / WIDTH
        sides = ahead, ahead * across - right, ahead * across + right, ahead * high - up, ahead * high + up
        return all(bool((side > 0).any()) for side in sides)

    def _distance(self, corners: NDArray[np.float64]) -> float:
        """How far (m) the eye is from the box of some corners, upright at their middle."""
        middle = corners.mean(axis=0)
        lon, lat, _ = geocentric.geodetic(middle[None])
        turned = geocentric.axes(float(lon[0]), float(lat[0]))
        own, eye = (corners - middle) @ turned, (self.place - middle) @ turned
        outside = np.maximum(np.maximum(own.min(axis=0) - eye, eye - own.max(axis=0)), 0)
        return float(np.linalg.norm(outside))


def _corners(region: list[float]) -> NDArray[np.float64]:
    west, south, east, north, low, high = region
    lon, lat, height = np.meshgrid(np.degrees([west, east]), np.degrees([south, north]), [low, high])
    return geocentric.ecef(lon.ravel(), lat.ravel(), height.ravel())

"""Where faces are measured: in metres about their middle, also those whose coordinates are degrees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.errors import BadFile
from layers.read.faces import Faces, Shell, footprint, infer, triangulated

type Floats = NDArray[np.float64]

#: Metres of a degree of latitude, and of longitude at the equator; good to some per mille everywhere, which
#: is enough to tell what has an area.
_LATITUDE_M, _LONGITUDE_M = 111_132.0, 111_320.0


@dataclass(frozen=True, slots=True)
class ShellBody:
    """What the faces of a geometry make: a body and the footprint below it, both in the source CRS."""

    shell: Shell
    footprint: shapely.Geometry | None
    #: Faces that have no area, and whether its surfaces were told apart by their slope.
    lost: int
    inferred: bool


def is_degrees(crs: str | None) -> bool:
    """Whether a CRS, as a file or its owner names it, has degrees."""
    if crs is None:
        return False
    from layers.crs import is_geographic

    try:
        return is_geographic(crs)
    except BadFile:
        return False


def body(faces: Faces, vertices: Floats, *, degrees: bool, solid: bool) -> ShellBody:
    """Triangles and footprint of faces over vertices (n, 3) of the source CRS. ``solid``: where no surface is
    named, roof, wall and ground are told by their slope.

    Raises ValueError, IndexError, OverflowError or TypeError when an index is not one of a vertex."""
    origin, scale = _frame(vertices) if degrees else (np.zeros(3), np.ones(3))
    shell, lost = triangulated(faces, (vertices - origin) * scale if degrees else vertices)
    if not len(shell.triangles):
        return ShellBody(shell, None, lost, False)
    inferred = solid and not faces.semantic
    if inferred:
        shell = infer(shell)
    base = footprint(shell)
    if degrees:
        shell = replace(shell, positions=shell.positions / scale + origin)
        if base is not None:
            base = shapely.transform(base, lambda xy: xy / scale[:2] + origin[:2])
    return ShellBody(shell, base, lost, inferred)


def metres_of_degrees(at: Floats) -> Floats:
    """Metres of a degree of longitude, of one of latitude and of a metre of height, at (lon, lat, z)."""
    shrunk = max(float(np.cos(np.radians(at[1]))), 1e-6)
    return np.array([_LONGITUDE_M * shrunk, _LATITUDE_M, 1.0])


def _frame(vertices: Floats) -> tuple[Floats, Floats]:
    finite = vertices[np.isfinite(vertices).all(axis=1)]
    origin = np.append(finite[:, :2].mean(axis=0) if len(finite) else np.zeros(2), 0.0)
    return origin, metres_of_degrees(origin)

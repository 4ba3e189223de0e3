"""Where faces are measured: in metres about their middle, also those whose coordinates are degrees."""

from __future__ import annotations

from collections.abc import Sequence
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
    return bodies([FacesOf(faces, vertices, solid)], degrees=degrees)[0]


@dataclass(frozen=True, slots=True)
class FacesOf:
    """The faces of one body over vertices (n, 3) of the source CRS; see :func:`body`."""

    faces: Faces
    vertices: Floats
    solid: bool


def bodies(several: Sequence[FacesOf], *, degrees: bool) -> list[ShellBody]:
    """:func:`body` of several, all of them together: arrays of a single body are too short to pay."""
    frames = [_frame(one.vertices) if degrees else (np.zeros(3), np.ones(3)) for one in several]
    scaled = [
        (one.vertices - frame[0]) * frame[1] if degrees else one.vertices
        for one, frame in zip(several, frames, strict=True)
    ]
    shells, lost = triangulated([one.faces for one in several], scaled)
    inferred = [one.solid and not one.faces.semantic for one in several]
    shells = infer(shells, inferred)
    made: list[ShellBody] = []
    for shell, gone, guessed, frame in zip(shells, lost, inferred, frames, strict=True):
        if not len(shell.triangles):
            made.append(ShellBody(shell, None, gone, False))
            continue
        base = footprint(shell)
        if degrees:
            origin, scale = frame
            shell = replace(shell, positions=shell.positions / scale + origin)
            if base is not None:
                base = shapely.transform(base, lambda xy, o=origin, s=scale: xy / s[:2] + o[:2])
        made.append(ShellBody(shell, base, gone, guessed))
    return made


def metres_of_degrees(at: Floats) -> Floats:
    """Metres of a degree of longitude, of one of latitude and of a metre of height, at (lon, lat, z)."""
    shrunk = max(float(np.cos(np.radians(at[1]))), 1e-6)
    return np.array([_LONGITUDE_M * shrunk, _LATITUDE_M, 1.0])


def instanced(shape: Floats, matrix: Floats, point: Floats, *, degrees: bool) -> Floats:
    """Positions (n, 3) of a shape in metres, turned by a matrix (4, 4) and moved to a point of the CRS.

    So stand implicit geometries of CityGML and templates of CityJSON."""
    moved = shape @ matrix[:3, :3].T + matrix[:3, 3]
    return np.asarray(point + (moved / metres_of_degrees(point) if degrees else moved))


def _frame(vertices: Floats) -> tuple[Floats, Floats]:
    finite = vertices[np.isfinite(vertices).all(axis=1)]
    origin = np.append(finite[:, :2].mean(axis=0) if len(finite) else np.zeros(2), 0.0)
    return origin, metres_of_degrees(origin)

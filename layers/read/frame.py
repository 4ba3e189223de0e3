"""Where faces are measured: in metres about their middle, also those whose coordinates are degrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.errors import BadFile
from layers.read.faces import Bodies, Faces, Shell, footprints, gathered, infer, triangles

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]

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
    #: The heights of its lowest and its highest position, where it has some.
    span: tuple[float, float] | None = None


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
    every = gathered([one.faces for one in several], [one.vertices for one in several])
    return shells(every, [one.solid and not one.faces.semantic for one in several], degrees=degrees)


def shells(every: Bodies, inferred: Sequence[bool], *, degrees: bool) -> list[ShellBody]:
    """Bodies and footprints of gathered faces; those ``inferred`` have surfaces told apart by their slope."""
    of = np.repeat(np.arange(len(every.of_vertices)), every.of_vertices)
    origins, scales = frames(every.vertices, of, len(every.of_vertices))
    if degrees:
        every = replace(every, vertices=(every.vertices - origins[of]) * scales[of])
    made = triangles(every)
    made = replace(made, shells=infer(made.shells, inferred))
    bases = footprints(every, made)
    if degrees:
        bases = _moved(bases, origins, scales)
    out: list[ShellBody] = []
    spans = _spans(made.shells)
    for k, (shell, lost, guessed, base, span) in enumerate(
        zip(made.shells, made.lost, inferred, bases, spans, strict=True)
    ):
        if span is None:
            out.append(ShellBody(shell, None, lost, False))
            continue
        if degrees:
            shell = replace(shell, positions=shell.positions / scales[k] + origins[k])
        out.append(ShellBody(shell, base, lost, guessed, span))
    return out


def _spans(shells: Sequence[Shell]) -> list[tuple[float, float] | None]:
    """The lowest and the highest height of each body, None of one without triangles."""
    having = [k for k, one in enumerate(shells) if len(one.triangles)]
    out: list[tuple[float, float] | None] = [None] * len(shells)
    if having:
        heights = np.concatenate([shells[k].positions[:, 2] for k in having])
        counts = np.array([len(shells[k].positions) for k in having])
        begins = np.cumsum(counts) - counts
        low, high = np.minimum.reduceat(heights, begins), np.maximum.reduceat(heights, begins)
        for k, *span in zip(having, low.tolist(), high.tolist(), strict=True):
            out[k] = span[0], span[1]
    return out


def _moved(
    bases: Sequence[shapely.Geometry | None], origins: Floats, scales: Floats
) -> list[shapely.Geometry | None]:
    """Footprints in metres back in degrees."""
    shapes = np.array(bases, object)
    at, of = shapely.get_coordinates(shapes, return_index=True)
    return list(shapely.set_coordinates(shapes, at / scales[of, :2] + origins[of, :2]))


def metres_of_degrees(at: Floats) -> Floats:
    """Metres of a degree of longitude, of one of latitude and of a metre of height, at (lon, lat, z)."""
    shrunk = max(float(np.cos(np.radians(at[1]))), 1e-6)
    return np.array([_LONGITUDE_M * shrunk, _LATITUDE_M, 1.0])


def instanced(shape: Floats, matrix: Floats, point: Floats, *, degrees: bool) -> Floats:
    """Positions (n, 3) of a shape in metres, turned by a matrix (4, 4) and moved to a point of the CRS.

    So stand implicit geometries of CityGML and templates of CityJSON."""
    moved = shape @ matrix[:3, :3].T + matrix[:3, 3]
    return np.asarray(point + (moved / metres_of_degrees(point) if degrees else moved))


def frames(vertices: Floats, of: Indices, count: int) -> tuple[Floats, Floats]:
    """The middle (count, 3) of the finite vertices of each body, and the metres of a degree there."""
    finite = np.isfinite(vertices).all(axis=1)
    known = np.maximum(np.bincount(of[finite], minlength=count), 1)
    origins = np.zeros((count, 3))
    for axis in (0, 1):
        origins[:, axis] = np.bincount(of[finite], vertices[finite, axis], count) / known
    scales = np.ones((count, 3))
    scales[:, 0] = _LONGITUDE_M * np.maximum(np.cos(np.radians(origins[:, 1])), 1e-6)
    scales[:, 1] = _LATITUDE_M
    return origins, scales

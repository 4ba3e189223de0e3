"""What every body builder returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tiles.mesh import skin as skins
from tiles.mesh.skin import Skin
from tiles.scheme import Floats

#: How far (m) above or below ground a body reaches. One number beyond it, a slip or a wrong unit, would open
#: the volume of the whole layer and overflow the 32 bits of positions in a GLB: it counts as not known.
FAR = 12_000.0


@dataclass(frozen=True, slots=True)
class Body:
    """Triangles of several features.

    positions float64 (v, 3) geocentric metres; normals float64 (v, 3) unit vectors;
    triangles int64 (t, 3) counter-clockwise seen from outside; rows int64 (v,) the feature's
    row; surfaces uint8 (v,) one :class:`layers.mesh.Surface` a vertex; skin: what they belong to and look
    like, None where nothing says it."""

    positions: Floats
    normals: Floats
    triangles: NDArray[np.int64]
    rows: NDArray[np.int64]
    surfaces: NDArray[np.uint8]
    skin: Skin | None = None


def known(metres: Floats, else_: float) -> Floats:
    """Lengths as they are, and another where one is not known or beyond what a body reaches."""
    return np.where(np.abs(metres) <= FAR, metres, else_)


def empty() -> Body:
    """A body without a triangle."""
    return join([])


def join(bodies: Sequence[Body]) -> Body:
    """Several bodies as one."""
    shift = np.cumsum([0, *(len(body.positions) for body in bodies)])
    return Body(
        np.concatenate([np.empty((0, 3)), *(body.positions for body in bodies)]),
        np.concatenate([np.empty((0, 3)), *(body.normals for body in bodies)]),
        np.concatenate(
            [
                np.empty((0, 3), np.int64),
                *(body.triangles + by for body, by in zip(bodies, shift, strict=False)),
            ]
        ),
        np.concatenate([np.empty(0, np.int64), *(body.rows for body in bodies)]),
        np.concatenate([np.empty(0, np.uint8), *(body.surfaces for body in bodies)]),
        skins.join([body.skin for body in bodies], [len(body.positions) for body in bodies]),
    )


def renumber(body: Body, rows: NDArray[np.int64]) -> Body:
    """The body with its rows numbered by their place among some ascending rows, which hold them all."""
    return replace(body, rows=np.searchsorted(rows, body.rows))


def grouped(body: Body) -> Body:
    """The body, without a skin, with what belongs to one row together: neighbours repeat each other, which
    packs well within the reach of gzip."""
    order = np.argsort(body.rows, kind="stable")
    at = np.empty(len(order), np.int64)
    at[order] = np.arange(len(order))
    triangles = body.triangles[np.argsort(body.rows[body.triangles[:, 0]], kind="stable")]
    return Body(
        body.positions[order], body.normals[order], at[triangles], body.rows[order], body.surfaces[order]
    )


def unit(vectors: Floats) -> Floats:
    """Vectors of length 1; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def spread(start: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """start[i], start[i] + 1, … counts[i] times, one run after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    shift: NDArray[np.int64] = np.repeat(start - (ends - counts), counts)
    return np.arange(total) + shift

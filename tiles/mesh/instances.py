"""Bodies of one node that are the same but for where they stand and how they are turned: doors, windows and
furniture of a model, trees of a template. They are found in what is stored, whatever source it is from: a
file of 3D tiles may then hold each of them once (EXT_mesh_gpu_instancing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Mesh
from tiles import geocentric
from tiles.mesh.body import Body
from tiles.mesh.surface import surface
from tiles.scheme import Floats

#: Metres by which a vertex may lie elsewhere than where the first body's would be.
SAME = 0.001
#: Bytes of a vertex of a body (position, normal, id, colour), and that one place in a file costs; what has to
#: be saved for a body to be one by itself, which costs a draw of its own; and how many of them a node has.
_VERTEX, _PLACE, LEAST, MOST = 32, 40, 4096, 64
#: Different bodies that are sought among those of one kind and one size.
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Instances:
    """One body at several places.

    body: that of the first feature; origin float64 (3,): a point of it, geocentric metres; rows int64 (n,) of
    the features; rotations float64 (n, 3, 3) and places float64 (n, 3): a point ``p`` of ``body`` is at
    ``rotation @ (p - origin) + place``."""

    body: Body
    origin: Floats
    rows: NDArray[np.int64]
    rotations: Floats
    places: Floats


def found(meshes: Mapping[int, Mesh], lift: Mapping[int, float]) -> list[Instances]:
    """The bodies among meshes by row, each raised by ``lift`` metres, that are worth being drawn as one;
    those of most bytes first."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for row, mesh in meshes.items():
        if mesh.parts is None and len(mesh.triangles):
            alike.setdefault(_kind(mesh), []).append(row)
    made = [
        one for rows in alike.values() if _saved(meshes, rows) >= LEAST for one in _same(meshes, rows, lift)
    ]
    return sorted(made, key=lambda one: (-_saved(meshes, one.rows.tolist()), one.rows[0]))[:MOST]


def _kind(mesh: Mesh) -> tuple[object, ...]:
    """What is equal of equal bodies, wherever they are."""
    arrays = (mesh.triangles, mesh.surfaces, mesh.materials, mesh.uv)
    return (
        len(mesh.positions),
        mesh.material_table,
        *(None if array is None else array.tobytes() for array in arrays),
    )


def _saved(meshes: Mapping[int, Mesh], rows: list[int]) -> int:
    """Bytes of a file that these need not take, as one."""
    if not rows:
        return 0
    vertices = 3 * len(meshes[rows[0]].triangles)
    return (len(rows) - 1) * (vertices * _VERTEX - _PLACE)


def _same(meshes: Mapping[int, Mesh], rows: list[int], lift: Mapping[int, float]) -> list[Instances]:
    """Groups of those of some meshes of one kind that are the same."""
    points = np.stack([_points(meshes[row], lift[row]) for row in rows])
    about = points - points.mean(axis=1, keepdims=True)
    sizes = np.linalg.norm(about, axis=2).mean(axis=1)
    order = np.argsort(sizes, kind="stable")
    runs = np.split(order, np.flatnonzero(np.diff(sizes[order]) > 2 * SAME) + 1)
    made = []
    for run in runs:
        left = np.sort(run)
        for _ in range(_ROUNDS):
            if _saved(meshes, [rows[at] for at in left]) < LEAST:
                break
            rotations, middles, apart = _fitted(points[left])
            same = apart <= SAME
            chosen = [rows[at] for at in left[same]]
            if _saved(meshes, chosen) >= LEAST:
                body = surface({chosen[0]: meshes[chosen[0]]}, lift)
                made.append(Instances(body, middles[0], np.array(chosen), rotations[same], middles[same]))
            left = left[~same]
    return made


def _points(mesh: Mesh, lift: float) -> Floats:
    lon, lat, height = mesh.positions.T
    return geocentric.ecef(lon, lat, height + lift)


def _fitted(points: Floats) -> tuple[Floats, Floats, Floats]:
    """Rotations (n, 3, 3) that turn the first of n bodies of m points (n, m, 3) into the others about their
    middles (n, 3), and how far (n,) the farthest point is then from where it is.

    W. Kabsch, A solution for the best rotation to relate two sets of vectors, Acta Cryst. A32 (1976) 922."""
    middles = points.mean(axis=1)
    about = points - middles[:, None]
    u, _, vt = np.linalg.svd(np.einsum("mi,nmj->nij", about[0], about))
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]  # turned, not mirrored
    rotations = np.swapaxes(u @ vt, 1, 2)
    apart = np.abs(np.einsum("nij,mj->nmi", rotations, about[0]) - about).max(axis=(1, 2))
    return rotations, middles, apart


def quaternions(rotations: Floats) -> Floats:
    """Rotations (n, 3, 3) as unit quaternions x, y, z, w (n, 4), w >= 0.

    I. Y. Bar-Itzhack, New method for extracting the quaternion from a rotation matrix, J. Guidance 23 (2000)
    1085."""
    m = rotations
    k = np.empty((len(m), 4, 4))
    k[:, :3, :3] = m + np.swapaxes(m, 1, 2)
    trace = np.trace(m, axis1=1, axis2=2)
    k[:, range(3), range(3)] -= trace[:, None]
    k[:, :3, 3] = k[:, 3, :3] = np.stack(
        [m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], axis=1
    )
    k[:, 3, 3] = trace
    found = np.linalg.eigh(k)[1][:, :, -1]
    return np.asarray(np.where(found[:, 3:] < 0, -found, found))

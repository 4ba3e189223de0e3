"""What is wrong with a mesh, and what of it is put right: positions that are one become one, triangles
without area and doubled ones go, those that are turned against their neighbours or inwards are turned.

Positions are joined and areas measured by trimesh; what it asks networkx or scipy for (triangles that hang
together, how they are turned) is done here by arrays, a hundred times as fast as along a graph in Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layers.read.meshes.model import Floats, Indices

if TYPE_CHECKING:
    from trimesh import Trimesh

#: Positions nearer to one another than this (m) are one.
ONE_M = 1e-4
#: Triangles with less area than this (m2) are none.
_NO_AREA = 1e-10
_SIDES = 2
#: What a rule says of a body that breaks it so often.
FAULTS: Mapping[str, str] = {
    "mesh.doubled": "{} triangles are there twice, and once is drawn",
    "mesh.turned": "{} triangles were turned against their neighbours, and are turned back",
    "mesh.inverted": "{} closed pieces were inside out, and are turned outwards",
    "mesh.twisted": "{} pieces have no inside and outside, as a Möbius strip has none",
    "mesh.open": "{} edges belong to one triangle only: the body is open, and has no volume",
    "mesh.nonmanifold": "{} edges belong to more than two triangles: the body touches itself there",
    "mesh.pieces": "it is {} pieces that do not touch one another",
}


@dataclass(slots=True)
class Repaired:
    """Vertices (n, 3), triangles (m, 3), which of the given triangles these are, those of them that were
    turned, what was found, and whether it is closed."""

    vertices: Floats
    triangles: Indices
    kept: Indices
    turned: NDArray[np.bool_]
    faults: Counter[str]
    lost: int
    closed: bool


def repaired(vertices: Floats, triangles: Indices) -> Repaired:
    """A mesh in metres, repaired."""
    import trimesh

    mesh = trimesh.Trimesh(vertices, triangles, process=False, validate=False)
    mesh.merge_vertices(digits_vertex=round(-np.log10(ONE_M)))
    faults: Counter[str] = Counter()
    areas = mesh.area_faces
    faces = np.asarray(mesh.faces, np.int64)
    solid = (areas > _NO_AREA) & (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2])
    solid &= faces[:, 0] != faces[:, 2]
    kept = np.flatnonzero(solid)
    lost = len(faces) - len(kept)
    once = np.sort(np.unique(np.sort(faces[kept], axis=1), axis=0, return_index=True)[1])
    faults["mesh.doubled"] = len(kept) - len(once)
    kept = kept[once]
    if not len(kept):
        return Repaired(vertices, np.empty((0, 3), np.int64), kept, np.zeros(0, bool), +faults, lost, False)
    mesh = trimesh.Trimesh(mesh.vertices, faces[kept], process=False, validate=False)
    turned, closed = _wound(mesh, faults)
    out = np.array(mesh.faces, np.int64)
    out[turned] = out[turned][:, ::-1]
    return Repaired(np.asarray(mesh.vertices, np.float64), out, kept, turned, +faults, lost, closed)


def _wound(mesh: Trimesh, faults: Counter[str]) -> tuple[NDArray[np.bool_], bool]:
    """Which triangles are to be turned, and whether the mesh is closed; what is wrong is counted."""
    count = len(mesh.faces)
    edges = np.asarray(mesh.edges, np.int64)  # three a triangle, in its order
    low, high = edges.min(axis=1), edges.max(axis=1)
    order = np.lexsort((high, low))
    begins = np.flatnonzero(np.append(True, (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)))
    sides = np.diff(begins, append=len(order))
    faults["mesh.open"] = int((sides < _SIDES).sum())
    faults["mesh.nonmanifold"] = int((sides > _SIDES).sum())
    two = begins[sides == _SIDES]
    one, other = order[two], order[two + 1]
    pairs = np.column_stack([one // 3, other // 3])
    against = edges[one, 0] == edges[other, 0]  # both run the same way along their edge
    # each triangle as it is and turned: what hangs together goes with what fits to it
    second = pairs[:, 1] + np.where(against, count, 0)
    links = np.concatenate(
        [
            np.column_stack([pairs[:, 0], second]),
            np.column_stack([pairs[:, 0] + count, np.where(against, pairs[:, 1], pairs[:, 1] + count)]),
        ]
    )
    label = connected(links, 2 * count)
    plain, flipped = label[:count], label[count:]
    twisted = plain == flipped
    faults["mesh.twisted"] = len(np.unique(plain[twisted]))
    turned = (plain > flipped) & ~twisted
    piece = np.unique(np.minimum(plain, flipped), return_inverse=True)[1].reshape(-1)
    pieces = int(piece.max(initial=-1)) + 1
    # of a piece fewer are turned than stay
    many = np.bincount(piece, turned, pieces) > np.bincount(piece, minlength=pieces) / 2
    turned ^= many[piece] & ~twisted
    _outwards(mesh, piece, pieces, turned, order[sides.repeat(sides) < _SIDES] // 3, faults)
    touching = connected(np.column_stack([order[:-1] // 3, order[1:] // 3])[_same(begins, len(order))], count)
    apart = len(np.unique(touching))
    if apart > 1:
        faults["mesh.pieces"] = apart
    return turned, not faults["mesh.open"] and not faults["mesh.nonmanifold"]


def _same(begins: Indices, count: int) -> NDArray[np.bool_]:
    """Of each but the first in a sorted list whether it is the same as the one before."""
    out = np.ones(count, bool)
    out[begins] = False
    return out[1:]


def _outwards(
    mesh: Trimesh,
    piece: Indices,
    pieces: int,
    turned: NDArray[np.bool_],
    bordering: Indices,
    faults: Counter[str],
) -> None:
    """Turn closed pieces of negative volume, and count what was turned."""
    a, b, c = (np.asarray(mesh.triangles)[:, k] - mesh.vertices.mean(axis=0) for k in range(3))
    sixth = (a * np.cross(b, c)).sum(axis=1) * np.where(turned, -1, 1)
    volume = np.bincount(piece, sixth, pieces)
    open_ = np.zeros(pieces, bool)
    open_[piece[bordering]] = True
    faults["mesh.turned"] = int(turned.sum())
    inside_out = (volume < 0) & ~open_
    # pieces inside of others may be hollows, whose faces look into them rightly
    if inside_out.all() or pieces == 1 or not (volume > 0).any():
        faults["mesh.inverted"] = int(inside_out.sum())
        turned ^= inside_out[piece]


def connected(links: Indices, count: int) -> Indices:
    """The smallest number (count,) of what each hangs together with by links (k, 2)."""
    label = np.arange(count)
    while len(links):
        one, other = label[links[:, 0]], label[links[:, 1]]
        apart = one != other
        if not apart.any():
            break
        links, one, other = links[apart], one[apart], other[apart]
        low, high = np.minimum(one, other), np.maximum(one, other)
        order = np.lexsort((low, high))
        first = np.append(True, np.diff(high[order]) != 0)
        label[high[order][first]] = low[order][first]
        while True:
            shorter = label[label]
            if (shorter == label).all():
                break
            label = shorter
    return label

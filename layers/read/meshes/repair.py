"""What is wrong with meshes, and what of it is put right: positions that are one become one, triangles
without area and doubled ones go, those that are turned against their neighbours or inwards are turned.

Many bodies are gone through together, by arrays over the triangles of all: with bodies of a dozen triangles
the calls for each would be nearly all of the time. trimesh asks networkx or scipy what hangs together and how
it is turned, along a graph in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers.read.meshes.model import Floats, Indices

#: Positions that are the same in steps of this (m) are one.
ONE_M = 1e-4
#: Triangles with less area than this (m2) are none.
_NO_AREA = 1e-10
_SIDES = 2
#: Bits of a number that positions are sorted by.
_BITS = 63
#: What a rule says of a body that breaks it so often.
FAULTS: Mapping[str, str] = {
    "mesh.doubled": "{} triangles are there twice, and once is drawn",
    "mesh.open": "{} edges belong to one triangle only: the body is open, and has no volume",
    "mesh.nonmanifold": "{} edges belong to more than two triangles: the body touches itself there",
    "mesh.twisted": "{} pieces have no inside and outside, as a Möbius strip has none",
    "mesh.turned": "{} triangles were turned against their neighbours, and are turned back",
    "mesh.inverted": "{} closed pieces were inside out, and are turned outwards",
    "mesh.pieces": "it is {} pieces that do not touch one another",
}


@dataclass(slots=True)
class Repaired:
    """Bodies over the vertices that were given: triangles (m, 3), body after body, which of the given these
    are and which of them were turned (m,); and of each body how many of its triangles had no area, how often
    it breaks each rule of FAULTS, and whether it is closed, with an inside and an outside (b,)."""

    triangles: Indices
    kept: Indices
    turned: NDArray[np.bool_]
    lost: Indices
    faults: Mapping[str, Indices]
    closed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Edges:
    """The sides of triangles, three each in their order, sorted so that those of one edge follow each other:
    where they run from, their order, and where in that each edge begins and how many sides it has."""

    start: Indices
    order: Indices
    begins: Indices
    sides: Indices


def repaired(vertices: Floats, triangles: Indices, body: Indices, bodies: int) -> Repaired:
    """Bodies in metres, repaired; ``body`` (m,) says which each triangle is of. They come in order, and no
    two have a vertex in common."""
    of_vertex = np.zeros(len(vertices), np.int64)
    of_vertex[triangles] = body[:, None]
    used = np.zeros(len(vertices), bool)
    used[triangles] = True
    one = _merged(vertices, of_vertex, np.flatnonzero(used))
    faces = one[triangles]
    a, b, c = faces.T
    cross = _cross(vertices[b] - vertices[a], vertices[c] - vertices[a])
    solid = np.sqrt((cross * cross).sum(axis=1)) / 2 > _NO_AREA
    solid &= (a != b) & (b != c) & (a != c)
    kept = np.flatnonzero(solid)
    lost = np.bincount(body[~solid], minlength=bodies)
    once = _once(faces[kept])
    doubled = np.bincount(body[kept[~once]], minlength=bodies)
    kept = kept[once]
    out, of = faces[kept], body[kept]
    middle = _middles(vertices, np.flatnonzero(used & (one == np.arange(len(vertices)))), of_vertex, bodies)
    turned, faults = _wound(vertices, out, of, middle)
    out[turned] = out[turned][:, ::-1]
    closed = (faults["mesh.open"] == 0) & (faults["mesh.nonmanifold"] == 0) & (faults["mesh.twisted"] == 0)
    return Repaired(out, kept, turned, lost, {"mesh.doubled": doubled, **faults}, closed)


def _cross(u: Floats, v: Floats) -> Floats:
    (a, b, c), (d, e, f) = u.T, v.T
    return np.column_stack([b * f - c * e, c * d - a * f, a * e - b * d])


def _merged(vertices: Floats, of: Indices, used: Indices) -> Indices:
    """The first (n,) of the used vertices of the same body that lies where each does."""
    out = np.arange(len(vertices))
    if not len(used):
        return out
    steps = (vertices[used] * round(1 / ONE_M)).round().astype(np.int64)
    order, begins = _sorted(np.column_stack([of[used], steps]))
    first = np.minimum.reduceat(order, begins)
    out[used[order]] = np.repeat(used[first], np.diff(begins, append=len(order)))
    return out


def _sorted(rows: Indices) -> tuple[Indices, Indices]:
    """The order of rows of whole numbers in which equal ones follow each other, and where each begins."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    bits = [(int(top) - int(bottom)).bit_length() for top, bottom in zip(high, low, strict=True)]
    if sum(bits) <= _BITS:
        key = np.zeros(len(rows), np.int64)
        for column, bottom, width in zip(rows.T, low, bits, strict=True):
            key = (key << width) | (column - bottom)
        order = np.argsort(key)
        key = key[order]
        apart = key[1:] != key[:-1]
    else:
        order = np.lexsort(rows.T)
        inside = rows[order]
        apart = (inside[1:] != inside[:-1]).any(axis=1)
    return order, np.flatnonzero(np.append(True, apart))


def _once(faces: Indices) -> NDArray[np.bool_]:
    """Of each triangle whether it is the first with its corners."""
    out = np.zeros(len(faces), bool)
    if len(faces):
        low, high = faces.min(axis=1), faces.max(axis=1)
        order, begins = _sorted(np.column_stack([low, high, faces.sum(axis=1) - low - high]))
        out[np.minimum.reduceat(order, begins)] = True
    return out


def _middles(vertices: Floats, chosen: Indices, of: Indices, bodies: int) -> Floats:
    """The mean (b, 3) of the chosen vertices of each body."""
    count = np.maximum(np.bincount(of[chosen], minlength=bodies), 1)
    sums = [np.bincount(of[chosen], vertices[chosen, k], bodies) for k in range(3)]
    return np.column_stack(sums) / count[:, None]


def _edges(faces: Indices) -> _Edges:
    start, end = faces.reshape(-1), faces[:, [1, 2, 0]].reshape(-1)
    key = np.minimum(start, end) * (int(faces.max(initial=0)) + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    key = key[order]
    begins = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) else np.empty(0, np.int64)
    return _Edges(start, order, begins, np.diff(begins, append=len(order)))


def _wound(
    vertices: Floats, faces: Indices, body: Indices, middle: Floats
) -> tuple[NDArray[np.bool_], dict[str, Indices]]:
    """Which triangles are to be turned, and what is wrong with each body, counted."""
    bodies = len(middle)
    edges = _edges(faces)
    of_edge = body[edges.order[edges.begins] // 3]
    faults = {
        "mesh.open": np.bincount(of_edge[edges.sides < _SIDES], minlength=bodies),
        "mesh.nonmanifold": np.bincount(of_edge[edges.sides > _SIDES], minlength=bodies),
    }
    plain, flipped = _fitting(edges, len(faces))
    twisted = plain == flipped
    faults["mesh.twisted"] = np.bincount(body[np.unique(plain[twisted])], minlength=bodies)
    turned = (plain > flipped) & ~twisted
    first, piece = np.unique(np.minimum(plain, flipped), return_inverse=True)
    # of a piece fewer are turned than stay
    many = np.bincount(piece, turned, len(first)) > np.bincount(piece, minlength=len(first)) / 2
    turned ^= many[piece] & ~twisted
    faults["mesh.turned"] = np.bincount(body[turned], minlength=bodies)
    open_ = np.zeros(len(first), bool)
    open_[piece[edges.order[np.repeat(edges.sides, edges.sides) < _SIDES] // 3]] = True
    inverted = _inverted(vertices, faces, body, middle, turned, piece, body[first], open_)
    faults["mesh.inverted"] = np.bincount(body[first[inverted]], minlength=bodies)
    turned ^= inverted[piece]
    same = np.ones(len(edges.order), bool)
    same[edges.begins] = False
    beside = np.column_stack([edges.order[:-1] // 3, edges.order[1:] // 3])[same[1:]]
    apart = np.bincount(body[np.unique(connected(beside, len(faces)))], minlength=bodies)
    faults["mesh.pieces"] = np.where(apart > 1, apart, 0)
    return turned, faults


def _fitting(edges: _Edges, count: int) -> tuple[Indices, Indices]:
    """What each triangle hangs together with as it is, and turned, if all are turned as their neighbours over
    edges of two sides are: the smallest number among them, those of turned ones behind all others."""
    two = edges.begins[edges.sides == _SIDES]
    one, other = edges.order[two], edges.order[two + 1]
    against = edges.start[one] == edges.start[other]  # both run the same way along their edge
    first, second = one // 3, other // 3
    links = np.concatenate(
        [
            np.column_stack([first, second + np.where(against, count, 0)]),
            np.column_stack([first + count, second + np.where(against, 0, count)]),
        ]
    )
    label = connected(links, 2 * count)
    return label[:count], label[count:]


def _inverted(
    vertices: Floats,
    faces: Indices,
    body: Indices,
    middle: Floats,
    turned: NDArray[np.bool_],
    piece: Indices,
    of_piece: Indices,
    open_: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """The closed pieces of negative volume that are to be turned. Pieces inside of others may be hollows,
    whose faces look into them rightly: of several all are turned, or none where one has a volume."""
    a, b, c = (vertices[faces[:, k]] - middle[body] for k in range(3))
    sixth = (a * _cross(b, c)).sum(axis=1) * np.where(turned, -1, 1)
    volume = np.bincount(piece, sixth, len(of_piece))
    inside_out = (volume < 0) & ~open_
    bodies = len(middle)
    pieces = np.bincount(of_piece, minlength=bodies)
    all_ = np.bincount(of_piece[inside_out], minlength=bodies) == pieces
    hollow = np.bincount(of_piece[volume > 0], minlength=bodies) > 0
    out: NDArray[np.bool_] = inside_out & (all_ | (pieces == 1) | ~hollow)[of_piece]
    return out


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
        np.minimum.at(label, high, low)
        while True:
            shorter = label[label]
            if (shorter == label).all():
                break
            label = shorter
    return label

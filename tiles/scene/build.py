"""One node of a layer's 3D tree as a GLB."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from layers.kinds import Body as Rule
from layers.kinds import Prism, Tube
from layers.model import Mesh
from tiles import geocentric, scheme
from tiles.batch import Batch
from tiles.ground import Ground
from tiles.mesh import body as bodies
from tiles.mesh.body import Body
from tiles.mesh.extrude import extrude
from tiles.mesh.surface import surface
from tiles.mesh.tube import tube
from tiles.scene import metadata
from tiles.scene.glb import glb
from tiles.scene.tree import Node
from tiles.scheme import Floats

type Meshes = Callable[[Sequence[int]], Mapping[int, Mesh]]

#: Thickness (m) of a footprint whose height is not known: flat, but it can be picked.
SLAB = 0.1
#: Edge (m) of the box that stands for an empty node.
TINY = 0.01
#: Feature id in the table of an empty node.
NO_FEATURE = -1


def drawn(batch: Batch, meshes: Meshes) -> tuple[Batch, Mapping[int, Mesh]]:
    """The features that 3D shows, and the remaining bodies of buildings with parts.

    A building whose CIM parts are drawn is not drawn twice: only the mesh of what its parts leave
    over stands for it (layers.relate), and nothing where they leave nothing."""
    prop = batch.props.get("has_parts")
    if prop is None or prop.values.kind != "b" or not len(prop.values):
        return batch, {}
    covered = (prop.codes >= 0) & (prop.values.numbers[prop.codes] == 1)
    if not covered.any():
        return batch, {}
    left = meshes(batch.fids[covered].tolist())
    return batch.take(np.flatnonzero(~covered | np.isin(batch.fids, list(left)))), left


def span(rule: Rule, numbers: Callable[[str], Floats]) -> tuple[float, float]:
    """The lowest and the highest point (m above ground, 0 among them) of bodies with these numbers."""
    field, sign = (rule.depth, -1.0) if isinstance(rule, Tube) else (rule.high, 1.0)
    end = sign * float(np.nan_to_num(numbers(field), nan=0.0).max(initial=0.0))
    return min(end, 0.0), max(end, 0.0)


def node(batch: Batch, at: Node, rule: Rule, ground: Ground, meshes: Meshes) -> bytes:
    """The GLB of a node. ``rule`` is the body of the layer's kind.

    ``meshes`` gives the stored meshes of fids; a feature without one is extruded."""
    batch, left = drawn(batch, meshes)
    stored = isinstance(rule, Prism) and rule.stored
    found = meshes(batch.fids.tolist()) if stored and len(batch) else left
    shape = _bodies(batch, rule, ground, found) if len(batch) else bodies.empty()
    centre = _centre(at, ground)
    if not len(shape.triangles):
        return glb(_tiny(at, ground), metadata.single(NO_FEATURE), 1, centre)
    return glb(shape, metadata.table(batch), len(batch), centre, colours=stored)


def _bodies(batch: Batch, rule: Rule, ground: Ground, found: Mapping[int, Mesh]) -> Body:
    if isinstance(rule, Tube):
        return _tubes(batch, rule, ground)
    if not found:
        return _prisms(batch, rule, ground)
    rows = {row: found[fid] for row, fid in enumerate(batch.fids.tolist()) if fid in found}
    stored = surface(rows, _lifts(batch, rule, rows, ground))
    bare = np.array([row for row in range(len(batch)) if row not in rows], np.int64)
    return (
        bodies.join([stored, _shifted(_prisms(batch.take(bare), rule, ground), bare)])
        if len(bare)
        else stored
    )


def _prisms(batch: Batch, rule: Prism, ground: Ground) -> Body:
    low = np.nan_to_num(batch.numbers(rule.low), nan=0.0)
    high = batch.numbers(rule.high)
    high = np.where(high > low, high, low + SLAB)
    foot = _under(batch, ground)
    return extrude(batch, foot + low, foot + high)


def _shifted(body: Body, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Body:
    """A body of some of the rows, its rows named as in the whole batch."""
    return Body(body.positions, body.normals, body.triangles, rows[body.rows], body.surfaces)


def _tubes(batch: Batch, rule: Tube, ground: Ground) -> Body:
    depth = np.nan_to_num(batch.numbers(rule.depth), nan=0.0)
    radius = np.nan_to_num(batch.numbers(rule.diameter), nan=0.0) / 2000
    return tube(batch, -depth, np.where(radius > 0, radius, SLAB / 2), ground)


def _lifts(batch: Batch, rule: Prism, meshes: Mapping[int, Mesh], ground: Ground) -> dict[int, float]:
    """Metres that bring each mesh's underside to its low end above the drawn ground."""
    low: Floats = _under(batch, ground) + np.nan_to_num(batch.numbers(rule.low), nan=0.0)
    return {
        row: float(low[row]) - (float(mesh.positions[:, 2].min()) if len(mesh.positions) else 0.0)
        for row, mesh in meshes.items()
    }


def _under(batch: Batch, ground: Ground) -> Floats:
    """The ground (n,) on which each feature stands, upright: that at the middle of its box."""
    west, north, east, south = batch.boxes.T
    return ground.at(*scheme.lonlat((west + east) / 2, (north + south) / 2))


def _centre(at: Node, ground: Ground) -> Floats:
    """The middle of a cell, on the ground."""
    west, south, east, north = scheme.tile_bounds(*at)
    lon, lat = np.array((west + east) / 2), np.array((south + north) / 2)
    return geocentric.ecef(lon, lat, ground.at(lon, lat))


def _tiny(at: Node, ground: Ground) -> Body:
    """A box too small to see at the middle of a cell: an empty file never loads in a client."""
    middle = _centre(at, ground)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    faces = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    quads = (corners[faces] - 0.5) * TINY
    normals = bodies.unit(np.cross(quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]))
    first = 4 * np.arange(6)[:, None]
    return Body(
        middle + quads.reshape(-1, 3),
        np.repeat(normals, 4, axis=0),
        (first + np.array([0, 1, 2, 0, 2, 3])).reshape(-1, 3),
        np.zeros(24, np.int64),
        np.zeros(24, np.uint8),
    )

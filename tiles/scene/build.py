"""One node of a layer's 3D tree as a GLB."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from layers.kinds import Body as Rule
from layers.kinds import Model, Prism, Tube
from layers.mesh import Mesh
from layers.parts import Remainders
from layers.types import Field
from tiles import batch as batches
from tiles import geocentric, scheme
from tiles.batch import Batch, successor
from tiles.ground import ConstantGround, Feet, Ground
from tiles.mesh import body as bodies
from tiles.mesh import instances, models
from tiles.mesh.body import Body
from tiles.mesh.extrude import extrude
from tiles.mesh.instances import Instances
from tiles.mesh.surface import surface
from tiles.mesh.tube import tube
from tiles.scene import blocks, metadata
from tiles.scene.blocks import Cells
from tiles.scene.boxes import boxes
from tiles.scene.glb import glb
from tiles.scene.look import Image, image
from tiles.scene.packed import primitive
from tiles.scene.tree import SPLIT, Node, far_error
from tiles.scheme import Floats

type Meshes = Callable[[Sequence[int]], Mapping[int, Mesh]]
#: The media types of those of some textures (SHA-256) that the layer has.
type Textures = Callable[[Collection[str]], Mapping[str, str]]

#: A field and values of it.
type Style = tuple[str, Sequence[str]]

#: Thickness (m) of a footprint whose height is not known: flat, but it can be picked.
SLAB = 0.1
#: Height or radius (m) below which there is none: walls as low as that have no direction.
LEAST = 0.001
#: Features of a node: a file of more is none that a client can draw.
MOST = 20_000
#: Edge (m) of the box that stands for an empty node.
TINY = 0.01
#: Feature id in the table of an empty node.
NO_FEATURE = -1


def span(rule: Rule, numbers: Callable[[str], Floats]) -> tuple[float, float]:
    """The lowest and the highest point (m above ground, 0 among them) of bodies with these numbers."""
    if isinstance(rule, Tube):
        axis, _, change = _tube(rule, numbers)
        return -float((axis + np.abs(change) / 2).max(initial=0.0)), 0.0
    if isinstance(rule, Model):
        return 0.0, models.TALLEST
    return 0.0, float(bodies.known(numbers(rule.high), 0.0).max(initial=0.0))


def reach(rule: Rule, numbers: Callable[[str], Floats]) -> tuple[Floats, Floats]:
    """The lowest and the highest point (m above ground) of the body of each feature, without its mesh."""
    if isinstance(rule, Tube):
        depth, radius, change = _tube(rule, numbers)
        off = radius + np.abs(change) / 2
        return -depth - off, -depth + off
    if isinstance(rule, Model):
        n = len(numbers(rule.by))
        return np.zeros(n), np.full(n, models.TALLEST)
    low, high = bodies.known(numbers(rule.low), 0.0), bodies.known(numbers(rule.high), np.nan)
    return low, np.where(high - low >= LEAST, high, low + SLAB)


def _tube(rule: Tube, numbers: Callable[[str], Floats]) -> tuple[Floats, Floats, Floats]:
    """Depth of the axis in the middle, radius (m) of the tube of each feature, and by how much the last point
    is deeper than the first."""
    radius = bodies.known(numbers(rule.diameter) / 2000, 0.0)
    depth, change = bodies.known(numbers(rule.depth), 0.0), bodies.known(numbers(rule.change), 0.0)
    return depth, np.where(radius >= LEAST, radius, SLAB / 2), change


def largest(rule: Rule) -> float:
    """What no body of a rule is larger than (m), where the rule says it."""
    return models.TALLEST if isinstance(rule, Model) else np.inf


def ends(batch: Batch, rule: Prism) -> tuple[Floats, Floats]:
    """Low and high end (m above ground) of the prism of every feature."""
    return reach(rule, batch.numbers)


def within(batch: Batch) -> tuple[Batch, int]:
    """Of the features of a node those that it may have, the largest, and how many there are beyond."""
    beyond = max(len(batch) - MOST, 0)
    if not beyond:
        return batch, 0
    return batch.take(np.sort(np.argsort(-batch.measure, kind="stable")[:MOST])), beyond


def node(
    batch: Batch,
    at: Node,
    rule: Rule,
    ground: Ground,
    meshes: Meshes,
    left: Remainders | None = None,
    feet: Feet | None = None,
    copyright_: str = "",
    fields: Sequence[Field] = (),
    textures: Textures | None = None,
    query: str = "",
    instanced: bool = False,
    packed: bool = False,
    beyond: int = 0,
) -> bytes:
    """The GLB of a node. ``rule`` is the body of the layer's kind.

    ``meshes`` gives the stored meshes of fids; a feature without one is extruded. ``left`` is what is
    drawn of features whose parts are drawn by another layer, ``feet`` where features stand that are parts.
    ``fields`` say what the properties are; a texture that ``textures`` does not know is left out, and
    ``query`` stands behind the addresses of the others. ``instanced``: what is the same but for its place is
    held once; ``packed``: what is extruded or a tube is in few bytes (:mod:`tiles.scene.packed`);
    ``beyond``: how many more features there are than a node may have."""
    stored = isinstance(rule, Prism) and rule.stored
    stored_meshes = meshes(batch.fids.tolist()) if stored and len(batch) else {}
    body, repeated = _shapes(batch, rule, ground, stored_meshes, left, feet, instanced)
    centre = _centre(at, ground)
    if not len(body.triangles) and not repeated:
        return glb(_tiny(at, ground), metadata.single(NO_FEATURE), 1, centre, copyright_=copyright_)
    if left is not None:
        # a feature of which nothing is left has no row in the table
        drawn = np.setdiff1d(np.arange(len(batch)), np.setdiff1d(left.with_parts, left.whole))
        batch, body = batch.take(drawn), bodies.renumber(body, drawn)
        repeated = [replace(one, rows=np.searchsorted(drawn, one.rows)) for one in repeated]
    images: dict[str, Image] = {}
    skins = [one.skin for one in (body, *(other.body for other in repeated)) if one.skin is not None]
    if skins and textures is not None:
        named = {one.texture for skin in skins for one in skin.material_table if one.texture is not None}
        images = {sha: image(sha, type_, query) for sha, type_ in (textures(named) if named else {}).items()}
    return glb(
        body,
        metadata.table(batch, fields),
        len(batch),
        centre,
        colours=stored,
        copyright_=copyright_,
        images=images,
        repeated=repeated,
        pack=primitive if packed else None,
        beyond=beyond,
    )


def far(
    held: Cells,
    at: Node,
    style: Style | None,
    ground: Ground,
    copyright_: str = "",
    instanced: bool = False,
    lists_members: bool = True,
) -> bytes:
    """The GLB of the blocks of a node; ``style`` is the field that they are drawn by, with the values that
    its votes are of. ``instanced``: one box, at each place with its size; ``lists_members``: they say of
    which cells they are, by which their features are listed."""
    if not len(held):
        tiny, table = _tiny(at, ground), metadata.single(NO_FEATURE)
        return glb(tiny, table, 1, _centre(at, ground), copyright_=copyright_)
    error = far_error(at)
    held = blocks.drawn(held, error)
    drawn = None if style is None else (*style, held.votes.argmax(axis=1))
    cells = (at[0] + SPLIT, held.places) if lists_members else None
    table = metadata.blocks(held.sums[:, 0], held.heights, held.highest, cells, drawn)
    west, south, east, north = scheme.tile_bounds(*at)
    placed = blocks.boxes(held, ground, (west + east) / 2, (south + north) / 2)
    return boxes(placed, table, error, copyright_, instanced)


def shape(
    batch: Batch,
    rule: Rule,
    ground: Ground,
    stored: Mapping[int, Mesh],
    left: Remainders | None,
    feet: Feet | None,
) -> Body:
    """The bodies of the features of a node, as :func:`node` has them; ``stored`` are their meshes by fid."""
    return _shapes(batch, rule, ground, stored, left, feet, instanced=False)[0]


def _shapes(
    batch: Batch,
    rule: Rule,
    ground: Ground,
    stored: Mapping[int, Mesh],
    left: Remainders | None,
    feet: Feet | None,
    instanced: bool,
) -> tuple[Body, list[Instances]]:
    """The bodies of features but for those that are ``instanced``, and these."""
    if not len(batch):
        return bodies.empty(), []
    if isinstance(rule, Tube):
        return _tubes(batch, rule, ground), []
    if isinstance(rule, Model):
        placed = models.placed(batch, rule, ground)
        return (bodies.empty(), placed) if instanced else (bodies.grouped(models.each(placed)), [])
    low, high = ends(batch, rule)
    foot, lowest, highest = _under(batch, ground, feet)
    stands = low <= 0
    sill = low + foot
    high += foot
    # what stands on a slope has its walls down to the ground all around, and its top over it
    low = np.where(stands, low + lowest, sill)
    least = np.where(stands & (highest > foot), highest + SLAB, -np.inf)
    high = np.maximum(high, least)
    if left is None and not stored:
        return extrude(batch, low, high), []
    split = set() if left is None else set(left.with_parts.tolist())
    rows = enumerate(batch.fids.tolist())
    own = {row: stored[fid] for row, fid in rows if fid in stored and row not in split}
    high[[*split, *own]] = -np.inf  # these have other bodies
    lifts = _lifts(own, low)
    for row in () if feet is None else own.keys() & set(feet.rows.tolist()):
        # the meshes of one whole keep their heights to one another: what is below is filled
        lifts[row] += max(float(sill[row] - low[row]), float(least[row]) - _top(own[row]) - lifts[row])
        high[row] = lifts[row] + _bottom(own[row])
    repeated = instances.found(own, lifts) if instanced else []
    once = own.keys() - {row for one in repeated for row in one.rows.tolist()}
    several = [extrude(batch, low, high), surface({row: own[row] for row in sorted(once)}, lifts)]
    if left is not None:
        pieces = batches.from_shapes(left.whole, left.shape)
        several.append(_shifted(extrude(pieces, low[left.whole], foot[left.whole] + left.top), left.whole))
    return bodies.join(several), repeated


def each(body: Body, fids: NDArray[np.int64]) -> Iterator[tuple[int, Mesh]]:
    """The body of each feature that has one, with its fid, in degrees and metres above the ellipsoid;
    ``fids`` (n,) are those of the rows."""
    places = np.stack(geocentric.geodetic(body.positions), axis=1)
    of = fids[body.rows[body.triangles[:, 0]]]
    order = np.argsort(of, kind="stable")
    for some in np.split(order, np.flatnonzero(np.diff(of[order])) + 1) if len(order) else ():
        used, index = np.unique(body.triangles[some], return_inverse=True)
        triangles = index.reshape(-1, 3).astype(np.uint32)
        surfaces = body.surfaces[body.triangles[some, 0]]
        yield int(of[some[0]]), Mesh(places[used], triangles, surfaces)


def _shifted(body: Body, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Body:
    """A body of some of the rows, its rows named as in the whole batch."""
    return replace(body, rows=rows[body.rows])


def _tubes(batch: Batch, rule: Tube, ground: Ground) -> Body:
    depth, radius, change = _tube(rule, batch.numbers)
    return tube(batch, -depth, radius, ground, -change)


def _lifts(meshes: Mapping[int, Mesh], low: Floats) -> dict[int, float]:
    """Metres that bring each mesh's underside to the low end of its row."""
    return {row: float(low[row]) - _bottom(mesh) for row, mesh in meshes.items()}


def _bottom(mesh: Mesh) -> float:
    return float(mesh.positions[:, 2].min()) if len(mesh.positions) else 0.0


def _top(mesh: Mesh) -> float:
    return float(mesh.positions[:, 2].max()) if len(mesh.positions) else 0.0


def _under(batch: Batch, ground: Ground, feet: Feet | None) -> tuple[Floats, Floats, Floats]:
    """The ground (n,) on which each feature stands, upright: that at the middle of its box, or of its
    whole's; and the lowest and the highest of that, of its corners and of the middles of its sides."""
    west, north, east, south = batch.boxes.T
    middle = (west + east) / 2, (north + south) / 2
    if feet is not None:
        middle[0][feet.rows], middle[1][feet.rows] = feet.places.T
    if isinstance(ground, ConstantGround):
        level = ground.at(*scheme.lonlat(*middle))
        return level, level, level
    n = len(batch)
    sides = (batch.xy + batch.xy[successor(batch.coords)]) / 2
    x, y = (np.concatenate([middle[i], batch.xy[:, i], sides[:, i]]) for i in (0, 1))
    heights = ground.at(*scheme.lonlat(x, y))
    foot, around = heights[:n], heights[n:]
    of = np.tile(np.repeat(np.arange(n), np.diff(batch.coords[batch.parts])), 2)
    lowest, highest = foot.copy(), foot.copy()
    np.minimum.at(lowest, of, around)
    np.maximum.at(highest, of, around)
    return foot, lowest, highest


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

"""What is different between two models of one thing, element by element.

Elements are the same where their ids in the source are (GlobalId, gml:id, the key of a CityJSON object): the
number of a feature says nothing of another layer. What a program that writes a model anew changes in the last
digits is no change.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import diff
from layers.diff import End, State
from layers.mesh import Material, Mesh
from layers.model import FeatureLayer
from layers.models import metres
from layers.query import Query
from layers.wkb import shapes

type Floats = NDArray[np.float64]
type Kind = Literal["added", "removed", "moved", "changed"]
KINDS: tuple[Kind, ...] = ("added", "removed", "moved", "changed")

#: Metres by which corners may differ that are at the same place.
SAME_M = 0.002
#: By which share numbers may differ that are the same.
_SHARE = 1e-9
#: Elements that are compared, and ids that are asked for, at a time.
_BATCH, _PAGE = 500, 10_000
#: By how much of its height a corner is seen to the east and north.
_ASLANT = (0.371, 0.618)
#: Shares of an image by which texture coordinates may differ that are the same.
_UV = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementChange:
    """An element that is not what it is in the other model: None where it is not there. ``fids`` are its
    numbers in either layer. ``shift`` is by how much (m east, north and up) an element was moved whose shape
    is the same, None where it was not. ``shape_changed`` where it has another shape, ``surfaces_changed``
    where surfaces of the same shape are of other kinds, colours or images."""

    id: str
    kind: Kind
    fids: tuple[int | None, int | None]
    old: State | None
    new: State | None
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    shift: tuple[float, float, float] | None = None
    shape_changed: bool = False
    surfaces_changed: bool = False

    @property
    def distance(self) -> float | None:
        """Metres by which it was moved."""
        return None if self.shift is None else math.hypot(*self.shift)


@dataclass(slots=True)
class ModelCounts:
    """How many elements there are of each kind, and are the same; of how many a field differs; and how many
    of either model have no id of their own, by which they could be known in the other."""

    added: int = 0
    removed: int = 0
    moved: int = 0
    changed: int = 0
    same: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    shape: int = 0
    nameless: tuple[int, int] = (0, 0)

    def add(self, change: ElementChange) -> None:
        """Count one."""
        setattr(self, change.kind, getattr(self, change.kind) + 1)
        for name in change.fields if change.old is not None and change.new is not None else ():
            self.fields[name] = self.fields.get(name, 0) + 1
        self.shape += change.shape_changed


def changes(
    before: End,
    old_layer: str,
    now: End,
    new_layer: str,
    counts: ModelCounts | None = None,
    *,
    after: str | None = None,
) -> Iterator[ElementChange]:
    """The elements of two layers that are not the same, by ascending id, those behind ``after`` where it is
    given; ``counts`` are kept while it goes.

    Reads as it goes, a few hundred at a time. Raises NotFound."""
    layers = before.feature_layer(old_layer), now.feature_layer(new_layer)
    counts = ModelCounts() if counts is None else counts
    old, bare = _ids(before, layers[0])
    if before is now and old_layer == new_layer:
        counts.nameless, counts.same = (bare, bare), len(old)
        return
    new, bare_new = _ids(now, layers[1])
    counts.nameless = bare, bare_new
    own = _common(*layers)
    every = sorted(one for one in old.keys() | new.keys() if after is None or one > after)
    for ids in itertools.batched(every, _BATCH):
        was = diff.states(before, layers[0], [old[one] for one in ids if one in old])
        is_ = diff.states(now, layers[1], [new[one] for one in ids if one in new])
        for one in ids:
            fids = old.get(one), new.get(one)
            found = _compared(one, fids, _of(was, fids[0]), _of(is_, fids[1]), own)
            if found is None:
                counts.same += 1
            else:
                counts.add(found)
                yield found


def _ids(end: End, layer: FeatureLayer) -> tuple[dict[str, int], int]:
    """The numbers of features by id, and how many have none of their own: no id, or, which other programs
    can write, that of one before."""
    found: dict[str, int] = {}
    bare = 0
    if layer.field("source_id") is None:
        return found, layer.count
    query = Query(properties=("source_id",), limit=_PAGE)
    while True:
        page = end.select(layer.id, query)
        names = page.rows.properties["source_id"]
        for fid, name in zip(page.rows.fids.tolist(), names, strict=True):
            if name is None or str(name) in found:
                bare += 1
            else:
                found[str(name)] = fid
        if page.next_after is None:
            return found, bare
        query = Query(properties=("source_id",), limit=_PAGE, after=page.next_after)


def _common(old: FeatureLayer, new: FeatureLayer) -> frozenset[str]:
    """The fields that both have. A column that a model came with or lost is told of the layer, and not of
    each element."""
    return frozenset(f.name for f in old.fields) & frozenset(f.name for f in new.fields)


def _of(states: dict[int, State], fid: int | None) -> State | None:
    return None if fid is None else states.get(fid)


def _compared(
    id_: str,
    fids: tuple[int | None, int | None],
    old: State | None,
    new: State | None,
    own: frozenset[str],
) -> ElementChange | None:
    if old is None or new is None:
        if old is new:
            return None
        return _there(id_, fids, old, new)
    fields = {
        name: (old.values.get(name), new.values.get(name))
        for name in old.values
        if name in own and not _alike(old.values.get(name), new.values.get(name))
    }
    shift = _shift(old, new)
    moved = shift is not None and math.hypot(*shift) > SAME_M
    other_surfaces = shift is not None and _other_surfaces(old, new)
    if shift is not None and not (moved or fields or other_surfaces):
        return None
    return ElementChange(
        id=id_,
        kind="moved" if moved else "changed",
        fids=fids,
        old=old,
        new=new,
        fields=fields,
        shift=shift if moved else None,
        shape_changed=shift is None,
        surfaces_changed=other_surfaces,
    )


def _there(
    id_: str, fids: tuple[int | None, int | None], old: State | None, new: State | None
) -> ElementChange:
    """An element of one of the models."""
    kind: Kind = "added" if old is None else "removed"
    fields: dict[str, tuple[Any, Any]] = {}
    for at, state in enumerate((old, new)):
        if state is not None:
            filled = {name: value for name, value in state.values.items() if value is not None}
            fields = {name: (value, None) if at == 0 else (None, value) for name, value in filled.items()}
    return ElementChange(id=id_, kind=kind, fids=fids, old=old, new=new, fields=fields)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, int | float) and not isinstance(other, bool):
        return math.isclose(one, other, rel_tol=_SHARE, abs_tol=1e-9)
    return diff.same(one, other)


def _shift(old: State, new: State) -> tuple[float, float, float] | None:
    """By how much (m east, north, up) the one shape would have to be moved to be the other; None where they
    are not the same shape."""
    if old.wkb == new.wkb and old.mesh == new.mesh:
        return 0.0, 0.0, 0.0
    if (old.mesh is None) != (new.mesh is None):
        return None
    if old.mesh is not None and new.mesh is not None:
        bodies = Mesh.from_bytes(old.mesh), Mesh.from_bytes(new.mesh)
        shift = _moved(*(one.positions for one in bodies))
        return shift if shift is not None and _same_faces(*bodies) else None
    placed = shapes([old.wkb, new.wkb])
    if shapely.is_missing(placed).any():
        return None
    shift = _moved(*(_corners(shape) for shape in placed))
    return shift if shift is not None and _same_rings(*placed) else None


def _corners(shape: Any) -> Floats:
    out = shapely.get_coordinates(shape, include_z=bool(shapely.has_z(shape)))
    return np.asarray(out if out.shape[1] == 3 else np.column_stack([out, np.zeros(len(out))]))


def _local(corners: Floats) -> tuple[Floats, Floats]:
    """Corners (n, 3) in degrees and metres as metres about the middle of their box, and that middle. Of each
    body by its own latitude: a degree of longitude is another length where it was moved to."""
    middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
    return (corners - middle) * [*metres.of_degrees(middle[1]), 1.0], middle


def _moved(old: Floats, new: Floats) -> tuple[float, float, float] | None:
    """By how much corners (n, 3) in degrees and metres were moved, all alike, in whatever order."""
    if not len(old) or not len(new):
        return None
    (first, was), (second, is_) = _local(old), _local(new)
    scale = np.array([*metres.of_degrees((was[1] + is_[1]) / 2), 1.0])
    for apart in _apart(first, second):
        rest = apart.mean(axis=0)
        if np.abs(apart - rest).max() <= SAME_M:
            east, north, up = ((is_ - was) * scale + rest).tolist()
            return east, north, up
    return None


def _apart(first: Floats, second: Floats) -> Iterator[Floats]:
    """How far the corners of the one lie from their likes in the other (n, 3): as they are written, then of
    each from the nearest; not where one has none near."""
    if first.shape == second.shape:
        yield second - first
    reach = 2 * SAME_M
    if np.abs(np.ptp(first, axis=0) - np.ptp(second, axis=0)).max() > reach:
        return
    first, second = (np.unique(np.round(corners, 4), axis=0) for corners in (first, second))
    # seen aslant, corners above one another are apart: a tree of the plane holds few to look at
    flat = [shapely.points(corners[:, :2] + corners[:, 2:] * _ASLANT) for corners in (first, second)]
    one, other = shapely.STRtree(flat[1]).query(flat[0], "dwithin", reach * 2.5)
    apart = second[other] - first[one]
    order = np.argsort(np.abs(apart).max(axis=1), kind="stable")
    order = order[np.abs(apart[order]).max(axis=1) <= reach]
    nearest = [np.unique(of[order], return_index=True)[1] for of in (one, other)]
    if len(nearest[0]) == len(first) and len(nearest[1]) == len(second):
        yield apart[order[np.concatenate(nearest)]]


def _same_rings(old: Any, new: Any) -> bool:
    """Whether shapes with the same corners join them alike: to lines as long and areas as large as corners
    at the same place can make them."""
    flat = [shapely.transform(shapely.force_2d(shape), _plane) for shape in (old, new)]
    lengths, areas = shapely.length(flat), shapely.area(flat)
    corners = shapely.get_num_coordinates(flat).max()
    return bool(
        shapely.get_dimensions(old) == shapely.get_dimensions(new)
        and abs(lengths[0] - lengths[1]) <= 2 * SAME_M * corners
        and abs(areas[0] - areas[1]) <= 2 * SAME_M * lengths.max()
    )


def _plane(xy: Floats) -> Floats:
    middle = (xy.min(axis=0) + xy.max(axis=0)) / 2
    return np.asarray((xy - middle) * metres.of_degrees(middle[1]))


def _faces(mesh: Mesh) -> Floats:
    """Its triangles (m, 3, 3) in metres about the middle of its box."""
    return np.asarray(_local(mesh.positions)[0][mesh.triangles])


def _normals(faces: Floats) -> Floats:
    """(m, 3), twice as long as triangles are large."""
    return np.asarray(np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0]))


def _around(faces: Floats) -> float:
    """The length of all edges of triangles."""
    return float(np.linalg.norm(faces - np.roll(faces, 1, axis=1), axis=2).sum())


def _same_faces(old: Mesh, new: Mesh) -> bool:
    """Whether bodies with the same corners have the same faces between them, however these are cut into
    triangles: as large as corners at the same place can make them, and turned to the same side."""
    faces = [_faces(one) for one in (old, new)]
    normals = [_normals(one) for one in faces]
    areas = [float(np.linalg.norm(one, axis=1).sum() / 2) for one in normals]
    volumes = [float((face[:, 0] * normal).sum() / 6) for face, normal in zip(faces, normals, strict=True)]
    most = SAME_M * max(_around(face) for face in faces)
    return abs(areas[0] - areas[1]) <= most and abs(volumes[0] - volumes[1]) <= 2 * SAME_M * max(areas)


def _other_surfaces(old: State, new: State) -> bool:
    """Whether surfaces of bodies of the same shape are of other kinds, colours or images, or these lie
    otherwise on them. What its parts are called is not looked at: many programs make new ids for surfaces
    whenever they write."""
    if old.mesh is None or new.mesh is None or old.mesh == new.mesh:
        return False
    bodies = Mesh.from_bytes(old.mesh), Mesh.from_bytes(new.mesh)
    faces = [_faces(one) for one in bodies]
    known: dict[Material | None, int] = {}
    looks = [np.column_stack([one.surfaces, _materials(one, known)]) for one in bodies]
    if faces[0].shape == faces[1].shape and np.abs(faces[0] - faces[1]).max(initial=0) <= 2 * SAME_M:
        return not (np.array_equal(looks[0], looks[1]) and _same_images(bodies[0].uv, bodies[1].uv))
    areas = [_areas(look, face) for look, face in zip(looks, faces, strict=True)]
    most = SAME_M * max(_around(face) for face in faces)
    return any(abs(areas[0].get(k, 0.0) - areas[1].get(k, 0.0)) > most for k in areas[0] | areas[1])


def _materials(mesh: Mesh, known: dict[Material | None, int]) -> NDArray[np.int64]:
    """The material of each triangle, by its number among those that are known."""
    if mesh.materials is None:
        return np.full(len(mesh.triangles), known.setdefault(None, len(known)))
    numbers = [known.setdefault(one, len(known)) for one in mesh.material_table]
    return np.asarray(np.array(numbers, np.int64)[mesh.materials])


def _same_images(old: NDArray[np.float32] | None, new: NDArray[np.float32] | None) -> bool:
    if old is None or new is None:
        return old is new
    return bool(np.allclose(old, new, rtol=0, atol=_UV, equal_nan=True))


def _areas(looks: NDArray[np.int64], faces: Floats) -> dict[tuple[int, ...], float]:
    """The area (m2) of each kind of surface in each material."""
    pairs, of = np.unique(looks, axis=0, return_inverse=True)
    sizes = np.bincount(of.reshape(-1), np.linalg.norm(_normals(faces), axis=1) / 2)
    return dict(zip(map(tuple, pairs.tolist()), sizes.tolist(), strict=True))

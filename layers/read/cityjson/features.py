"""City objects on their way to rows: bodies of many are made together, and their faults told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.mesh import Material, Part
from layers.read import closed
from layers.read.base import Sink
from layers.read.citygml import checks
from layers.read.citygml.features import FAULTS
from layers.read.cityjson.ground import Ground
from layers.read.cityobjects import CityRows
from layers.read.faces import Bodies
from layers.read.frame import ShellBody, frames, shells
from layers.read.triangles import Rings

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]

#: Corners of surfaces, and features, of which bodies are made together.
_TOGETHER, _AT_ONCE = 100_000, 10_000


@dataclass(slots=True)
class Outline:
    """The faces of a geometry: ``flat`` has the corners of all rings as indices of ``vertices`` (n, 3),
    ``sizes`` the corners of each ring, ``of_face`` the rings of each face; then what each face is, and of
    several solids which of them it is of, and how many have none. ``uv`` (k, 2) are coordinates of all
    corners."""

    vertices: Floats
    flat: Indices
    sizes: Indices
    of_face: Indices
    surfaces: Indices
    parts: Indices | None = None
    part_table: tuple[Part, ...] = ()
    materials: Indices | None = None
    material_table: tuple[Material, ...] = ()
    uv: Floats | None = None
    solids: Indices | None = None
    empty: int = 0
    #: Whether the faces are to close it; whether they are told apart by slope where none is named.
    closes: bool = False
    solid: bool = False


@dataclass(slots=True)
class Feature:
    """A feature whose body is made with those of others."""

    row: int
    id: str
    type: str
    lod: str
    parent: str | None
    own: dict[str, Any]
    outline: Outline | None = None
    base: shapely.Geometry | None = None
    made: ShellBody | None = None
    #: Where the whole meets the ground that it is a part of.
    ground: Ground | None = None
    faults: Counter[str] = field(default_factory=Counter)


class Features:
    """Gathers features and hands them on as rows."""

    def __init__(self, sink: Sink, rows: CityRows, most_vertices: int, *, degrees: bool) -> None:
        self._sink = sink
        self._rows = rows
        self._most_vertices = most_vertices
        self._degrees = degrees
        self._waiting: list[Feature] = []
        self._corners = 0

    def add(self, feature: Feature) -> None:
        """Take a feature; its row is written with those of others."""
        if feature.outline is not None:
            corners = len(feature.outline.flat)
            if corners > self._most_vertices:
                reason = f"the body has more than {self._most_vertices} vertices"
                self.drop("limit.vertices", reason, feature)
                return
            self._corners += corners
        self._waiting.append(feature)
        if self._corners > _TOGETHER or len(self._waiting) > _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Make the bodies of what waits, all together, and hand on the rows."""
        waiting, self._waiting, self._corners = self._waiting, [], 0
        outlines = [each.outline for each in waiting if each.outline is not None]
        if outlines:
            self._shape([each for each in waiting if each.outline is not None], outlines)
        kept = [each for each in waiting if each.base is not None]
        for each, base in zip(kept, shapely.to_wkb([each.base for each in kept]), strict=True):
            shell = each.made.shell if each.made is not None else None
            self._rows.add(
                *(each.row, each.id, shell, base, each.own),
                object_type=each.type,
                lod=each.lod,
                parent=each.parent,
                ground=None if each.ground is None else each.ground.height,
                foot=None if each.ground is None else each.ground.foot,
                span=None if each.made is None else each.made.span,
            )

    def _shape(self, features: Sequence[Feature], outlines: Sequence[Outline]) -> None:
        """The bodies of what has faces, with what is wrong with them."""
        every = gathered(outlines)
        of = np.repeat(np.arange(len(features)), every.of_vertices)
        origins, scales = frames(every.vertices, of, len(features))
        metres = (every.vertices - origins[of]) * (scales[of] if self._degrees else 1)
        of_faces = checks.faults(every.rings, metres)
        numbers = _of_faces([one.solids for one in outlines], every.rings.of_body)
        of_solids = closed.faults(every.rings, metres, [one.closes for one in outlines], numbers)
        named = np.bincount(every.rings.body_of_face(), every.surfaces, len(features)) > 0
        inferred = [one.solid and not known for one, known in zip(outlines, named, strict=True)]
        made = shells(every, inferred, degrees=self._degrees)
        for number, (each, done) in enumerate(zip(features, made, strict=True)):
            for faults in (each.faults, of_faces.get(number), of_solids.get(number)):
                if faults:
                    self.note(each, faults)
            if (reason := self._rows.lacking(done, each.row, each.id)) is not None:
                self.drop("geometry.degenerate", reason, each)
                continue
            each.made, each.base = done, done.footprint

    def note(self, each: Feature, faults: Counter[str]) -> None:
        """Tell how often a feature breaks each rule of FAULTS."""
        for rule, count in faults.items():
            self._sink.note(rule, FAULTS[rule].format(count), each.row, each.id)

    def drop(self, rule: str, reason: str, each: Feature) -> None:
        """Leave a feature out, with the reason."""
        held = {"id": each.id, "object_type": each.type, **each.own}
        self._sink.drop(rule, reason, each.row, each.id, held=held)


def gathered(outlines: Sequence[Outline]) -> Bodies:
    """The faces of outlines as arrays, over the vertices that each uses."""
    number: dict[int, int] = {}
    arrays: list[Floats] = []
    firsts: list[int] = []
    for one in outlines:
        if id(one.vertices) not in number:
            number[id(one.vertices)] = len(arrays)
            arrays.append(one.vertices)
        firsts.append(number[id(one.vertices)])
    begins = np.cumsum([0, *map(len, arrays)])
    corners = [len(one.flat) for one in outlines]
    faces = [len(one.of_face) for one in outlines]
    flat = np.concatenate([one.flat for one in outlines])
    flat = flat + np.repeat(begins[firsts], corners)
    body = np.repeat(np.arange(len(outlines)), corners)
    many = int(begins[-1])
    used, index = np.unique(body * many + flat, return_inverse=True)
    vertices = (arrays[0] if len(arrays) == 1 else np.concatenate(arrays))[used % many]
    rings = Rings(
        index.reshape(-1).astype(np.int64),
        np.concatenate([one.sizes for one in outlines]),
        np.concatenate([one.of_face for one in outlines]),
        np.array(faces, np.int64),
    )
    textured = np.array([one.uv is not None for one in outlines], bool)
    uv = None
    if textured.any():
        pairs = zip(outlines, corners, strict=True)
        uv = np.concatenate([np.zeros((n, 2)) if one.uv is None else one.uv for one, n in pairs])
    return Bodies(
        rings,
        vertices,
        np.bincount(used // many, minlength=len(outlines)),
        np.concatenate([one.surfaces for one in outlines]).astype(np.uint8),
        _of_faces([one.parts for one in outlines], rings.of_body),
        [one.part_table for one in outlines],
        _of_faces([one.materials for one in outlines], rings.of_body),
        [one.material_table for one in outlines],
        uv,
        textured,
    )


def _of_faces(several: Sequence[Indices | None], counts: Indices) -> Indices:
    """What several say of their faces, one after the other; 0 of those that say nothing."""
    if all(one is None for one in several):
        return np.zeros(int(counts.sum()), np.int64)
    pairs = zip(several, counts.tolist(), strict=True)
    return np.concatenate([np.zeros(n, np.int64) if one is None else one for one, n in pairs])

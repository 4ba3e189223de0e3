"""Objects of a CityGML file as features: bodies of many are made together, and their faults told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import crs
from layers.errors import BadFile, shown
from layers.read import closed
from layers.read.base import Sink
from layers.read.citygml import checks
from layers.read.citygml.appearance import Appearance
from layers.read.citygml.geometry import Shape
from layers.read.citygml.placed import Placed, bodies, placed, solids
from layers.read.cityobjects import CityRows
from layers.read.frame import ShellBody, frames, shells

type Floats = NDArray[np.float64]

#: Names that a reason lists.
TOLD = 5
#: Characters of coordinates, and features, of which geometries are made together.
_TOGETHER = 2 << 20
_AT_ONCE = 10_000
#: What a rule says of an object that breaks it so often.
FAULTS: Mapping[str, str] = {
    "xlink.missing": "{} references of geometries name nothing in the file, and are left out",
    "xlink.cycle": "{} references of geometries lead back to themselves, and are left out",
    "xlink.deep": "{} surfaces lie deeper in references than is read, and are left out",
    "gml.dimension": "{} lists of coordinates are not as long as their dimension wants, and are left out",
    "ring.short": "{} rings or lines have too few positions, and are left out",
    "ring.nan": "{} rings hold what is no number, and are left out",
    "ring.unclosed": "{} rings do not end where they begin, and are closed",
    "ring.repeated": "{} surfaces have a position twice, or two within 1 mm",
    "ring.crossed": "{} surfaces have a ring that crosses or touches itself",
    "ring.interior": "{} surfaces have rings that cross one another",
    "surface.nonplanar": "{} surfaces are not plane: a position lies more than 3 cm off",
    "solid.repeats": "{} solids repeat the surfaces without referring to them, and are left out",
    "implicit.library": "{} shapes lie in files of their own (libraryObject), and are left out",
    "implicit.empty": "{} implicit geometries have no shape",
    "crs.mixed": "what it has lies outside the area of the coordinate system that it names, and is left out",
    "texture.coordinates": "{} surfaces have not as many texture coordinates as positions, and no texture",
    "implicit.frame": "{} implicit geometries have no matrix of 16 numbers, or no reference point",
    **closed.FAULTS,
}


@dataclass(slots=True)
class Feature:
    """A feature whose geometry is made with those of others; nothing of it holds an element."""

    row: int
    id: str | None
    name: str
    lod: str
    parent: str | None
    own: dict[str, Any]
    bodies: bool
    shape: Shape
    #: The number of the whole that it is or belongs to, and whether it is only a part of it.
    whole: int = 0
    is_part: bool = False
    made: ShellBody | None = None
    base: shapely.Geometry | None = None


class Features:
    """Gathers features and hands them on as rows."""

    def __init__(self, sink: Sink, rows: CityRows, appearance: Appearance, most_vertices: int) -> None:
        self._sink = sink
        self._rows = rows
        self._appearance = appearance
        self._most_vertices = most_vertices
        #: Whether positions are longitude and latitude; known once the file has named its CRS.
        self.degrees = False
        #: The CRS of the positions, None while it or the order of its axes is not known.
        self.crs: str | None = None
        self._waiting: list[Feature] = []
        self._characters = 0

    def add(self, feature: Feature) -> None:
        """Take a feature; its row is written with those of others."""
        self._characters += feature.shape.close()
        self._waiting.append(feature)

    def end(self) -> None:
        """An object is whole, with all that belongs to it: what is more than can wait is made."""
        if self._characters > _TOGETHER or len(self._waiting) > _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Make the geometries of what waits, all together, and hand on the rows."""
        waiting, self._waiting, self._characters = self._waiting, [], 0
        if not waiting:
            return
        where = placed([each.shape for each in waiting])
        shaped: list[tuple[int, Feature]] = []
        for number, (each, corners) in enumerate(zip(waiting, where.corners(), strict=True)):
            shape = each.shape
            if corners > self._most_vertices:
                reason = f"the body has more than {self._most_vertices} vertices"
                self.drop("limit.vertices", reason, each)
            elif shape.face_first:
                shaped.append((number, each))
                continue
            else:
                each.base = where.line(number, shape) if shape.lines else where.point(number, shape)
                self.note(each.row, each.id, shape.faults, shape.missing)
                if each.base is None:
                    what = "surface" if not shape.lines and not shape.points else "position"
                    self.drop("geometry.unreadable", f"no {what} of it can be read", each)
        self._shape(shaped, where)
        self._hand_on([each for each in waiting if each.base is not None])

    def _shape(self, shaped: Sequence[tuple[int, Feature]], where: Placed) -> None:
        """The bodies of what has faces, with what is wrong with them."""
        features = [each for _, each in shaped]
        shapes = [each.shape for each in features]
        every, whole = bodies(shapes, where, [number for number, _ in shaped], self._appearance)
        of = np.repeat(np.arange(len(features)), every.of_vertices)
        origins, scales = frames(every.vertices, of, len(features))
        metres = (every.vertices - origins[of]) * (scales[of] if self.degrees else 1)
        found = checks.faults(every.rings, metres)
        shut, numbers = solids(shapes, every.rings, whole)
        unshut = closed.faults(shut, metres, [bool(shape.solids) for shape in shapes], numbers)
        named = np.bincount(every.rings.body_of_face(), every.surfaces, len(features)) > 0
        inferred = [each.shape.solid and not known for each, known in zip(features, named, strict=True)]
        made = shells(every, inferred, degrees=self.degrees)
        counts = every.rings.of_body.tolist()
        for number, (each, done, faces) in enumerate(zip(features, made, counts, strict=True)):
            if empty := sum(1 for own in each.shape.solids if not own):
                each.shape.faults["solid.empty"] += empty
            self.note(each.row, each.id, each.shape.faults, each.shape.missing)
            for faults in (found.get(number), unshut.get(number)):
                if faults:
                    self.note(each.row, each.id, faults)
            if not faces:
                self.drop("geometry.unreadable", "no surface of it can be read", each)
                continue
            if (reason := self._rows.lacking(done, each.row, each.id)) is not None:
                self.drop("geometry.degenerate", reason, each)
                continue
            each.made, each.base = done, done.footprint

    def _hand_on(self, features: Sequence[Feature]) -> None:
        wholes = _Wholes(features)
        feet = wholes.feet(self.crs)
        for each, base in zip(features, shapely.to_wkb([each.base for each in features]), strict=True):
            self._rows.add(
                each.row,
                each.id or "",
                each.made.shell if each.made is not None and each.bodies else None,
                base,
                each.own,
                object_type=each.name,
                lod=each.lod,
                parent=each.parent,
                ground=wholes.grounds.get(each.whole) if each.is_part else None,
                foot=feet.get(each.whole),
                span=None if each.made is None else each.made.span,
            )

    def note(
        self, row: int, object_id: str | None, faults: Mapping[str, int], missing: Sequence[str] = ()
    ) -> None:
        """Tell how often an object breaks each rule of FAULTS, and which references led nowhere."""
        for rule, count in faults.items():
            reason = FAULTS[rule].format(count)
            if rule == "xlink.missing":
                reason += f": {', '.join(map(shown, missing[:TOLD]))}"
            self._sink.note(rule, reason, row, object_id)

    def drop(self, rule: str, reason: str, each: Feature) -> None:
        """Leave a feature out, with the reason."""
        self.lose(rule, reason, each.row, each.id, each.name, each.own)

    def lose(
        self, rule: str, reason: str, row: int, object_id: str | None, name: str, own: Mapping[str, Any]
    ) -> None:
        """Leave an object out, with the reason."""
        self._sink.drop(rule, reason, row, object_id, held={"id": object_id, "object_type": name, **own})


class _Wholes:
    """What has parts with bodies: the lowest place of its own body, else of all of theirs, and the middle of
    all, where it stands on the ground."""

    def __init__(self, features: Sequence[Feature]) -> None:
        having = {each.whole for each in features if each.is_part and each.made is not None}
        own: dict[int, float] = {}
        boxes: dict[int, list[Floats]] = {}
        for each in features:
            if each.whole in having and each.made is not None:
                positions = each.made.shell.positions
                boxes.setdefault(each.whole, []).append(
                    np.array([positions.min(axis=0), positions.max(axis=0)])
                )
                if not each.is_part:
                    own[each.whole] = float(positions[:, 2].min())
        every = {whole: np.concatenate(corners) for whole, corners in boxes.items()}
        self.grounds = {whole: float(corners[:, 2].min()) for whole, corners in every.items()} | own
        self._middles = {w: (c.min(axis=0) + c.max(axis=0))[:2] / 2 for w, c in every.items()}

    def feet(self, name: str | None) -> dict[int, tuple[float, float]]:
        """Longitude and latitude of each middle, of positions in this CRS; nothing where it is not known."""
        if name is None or not self._middles:
            return {}
        try:
            places = crs.to_lonlat(np.array(list(self._middles.values())), name)
        except BadFile:  # the load tells it
            return {}
        return {
            whole: (float(lon), float(lat))
            for whole, (lon, lat) in zip(self._middles, places, strict=True)
            if np.isfinite([lon, lat]).all()
        }

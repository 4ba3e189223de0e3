"""Objects of a CityGML file as features: bodies of many are made together, and their faults told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.errors import shown
from layers.read.base import Sink
from layers.read.citygml import checks
from layers.read.cityobjects import CityRows
from layers.read.faces import Faces
from layers.read.frame import FacesOf, ShellBody, bodies, metres_of_degrees

type Floats = NDArray[np.float64]

#: Names that a reason lists.
TOLD = 5
#: Corners of surfaces of which bodies are made together.
_TOGETHER = 50_000
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
    "implicit.frame": "{} implicit geometries have no matrix of 16 numbers, or no reference point",
}


@dataclass(slots=True)
class Feature:
    """A feature whose body is made with those of others: nothing of it holds an element."""

    row: int
    id: str | None
    name: str
    lod: str
    parent: str | None
    own: dict[str, Any]
    bodies: bool
    solid: bool = False
    faces: Faces | None = None
    vertices: Floats | None = None
    plain: shapely.Geometry | None = None
    made: ShellBody | None = None


class Features:
    """Gathers features and hands them on as rows."""

    def __init__(self, sink: Sink, rows: CityRows, most_vertices: int) -> None:
        self._sink = sink
        self._rows = rows
        self._most_vertices = most_vertices
        #: Whether positions are longitude and latitude; known once the file has named its CRS.
        self.degrees = False
        self._waiting: list[Feature] = []
        self._corners = 0

    def add(self, feature: Feature) -> None:
        """Take a feature; its row is written with those of others."""
        if feature.faces is not None:
            corners = sum(len(ring) for face in feature.faces.rings for ring in face)
            if corners > self._most_vertices:
                reason = f"the body has more than {self._most_vertices} vertices"
                self.drop("limit.vertices", reason, feature)
                return
            self._corners += corners
        self._waiting.append(feature)
        if self._corners > _TOGETHER or len(self._waiting) > _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Make the bodies of what waits, all together, and hand on the rows."""
        waiting, self._waiting, self._corners = self._waiting, [], 0
        shaped = [
            (each, FacesOf(each.faces, each.vertices, each.solid))
            for each in waiting
            if each.faces is not None and each.vertices is not None
        ]
        metres = []
        for _, of in shaped:
            near = of.vertices - of.vertices[0]
            metres.append(near * metres_of_degrees(of.vertices[0]) if self.degrees else near)
        faults = checks.faults([of.faces.rings for _, of in shaped], metres)
        made = bodies([of for _, of in shaped], degrees=self.degrees) if shaped else []
        for (each, _), found, done in zip(shaped, faults, made, strict=True):
            self.note(each.row, each.id, found)
            each.made = done
        for each in waiting:
            self._hand_on(each)

    def _hand_on(self, each: Feature) -> None:
        done, shell, base = each.made, None, each.plain
        if done is not None:
            if done.lost:
                reason = f"{done.lost} surfaces have no area and are left out"
                self._sink.note("surface.degenerate", reason, each.row, each.id)
            if not len(done.shell.triangles) or done.footprint is None:
                nothing = not len(done.shell.triangles)
                reason = "no surface of the body has an area" if nothing else "the body has no footprint"
                self.drop("geometry.degenerate", reason, each)
                return
            self._rows.inferred += done.inferred
            shell, base = done.shell, done.footprint
        self._rows.add(
            each.row,
            each.id or "",
            shell if each.bodies else None,
            shapely.to_wkb(base),
            each.own,
            object_type=each.name,
            lod=each.lod,
            parent=each.parent,
        )

    def note(
        self, row: int, object_id: str | None, faults: Counter[str], missing: Sequence[str] = ()
    ) -> None:
        """Tell how often an object breaks each rule of FAULTS, and which references led nowhere."""
        for rule, count in faults.items():
            reason = FAULTS[rule].format(count)
            if rule == "xlink.missing":
                reason += f": {', '.join(map(shown, missing[:TOLD]))}"
            self._sink.note(rule, reason, row, object_id)

    def drop(self, rule: str, reason: str, each: Feature) -> None:
        """Leave an object out, with the reason."""
        held = {"id": each.id, "object_type": each.name, **each.own}
        self._sink.drop(rule, reason, each.row, each.id, held=held)

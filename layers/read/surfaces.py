"""Surfaces in space as WKB has them (PolyhedralSurface, TIN, Triangle; ISO 13249-3, OGC 06-103r4 clause 8):
bodies with a footprint below them, as a kind's own bodies are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import wkb
from layers.mesh import Surface
from layers.read.base import Sink
from layers.read.faces import Faces
from layers.read.frame import ShellBody, body

type Ring = NDArray[np.float64]

_SURFACES = frozenset({"PolyhedralSurface", "TIN", "Triangle"})
_GATHERED = frozenset({"Polygon", "MultiPolygon", "GeometryCollection", "MultiSurface", *_SURFACES})
_OUTER = frozenset({"GeometryCollection", *_SURFACES})
_RINGS = frozenset({"Polygon", "Triangle"})


@dataclass(slots=True)
class Converted:
    """The geometries of a batch, surfaces as the footprint below them; and their bodies (layers.mesh.Mesh)
    with the height of each and that of its underside, None where a row has no body."""

    footprints: list[bytes | None]
    bodies: list[bytes | None]
    spans: list[tuple[float, float] | None]

    def heights(self) -> dict[str, list[float | None]]:
        """What a place in the file says of a body, as columns of the names that CityJSON's have."""
        return {
            "mesh_height_m": [span and round(span[1] - span[0], 3) for span in self.spans],
            "base_m": [span and round(span[0], 3) for span in self.spans],
        }


def may_be(head: bytes) -> bool:
    """Whether the first five bytes of WKB are those of a surface, or of what may hold some."""
    return wkb.kind_of(head) in _OUTER


def convert(blobs: Sequence[bytes | None], row: int, sink: Sink, *, degrees: bool) -> Converted:
    """The geometries of a batch from row number ``row`` on. What has no heights becomes polygons."""
    converted = Converted(list(blobs), [None] * len(blobs), [None] * len(blobs))
    for at, blob in enumerate(blobs):
        if blob is None or not may_be(blob[:5]) or wkb.fault(blob):
            continue
        faces = _faces(blob)
        if faces is not None:
            converted.footprints[at], body = _converted(faces, blob, row + at, sink, degrees)
            if body is not None:
                converted.bodies[at] = body.shell.mesh().to_bytes()
                z = body.shell.positions[:, 2]
                converted.spans[at] = float(z.min()), float(z.max())
    return converted


def _faces(blob: bytes) -> list[list[Ring]] | None:
    """The rings of each face; None for what is no surface in space, or has other members beside."""
    faces: list[list[Ring]] = []
    kinds: set[str] = set()
    for kind, rings in wkb.parts(blob):
        kinds.add(kind)
        if kind in _RINGS:
            faces.append(rings)
    return faces if kinds & _SURFACES and kinds <= _GATHERED else None


def _converted(
    faces: list[list[Ring]], blob: bytes, row: int, sink: Sink, degrees: bool
) -> tuple[bytes, ShellBody | None]:
    """Footprint and body; the geometry as it was where it can be none, which is told of it then."""
    flat = [ring for rings in faces for ring in rings]
    if not flat or any(ring.shape[1] < 3 for ring in flat):
        polygons = [shapely.Polygon(rings[0][:, :2], [r[:, :2] for r in rings[1:]]) for rings in faces]
        union = shapely.union_all(shapely.make_valid(polygons)) if polygons else None
        return (blob if union is None else shapely.to_wkb(union)), None
    vertices, index = np.unique(np.concatenate(flat)[:, :3], axis=0, return_inverse=True)
    ends = np.cumsum([len(ring) for ring in flat])
    indices = iter(np.split(index.reshape(-1), ends[:-1]))
    named = Faces([[next(indices) for _ in rings] for rings in faces], [Surface.UNKNOWN] * len(faces), False)
    made = body(named, vertices, degrees=degrees, solid=True)
    if made.lost:
        sink.note("surface.degenerate", f"{made.lost} surfaces have no area and are left out", row)
    if made.footprint is None:
        reason = (
            f"the {wkb.kind_of(blob[:5])} has no footprint: all of its surfaces are upright or have no area"
        )
        sink.note("surface.upright", reason, row)
        return blob, None
    return shapely.to_wkb(made.footprint), made

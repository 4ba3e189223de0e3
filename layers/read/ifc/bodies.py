"""The bodies of IFC elements, made by ifcopenshell, and their outlines seen from above.

Equal shapes are made once (the iterator groups elements by their representation); openings are cut out of
what they void. CGAL's kernel of plain polyhedra comes first, which takes a quarter of OpenCASCADE's time, and
OpenCASCADE makes what it cannot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.mesh import Material
from layers.read.faces import shadow
from layers.read.ifc.place import Place

type Floats = NDArray[np.float64]

LIBRARY, FALLBACK = "hybrid-cgal-simple-opencascade", "opencascade"
#: A triangle smaller than this (m2) is nothing that could be seen.
_NO_AREA = 1e-10
#: How much of all area the sum of the areas' vectors is at most where a body is closed.
_CLOSED = 1e-6
#: Half the width (m) of the outline of what stands upright and has no area from above.
_HALF_WIDTH = 0.001
#: A finding of ifcopenshell about an entity, which stands on the next line.
_ERROR = re.compile(
    r"^\[error\] (?:\[\w+\] )?\[[^\]\n]*\] (.+?)(?: encountered)?(?: for)?:\n#(\d+)=", re.MULTILINE
)
_NOTHING_MORE = "Failed to convert"


@dataclass(frozen=True, slots=True)
class Body:
    """An element's body in metres, as the model has it: positions (n, 3), triangles (m, 3) with an area."""

    id: int
    positions: Floats
    triangles: NDArray[np.uint32]
    materials: NDArray[np.uint16] | None
    material_table: tuple[Material, ...]


def made(model: Any, elements: Sequence[Any]) -> Iterator[Body]:
    """The bodies of elements, in the order in which they are made; of what cannot be made there is none, of
    an element that has several the first.

    Of some bodies the first kernels say that they have no faces: OpenCASCADE alone is asked for those."""
    left = {each.id(): each for each in elements}
    for body in _made(model, elements, LIBRARY):
        if len(body.triangles) and left.pop(body.id, None) is not None:
            yield body
    if left:
        for body in _made(model, list(left.values()), FALLBACK):
            if left.pop(body.id, None) is not None:
                yield body


def _made(model: Any, elements: Sequence[Any], library: str) -> Iterator[Body]:
    from ifcopenshell import geom

    iterator = geom.iterator(geom.settings(), model, 1, include=list(elements), geometry_library=library)
    if not iterator.initialize():
        return
    while True:
        shape = iterator.get()
        turn = np.frombuffer(shape.transformation_buffer, np.float64).reshape(4, 4, order="F")
        local = np.frombuffer(shape.geometry.verts_buffer, np.float64).reshape(-1, 3)
        faces = np.frombuffer(shape.geometry.faces_buffer, np.int32).reshape(-1, 3)
        materials, table = _colours(shape.geometry, len(faces))
        positions = local @ turn[:3, :3].T + turn[:3, 3]
        if _is_inside_out(positions, faces):
            faces = faces[:, ::-1]
        wide = _areas(positions, faces) > _NO_AREA
        own = None if materials is None else materials[wide]
        yield Body(int(shape.id), positions, faces[wide].astype(np.uint32), own, table)
        if not iterator.next():
            return


def _areas(positions: Floats, faces: NDArray[np.int32]) -> Floats:
    a, b, c = (positions[faces[:, k]] for k in range(3))
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)


def _is_inside_out(positions: Floats, faces: NDArray[np.int32]) -> bool:
    """Whether a closed body has its faces turned inwards, as a mirrored one has."""
    if not len(faces):
        return False
    a, b, c = (positions[faces[:, k]] - positions[faces[0, 0]] for k in range(3))
    areas = np.cross(b - a, c - a)  # of a closed body they are nothing, added up
    if np.abs(areas.sum(axis=0)).max() > _CLOSED * np.linalg.norm(areas, axis=1).sum():
        return False
    return bool((a * np.cross(b, c)).sum() < 0)


def errors() -> Mapping[int, str]:
    """What ifcopenshell said of entities that it could not convert, by their numbers."""
    import ifcopenshell

    out: dict[int, str] = {}
    for reason, entity in _ERROR.findall(ifcopenshell.get_log()):
        if reason != _NOTHING_MORE:
            out.setdefault(int(entity), reason.strip())
    return out


def _colours(geometry: Any, count: int) -> tuple[NDArray[np.uint16] | None, tuple[Material, ...]]:
    """The material of each of so many triangles, and the materials, of those that a style names; none where
    no triangle has one."""
    styles = list(geometry.materials)
    named = [one.instance_id() > 0 for one in styles]  # others are ifcopenshell's own, by the class
    of = np.frombuffer(geometry.material_ids_buffer, np.int32)
    if not any(named) or len(of) != count:
        return None, ()
    table = [Material(_rgba(one) if is_named else None) for one, is_named in zip(styles, named, strict=True)]
    return np.where(of < 0, len(table), of).astype(np.uint16), (*table, Material())


def _rgba(style: Any) -> tuple[int, int, int, int]:
    """IfcColourRgb is taken as sRGB; its transparency is 0 where nothing shines through."""
    clear = style.transparency if style.has_transparency() else 0.0
    parts = (*style.diffuse.components, 1.0 - clear)
    red, green, blue, alpha = (round(min(max(float(part), 0.0), 1.0) * 255) for part in parts)
    return red, green, blue, alpha


def outline(positions: Floats, triangles: NDArray[np.uint32]) -> shapely.Geometry:
    """The outline of a body seen from above, in metres; of an upright sheet a strip of two millimetres."""
    up = shadow(positions[triangles][:, :, :2])
    if up is not None:
        return up
    points = shapely.multipoints(positions[np.unique(triangles)][:, :2])
    return shapely.buffer(points.convex_hull, _HALF_WIDTH, quad_segs=1, cap_style="square")


def placed(shape: shapely.Geometry, place: Place) -> shapely.Geometry:
    """An outline in metres of the model as one in the CRS of its place."""
    return shapely.transform(shape, lambda xy: place.to(np.column_stack([xy, np.zeros(len(xy))]))[:, :2])

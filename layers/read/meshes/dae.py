"""COLLADA (ISO/PAS 17506, 1.4.1), read by pycollada: nodes with their matrices, names, materials, images."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from layers.errors import BadFile
from layers.mesh import Material
from layers.read.meshes.counting import check_numbers
from layers.read.meshes.model import Floats, Piece, Scene, Thing, check_count, damaged
from layers.read.meshes.sampling import sampled
from layers.read.pictures import Images
from layers.read.texture.wrapping import WRAP, Wrapping, wrapping

#: Nodes inside one another, and all that are gone through, at most: a node may show others again and again.
_DEEPEST, _MOST_NODES = 200, 200_000
#: A primitive, and how many triangles or polygons it has.
_PRIMITIVE = re.compile(
    rb"""<(?:[\w.-]+:)?(?:triangles|polylist|polygons)\b[^<>]{0,1000}?\bcount\s*=\s*["'](\d{1,18})["']"""
)


def load(path: Path, images: Images) -> Scene:
    """Read a file. Raises BadFile mesh.damaged, limit.triangles, mesh.cycle."""
    import collada  # type: ignore[import-untyped]

    check_numbers(path, _PRIMITIVE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numpy, of how pycollada shapes its arrays
            document = collada.Collada(str(path), ignore=[collada.common.DaeError])
        if document.scene is None:
            raise damaged("it has no scene")
        nodes = list(_nodes(document.scene.nodes, np.eye(4), "", 0, count()))
        check_count(sum(_count(geometry) for _, geometry, _, _ in nodes))
        looks: dict[tuple[int, Wrapping], Material] = {}
        things = [
            Thing(name, list(_pieces(geometry, matrix, images, looks)), inside)
            for name, geometry, matrix, inside in nodes
        ]
    except BadFile:
        raise
    except RecursionError as error:
        raise BadFile("mesh.cycle", "its nodes lie in one another without end; export it anew") from error
    except Exception as error:  # pycollada raises whatever its parser and numpy do
        raise damaged(f"{type(error).__name__}: {error}") from error
    unit, axis = document.assetInfo.unitmeter, document.assetInfo.upaxis
    up = {"Y_UP": "y", "Z_UP": "z"}.get(axis or "Y_UP")
    if up is None:
        raise damaged(f"its upright axis is {axis}; export it with Z or Y up")
    metres = 1.0 if unit is None else float(unit)
    if not 0 < metres < math.inf:
        raise damaged(f"its unit is {metres:g} metres")
    return Scene("COLLADA", things, metres, up)  # type: ignore[arg-type]


def _nodes(
    nodes: Any, matrix: Floats, inside: str, depth: int, seen: Iterator[int]
) -> Iterator[tuple[str, Any, Floats, str]]:
    """(name, geometry, matrix, names above) of every geometry that a node has; ``seen`` counts nodes.

    Raises BadFile mesh.cycle."""
    import collada

    if depth > _DEEPEST:
        raise BadFile("mesh.cycle", f"its nodes lie more than {_DEEPEST} deep in one another; export it anew")
    for node in nodes:
        if next(seen) > _MOST_NODES:
            raise BadFile("mesh.cycle", f"it shows more than {_MOST_NODES} nodes; export it with fewer")
        if isinstance(node, collada.scene.GeometryNode):
            above, _, own = inside.rpartition("/")
            yield own or node.geometry.name or node.geometry.id, node, matrix, above
        elif isinstance(node, collada.scene.NodeNode):
            yield from _nodes([node.node], matrix, inside, depth + 1, seen)
        elif isinstance(node, collada.scene.Node):
            own = node.xmlnode.get("name") or node.id or ""
            below = "/".join(filter(None, (inside, own)))
            yield from _nodes(node.children, matrix @ node.matrix, below, depth + 1, seen)


def _count(node: Any) -> int:
    return sum(len(each) for each in node.geometry.primitives)


def _pieces(
    node: Any, matrix: Floats, images: Images, looks: dict[tuple[int, Wrapping], Material]
) -> Iterator[Piece]:
    import collada

    named: dict[str, Any] = {each.symbol: each.target for each in node.materials}
    for primitive in node.geometry.primitives:
        own = primitive
        if isinstance(own, collada.polylist.Polylist | collada.polygons.Polygons):
            own = own.triangleset()
        if not isinstance(own, collada.triangleset.TriangleSet) or own.vertex is None or not len(own):
            continue
        target = named.get(own.material)
        found, wrap = None, WRAP
        if target is not None and own.texcoordset:
            found = np.asarray(own.texcoordset[0], np.float64)[own.texcoord_indexset[0]][:, :, :2]
            wrap, found = sampled(found * [1, -1] + [0, 1], *_wrapping(target.effect))
        if (id(target), wrap) not in looks:
            looks[id(target), wrap] = Material() if target is None else _look(target.effect, images, wrap)
        look = looks[id(target), wrap]
        uv = found.astype(np.float32) if look.texture and found is not None else None
        vertices = np.asarray(own.vertex, np.float64)
        moved = vertices @ matrix[:3, :3].T + matrix[:3, 3]
        name = "" if target is None else str(target.name or target.id or "")
        yield Piece(moved, np.asarray(own.vertex_index, np.int64).reshape(-1, 3), look, uv, None, name)


def _wrapping(effect: Any) -> tuple[Wrapping, Wrapping]:
    """How the diffuse image of an effect goes on across and down (COLLADA 1.4.1, sampler2D)."""
    import collada

    if not isinstance(effect.diffuse, collada.material.Map):
        return WRAP, WRAP
    said = {
        str(each.tag).rpartition("}")[2]: (each.text or "").strip()
        for each in effect.diffuse.sampler.xmlnode.iter()
    }
    border = [float(part) for part in said.get("border_color", "").split()]
    across, down = (wrapping(said.get(axis, ""), border) for axis in ("wrap_s", "wrap_t"))
    return across, down


def _look(effect: Any, images: Images, wrap: Wrapping) -> Material:
    """The diffuse colour or image of an effect."""
    import collada

    diffuse: Any = effect.diffuse
    if isinstance(diffuse, collada.material.Map):
        image = diffuse.sampler.surface.image
        name = images.name(str(image.path), wrap)
        return Material(None, name)
    if diffuse is None:
        return Material()
    parts = [round(min(max(float(part), 0.0), 1.0) * 255) for part in diffuse]
    clear = effect.transparency
    alpha = parts[3] if len(parts) > 3 else 255
    if isinstance(clear, int | float) and effect.transparent is not None and 0 < clear < 1:
        alpha = round(255 * float(clear))
    return Material((parts[0], parts[1], parts[2], alpha))

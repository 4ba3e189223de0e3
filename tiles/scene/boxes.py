"""A GLB of boxes, for far views: axes of their own and numbers that repeat pack to little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles import geocentric
from tiles.mesh.instances import quaternions
from tiles.scene.blocks import Boxes
from tiles.scene.glb import (
    ARRAY_BUFFER,
    AT_PLACES,
    FEATURES,
    FLOAT,
    Buffer,
    asset,
    container,
    feature_ids,
    metadata,
)
from tiles.scene.look import MATERIAL
from tiles.scene.metadata import PropertyColumn

#: Steps in a metre of places and sizes.
STEPS = 4
_FACES = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7]])
#: Corners of a box on its foot, in sizes; the triangles of its walls and lid; the direction of each face.
CORNERS = np.array(
    [[x, y, z] for y in (0, 1) for x, z in ((-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5))]
)
SOLID = CORNERS[_FACES[:, [0, 1, 2, 0, 2, 3]].ravel()]
NORMALS = np.repeat(np.array([[0, 0, 1], [1, 0, 0], [0, 0, -1], [-1, 0, 0], [0, 1, 0]], "<f4"), 6, axis=0)


def boxes(
    placed: Boxes, table: Mapping[str, PropertyColumn], copyright_: str = "", instanced: bool = False
) -> bytes:
    """The file of some boxes, n > 0, each a row of the table, without floors. ``instanced``: one box that is
    drawn at each place (EXT_mesh_gpu_instancing), else all of them, without an index: it would be larger than
    what it saves."""
    buffer, n = Buffer(), len(placed.feet)
    feet = (np.round(placed.feet * STEPS) / STEPS).astype("<f4")
    sizes = (np.maximum(np.round(placed.sizes * STEPS), 1) / STEPS).astype("<f4")
    ids = {"featureIds": [{"featureCount": n, "attribute": 0, "propertyTable": 0}]}
    turn = quaternions((geocentric.y_up(np.eye(3)).T @ placed.axes)[None])[0].tolist()
    node: dict[str, Any] = {
        "mesh": 0,
        "translation": geocentric.y_up(placed.origin).tolist(),
        "rotation": turn,
    }
    if instanced:
        primitive = _primitive(buffer, SOLID.astype("<f4"), NORMALS)
        attributes = {
            "TRANSLATION": _vectors(buffer, feet, None, ends=True),
            "SCALE": _vectors(buffer, sizes, None),
            "_FEATURE_ID_0": feature_ids(buffer, np.arange(n)),
        }
        node["extensions"] = {AT_PLACES: {"attributes": attributes}, "EXT_instance_features": ids}
        used = ["EXT_structural_metadata", AT_PLACES, "EXT_instance_features"]
    else:
        # first the size, then the place, in 32 bits each: walls of one box have the very same numbers
        points = (SOLID.astype("<f4") * sizes[:, None] + feet[:, None]).reshape(-1, 3)
        primitive = _primitive(buffer, points, np.tile(NORMALS, (n, 1)))
        primitive["attributes"]["_FEATURE_ID_0"] = feature_ids(buffer, np.repeat(np.arange(n), len(SOLID)))
        primitive["extensions"] = {"EXT_mesh_features": ids}
        used = ["EXT_mesh_features", "EXT_structural_metadata"]
    document = {
        "asset": asset("2.0", copyright_) | {"generator": "onemap-twin"},
        "extensionsUsed": used,
        **({"extensionsRequired": [AT_PLACES]} if instanced else {}),
        "extensions": {"EXT_structural_metadata": metadata(buffer, {FEATURES: (table, n)})},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [node],
        "meshes": [{"primitives": [primitive]}],
        "materials": [MATERIAL],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": buffer.size}],
    }
    return container(orjson.dumps(document), b"".join(buffer.parts))


def _primitive(buffer: Buffer, points: NDArray[np.float32], normals: NDArray[np.float32]) -> dict[str, Any]:
    attributes = {
        "POSITION": _vectors(buffer, points, ARRAY_BUFFER, ends=True),
        "NORMAL": _vectors(buffer, normals, ARRAY_BUFFER),
    }
    return {"attributes": attributes, "material": 0, "mode": 4}


def _vectors(buffer: Buffer, rows: NDArray[np.float32], target: int | None, *, ends: bool = False) -> int:
    more = {}
    if ends:
        more = {"min": [float(each.min()) for each in rows.T], "max": [float(each.max()) for each in rows.T]}
    view = buffer.view(rows.tobytes(), target, None if target is None else 12)
    return buffer.accessor(view, FLOAT, len(rows), "VEC3", **more)

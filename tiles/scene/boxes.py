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

#: Steps of places and sizes (m), and of a geometric error: a quarter of a pixel where a box is seen from as
#: near as it is ever (16 pixels of error).
FINEST, COARSEST, STEPS = 0.25, 4.0, 64
#: Parts of a geometric error up to which a box has no walls: two pixels there.
LOW = 1 / 8
_FACES = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7]])
#: Corners of a box on its foot, in sizes; the triangles of its walls and lid; the direction of each face.
CORNERS = np.array(
    [[x, y, z] for y in (0, 1) for x, z in ((-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5))]
)
#: Of a face, its corners by triangle: of all orders these two pack to the least, alone and with walls.
_LID, _SIDE = [3, 0, 2, 0, 1, 2], [1, 3, 0, 3, 1, 2]
SOLID = CORNERS[_FACES[:, _SIDE].ravel()]
NORMALS = np.repeat(np.array([[0, 0, 1], [1, 0, 0], [0, 0, -1], [-1, 0, 0], [0, 1, 0]], "<f4"), 6, axis=0)


def boxes(
    placed: Boxes,
    table: Mapping[str, PropertyColumn],
    error: float,
    copyright_: str = "",
    instanced: bool = False,
) -> bytes:
    """The file of some boxes, n > 0, each a row of the table, without floors, of a geometric error (m).
    ``instanced``: one box that is drawn at each place (EXT_mesh_gpu_instancing), else all of them, without
    walls too low to be seen, and without an index: it would be larger than what it saves."""
    buffer, n = Buffer(), len(placed.feet)
    step = float(np.clip(2 ** np.floor(np.log2(error / STEPS)), FINEST, COARSEST))
    ids = {"featureIds": [{"featureCount": n, "attribute": 0, "propertyTable": 0}]}
    turn = quaternions((geocentric.y_up(np.eye(3)).T @ placed.axes)[None])[0].tolist()
    node: dict[str, Any] = {
        "mesh": 0,
        "translation": geocentric.y_up(placed.origin).tolist(),
        "rotation": turn,
    }
    if instanced:
        primitive = _primitive(buffer, SOLID.astype("<f4"), NORMALS)
        sizes = np.maximum(np.round(placed.sizes / step), 1) * step
        attributes = {
            "TRANSLATION": _vectors(
                buffer, (np.round(placed.feet / step) * step).astype("<f4"), None, ends=True
            ),
            "SCALE": _vectors(buffer, sizes.astype("<f4"), None),
            "_FEATURE_ID_0": feature_ids(buffer, np.arange(n)),
        }
        node["extensions"] = {AT_PLACES: {"attributes": attributes}, "EXT_instance_features": ids}
        used = ["EXT_structural_metadata", AT_PLACES, "EXT_instance_features"]
    else:
        corners, rows = _corners(placed, step), np.arange(n)
        low = placed.sizes[:, 1] <= LOW * error
        lids = corners[low][:, _FACES[-1, _LID]].reshape(-1, 3)
        solids = corners[~low][:, _FACES[:, _SIDE].ravel()].reshape(-1, 3)
        normals = np.vstack(
            [np.tile(NORMALS[-1:], (len(lids), 1)), np.tile(NORMALS, (n - int(low.sum()), 1))]
        )
        primitive = _primitive(buffer, np.vstack([lids, solids]), normals)
        of = np.concatenate([np.repeat(rows[low], len(_LID)), np.repeat(rows[~low], len(SOLID))])
        primitive["attributes"]["_FEATURE_ID_0"] = feature_ids(buffer, of)
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


def _corners(placed: Boxes, step: float) -> NDArray[np.float32]:
    """The corners (n, 8, 3) of boxes on a grid of so many metres, so that their numbers are short."""
    half = placed.sizes * (0.5, 0.0, 0.5)
    least = np.round((placed.feet - half) / step) * step
    most = np.maximum(np.round((placed.feet + half + placed.sizes * (0, 1, 0)) / step) * step, least + step)
    return np.where(CORNERS > 0, most[:, None], least[:, None]).astype("<f4")


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

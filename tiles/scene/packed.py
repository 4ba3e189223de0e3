"""Bodies in few bytes for clients that read them: whole numbers (KHR_mesh_quantization), packed by
EXT_meshopt_compression. Of what has neither a skin nor colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles import geocentric
from tiles.mesh.body import Body
from tiles.mesh.instances import quaternions
from tiles.scene import meshopt
from tiles.scene.glb import (
    ARRAY_BUFFER,
    ELEMENT_ARRAY_BUFFER,
    FINEST,
    FLOAT,
    UNSIGNED_INT,
    UNSIGNED_SHORT,
    Buffer,
)
from tiles.scheme import Floats

#: Metres of a step of positions; where it would be larger they stay floating-point numbers.
COARSEST = 0.02
BYTE = 5120
_STEPS = 65_535


def primitive(buffer: Buffer, body: Body, centre: Floats) -> tuple[dict[str, Any], dict[str, Any]]:
    """The primitive of a body, without its material, and how its node is placed; ``centre`` (3,) in
    geocentric metres."""
    n, axes = len(body.positions), _axes(centre)
    places = (body.positions - centre) @ axes
    least = places.min(axis=0)
    step = max(float((places - least).max()) / _STEPS, 1e-6)
    turn = quaternions((geocentric.y_up(np.eye(3)).T @ axes)[None])[0].tolist()
    if step <= COARSEST:
        numbers = np.zeros((n, 4), "<u2")
        numbers[:, :3] = np.round((places - least) / step)
        positions = _vectors(buffer, numbers, UNSIGNED_SHORT)
        corner = geocentric.y_up(centre + axes @ least)
        node = {"translation": corner.tolist(), "rotation": turn, "scale": [step] * 3}
    else:
        positions = _vectors(buffer, (np.round(places * FINEST) / FINEST).astype("<f4"), FLOAT)
        node = {"translation": geocentric.y_up(centre).tolist(), "rotation": turn}
    normals = np.zeros((n, 4), np.int8)
    normals[:, :3] = np.round(body.normals @ axes * 127)
    attributes = {"POSITION": positions, "_FEATURE_ID_0": _rows(buffer, body.rows)}
    attributes["NORMAL"] = buffer.accessor(_packed(buffer, normals), BYTE, n, "VEC3", normalized=True)
    return {"attributes": attributes, "indices": _indices(buffer, body.triangles.ravel(), n), "mode": 4}, node


def _axes(centre: Floats) -> Floats:
    """East, up and south at a point, as columns: in these a wall's upper corners differ from its lower ones
    by their height alone."""
    lon, lat, _ = geocentric.geodetic(centre[None])
    turned = geocentric.axes(float(lon[0]), float(lat[0]))
    return np.column_stack([turned[:, 0], turned[:, 2], -turned[:, 1]])


def _vectors(buffer: Buffer, rows: NDArray[Any], component: int) -> int:
    ends = rows[:, :3].astype(float)
    least, most = ends.min(axis=0).tolist(), ends.max(axis=0).tolist()
    return buffer.accessor(_packed(buffer, rows), component, len(rows), "VEC3", min=least, max=most)


def _rows(buffer: Buffer, rows: NDArray[np.int64]) -> int:
    if rows.max() >= 65_536:
        return buffer.accessor(_packed(buffer, rows.astype("<f4")[:, None]), FLOAT, len(rows), "SCALAR")
    padded = np.zeros((len(rows), 2), "<u2")
    padded[:, 0] = rows
    return buffer.accessor(_packed(buffer, padded), UNSIGNED_SHORT, len(rows), "SCALAR")


def _packed(buffer: Buffer, rows: NDArray[Any]) -> int:
    data = np.ascontiguousarray(rows).view(np.uint8)
    count, stride = data.shape
    return buffer.packed(meshopt.attributes(data), count, stride, "ATTRIBUTES", ARRAY_BUFFER)


def _indices(buffer: Buffer, sequence: NDArray[np.int64], vertices: int) -> int:
    # 65535 is the primitive restart value (glTF 2.0, 3.7.2.1)
    size, component = (2, UNSIGNED_SHORT) if vertices < _STEPS else (4, UNSIGNED_INT)
    n = len(sequence)
    view = buffer.packed(meshopt.indices(sequence), n, size, "INDICES", ELEMENT_ARRAY_BUFFER)
    return buffer.accessor(view, component, n, "SCALAR")

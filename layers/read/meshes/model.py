"""What every format of meshes is brought to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from layers.errors import BadFile, shown
from layers.mesh import Material

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]

#: Triangles and objects of a file at most.
MOST_TRIANGLES, MOST_THINGS = 1_250_000, 100_000
#: Positions of a file at most: more than all triangles have corners are of no use.
MOST_POSITIONS = 3 * MOST_TRIANGLES
_DIVIDE = "divide it into tiles, or let the program that it came from reduce it"


@dataclass(slots=True)
class Piece:
    """Triangles of one look: vertices (n, 3) in the model's axes and unit, triangles (m, 3); ``uv`` (m, 3, 2)
    of their corners as glTF counts them, v down; ``colors`` (m, 4) of each in sRGB and alpha, where they
    differ. ``name`` is that of the material."""

    vertices: Floats
    triangles: Indices
    material: Material = field(default_factory=Material)
    uv: NDArray[np.float32] | None = None
    colors: NDArray[np.uint8] | None = None
    name: str = ""


@dataclass(slots=True)
class Thing:
    """What becomes a feature: a node, an object, a group or a layer; ``inside`` names what it lies in."""

    name: str
    pieces: Sequence[Piece]
    inside: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Scene:
    """A file: its things, metres of its unit and its upright axis, None where the format does not say."""

    driver: str
    things: Sequence[Thing]
    unit: float | None = None
    up: Literal["y", "z"] | None = None
    #: The axis that is upright by custom where nothing says it.
    usual: Literal["y", "z"] = "z"


def check_count(triangles: int, things: int = 1) -> None:
    """Raises BadFile limit.triangles, limit.objects."""
    if triangles > MOST_TRIANGLES:
        reason = f"the file has {triangles:,} triangles, the limit is {MOST_TRIANGLES:,}"
        raise BadFile("limit.triangles", f"{reason}: {_DIVIDE}")
    if things > MOST_THINGS:
        reason = f"the file has {things:,} objects, the limit is {MOST_THINGS:,}"
        raise BadFile("limit.objects", f"{reason}: {_DIVIDE}")


def check_positions(count: int) -> None:
    """Raises BadFile limit.positions."""
    if count > MOST_POSITIONS:
        reason = f"the file has {count:,} positions, the limit is {MOST_POSITIONS:,}"
        raise BadFile("limit.positions", f"{reason}: leave out those that no triangle has")


def damaged(what: object) -> BadFile:
    """A file that cannot be read, with the reason."""
    return BadFile("mesh.damaged", f"the mesh cannot be read: {shown(what)}; export it anew")


def fanned(faces: NDArray[Any]) -> Indices:
    """Triangles (m, 3) of faces (n, k) about their first corners."""
    faces = np.asarray(faces, np.int64).reshape(len(faces), -1)
    first = faces[:, :1]
    return np.concatenate(
        [np.column_stack([first, faces[:, k : k + 2]]) for k in range(1, faces.shape[1] - 1)]
    )


def bytes_of(colors: Any, count: int) -> NDArray[np.uint8] | None:
    """Colours (count, 4) of 0 to 255, whatever numbers they were given as; None for what is none."""
    made = np.asarray(colors)
    if made.ndim != 2 or len(made) != count or made.shape[1] not in (3, 4):
        return None
    if made.dtype.kind == "f":
        made = np.clip(np.nan_to_num(made), 0, 1) * 255
    elif made.dtype.itemsize > 1:
        made = made.astype(np.float64) / np.iinfo(made.dtype).max * 255 if made.max(initial=0) > 255 else made
    whole = np.full((count, 4), 255, np.uint8)
    whole[:, : made.shape[1]] = np.round(made).astype(np.uint8)
    return whole

"""Bodies with parts, colours and images, made for tests."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from layers.mesh import Material, Mesh, Part, Surface

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 160, 40), (30, 60, 200), (240, 240, 240)
QUARTERS = (RED, GREEN, BLUE, WHITE)


def image(
    colours: Sequence[tuple[int, ...]] = QUARTERS,
    size: tuple[int, int] = (64, 64),
    form: str = "PNG",
    **how: Any,
) -> bytes:
    """An image of four quarters: upper left, upper right, lower left, lower right."""
    width, height = size
    mode = "RGBA" if len(colours[0]) == 4 else "RGB"
    made = Image.new(mode, size, colours[3])
    for number, colour in enumerate(colours[:3]):
        x, y = number % 2 * width // 2, number // 2 * height // 2
        made.paste(colour, (x, y, x + width // 2, y + height // 2))
    out = io.BytesIO()
    made.save(out, form, **how)
    return out.getvalue()


def box(lon: float, lat: float, metres: float = 10.0, height: float = 10.0) -> Mesh:
    """A closed box on the ground with its south-west corner there; its bottom is ground, its top roof, its
    sides are walls. Two triangles a side: bottom, top, south, east, north, west."""
    wide = metres / (111_320 * np.cos(np.radians(lat)))
    deep = metres / 111_132
    corners = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
    positions = corners * [wide, deep, height] + [lon, lat, 0]
    quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (1, 3, 7, 5), (3, 2, 6, 7), (2, 0, 4, 6)]
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    kinds = [Surface.GROUND, Surface.ROOF] + [Surface.WALL] * 4
    return Mesh(positions, np.array(triangles, np.uint32), np.repeat(np.array(kinds, np.uint8), 2))


def textured(
    mesh: Mesh, texture: str, *, walls: tuple[int, int, int, int] | None = (120, 90, 60, 255)
) -> Mesh:
    """The box with an image on its roof, one colour on its walls, and its sides as parts."""
    uv = np.zeros((12, 3, 2), np.float32)
    uv[2] = [[0, 1], [1, 1], [1, 0]]  # the roof's corners from the south-west on, v down
    uv[3] = [[0, 1], [1, 0], [0, 0]]
    return replace(
        mesh,
        parts=np.repeat(np.arange(6, dtype=np.uint32), 2),
        part_table=(
            Part("g", "GroundSurface"),
            Part("r", "RoofSurface", "Dach"),
            *(Part(f"w{i}", "WallSurface") for i in range(4)),
        ),
        materials=np.repeat(np.array([0, 1, 2, 2, 2, 2], np.uint16), 2),
        material_table=(Material(), Material(None, texture), Material(walls)),
        uv=uv,
    )

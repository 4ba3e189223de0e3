"""What covers the ground between streets: the river, its banks, parks, squares, sports grounds, woods."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from twin.demo.lanjiang import quads, relief
from twin.demo.lanjiang.parcels import Land, Parcel, is_field
from twin.demo.lanjiang.plan import WIDTHS, Class, Layout, Superblock, Use
from twin.demo.lanjiang.quads import Point, Quad, mm

type Ring = tuple[Point, ...]

#: Metres from one point of a bank to the next.
_STEP = 25.0


def covers(seed: int, of: Superblock, laid: Layout, parcels: list[Parcel]) -> Iterator[tuple[str, str, Ring]]:
    """(class as the source calls it, name, ring)."""
    half = WIDTHS[Class.MAIN] / 2
    inside = quads.inset(of.quad, half, half, half, half)
    if of.use is Use.RIVER:
        south, north = (_bank(of.quad, side) for side in (-1, 1))
        yield "水域", "岚江", (*south, *reversed(north))
        if inside:
            a, b, c, d = inside
            yield "公园", "滨江公园", (a, b, *reversed(_bank(inside, -1)))
            yield "公园", "滨江公园", (*_bank(inside, 1), c, d)
    elif inside and of.use in (Use.HILL, Use.FIELDS):
        yield ("林地", "岚山", inside) if of.use is Use.HILL else ("草地", "", inside)
    elif of.use is Use.VILLAGE:
        for number, block in enumerate(laid.blocks):
            if is_field(seed, of, number) and (field := laid.inside(block)):
                yield "草地", "菜地", field
    for parcel in parcels:
        if parcel.land is Land.PARK:
            yield "公园", "", parcel.quad
        elif parcel.land is Land.SQUARE:
            yield "广场", "", parcel.quad
        elif parcel.land is Land.SCHOOL and (field := _field(parcel.quad)):
            yield "pitch", "运动场", field


def _field(quad: Quad) -> Quad | None:
    """The sports ground of a school: the half without class rooms."""
    within = quads.inset(quad, 12, 10, 10, 10)
    return quads.part(within, 0.56, 0.12, 0.98, 0.88) if within else None


def _bank(quad: Quad, side: int) -> list[Point]:
    """A bank of the river from the west side of a superblock to its east side."""
    (west, east) = ((quad[0][0] + quad[3][0]) / 2, (quad[1][0] + quad[2][0]) / 2)
    count = max(2, int((east - west) // _STEP) + 1)
    x = np.linspace(west, east, count)
    y = relief.axis(x) + side * relief.RIVER
    return [mm(float(a), float(b)) for a, b in zip(x, y, strict=True)]

"""Parcels: what each block is divided into, for what, and how much may be built there.

Codes are those of the classification of land and sea use for planning
(国土空间调查、规划、用途管制用地用海分类指南, 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from twin.demo.lanjiang import names, quads
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.plan import WIDTHS, Block, Layout, Superblock, Use
from twin.demo.lanjiang.quads import Quad


class Land(StrEnum):
    """Codes of use."""

    HOUSING = "0701"
    VILLAGE = "0703"
    OFFICES_OF_STATE = "0801"
    CULTURE = "0803"
    SCHOOL = "080403"
    NURSERY = "080404"
    HOSPITAL = "080601"
    SHOPS = "0901"
    OFFICES = "0902"
    INDUSTRY = "1001"
    STORAGE = "1101"
    PARK = "1401"
    SQUARE = "1403"


TITLES = {
    Land.HOUSING: "城镇住宅用地",
    Land.VILLAGE: "农村宅基地",
    Land.OFFICES_OF_STATE: "机关团体用地",
    Land.CULTURE: "文化用地",
    Land.SCHOOL: "中小学用地",
    Land.NURSERY: "幼儿园用地",
    Land.HOSPITAL: "医院用地",
    Land.SHOPS: "商业用地",
    Land.OFFICES: "商务金融用地",
    Land.INDUSTRY: "工业用地",
    Land.STORAGE: "物流仓储用地",
    Land.PARK: "公园绿地",
    Land.SQUARE: "广场用地",
}
#: Floor area ratio, share that is built on, share that is green, height (m): what a plan allows at most, of
#: green at least.
LIMITS = {
    Land.HOUSING: (2.8, 0.3, 0.35, 100),
    Land.VILLAGE: (1.2, 0.5, 0.2, 12),
    Land.OFFICES_OF_STATE: (2.0, 0.35, 0.3, 60),
    Land.CULTURE: (1.5, 0.4, 0.3, 40),
    Land.SCHOOL: (0.9, 0.3, 0.35, 24),
    Land.NURSERY: (0.8, 0.3, 0.35, 15),
    Land.HOSPITAL: (2.0, 0.35, 0.35, 80),
    Land.SHOPS: (4.5, 0.55, 0.2, 180),
    Land.OFFICES: (6.0, 0.5, 0.2, 220),
    Land.INDUSTRY: (1.8, 0.6, 0.15, 30),
    Land.STORAGE: (1.5, 0.6, 0.15, 24),
    Land.PARK: (0.05, 0.03, 0.75, 10),
    Land.SQUARE: (0.05, 0.03, 0.3, 10),
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """A parcel, and the street of the superblock that it faces, at ``quad``'s first side."""

    id: str
    land: Land
    quad: Quad
    street: int
    name: str = ""
    old: bool = False


def parcels(seed: int, of: Superblock, laid: Layout) -> list[Parcel]:
    """The parcels of a superblock, block after block."""
    random = draws(seed, "parcels", of.i, of.j)
    made: list[Parcel] = []
    for number, block in enumerate(laid.blocks):
        inside = laid.inside(block)
        if inside is None:
            continue
        if of.use is Use.VILLAGE and is_field(seed, of, number):
            continue
        for quad, land in _divided(of.use, inside, number, random):
            street, facing = _facing(laid, block, quad, inside)
            at = len(made)
            code, _ = names.community(of.i, of.j)
            name = names.estate(of.i, of.j, at) if land is Land.HOUSING and of.use is not Use.OLD else ""
            made.append(Parcel(f"{code}{at + 1:04d}", land, facing, street, name, of.use is Use.OLD))
    return made


def is_field(seed: int, of: Superblock, block: int) -> bool:
    """Whether a block of a village is not built on, but sown."""
    return float(draws(seed, "fields", of.i, of.j, block).random()) < 0.18


def _divided(use: Use, quad: Quad, number: int, random: np.random.Generator) -> list[tuple[Quad, Land]]:
    """Parts of a block, and what they are for."""
    chance, share = float(random.random()), round(float(random.uniform(0.4, 0.6)), 3)
    west, east = _halves(quad, share)
    if use is Use.ESTATE:
        if chance < 0.16:
            return [(west, Land.HOUSING), (east, Land.SCHOOL if chance < 0.06 else Land.NURSERY)]
        if chance < 0.34:
            return [(west, Land.HOUSING), (east, Land.PARK if chance < 0.25 else Land.SHOPS)]
        return [(quad, Land.HOUSING)]
    if use is Use.CORE:
        if number % 9 == 4:
            return [(quad, Land.SQUARE if chance < 0.5 else Land.PARK)]
        lands = (Land.OFFICES, Land.SHOPS, Land.OFFICES, Land.HOUSING, Land.OFFICES_OF_STATE)
        if chance < 0.4:
            return [(quad, lands[int(chance * 10) % 2])]
        return [(west, lands[int(chance * 50) % 5]), (east, lands[int(chance * 70) % 2])]
    if use is Use.OLD:
        return [(quad, Land.PARK if chance < 0.05 else Land.SHOPS if chance < 0.12 else Land.HOUSING)]
    if use is Use.INDUSTRY:
        return [(west, Land.INDUSTRY), (east, Land.STORAGE if chance < 0.3 else Land.INDUSTRY)]
    if use is Use.CAMPUS:
        turn = (Land.HOSPITAL, Land.SCHOOL, Land.CULTURE, Land.HOUSING, Land.PARK, Land.OFFICES_OF_STATE)
        return [(quad, turn[number % 6])]
    return [(quad, Land.VILLAGE)]


def _halves(quad: Quad, share: float) -> tuple[Quad, Quad]:
    """Cut across its longer sides."""
    x, y = quads.sides(quad)
    if x >= y:
        return quads.part(quad, 0, 0, share, 1), quads.part(quad, share, 0, 1, 1)
    return quads.part(quad, 0, 0, 1, share), quads.part(quad, 0, share, 1, 1)


def _facing(laid: Layout, block: Block, quad: Quad, inside: Quad) -> tuple[int, Quad]:
    """The widest street beside a part of a block, and the part with that side first."""
    beside = [side for side in range(4) if _is_at(quad, inside, side)]
    side = max(beside, key=lambda one: (WIDTHS[laid.streets[block.roads[one]].cls], -one))
    a, b, c, d = (quad[(side + k) % 4] for k in range(4))
    return block.roads[side], (a, b, c, d)


def _is_at(quad: Quad, inside: Quad, side: int) -> bool:
    """Whether a side of a part is on that of the whole."""
    other = (side + 1) % 4
    return (
        _off(quad[side], inside[side], inside[other]) < 0.05
        and _off(quad[other], inside[side], inside[other]) < 0.05
    )


def _off(point: quads.Point, a: quads.Point, b: quads.Point) -> float:
    """The distance of a point from a line."""
    (ax, ay), (bx, by) = a, b
    wide = float(np.hypot(bx - ax, by - ay))
    return abs((bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)) / wide

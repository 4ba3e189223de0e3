"""Areas beside communities and unit grids: subdistricts, duty grids (责任网格) and the grids of 综治.

A duty grid is what one collector walks, some unit grids that touch. A grid of 综治 is some unit grids with
about so many people, or one whose works, school or hospital has a grid of its own (专属网格). Their codes go
on from the community's twelve digits, with two and with four more (not verified).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from twin.demo.lanjiang import grids, names, plan
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.plan import Use
from twin.demo.lanjiang.quads import Quad
from twin.demo.lanjiang.subject import SHAPE, City, Rows

#: Unit grids of a duty grid, and people of a grid of 综治, at most.
WALKED, WATCHED = 6, 1_000
#: How far (m) a corner may lie beside the side of a neighbour on which it was drawn.
_BESIDE = 0.003


@dataclass(frozen=True, slots=True)
class Area:
    """A grid: its code, the unit grids that it is made of, its outline, people who live there."""

    code: str
    units: tuple[str, ...]
    shape: shapely.Polygon
    people: int


def people_of(known: Known, outlines: Sequence[shapely.Polygon]) -> list[int]:
    """How many people live in each of some areas of a superblock."""
    houses = [one for _, built in known.built for one in built if one.people]
    counts = [0] * len(outlines)
    if houses:
        inside = shapely.points([one.ring[0] for one in houses])
        house, area = shapely.STRtree(outlines).query(inside, predicate="intersects")
        first = np.unique(house, return_index=True)[1]
        for at in first.tolist():
            counts[int(area[at])] += houses[int(house[at])].people
    return counts


def duty(known: Known) -> list[Area]:
    """The duty grids of a superblock."""
    return _areas(known, _one, WALKED, "")


def watched(known: Known) -> list[Area]:
    """The grids of 综治 of a superblock."""
    own = "02" if known.of.use in (Use.INDUSTRY, Use.CAMPUS) else "01"
    return _areas(known, _living, WATCHED, own)


def _one(_people: int) -> int:
    return 1


def _living(people: int) -> int:
    """A cell without people is some work, too."""
    return people + 60


def _areas(known: Known, weight: Callable[[int], int], most: int, kind: str) -> list[Area]:
    units = list(grids.units(known.of, known.laid))
    outlines = noded([quad for _, quad in units])
    people = people_of(known, outlines)
    code, _ = names.community(known.of.i, known.of.j)
    return [
        Area(
            f"{code}{kind}{number:02d}",
            tuple(units[at][0] for at in group),
            shapely.coverage_union_all([outlines[at] for at in group]),
            sum(people[at] for at in group),
        )
        for number, group in enumerate(_grouped(outlines, [weight(one) for one in people], most), 1)
    ]


def noded(quads: Sequence[Quad]) -> list[shapely.Polygon]:
    """Outlines with the corners of neighbours on their sides: what two have in common is the same in both."""
    corners = sorted({corner for quad in quads for corner in quad})
    tree = shapely.STRtree(shapely.points(corners))
    made = []
    for quad in quads:
        ring: list[tuple[float, float]] = []
        for a, b in zip(quad, (*quad[1:], quad[0]), strict=True):
            side = shapely.LineString([a, b])
            met = [corners[at] for at in tree.query(side, predicate="dwithin", distance=_BESIDE)]
            between = sorted(
                (round(side.project(shapely.Point(one)), 3), one) for one in met if one not in (a, b)
            )
            ring += [a, *(one for _, one in between)]
        made.append(shapely.Polygon(ring))
    return made


def _grouped(outlines: Sequence[shapely.Polygon], weights: Sequence[int], most: int) -> list[list[int]]:
    """Groups of areas that touch along a side, each as heavy as ``most`` where that can be."""
    a, b = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    beside: dict[int, list[int]] = {at: [] for at in range(len(outlines))}
    for one, other in sorted(zip(a.tolist(), b.tolist(), strict=True)):
        if one != other and shapely.length(shapely.intersection(outlines[one], outlines[other])) > 0.01:
            beside[one].append(other)
    free = list(range(len(outlines)))
    groups: list[list[int]] = []
    while free:
        group, heavy = [free[0]], weights[free[0]]
        del free[0]
        while near := [at for at in free if any(at in beside[one] for one in group)]:
            if heavy + weights[near[0]] > most:
                break
            group.append(near[0])
            heavy += weights[near[0]]
            free.remove(near[0])
        groups.append(sorted(group))
    return groups


def duty_grids(known: Known) -> Rows:
    """Rows of duty grids."""
    code, name = names.community(known.of.i, known.of.j)
    for one in duty(known):
        yield {
            "网格编码": one.code,
            "名称": f"{name}责任网格{int(one.code[-2:])}",
            "社区代码": code,
            "单元数": len(one.units),
            SHAPE: one.shape,
        }


def watched_grids(known: Known) -> Rows:
    """Rows of grids of 综治."""
    code, name = names.community(known.of.i, known.of.j)
    for one in watched(known):
        own = one.code[12:14] == "02"
        yield {
            "网格编码": one.code,
            "名称": f"{name}第{names.numeral(int(one.code[-2:]))}{'专属' if own else ''}网格",
            "网格类型": "专属网格" if own else "一般网格",
            "社区代码": code,
            "人数": one.people,
            SHAPE: one.shape,
        }


def subdistricts(city: City) -> Rows:
    """Rows of subdistricts: what their communities cover, as far as the size has these."""
    people = {
        row["行政区代码"]: row["人数"]
        for part in city.tables("communities")
        for row in part.select(["行政区代码", "人数"]).to_pylist()
    }
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for cell in plan.cells(city.size):
        found.setdefault(names.subdistrict(*cell), []).append(cell)
    for (code, name), cells in sorted(found.items()):
        quads = [shapely.Polygon(plan.superblock(city.seed, *cell).quad) for cell in cells]
        yield {
            "行政区代码": code,
            "名称": name,
            "所属区": names.district(*cells[0]),
            "社区数": len(cells),
            "人数": sum(people[names.community(*cell)[0]] for cell in cells),
            SHAPE: shapely.coverage_union_all(quads),
        }

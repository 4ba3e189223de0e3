"""Wholes and parts: whose part it is, and what is left of a whole beside its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from layers import parts

#: Degrees of one metre near 60.17 N.
M = np.array([180 / np.pi / 6_378_137 / np.cos(np.radians(60.17)), 180 / np.pi / 6_378_137])
AT = np.array([24.94, 60.17])


def box(x0: float, y0: float, x1: float, y1: float) -> Any:
    """A box in metres from a corner of the city."""
    return shapely.transform(shapely.box(x0, y0, x1, y1), lambda c: c * M + AT)


def area(shape: Any) -> float:
    """Square metres."""
    return float(shapely.transform(shape, lambda c: (c - AT) / M).area)


def left(footprint: Any, members: list[tuple[Any, float]], low: float = 0.0, high: float = 12.0) -> Any:
    """What parts leave over of one whole."""
    shapes = np.array([shape for shape, _ in members], dtype=object)
    bottoms = np.array([bottom for _, bottom in members])
    wholes = np.array([footprint], dtype=object)
    owner = np.zeros(len(members), np.int64)
    return parts.remainders(wholes, np.array([low]), np.array([high]), shapes, owner, bottoms)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([(box(0, 0, 20, 20), 0.0)], 0),
        ([(box(0, 0, 10, 20), 0.0)], 10 * 20 * 12),
        ([(box(0, 0, 20, 20), 6.0)], 20 * 20 * 6),
        ([(box(0, 0, 10, 20), 6.0)], 10 * 20 * 12 + 10 * 20 * 6),
        ([(box(0, 0, 20, 20), 0.0), (box(5, 5, 10, 10), 9.0)], 0),
        ([(box(0, 0, 10, 20), 0.0), (box(0, 0, 20, 20), 6.0)], 10 * 20 * 6),
        ([(box(0, 0, 20, 20), 6.0), (box(0, 0, 20, 20), 6.0)], 20 * 20 * 6),
        ([(box(0.1, 0, 20, 20), 0.0)], 0),
        ([(box(-5, 0, 10, 20), 6.0)], 10 * 20 * 12 + 10 * 20 * 6),
        ([(box(30, 0, 40, 20), 0.0)], 20 * 20 * 12),
    ],
    ids=[
        "whole",
        "half",
        "above",
        "half above",
        "tower on base",
        "base and upper",
        "twice",
        "sliver",
        "overhang",
        "beside",
    ],
)
def test_what_is_left_of_a_building(members: list[tuple[Any, float]], expected: float) -> None:
    found = left(box(0, 0, 20, 20), members)
    volume = sum(area(shape) * top for shape, top in zip(found.shape, found.top, strict=True))
    assert volume == pytest.approx(expected, rel=1e-4)
    assert shapely.is_valid(found.shape).all()
    assert (shapely.get_type_id(found.shape) == shapely.GeometryType.POLYGON).all()


def test_what_overlay_refuses_is_mended() -> None:
    bow = shapely.transform(shapely.Polygon([(0, 0), (20, 20), (20, 0), (0, 20)]), lambda c: c * M + AT)
    found = left(box(0, 0, 20, 20), [(bow, 0.0)])
    assert sum(map(area, found.shape)) == pytest.approx(200, rel=1e-3)


def owners(
    members: list[Any],
    wholes: list[Any],
    names: list[str | None] | None = None,
    ids: list[str | None] | None = None,
) -> list[int]:
    """The whole of every part."""
    return parts.owners(
        np.array(members, dtype=object),
        np.array(wholes, dtype=object),
        names or [None] * len(members),
        ids or [None] * len(wholes),
    ).tolist()


def test_a_part_goes_to_the_smallest_whole_that_holds_a_point_of_it() -> None:
    big, small, far = box(0, 0, 100, 100), box(0, 0, 20, 20), box(200, 0, 220, 20)
    member = [box(2, 2, 12, 12), box(15, 2, 45, 12), box(202, 2, 212, 12), box(500, 0, 510, 10)]
    assert owners(member, [big, small, far]) == [1, 0, 2, -1]
    assert owners(member, []) == [-1] * 4
    assert owners([], [big]) == []
    # of two that are alike, the first
    assert owners(member[:1], [small, big, small]) == [0]


def test_the_whole_that_the_source_names_wins_where_it_is_near() -> None:
    big, small, far = box(0, 0, 100, 100), box(0, 0, 20, 20), box(200, 0, 220, 20)
    member = [box(2, 2, 12, 12)] * 4
    names = ["big", "far", "nobody", None]
    assert owners(member, [big, small, far], names, ["big", "small", "far"]) == [0, 1, 1, 1]
    # a balcony that lies outside the footprint, but touches the whole's box
    assert owners([box(19, 0, 30, 5)], [small], ["small"], ["small"]) == [0]

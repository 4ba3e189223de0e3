"""Areas and facilities of 岚江: each place in one cell of each set, and what holds how many people."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import shapely

from twin.demo.lanjiang import generate, grids, names, plan
from twin.demo.lanjiang.administration import areas, facilities
from twin.demo.lanjiang.frame import Frame
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.subject import SHAPE, City

SEED = 1
SETS = {"duty": areas.duty_grids, "watch": areas.watched_grids}


@pytest.fixture(scope="module")
def known() -> list[Known]:
    """The superblocks of size S."""
    return [Known(SEED, *cell, "S") for cell in plan.cells("S")]


@pytest.mark.parametrize("rows", SETS.values(), ids=SETS)
def test_every_place_lies_in_one_cell_of_each_set(known: list[Known], rows: object) -> None:
    random = np.random.default_rng(4)
    for each in known:
        outline = shapely.Polygon(each.of.quad)
        cells = [row[SHAPE] for row in rows(each)]  # type: ignore[operator]
        assert {one.geom_type for one in cells} == {"Polygon"}
        assert shapely.is_valid(cells).all()
        assert shapely.coverage_is_valid(cells)
        assert abs(float(shapely.area(cells).sum()) - outline.area) < 1.0
        west, south, east, north = outline.bounds
        places = shapely.points(random.uniform((west, south), (east, north), (200, 2)))
        inside = shapely.contains(outline.buffer(-0.01), places)
        met = np.bincount(shapely.STRtree(cells).query(places, predicate="intersects")[0], minlength=200)
        assert (met[inside] == 1).all()


def test_grids_are_made_of_whole_unit_grids_and_count_everybody(known: list[Known]) -> None:
    codes: list[str] = []
    for each in known:
        units = Counter(code for code, _ in grids.units(each.of, each.laid))
        people = sum(one.people for _, built in each.built for one in built)
        for made in (areas.duty(each), areas.watched(each)):
            assert Counter(unit for area in made for unit in area.units) == units
            assert sum(area.people for area in made) == people
            codes += [area.code for area in made]
        assert max(len(area.units) for area in areas.duty(each)) <= areas.WALKED
    assert len(set(codes)) == len(codes)
    assert {len(code) for code in codes} == {14, 16}


def test_subdistricts_are_their_communities_and_lie_in_one_district(tmp_path: object) -> None:
    frame = Frame()

    def tables(name: str):  # type: ignore[no-untyped-def]
        return (generate.tables(Known(SEED, *cell, "S"), frame)[name] for cell in plan.cells("S"))

    rows = list(areas.subdistricts(City("S", SEED, frame, tmp_path, tables)))  # type: ignore[arg-type]
    quads = [shapely.Polygon(plan.superblock(SEED, *cell).quad) for cell in plan.cells("S")]
    assert sum(row["社区数"] for row in rows) == len(quads)
    assert sum(row[SHAPE].area for row in rows) == pytest.approx(shapely.area(quads).sum())
    assert sum(row["人数"] for row in rows) == sum(
        sum(part["人数"].to_pylist()) for part in tables("communities")
    )
    within: dict[str, set[str]] = {}
    for cell in plan.cells("L"):
        within.setdefault(names.subdistrict(*cell)[0], set()).add(names.district(*cell))
    assert {len(found) for found in within.values()} == {1}


def test_facilities_have_a_plate_or_ground_and_room_for_somebody(known: list[Known]) -> None:
    made = [one for each in known for one in facilities.facilities(each)]
    assert len({one.id for one in made}) == len(made) == len({one.name for one in made})
    assert min(one.holds for one in made) > 0
    kinds = Counter(one.kind for one in made)
    assert {"小学", "幼儿园", "综合医院", "公园", "社区卫生服务站"} <= set(kinds)
    for each in known:
        houses = {one.id: shapely.Polygon(one.ring) for _, built in each.built for one in built}
        for one in facilities.facilities(each):
            if one.plate is not None:
                assert houses[one.plate.building].contains(shapely.Point(one.place))


def test_buses_stop_on_roads_beside_no_house(known: list[Known]) -> None:
    ids = []
    for each in known:
        made = list(facilities.stops(each))
        ids += [one.id for one in made]
        roads = shapely.union_all(
            [
                shapely.LineString([one.start, one.end]).buffer(plan.WIDTHS[one.cls] / 2)
                for one in each.laid.streets
            ]
        )
        assert all(roads.contains(shapely.Point(one.place)) for one in made)
        assert all(one.lines and one.riders > 0 for one in made)
    assert len(set(ids)) == len(ids) > 20

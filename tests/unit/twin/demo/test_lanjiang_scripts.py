"""Scripts and cameras of 岚江: what happens is a pure function too, leads to what the truth says, and a drill
to nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest
import shapely

from layers.errors import BadParameter
from twin.demo.lanjiang import cameras, devices, expected, generate, plan, scripts
from twin.demo.lanjiang.frame import Frame
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.observations import Stream, observed
from twin.demo.lanjiang.subject import City

SEED = 1
START = datetime.fromisoformat(expected.START).timestamp()
MINUTES = np.arange(0, 181.0)


@pytest.fixture(scope="module")
def known() -> list[Known]:
    return [Known(SEED, *cell, "S") for cell in plan.cells("S")]


@pytest.fixture(scope="module")
def city(known: list[Known], tmp_path_factory: pytest.TempPathFactory) -> City:
    frame = Frame()
    made = {
        one.table: [table for each in known if (table := one.made(each, frame)) is not None]
        for one in devices.SUBJECT.deliveries
    }
    return City("S", SEED, frame, tmp_path_factory.mktemp("out"), lambda name: iter(made[name]))


@pytest.fixture(scope="module")
def streams(city: City) -> list[Stream]:
    return list(expected._streams(city))


@pytest.fixture(scope="module")
def truth(city: City) -> dict[str, Any]:
    played: dict[str, Any] = expected.expected(city).truth["played"]
    return played


def at(streams: list[Stream], code: str) -> Stream:
    return next(one for one in streams if one.code == code)


def levels(told: dict[str, Any], prop: str) -> dict[str, int]:
    """The minute in which the first sensor of a property is in each state."""
    found: dict[str, int] = {}
    for alarm in told["alarms"]:
        if alarm["property"] == prop:
            found[alarm["level"]] = min(alarm["minute"], found.get(alarm["level"], 999))
    return found


def test_what_each_script_leads_to(truth: dict[str, Any]) -> None:
    assert set(truth) == set(scripts.SCRIPTS)
    assert levels(truth["burst"], "water_pressure")["red"] <= 6
    assert levels(truth["burst"], "road_water")["yellow"] > levels(truth["burst"], "water_pressure")["red"]
    assert levels(truth["burst"], "turbidity")["yellow"] < 30
    storm = levels(truth["rainstorm"], "road_water")
    assert 15 <= storm["yellow"] < storm["orange"] < storm["red"] <= 61
    assert "orange" in levels(truth["rainstorm"], "rainfall")
    gas = truth["gas"]
    assert list(levels(gas, "gas_lel")) == ["blue", "yellow", "orange", "red"]
    others = [one for one in gas["alarms"] if one["stream"] != gas["at"]]
    assert min(one["minute"] for one in others) > levels(gas, "gas_lel")["yellow"]
    assert "red" in levels(truth["fire"], "pm10")
    assert (truth["overflow"]["reports"], truth["overflow"]["cases"]) == (37, 1)
    for told in truth.values():
        assert {one["stream"] for one in told["alarms"]} <= set(told["affected"])
        assert told["units"]


def test_the_underpass_is_as_deep_as_it_is_told(streams: list[Stream]) -> None:
    scene = scripts.scene("rainstorm", streams, START)
    told = [one for one in scene.script.told if "厘米" in one.title]
    depths = scene.observed(SEED, scene.at, START + np.array([one.minute * 60 for one in told]))
    assert [
        f"下穿通道积水 {depth:.0f} 厘米" in one.title for one, depth in zip(told, depths, strict=True)
    ] == [True] * 3


def test_a_drill_changes_nothing_and_says_what_it_is(truth: dict[str, Any], streams: list[Stream]) -> None:
    told = truth["drill"]
    assert (told["drill"], told["affected"], told["alarms"], told["cases"]) == (True, [], [], 0)
    scene = scripts.scene("drill", streams, START)
    assert all(scene.title(one).startswith("【演练】") for one in scene.script.told)
    assert {one.source for one in scene.script.told} == {"drill"}
    for stream in streams[::20]:
        times = START + MINUTES * 60
        assert (scene.observed(SEED, stream, times) == observed(SEED, stream, times)).all()


@pytest.mark.parametrize("name", [name for name, one in scripts.SCRIPTS.items() if not one.drill])
def test_a_script_is_a_pure_function_and_ends(name: str, streams: list[Stream]) -> None:
    scene = scripts.scene(name, reversed(streams), START)
    assert scene.at == scripts.scene(name, streams, START + 60).at
    stream = scene.at
    times = START + MINUTES * 60
    values = scene.observed(SEED, stream, times)
    assert (values != observed(SEED, stream, times)).any()
    assert (scene.observed(SEED, stream, times[40:50]) == values[40:50]).all()
    later = scripts.scene(name, streams, START + 600)
    usual = observed(SEED, stream, times)
    moved = later.observed(SEED, stream, times + 600) - observed(SEED, stream, times + 600)
    if scene.script.effects[0].how == "add" and usual.min() > 0:
        assert np.abs(moved - (values - usual)).max() < 0.2
    outside = np.array([START - 60, START + 4 * 3_600])
    assert (scene.observed(SEED, stream, outside) == observed(SEED, stream, outside)).all()
    far = next(one for one in streams if not scene.affects(one))
    assert (scene.observed(SEED, far, times) == observed(SEED, far, times)).all()
    every = scripts.reports(scene, START - 1, START + 6 * 3_600)
    assert len(every) == len(scene.script.told)
    parts = [scripts.reports(scene, START + a * 60 - 1, START + a * 60 + 59) for a in range(200)]
    assert sum(map(len, parts)) == len(every)


def test_smoke_goes_with_the_wind(streams: list[Stream]) -> None:
    scene = scripts.scene("fire", streams, START)
    down = [one for one in streams if one.property == "pm10" and one != scene.at and scene.affects(one)]
    assert down
    for one in down:
        east, north = scripts.away(scene.at, one)
        assert east - north > 0 or np.hypot(east, north) < 30


def test_a_script_that_cannot_be_played_is_refused(streams: list[Stream]) -> None:
    with pytest.raises(BadParameter):
        scripts.scene("flood", streams, START)
    with pytest.raises(BadParameter):
        scripts.scene("burst", [], START)


def test_cameras_stand_beside_roads_and_see_a_sector(known: list[Known]) -> None:
    every = [(each, one) for each in known for one in cameras.cameras(each)]
    assert len(every) == 150
    codes = {one.code for _, one in every}
    assert len(codes) == len(every)
    assert {(len(code), code[:6], code[10:13]) for code in codes} == {(20, "980100", "132")}
    for each in known:
        houses = [shapely.Polygon(one.ring) for _, built in each.built for one in built]
        places = shapely.points([one.place for one in cameras.cameras(each)])
        assert not len(shapely.STRtree(houses).query(places, predicate="intersects")[0])
    for _, one in every:
        sector = one.sector()
        assert sector.is_valid
        assert 0.9 < sector.area / (one.far**2 * np.radians(one.wide) / 2) <= 1
    directions = {round(one.towards / 45) % 8 for _, one in every}
    assert len(directions) == 8
    tables = generate.tables(known[4], Frame())
    assert tables["cameras"]["设备编码"].to_pylist() == tables["camera_sectors"]["设备编码"].to_pylist()

"""The index of places against a look at every sensor."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.twin.live.sensors import sensor
from twin.live.places import STATES, Cells, Places, cells, position

LON = st.one_of(st.floats(-180, 180), st.floats(24.9, 25.0))
LAT = st.one_of(st.floats(-90, 90), st.floats(60.1, 60.2))
PLACE = st.one_of(st.none(), st.tuples(LON, LAT))
STATE = st.sampled_from(STATES)
SENSORS = st.lists(st.tuples(PLACE, STATE), max_size=40)


def given_(some, start=1):
    return [sensor(i, place, state) for i, (place, state) in enumerate(some, start)]


def counted(sensors, zoom, within):
    """By cell, counts by state, one sensor after the other."""
    found = {}
    for one in sensors:
        if one.lon is None:
            continue
        x, y = (step >> (30 - zoom) for step in position(one.lon, one.lat))
        shift = zoom - within.zoom
        if within.west <= x >> shift <= within.east and within.north <= y >> shift <= within.south:
            found.setdefault((x, y), Counter())[one.state] += 1
    return {cell: [counts[state] for state in STATES] for cell, counts in found.items()}


def told(clusters):
    return dict(zip(zip(clusters.x, clusters.y, strict=True), clusters.states, strict=True))


@settings(deadline=None)
@given(SENSORS, SENSORS, st.tuples(LON, LAT), st.tuples(LON, LAT))
def test_a_box_has_those_in_it_and_no_other(first, second, one, other):
    places, known = Places(), {}
    for part, start in ((first, 1), (second, 5)):
        made = given_(part, start)
        places.put(made)
        known |= {one.id: one for one in made}
    (west, south), (east, north) = (
        map(min, zip(one, other, strict=True)),
        map(max, zip(one, other, strict=True)),
    )
    wanted = {
        s.id
        for s in known.values()
        if s.lon is not None and west <= s.lon <= east and south <= s.lat <= north
    }
    assert {s.id for s in places.within((west, south, east, north))} == wanted
    across = {
        s.id
        for s in known.values()
        if s.lon is not None and (s.lon >= east or s.lon <= west) and south <= s.lat <= north
    }
    if west < east:
        assert {s.id for s in places.within((east, south, west, north))} == across


@settings(deadline=None)
@given(SENSORS, st.lists(st.tuples(st.integers(1, 45), STATE), max_size=60), st.integers(0, 20), LON, LAT)
def test_counts_are_exact_nested_and_follow_states(some, moves, zoom, lon, lat):
    made = given_(some)
    places, states = Places(), {one.id: one.state for one in made}
    places.put(made)
    within = cells((lon, lat, lon, lat), min(zoom, 5))
    everywhere = Cells(0, 0, 0, 0, 0)
    before = places.clusters(everywhere, zoom)
    for id_, state in moves:
        moved = places.restate([id_], [state])
        assert moved == (states.get(id_, state) != state)
        if id_ in states:
            states[id_] = state
    now = [replace(one, state=states[one.id]) for one in made]
    wanted = counted(now, zoom, everywhere)
    assert told(places.clusters(everywhere, zoom)) == wanted
    assert told(places.clusters(within, zoom)) == counted(now, zoom, within)
    told_by_changes = told(before) | {cell: s for _, c in places.changes() for cell, s in told(c).items()}
    assert told_by_changes == wanted
    assert dict(places.changes()) == {}
    coarser = {}
    for (x, y), counts in told(places.clusters(everywhere, zoom)).items():
        sums = coarser.setdefault((x >> 1, y >> 1), [0] * len(STATES))
        coarser[x >> 1, y >> 1] = [a + b for a, b in zip(sums, counts, strict=True)]
    if zoom:
        assert told(places.clusters(everywhere, zoom - 1)) == coarser
    assert sum(map(sum, wanted.values())) == sum(one.lon is not None for one in made)
    totals = Counter(states.values())
    assert places.totals()["states"] == {state: totals[state] for state in STATES}


def test_what_moves_is_where_it_is_now():
    places = Places()
    places.put([sensor(1, (24.94, 60.17), "ok"), sensor(2, None, "red")])
    before = places.version
    places.put([sensor(1, (25.5, 60.2), "ok"), sensor(2, (24.94, 60.17), "red", simulated=True)])
    assert places.version > before
    assert [one.id for one in places.within((24.9, 60.1, 25.0, 60.2))] == [2]
    assert [one.id for one in places.within((25.4, 60.1, 25.6, 60.3))] == [1]
    assert places.totals()["simulated"] is True
    places.replace([sensor(3, (0, 0), "ok")])
    assert [one.id for one in places.within((-180, -90, 180, 90))] == [3]
    assert places.totals() == {"states": dict.fromkeys(STATES, 0) | {"ok": 1}, "simulated": False}


@pytest.mark.parametrize("zoom", [0, 3, 14, 20])
def test_cells_cover_their_box(zoom):
    box = (24.91, 60.15, 24.99, 60.19)
    west, south, east, north = cells(box, zoom).box()
    assert west <= box[0] < box[2] <= east
    assert south <= box[1] < box[3] <= north

"""What clients with a view are told: what is in view, and counts where that is too much."""

import asyncio

import pytest

from tests.unit.twin.live.sensors import sensor
from tests.unit.twin.live.test_bus import frames, obs, settle
from twin.live import views as views_module
from twin.live.bus import Bus
from twin.live.places import STATES
from twin.live.views import WORLD, Wanted, columns

HERE, THERE = (24.94, 60.17), (26.5, 61.0)
BOX = (24.93, 60.16, 24.95, 60.18)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """A view of more than three has counts."""
    monkeypatch.setattr(views_module, "MOST", 3)


def with_bus(*sensors):
    """Runs a scenario on a bus that knows of sensors."""

    def run(scenario):
        async def main():
            bus = Bus()
            bus.bind(asyncio.get_running_loop())
            bus.places.put(sensors)
            await scenario(bus)

        asyncio.run(main())

    return run


def spread(place, numbers, step=1e-4):
    lon, lat = place
    return [sensor(i, (lon + step * n, lat)) for n, i in enumerate(numbers)]


def test_of_few_sensors_everything_is_in_view_of_everybody():
    @with_bus(sensor(1, HERE), sensor(2, THERE), sensor(3, None))
    async def _(bus):
        client, whole = bus.subscribe(None, wanted=Wanted(BOX))
        assert not whole
        assert bus.views.of(client).cells == WORLD
        assert bus.views.content(bus.views.of(client))["sensors"]["id"] == [1, 2, 3]
        bus.publish("obs", obs((2, 5.0, 9, "ok"), (3, 6.0, 9, "ok")))
        assert (await settle(client, 1))[0][2]["id"] == [2, 3]


def test_only_what_is_in_view_is_told_and_what_is_wanted_besides():
    @with_bus(*spread(HERE, range(1, 3)), *spread(THERE, range(10, 14)))
    async def _(bus):
        seeing, _ = bus.subscribe(None, wanted=Wanted(BOX))
        also, _ = bus.subscribe(None, wanted=Wanted(BOX, also=11))
        everything, _ = bus.subscribe()
        content = bus.views.content(bus.views.of(also))
        assert (content["sensors"]["id"], content["view"]["clusters"]) == ([1, 2, 11], None)
        west, south, east, north = content["view"]["box"]
        assert west <= BOX[0] < BOX[2] <= east
        assert south <= BOX[1] < BOX[3] <= north
        bus.publish("obs", obs(*((i, 7.0, 10**9, "ok") for i in (2, 10, 11))))
        for client, ids in ((seeing, [2]), (also, [2, 11]), (everything, [2, 10, 11])):
            ((name, at, data),) = await settle(client, 1)
            assert (name, data["id"], data["value"]) == ("obs", ids, [7.0] * len(ids))
            assert at == "o{}.c{}".format(*bus.at)
        bus.publish("obs", obs((10, 8.0, 10**9, "red")))
        (states,) = await settle(seeing, 1)
        assert (states[0], states[2]["states"]["red"]) == ("states", 1)
        assert not any(f[0] == "obs" for f in frames(b"".join(seeing.waiting)))


def test_more_than_that_are_counts_which_follow_states_and_places():
    @with_bus(*spread(HERE, range(1, 7)), sensor(9, THERE))
    async def _(bus):
        client, _ = bus.subscribe(None, wanted=Wanted(BOX))
        view = bus.views.of(client)
        told = bus.views.content(view)
        assert told["sensors"]["id"] == []
        clusters = told["view"]["clusters"]
        assert sum(clusters["count"]) == 6
        assert [sum(states) for states in clusters["states"]] == clusters["count"]
        bus.publish("obs", obs((1, 9.0, 10**9, "red"), (9, 9.0, 10**9, "blue")))
        found = {name: data for name, _, data in await settle(client, 2)}
        assert set(found) == {"states", "clusters"}
        assert found["states"]["states"] == dict.fromkeys(STATES, 0) | {"ok": 5, "red": 1, "blue": 1}
        assert (found["clusters"]["whole"], sum(found["clusters"]["count"])) == (
            False,
            found["clusters"]["count"][0],
        )
        assert sum(states[STATES.index("red")] for states in found["clusters"]["states"]) == 1
        bus.publish("obs", obs((1, 9.5, 10**9 + 1, "red")))
        bus.publish("incident", {"id": 1})
        assert [name for name, *_ in await settle(client, 1)] == ["incident"]
        made = [sensor(20, HERE, "orange")]
        bus.places.put(made)
        bus.publish("sensors", columns(made))
        found = {name: data for name, _, data in await settle(client, 2)}
        assert found["clusters"]["whole"]
        assert sum(found["clusters"]["count"]) == 7
        assert sum(states[STATES.index("orange")] for states in found["clusters"]["states"]) == 1


def test_a_view_that_gets_too_full_begins_anew_with_counts():
    @with_bus(*spread(HERE, range(1, 4)), *spread(THERE, range(10, 14)))
    async def _(bus):
        client, _ = bus.subscribe(None, wanted=Wanted(BOX))
        assert bus.views.of(client).zoom is None
        made = [sensor(30, HERE)]
        bus.places.put(made)
        bus.publish("sensors", columns(made))
        await client.wake.wait()
        assert client.lost
        assert sum(bus.views.content(bus.views.again(client))["view"]["clusters"]["count"]) == 4


def test_what_is_made_in_view_or_leaves_it_is_told():
    @with_bus(*spread(HERE, range(1, 3)), *spread(THERE, range(10, 14)))
    async def _(bus):
        client, _ = bus.subscribe(None, wanted=Wanted(BOX))
        made = [sensor(5, HERE), sensor(2, THERE), sensor(12, (26.6, 61.0))]
        bus.places.put(made)
        bus.publish("sensors", columns(made))
        found = {name: data for name, _, data in await settle(client, 2)}
        assert found["sensors"]["id"] == [5, 2]
        bus.publish("obs", obs((5, 1.5, 10**9, "ok"), (12, 1.5, 10**9, "ok")))
        assert next(d for n, _, d in await settle(client, 1) if n == "obs")["id"] == [5]


def test_who_comes_back_with_a_view_gets_what_else_happened_and_no_sensors_of_the_ring():
    @with_bus(*spread(HERE, range(1, 3)), *spread(THERE, range(10, 14)))
    async def _(bus):
        first, _ = bus.subscribe()
        bus.publish("incident", {"id": 1})
        last = (await settle(first, 1))[0][1]
        bus.publish("obs", obs((1, 3.0, 10**9, "ok")))
        await settle(first, 1)
        bus.publish("incident", {"id": 2})
        bus.publish("tiles", [])
        await settle(first, 2)
        client, whole = bus.subscribe(last, wanted=Wanted(BOX))
        assert whole
        assert [name for name, *_ in frames(client.take())] == ["incident", "tiles"]
        plain, _ = bus.subscribe(last)
        assert [name for name, *_ in frames(plain.take())] == ["obs", "incident", "tiles"]


def test_views_are_shared_and_forgotten():
    @with_bus(*spread(HERE, range(1, 3)), *spread(THERE, range(10, 14)))
    async def _(bus):
        one, _ = bus.subscribe(None, wanted=Wanted(BOX))
        other, _ = bus.subscribe(None, wanted=Wanted((24.931, 60.161, 24.949, 60.179)))
        assert bus.views.of(one) is bus.views.of(other)
        for client in (one, other):
            bus.unsubscribe(client)
        assert one not in bus.views
        assert bus.views._views == {}


def test_near_by_cells_are_finer_where_there_are_too_many_and_at_last_all_are_told():
    @with_bus(*spread(HERE, range(1, 30), step=1e-3))
    async def _(bus):
        client, _ = bus.subscribe(None, wanted=Wanted((24.9399, 60.1699, 24.9412, 60.1701)))
        view = bus.views.of(client)
        assert view.cells.zoom > 14
        assert view.zoom is None
        assert sorted(view.ids) == [1, 2]
        bus.places.put([sensor(100 + i, (24.9399, 60.1699)) for i in range(9)])
        close, _ = bus.subscribe(None, wanted=Wanted((24.93989, 60.16989, 24.93991, 60.16991)))
        assert bus.views.of(close).zoom is None
        assert len(bus.views.content(bus.views.of(close))["sensors"]["id"]) == 9


@pytest.mark.parametrize(
    "box", [(170.0, -10.0, -170.0, 10.0), (-180.0, -90.0, 180.0, 90.0), (5.0, 5.0, 5.0, 5.0)]
)
def test_any_box_has_a_view(box):
    @with_bus(*spread(HERE, range(1, 9)))
    async def _(bus):
        client, _ = bus.subscribe(None, wanted=Wanted(box))
        assert bus.views.of(client).cells.zoom <= views_module.FINEST
        bus.views.content(bus.views.of(client))

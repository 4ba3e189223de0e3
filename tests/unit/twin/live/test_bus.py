"""The bus: numbering, replay, coalescing, slow clients."""

import asyncio

import orjson
import pytest

from twin.live import bus as bus_module
from twin.live import client as client_module
from twin.live.bus import Bus


def frames(data: bytes) -> list[tuple[str, str, object]]:
    found = []
    for block in data.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "event" in lines:
            found.append((lines["event"], lines["id"], orjson.loads(lines["data"])))
    return found


async def settle(client, want, seconds=3.0):
    data = b""
    async with asyncio.timeout(seconds):
        while len(frames(data)) < want:
            await client.wake.wait()
            data += client.take()
    return frames(data)


def with_bus(scenario):
    async def main():
        bus = Bus()
        bus.bind(asyncio.get_running_loop())
        await scenario(bus)

    asyncio.run(main())


def obs(*rows):
    ids, values, times, states = zip(*rows, strict=True)
    return {"id": list(ids), "value": list(values), "time": list(times), "state": list(states)}


def test_live_data_and_map_changes_count_apart():
    async def scenario(bus):
        client, whole = bus.subscribe()
        assert not whole
        bus.publish("incident", {"id": 1})
        bus.publish("tiles", [])
        found = await settle(client, 2)
        o, c = bus.at
        assert [f[:2] for f in found] == [("incident", f"o{o}.c{c - 1}"), ("tiles", f"o{o}.c{c}")]

    with_bus(scenario)


def test_observations_are_merged_the_last_value_wins():
    async def scenario(bus):
        client, _ = bus.subscribe()
        bus.publish("obs", obs((1, 1.0, 10, "ok"), (2, 5.0, 10, "ok")))
        bus.publish("obs", obs((1, 2.0, 20, "red")))
        found = await settle(client, 1)
        assert found[0][2] == {"id": [1, 2], "value": [2.0, 5.0], "time": [20, 10], "state": ["red", "ok"]}
        bus.publish("obs", obs((1, 3.0, 30, "ok")))
        assert (await settle(client, 1))[0][2]["value"] == [3.0]

    with_bus(scenario)


def test_a_client_that_comes_back_gets_what_it_missed():
    async def scenario(bus):
        client, _ = bus.subscribe()
        for i in range(5):
            bus.publish("incident", {"id": i})
        found = await settle(client, 5)
        again, whole = bus.subscribe(found[1][1])
        assert whole
        assert [f[2]["id"] for f in await settle(again, 3)] == [2, 3, 4]
        latest, whole = bus.subscribe(found[-1][1])
        assert whole
        assert not latest.waiting

    with_bus(scenario)


@pytest.mark.parametrize("last", ["o1.c1", "nonsense", "", None, "o-1.c0", "o" + "9" * 40 + ".c1"])
def test_an_unknown_position_asks_for_a_snapshot(last):
    async def scenario(bus):
        bus.publish("incident", {"id": 1})
        assert bus.subscribe(last)[1] is False

    with_bus(scenario)


def test_a_position_that_left_the_ring_asks_for_a_snapshot(monkeypatch):
    monkeypatch.setattr(bus_module, "RING_FRAMES", 10)

    async def scenario(bus):
        bus.publish("incident", {"id": 0})
        o, c = bus.at
        for i in range(11):
            bus.publish("incident", {"id": i})
        assert bus.subscribe(f"o{o}.c{c}")[1] is False

    with_bus(scenario)


def test_a_position_of_the_run_before_is_not_taken_for_one_of_this():
    async def scenario(bus):
        bus.publish("incident", {"id": 0})
        o, c = bus.at
        later = Bus()
        later.bind(asyncio.get_running_loop())
        later._at = (o + 5_000, c + 5_000)
        assert later.subscribe(f"o{o}.c{c}")[1] is False

    with_bus(scenario)


def test_a_client_that_is_too_slow_loses_its_queue_and_delays_nobody(monkeypatch):
    monkeypatch.setattr(client_module, "CLIENT_BYTES", 2_000)

    async def scenario(bus):
        slow, _ = bus.subscribe()
        quick, _ = bus.subscribe()
        for i in range(20):
            bus.publish("incident", {"id": i, "text": "x" * 300})
            await settle(quick, 1)
        assert slow.lost
        assert slow.size == 0
        assert not quick.lost

    with_bus(scenario)


def test_what_is_published_before_the_loop_is_there_is_kept():
    async def scenario():
        bus = Bus()
        bus.publish("obs", obs((1, 1.0, 10, "ok")))
        bus.bind(asyncio.get_running_loop())
        client, _ = bus.subscribe()
        assert (await settle(client, 1))[0][2]["id"] == [1]

    asyncio.run(scenario())


def test_frames_reach_a_client_in_the_order_of_their_numbers_whoever_publishes():
    async def scenario(bus):
        client, _ = bus.subscribe()

        def talk(name):
            for i in range(100):
                bus.publish("incident", {"id": f"{name}{i}"})
                bus.publish("obs", obs((i, 1.0, i, "ok")))

        talkers = [asyncio.to_thread(talk, name) for name in "abc"]
        await asyncio.gather(*talkers)
        while bus._flushing:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        numbers = [int(f[1][1:].partition(".")[0]) for f in frames(client.take())]
        assert len(numbers) > 300
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    with_bus(scenario)


def test_a_frame_for_a_class_of_rights_reaches_its_readers_alone():
    async def scenario(bus):
        whole, _ = bus.subscribe()
        guest, _ = bus.subscribe(rights="guest")
        bus.publish("tiles", ["all"], "")
        bus.publish("tiles", ["some"], "guest")
        bus.publish("incident", {"id": 1})
        assert [f[2] for f in await settle(whole, 2)] == [["all"], {"id": 1}]
        assert [f[2] for f in await settle(guest, 2)] == [["some"], {"id": 1}]
        assert bus.audiences == ["", "guest"]

    with_bus(scenario)


def test_a_replay_gives_a_class_its_own_frames_and_none_from_before_it_was_told():
    async def scenario(bus):
        bus.publish("incident", {"id": 0})
        o, c = bus.at
        bus.publish("tiles", ["all"], "")
        # what changed for guests was not said before there was one
        assert bus.subscribe(f"o{o}.c{c}", "guest")[1] is False
        o, c = bus.at
        bus.publish("tiles", ["some"], "guest")
        bus.publish("tiles", ["more"], "")
        again, whole = bus.subscribe(f"o{o}.c{c}", "guest")
        assert whole
        assert [f[2] for f in frames(again.take())] == [["some"]]

    with_bus(scenario)

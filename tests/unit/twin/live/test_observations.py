"""Observations over SensorThings, in process: which are taken, why others are not, what they set off."""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.twin.live.rooms import ROOT, STREAM, Room, made, thing
from tests.unit.twin.live.sensors import sensor
from twin.live.rules import Rule


def ago(**delta):
    return (datetime.now(UTC) - timedelta(**delta)).isoformat()


def test_an_observation_is_of_a_feature_that_is_named_or_where_its_thing_stands(room):
    """OGC 18-088 clause 8.2.7: of one and only one, made of the Thing's Location where none is named."""

    async def scenario(client):
        placeless = thing()
        location = placeless.pop("Locations")[0]
        assert (await client.post(f"{ROOT}/Things", json=placeless)).status_code == 201
        for path, body in [
            ("Observations", {**STREAM, "result": 1.0}),
            ("Datastreams(1)/Observations", {"result": 1.0}),
        ]:
            refused = await client.post(f"{ROOT}/{path}", json=body)
            assert refused.status_code == 400
            assert "Thing 1 of Datastream 1 has no Location" in refused.json()["detail"]
        rows = {**STREAM, "components": ["result"], "dataArray": [[1.0]]}
        (told,) = (await client.post(f"{ROOT}/CreateObservations", json=[rows])).json()
        assert told.startswith("error FeatureOfInterest: required")
        nested = thing("other")
        del nested["Locations"]
        nested["Datastreams"][0]["Observations"] = [{"result": 2.0}]
        assert (await client.post(f"{ROOT}/Things", json=nested)).status_code == 400
        # the Thing stands there by the end of the request
        made = await client.post(f"{ROOT}/Locations", json={**location, "Things": [nested]})
        assert made.status_code == 201, made.text
        named = {k: location[k] for k in ("name", "description", "encodingType")} | {
            "feature": location["location"]
        }
        answer = await client.post(
            f"{ROOT}/Observations", json={**STREAM, "result": 1.0, "FeatureOfInterest": named}
        )
        assert answer.status_code == 201
        assert (await client.post(f"{ROOT}/Things(1)/Locations", json=location)).status_code == 201
        answer = await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 1.0})
        assert answer.status_code == 201
        refused = await client.get(f"{ROOT}/Locations?$orderby=location")
        assert refused.status_code == 400
        assert "geometry" in refused.json()["detail"]

    room.run(scenario)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"Datastream":{"@iot.id":1},"result":NaN}', 400, "JSON"),
        (b'{"Datastream":{"@iot.id":1},"result":1e999}', 400, "JSON"),
        (b'{"Datastream":{"@iot.id":1},"result":"NaN"}', 400, "number"),
        (b'{"Datastream":{"@iot.id":1},"result":null}', 400, "number"),
        (b'{"Datastream":{"@iot.id":1},"result":true}', 400, "number"),
        (b'{"Datastream":{"@iot.id":1}}', 400, "result"),
        (b'{"Datastream":{"@iot.id":99},"result":1}', 400, "99"),
        (b'{"Datastream":{"@iot.id":"x"},"result":1}', 400, "Datastream"),
        (b'{"result":1}', 400, "Datastream"),
        (b'{"Datastream":{"@iot.id":1},"result":1,"phenomenonTime":"2026-11-22T12:00:00"}', 400, "zone"),
        (b'{"Datastream":{"@iot.id":1},"result":1,"phenomenonTime":"yesterday"}', 400, "phenomenonTime"),
        (b'{"Datastream":{"@iot.id":1},"result":1,"resultTime":5}', 400, "resultTime"),
        (b'{"Datastream":{"@iot.id":1},"result":1,"reslut":2}', 400, "reslut"),
        (b'{"Datastream":{"@iot.id":1},"result":1,"parameters":[]}', 400, "parameters"),
        (b'{"Datastream":{"@iot.id":1},"result":1,"FeatureOfInterest":{"@iot.id":77}}', 400, "77"),
        (b'{"Datastream":', 400, "JSON"),
        (b"", 400, "JSON"),
        (b"[]", 400, "object"),
        (b"[" * 5000, 400, "JSON"),
    ],
)
def test_an_observation_that_is_wrong_is_refused_with_its_reason(room, body, status, words):
    async def scenario(client):
        await made(client)
        headers = {"content-type": "application/json"}
        answer = await client.post(f"{ROOT}/Observations", content=body, headers=headers)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
        assert (await client.get(f"{ROOT}/Observations")).json()["value"] == []

    room.run(scenario)


def test_the_future_is_refused_unless_the_stream_forecasts_and_the_past_is_taken(room):
    async def scenario(client):
        await made(client)
        late = {**STREAM, "result": 1, "phenomenonTime": "1999-01-01T00:00:00Z"}
        assert (await client.post(f"{ROOT}/Observations", json=late)).status_code == 201
        soon = {**STREAM, "result": 1, "phenomenonTime": ago(minutes=-4)}
        assert (await client.post(f"{ROOT}/Observations", json=soon)).status_code == 201
        future = {**STREAM, "result": 1, "phenomenonTime": ago(minutes=-20)}
        answer = await client.post(f"{ROOT}/Observations", json=future)
        assert answer.status_code == 400
        assert "future" in answer.json()["detail"]
        patch = {"properties": {"forecast": True}}
        assert (await client.patch(f"{ROOT}/Datastreams(1)", json=patch)).status_code == 200
        assert (await client.post(f"{ROOT}/Observations", json=future)).status_code == 201

    room.run(scenario)


def test_a_value_dated_ahead_hides_no_true_one_and_a_late_one_says_so(room):
    async def scenario(client):
        await made(client)
        posted = []
        for value, minutes in ((1, 1), (0, -4), (9999, 0), (5, 3)):
            body = {**STREAM, "result": value, "phenomenonTime": ago(minutes=minutes)}
            posted.append((await client.post(f"{ROOT}/Observations", json=body)).json())
            assert room.live.streams[1].value == (9999 if value in (9999, 5) else 1)
        kept = (await client.get(f"{ROOT}/Observations?$orderby=id")).json()["value"]
        assert kept == posted
        assert [one.get("parameters") for one in kept] == [None, None, None, {"late": True}]
        late = (await client.get(f"{ROOT}/Observations?$filter=parameters/late eq true")).json()["value"]
        assert [one["result"] for one in late] == [5]

    room.run(scenario)


def test_create_observations_keeps_good_rows_and_reports_bad_ones(room):
    async def scenario(client):
        await made(client)
        body = [
            {
                **STREAM,
                "components": ["phenomenonTime", "result", "resultTime"],
                "dataArray@iot.count": 6,
                "dataArray": [
                    ["2026-01-01T00:00:00Z", 1.5, None],
                    ["2026-01-01T00:05:00", 2, None],
                    ["2026-01-01T00:05:00Z", "x", None],
                    ["2026-01-01T00:05:00Z", 2],
                    7,
                    ["2026-01-01T00:05:00Z", 2.5, "2026-01-01T00:05:01Z"],
                ],
            },
            {"Datastream": {"@iot.id": 9}, "components": ["result"], "dataArray": [[1], [2]]},
        ]
        answer = await client.post(f"{ROOT}/CreateObservations", json=body)
        assert answer.status_code == 201
        rows = answer.json()
        assert [r.startswith("error") for r in rows] == [False, True, True, True, True, False, True, True]
        assert [(await client.get(r)).json()["result"] for r in (rows[0], rows[5])] == [1.5, 2.5]
        again = (await client.post(f"{ROOT}/CreateObservations", json=body)).json()
        assert again == rows
        count = await client.get(f"{ROOT}/Datastreams(1)/Observations", params={"$count": "true"})
        assert count.json()["@iot.count"] == 2

    room.run(scenario)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [7],
        [{**STREAM, "components": [], "dataArray": []}],
        [{**STREAM, "components": ["result", "nope"], "dataArray": [[1, 2]]}],
        [{**STREAM, "components": ["result", "result"], "dataArray": [[1, 2]]}],
        [{**STREAM, "components": ["result"], "dataArray": {}}],
    ],
)
def test_a_data_array_that_cannot_be_read_is_refused_whole(room, body):
    async def scenario(client):
        await made(client)
        assert (await client.post(f"{ROOT}/CreateObservations", json=body)).status_code == 400

    room.run(scenario)


def test_a_row_with_an_unknown_feature_of_interest_is_reported(room):
    async def scenario(client):
        await made(client)
        body = [{**STREAM, "components": ["result", "FeatureOfInterest/id"], "dataArray": [[1, 1], [2, 77]]}]
        rows = (await client.post(f"{ROOT}/CreateObservations", json=body)).json()
        assert [r.startswith("error") for r in rows] == [False, True]

    room.run(scenario)


def test_states_follow_the_theme_and_survive_a_restart(room):
    async def scenario(client):
        await made(client)
        found = []
        for i, value in enumerate([1.0, 1.6, 1.45, 2.5, 1.0]):
            body = {**STREAM, "result": value, "phenomenonTime": ago(seconds=60 - i)}
            await client.post(f"{ROOT}/Observations", json=body)
            found.append(room.live.streams[1].state)
        assert found == ["ok", "yellow", "yellow", "red", "ok"]
        late = {**STREAM, "result": 9, "phenomenonTime": ago(hours=1)}
        await client.post(f"{ROOT}/Observations", json=late)
        assert (room.live.streams[1].state, room.live.streams[1].value) == ("ok", 1.0)
        await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 1.6})
        # inside the band of yellow (clear 1.4): only a state that was kept says yellow after a restart
        await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 1.45})

    room.run(scenario)
    room.live.stop()
    again = Room(room.folder)
    assert again.live.streams[1].state == "yellow"
    assert again.city.snapshot()["sensors"]["value"] == [1.45]
    again.live.start()
    again.close()


def test_silence_makes_a_sensor_stale_and_says_so(room):
    async def scenario(client):
        body = thing()
        body["Datastreams"][0]["properties"]["period"] = 0.1
        await client.post(f"{ROOT}/Things", json=body)
        subscriber, _ = room.bus.subscribe()
        await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 1.0})
        told = b""
        async with asyncio.timeout(5):
            # it may be stale, and told so, before a slow machine has taken the observation
            while b'"stale"' not in told or room.live.streams[1].state != "stale":
                await subscriber.wake.wait()
                told += subscriber.take()
        await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 1.0})
        assert room.live.streams[1].time is not None

    room.run(scenario)


def test_a_queue_that_is_full_says_when_to_come_back(room, monkeypatch):
    begun, gate = threading.Event(), threading.Event()

    def hold(tx):
        begun.set()
        gate.wait(10)

    async def scenario(client):
        await made(client)
        monkeypatch.setattr("twin.live.ingest.MAX_WAITING_WRITES", 1)
        room.live.ingest.submit(hold)
        assert begun.wait(5)
        waiting = room.live.ingest.submit(lambda tx: "done")
        answer = await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 1.0})
        gate.set()
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert waiting.result(5) == "done"
        answer = await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 1.0})
        assert answer.status_code == 201

    room.run(scenario)


def test_integers_stay_integers_and_large_ones_do_not_break(room):
    async def scenario(client):
        await made(client)
        headers = {"content-type": "application/json"}
        for value in (6, 6.5, 2**60, 2**63, -(2**70)):
            # by hand: the fast encoder refuses integers of more than 64 bits
            body = json.dumps({**STREAM, "result": value}).encode()
            answer = await client.post(f"{ROOT}/Observations", content=body, headers=headers)
            assert answer.status_code == 201, answer.text
            got = answer.json()["result"]
            assert got == pytest.approx(value)
            assert isinstance(got, type(value)) or abs(value) >= 2**62

    room.run(scenario)


def test_what_a_post_answers_is_what_a_get_gives(room):
    async def scenario(client):
        await made(client)
        text = thing(name="valve")
        text["Datastreams"][0]["observationType"] = (
            "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Truth"
        )
        await client.post(f"{ROOT}/Things", json=text)
        for datastream, more in [
            (1, {"result": 1.5}),
            (
                1,
                {
                    "result": 2,
                    "resultTime": "2026-01-01T00:00:05Z",
                    "phenomenonTime": "2026-01-01T00:00:00+02:00",
                },
            ),
            (1, {"result": 3, "phenomenonTime": "2026-01-01T00:00:00Z/2026-01-01T01:00:00Z"}),
            (1, {"result": 4, "phenomenonTime": "2026-01-01T00:00:00Z/2026-01-01T00:00:00Z"}),
            (2, {"result": True, "parameters": {"a": [1]}, "resultQuality": "good"}),
            (2, {"result": {"open": "half"}, "validTime": "2026-01-01T00:00:00Z/2027-01-01T00:00:00Z"}),
        ]:
            answer = await client.post(
                f"{ROOT}/Observations", json={"Datastream": {"@iot.id": datastream}} | more
            )
            assert answer.status_code == 201, answer.text
            assert answer.json() == (await client.get(answer.headers["location"])).json()

    room.run(scenario)


def test_an_observation_belongs_to_what_its_path_says_or_is_refused(room):
    async def scenario(client):
        await made(client)
        await made(client)
        for path, member in (
            ("Datastreams(1)", "Datastream"),
            ("FeaturesOfInterest(1)", "FeatureOfInterest"),
        ):
            body = {"Datastream": {"@iot.id": 1}, "result": 1}
            address = f"{ROOT}/{path}/Observations"
            assert (await client.post(address, json=body | {member: {"@iot.id": 1}})).status_code == 201
            answer = await client.post(address, json=body | {member: {"@iot.id": 2}})
            assert (answer.status_code, member in answer.text) == (400, True), answer.text
        assert (await client.get(f"{ROOT}/Datastreams(2)/Observations")).json()["value"] == []

    room.run(scenario)


def test_silence_is_noticed_of_those_who_are_silent_and_no_other_is_looked_at(room):
    kept = sensor(1, (24.9, 60.1))
    kept.rule = Rule(period=1)
    kept.time, other = 10_000, sensor(2, (24.9, 60.1))
    other.rule, other.time = Rule(period=100), 10_000
    room.live.streams = {1: kept, 2: other}
    for stream in (kept, other):
        room.live._time(stream)
        room.live._time(stream)
    assert room.live._due(13_000) == []
    assert room.live._due(13_001) == [kept]
    assert not kept.judge(13_000)
    kept.time = 12_000
    room.live._time(kept)
    assert room.live._due(15_000) == []
    assert room.live._due(15_001) == [kept]
    assert kept.judge(15_001)
    room.live._time(kept)
    assert room.live._due(10**6) == [other]

"""Incidents and observations as they were at an instant."""

from __future__ import annotations

import time
from typing import Any

import httpx

from tests.unit.twin.live.rooms import ROOT, made
from tests.unit.twin.live.test_incidents import act, report
from twin.live.clock import iso, now_ms

LONG_AGO = "2001-01-01T00:00:00Z"


def tick() -> str:
    """An instant of its own: nothing that follows is of its millisecond."""
    now = now_ms()
    while now_ms() == now:
        time.sleep(0.001)
    return iso(now)


async def found(client: httpx.AsyncClient, path: str = "/incidents", **params: Any) -> Any:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(incident: dict[str, Any]) -> dict[str, Any]:
    """An incident but for what may be done with it now."""
    return {name: value for name, value in incident.items() if name != "actions"}


def test_incidents_are_those_of_the_instant_with_their_log(room):
    async def scenario(client):
        before = tick()
        first = await report(client)
        reported = tick()
        assert (await act(client, 1, "accept")).status_code == 200
        await report(client, title="Second", level=1)
        then = await found(client), await found(client, "/incidents/1")
        accepted = tick()
        for action in ("verify", "file", "dispatch", "start", "feed_back", "check", "close"):
            assert (await act(client, 1, action)).status_code == 200
        now = await found(client)

        assert await found(client, at=before) == {"incidents": [], "numberMatched": 0, "numberReturned": 0}
        assert (await client.get("/incidents/1", params={"at": before})).status_code == 404
        (alone,) = (await found(client, at=reported))["incidents"]
        assert told(alone) == told(first)
        was = await found(client, at=accepted)
        assert list(map(told, was["incidents"])) == list(map(told, then[0]["incidents"]))
        assert told(await found(client, "/incidents/1", at=accepted)) == told(then[1])
        # nothing that was can be moved
        assert all(one["actions"] == [] for one in was["incidents"])
        assert (await found(client, at=tick()))["incidents"][0] | {"actions": None} == now["incidents"][0] | {
            "actions": None
        }
        # conditions are those of the instant, too
        assert (await found(client, at=accepted, open="true"))["numberMatched"] == 2
        assert (await found(client, open="true"))["numberMatched"] == 1
        assert (await found(client, at=accepted, status="accepted"))["numberMatched"] == 1
        assert (await found(client, at=accepted, status="closed"))["numberMatched"] == 0
        features = await found(client, at=reported, f="geojson")
        assert [one["properties"]["status"] for one in features["features"]] == ["reported"]

    room.run(scenario)


def test_an_instant_is_asked_for_again_since_readings_may_come_late(room):
    async def scenario(client):
        await report(client)
        old = await client.get("/incidents", params={"at": LONG_AGO})
        assert old.headers["cache-control"] == "no-cache"
        assert old.headers["memento-datetime"] == "Mon, 01 Jan 2001 00:00:00 GMT"
        assert old.headers["link"] == '<http://127.0.0.1/incidents>; rel="original"'
        new = await client.get("/incidents/1", params={"at": tick(), "f": "json"})
        assert new.headers["cache-control"] == "no-cache"
        assert new.headers["link"] == '<http://127.0.0.1/incidents/1?f=json>; rel="original"'

    room.run(scenario)


def test_what_is_no_instant_is_refused(room):
    async def scenario(client):
        for path in ("/incidents", "/incidents/1", f"{ROOT}/Observations"):
            for at, words in {
                "yesterday": "RFC 3339",
                "2026-11-29T12:00:00": "zone",
                "2199-01-01T00:00:00Z": "what will be is not known",
                "@x": "@4711",
            }.items():
                answer = await client.get(path, params={"at": at})
                assert answer.status_code == 400, (path, at)
                assert words in answer.json()["detail"]
        assert (await client.post("/incidents", params={"at": LONG_AGO}, json={})).status_code == 400

    room.run(scenario)


def test_observations_end_at_the_instant(room):
    async def scenario(client):
        await made(client)
        for minute in range(6):
            body = {"result": minute, "phenomenonTime": f"2026-11-29T12:0{minute}:00Z"}
            path = f"{ROOT}/Datastreams(1)/Observations"
            assert (await client.post(path, json=body)).status_code == 201
        at = {"at": "2026-11-29T12:03:00Z"}
        for path in ("Observations", "Datastreams(1)/Observations"):
            got = await found(client, f"{ROOT}/{path}", **at, **{"$count": "true", "$top": 3})
            assert got["@iot.count"] == 4
            assert [one["result"] for one in got["value"]] == [0, 1, 2]
            after = await client.get(got["@iot.nextLink"])
            assert [one["result"] for one in after.json()["value"]] == [3]
            some = await found(client, f"{ROOT}/{path}", **at, **{"$filter": "result gt 1"})
            assert [one["result"] for one in some["value"]] == [2, 3]
        inner = await found(
            client, f"{ROOT}/Observations", **at, **{"$expand": "Datastream($expand=Observations)", "$top": 1}
        )
        assert len(inner["value"][0]["Datastream"]["Observations"]) == 4
        for path in ("Things", "Datastreams(1)", "Observations(1)"):
            answer = await client.get(f"{ROOT}/{path}", params=at)
            assert answer.status_code == 400
            assert "only sets of Observations" in answer.json()["detail"]

    room.run(scenario)

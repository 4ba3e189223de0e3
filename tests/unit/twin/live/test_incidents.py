"""Incidents: reported, listed, moved along the workflow, logged."""

import sqlite3
from datetime import datetime
from itertools import pairwise

import pytest

from layers import strict
from layers.errors import BadConfig
from twin.incidents import workflow
from twin.incidents.workflow import Workflow

REPORT = {"title": "Burst pipe", "level": 2, "class": "water", "lon": 24.94, "lat": 60.17}
ROAD = ["accept", "verify", "file", "dispatch", "start", "feed_back", "check", "close"]


async def report(client, **more):
    answer = await client.post("/incidents", json=REPORT | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def act(client, incident, action, note="", **headers):
    body = {"action": action, "note": note}
    return await client.post(f"/incidents/{incident}/actions", json=body, headers=headers)


def test_the_table_has_the_states_of_the_trade_in_both_languages():
    found = workflow.load()
    titles = {state.title["zh-CN"] for state in found.states.values()}
    assert {
        "已上报",
        "已受理",
        "核实中",
        "已立案",
        "已派遣",
        "处置中",
        "已反馈",
        "核查中",
        "已结案",
    } <= titles
    for part in (*found.states.values(), *found.actions.values()):
        assert set(part.title) == {"en", "zh-CN"}


COURSE = """
title: {}
initial: a
states:
  a: {title: {}}
  b: {title: {}, final: true}
actions:
  go: {title: {}, from: [a], to: b}
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("initial: a", "initial: x", r"line 4: states: no action leads to a, x"),
        ("actions:", "  c: {title: {}}\nactions:", r"line 4: states: no action leads to c"),
        ("to: b", "to: bb", r"line 8: actions\.go: there is no state bb, did you mean `b`\?"),
        ("from: [a]", "from: [b]", r"line 8: actions\.go: the action leaves a final state"),
        ("from: [a]", "form: [a]", r"line 8: actions\.go\.form: unknown key, did you mean `from`\?"),
    ],
)
def test_a_course_that_leads_nowhere_is_refused(old, new, words):
    strict.parse(COURSE, Workflow, "city.yml")
    with pytest.raises(BadConfig, match=rf"city\.yml {words}"):
        strict.parse(COURSE.replace(old, new), Workflow, "city.yml")


def test_an_incident_goes_its_whole_way_and_each_move_is_logged(room):
    async def scenario(client):
        made = await report(client)
        assert made["code"].endswith("-000001")
        assert (made["status"], made["revision"], made["simulated"]) == ("reported", 1, False)
        assert {a["action"] for a in made["actions"]} == {"accept", "refuse", "void"}
        for action in ROAD:
            answer = await act(client, 1, action, f"note of {action}")
            assert answer.status_code == 200, answer.text
        found = (await client.get("/incidents/1")).json()
        assert (found["status"], found["revision"], found["actions"]) == ("closed", 9, [])
        log = found["log"]
        assert [entry["action"] for entry in log] == ["report", *ROAD]
        assert {entry["actor"] for entry in log} == {"tester"}
        assert all(a["to"] == b["from"] for a, b in pairwise(log))
        moments = [datetime.fromisoformat(entry["at"]) for entry in log]
        assert moments == sorted(moments)

    room.run(scenario)


def test_an_illegal_move_names_the_legal_ones(room):
    async def scenario(client):
        await report(client)
        answer = await act(client, 1, "close")
        assert answer.status_code == 409
        assert "accept, refuse, void" in answer.json()["detail"]
        assert (await act(client, 1, "explode")).status_code == 400
        assert (await act(client, 1, "refuse")).status_code == 400
        assert (await act(client, 1, "refuse", "not our street")).status_code == 200
        answer = await act(client, 1, "accept")
        assert answer.status_code == 409
        assert "ended" in answer.json()["detail"]
        assert (await act(client, 99, "accept")).status_code == 404
        assert len((await client.get("/incidents/1")).json()["log"]) == 2

    room.run(scenario)


def test_if_match_guards_against_a_move_in_between(room):
    async def scenario(client):
        await report(client)
        assert (await act(client, 1, "accept", **{"if-match": '"2"'})).status_code == 412
        answer = await act(client, 1, "accept", **{"if-match": '"1"'})
        etag = answer.headers["etag"]
        epoch, revision = etag.strip('"').split("-")
        assert (answer.status_code, revision) == (200, "2")
        assert (await act(client, 1, "file", **{"if-match": "soon"})).status_code == 400
        for other in ('"anything-2"', f'"{epoch}x-2"', '"of-another-2"'):
            assert (await act(client, 1, "file", **{"if-match": other})).status_code == 412
        answer = await client.get("/incidents/1", headers={"if-none-match": etag})
        assert answer.status_code == 304

    room.run(scenario)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": ""}, ["title"]),
        ({"title": "a\0b"}, ["title", "null"]),
        ({"title": "a", "address": "a\0b"}, ["address", "null"]),
        ({"title": None}, ["title"]),
        ({"title": "x" * 201}, ["title", "200"]),
        ({"level": 0}, ["level=0"]),
        ({"level": "1"}, ["level"]),
        ({"level": True}, ["level"]),
        ({"lon": 181}, ["lon=181"]),
        ({"lat": None}, ["lat"]),
        ({"lon": "a", "lat": 99, "level": 9}, ["lon", "lat", "level"]),
        ({"titel": "x"}, ["titel"]),
        ({"simulated": "yes"}, ["simulated"]),
        ({"sensor": 7}, ["no such datastream"]),
        ({"sensor": 2**60}, ["sensor"]),
        ({"status": "closed"}, ["status"]),
    ],
)
def test_every_fault_of_a_report_is_named(room, change, words):
    async def scenario(client):
        answer = await client.post("/incidents", json=REPORT | change)
        assert answer.status_code == 400
        for word in words:
            assert word in answer.json()["detail"]
        assert (await client.get("/incidents")).json()["numberMatched"] == 0

    room.run(scenario)


def test_lists_are_filtered_and_counted(room):
    async def scenario(client):
        for level in (1, 2, 2, 4):
            await report(client, level=level)
        await act(client, 2, "accept")
        changed = (await client.get("/incidents/2")).json()["changed"]

        async def ids(**params):
            found = (await client.get("/incidents", params=params)).json()
            return [i["id"] for i in found["incidents"]], found["numberMatched"]

        assert await ids() == ([4, 3, 2, 1], 4)
        assert await ids(level=2) == ([3, 2], 2)
        assert await ids(status="accepted") == ([2], 1)
        assert await ids(limit=1) == ([4], 4)
        assert await ids(since=changed) == ([2], 1)
        wrong = [
            ("status", "x"),
            ("level", 5),
            ("limit", 0),
            ("limit", -1),
            ("limit", 1001),
            ("since", "now"),
        ]
        for name, value in [*wrong, ("nope", 1), ("f", "xml")]:
            answer = await client.get("/incidents", params={name: value})
            assert answer.status_code == 400, name
            assert name in answer.json()["detail"]

    room.run(scenario)


def test_incidents_as_geojson(room):
    async def scenario(client):
        await report(client)
        await report(client, lon=None, lat=None)
        answer = await client.get("/incidents?f=geojson")
        assert answer.headers["content-type"] == "application/geo+json"
        nowhere, somewhere = answer.json()["features"]
        assert nowhere["geometry"] is None
        assert somewhere["geometry"] == {"type": "Point", "coordinates": [24.94, 60.17]}
        one = (await client.get("/incidents/1?f=geojson")).json()
        assert (one["id"], one["properties"]["title"]) == (1, "Burst pipe")

    room.run(scenario)


def test_keys_methods_and_media(room):
    weak = room.keys.add("device", ["observe"])

    async def scenario(client):
        for headers, status in [({"authorization": ""}, 401), ({"authorization": f"Bearer {weak}"}, 403)]:
            assert (await client.post("/incidents", json=REPORT, headers=headers)).status_code == status
        plain = {"content-type": "text/plain"}
        assert (await client.post("/incidents", content=b"{}", headers=plain)).status_code == 415
        assert (await client.post("/incidents", content=b"x" * 65_000, headers=plain)).status_code == 415
        json = {"content-type": "application/json"}
        assert (await client.post("/incidents", content=b" " * 65_000, headers=json)).status_code == 413
        for method, path in [
            ("DELETE", "/incidents/1"),
            ("PUT", "/incidents"),
            ("GET", "/incidents/1/actions"),
        ]:
            assert (await client.request(method, path)).status_code == 405, path
        for path in ("/incidents/0", "/incidents/x", "/incidents/1/2", "/incidents/1/actions/2"):
            assert (await client.get(path)).status_code == 404, path
        assert (await client.post("/incidents/1/actions", json={"note": "x"})).status_code == 400
        assert (await client.options("/incidents")).headers["allow"] == "GET, HEAD, OPTIONS, POST"

    room.run(scenario)


def test_the_log_cannot_be_rewritten(room):
    async def scenario(client):
        await report(client)

    room.run(scenario)
    conn = sqlite3.connect(room.folder / "live.gpkg")
    for statement in ("UPDATE incident_log SET actor='x'", "DELETE FROM incident_log"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            conn.execute(statement)
    conn.close()


def test_an_incident_is_told_to_open_pages(room):
    async def scenario(client):
        subscriber, _ = room.bus.subscribe()
        await report(client)
        await subscriber.wake.wait()
        assert b"event: incident" in subscriber.take()

    room.run(scenario)


def _board(room, **most):
    return [i["id"] for i in room.incidents.board(**most)["incidents"]]


def test_a_page_begins_with_the_worst_that_is_open_and_the_last_that_ended(room):
    async def scenario(client):
        for level in (1, 4, 3, 2, 4, 2):
            await report(client, level=level)
        assert _board(room) == [1, 6, 4, 3, 5, 2]
        for incident in (6, 2, 3):
            await act(client, incident, "void", "a test")
        # of those that ended the last one first, however old it is
        assert _board(room) == [1, 4, 5, 3, 2, 6]
        assert _board(room, most_ended=1) == [1, 4, 5, 3]
        assert _board(room, most_open=1, most_ended=0) == [1]

    room.run(scenario)


def test_the_oldest_of_the_worst_level_is_told_among_thousands_and_the_count_is_true(room):
    """Of 2 003 the newest 500 were shown as all there are; the one of level 1 was not among them."""

    async def scenario(client):
        await report(client, level=1)
        for _ in range(12):
            await report(client, level=4)
        board = room.incidents.board(most_open=5)
        assert board["incidents"][0]["level"] == 1
        assert len(board["incidents"]) == 5
        assert board["open_incidents"] == {"1": 1, "2": 0, "3": 0, "4": 12}
        subscriber, _ = room.bus.subscribe()
        await act(client, 1, "void", "a test")
        told = b""
        while b"event: open_incidents" not in told:
            await subscriber.wake.wait()
            told += subscriber.take()
        assert b'{"1":0,"2":0,"3":0,"4":12}' in told
        listed = (await client.get("/incidents?open=true&limit=10&offset=10")).json()
        assert (listed["numberMatched"], [i["id"] for i in listed["incidents"]]) == (12, [3, 2])
        ended = (await client.get("/incidents?open=false")).json()
        assert [i["id"] for i in ended["incidents"]] == [1]
        assert (await client.get("/incidents?open=maybe")).status_code == 400

    room.run(scenario)

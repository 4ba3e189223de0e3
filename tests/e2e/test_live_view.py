"""A stream of what is in view at the real process: over 2 000 sensors as counts, compressed, gone on with."""

import json
import subprocess
import zlib

import httpx
import pytest

from tests import sensing
from tests.e2e.events import stream
from tests.support import Server, copy_city, init
from twin.live.places import STATES

COUNT = 3_000
NEAR = "24.945,60.168,24.955,60.172"
WIDE = "24.7,60.0,25.2,60.3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many") / "city"
    init(folder)
    sensing.fill(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def server(folder):
    started = Server.start(folder)
    yield started
    started.stop()


def observe(server, datastream, value):
    body = {"Datastream": {"@iot.id": datastream}, "result": value}
    assert server.http.post("/sta/v1.1/Observations", json=body, headers=server.auth).status_code == 201


def inside(box):
    west, south, east, north = box
    places = {i: sensing.place(i) for i in range(1, COUNT + 1)}
    return {i for i, (lon, lat) in places.items() if west <= lon < east and south < lat <= north}


def test_near_by_sensors_are_told_one_by_one_and_no_other(server):
    with stream(server, bbox=NEAR, sensor="1") as events:
        first = events.next("snapshot")[2]
        assert first["view"]["clusters"] is None
        here = inside(first["view"]["box"])
        assert 0 < len(here) < COUNT / 2
        assert set(first["sensors"]["id"]) == here | {1}
        assert sum(first["states"]["states"].values()) == COUNT
        mine, other = min(here), min(set(range(2, COUNT)) - here)
        observe(server, other, 0.61)
        observe(server, mine, 0.62)
        told = events.next("obs")[2]
        assert (told["id"], told["value"]) == ([mine], [0.62])
    with stream(server) as events:
        assert len(events.next("snapshot")[2]["sensors"]["id"]) == COUNT


def test_a_wide_view_has_counts_that_follow(server):
    with stream(server, bbox=WIDE) as events:
        first = events.next("snapshot")[2]
        clusters = first["view"]["clusters"]
        assert first["sensors"]["id"] == []
        assert sum(clusters["count"]) == COUNT
        sums = [sum(states) for states in zip(*clusters["states"], strict=True)]
        assert dict(zip(STATES, sums, strict=True)) == first["states"]["states"]
        before = first["states"]["states"]["red"]
        quiet = next(i for i in range(1, COUNT) if sensing.value(i) < 1.5)
        observe(server, quiet, 3.0)
        assert events.next("states")[2]["states"]["red"] == before + 1
        told = events.next("clusters")[2]
        assert told["zoom"] == clusters["zoom"]
        cells = {(x, y): s for x, y, s in zip(clusters["x"], clusters["y"], clusters["states"], strict=True)}
        cells |= {(x, y): s for x, y, s in zip(told["x"], told["y"], told["states"], strict=True)}
        red = STATES.index("red")
        assert sum(states[red] for states in cells.values()) == before + 1
        assert sum(map(sum, cells.values())) == COUNT


def test_a_view_that_moves_goes_on_where_it_was(server):
    with stream(server, bbox=NEAR) as events:
        _, last, _ = events.next("snapshot")
    incident = {"title": "Burst", "level": 2, "lon": 24.9, "lat": 60.1}
    assert server.http.post("/incidents", json=incident, headers=server.auth).status_code == 201
    with stream(server, bbox=WIDE, last_event_id=last) as events:
        assert events.next("incident")[2]["title"] == "Burst"
        assert sum(events.next("view")[2]["view"]["clusters"]["count"]) == COUNT
    with stream(server, last, bbox=NEAR) as events:
        assert events.next("view")[2]["sensors"]["id"]


@pytest.mark.parametrize(
    "query", ["bbox=1,2,3", "bbox=1,2,3,x", "sensor=1", "bbox=1,2,3,4&sensor=0", f"bbox={NEAR}&sensor=x"]
)
def test_what_is_no_view_is_refused(server, query):
    answer = server.http.get(f"/stream?{query}")
    assert answer.status_code == 400
    assert "bbox" in answer.text or "sensor" in answer.text


def test_it_is_one_gzip_member_that_is_read_as_it_comes_and_ends_well(folder, serve, tmp_path):
    server = serve(copy_city(folder, tmp_path / "city"))
    unpacking, text = zlib.decompressobj(31), b""
    with httpx.Client() as client, client.stream("GET", f"{server.url}/stream?bbox={WIDE}") as answer:
        assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "Accept-Encoding")
        observed = False
        for part in answer.iter_raw():
            text += unpacking.decompress(part)
            if b"event: snapshot" in text and not observed:
                observe(server, 7, 3.0)
                observed = True
            if b"event: states" in text and server.process.poll() is None:
                server.process.terminate()
    assert unpacking.eof
    for block in text.decode().strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        json.loads(lines.get("data", "{}"))


def test_plain_for_who_takes_none_and_curl_reads_it_compressed(server):
    with (
        httpx.Client(headers={"accept-encoding": "identity"}) as client,
        client.stream("GET", f"{server.url}/stream?bbox={NEAR}") as answer,
    ):
        assert "content-encoding" not in answer.headers
        assert next(answer.iter_raw()).startswith(b"retry: 1000\nevent: snapshot")
    command = ["curl", "-sN", "--compressed", "--max-time", "2", f"{server.url}/stream?bbox={NEAR}"]
    told = subprocess.run(command, capture_output=True, check=False).stdout
    assert told.startswith(b"retry: 1000\nevent: snapshot")

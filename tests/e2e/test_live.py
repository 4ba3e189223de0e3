"""Live data at the real process: the stream, states, incidents, restart, the simulator."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from tests.e2e.events import stream
from tests.support import ROOT, copy_city, twin, until
from tests.unit.twin.live.rooms import thing
from twin.access.keys import Keys


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template") / "city"
    twin("init", str(folder))
    return folder


@pytest.fixture
def city(template, tmp_path):
    return copy_city(template, tmp_path / "city")


def post(server, path, body):
    answer = server.http.post(path, json=body, headers=server.auth)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def observe(server, value, datastream=1):
    return post(server, "/sta/v1.1/Observations", {"Datastream": {"@iot.id": datastream}, "result": value})


def test_a_page_sees_snapshot_sensors_observations_and_incidents(city, serve):
    server = serve(city)
    with stream(server) as events:
        first = events.next("snapshot")[2]
        assert first["sensors"]["id"] == []
        post(server, "/sta/v1.1/Things", thing(simulated=True))
        sensors = events.next("sensors")[2]
        assert (sensors["lon"], sensors["lat"], sensors["simulated"]) == ([24.95], [60.17], [True])
        assert (sensors["property"], sensors["unit"], sensors["state"]) == (["water_level"], ["m"], ["stale"])
        for value, state in [(1.0, "ok"), (1.6, "yellow"), (2.5, "red"), (1.0, "ok")]:
            observe(server, value)
            told = events.next("obs", lambda data, value=value: data["value"] == [value])[2]
            assert (told["id"], told["state"]) == ([1], [state])
        made = post(
            server, "/incidents", {"title": "Burst", "level": 1, "lon": 24.9, "lat": 60.1, "sensor": 1}
        )
        told = events.next("incident")[2]
        assert told == made
        post(server, "/incidents/1/actions", {"action": "accept"})
        assert events.next("incident")[2]["status"] == "accepted"
    with stream(server) as events:
        again = events.next("snapshot")[2]
        assert (again["sensors"]["value"], again["sensors"]["state"]) == ([1.0], ["ok"])
        assert [i["status"] for i in again["incidents"]] == ["accepted"]


def test_a_page_that_comes_back_gets_what_it_missed_and_after_a_restart_a_snapshot(city, serve):
    server = serve(city)
    post(server, "/sta/v1.1/Things", thing())
    with stream(server) as events:
        events.next("snapshot")
        for i in range(3):
            post(server, "/incidents", {"title": f"number {i}"})
        last = events.next("incident")[1]
        events.next("incident")
        events.next("incident")
    with stream(server, last) as events:
        titles = [events.next("incident")[2]["title"] for _ in range(2)]
        assert titles == ["number 1", "number 2"]
        assert all(name != "snapshot" for name, _, _ in events.seen)
    server.stop()
    again = serve(city)
    with stream(again, last) as events:
        found = events.next("snapshot")[2]
        assert [i["title"] for i in found["incidents"]] == ["number 2", "number 1", "number 0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_with_open_streams_stops_at_once_and_cleanly(city, serve, number):
    server = serve(city)
    with stream(server) as one, stream(server) as two:
        one.next("snapshot")
        two.next("snapshot")
        begun = time.monotonic()
        server.process.send_signal(number)
        assert one.ended()
        assert two.ended()
        server.process.wait(10)
        assert time.monotonic() - begun < 2.5
    assert server.process.returncode in (0, -number, 130)
    assert "".join(server.log) == ""
    server.clean = False


def test_a_client_that_goes_away_leaves_nothing_behind(city, serve):
    server = serve(city)
    for _ in range(5):
        with stream(server) as events:
            events.next("snapshot")
    post(server, "/sta/v1.1/Things", thing())
    observe(server, 1.0)
    assert server.http.get("/health/live").status_code == 200


def test_a_silent_sensor_turns_stale_and_comes_back(city, serve):
    server = serve(city)
    body = thing()
    body["Datastreams"][0]["properties"]["period"] = 0.2
    post(server, "/sta/v1.1/Things", body)
    with stream(server) as events:
        events.next("snapshot")
        observe(server, 1.0)
        events.next("obs", lambda data: data["state"] == ["ok"])
        events.next("obs", lambda data: data["state"] == ["stale"])
        observe(server, 1.6)
        events.next("obs", lambda data: data["state"] == ["yellow"])


def test_stream_refuses_what_it_does_not_know(city, serve):
    server = serve(city)
    assert server.http.get("/stream?nope=1").status_code == 400
    assert server.http.post("/stream").status_code == 405


def test_what_is_kept_is_a_geopackage_that_other_tools_read(city, serve):
    server = serve(city)
    post(server, "/incidents", {"title": "Burst", "lon": 24.9, "lat": 60.1})
    code = (
        "import pyogrio, sys; meta, _, geometry, fields = pyogrio.raw.read(sys.argv[1], layer='incident');"
        "print(meta['crs'], len(geometry), meta['geometry_type'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(city / "live.gpkg")], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["EPSG:4326", "1", "Point"], done.stderr


def test_another_writer_that_holds_the_file_makes_it_busy_not_wrong(city, serve):
    server = serve(city, clean=False)
    post(server, "/sta/v1.1/Things", thing())
    other = sqlite3.connect(city / "live.gpkg", isolation_level=None, timeout=10)
    other.execute("BEGIN IMMEDIATE")
    body = {"Datastream": {"@iot.id": 1}, "result": 1.0}
    answer = server.http.post("/sta/v1.1/Observations", json=body, headers=server.auth)
    assert answer.status_code == 503
    assert server.http.get("/sta/v1.1/Observations").json()["value"] == []
    other.execute("ROLLBACK")
    other.close()
    observe(server, 1.0)


@pytest.fixture
def simulated(helsinki_template, tmp_path):
    return copy_city(helsinki_template, tmp_path / "helsinki")


@contextmanager
def playing(server, *options):
    with subprocess.Popen(
        [sys.executable, "-m", "twin", "simulate", "--url", server.url, "--key", server.key, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as player:
        try:
            yield player
        finally:
            player.kill()


def things(server):
    return server.http.get("/sta/v1.1/Things?$top=1000&$expand=Datastreams").json()["value"]


def test_the_simulator_fills_a_day_and_plays_through_the_public_api(simulated, serve):
    server = serve(simulated)
    with playing(server) as player:
        with stream(server) as events:
            events.next("snapshot")
            events.next("incident", seconds=60)
            played = [events.next("obs", lambda data: len(data["id"]) >= 5, seconds=30)[2] for _ in range(2)]
        assert played[0]["time"] != played[1]["time"]
        found = things(server)
        assert len(found) == 64
        assert all(t["properties"]["simulated"] for t in found)
        names = {t["properties"]["key"].rpartition("-")[0] for t in found}
        assert names == {"water_level", "water_pressure", "pm2_5", "traffic_speed", "gas_lel"}
        first, _, last = found[0]["Datastreams"][0]["phenomenonTime"].partition("/")
        with stream(server) as events:
            snapshot = events.next("snapshot")[2]
        assert all(snapshot["sensors"]["simulated"])
        assert len(snapshot["incidents"]) >= 8
        assert all(i["simulated"] for i in snapshot["incidents"])
        assert len({i["status"] for i in snapshot["incidents"]}) >= 5
        spread = {(round(lon, 3), round(lat, 3)) for lon, lat in zip(
            snapshot["sensors"]["lon"], snapshot["sensors"]["lat"], strict=True)}  # fmt: skip
        assert len(spread) > 30
        id_ = found[0]["Datastreams"][0]["@iot.id"]
        day = server.http.get(f"/sta/v1.1/Datastreams({id_})/Observations?$top=0&$count=true").json()
        assert day["@iot.count"] >= 287
        assert first < last
        player.terminate()
        assert player.wait(10) == 0
        with playing(server) as again:
            assert "64 sensors" in again.stdout.readline()
            assert len(things(server)) == 64


def test_the_simulator_waits_for_a_server_that_is_away(simulated, serve):
    server = serve(simulated)
    port = server.url.rsplit(":", 1)[1]
    # a key of its own: the test's is made anew with each server
    key = Keys(simulated).add("simulator", ["observe", "configure", "incident"])
    with playing(server, "--sensors", "5", "--key", key) as player:
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(player.stdout), daemon=True)
        reader.start()
        until(lambda: any("Simulating 5" in line for line in lines), 60)
        server.stop()
        until(lambda: any("away" in line for line in lines), 30)
        again = serve(simulated, "--port", port)
        with stream(again) as events:
            events.next("snapshot")
            assert set(events.next("obs", seconds=40)[2]["state"]) != {"stale"}
        until(lambda: sum("Simulating 5" in line for line in lines) == 2, 40)
        assert len(things(again)) == 5
        player.kill()
        reader.join(10)


def test_the_simulator_tells_that_its_key_is_refused(city, serve):
    server = serve(city)
    done = twin("simulate", "--url", server.url, "--key", "wrong", check=False)
    assert done.returncode == 1
    assert "refuses this key" in done.stderr or "no features" in done.stderr

"""kill -9 while observations arrive: nothing acknowledged is lost, nothing is kept twice."""

import os
import random
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support import Server, twin, until
from tests.unit.twin.live.rooms import thing

ROUNDS = int(os.environ.get("TWIN_CRASH_ROUNDS", "20"))
STREAMS = 4
BASE = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = "/sta/v1.1"


class Device(threading.Thread):
    """Posts its own stream, single or in arrays of 20, and remembers what was acknowledged."""

    def __init__(self, server, datastream, first, batch):
        super().__init__(daemon=True)
        self.server, self.datastream, self.next, self.batch = server, datastream, first, batch
        self.acknowledged = []
        self.sent = []
        self.fault = None

    def run(self):
        with httpx.Client(base_url=self.server.url, headers=self.server.auth, timeout=10) as client:
            while True:
                numbers = list(range(self.next, self.next + self.batch))
                self.next += self.batch
                self.sent += numbers
                try:
                    answer = self._post(client, numbers)
                except httpx.TransportError:
                    return
                if answer.status_code != 201 or "error" in answer.text:
                    self.fault = answer.text
                    return
                self.acknowledged += numbers

    def _post(self, client, numbers):
        rows = [[(BASE + timedelta(seconds=n)).isoformat(), n] for n in numbers]
        if self.batch == 1:
            body = {"phenomenonTime": rows[0][0], "result": rows[0][1]}
            return client.post(f"{ROOT}/Datastreams({self.datastream})/Observations", json=body)
        group = {"Datastream": {"@iot.id": self.datastream}, "components": ["phenomenonTime", "result"]}
        return client.post(f"{ROOT}/CreateObservations", json=[{**group, "dataArray": rows}])


@pytest.fixture
def city(tmp_path):
    folder = tmp_path / "city"
    twin("init", str(folder))
    return folder


@pytest.mark.timeout(600)
def test_no_acknowledged_observation_is_lost(city):
    dice = random.Random(20261122)
    acknowledged = {ds: set() for ds in range(1, STREAMS + 1)}
    sent = {ds: set() for ds in range(1, STREAMS + 1)}
    following = dict.fromkeys(acknowledged, 0)
    for number in range(ROUNDS):
        server = Server.start(city)
        if number == 0:
            for i in range(STREAMS):
                body = thing(name=f"device {i}")
                assert server.http.post(f"{ROOT}/Things", json=body, headers=server.auth).status_code == 201
        devices = [
            Device(server, ds, following[ds], batch=1 if ds <= STREAMS // 2 else 20) for ds in acknowledged
        ]
        for device in devices:
            device.start()
        until(
            lambda devices=devices: all(d.acknowledged or d.fault for d in devices),
            20,
            "a first acknowledgement",
        )
        moment = time.monotonic() + dice.uniform(0.0, 0.15)
        until(lambda moment=moment: time.monotonic() >= moment)
        server.kill()
        server.stop()
        for device in devices:
            device.join(15)
            assert not device.is_alive()
            assert device.fault is None, device.fault
            acknowledged[device.datastream].update(device.acknowledged)
            sent[device.datastream].update(device.sent)
            following[device.datastream] = device.next
        _judge(city, acknowledged, sent)
    assert sum(map(len, acknowledged.values())) > ROUNDS * STREAMS
    server = Server.start(city)
    for ds, numbers in acknowledged.items():
        count = server.http.get(f"{ROOT}/Datastreams({ds})/Observations?$top=0&$count=true").json()[
            "@iot.count"
        ]
        assert count >= len(numbers)
        newest = server.http.get(
            f"{ROOT}/Datastreams({ds})/Observations?$top=1&$orderby=phenomenonTime desc"
        ).json()
        assert newest["value"][0]["result"] >= max(numbers)
    server.stop()


def _judge(city, acknowledged, sent):
    """Look into the file that the killed server left."""
    conn = sqlite3.connect(city / "live.gpkg")
    assert conn.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    for ds, numbers in acknowledged.items():
        rows = [row[0] for row in conn.execute("SELECT num FROM observation WHERE ds = ? ORDER BY t", (ds,))]
        kept = set(rows)
        assert len(rows) == len(kept), "kept twice"
        assert numbers <= kept, f"{len(numbers - kept)} acknowledged observations are lost"
        assert kept <= sent[ds]
        count, newest = conn.execute("SELECT count, num FROM latest WHERE ds = ?", (ds,)).fetchone()
        assert (count, newest) == (len(rows), rows[-1]), "latest is not of the same transaction"
    conn.close()

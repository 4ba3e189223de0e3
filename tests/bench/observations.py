"""Observations over HTTP against a bare executemany of the same rows."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Connection, cpu_ns
from tests.bench.report import Row
from tests.support import Server

PLACE = (24.9443, 60.1716)


def figures(server: Server) -> Iterator[Row]:
    """Observations over HTTP, one a request and 1000 a request, against a bare executemany of the rows."""
    made = server.http.post("/sta/v1.1/Things", json=_THING, headers=server.auth)
    made.raise_for_status()
    stream = server.http.get(f"{made.headers['location']}/Datastreams").json()["value"][0]["@iot.id"]
    bare = _bare_executemany(20_000)
    headers = [("authorization", f"Bearer {server.key}"), ("content-type", "application/json")]
    connection = Connection(server.url)
    clock = iter(range(10**9))

    def cpu(count: int, send: object) -> float:
        before = cpu_ns(server.process.pid)
        for _ in range(count):
            send()  # type: ignore[operator]
        return (cpu_ns(server.process.pid) - before) / 1000

    def single() -> None:
        body = {"phenomenonTime": _instant(next(clock)), "result": 1.5, "Datastream": {"@iot.id": stream}}
        status, _, _ = connection.request(
            "/sta/v1.1/Observations", headers, "POST", json.dumps(body).encode()
        )
        assert status == 201

    def batch() -> None:
        rows = [[_instant(next(clock)), 1.5] for _ in range(1000)]
        body = [
            {
                "Datastream": {"@iot.id": stream},
                "components": ["phenomenonTime", "result"],
                "dataArray@iot.count": 1000,
                "dataArray": rows,
            }
        ]
        sent = json.dumps(body).encode()
        status, _, _ = connection.request("/sta/v1.1/CreateObservations", headers, "POST", sent)
        assert status == 201

    single()
    for name, micros in (
        ("observations, one a request", min(cpu(400, single) / 400 for _ in range(3))),
        ("observations, 1000 a request", min(cpu(10, batch) / 10_000 for _ in range(3))),
    ):
        detail = f"{1e6 / micros:.0f} a CPU-second; bare {1e6 / bare:.0f}"
        yield Row(f"{name}: CPU to a bare executemany", f"{micros / bare:.1f} ×", "stated", detail)


_THING = {
    "name": "bench",
    "description": "bench",
    "Locations": [
        {
            "name": "here",
            "description": "here",
            "encodingType": "application/geo+json",
            "location": {"type": "Point", "coordinates": list(PLACE)},
        }
    ],
    "Datastreams": [
        {
            "name": "bench",
            "description": "bench",
            "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
            "unitOfMeasurement": {
                "name": "metre",
                "symbol": "m",
                "definition": "http://qudt.org/vocab/unit/M",
            },
            "Sensor": {"name": "s", "description": "s", "encodingType": "text/plain", "metadata": "none"},
            "ObservedProperty": {"name": "bench", "definition": "urn:bench", "description": "bench"},
        }
    ],
}


def _instant(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + second))


def _bare_executemany(count: int) -> float:
    """CPU µs a row of one executemany with one commit into the same table of an empty file."""
    from layers.observations import series, tables

    with tempfile.TemporaryDirectory() as folder:
        con = sqlite3.connect(Path(folder) / "bare.gpkg", isolation_level=None)
        con.execute("PRAGMA journal_mode=WAL")
        con.execute("PRAGMA synchronous=FULL")
        con.executescript(tables.SCHEMA)
        rows = [(1, 1000 * i, 0, i + 1, None, None, 1.5, None, None, None) for i in range(count)]
        before = time.process_time_ns()
        con.execute("BEGIN")
        con.executemany(series.INSERT, rows)
        con.execute("COMMIT")
        spent = time.process_time_ns() - before
        con.close()
    return spent / count / 1000

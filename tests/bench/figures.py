"""The figures: what is asked, how often, and against what."""

from __future__ import annotations

import json
import math
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.measure import Case, Connection, Pair, cpu_ns, pair
from tests.support import ROOT, Server

BBOX_CENTRE = (24.9443, 60.1716)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure as it is told."""

    name: str
    value: str
    goal: str
    detail: str = ""


class Running(Protocol):
    """A server process."""

    @property
    def pid(self) -> int: ...

    @property
    def url(self) -> str: ...


def start_to_ready(seconds: float) -> Row:
    """Start of the loaded city to ready, wall."""
    return Row("start of the loaded city to ready (wall)", f"{seconds:.2f} s", "≤ 3 s")


def items(us: Running, floor: Running, peer: Running) -> Iterator[Row]:
    """Items: ≈ 50 matches with limit 100, and limit 1000."""
    small = [f"/collections/addresses/items?limit=100&bbox={box}" for box in _boxes(us)]
    large = ["/collections/addresses/items?limit=1000"]
    for name, paths, ours, theirs in (
        ("items, ≈ 50 matches, limit 100", small, 160, 16),
        ("items, limit 1000", large, 40, 4),
    ):
        case = Case(us.pid, us.url, ["/ogc" + path for path in paths])
        size = _mean_size(us, case.paths)
        found = pair(Case(peer.pid, peer.url, paths), case, theirs, ours)
        detail = f"{found.second:.0f} µs, {found.first:.0f} µs"
        yield Row(f"{name}: CPU less than pygeoapi's path", f"{found.ratio:.1f} ×", "≥ 8 ×", detail)
        found = pair(case, Case(floor.pid, floor.url, [f"/{size}"]), ours, 700)
        yield Row(f"{name}: CPU to the floor", f"{found.ratio:.1f} ×", "this is the bar", told(found))


def told(found: Pair) -> str:
    """Both sides, as the table has them."""
    return f"{found.first:.0f} µs, {found.second:.0f} µs"


def not_modified(us: Running, floor: Running, _: Running) -> Iterator[Row]:
    """304 of an item and of a tile against a constant 304."""
    for name, path in (
        ("304 of an item", "/ogc/collections/buildings/items/1"),
        ("304 of a vector tile", TILE),
    ):
        _, headers, _ = Connection(us.url).request(path, [("accept-encoding", "gzip")])
        sent = [("if-none-match", headers["etag"]), ("accept-encoding", "gzip")]
        ours = Case(us.pid, us.url, [path], sent, 304)
        found = pair(ours, Case(floor.pid, floor.url, ["/304"], sent, 304), 1000, 1000)
        yield Row(f"{name}: CPU to the floor's 304", f"{found.ratio:.2f} ×", "≤ 2 ×", told(found))


def cached_tile(us: Running, floor: Running, _: Running) -> Iterator[Row]:
    """A cached vector tile, and a cached 3D tile, against constant bytes of their size."""
    for name, path in (("cached vector tile", TILE), ("cached 3D tile", GLB)):
        asks = [("accept-encoding", "gzip")]
        _, _, body = Connection(us.url).request(path, asks)
        ours = Case(us.pid, us.url, [path], asks)
        found = pair(ours, Case(floor.pid, floor.url, [f"/{len(body)}"], asks), 1000, 1000)
        detail = f"{told(found)}, {len(body)} bytes"
        yield Row(f"{name}: CPU to the floor", f"{found.ratio:.2f} ×", "≤ 3 ×", detail)


HTTP = (items, not_modified, cached_tile)


def observations(server: Server) -> Iterator[Row]:
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
            "location": {"type": "Point", "coordinates": list(BBOX_CENTRE)},
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
    from layers.store import livefile, series

    with tempfile.TemporaryDirectory() as folder:
        con = sqlite3.connect(Path(folder) / "bare.gpkg", isolation_level=None)
        con.execute("PRAGMA journal_mode=WAL")
        con.execute("PRAGMA synchronous=FULL")
        con.executescript(livefile.SCHEMA)
        rows = [(1, 1000 * i, 0, i + 1, None, None, 1.5, None, None, None) for i in range(count)]
        before = time.process_time_ns()
        con.execute("BEGIN")
        con.executemany(series.INSERT, rows)
        con.execute("COMMIT")
        spent = time.process_time_ns() - before
        con.close()
    return spent / count / 1000


def densest_scene_tile(city: Path) -> Row:
    """The largest 3D tile of the city, built from the store with nothing cached."""
    from layers.store import geopackage
    from tiles.service import Tiles

    store = geopackage.open(city / "city.gpkg")
    try:
        scenes = Tiles(store, city / "derived")
        sizes = {key: len(scenes.glb(*key).plain()) for key in _nodes(scenes)}
        densest = max(sizes, key=lambda key: sizes[key])
        spent = []
        for _ in range(5):
            fresh = Tiles(store, city / "derived")
            fresh.tileset(densest[0])
            fresh.glb_etag(*densest)
            before = time.process_time()
            fresh.glb(*densest)
            spent.append((time.process_time() - before) * 1000)
    finally:
        store.close()
    name = "/".join(map(str, densest))
    return Row(
        "cold densest 3D tile (CPU)", f"{min(spent):.1f} ms", "≤ 30 ms", f"{name}, {sizes[densest]} bytes"
    )


def _nodes(scenes: object) -> Iterator[tuple[str, int, int, int]]:
    for layer in ("buildings", "building_parts", "pipelines"):
        waiting = [json.loads(scenes.tileset(layer).plain())["root"]]  # type: ignore[attr-defined]
        while waiting:
            node = waiting.pop()
            waiting += node.get("children", [])
            if "content" in node:
                z, x, y = node["content"]["uri"].removesuffix(".glb").split("/")[-3:]
                yield layer, int(z), int(x), int(y)


def demo_to_page(folder: Path) -> Row:
    """``twin demo`` on a loaded city to the page drawn in the browser, wall."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import ARGUMENTS, chromium

    command = [sys.executable, "-m", "twin", "demo", "--port", "0", "--dir", str(folder)]
    _demo_address(command).send_signal(signal.SIGINT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 960, "height": 600})
        started = time.perf_counter()
        process = _demo_address(command)
        page.goto(process.address)  # type: ignore[attr-defined]
        page.wait_for_function("() => window.twin", timeout=60_000)
        shown = time.perf_counter() - started
        page.evaluate("window.twin.ready(150000)")
        seconds = time.perf_counter() - started
        browser.close()
        process.send_signal(signal.SIGINT)
        process.wait(20)
    name = "make demo on a warm cache to the page ready (wall)"
    detail = f"the page's program runs at {shown:.1f} s; the rest is software WebGL drawing every tile"
    return Row(name, f"{seconds:.1f} s", "stated", detail)


def _demo_address(command: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "/#key=" in line:
            process.address = line.split()[-1]  # type: ignore[attr-defined]
            return process
    raise RuntimeError("twin demo did not start")


def _boxes(us: Running) -> list[str]:
    """Sixteen boxes with 40 to 60 addresses each."""
    rng = random.Random(7)
    connection = Connection(us.url)
    boxes: list[str] = []
    while len(boxes) < 16:
        lon = BBOX_CENTRE[0] + rng.uniform(-0.006, 0.006)
        lat = BBOX_CENTRE[1] + rng.uniform(-0.004, 0.004)
        for half in (0.0006, 0.0008, 0.001, 0.0013, 0.0016, 0.002):
            box = f"{lon - half:.6f},{lat - half / 2:.6f},{lon + half:.6f},{lat + half / 2:.6f}"
            _, _, body = connection.request(f"/ogc/collections/addresses/items?limit=1&bbox={box}")
            if 40 <= json.loads(body)["numberMatched"] <= 60:
                boxes.append(box)
                break
    return boxes


def _mean_size(us: Running, paths: object) -> int:
    connection = Connection(us.url)
    sizes = [len(connection.request(path)[2]) for path in paths]  # type: ignore[attr-defined]
    return sum(sizes) // len(sizes)


def _cell(z: int) -> str:
    """``z/x/y`` of the city's centre (WebMercatorQuad)."""
    lon, lat = BBOX_CENTRE
    x = int((lon + 180) / 360 * 2**z)
    y = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z)
    return f"{z}/{x}/{y}"


TILE = f"/tiles/buildings/{_cell(15)}.mvt"
GLB = f"/3dtiles/buildings/{_cell(16)}.glb"

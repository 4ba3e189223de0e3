"""``make bench``: the figures of docs/benchmarks.md, measured in one run and written there.

``python -m tests.bench [SECTION …]``; without one, all but large, afar, loads and page.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from tests.bench import (
    afar,
    cities,
    columns,
    database,
    encoder,
    features,
    feed,
    files,
    helsinki,
    imagery,
    intake,
    kept,
    large,
    loads,
    models,
    observations,
    overload,
    page,
    past,
    report,
    seen,
    sensors,
    terrain,
    wall,
    writer,
)
from tests.bench.data import LAYER, Town
from tests.bench.measure import Target
from tests.bench.peers import install
from tests.bench.processes import module, one_core, running, target
from tests.bench.report import Row
from tests.support import COLD, Server

SMALL, MIDDLE, LARGE = Town(56), Town(125), Town(396)
PEERS = (features.PYGEOAPI, features.TIPG)
VERSIONS = ("pygeoapi 0.24.0", "tipg 1.6.1")


def main() -> None:
    """Measure, print, write the report."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[[], *report.SECTIONS], help="which sections to measure")
    parser.add_argument("--folder", type=Path, help="keep the cities here, and use those that are there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for name in asked.what or ("features", "history", "helsinki", "rasters", "live", "tiles", "columns"):
            started = time.perf_counter()
            print(f"\n{name}", flush=True)
            measures = {
                "features": _features,
                "history": _history,
                "helsinki": _helsinki,
                "large": _large,
                "rasters": _rasters,
                "live": _live,
                "tiles": _tiles,
                "columns": _columns,
                "afar": _afar,
                "page": _page,
                "loads": _loads,
            }
            text = measures[name](folder)
            report.write({name: text})
            print(f"{name}: {time.perf_counter() - started:.0f} s")


def _features(folder: Path) -> str:
    with ExitStack() as stack:
        cluster = stack.enter_context(database.cluster())
        assert cluster.process is not None
        postgres = (cluster.process.pid,)
        peers, ours = cluster.database(), cluster.database()
        database.fill(peers, SMALL)
        engines = [f"{name} {number}" for name, number in database.versions(cluster).items()]
        stack.callback(shutil.rmtree, folder / "postgis")
        cities.town(folder / "small", SMALL)
        cities.town(folder / "postgis", SMALL, ours)
        stack.enter_context(one_core(*postgres))
        floor = stack.enter_context(running(features.FLOOR, module("tests.bench.floor")))
        own = {
            features.GPKG: (Server.start(folder / "small", prefix=COLD), ()),
            features.POSTGIS: (Server.start(folder / "postgis", prefix=COLD), postgres),
        }
        servers = []
        for name, (server, others) in own.items():
            stack.callback(server.stop)
            servers.append(target(name, server, others))
        for name in PEERS:
            command = install.command(name, peers, LAYER)
            servers.append(stack.enter_context(running(name, command, postgres)))
        table, rows = _asked(servers, floor)
        for one in servers[:2]:
            key = own[one.name][0].key
            question = next(
                q for q in features.questions(SMALL) if q.name == "items, ≈ 50 matches, limit 100"
            )
            rows += _told(writer.beside(one, key, SMALL, question))
    title = f"## Features: {SMALL.count:,} buildings, against peers on the same rows"
    around = report.surroundings(*VERSIONS, *engines)
    return "\n\n".join([title, around, _METHOD, table, report.table(rows)])


_METHOD = """Each row is 24 requests in rotation, five turns. Before they are measured, all servers are
seen to give the same counts and, where everything that matches is given, the same features. Peers run as
they ship, one worker each; none of them sends an ETag, so none has a `304`."""


def _history(folder: Path) -> str:
    rows = _told(kept.figures(folder)) + _told(past.figures(MIDDLE, folder))
    rows += _told(past.of_database(SMALL, folder))
    server = Server.start(cities.town(folder / "feed", SMALL, kind="building"), prefix=COLD)
    try:
        rows += _told(feed.figures(server))
    finally:
        server.stop()
    title = f"## History: {MIDDLE.count:,} buildings, of which a tenth changed"
    return "\n\n".join([title, report.surroundings(), report.table(rows)])


def _asked(servers: list[Target], floor: Target) -> tuple[str, list[Row]]:
    results: list[features.Result] = []
    rows: list[Row] = []
    for question in features.questions(SMALL):
        results.append(features.measure(question, servers, floor))
        _cost(results[-1])
        rows += _told(results[-1].rows())
    unchanged, goals = features.not_modified(servers[:2], floor, SMALL)
    results.append(unchanged)
    _cost(unchanged)
    rows += _told(goals)
    return features.matrix(results, [*(one.name for one in servers), features.FLOOR]), rows


def _cost(result: features.Result) -> None:
    costs = (f"{name} {result.cost(name):.0f}" for name in result.servers)
    print(f"  {result.question.name}: µs {', '.join(costs)}", flush=True)


def _large(folder: Path) -> str:
    rows = _told(large.figures(SMALL, LARGE, folder)) + _told([files.citygml_memory(folder / "gml")])
    title = f"## {LARGE.count:,} features in a GeoPackage"
    return "\n\n".join([title, report.surroundings(), report.table(rows)])


def _loads(folder: Path) -> str:
    rows = _told(loads.rows(folder / "loads", 100_000, 1_000_000))
    shutil.rmtree(folder / "loads")
    title = "## A million rows loaded into a GeoPackage"
    return "\n\n".join([title, report.surroundings(), _LOADED, report.table(rows)])


def _helsinki(folder: Path) -> str:
    city, copy = cities.helsinki(folder / "helsinki"), folder / "copy"
    rows: list[Row] = []
    rows += _told([wall.start_to_ready(city)])
    # the peer reads a copy: two servers never share a city folder
    shutil.copytree(city, copy, ignore=shutil.ignore_patterns("city.lock"))
    with ExitStack() as stack:
        stack.enter_context(one_core())
        floor = stack.enter_context(running("floor", module("tests.bench.floor")))
        pygeoapi = module("tests.bench.pygeoapi_path", str(copy))
        peer = stack.enter_context(running("pygeoapi", pygeoapi))
        server = Server.start(city, prefix=COLD)
        stack.callback(server.stop)
        for measure in helsinki.HTTP:
            rows += _told(measure(target("ours", server), floor, peer))
        rows += _told(helsinki.to_nginx(target("ours", server), floor, folder / "nginx"))
        rows += _told(observations.figures(server))
        server.stop()
    with ExitStack() as stack:
        server = Server.start(city, prefix=COLD)
        stack.callback(server.stop)
        rows += _told(overload.figures(target("ours", server)))
    rows += _told([wall.densest_scene_tile(copy)])
    rows += _told([files.check_overhead(folder / "files"), files.citygml(folder / "gml"), *files.ifc()])
    rows += _told([files.cityjson(folder / "gml")])
    rows += _told(terrain.rows(folder / "terrain"))
    rows += _told(models.rows(folder / "models"))
    rows += _told([wall.demo_to_page(folder / "demo")])
    for done in (city, copy, *(folder / name for name in ("files", "terrain", "models", "demo", "nginx"))):
        shutil.rmtree(done, ignore_errors=True)
    title = "## The server on the loaded Helsinki city"
    return "\n\n".join([title, report.surroundings(), _PATH, report.table(rows)])


def _live(folder: Path) -> str:
    rows = _told(sensors.rows(folder / "live"))
    shutil.rmtree(folder / "live")
    title = f"## Live data: {sensors.COUNT:,} sensors"
    return "\n\n".join([title, report.surroundings(), report.table(rows)])


def _rasters(folder: Path) -> str:
    city = imagery.city(folder / "rasters")
    with ExitStack() as stack:
        stack.enter_context(one_core())
        rows = _told(imagery.drawn(city))
        floor = stack.enter_context(running("floor", module("tests.bench.floor")))
        server = Server.start(city, prefix=COLD)
        stack.callback(server.stop)
        rows += _told(imagery.asked(target("ours", server), floor))
    shutil.rmtree(city)
    rows += _told(intake.rows(folder / "intake"))
    title = f"## Pictures and values of rasters, {imagery.SIDE} cells a side"
    around = report.surroundings(
        *(f"{name} {version(name)}" for name in ("rasterio", "rio-tiler", "rio-cogeo"))
    )
    return "\n\n".join([title, around, _DRAWN, report.table(rows)])


def _tiles(folder: Path) -> str:
    rows = _told(encoder.rows(folder / "tiles"))
    shutil.rmtree(folder / "tiles")
    city = encoder.CITY
    title = (
        f"## Vector tiles of {city.buildings:,} buildings, {city.addresses:,} addresses, {city.pipes:,} pipes"
    )
    return "\n\n".join([title, report.surroundings(), _ENCODED, report.table(rows)])


def _columns(folder: Path) -> str:
    rows = _told(columns.rows(folder / "columns", (Town(18), SMALL, MIDDLE)))
    rows += _told(columns.of_database(folder / "columns", MIDDLE))
    shutil.rmtree(folder / "columns")
    return "\n\n".join(["## Columns, made and patched", report.surroundings(), _MADE, report.table(rows)])


def _afar(folder: Path) -> str:
    rows = _told(afar.rows(folder))
    rows += _told(seen.rows(folder / "metropolis", folder / "seen"))
    shutil.rmtree(folder / "seen")
    title = "## A city of a million buildings, a million addresses and 595,000 pipes, from near and far"
    return "\n\n".join([title, report.surroundings(), _SEEN, report.table(rows)])


def _page(folder: Path) -> str:
    rows = _told(page.rows(folder))
    title = "## The page on that city"
    return "\n\n".join([title, report.surroundings(), _WALKED, report.table(rows)])


_WALKED = """Chromium, 640 × 400, WebGL by the processor: a task's length is wall time on a machine that draws
each frame itself, most of it spent waiting for the picture, and grows with whatever else it does; the
CPU of the page's own thread in it does not. Layers are those that a city opens with, from 2,500 m."""

_SEEN = """In one process, without HTTP, nothing of a tile in memory: the dearest and the largest tile of each
zoom, from zoom 10 on of nine in the middle of the city, and the 60 nodes of the 3D tree nearest to it;
from 30 km, what CesiumJS fetches on 1920 x 1080 pixels with 16 pixels of error."""
_MADE = """In one process, without HTTP: what a load or a start pays for the columns of a layer's tiles, what
the first tile pays that finds them in their file, pyramids of far views among them, and an edit of one
property with all that follows."""
_ENCODED = """From columns in memory to gzipped bytes, without HTTP, against ST_AsMVT asked through psycopg
for the same rows: Web Mercator in its tables, GiST indexes, prepared statements, no just-in-time compilation,
and the same gzip. Ours also hold the id as a property."""
_LOADED = """CPU of the load and of its reader, without their start, against ogr2ogr writing the same
FlatGeobuf as a GeoPackage: it checks nothing, keeps no history and makes no GeoJSON beside the rows."""
_DRAWN = """The peer is rio-tiler as it is documented: `Reader.tile`, `rescale`, `render`, over a file that is
open. The relief has one band of float32 and the colours of `terrain`, the photo three of uint8; both are COGs
on the grid of the tiles."""
_PATH = """The peer here is pygeoapi's own items path over our store, behind the same HTTP server. In the rows
of an open loop, five times the rated load, the server has one core and its clients another."""


def _told(rows: Iterable[Row]) -> list[Row]:
    found = []
    for row in rows:
        found.append(row)
        print(row.line(), flush=True)
    return found


if __name__ == "__main__":
    main()

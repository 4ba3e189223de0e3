"""The city as it was, to the city as it is: pages, vector tiles and 3D nodes after a tenth has changed.

Pages are asked of both stores: of a GeoPackage with the town given, of PostGIS with a smaller one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import psycopg

from layers import undo
from layers.model import Author
from layers.store import geopackage
from layers.store.base import Store
from layers.store.database import Database
from layers.store.geopackage.connection import connect, transaction
from layers.store.open import open_store
from layers.undo import UndoPlan
from tests.bench import cities, database
from tests.bench.data import LAYER, ORIGIN, STEP, Town
from tests.bench.features import BOXES, GPKG, ITEMS, POSTGIS, questions
from tests.bench.measure import Case, Target, per_request, turns, usage
from tests.bench.processes import one_core, target
from tests.bench.report import Row, at_most
from tests.support import COLD, Server
from tiles import scheme
from tiles.service import Tiles

type At = tuple[int, int, int]
type Make = Callable[[Tiles, At], object]
ROUNDS = 7
TIMES = {GPKG: 12, POSTGIS: 3}
#: One building of so many has changed since.
SHARE = 10
ASKED = (
    "items, ≈ 50 matches, limit 100",
    "items, ≈ 2000 matches, limit 1000",
    "one item",
)
TILES = 40
UNDONE = 1_000


def figures(town: Town, folder: Path) -> Iterator[Row]:
    """Change a tenth of the town, and ask for what was beside what is."""
    cities.town(folder / "past", town, kind="building")
    file = folder / "past" / "city.gpkg"
    store = geopackage.open(file)
    try:
        seq = store.seq()
        _change(file)
        with ExitStack() as stack:
            stack.enter_context(one_core())
            server = Server.start(folder / "past", prefix=COLD)
            stack.callback(server.stop)
            yield from _pages(target(GPKG, server), server, town, seq)
        yield from _tiles(store, folder, town, seq)
        yield from _undone(GPKG, store, town)
    finally:
        store.close()


def _change(file: Path) -> None:
    """A tenth of the buildings, all over the town, in one transaction of another program."""
    con = connect(file, "rw")
    try:
        with transaction(con):
            con.execute(f"UPDATE {LAYER} SET owner = 'Somebody' WHERE fid % {SHARE} = 0")
    finally:
        con.close()


def of_database(town: Town, folder: Path) -> Iterator[Row]:
    """The pages of a city in PostGIS, the database's CPU with the server's, and what an undo takes there."""
    with ExitStack() as stack:
        cluster = stack.enter_context(database.cluster())
        assert cluster.process is not None
        postgres, url = (cluster.process.pid,), cluster.database()
        stack.callback(shutil.rmtree, folder / "past-postgis")
        cities.town(folder / "past-postgis", town, url, kind="building")
        with closing(open_store(folder / "past-postgis", Database(url))) as store:
            seq = store.seq()
        with psycopg.connect(url, autocommit=True) as con:
            con.execute(f"UPDATE city.{LAYER} SET owner = 'Somebody' WHERE fid % {SHARE} = 0")
        cities.settle(url)
        stack.enter_context(one_core(*postgres))
        server = Server.start(folder / "past-postgis", prefix=COLD)
        stack.callback(server.stop)
        yield from _pages(target(POSTGIS, server, postgres), server, town, seq)
        server.stop()
        with closing(open_store(folder / "past-postgis", Database(url))) as store:
            yield from _undone(POSTGIS, store, town, postgres)


def _pages(one: Target, server: Server, town: Town, seq: int) -> Iterator[Row]:
    started = time.perf_counter()
    assert server.http.get(f"{ITEMS[one.name]}?limit=1&at=@{seq}").status_code == 200
    first = time.perf_counter() - started
    detail = f"{town.count:,} features, {town.count // SHARE:,} changed since"
    yield Row(f"{one.name}: the first page of a moment (wall)", f"{first:.2f} s", "stated", detail)
    for name, paths, times in _asked(town, one.name):
        then = [f"{path}{'&' if '?' in path else '?'}at=@{seq}" for path in paths]
        cases = [Case(one, then), Case(one, paths)]
        for case in cases:
            per_request(case, 1)
        found = turns([(case, times * len(case.paths)) for case in cases], ROUNDS)
        detail = f"{found.median(0):.0f} µs, {found.median(1):.0f} µs"
        yield at_most(f"{one.name}, {name}: `at=` to now", found.ratio(0, 1), 1.5, detail)


def _asked(town: Town, store: str) -> Iterator[tuple[str, list[str], int]]:
    """What is asked of a store, the paths, and how often in a turn."""
    often = TIMES[store]
    for question in questions(town):
        if question.name in ASKED:
            yield question.name, [ITEMS[store] + path for path in question.paths], often
    after = [f"{ITEMS[store]}?limit=100&after={fid}" for fid in town.fids(BOXES)]
    yield "a page by its cursor, limit 100", after, often
    boxes = [",".join(map(str, box)) for box in town.boxes(2000, BOXES)]
    within = [f"{ITEMS[store]}?limit=100&sortby=height&bbox={box}" for box in boxes]
    yield "≈ 2000 matches sorted by a field, limit 100", within, max(1, often // 4)
    yield "all sorted by a field, limit 100", [f"{ITEMS[store]}?limit=100&sortby=height"], 3


def _tiles(store: Store, folder: Path, town: Town, seq: int) -> Iterator[Row]:
    """Tiles that are made for the first time, each once: the columns of what is now are there."""
    derived = folder / "columns"
    shutil.rmtree(derived, ignore_errors=True)
    now = Tiles(store, derived)
    now.vector((LAYER,), *_places(town, 14)[0])
    before = time.process_time()
    then = Tiles(store.as_of(seq), now)
    then.vector((LAYER,), *_places(town, 14)[0])
    detail = "what has changed since is read from the log"
    yield Row("the first tile of a moment (CPU)", f"{time.process_time() - before:.2f} s", "stated", detail)
    version: Make = lambda tiles, at: tiles.vector_etag((LAYER,), *at)  # noqa: E731
    kinds: tuple[tuple[str, int, Make, Make], ...] = (
        ("vector tile, zoom 14", 14, lambda tiles, at: tiles.vector((LAYER,), *at), version),
        ("vector tile, zoom 16", 16, lambda tiles, at: tiles.vector((LAYER,), *at), version),
        (
            "3D node, zoom 16",
            16,
            lambda tiles, at: tiles.glb(LAYER, *at),
            lambda tiles, at: tiles.glb_etag(LAYER, *at),
        ),
    )
    for name, zoom, make, known in kinds:
        places = _places(town, zoom)
        for tiles in (now, then):
            make(tiles, places[0])
        spent: list[tuple[float, float]] = []
        for at in places[1:]:
            known(now, at)  # who asks first looks it up for both
            old, new = _cpu(make, then, at), _cpu(make, now, at)
            spent.append((old, new))
        olds, news = np.array(spent).T
        detail = f"{np.median(olds) * 1e3:.1f} ms, {np.median(news) * 1e3:.1f} ms"
        yield at_most(f"{name}, cold: then to now", float(np.median(olds / news)), 2, detail)


def _undone(name: str, store: Store, town: Town, others: tuple[int, ...] = ()) -> Iterator[Row]:
    """What a person did by single edits is taken back, and that again. ``others``: processes of a
    database, whose CPU counts."""
    pids = (os.getpid(), *others)
    begin = store.seq()
    for fid in town.fids(UNDONE):
        store.patch(LAYER, fid, {"properties": {"owner": "Anna"}}, by=Author(actor="anna"))
    until = store.seq()
    plans: tuple[tuple[str, Callable[[], UndoPlan]], ...] = (
        ("edits of a person", lambda: undo.of_actor(store, "anna", begin, until)),
        (
            "features of a change set",
            lambda: undo.of_set(store, store.change_sets(limit=1)[0].id),
        ),
    )
    for what, make in plans:
        started, spent = time.perf_counter(), usage(pids)
        plan = make()
        planned = usage(pids)
        undo.apply(store, plan, Author(actor="li"))
        took, done = time.perf_counter() - started, usage(pids)
        assert len(plan.steps) == UNDONE
        detail = f"{planned.since(spent) / 1e9:.2f} s of CPU to plan, {done.since(planned) / 1e9:.2f} s to do"
        yield at_most(f"{name}: taking back {UNDONE:,} {what} (wall)", took, 1, detail, " s")


def _cpu(
    make: Callable[[Tiles, tuple[int, int, int]], object], tiles: Tiles, at: tuple[int, int, int]
) -> float:
    before = time.process_time()
    make(tiles, at)
    return time.process_time() - before


def _places(town: Town, zoom: int) -> list[tuple[int, int, int]]:
    """Tiles all over the middle of the town."""
    edge = (town.side * 8 * STEP[0], town.side * 8 * STEP[1])
    draw = np.random.default_rng(zoom)
    lon = ORIGIN[0] + edge[0] * draw.uniform(0.1, 0.9, 4 * TILES)
    lat = ORIGIN[1] + edge[1] * draw.uniform(0.1, 0.9, 4 * TILES)
    x, y = scheme.world(lon, lat)
    found = dict.fromkeys((zoom, int(a * 2**zoom), int(b * 2**zoom)) for a, b in zip(x, y, strict=True))
    return list(found)[: TILES + 1]

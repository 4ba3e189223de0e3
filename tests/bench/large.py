"""Ten million features: the same questions as of two hundred thousand, and the server's memory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import shapely

from tests.bench import cities
from tests.bench.data import LAYER, ORIGIN, STEP, Town
from tests.bench.features import GPKG, ITEMS, Question, questions
from tests.bench.measure import Case, Connection, Target, per_request, rss_mb, turns, usage
from tests.bench.processes import one_core, target
from tests.bench.report import Row, at_most
from tests.support import COLD, Server

ROUNDS = 7
EDITS = 50
TIMES = 12
FLAT = 1.2
ASKED = (
    "items, ≈ 50 matches, limit 100",
    "items, ≈ 2000 matches, limit 100",
    "items, ≈ 2000 matches, limit 1000",
    "one item",
)


def figures(small: Town, large: Town, folder: Path) -> Iterator[Row]:
    """Serve both towns at once and let them take turns."""
    cities.town(folder / "small", small)
    yield from _load(folder / "large", large)
    yield from _add(folder / "large", large)
    with ExitStack() as stack:
        stack.enter_context(one_core())
        started = time.perf_counter()
        many = Server.start(folder / "large", prefix=COLD)
        stack.callback(many.stop)
        yield Row("start to ready (wall)", f"{time.perf_counter() - started:.2f} s", "stated")
        few = Server.start(folder / "small", prefix=COLD)
        stack.callback(few.stop)
        yield from _compare(target(GPKG, few), target(GPKG, many), small, large)
        yield from _edits(few, many, small, large)


def _load(folder: Path, town: Town) -> Iterator[Row]:
    """Load, unless an earlier run left the town there."""
    if not folder.exists():
        started = time.perf_counter()
        cities.town(folder, town)
        size = (folder / "city.gpkg").stat().st_size / 1e9
        made = f"{time.perf_counter() - started:.0f} s"
        yield Row(f"{town.count:,} features loaded (wall)", made, "stated", f"{size:.1f} GB")


def _add(folder: Path, town: Town) -> Iterator[Row]:
    """Ten buildings more: a layer of their own, and into the large one; what it costs this process."""
    from layers import load
    from layers.source import Declared
    from layers.store import geopackage

    file = folder / "ten.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [_house(i) for i in range(10)]}))
    store = geopackage.open(folder / "city.gpkg")
    try:
        for what, layer, mode, kind in (
            ("beside", "ten_more", "create", "building"),
            ("among", LAYER, "append", "feature"),
        ):
            before = time.process_time()
            load.run(store, file, Declared(kind=kind), layer_id=layer, mode=mode)
            spent = time.process_time() - before
            name = f"loading 10 buildings {what} {town.count:,} (CPU)"
            yield at_most(name, spent, 1, "without the reader's process", " s")
        store.drop("ten_more")
        for fid in range(town.count + 1, town.count + 11):
            store.delete(LAYER, fid)
    finally:
        store.close()


def _house(number: int) -> dict[str, Any]:
    west, south = ORIGIN[0] + number * STEP[0], ORIGIN[1] - STEP[1]
    shape = shapely.box(west, south, west + STEP[0] / 2, south + STEP[1] / 2)
    properties = {"name": f"New {number}", "height": 9.5, "built": "2026-01-01"}
    geometry = shapely.geometry.mapping(shape)
    return {"type": "Feature", "id": f"new{number}", "geometry": geometry, "properties": properties}


def _compare(few: Target, many: Target, small: Town, large: Town) -> Iterator[Row]:
    for first, second in zip(questions(small), questions(large), strict=True):
        if first.name in ASKED:
            cases = [_case(few, first), _case(many, second)]
            for case in cases:
                per_request(case, 1)  # every path once, so that both files are as warm as they get
            found = turns([(case, TIMES * len(case.paths)) for case in cases], ROUNDS)
            detail = f"{found.median(1):.0f} µs, {found.median(0):.0f} µs"
            name = f"{first.name}: {large.count:,} to {small.count:,}"
            yield at_most(name, found.ratio(1, 0), 1.5, detail)
    everything = [Case(one, [f"{ITEMS[GPKG]}?limit=100"]) for one in (many, few)]
    found = turns([(case, 200) for case in everything], ROUNDS)
    detail = f"{found.median(0):.0f} µs, {found.median(1):.0f} µs"
    yield Row("a page without a box, limit 100: to the same", f"{found.ratio(0, 1):.2f} ×", "stated", detail)
    less, more = rss_mb(few.pids[0]), rss_mb(many.pids[0])
    own = f"{more['anon']:.0f} MB, {less['anon']:.0f} MB"
    detail = f"{own}; mapped of files {more['file']:.0f} MB, {less['file']:.0f} MB"
    yield at_most("memory of its own after them", more["anon"] / less["anon"], FLAT, detail)


def _case(one: Target, question: Question) -> Case:
    return Case(one, [ITEMS[GPKG] + path for path in question.paths])


def _edits(few: Server, many: Server, small: Town, large: Town) -> Iterator[Row]:
    """What an edit costs with all that follows from it in the server."""
    costs = [_edit(server, town) for server, town in ((many, large), (few, small))]
    detail = f"{costs[0]:.0f} µs, {costs[1]:.0f} µs"
    yield Row(
        "an edit, and a page without a box after it: to the same",
        f"{costs[0] / costs[1]:.2f} ×",
        "stated",
        detail,
    )


def _edit(server: Server, town: Town) -> float:
    one = target(GPKG, server)
    connection = Connection(one.url)
    headers = [("authorization", f"Bearer {server.key}"), ("content-type", "application/merge-patch+json")]
    fids = town.fids(EDITS + 1)
    before = usage(one.pids)
    for number, fid in enumerate(fids):
        if number == 1:
            before = usage(one.pids)
        body = b'{"properties":{"storeys":%d}}' % (50 + number)
        status, _, told = connection.request(f"{ITEMS[GPKG]}/{fid}", headers, "PATCH", body)
        assert status == 204, told
        assert connection.request(f"{ITEMS[GPKG]}?limit=100")[0] == 200
    connection.close()
    return usage(one.pids).since(before) / EDITS / 1000

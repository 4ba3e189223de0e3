"""Columns by the size of a layer: made, opened, and patched by an edit. CPU of one process, without HTTP."""

from __future__ import annotations

import itertools
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from layers.store import geopackage
from layers.store.base import Store
from layers.store.database import Database
from layers.store.open import open_store
from tests.bench import cities, database
from tests.bench.data import LAYER, Town
from tests.bench.measure import usage
from tests.bench.report import Row, at_most
from tiles.scene import tree
from tiles.service import Tiles

EDITS = 25
#: Of the first tiles.
ZOOMS = (0, 4, 8, 10, 12, 14, 16)
#: What ten times as many features may cost.
GROWTH = 1.5


def rows(folder: Path, towns: tuple[Town, ...]) -> Iterator[Row]:
    """The figures of each town, the smallest first, and how they grow."""
    seen: list[tuple[Town, float]] = []
    for town in towns:
        place = cities.town(folder / f"columns-{town.side}", town, kind="building")
        shutil.rmtree(place / "derived", ignore_errors=True)
        store = geopackage.open(place / "city.gpkg")
        try:
            made = _spent(lambda: Tiles(store, place / "derived").prepare(LAYER))  # noqa: B023
            per = f"{made / town.count * 1e6:.1f} s a million"
            yield Row(f"columns of {town.count:,} buildings made", f"{made:.2f} s", "stated", per)
            yield from _opened(store, place, town)
            edit, detail = _edits(store, place, town, _spent)
            name = f"an edit among {town.count:,}, until its tile and its node are there"
            yield at_most(name, edit, 30, detail, " ms")
            seen.append((town, edit))
        finally:
            store.close()
    for (small, before), (large, after) in itertools.pairwise(seen):
        yield at_most(f"the same, {large.count:,} to {small.count:,}", after / before, GROWTH)


def _opened(store: Store, place: Path, town: Town) -> Iterator[Row]:
    """What a server pays that finds them, for its first tiles and its first 3D node."""
    tiles = Tiles(store, place / "derived")
    opened = _spent(lambda: tiles.prepare(LAYER))
    at, *others = _places(tiles, town)
    box = tiles._snapshot(LAYER).boxes[0]
    node = tree.node_of((box[0], box[1], box[2], box[3]))
    firsts = {
        z: _spent(lambda z=z: tiles.vector((LAYER,), z, at[1] >> 16 - z, at[2] >> 16 - z)) for z in ZOOMS
    }  # type: ignore[misc]
    firsts["a 3D node"] = _spent(lambda: tiles.glb(LAYER, *node))  # type: ignore[index]
    later = statistics.median(_spent(lambda at=at: tiles.vector((LAYER,), *at)) for at in others)  # type: ignore[misc]
    said = ", ".join(f"{name} {spent * 1000:.1f}" for name, spent in firsts.items())
    detail = f"opened in {opened:.2f} s; first of zooms {said} ms; later of zoom 16 {later * 1000:.1f} ms"
    name = f"first tile of {town.count:,} of any zoom, columns and pyramids opened for it"
    yield at_most(name, opened + max(firsts.values()), 0.3, detail, " s")


def _places(tiles: Tiles, town: Town) -> list[tuple[int, int, int]]:
    boxes = [tiles._snapshot(LAYER).feature(fid) for fid in town.fids(EDITS)]
    return [(16, int(box[0] * 2**16), int(box[1] * 2**16)) for box in boxes if box is not None]


def _edits(
    store: Store, place: Path, town: Town, spent_by: Callable[[Callable[[], object]], float]
) -> tuple[float, str]:
    """Milliseconds of an edit with all that follows, and its parts."""
    tiles = Tiles(store, place / "derived")
    tiles.prepare(LAYER)
    tiles.tileset(LAYER, "edits")
    parts: list[tuple[float, ...]] = []
    for number, fid in enumerate(town.fids(EDITS + 2)):
        box = tiles._snapshot(LAYER).feature(fid)
        assert box is not None
        node = tree.node_of((box[0], box[1], box[2], box[3]))
        tile = 16, int(box[0] * 2**16), int(box[1] * 2**16)
        since = store.seq()
        spent = (
            spent_by(lambda: store.patch(LAYER, fid, {"properties": {"storeys": number}})),  # noqa: B023
            spent_by(lambda: tiles.changed(store.changes(since))),  # noqa: B023
            spent_by(lambda: tiles.vector((LAYER,), *tile)),  # noqa: B023
            spent_by(lambda: tiles.glb(LAYER, *node)),  # noqa: B023
        )
        parts.append(tuple(one * 1000 for one in spent))
    # the first ones import what edits need
    medians = [statistics.median(each) for each in zip(*parts[2:], strict=True)]
    names = ("edit", "taken in and told", "tile", "node")
    return sum(medians), ", ".join(f"{n} {m:.1f}" for n, m in zip(names, medians, strict=True)) + " ms"


def _spent(call: Callable[[], object]) -> float:
    before = time.process_time()
    call()
    return time.process_time() - before


def of_database(folder: Path, town: Town) -> Iterator[Row]:
    """The same of a city in PostGIS; the database's CPU is in it."""
    with ExitStack() as stack:
        cluster = stack.enter_context(database.cluster())
        assert cluster.process is not None
        pid, url = cluster.process.pid, cluster.database()
        place = cities.town(folder / "columns-postgis", town, url, kind="building")
        stack.callback(shutil.rmtree, place)
        store = stack.enter_context(closing(open_store(place, Database(url))))

        def spent(call: Callable[[], object]) -> float:
            # reading what the database has spent takes this process milliseconds, which are not the call's
            before = usage((pid,))
            own = _spent(call)
            return own + usage((pid,)).since(before) / 1e9

        made = spent(lambda: Tiles(store, place / "derived").prepare(LAYER))
        said = f"{town.count:,} buildings in PostGIS"
        yield Row(f"columns of {said} made", f"{made:.2f} s", "stated", "PostgreSQL included")
        tiles = Tiles(store, place / "derived")
        opened = spent(lambda: tiles.prepare(LAYER))
        at = _places(tiles, town)[0]
        first = max(
            spent(lambda z=z: tiles.vector((LAYER,), z, at[1] >> 16 - z, at[2] >> 16 - z))  # type: ignore[misc]
            for z in ZOOMS
        )
        detail = f"opened in {opened:.2f} s"
        yield at_most(f"first tile of {said}, of any zoom", opened + first, 0.3, detail, " s")
        edit, detail = _edits(store, place, town, spent)
        yield at_most(f"an edit among {said}, until its tile and its node are there", edit, 30, detail, " ms")

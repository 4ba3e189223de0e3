"""What the history costs where it is written: bytes for each changed row of Helsinki, CPU for each edit."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg

from layers.store import geopackage
from layers.store.geopackage.connection import connect, transaction
from layers.store.history import Retention
from tests.bench import audited, cities, database
from tests.bench.report import Row, at_most
from tests.support import HELSINKI, city_at, twin

#: What is done to every row of a layer: the name of it, the layer, the assignment.
KINDS = (
    ("an attribute of an address", "addresses", "name = 'Elsewhere'"),
    ("an attribute of a building", "buildings", "name = 'Elsewhere'"),
    ("an attribute of a pipe", "pipelines", "name = 'Elsewhere'"),
    ("an attribute of a part with a body", "building_parts", "name = 'Elsewhere'"),
    ("the place of a building", "buildings", "geom = (SELECT b.geom FROM buildings b WHERE b.fid = 1)"),
)
EDITS, ROUNDS = 100, 7

type Sizes = Callable[[str], tuple[int, int]]


def figures(folder: Path) -> Iterator[Row]:
    """On a GeoPackage, and on PostGIS."""
    city = cities.helsinki(folder / "kept")
    file = folder / "kept.gpkg"
    shutil.copy(city / "city.gpkg", file)
    yield from _in_file(file)
    yield _edits(city / "city.gpkg", folder)
    yield from audited.figures(city, folder)
    with database.cluster() as cluster:
        url = cluster.database()
        twin("load", "--manifest", str(HELSINKI / "load.yml"), "--city", str(city_at(folder / "dbkept", url)))
        yield from _in_database(url)


def _in_file(file: Path) -> Iterator[Row]:
    with closing(connect(file, "rw")) as con:

        def sizes(layer: str) -> tuple[int, int]:
            stat = dict(con.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
            own = (layer, f"rtree_{layer}_", f"twin_json_{layer}", f"twin_mesh_{layer}")
            own += (f"twin_source_{layer}", f"twin_index_{layer}_")
            old = (f"twin_past_{layer}", f"twin_past@fid@{layer}", f"twin_past@until@{layer}")
            return (
                sum(size for name, size in stat.items() if name in own or name.startswith((own[1], own[-1]))),
                sum(size for name, size in stat.items() if name in old),
            )

        def change(sql: str) -> None:
            with transaction(con):
                con.execute(sql)

        yield from _rows("GeoPackage", change, sizes, lambda sql: con.execute(sql).fetchone()[0])


def _in_database(url: str) -> Iterator[Row]:
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("SET search_path = city, public")

        def sizes(layer: str) -> tuple[int, int]:
            # compact, as the file is: half empty pages are filled by what comes next
            for table in (layer, f"twin_past_{layer}"):
                con.execute(f"VACUUM FULL {table}")  # type: ignore[arg-type]
            size = "SELECT pg_total_relation_size(%s)"
            names = (layer, f"twin_mesh_{layer}", f"twin_past_{layer}")
            own, mesh, old = ((con.execute(size, (name,)).fetchone() or (0,))[0] for name in names)
            return own + mesh, old

        def one(sql: str) -> int:
            return int((con.execute(sql).fetchone() or (0,))[0])  # type: ignore[arg-type]

        def change(sql: str) -> None:
            con.execute(sql)  # type: ignore[arg-type]

        yield from _rows("PostGIS", change, sizes, one)


def _rows(
    store: str, change: Callable[[str], None], sizes: Sizes, one: Callable[[str], int]
) -> Iterator[Row]:
    rows = {layer: sizes(layer)[0] for _, layer, _ in KINDS}  # an edit takes the stored GeoJSON of a row away
    for name, layer, assignment in KINDS:
        count = one(f"SELECT count(*) FROM {layer}")
        row, before = rows[layer], sizes(layer)[1]
        change(f"UPDATE {layer} SET {assignment}")
        kept = sizes(layer)[1] - before
        detail = f"{kept / count:.0f} B of {row / count:.0f}, {count:,} rows"
        yield at_most(f"history of {name}, to the row ({store})", kept / row, 0.6, detail)


def _edits(city: Path, folder: Path) -> Row:
    """Edits of buildings one by one, in turns, of a city that keeps its history and one that does not."""
    stores = []
    for days in (None, 0.0):
        file = folder / f"kept-{days}.gpkg"
        shutil.copy(city, file)
        stores.append(geopackage.open(file, history=Retention(days)))
    try:
        spent = np.array([[_spent(store, turn) for store in stores] for turn in range(ROUNDS + 1)])[1:]
    finally:
        for store in stores:
            store.close()
    with_, without = np.median(spent, axis=0) / EDITS * 1e6
    ratio = float(np.median(spent[:, 0] / spent[:, 1]))
    return at_most(
        "an edit, to one without history (GeoPackage)", ratio, 1.3, f"{with_:.0f} µs, {without:.0f} µs"
    )


def _spent(store: geopackage.GeoPackageStore, turn: int) -> float:
    before = time.process_time()
    for fid in range(1, EDITS + 1):
        store.patch("buildings", fid, {"properties": {"name": f"{turn}"}})
    return time.process_time() - before

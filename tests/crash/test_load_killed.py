"""The loader is killed with -9 at any moment: readers see the old generation or the new one, whole."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest
import shapely

from layers.query import Query
from layers.store import geopackage
from layers.store.geopackage import GeoPackageStore
from tests import launcher
from tests.storing import count, features, load, row, spec


def check(store: GeoPackageStore, base: int) -> int:
    """One read of each kind; the generation's number."""
    rows = store.rows("buildings")
    levels = set(rows.properties["levels"])
    assert len(levels) == 1, "two generations in one answer"
    number = int(levels.pop())
    assert len(rows.fids) == count(base, number)
    page = features(store, bbox=(24, 59, 26, 62), limit=500)
    assert len({f["properties"]["levels"] for f in page}) == 1
    seen = store.items("buildings", Query(limit=1)).matched
    assert any(seen == count(base, g) for g in range(7))
    return number


class Reader(threading.Thread):
    """Reads without pause until told to stop; keeps its first failure."""

    def __init__(self, store: GeoPackageStore, base: int) -> None:
        super().__init__()
        self.store, self.base = store, base
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self.seen: set[int] = set()

    def run(self) -> None:
        try:
            while not self.stop.wait(0.03):
                self.seen.add(check(self.store, self.base))
        except BaseException as error:
            self.failure = error


def whole(path: Path) -> None:
    """The file is sound, and index and GeoJSON agree with the rows."""
    con = sqlite3.connect(path)
    assert con.execute("PRAGMA quick_check").fetchone() == ("ok",)
    rows = con.execute("SELECT fid FROM buildings ORDER BY fid").fetchall()
    assert con.execute("SELECT id FROM rtree_buildings_geom ORDER BY id").fetchall() == rows
    json_ = "SELECT fid FROM twin_json_buildings WHERE fid NOT IN (SELECT fid FROM buildings)"
    assert con.execute(json_).fetchall() == []
    wrong = con.execute(
        "SELECT count(*) FROM buildings b JOIN twin_json_buildings j USING (fid)"
        " WHERE json_extract(CAST(j.body AS TEXT), '$.properties.levels') <> b.levels"
    )
    assert wrong.fetchone() == (0,)
    names = {r[0] for r in con.execute("SELECT name FROM sqlite_master WHERE type='trigger'")}
    assert {"twin_log_buildings_update", "rtree_buildings_geom_insert"} <= names
    con.close()


def load_and_kill(path: Path, base: int, first: int, chance: random.Random) -> list[int]:
    """Kill a loader while it stages or publishes; the generations it said were published."""
    loader = launcher.start([str(path), str(base), str(first)], program="tests.crash.loader")
    lines: list[str] = []
    moment = chance.choice(["ready", "staged", "staged", "published"])
    try:
        for line in loader.stdout:
            lines.append(line.strip())
            if lines[-1] == moment or (moment == "published" and lines[-1].isdigit()):
                break
        with pytest.raises(subprocess.TimeoutExpired):
            loader.wait(chance.uniform(0.0, 0.25))
    finally:
        loader.kill()
        loader.wait(10)
        lines += loader.stdout.read().split()
        loader.stdout.close()
        assert loader.stderr.read() == ""
        loader.stderr.close()
    return [int(line) for line in lines if line.isdigit()]


@pytest.mark.parametrize(("base", "kills"), [(1500, 14), (10_500, 6)], ids=["row by row", "in bulk"])
def test_kill_the_loader(tmp_path: Path, base: int, kills: int) -> None:
    path = tmp_path / "city.gpkg"
    store = geopackage.open(path)
    first = [row(f"p{i}", shapely.Point(25 + i * 1e-5, 60), levels=0) for i in range(base)]
    load(store, spec(geometry_type="Point"), first)
    reader = Reader(store, base)
    reader.start()
    chance = random.Random(base)
    published = 0
    try:
        for kill in range(kills):
            acknowledged = load_and_kill(path, base, kill * 100 + 1, chance)
            published += len(acknowledged)
            assert store.layer("buildings").generation >= max(acknowledged, default=0)
            check(store, base)
            whole(path)
            assert reader.failure is None
    finally:
        reader.stop.set()
        reader.join(20)
        store.close()
    assert reader.failure is None
    assert published > 0
    again = geopackage.open(path)
    assert list((tmp_path / "derived" / "stage").iterdir()) == []
    assert check(again, base) >= 0
    again.close()

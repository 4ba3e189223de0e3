"""What only the GeoPackage store has: its bounds, its counts, its snapshots, its earlier format."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from layers.errors import Busy, Unavailable
from layers.query import Query
from layers.store import geopackage
from layers.store.geopackage import GeoPackageStore, read, scan, snapshot
from layers.store.geopackage import store as store_
from layers.types import Cursor, Sort
from tests.gdal_edit import edit
from tests.storing import fids, grid, load, spec
from tests.support import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "city.gpkg"


@pytest.fixture
def store(path: Path) -> Iterator[GeoPackageStore]:
    made = geopackage.open(path)
    load(made, spec(time_field="seen", key=("name",)), grid(60, seen="2024-01-02T03:04:05Z"))
    yield made
    made.close()


def released(path: Path) -> bool:
    """Whether no reader holds an earlier state of the file."""
    con = sqlite3.connect(path, isolation_level=None)
    try:
        return bool(con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    finally:
        con.close()


def test_a_scan_that_nobody_goes_on_with_gives_its_snapshot_back(
    store: GeoPackageStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "HOLD_S", 0.05)
    sort = (Sort("levels", descending=True),)
    going = store.scan("buildings", Query(limit=None, sort=sort), 7)
    seen = next(going).fids.tolist()
    store.patch("buildings", 1, {"properties": {"name": "new"}})
    until(lambda: released(path), what="the end of the snapshot")
    store.delete("buildings", 2)
    rest = list(going)
    assert seen + [fid for rows in rest for fid in rows.fids.tolist()] == list(range(60, 0, -1))
    assert rest[-1].properties["name"][-1] == "house 0"


def test_a_quick_scan_holds_a_snapshot_till_it_is_closed(store: GeoPackageStore, path: Path) -> None:
    going = store.scan("buildings", Query(limit=None), 7)
    next(going)
    store.patch("buildings", 1, {"properties": {"name": "new"}})
    assert not released(path)
    going.close()
    assert released(path)


@pytest.mark.parametrize("sort", [(), (Sort("levels", descending=True),)], ids=["by fid", "sorted"])
@pytest.mark.parametrize("bbox", [None, (25.0, 60.0, 25.085, 60.1)], ids=["all", "in a box"])
def test_a_page_that_grows_too_large_is_cut(
    store: GeoPackageStore,
    monkeypatch: pytest.MonkeyPatch,
    sort: tuple[Sort, ...],
    bbox: tuple[float, float, float, float] | None,
) -> None:
    monkeypatch.setattr(read, "PAGE_BYTES", 500)
    monkeypatch.setattr(read, "_CHUNK", 5)
    expected = list(range(1, 61)) if bbox is None else [i for i in range(1, 61) if i % 10]
    seen: list[int] = []
    columns: list[int] = []
    after: Cursor | None = None
    while True:
        query = Query(limit=1000, bbox=bbox, sort=sort, after=after)
        page, selection = store.items("buildings", query), store.select("buildings", query)
        assert page.returned <= 10
        assert page.matched == len(expected)
        found = [f["id"] for f in json.loads(b"[" + page.features + b"]")]
        assert len(found) == page.returned
        seen += found
        columns += [fid for fid in selection.rows.fids.tolist() if fid not in columns]
        after = page.next_after
        if after is None:
            break
    assert seen == (expected[::-1] if sort else expected)
    assert set(columns) <= set(seen)


def test_a_reader_goes_on_when_a_file_without_its_head_has_it_again(
    store: GeoPackageStore, path: Path
) -> None:
    """A transaction whose beginning fails is over: left open, each later read of the thread would fail."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other, path.open("r+b", buffering=0) as file:
        other.execute("CREATE TABLE of_another_program (a)")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        head = file.read(100)
        file.seek(0)
        file.write(bytes(100))
        for _ in range(2):
            with pytest.raises(Unavailable, match="is damaged"):
                fids(store)
        file.seek(0)
        file.write(head)
        other.execute("INSERT INTO of_another_program VALUES (1)")
    assert fids(store) == list(range(1, 61))


@pytest.mark.parametrize("instead", [False, True], ids=["gone", "another"])
def test_a_store_whose_log_was_taken_away_is_refused_and_whole_after_a_restart(
    store: GeoPackageStore, path: Path, instead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection of another thread would have another log than ours, and miss what lies in this one."""
    monkeypatch.setattr(snapshot, "LOOK_S", 0.0)
    store.patch("buildings", 1, {"properties": {"name": "new"}})
    log = path.with_name("city.gpkg-wal")
    if instead:
        log.with_suffix(".copy").write_bytes(log.read_bytes())
        log.with_suffix(".copy").replace(log)
    else:
        log.unlink()
    with ThreadPoolExecutor() as threads:
        for read in (fids, lambda store: threads.submit(fids, store).result()):
            with pytest.raises(Unavailable, match=r"city\.gpkg-wal was taken away .* restart"):
                read(store)
    with pytest.raises(Unavailable, match="was taken away"):
        store.patch("buildings", 1, {"properties": {"name": "newer"}})
    store.close()
    with closing(geopackage.open(path)) as again:
        assert json.loads(again.item("buildings", 1).body)["properties"]["name"] == "new"
        assert fids(again) == list(range(1, 61))


def test_a_store_of_another_format_is_refused(store: GeoPackageStore, path: Path) -> None:
    store.close()
    edit(path, "sql", "UPDATE twin_meta SET value='1' WHERE key='format'")
    before = path.read_bytes()
    for read_only in (True, False):
        with pytest.raises(Unavailable, match="has store format 1, this version reads"):
            geopackage.open(path, read_only=read_only)
    assert path.read_bytes() == before


def test_counts_follow_other_programs(store: GeoPackageStore, path: Path) -> None:
    edit(path, "sql", "DELETE FROM buildings WHERE fid > 50")
    edit(path, "sql", "UPDATE buildings SET geom = NULL WHERE fid < 4")
    edit(path, "sql", "UPDATE buildings SET fid = 1000 WHERE fid = 3")
    assert store.layer("buildings").count == 50
    assert fids(store, bbox=(0, 0, 1, 1)) == [1, 2, 1000]
    edit(path, "sql", "DROP TRIGGER twin_log_buildings_delete")
    edit(path, "sql", "DELETE FROM buildings WHERE fid < 11")
    assert fids(store, bbox=(0, 0, 1, 1)) == [1000]
    assert store.layer("buildings").count == 41  # counted anew when the trigger was found missing


def test_another_program_must_drop_the_index_before_its_column(store: GeoPackageStore, path: Path) -> None:
    with pytest.raises(AssertionError, match="twin_index_buildings_seen"):
        edit(path, "sql", "ALTER TABLE buildings DROP COLUMN seen")
    assert fids(store, datetime=("2025-01-01T00:00:00.000Z", None)) == []
    edit(path, "sql", "DROP INDEX twin_index_buildings_seen")
    edit(path, "sql", "ALTER TABLE buildings DROP COLUMN seen")
    assert store.layer("buildings").field("seen") is None
    assert len(fids(store, datetime=("2025-01-01T00:00:00.000Z", None))) == 60


def test_a_new_generation_may_drop_an_indexed_column(store: GeoPackageStore) -> None:
    fields = tuple(f for f in spec().fields if f.name not in ("seen", "name"))
    rows = [{k: v for k, v in r.items() if k not in ("seen", "name")} for r in grid(60)]
    load(store, spec(fields=fields, time_field="built", key=("levels",)), rows)
    assert len(fids(store, datetime=("2025-01-01T00:00:00.000Z", None))) == 60  # none has a time
    assert fids(store, equals=(("levels", 7),)) == [8]


def test_an_edit_does_not_wait_for_ever(store: GeoPackageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_, "WRITE_WAIT_S", 0.05)
    held, done = threading.Event(), threading.Event()

    class Slow(dict[str, object]):
        """A body that takes its time to be read."""

        def __contains__(self, name: object) -> bool:
            held.set()
            assert done.wait(20)
            return super().__contains__(name)

    slow = threading.Thread(target=lambda: store.patch("buildings", 1, Slow(properties={"listed": True})))
    slow.start()
    try:
        assert held.wait(20)
        with pytest.raises(Busy):
            store.patch("buildings", 2, {"properties": {"levels": 1}})
        assert len(fids(store)) == 60
    finally:
        done.set()
        slow.join(20)
    store.patch("buildings", 2, {"properties": {"levels": 1}})

"""The columns of a layer are made once, by whoever is first, and are there before anybody asks."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layers.errors import Busy, NotFound
from layers.model import Rows
from layers.store import cancellation, geopackage
from layers.store.base import Store
from tests.unit.tiles.conftest import put, square
from tiles import columnfile, making
from tiles.layer_columns import LayerColumns
from tiles.snapshots import Columns, SpatialIndex


def houses(store: Store, count: int = 30, mode: str = "create") -> None:
    """Squares along a street."""
    shapes = [square(24.94 + i * 0.0006, 60.17) for i in range(count)]
    put(store, "houses", "building", shapes, {"height_m": [float(i) for i in range(count)]}, mode=mode)


def shown(columns: Columns) -> list[float]:
    return columns.snapshot().numbers("height_m").tolist()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "columns" / "houses.cols"


def test_what_a_load_made_is_opened_by_a_server_that_had_older_columns(store: Store, file: Path) -> None:
    houses(store)
    server = LayerColumns(store, file.parent)
    server.freshness.update()
    server.prepare("houses")
    houses(store, 40, mode="replace")
    assert Columns(store, "houses", file).snapshot() is not None  # the load's own
    server.freshness.update()
    assert server.behind() == ["houses"]
    assert len(server.snapshot("houses").fids) == 40
    assert server._columns["houses"].builds == 1
    assert server.behind() == []


def test_who_asks_meanwhile_waits_for_the_one_that_is_making_them(store: Store, file: Path) -> None:
    houses(store)
    loader, server = Columns(store, "houses", file), Columns(store, "houses", file)
    reading, go = threading.Event(), threading.Event()
    whole = store.scan

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def scan(self, *args: Any) -> Iterator[Rows]:
            reading.set()
            assert go.wait(10)
            yield from whole(*args)

    loader._store = Slow()
    threads = [threading.Thread(target=loader.snapshot)]
    threads[0].start()
    assert reading.wait(10)
    threads += [threading.Thread(target=server.snapshot) for _ in range(3)]
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert (loader.builds, server.builds) == (1, 0)
    assert shown(server) == shown(loader)


def hold(file: Path, held: Any) -> None:
    with making.alone(file):
        (file.parent / f".{file.name}.abc.part").write_bytes(b"half of it")
        held.set()
        threading.Event().wait()


def test_a_maker_that_is_killed_keeps_nobody_waiting_and_leaves_nothing(store: Store, file: Path) -> None:
    houses(store)
    held = multiprocessing.get_context("spawn").Event()
    maker = multiprocessing.get_context("spawn").Process(target=hold, args=(file, held))
    maker.start()
    assert held.wait(60)
    maker.kill()
    maker.join(10)
    columns = Columns(store, "houses", file)
    assert len(shown(columns)) == 30
    assert sorted(path.name for path in file.parent.iterdir()) == [".houses.cols.lock", "houses.cols"]


def test_a_full_disk_leaves_the_old_file_and_is_told_once(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    houses(store)
    columns = Columns(store, "houses", file)
    columns.snapshot()
    before = file.read_bytes()
    write = columnfile.write

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(columnfile, "write", full)
    for count in (31, 32):
        houses(store, count, mode="replace")
        columns.mark(store.changes(0))
        assert len(shown(columns)) == count
    assert file.read_bytes() == before
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in told] == [
        "the columns of layer houses stay in memory: No space left on device"
    ]
    assert columns.problem == "No space left on device"
    monkeypatch.setattr(columnfile, "write", write)
    houses(store, 33, mode="replace")
    columns.mark(store.changes(0))
    assert len(shown(columns)) == 33
    assert columns.problem is None
    assert file.read_bytes() != before
    # another program that loads finds room again before this one does
    monkeypatch.setattr(columnfile, "write", full)
    houses(store, 34, mode="replace")
    columns.mark(store.changes(0))
    assert len(shown(columns)) == 34
    assert columns.problem is not None
    monkeypatch.setattr(columnfile, "write", write)
    houses(store, 35, mode="replace")
    Columns(store, "houses", file).snapshot()
    columns.mark(store.changes(0))
    assert len(shown(columns)) == 35
    assert columns.problem is None


def test_a_layer_that_is_dropped_or_loaded_while_they_are_made(store: Store, file: Path) -> None:
    houses(store)
    server = LayerColumns(store, file.parent)
    server.freshness.update()
    columns = server._of("houses")
    real = store.scan

    class Moving:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def scan(self, *args: Any) -> Iterator[Rows]:
            rows = list(real(*args))
            houses(store, 35, mode="replace")
            yield from rows

    columns._store = Moving()
    columns.snapshot()
    columns._store = store
    server.freshness.update()
    # the file is of a generation that is over by now: nobody takes it for the new one
    assert len(shown(columns)) == len(shown(Columns(store, "houses", file))) == 35
    store.drop("houses")
    server.freshness.update()
    assert server.behind() == []
    assert not file.exists()
    with pytest.raises(NotFound):
        server.snapshot("houses")


def test_a_server_that_stops_does_not_wait_for_them(store: Store, file: Path) -> None:
    houses(store)
    stop = threading.Event()
    stop.set()
    columns = Columns(store, "houses", file)
    with cancellation.stoppable(stop), pytest.raises(Busy):
        columns.snapshot()
    assert not file.exists()
    assert len(shown(columns)) == 30


def test_the_index_of_the_file_is_that_of_the_boxes(store: Store, file: Path) -> None:
    houses(store, 700)
    Columns(store, "houses", file).snapshot()
    kept = Columns(store, "houses", file).snapshot()
    fresh = SpatialIndex(kept.base.boxes)
    assert kept.index.arrays.keys() == fresh.arrays.keys()
    for name, array in fresh.arrays.items():
        np.testing.assert_array_equal(array, kept.index.arrays[name])


@pytest.mark.parametrize(("change", "count"), [("none", 16), ("delete", 15), ("add", 17)])
def test_what_is_found_in_a_box_is_what_a_window_copies(
    store: Store, file: Path, change: str, count: int
) -> None:
    houses(store)
    server = LayerColumns(store, file.parent)
    server.freshness.update()
    first = server.snapshot("houses")
    boxes = first.boxes[5:21]
    box = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
    if change == "delete":
        store.delete("houses", int(first.fids[10]))
    elif change == "add":
        put(store, "houses", "building", [square(24.9462, 60.17)], {"height_m": [5.0]}, mode="append")
    server.freshness.update()
    snapshot = server.snapshot("houses")
    batch, rows = snapshot.found(box)
    window = snapshot.window(box)
    assert batch.fids[rows].tolist() == window.fids.tolist()
    assert len(rows) == count
    # nothing is copied where nothing was written
    assert (batch is snapshot.base) == (change != "add")


def copied(to: Path) -> Store:
    """A copy of the store's file, opened as by somebody who restores it."""
    with closing(sqlite3.connect(to.parent / "city.gpkg")) as con, closing(sqlite3.connect(to)) as target:
        con.backup(target)
    return geopackage.open(to)


def test_columns_are_those_of_a_copy_that_has_their_history(store: Store, file: Path, tmp_path: Path) -> None:
    houses(store)
    Columns(store, "houses", file).snapshot()
    store.patch("houses", 3, {"properties": {"height_m": 50.0}})
    with closing(copied(tmp_path / "copy.gpkg")) as copy:
        assert copy.epoch != store.epoch
        columns = Columns(copy, "houses", file)
        assert sorted(shown(columns))[-1] == 50.0
        assert (len(shown(columns)), columns.builds) == (30, 0)
        copy.patch("houses", 4, {"properties": {"height_m": 60.0}})
        again = Columns(copy, "houses", file)
        assert sorted(shown(again))[-2:] == [50.0, 60.0]
        again.compact()
        # the file is the copy's now, and of a row that the first has not got
        first = Columns(store, "houses", file)
        assert sorted(shown(first))[-2:] == [29.0, 50.0]
        assert (again.builds, first.builds) == (0, 1)


@pytest.mark.parametrize("edits", [1, 2, 3])
def test_columns_of_another_history_are_not_opened(
    store: Store, file: Path, tmp_path: Path, edits: int
) -> None:
    """Its numbers are fewer, the same, or more."""
    houses(store)
    with closing(copied(tmp_path / "copy.gpkg")) as copy:
        for _ in range(2):
            store.patch("houses", 3, {"properties": {"height_m": 50.0}})
        Columns(store, "houses", file).snapshot()
        for _ in range(edits):
            copy.patch("houses", 4, {"properties": {"height_m": 60.0}})
        columns = Columns(copy, "houses", file)
        assert sorted(shown(columns))[-2:] == [29.0, 60.0]
        assert columns.builds == 1

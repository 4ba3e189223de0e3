"""What is older than it is to be kept goes in small steps, and is told as gone, never as something else."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest

from layers.batch import MESH
from layers.errors import Gone, NotFound
from layers.mesh import Mesh
from layers.store import geopackage
from layers.store.base import FormSpec
from layers.store.geopackage import GeoPackageStore, keeping, pruning, textures
from layers.store.history import Retention
from layers.textures import Texture
from tests.storing import features, grid, load, one, row, spec, square
from tests.support import until
from tests.textured import box, image, textured

KEPT = Retention(90, {"other": None})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "city.gpkg"


@pytest.fixture
def store(path: Path) -> Iterator[GeoPackageStore]:
    """Two layers, one kept for ever; both with changes 2000 days, 100 days and no time ago."""
    made = geopackage.open(path, history=KEPT)
    load(made, spec(), grid(20))
    load(made, spec("other"), grid(2))
    for name in ("first", "second"):
        made.patch("buildings", 1, {"properties": {"name": name}})
        made.patch("other", 1, {"properties": {"name": name}})
    aged(path, 2000)
    for fid in range(1, 21):
        made.patch("buildings", fid, {"properties": {"name": "third"}})
    aged(path, 100)
    made.patch("buildings", 2, {"properties": {"name": "fourth"}})
    made.patch("other", 1, {"properties": {"name": "fourth"}})
    yield made
    made.close()


def aged(path: Path, days: int) -> None:
    """As if what was done since the last call had been so many days ago."""
    then = pruning.instants.utc(pruning.now() - timedelta(days=days))
    with closing(sqlite3.connect(path)) as con:
        con.execute("UPDATE twin_sets SET at = ? WHERE at > '2026-01-01' AND at > ?", (then, then))
        con.execute("UPDATE twin_kept SET at = '2000-01-01T00:00:00.000Z' WHERE why = 'began'")
        con.commit()


def old(path: Path, layer: str = "buildings") -> int:
    with closing(sqlite3.connect(path)) as con:
        return int(con.execute(f"SELECT count(*) FROM twin_past_{layer}").fetchone()[0])


def test_what_is_too_old_goes_step_by_step(
    store: GeoPackageStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "STEP", 4)
    rows = old(path)
    assert rows == 23
    steps = 0
    while store.prune_history():
        steps += 1
        assert rows - 4 <= old(path) <= rows
        rows = old(path)
        with pytest.raises(Gone):  # from the first step on: a part of it would be an untruth
            features(store.as_of(3))  # type: ignore[arg-type]
    assert steps >= 6
    assert rows == 1
    assert old(path, "other") == 3
    horizon = store.kept("buildings").seq
    assert [f["properties"]["name"] for f in features(store.as_of(horizon))] == ["third"] * 20  # type: ignore[arg-type]
    assert one(store.as_of(3), 1, "other")["properties"]["name"] == "house 0"  # type: ignore[arg-type]
    assert store.kept().seq == store.kept("other").seq == 0
    assert [v.there for v in store.versions("buildings", 2)] == [True, True]
    assert store.versions("buildings", 2)[1].set is None
    assert store.versions("buildings", 2)[1].since == horizon
    assert not store.prune_history()


def test_a_layer_that_was_dropped_is_forgotten_in_time(store: GeoPackageStore, path: Path) -> None:
    store.drop("other")
    assert old(path, "other") == 5
    store.drop("buildings")
    load(store, spec("third"), grid(1))
    aged(path, 91)
    while store.prune_history():
        pass
    assert old(path, "other") == 5
    with closing(sqlite3.connect(path)) as con:
        assert con.execute("SELECT 1 FROM sqlite_master WHERE name='twin_past_buildings'").fetchall() == []
    with pytest.raises(NotFound):
        store.as_of(store.seq()).layer("buildings")
    assert features(store.as_of(4), "other")  # type: ignore[arg-type]


def test_it_is_done_in_the_background(
    path: Path, store: GeoPackageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    monkeypatch.setattr(pruning, "EVERY_S", 0.01)
    with closing(geopackage.open(path, history=KEPT)) as again:
        until(lambda: old(path) == 1, what="the pruning")
        again.patch("buildings", 2, {"properties": {"name": "fifth"}})
        assert again._pruner.is_alive()
    assert not again._pruner.is_alive()
    with closing(geopackage.open(path)) as asked:  # without settings nothing goes by itself
        assert not asked._pruner.is_alive()


def test_a_step_that_fails_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pruning, "EVERY_S", 0.001)
    done: list[int] = []

    def once() -> bool:
        done.append(1)
        if len(done) == 1:
            raise sqlite3.OperationalError("no such table: twin_sets")
        return False

    pruner = pruning.Pruner(once)
    pruner.start()
    until(lambda: len(done) > 1, what="the second step")
    pruner.stop()
    assert "no such table" in caplog.text


def test_a_city_is_closed_in_the_middle_of_a_look_for_images(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Texture.of(image(), "image/png")
    body = textured(box(25, 60), shown.sha).to_bytes()
    with closing(geopackage.open(path)) as store:
        rows = [row(f"h{n}", square(25, 60), **{MESH: body}) for n in range(200)]
        load(store, spec(), rows, textures=[shown])
    read: list[bytes] = []

    class Slow(Mesh):
        @classmethod
        def from_bytes(cls, blob: bytes) -> Self:
            read.append(blob)
            time.sleep(0.02)
            return super().from_bytes(blob)

    monkeypatch.setattr(textures, "Mesh", Slow)
    monkeypatch.setattr(pruning, "EVERY_S", 0.01)
    monkeypatch.setattr(pruning, "AGAIN_S", 0.01)
    with closing(geopackage.open(path, history=KEPT)):
        until(lambda: len(read) > 2, what="the look for images")
    assert len(read) < 100
    with closing(geopackage.open(path)) as again:
        assert again.texture("buildings", shown.sha) == shown


def test_other_days_are_noted_when_nobody_writes(
    path: Path, store: GeoPackageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    monkeypatch.setattr("layers.store.geopackage.store.REPAIR_WAIT_S", 0.01)
    wanted = Retention(30)
    with closing(sqlite3.connect(path, isolation_level=None)) as loading:
        loading.execute("BEGIN IMMEDIATE")
        again = geopackage.open(path, history=wanted)
        assert features(again)
        loading.execute("ROLLBACK")
    assert again.prune_history()
    assert again._writer is not None
    assert keeping.retention(again._writer) == wanted
    again.close()


def test_records_of_layers_of_other_forms_go_and_sets_stay(path: Path, store: GeoPackageStore) -> None:
    first = store.seq() + 1
    store.record(FormSpec("ortho", "coverage", "raster", {"en": "First"}, "EPSG:3857"))
    store.record(FormSpec("ortho", "coverage", "raster", {"en": "Second"}, "EPSG:3857"))
    with closing(sqlite3.connect(path)) as con:
        con.execute("UPDATE twin_sets SET at = '2020-01-01T00:00:00.000Z'")
        con.execute("UPDATE twin_kept SET at = '2000-01-01T00:00:00.000Z' WHERE why = 'began'")
        con.commit()
    known = store.change_sets()
    assert store.as_of(first).layer("ortho").title == {"en": "First"}
    while store.prune_history():
        pass
    assert store.change_sets() == known
    with closing(sqlite3.connect(path)) as con:
        assert con.execute("SELECT 1 FROM twin_records WHERE layer = 'ortho'").fetchall() == []
    with pytest.raises(Gone, match="ortho is not known as it was then"):
        store.as_of(first).layer("ortho")
    assert "ortho" not in [layer.id for layer in store.as_of(first).layers()]
    assert store.as_of(store.seq()).layer("ortho").title == {"en": "Second"}


def test_a_copy_keeps_its_history_and_says_where_it_began_anew(
    store: GeoPackageStore, path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy" / "city.gpkg"
    copy.parent.mkdir()
    with closing(sqlite3.connect(path)) as con, closing(sqlite3.connect(copy)) as other:
        con.backup(other)
    with closing(geopackage.open(copy)) as restored:
        assert restored.epoch != store.epoch
        assert one(restored.as_of(3), 1)["properties"]["name"] == "first"  # type: ignore[arg-type]
        assert restored.change_sets() == store.change_sets()
        with closing(sqlite3.connect(copy)) as con:
            epochs = dict(con.execute("SELECT epoch, seq FROM twin_epochs").fetchall())
        assert epochs == {store.epoch: 0, restored.epoch: store.seq()}

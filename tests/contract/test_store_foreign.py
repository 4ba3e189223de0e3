"""Other programs edit the GeoPackage: GDAL, in a process of its own, while we look and while we do not."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely

from layers import query
from layers.batch import MESH
from layers.errors import NotFound, Unavailable, Unreadable
from layers.query import Query
from layers.store import geopackage
from layers.store.geopackage import GeoPackageStore
from tests.gdal_edit import edit
from tests.storing import features, fids, grid, load, one, row, spec, square, tetrahedron
from tests.support import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of ten squares and a second layer of two, closed."""
    rows = grid(10)
    rows[4][MESH] = tetrahedron(25.04, 60).to_bytes()
    rows[5][MESH] = tetrahedron(25.05, 60).to_bytes()
    store = geopackage.open(tmp_path / "city.gpkg")
    load(store, spec(), rows)
    load(store, spec("other"), grid(2))
    features(store)
    store.close()
    return tmp_path / "city.gpkg"


@pytest.fixture(params=["running", "down"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Any]:
    """Calls an edit, then gives the store: open all the time, or opened after the edit."""
    kept: list[GeoPackageStore] = [geopackage.open(path)] if request.param == "running" else []

    def edited(*arguments: object) -> GeoPackageStore:
        if kept and request.param == "running":
            features(kept[0])
        edit(path, *arguments)
        if request.param == "down":
            for store in kept:
                store.close()
            kept[:] = [geopackage.open(path)]
        return kept[0]

    yield edited
    for made in kept:
        made.close()


def shape(lon: float, lat: float) -> str:
    return str(shapely.to_geojson(square(lon, lat)))


def test_gdal_lists_our_layers_and_no_table_of_ours(path: Path) -> None:
    assert edit(path, "layers").splitlines() == ["buildings 10", "other 2", "twin_about 1"]


@pytest.mark.parametrize(
    ("op", "wanted"),
    [("INTERSECTS", [1, 2]), ("WITHIN", [1, 2]), ("OVERLAPS", []), ("DISJOINT", [4, 5, 6, 7, 8, 9, 10])],
)
def test_a_curve_has_no_relation_that_only_its_shape_tells(store: Any, op: str, wanted: list[int]) -> None:
    arc = "CURVEPOLYGON (CIRCULARSTRING (25.02 60, 25.025 60.005, 25.03 60, 25.025 59.995, 25.02 60))"
    done = store("bend", "buildings", 3, arc)
    text = f"S_{op}(geometry, POLYGON((25 59.9, 25.025 59.9, 25.025 60.1, 25 60.1, 25 59.9)))"
    found = query.parse(done.layer("buildings"), [("filter", text), ("limit", "100")])
    assert fids(done, filter=found.filter) == wanted


def test_attribute(store: Any, path: Path) -> None:
    done = store("set", "buildings", 5, "name", "by GDAL")
    assert one(done, 5)["properties"]["name"] == "by GDAL"
    change = done.changes(2)
    assert [(c.layer, c.fid) for c in change] == [("buildings", 5)]
    assert change[0].old == change[0].new == pytest.approx((25.04, 60, 25.041, 60.001))
    assert done.revision("buildings", 5) == done.seq() == 3
    assert sorted(done.rows("buildings", meshes=True).meshes) == [5, 6]  # the geometry is byte-equal


def test_geometry(store: Any) -> None:
    done = store("move", "buildings", 5, shape(20, 50))
    assert fids(done, bbox=(20, 50, 20.1, 50.1)) == [5]
    assert fids(done, bbox=(25.04, 60, 25.041, 60.001)) == []
    change = done.changes(2)[0]
    assert (change.old, change.new) == (
        pytest.approx((25.04, 60, 25.041, 60.001)),
        pytest.approx((20, 50, 20.001, 50.001)),
    )
    assert list(done.rows("buildings", meshes=True).meshes) == [6]


def test_insert_and_delete(store: Any) -> None:
    done = store("insert", "buildings", shape(20, 50))
    assert done.layer("buildings").count == 11
    assert one(done, 11)["properties"]["name"] is None
    assert (done.changes(2)[0].fid, done.changes(2)[0].old) == (11, None)
    done = store("delete", "buildings", 6)
    assert done.layer("buildings").count == 10
    with pytest.raises(NotFound):
        done.item("buildings", 6)
    assert fids(done, bbox=(25.05, 60, 25.051, 60.001)) == []
    assert (done.changes(3)[0].fid, done.changes(3)[0].new) == (6, None)
    assert list(done.rows("buildings", meshes=True).meshes) == [5]


def test_sql(store: Any) -> None:
    done = store("sql", "UPDATE buildings SET levels = levels + 100 WHERE fid > 7")
    assert [f["properties"]["levels"] for f in features(done)][6:] == [6, 107, 108, 109]
    assert [c.fid for c in done.changes(2)] == [8, 9, 10]


def test_a_changed_fid_is_a_removal_and_a_creation(store: Any) -> None:
    done = store("sql", "UPDATE buildings SET fid = 500 WHERE fid = 5")
    assert [(c.fid, c.old is None, c.new is None) for c in done.changes(2)] == [
        (5, False, True),
        (500, True, False),
    ]
    assert one(done, 500)["id"] == 500
    assert fids(done, bbox=(25.04, 60, 25.041, 60.001)) == [500]
    assert list(done.rows("buildings", meshes=True).meshes) == [6]


def test_new_column_appears(store: Any) -> None:
    done = store("column", "buildings", "note")
    layer = done.layer("buildings")
    assert layer.fields[-1].name == "note"
    assert layer.fields[1].title["zh-CN"] == "名称"
    assert all(f["properties"]["note"] is None for f in features(done))
    assert [c.fid for c in done.changes(2)] == [None]


def test_overwrite(store: Any, path: Path, tmp_path: Path) -> None:
    source = tmp_path / "new.geojson"
    source.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {
                        "type": "Feature",
                        "geometry": json.loads(shape(30, 40)),
                        "properties": {"name": "n", "x": 1},
                    }
                ],
            }
        )
    )
    done = store("translate", source, "-overwrite", "-nln", "buildings", "-update")
    found = features(done)
    assert [(f["id"], f["properties"]) for f in found] == [(1, {"name": "n", "source_id": None, "x": 1})]
    assert [(c.layer, c.fid) for c in done.changes(2)] == [("buildings", None)]
    assert done.revision("buildings", 1) == 3
    assert done.layer("buildings").kind == "building"
    assert done.rows("buildings", meshes=True).meshes == {}
    assert fids(done, "other") == [1, 2]
    done.patch("buildings", 1, {"properties": {"name": "by us"}})  # the triggers are back
    assert [c.fid for c in done.changes(3)] == [1]
    edit(path, "set", "buildings", 1, "name", "by GDAL")
    assert one(done, 1)["properties"]["name"] == "by GDAL"
    assert done.seq() == 5


def test_append(store: Any, path: Path, tmp_path: Path) -> None:
    source = tmp_path / "more.geojson"
    feature = {"type": "Feature", "geometry": json.loads(shape(30, 40)), "properties": {"name": "more"}}
    source.write_text(json.dumps({"type": "FeatureCollection", "features": [feature] * 3}))
    done = store("translate", source, "-append", "-nln", "buildings", "-update")
    assert fids(done, equals=(("name", "more"),)) == [11, 12, 13]
    assert [c.fid for c in done.changes(2)] == [11, 12, 13]


def test_dropped_behind_our_back(store: Any) -> None:
    done = store("drop", "buildings")
    with pytest.raises(NotFound, match="another program"):
        done.items("buildings", Query())
    assert [layer.id for layer in done.layers()] == ["other"]
    assert fids(done, "other") == [1, 2]
    assert [(c.layer, c.fid) for c in done.changes(2)] == [("buildings", None)]
    load(done, spec(), grid(2))
    assert done.layer("buildings").generation == 2
    assert len(features(done)) == 2


def test_a_table_of_another_program_is_ignored(store: Any, tmp_path: Path) -> None:
    source = tmp_path / "new.geojson"
    feature = {"type": "Feature", "geometry": json.loads(shape(30, 40)), "properties": {}}
    source.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    done = store("translate", source, "-nln", "sketch", "-update")
    assert [layer.id for layer in done.layers()] == ["buildings", "other"]
    assert done.seq() == 2


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM gpkg_geometry_columns WHERE table_name='buildings'",
        "DROP TABLE rtree_buildings_geom",
        "UPDATE gpkg_geometry_columns SET srs_id=3879 WHERE table_name='buildings'",
        "ALTER TABLE buildings RENAME COLUMN geom TO shape",
    ],
)
def test_half_replaced_layer_is_an_error_of_that_layer_only(path: Path, damage: str) -> None:
    store = geopackage.open(path)
    with sqlite3.connect(path) as con:
        con.execute(damage)
    con.close()
    with pytest.raises(Unavailable, match="buildings"):
        store.items("buildings", Query())
    with pytest.raises(Unavailable):
        store.layer("buildings")
    assert [layer.id for layer in store.layers()] == ["other"]
    assert fids(store, "other") == [1, 2]
    assert load(store, spec(), grid(4)).created == 4
    assert len(features(store)) == 4
    assert store.seq() >= 4
    store.close()


def test_wal_is_back_after_another_program_took_it(path: Path) -> None:
    con = sqlite3.connect(path)
    assert con.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    con.close()
    geopackage.open(path).close()
    con = sqlite3.connect(path)
    assert con.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    con.close()


def test_a_restored_copy_has_a_new_epoch(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gpkg"
    shutil.copy(path, copy)
    store = geopackage.open(path)
    before = store.epoch, store.seq()
    store.patch("buildings", 1, {"properties": {"name": "lost"}})
    assert store.epoch == before[0]
    store.close()
    store = geopackage.open(path)
    assert store.epoch == before[0]
    store.close()
    shutil.copy(copy, path)  # the same inode, an older state
    store = geopackage.open(path)
    assert store.epoch != before[0]
    assert store.seq() == before[1]
    assert one(store, 1)["properties"]["name"] == "house 0"
    store.close()


def test_a_restored_copy_that_went_on_has_a_new_epoch(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gpkg"
    shutil.copy(path, copy)
    store = geopackage.open(path)
    store.patch("buildings", 1, {"properties": {"name": "lost"}})
    known = store.epoch, store.seq()
    store.close()
    edit(copy, "set", "buildings", 1, "name", "other history")
    shutil.copy(copy, path)
    store = geopackage.open(path)
    assert store.seq() == known[1]
    assert store.epoch != known[0]
    store.close()


def test_a_restored_folder_has_a_new_epoch(path: Path, tmp_path: Path) -> None:
    store = geopackage.open(path)
    known = store.epoch
    store.close()
    shutil.copytree(path.parent / "derived", tmp_path / "saved" / "derived")
    shutil.copy(path, tmp_path / "saved" / "city.gpkg")
    store = geopackage.open(tmp_path / "saved" / "city.gpkg")
    assert store.epoch != known
    store.close()


def test_a_lost_mark_means_a_new_epoch(path: Path) -> None:
    store = geopackage.open(path)
    known = store.epoch
    store.close()
    (path.parent / "derived" / "city.mark").write_text("{")
    store = geopackage.open(path)
    assert store.epoch != known
    store.close()


def test_an_edit_while_down_keeps_the_epoch(path: Path) -> None:
    store = geopackage.open(path)
    known = store.epoch
    store.close()
    edit(path, "set", "buildings", 1, "name", "while down")
    store = geopackage.open(path)
    assert (store.epoch, store.seq()) == (known, 3)
    store.close()


def test_a_file_replaced_under_an_open_store_is_refused(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gpkg"
    shutil.copy(path, copy)
    store = geopackage.open(path)
    os.replace(copy, path)
    for call in (store.seq, store.layers, lambda: store.item("buildings", 1)):
        with pytest.raises(Unavailable, match="replaced"):
            call()
    store.close()


def test_a_closed_store_says_so(path: Path) -> None:
    store = geopackage.open(path)
    store.close()
    for call in (store.seq, store.layers, lambda: store.patch("buildings", 1, {"properties": {}})):
        with pytest.raises(Unavailable, match="closed"):
            call()
    store.close()


def test_made_json_is_kept(path: Path) -> None:
    store = geopackage.open(path)
    edit(path, "sql", "UPDATE buildings SET name = 'x'")
    con = sqlite3.connect(path)
    count = "SELECT count(*) FROM twin_json_buildings"
    assert con.execute(count).fetchone() == (0,)
    features(store, limit=4)
    assert con.execute(count).fetchone() == (4,)
    assert {f["properties"]["name"] for f in features(store)} == {"x"}
    assert con.execute(count).fetchone() == (10,)
    con.close()
    store.close()


def test_reading_goes_on_while_another_program_holds_the_write_lock(path: Path) -> None:
    store = geopackage.open(path)
    edit(path, "set", "buildings", 1, "name", "new")
    con = sqlite3.connect(path, isolation_level=None)
    con.execute("BEGIN IMMEDIATE")
    assert one(store, 1)["properties"]["name"] == "new"  # made, not kept
    assert len(features(store)) == 10
    con.execute("ROLLBACK")
    con.close()
    store.close()


def test_values_that_do_not_fit_their_column_are_shown(path: Path) -> None:
    edit(
        path, "sql", "UPDATE buildings SET levels = 'many', height_m = x'00ff', name = CAST(x'ff41' AS TEXT)"
    )
    store = geopackage.open(path)
    assert one(store, 1)["properties"]["levels"] == "many"
    assert one(store, 1)["properties"]["name"] == "\ufffdA"
    assert len(store.rows("buildings").fids) == 10
    store.close()


def test_broken_geometry_blob_does_not_break_the_layer(path: Path) -> None:
    edit(path, "sql", "UPDATE buildings SET geom = x'00112233' WHERE fid = 3")
    store = geopackage.open(path)
    assert {f["id"] for f in features(store) if f["geometry"] is None} == {3}
    with pytest.raises(Unreadable, match=r"feature 3 of layer buildings .* no GeoPackage geometry"):
        one(store, 3)
    assert 3 not in store.rows("buildings").fids
    assert set(fids(store, bbox=(25, 60, 26, 61))) >= {1, 2, 4, 5, 6, 7, 8, 9, 10}
    store.patch("buildings", 3, {"geometry": json.loads(shape(25, 60))})
    assert 3 in store.rows("buildings").fids
    store.close()


def test_a_folder_that_cannot_be_written(path: Path) -> None:
    store = geopackage.open(path)
    known = store.epoch, store.seq(), features(store)
    store.close()
    os.chmod(path, 0o444)
    os.chmod(path.parent, 0o555)
    try:
        frozen = geopackage.open(path, read_only=True)
        assert (frozen.epoch, frozen.seq(), features(frozen)) == known
        assert frozen.read_only
        for write in (
            lambda: frozen.patch("buildings", 1, {"properties": {}}),
            lambda: frozen.stage(spec()),
            lambda: frozen.drop("buildings"),
            lambda: frozen.save_report("buildings", {}),
        ):
            with pytest.raises(Unavailable, match="cannot be written"):
                write()
        frozen.close()
    finally:
        os.chmod(path.parent, 0o755)


def test_read_only_after_a_foreign_overwrite_serves_rows_not_old_json(path: Path) -> None:
    edit(path, "sql", "DROP TRIGGER twin_log_buildings_update")
    edit(path, "sql", "UPDATE buildings SET name = 'unseen'")
    store = geopackage.open(path, read_only=True)
    assert {f["properties"]["name"] for f in features(store)} == {"unseen"}
    store.close()


@pytest.mark.parametrize("content", [b"", b"not a database" * 100, b"SQLite format 3\x00" + b"\x00" * 84])
def test_a_file_that_is_no_store(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "city.gpkg"
    path.write_bytes(content)
    with pytest.raises(Unavailable):
        geopackage.open(path)


def test_another_geopackage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "city.gpkg"
    con = sqlite3.connect(path)
    con.execute("CREATE TABLE gpkg_contents (x)")
    con.close()
    with pytest.raises(Unavailable, match="not a store"):
        geopackage.open(path)


def test_the_stage_of_a_living_process_stays(path: Path) -> None:
    store = geopackage.open(path)
    stage = store.stage(spec("new"))
    geopackage.open(path).close()
    folder = path.parent / "derived" / "stage"
    assert len(list(folder.glob("*.stage"))) == 1
    stage.drop()
    assert list(folder.iterdir()) == []
    store.close()


def test_points_and_heights_written_by_us_stay_equal_in_gdal(tmp_path: Path) -> None:
    path = tmp_path / "city.gpkg"
    store = geopackage.open(path)
    load(
        store,
        spec("dots", geometry_type="Point"),
        [row("a", shapely.Point(25, 60)), row("b", shapely.Point(1, 2))],
    )
    lines = [row("a", shapely.LineString([(25, 60, 1), (25.1, 60.1, 2)]))]
    load(store, spec("lines", geometry_type="LineString"), lines)
    store.close()
    con = sqlite3.connect(path)
    for layer in ("dots", "lines"):
        before = con.execute(f"SELECT geom FROM {layer} WHERE fid=1").fetchone()
        edit(path, "set", layer, 1, "name", "x")
        assert con.execute(f"SELECT geom, name FROM {layer} WHERE fid=1").fetchone() == (*before, "x")
    con.close()


def test_repair_waits_for_the_other_program(path: Path) -> None:
    store = geopackage.open(path)
    con = sqlite3.connect(path, isolation_level=None)
    con.execute("DROP TRIGGER twin_log_buildings_update")
    con.execute("BEGIN IMMEDIATE")
    assert len(features(store)) == 10
    con.execute("ROLLBACK")
    until(lambda: store.seq() == 3, what="the repair")
    con.close()
    store.close()

"""Every change of a GeoPackage leaves the row as it was, whoever makes it and whatever runs meanwhile."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import shapely

from layers.batch import MESH
from layers.model import Author
from layers.store import geopackage
from layers.store.geopackage import GeoPackageStore
from layers.store.geopackage.connection import connect, transaction
from layers.types import Field
from tests.gdal_edit import edit
from tests.storing import FIELDS, features, grid, load, one, row, signed, spec, square, tetrahedron
from tests.support import ROOT

FORMAT_6 = ROOT / "tests/golden/format6.gpkg.gz"
FORMAT_7 = ROOT / "tests/golden/format7.gpkg.gz"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "city.gpkg"


@pytest.fixture
def store(path: Path) -> Iterator[GeoPackageStore]:
    """Ten squares, of which the fifth has a body; log number 1."""
    rows = grid(10)
    rows[4][MESH] = tetrahedron(25.04, 60).to_bytes()
    made = geopackage.open(path)
    load(made, spec(), rows)
    yield made
    made.close()


def query(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as con:
        return con.execute(sql).fetchall()


def old(path: Path, *columns: str, layer: str = "buildings") -> list[Any]:
    """Fid, until, whether it was there, and the values of columns that came with the first load, in the order
    of keeping."""
    named = "".join(f', "{name}@1"' for name in columns)
    return query(path, f"SELECT fid, until, there > 0{named} FROM twin_past_{layer} ORDER BY n")


def shared(path: Path) -> list[int]:
    """Of each old row 1 where it is whole, 2 where it shares its geometry with the next, 3 also its body."""
    return [there for (there,) in query(path, "SELECT there FROM twin_past_buildings ORDER BY n")]


def test_an_edit_keeps_the_row_that_it_changes(store: GeoPackageStore, path: Path) -> None:
    geometry, body = query(
        path, "SELECT b.geom, m.body FROM buildings b JOIN twin_mesh_buildings m USING (fid)"
    )[0]
    store.patch("buildings", 5, {"properties": {"name": "new"}})
    assert store.rows("buildings", [5], meshes=True).meshes
    store.patch("buildings", 5, {"geometry": json.loads(shapely.to_geojson(square(1, 2)))})
    store.delete("buildings", 5)
    fid, _ = store.create("buildings", {"type": "Feature", "geometry": None, "properties": {"levels": 2**60}})
    assert old(path, "name", "levels") == [
        (5, 2, 1, "house 4", 4),
        (5, 3, 1, "new", 4),
        (5, 4, 1, "new", 4),
        (fid, 5, 0, None, None),
    ]
    kept = query(path, "SELECT geom, mesh, minx, maxx, miny, maxy FROM twin_past_buildings ORDER BY n")
    assert kept[0][:2] == (None, None)  # those of the next
    assert kept[1][:2] == (geometry, body)
    assert kept[0][2:] == pytest.approx((25.04, 25.041, 60, 60.001))
    assert kept[2][1] is None  # a body goes with the geometry that it was made from
    assert kept[2][2:] == pytest.approx((1, 1.001, 2, 2.001))


def test_a_first_load_writes_no_rows_and_a_load_of_the_same_none(store: GeoPackageStore, path: Path) -> None:
    load(
        store,
        spec(),
        grid(10)[:4] + [{**r, MESH: tetrahedron(25.04, 60).to_bytes()} for r in grid(10)[4:5]] + grid(10)[5:],
    )
    assert old(path) == []
    assert query(path, "SELECT layer, until, record FROM twin_records") == [("buildings", 1, None)]


@pytest.mark.parametrize("many", [False, True], ids=["row by row", "as a whole"])
def test_a_load_keeps_what_it_changes(
    store: GeoPackageStore, path: Path, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layers.store.matching.LOGGED_EACH", 0 if many else 100)
    rows = [r for r in grid(11) if r["levels"] not in (2, 4)]
    rows[0] = row("b0", square(25, 60), name="other", levels=0)
    load(store, spec(), rows)
    kept = {entry[0]: entry[2:] for entry in old(path, "name")}
    assert kept == {1: (1, "house 0"), 3: (1, "house 2"), 5: (1, "house 4"), 11: (0, None)}
    numbers = {entry[1] for entry in old(path)}
    assert numbers == ({2} if many else {2, 3, 4, 5})
    assert query(path, "SELECT first, last, generation FROM twin_sets") == [(1, 1, 1), (2, max(numbers), 2)]
    assert query(
        path, "SELECT fid, mesh IS NULL FROM twin_past_buildings WHERE fid IN (3, 5) ORDER BY fid"
    ) == [
        (3, 1),
        (5, 0),
    ]


def test_a_load_that_drops_and_retypes_fields_keeps_their_values(store: GeoPackageStore, path: Path) -> None:
    fields = [f for f in FIELDS if f.name not in ("name", "levels", "seen")]
    fields.append(type(FIELDS[0])("levels", "string"))
    rows = [{k: v for k, v in r.items() if k != "name"} | {"levels": "many"} for r in grid(10)]
    load(store, spec(fields=tuple(fields)), rows)
    assert old(path, "name", "levels") == [(i + 1, 2, 1, f"house {i}", i) for i in range(10)]
    store.patch("buildings", 3, {"properties": {"levels": "few"}})
    assert query(path, 'SELECT fid, until, "levels@2" FROM twin_past_buildings WHERE until=3') == [
        (3, 3, "many")
    ]


def test_a_drop_makes_old_rows_of_all(store: GeoPackageStore, path: Path) -> None:
    store.drop("buildings", Author(actor="duty", via="drop"))
    assert [entry[:3] for entry in old(path)] == [(i + 1, 2, 1) for i in range(10)]
    load(store, spec(), grid(2))
    assert features(store)[0]["id"] == 11
    assert query(path, "SELECT until, record IS NULL FROM twin_records ORDER BY until") == [
        (1, 1),
        (2, 0),
        (3, 1),
    ]
    assert query(path, "SELECT via, actor, layer FROM twin_sets") == [
        ("api", None, "buildings"),
        ("drop", "duty", "buildings"),
        ("api", None, "buildings"),
    ]


@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
def test_other_programs(store: GeoPackageStore, path: Path, running: bool) -> None:
    """GDAL and SQL edit, add, rename and drop columns; nothing of it fails, and what was there is kept."""
    if not running:
        store.close()
    edit(path, "set", "buildings", 5, "name", "by GDAL")
    edit(path, "sql", "UPDATE buildings SET levels = levels + 100 WHERE fid > 8")
    edit(path, "column", "buildings", "note")
    edit(path, "set", "buildings", 5, "note", "a word")
    edit(path, "sql", "ALTER TABLE buildings RENAME COLUMN height_m TO high")
    edit(path, "set", "buildings", 6, "high", "12")
    edit(path, "delete", "buildings", 7)
    edit(path, "sql", "INSERT INTO buildings (fid, name) VALUES (50, 'x')")
    edit(path, "sql", "UPDATE buildings SET fid = 60 WHERE fid = 50")
    kept = old(path, "name", "levels")
    if not running:
        store = geopackage.open(path)
    assert [entry[:1] + entry[2:] for entry in kept] == [
        (5, 1, "house 4", 4),
        (9, 1, "house 8", 8),
        (10, 1, "house 9", 9),
        (5, 1, "by GDAL", 4),
        (6, 1, "house 5", 5),
        (7, 1, "house 6", 6),
        (50, 0, None, None),
        (50, 1, "x", None),
        (60, 0, None, None),
    ]
    assert [entry[1] for entry in kept] == [c.seq for c in store.changes(1) if c.fid is not None]
    assert one(store, 60)["properties"]["name"] == "x"
    store.patch("buildings", 5, {"properties": {"note": "two words"}})
    column = query(path, "SELECT place FROM twin_columns WHERE name='note' AND until IS NULL")[0][0]
    last = query(path, f'SELECT fid, "{column}" FROM twin_past_buildings ORDER BY n DESC LIMIT 1')
    assert last == [(5, "a word")]
    assert query(path, "SELECT layer, why FROM twin_kept") == [("", "began")]
    store.close()


@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
def test_a_column_can_be_dropped_by_another_program(
    store: GeoPackageStore, path: Path, running: bool
) -> None:
    """SQLite would refuse it, did a trigger name the column; what it takes along is a gap."""
    if not running:
        store.close()
    edit(path, "sql", "ALTER TABLE buildings DROP COLUMN listed")
    edit(path, "set", "buildings", 5, "name", "by GDAL")
    assert old(path, "name", "listed") == [(5, 2, 1, "house 4", None)]
    if not running:
        store = geopackage.open(path)
    assert store.seq() == 3
    assert query(path, "SELECT layer, seq, why FROM twin_kept WHERE layer<>''") == [("buildings", 3, "gap")]
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TRIGGER twin_past_buildings_update",
        "DROP TRIGGER twin_log_buildings_update",
        "DROP TABLE twin_past_buildings",
    ],
)
def test_what_a_program_took_away_is_put_back_and_the_gap_told(
    store: GeoPackageStore, path: Path, damage: str
) -> None:
    store.patch("buildings", 1, {"properties": {"levels": 7}})
    edit(path, "sql", damage)
    number = store.seq()
    assert number == 3
    assert query(path, "SELECT layer, seq, why FROM twin_kept WHERE layer<>''") == [("buildings", 3, "gap")]
    assert query(path, "SELECT last, via FROM twin_sets ORDER BY id DESC LIMIT 1") == [(3, "repair")]
    store.patch("buildings", 1, {"properties": {"levels": 8}})
    place = query(path, "SELECT place FROM twin_columns WHERE name='levels'")[0][0]
    assert query(path, f'SELECT fid, until, "{place}" FROM twin_past_buildings') == [(1, 4, 7)]


def test_a_city_of_the_format_before_goes_on_without_being_copied(path: Path) -> None:
    path.write_bytes(gzip.decompress(FORMAT_6.read_bytes()))
    with closing(geopackage.open(path, read_only=True)) as frozen:
        assert len(features(frozen)) == 6
        assert frozen.rows("buildings", meshes=True).meshes.keys() == {3}
        known = [layer.id for layer in frozen.layers()]
    with closing(geopackage.open(path)) as store:
        assert [layer.id for layer in store.layers()] == known == ["buildings", "ortho", "other"]
        assert store.seq() == 6  # nothing was found out of order
        assert [one.last for one in store.change_sets(actor="duty")] != []
        assert old(path.with_name("city.gpkg"), layer="buildings") == []
        store.patch("buildings", 2, {"properties": {"name": "later"}}, by=Author(actor="night"))
        edit(path, "set", "other", 1, "name", "by GDAL")
        assert query(path, 'SELECT fid, until, "name@6" FROM twin_past_buildings') == [(2, 7, "by duty")]
        assert query(path, 'SELECT fid, until, "name@6" FROM twin_past_other') == [(1, 8, "by planner")]
        assert [name for _, name in signed(store, "buildings", 2)] == ["night"]
    assert query(path, "SELECT layer, seq, why FROM twin_kept") == [("", 6, "began")]
    assert query(path, "SELECT 1 FROM sqlite_master WHERE name='twin_actors'") == []


def shape(store: GeoPackageStore, seq: int, fid: int) -> tuple[Any, ...]:
    """The geometry and the body of a feature after a change."""
    rows = store.as_of(seq).rows("buildings", [fid], meshes=True)
    body = rows.meshes.get(fid)
    return rows.wkb[0], body and body.to_bytes()


def test_a_city_that_kept_every_row_whole_goes_on(path: Path) -> None:
    path.write_bytes(gzip.decompress(FORMAT_7.read_bytes()))
    with closing(geopackage.open(path, read_only=True)) as frozen:
        assert frozen.kept("buildings").seq == 0
        was = [(seq, fid, shape(frozen, seq, fid)) for seq in (1, 2, 3, 4) for fid in (1, 2, 3)]
    with closing(geopackage.open(path)) as store:
        assert store.seq() == 5  # nothing was found out of order
        assert shared(path) == [1, 1, 1, 1]
        for name in "abc":
            store.patch("buildings", 2, {"properties": {"name": name}})
        assert shared(path) == [1, 1, 1, 1, 3, 3, 3]
        now = store.rows("buildings", [2], meshes=True)
        assert shape(store, 6, 2) == (now.wkb[0], now.meshes[2].to_bytes())
        assert [(seq, fid, shape(store, seq, fid)) for seq, fid, _ in was] == was
    assert query(path, "SELECT layer, why FROM twin_kept WHERE layer <> ''") == []


def test_a_city_that_kept_every_row_whole_and_whose_column_was_renamed_meanwhile(path: Path) -> None:
    path.write_bytes(gzip.decompress(FORMAT_7.read_bytes()))
    edit(path, "sql", "ALTER TABLE buildings RENAME COLUMN name TO called")
    with closing(geopackage.open(path)) as store:
        store.patch("buildings", 2, {"properties": {"called": "third"}})
        assert query(path, "SELECT layer, why FROM twin_kept WHERE layer <> ''") == []
        assert store.as_of(2).item("buildings", 1).body.count(b"first") == 1
        assert shared(path)[-1] == 3


def test_a_body_that_goes_alone_is_kept_of_the_rows_that_shared_it(
    store: GeoPackageStore, path: Path
) -> None:
    was = shape(store, 1, 5)
    assert was[1] is not None
    for name in "ab":
        store.patch("buildings", 5, {"properties": {"name": name}})
    load(store, spec(), grid(10))  # without the body
    assert store.rows("buildings", [5], meshes=True).meshes == {}
    assert [shape(store, seq, 5) for seq in (1, 2, 3)] == [was] * 3
    assert shape(store, 4, 5) == (was[0], None)
    assert query(path, "SELECT count(*) FROM twin_past_buildings WHERE geom IS NOT NULL") == [(0,)]


def test_a_body_that_another_program_writes_is_not_that_of_old_rows(
    store: GeoPackageStore, path: Path
) -> None:
    store.patch("buildings", 5, {"properties": {"name": "a"}})
    was = shape(store, 1, 5)
    with closing(connect(path, "rw")) as con, transaction(con):
        con.execute("UPDATE twin_mesh_buildings SET body = ?", (tetrahedron(25.04, 60, 9).to_bytes(),))
    assert shape(store, 1, 5) == was != shape(store, 2, 5)


def test_what_is_shared_outlives_an_edit_that_comes_to_nothing_and_triggers_of_others(
    store: GeoPackageStore, path: Path
) -> None:
    """Each keeps the same old row a second time, when the geometry may be another one."""
    edit(path, "sql", "CREATE UNIQUE INDEX one_name ON buildings (name)")
    was = shape(store, 1, 5)
    edit(path, "sql", "UPDATE OR IGNORE buildings SET name = 'house 0' WHERE fid = 5")
    assert [entry[:2] for entry in old(path)] == [(5, 2)]
    assert shared(path) == [3]
    moved = {"geometry": json.loads(shapely.to_geojson(square(1, 2)))}
    store.patch("buildings", 5, moved)
    assert shape(store, 1, 5) == was
    edit(
        path,
        "sql",
        "CREATE TRIGGER moves AFTER UPDATE OF levels ON buildings WHEN NEW.levels = 77 BEGIN"
        " UPDATE buildings SET geom = (SELECT geom FROM buildings WHERE fid = 1) WHERE fid = NEW.fid; END",
    )
    seq, was = store.seq(), shape(store, store.seq(), 6)
    edit(path, "sql", "UPDATE buildings SET levels = 77 WHERE fid = 6")
    assert store.rows("buildings", [6]).wkb[0] != was[0]
    assert shape(store, seq, 6) == was


@pytest.mark.parametrize("then", ["load", "drop", "revert"])
def test_what_is_shared_by_an_edit_that_came_to_nothing_outlives_what_no_trigger_sees(
    store: GeoPackageStore, path: Path, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load, a drop and an undo of a whole layer keep old rows without triggers, by a number that such an
    edit has kept one with already."""
    monkeypatch.setattr("layers.store.matching.LOGGED_EACH", 0)
    store.patch("buildings", 4, {"geometry": json.loads(shapely.to_geojson(square(1, 2)))})
    seq, fid = store.seq(), 4 if then == "revert" else 5
    was = shape(store, seq, fid)
    edit(path, "sql", "CREATE UNIQUE INDEX one_name ON buildings (name)")
    edit(path, "sql", f"UPDATE OR IGNORE buildings SET name = 'house 0' WHERE fid = {fid}")
    assert query(path, "SELECT fid, until, there > 1 FROM twin_past_buildings")[1:] == [(fid, seq + 1, 1)]
    if then == "load":
        load(store, spec(), [*grid(4), row("b4", square(3, 4), name="house 4", levels=4), *grid(10)[5:]])
    elif then == "drop":
        store.drop("buildings", Author(via="drop"))
    else:
        store.revert("buildings", 1, unchanged_since=seq)
        assert shape(store, seq + 1, fid) == shape(store, 1, fid) != was
    assert store.seq() == seq + 1
    assert shape(store, seq, fid) == was


@pytest.mark.parametrize("many", [False, True], ids=["row by row", "as a whole"])
def test_a_load_gives_no_fid_that_another_program_has_given(
    store: GeoPackageStore, path: Path, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layers.store.matching.LOGGED_EACH", 0 if many else 100)
    edit(path, "sql", "UPDATE buildings SET fid = 11 WHERE fid = 10")
    load(store, spec(), grid(12))
    assert [feature["id"] for feature in features(store)] == [*range(1, 10), 11, 12, 13]


def test_a_feature_that_changes_often_is_kept_whole_now_and_then(store: GeoPackageStore, path: Path) -> None:
    """Whichever others change in turns with it: else its geometry would be looked for among all its rows."""
    with closing(connect(path, "rw")) as con, transaction(con):
        for turns in (1, 2, 16, 64):
            for i in range(40 * turns):
                fid = 5 if i % turns == 0 else 1 + i % 4
                con.execute("UPDATE buildings SET levels = ? WHERE fid = ?", (i, fid))
    theirs = query(path, "SELECT there FROM twin_past_buildings WHERE fid = 5 ORDER BY until")
    runs = "".join("." if there == 3 else "w" for (there,) in theirs)
    assert len(runs) == 160
    assert 4 <= runs.count("w") <= 20
    assert max(map(len, runs.split("w"))) <= 40


def test_what_other_programs_did_becomes_sets_of_their_seconds(store: GeoPackageStore, path: Path) -> None:
    edit(path, "sql", "UPDATE buildings SET levels = 1 WHERE fid IN (1, 2)")
    edit(path, "sql", "UPDATE buildings SET levels = 2 WHERE fid IN (1, 2)")
    with closing(sqlite3.connect(path)) as con:  # as if an hour had been between the two
        con.execute("UPDATE twin_changes SET at = at - 3600000 WHERE seq IN (2, 3)")
        con.execute("UPDATE twin_changes SET at = at - 9999999 WHERE seq = 5")  # its clock steps back
        con.execute("UPDATE twin_sets SET at = '2001-01-01T00:00:00.000Z'")
        con.execute("UPDATE twin_kept SET at = '2001-01-01T00:00:00.000Z'")
        con.commit()
    store.patch("buildings", 3, {"properties": {"levels": 3}}, by=Author(actor="duty", message="a reason"))
    found = query(path, "SELECT first, last, via, actor, message, layer, at FROM twin_sets")
    assert [entry[:6] for entry in found[1:]] == [
        (2, 3, "other", None, "", "buildings"),
        (4, 4, "other", None, "", "buildings"),
        (5, 5, "other", None, "", "buildings"),
        (6, 6, "api", "duty", "a reason", "buildings"),
    ]
    instants = [entry[6] for entry in found]
    assert instants == sorted(instants)
    assert instants[2] == instants[3] > instants[1]


def test_layers_whose_names_begin_alike(store: GeoPackageStore, path: Path) -> None:
    """Tables and indexes of SQLite have their names in common."""
    for name in ("trees", "trees_fid", "trees_until", "trees_update"):
        load(store, spec(name), grid(2))
        store.patch(name, 1, {"properties": {"levels": 3}})
    assert query(path, "SELECT count(*) FROM twin_past_trees_fid") == [(1,)]
    load(store, spec("a", time_field="b_seen", fields=(*FIELDS, Field("b_seen", "datetime"))), grid(2))
    load(store, spec("a_b", time_field="seen"), grid(2))
    indexed = (
        "SELECT tbl_name FROM sqlite_master WHERE type='index' AND name GLOB 'twin_index_a[_@]*' ORDER BY 1"
    )
    assert query(path, indexed) == [("a",), ("a_b",)]
    without = tuple(field for field in FIELDS if field.name != "seen")
    load(store, spec("a_b", fields=without), grid(2))
    assert query(path, indexed) == [("a",)]


def test_layers_whose_names_begin_alike_in_a_city_of_the_format_before(path: Path) -> None:
    path.write_bytes(gzip.decompress(FORMAT_6.read_bytes()))
    with closing(sqlite3.connect(path)) as con:  # its layer ``other`` becomes ``buildings_fid``
        names = "SELECT type, name FROM sqlite_master WHERE instr(name, 'other') AND type IN {}"
        triggers = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'other'"
        again = [row[0].replace("other", "buildings_fid") for row in con.execute(triggers)]
        for kind, name in con.execute(names.format("('trigger', 'index')")).fetchall():
            con.execute(f'DROP {kind} "{name}"')
        for name in ("other", "rtree_other_geom", "twin_json_other", "twin_mesh_other"):
            con.execute(f'ALTER TABLE "{name}" RENAME TO "{name.replace("other", "buildings_fid")}"')
        for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
            for column in ("table_name", "layer", "id"):
                if column in {row[1] for row in con.execute(f'PRAGMA table_info("{name}")')}:
                    con.execute(f"UPDATE \"{name}\" SET {column} = 'buildings_fid' WHERE {column} = 'other'")
        for sql in again:
            con.execute(sql)
        con.commit()
    with closing(geopackage.open(path)) as store:
        assert store.seq() == 6  # nothing was found out of order
        store.patch("buildings_fid", 1, {"properties": {"name": "later"}})
        assert query(path, "SELECT fid, until FROM twin_past_buildings_fid") == [(1, 7)]

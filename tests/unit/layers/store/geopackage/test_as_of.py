"""Every moment answers as the store did when it was the present."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from layers.batch import MESH
from layers.errors import BadParameter, Gone, NotFound
from layers.model import Author
from layers.query import Query
from layers.store import geopackage
from layers.store.base import FormSpec
from layers.store.geopackage.connection import connect
from layers.types import Field
from tests.gdal_edit import edit
from tests.storing import FIELDS, features, grid, load, row, spec, square, tetrahedron
from tests.unit.layers.store.geopackage.test_old_rows import FORMAT_6
from tests.unit.layers.store.geopackage.told import Told, edits, of_layer


def test_edits(city: Told) -> None:
    edits(city)
    city.check()
    city.store.patch("buildings", 2, {"properties": {"name": "newest"}})  # moments that are read take it up
    city.note()
    city.check()


@pytest.mark.parametrize("many", [False, True], ids=["row by row", "as a whole"])
def test_loads(city: Told, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.store.matching.LOGGED_EACH", 0 if many else 100)
    store = city.store
    edits(city)
    rows = grid(12, seen="2021-05-06T07:08:09.000Z")[2:]
    rows[0][MESH] = tetrahedron(25.02, 60).to_bytes()
    load(store, spec(time_field="seen", key=("name",)), rows)
    city.note()
    load(store, spec(time_field="seen", key=("name",)), [row("z", square(1, 2), name="z")], "append")
    city.note()
    load(store, spec(time_field="seen", title={"en": "Houses"}), grid(3))
    city.note()
    load(store, spec(time_field="seen", title={"en": "Houses"}), grid(3))  # nothing of it is another
    city.note()
    city.check()


def test_fields_come_go_and_change_their_type(city: Told) -> None:
    store = city.store
    edits(city)
    others = tuple(f for f in FIELDS if f.name not in ("levels", "listed"))
    text, number = replace(FIELDS[2], type="string"), FIELDS[2]
    for fields, value in (((*others, text), "four"), (others, None), ((*others, number), 4), (FIELDS, 4)):
        rows = [
            {k: v for k, v in r.items() if k != "levels"} | ({} if value is None else {"levels": value})
            for r in grid(4)
        ]
        load(store, spec(fields=fields), rows)
        city.note()
        store.patch("buildings", store.rows("buildings").fids.tolist()[0], {"properties": {"name": "again"}})
        city.note()
    city.check()


def test_layers_that_go_and_come_again(city: Told) -> None:
    store = city.store
    edits(city)
    store.record(
        FormSpec("ortho", "coverage", "raster", {"en": "Ortho"}, "EPSG:3857", (24.0, 60.0, 25.0, 61.0))
    )
    city.note()
    store.drop("buildings")
    city.note()
    store.record(FormSpec("ortho", "coverage", "raster", {"en": "Newer"}, "EPSG:3857"))
    city.note()
    load(store, spec(fields=FIELDS[:3]), grid(2))
    city.note()
    store.patch("buildings", store.rows("buildings").fids.tolist()[0], {"properties": {"name": "anew"}})
    city.note()
    store.drop("ortho")
    store.record(FormSpec("buildings2", "surface", "terrain", {"en": "Terrain"}, "EPSG:3857"))
    city.note()
    store.drop("other")
    city.note()
    city.check()
    first = min(city.was)
    with pytest.raises(NotFound, match="did not exist then"):
        store.as_of(first).layer("ortho")
    with pytest.raises(NotFound, match="there is no layer nothing"):
        store.as_of(first).items("nothing", Query())
    with pytest.raises(NotFound, match="has no features"):
        store.as_of(store.seq()).items("buildings2", Query())


def other_programs(city: Told, execute: Callable[[str], object]) -> None:
    for statement in (
        "UPDATE buildings SET levels = levels + 100 WHERE fid > 8",
        "ALTER TABLE buildings ADD COLUMN note TEXT",
        "UPDATE buildings SET note = 'a word' WHERE fid < 3",
        "DELETE FROM buildings WHERE fid = 7",
        "INSERT INTO buildings (fid, name) VALUES (50, 'x')",
        "INSERT OR REPLACE INTO buildings (fid, name) VALUES (50, 'y')",
        "UPDATE buildings SET fid = 60 WHERE fid = 50",
        "UPDATE OR REPLACE buildings SET fid = 60 WHERE fid = 1",
        "INSERT OR IGNORE INTO buildings (fid, name) VALUES (60, 'none')",
        "INSERT INTO buildings (fid, name) VALUES (60, 'u') ON CONFLICT (fid) DO UPDATE SET name = 'v'",
        "UPDATE buildings SET levels = 'many', height_m = x'00ff' WHERE fid = 2",
        "UPDATE buildings SET name = CAST(x'ff41' AS TEXT) WHERE fid = 2",
        "UPDATE buildings SET geom = x'00112233' WHERE fid = 4",
        "UPDATE buildings SET levels = 1, name = 'b', geom = NULL WHERE fid = 2",
        "UPDATE buildings SET geom = (SELECT geom FROM buildings WHERE fid = 6) WHERE fid = 4",
    ):
        execute(statement)
        city.note()


def test_other_programs(city: Told) -> None:
    with closing(connect(city.path, "rw")) as con:
        other_programs(city, con.execute)
    city.check()


def test_gdal_with_no_store_open(city: Told) -> None:
    edits(city)
    city.store.close()
    edit(city.path, "sql", "ALTER TABLE buildings DROP COLUMN listed")
    edit(city.path, "set", "buildings", 8, "name", "by GDAL")
    edit(city.path, "column", "buildings", "note")
    edit(city.path, "set", "buildings", 8, "note", "a word")
    edit(city.path, "delete", "buildings", 9)
    city.store = geopackage.open(city.path)
    store = city.store
    for was in city.was.values():  # the values of the column are gone, but for those of rows that had changed
        with pytest.raises(Gone, match="layer buildings is not known as it was then"):
            store.as_of(was["seq"]).layer("buildings")
        assert of_layer(store.as_of(was["seq"]), "other") == was["other"]
    city.was.clear()
    city.note()
    store.patch("buildings", 8, {"properties": {"note": "two words"}})
    city.note()
    city.check()
    assert [one.via for one in store.change_sets(limit=2)] == ["api", "repair"]
    assert store.change_sets(after=store.change_sets(limit=2)[1].id - 2, limit=3)[-1].via == "other"


@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
def test_a_renamed_column_keeps_its_past(city: Told, running: bool) -> None:
    edits(city)
    if not running:
        city.store.close()
    edit(city.path, "sql", "ALTER TABLE buildings RENAME COLUMN name TO called")
    edit(city.path, "set", "buildings", 8, "called", "by GDAL")
    edit(city.path, "sql", 'ALTER TABLE buildings RENAME COLUMN levels TO "a ""quoted"" name"')
    edit(city.path, "set", "buildings", 8, "called", "again")
    if not running:
        city.store = geopackage.open(city.path)
    city.note()
    city.store.patch("buildings", 8, {"properties": {"called": "by us"}})
    edit(city.path, "sql", "ALTER TABLE buildings RENAME COLUMN called TO name")
    city.note()
    city.check()


@pytest.mark.parametrize(
    ("statements", "lost"),
    [
        (("RENAME name TO tmp", "RENAME code TO name", "RENAME tmp TO code"), False),
        (("RENAME code TO gone", "RENAME name TO code"), False),
        (("DROP code", "RENAME name TO code"), True),
        (("DROP name", "RENAME code TO name", "ADD code TEXT"), True),
        (("DROP code", "ADD code TEXT"), True),
        (("DROP last", 'ADD "last" TEXT'), True),
        (("RENAME name TO y", "DROP last", "ADD last TEXT", "ADD name TEXT"), True),
        (("DROP code", "ADD note TEXT", "ADD code TEXT DEFAULT 'none'"), True),
        (("RENAME name TO tmp", "DROP code", "RENAME tmp TO code"), True),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else "lost" if value else "kept",
)
def test_columns_that_another_program_exchanges(
    tmp_path: Path, statements: tuple[str, ...], lost: bool
) -> None:
    path = tmp_path / "city.gpkg"
    named = [Field("code", "string"), *FIELDS, Field("last", "string")]
    with closing(geopackage.open(path)) as store:
        rows = [{**one, "code": f"c{i}", "name": f"n{i}", "last": "z"} for i, one in enumerate(grid(3))]
        load(store, spec(fields=tuple(named)), rows)
        store.patch("buildings", 2, {"properties": {"code": "c", "name": "n"}})
        was = [f["properties"] for f in features(store)]
        seq = store.seq()
        with closing(connect(path, "rw")) as con:
            for statement in statements:
                verb, rest = statement.split(" ", 1)
                con.execute(f"ALTER TABLE buildings {verb} COLUMN {rest}")
                con.execute("UPDATE buildings SET levels = levels + 1 WHERE fid = 3")
        for _ in range(2):
            if lost:
                with pytest.raises(Gone, match="buildings"):
                    features(store.as_of(seq))  # type: ignore[arg-type]
            else:
                assert [f["properties"] for f in features(store.as_of(seq))] == was  # type: ignore[arg-type]
            now = [f["properties"] for f in features(store)]
            later = store.seq()
            store.patch("buildings", 1, {"properties": {"code": "by us"}})
            assert [f["properties"] for f in features(store.as_of(later))] == now  # type: ignore[arg-type]


def test_a_city_of_the_format_before(tmp_path: Path) -> None:
    path = tmp_path / "city.gpkg"
    path.write_bytes(gzip.decompress(FORMAT_6.read_bytes()))
    with closing(geopackage.open(path, read_only=True)) as frozen, pytest.raises(Gone, match="no history"):
        frozen.moment("@6")
    with closing(geopackage.open(path)) as store:
        city = Told(path, store)
        city.note()
        store.patch("buildings", 2, {"properties": {"name": "later"}})
        city.note()
        load(store, spec(fields=FIELDS[:2]), [{k: v for k, v in r.items() if k != "levels"} for r in grid(2)])
        city.note()
        city.check()
        assert store.kept().seq == store.kept("other").seq == 6
        with pytest.raises(Gone, match=r"kept from .*Z \(@6\) on"):
            store.moment("@5")
        with pytest.raises(Gone):
            store.moment("2020-01-01T00:00:00Z")
        with pytest.raises(Gone, match="kept from @6"):
            store.as_of(5).items("buildings", Query())


def test_moments(city: Told) -> None:
    store, known = city.store, city.store.change_sets()
    assert [(one.first, one.last, one.generation) for one in known] == [(3, 3, None), (2, 2, 1), (1, 1, 1)]
    assert store.moment("@2") == store.moment(known[1].at)
    assert (store.moment("@2").seq, store.moment("@2").fixed, store.moment("@3").fixed) == (2, True, False)
    assert store.moment("@0").seq == store.kept().seq == 0
    edit(city.path, "sql", "UPDATE other SET levels = 1")
    moment = store.moment("@5")
    assert (moment.seq, moment.fixed) == (6, False)  # the set of the number, whole
    assert store.moment("@3").fixed
    assert store.moment(moment.at) == moment
    later = known[0].at.replace("Z", "+00:00")
    assert store.moment(later).seq == 3
    for wrong in (
        "",
        "@",
        "@x",
        "@-1",
        "@7",
        "@" + "9" * 30,
        "now",
        "2026-11-29",
        "2026-11-29T12:00:00",
        "9999-01-01T00:00:00Z",
    ):
        with pytest.raises(BadParameter, match=r"^at="):
            store.moment(wrong)
    with pytest.raises(Gone):
        store.moment("1999-01-01T00:00:00Z")
    with pytest.raises(NotFound):
        store.kept("nothing")


def test_a_clock_that_steps_back_does_not_reorder(city: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    store = city.store
    monkeypatch.setattr("layers.store.geopackage.log.now", lambda: "2001-01-01T00:00:00.000Z")
    store.patch("other", 1, {"properties": {"levels": 7}}, by=Author(actor="duty"))
    monkeypatch.undo()
    found = store.change_sets(limit=2)
    assert found[0].at == found[1].at
    assert store.moment(found[0].at).seq == found[0].last


def test_change_sets_of_an_actor_and_of_a_layer(city: Told) -> None:
    store = city.store
    store.patch(
        "other", 1, {"properties": {"levels": 7}}, by=Author(actor="duty", message="m", address="::1")
    )
    edit(city.path, "sql", "UPDATE other SET levels = 1 WHERE fid = 1")
    one = store.change_sets(actor="duty")[0]
    assert (one.actor, one.message, one.address, one.layer, one.via) == ("duty", "m", "::1", "other", "api")
    assert [(s.first, s.via) for s in store.change_sets(layer="other")] == [
        (5, "other"),
        (4, "api"),
        (2, "api"),
    ]
    assert [s.first for s in store.change_sets(after=1, before=4, limit=1)] == [3]


def test_versions(city: Told) -> None:
    store = city.store
    edits(city)
    found = store.versions("buildings", 5)
    assert [(v.since, v.until, v.there) for v in found] == [
        (11, None, False),
        (7, 11, True),
        (5, 7, True),
        (1, 5, True),
    ]
    assert found[0].set == store.change_sets(before=12)[0]
    assert [v.set.first for v in found if v.set] == [11, 7, 5, 1]
    assert store.versions("buildings", 5, before=7, limit=1) == found[2:3]
    assert store.versions("buildings", 5, before=5) == found[3:]
    assert [(v.since, v.there) for v in store.versions("buildings", 2)] == [(1, True)]
    created = store.versions("buildings", 11)
    assert [(v.since, v.until) for v in created] == [(9, None), (3, 9)]
    for fid in (99, 2**70, -(2**70)):
        with pytest.raises(NotFound):
            store.versions("buildings", fid)
        with pytest.raises(NotFound):
            store.as_of(store.seq()).item("buildings", fid)


def test_what_was_lost_is_gone(city: Told) -> None:
    store = city.store
    edit(city.path, "sql", "DROP TABLE twin_past_buildings")
    store.patch("other", 1, {"properties": {"levels": 7}})
    city.note()
    gap = store.kept("buildings").seq
    assert gap == 4
    past = store.as_of(3)
    assert [layer.id for layer in past.layers()] == ["other"]
    for ask in (past.layer, past.interval, past.rows, lambda layer: past.item(layer, 1)):
        with pytest.raises(Gone, match="its history is kept from @4 on"):
            ask("buildings")
    city.check(3)
    assert store.moment("@3").seq == 3  # of the others it is known

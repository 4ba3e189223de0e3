"""Every moment answers as the store did when it was the present."""

from __future__ import annotations

import gzip
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shapely

from layers.batch import MESH
from layers.errors import BadParameter, Busy, Gone, NotFound, TwinError, Unreadable
from layers.model import Author, Layer, has_features
from layers.query import Query, parse
from layers.store import geopackage
from layers.store.base import FormSpec, Readable
from layers.store.geopackage import GeoPackageStore
from layers.store.geopackage.connection import connect
from layers.types import Field, Sort
from tests.gdal_edit import edit
from tests.storing import FIELDS, features, grid, load, row, spec, square, tetrahedron
from tests.unit.layers.store.geopackage.test_old_rows import FORMAT_6

#: Asked of a layer: all, boxes at a side and across, a filter, an order, pages.
QUERIES: tuple[dict[str, Any], ...] = (
    {"limit": 1000},
    {"limit": 3},
    {"limit": 3, "offset": 2},
    {"limit": 1000, "bbox": (25.0, 60.0, 25.035, 60.0005)},
    {"limit": 2, "bbox": (-180.0, -90.0, 25.055, 90.0)},
    {"limit": 1000, "equals": (("levels", 4),)},
    {"limit": 1000, "sort": (Sort("name", descending=True),)},
    {"limit": 1000, "properties": ("name",)},
    {"limit": 1000, "crs": "EPSG:3879"},
    {"limit": 1000, "words": ("house",)},
)


def words(layer: Layer) -> Layer:
    """What is told of a layer, but for what is done to the present only; boxes to 32 bits."""
    box = None if layer.extent is None else tuple(round(side, 4) for side in layer.extent)
    if has_features(layer):
        layer = replace(layer, edits=(), fixed_because="")
    return replace(layer, extent=box)  # type: ignore[arg-type]


def of_layer(store: Readable, layer: str) -> dict[str, Any]:
    """Everything that a store says of a layer of features."""
    every: dict[str, Any] = {"words": words(store.layer(layer)), "interval": store.interval(layer)}
    names = {field.name for field in store.feature_layer(layer).fields}
    for number, one in enumerate(QUERIES):
        if {"name", "levels"} - names and {"equals", "sort", "properties"} & one.keys():
            continue
        query = Query(**one)
        page = store.items(layer, query)
        chosen = store.select(layer, query)
        every[f"page {number}"] = page.features, page.returned, page.matched, page.next_after
        every[f"columns {number}"] = chosen.rows.fids.tolist(), list(chosen.rows.wkb), chosen.rows.properties
        every[f"count {number}"] = store.count(layer, replace(query, limit=None, offset=0), 1000)
        scanned = list(store.scan(layer, replace(query, limit=None), 4))
        every[f"scan {number}"] = [(r.fids.tolist(), list(r.wkb), r.properties) for r in scanned]
    text = "S_INTERSECTS(geometry, POLYGON((25 59.9, 25.025 59.9, 25.025 60.1, 25 60.1, 25 59.9)))"
    found = parse(store.feature_layer(layer), [("filter", text), ("limit", "100")])
    every["filter"] = store.items(layer, found).features
    rows = store.rows(layer, meshes=True)
    every["rows"] = rows.fids.tolist(), list(rows.wkb), rows.properties
    every["meshes"] = {fid: mesh.to_bytes() for fid, mesh in rows.meshes.items()}
    for fid in [f["id"] for f in features(store, layer)][:6]:  # type: ignore[arg-type]
        every[f"item {fid}"] = of_feature(store, layer, fid)
    return every


def of_feature(store: Readable, layer: str, fid: int) -> tuple[Any, ...]:
    """What a store says of a feature; of one that cannot be read why."""
    revision = store.revision(layer, fid)
    try:
        item, projected = store.item(layer, fid), store.item(layer, fid, "EPSG:3857")
    except Unreadable as error:
        return str(error), revision
    return item.body, item.revision, revision, projected.body


def state(store: Readable) -> dict[str, Any]:
    """Everything that a store says of its layers."""
    layers = store.layers()
    every: dict[str, Any] = {"layers": [words(layer) for layer in layers], "seq": store.seq()}
    assert [layer.id for layer in store.feature_layers()] == [
        layer.id for layer in layers if has_features(layer)
    ]
    return every | {layer.id: of_layer(store, layer.id) for layer in layers if has_features(layer)}


class Told:
    """A store, and what it said after each step."""

    def __init__(self, path: Path, store: GeoPackageStore) -> None:
        self.path, self.store = path, store
        self.was: dict[int, dict[str, Any]] = {}

    def note(self) -> None:
        """What the store says now is what is to be said of this moment from now on."""
        self.was[self.store.seq()] = state(self.store)

    def check(self, *gone: int) -> None:
        """Every moment is as it was, asked twice: what was gathered first is at hand the second time."""
        for seq, was in self.was.items():
            if seq in gone:
                continue
            for _ in range(2):
                now = state(self.store.as_of(seq))
                for part in was.keys() | now.keys():
                    assert now.get(part) == was.get(part), (seq, part)


@pytest.fixture
def city(tmp_path: Path) -> Any:
    """A store of ten squares, one with a body, one without a place, with a time and a key."""
    rows = grid(10, seen="2024-01-02T03:04:05.000Z")
    rows[4][MESH] = tetrahedron(25.04, 60).to_bytes()
    store = geopackage.open(tmp_path / "city.gpkg")
    load(store, spec(time_field="seen", key=("name",)), rows)
    load(store, spec("other"), grid(3))
    store.create("buildings", {"type": "Feature", "geometry": None, "properties": {"name": "nowhere"}})
    made = Told(tmp_path / "city.gpkg", store)
    made.note()
    yield made
    made.store.close()


def polygon(lon: float, lat: float) -> Any:
    return json.loads(shapely.to_geojson(square(lon, lat)))


def edits(city: Told) -> None:
    store = city.store
    steps: list[Callable[[], object]] = [
        lambda: store.patch("buildings", 1, {"properties": {"name": "one", "levels": 2**53 + 1}}),
        lambda: store.patch("buildings", 5, {"geometry": polygon(-20, 50)}),  # loses its body; the box grows
        lambda: store.delete("buildings", 3),
        lambda: store.patch("buildings", 5, {"geometry": None}),
        lambda: store.create(
            "buildings", {"type": "Feature", "geometry": polygon(25.1, 60.1), "properties": {}}
        ),
        lambda: store.patch("buildings", 11, {"geometry": polygon(25.2, 60)}),
        lambda: store.patch("buildings", 1, {"properties": {"seen": "2020-01-01T00:00:00Z", "listed": True}}),
        lambda: store.delete("buildings", 5),
        lambda: store.patch("other", 2, {"properties": {"height_m": 0.1 + 0.2}}),
    ]
    for step in steps:
        step()
        city.note()


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


def test_a_look_does_not_wait_for_who_writes(city: Told) -> None:
    """What is not yet in sets is told as these will be."""
    known = len(city.store.change_sets())
    with closing(connect(city.path, "rw")) as con:
        con.execute("UPDATE buildings SET levels = 9 WHERE fid = 1")
        con.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        number = city.store.seq()
        moment = city.store.moment(f"@{number}")
        found = city.store.change_sets(layer="buildings")
        assert found[:2] == city.store.change_sets(limit=2)
        assert (found[0].first, found[0].via, moment.seq) == (number, "other", number)
        assert city.store.change_sets(layer="other", limit=1)[0].layer == "other"
        assert city.store.change_sets(before=found[0].id)[0].id == found[1].id
        assert city.store.change_sets(after=found[0].id) == []
        assert city.store.versions("buildings", 1)[0].set == found[0]
        assert time.monotonic() - began < 5
        assert con.execute("SELECT count(*) FROM twin_sets").fetchone() == (known,)
        con.execute("ROLLBACK")
    assert city.store.change_sets(limit=1) == found[:1]
    with closing(connect(city.path, "ro")) as con:
        assert con.execute("SELECT count(*) FROM twin_sets").fetchone() == (known + 1,)


def test_no_more_connections_than_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.store.geopackage.moments.OPEN", 1)
    monkeypatch.setattr("layers.store.geopackage.moments.READ_SECONDS", 0.01)
    with closing(geopackage.open(tmp_path / "city.gpkg")) as store:
        load(store, spec(), grid(2))
        past = store.as_of(1)
        with store._moments.reading(1, None), pytest.raises(Busy):
            past.layers()
        assert len(past.layers()) == 1


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


def test_moments_are_closed_with_the_store_and_are_bounded(
    city: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layers.store.geopackage.moments.KEPT", 2)
    edits(city)
    city.check()
    assert len(city.store._moments._idle) == 2
    past = city.store.as_of(5)
    going = past.scan("buildings", Query(limit=None), 2)
    next(going)
    city.store.close()
    for ask in (lambda: next(going), lambda: past.layers()):
        with pytest.raises(TwinError, match="closed"):
            ask()


def test_a_feature_of_very_many_versions(tmp_path: Path) -> None:
    """One version is looked up, not searched for."""
    store = geopackage.open(tmp_path / "city.gpkg")
    load(store, spec(), grid(2))
    many = 50_000
    with closing(sqlite3.connect(tmp_path / "city.gpkg")) as con:
        con.execute(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            ' INSERT INTO twin_past_buildings (fid, until, there, "name@1") SELECT 1, i, 1, i FROM n',
            (many,),
        )
        con.execute("INSERT INTO twin_changes (seq, layer, fid) VALUES (?, 'buildings', 1)", (many,))
        con.commit()
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    past = store.as_of(many // 2)
    with past._reading() as view:  # type: ignore[attr-defined]
        view.con.set_progress_handler(count, 100)
    assert json.loads(past.item("buildings", 1).body)["properties"]["name"] == str(many // 2 + 1)
    assert past.revision("buildings", 1) == many // 2
    found = store.versions("buildings", 1, before=many // 2, limit=3)
    assert [v.until for v in found] == [many // 2, many // 2 - 1, many // 2 - 2]
    assert steps < 50  # 5 000 steps of the virtual machine
    assert features(past)[0]["properties"]["name"] == str(many // 2 + 1)  # type: ignore[arg-type]
    store.close()


def test_what_came_since_does_not_make_a_box_crowded(tmp_path: Path) -> None:
    """A page of what was counts as it did then, also where by now more lie in its box than are gathered."""
    box = Query(bbox=(24.9, 59.9, 25.1, 60.1), limit=5)
    narrow = replace(box, bbox=(24.99999, 59.99, 25.0004, 60.01))  # cuts through squares
    filtered = replace(box, equals=(("levels", 1),))
    alone = row("alone", square(40, 65), name="alone", levels=1)
    near = [alone] + [
        row(f"n{i}", square(25 + i * 1e-4, 60), name="near", levels=1 + i % 2) for i in range(30)
    ]
    far = [row(f"f{i}", square(30 + i * 1e-4, 65), name="far", levels=1) for i in range(60)]
    moved = [row(f"f{i}", square(25 + i * 1e-4, 60), name="moved", levels=1) for i in range(60)]
    with closing(geopackage.open(tmp_path / "city.gpkg", few=50)) as store:
        load(store, spec(), near + far)
        before = [store.items("buildings", query) for query in (box, narrow, filtered)]
        assert [page.matched for page in before] == [30, 5, 15]
        past = store.as_of(store.seq())
        load(store, spec(), near + moved)
        assert store.items("buildings", box).matched is None
        for _ in range(2):
            assert [past.items("buildings", query) for query in (box, narrow, filtered)] == before


def test_what_was_is_at_hand_once_it_was_put_together(city: Told) -> None:
    """An event loop may read it then, until somebody writes."""
    store, then = city.store, city.store.seq()
    store.patch("buildings", 1, {"properties": {"name": "another"}})
    past = store.as_of(then)
    with past.at_hand("buildings") as ready:
        assert not ready
    expected = past.items("buildings", Query())
    for _ in range(2):
        with past.at_hand("buildings") as ready:
            assert ready
            assert past.items("buildings", Query()) == expected
            assert past.revision("buildings", 1) <= then
            with pytest.raises(NotFound):
                past.item("buildings", 999)
            with store.as_of(store.seq()).at_hand("buildings") as another:
                assert not another
    store.patch("buildings", 1, {"properties": {"name": "a third"}})
    with past.at_hand("buildings") as ready:
        assert not ready
    assert past.items("buildings", Query()) == expected


def test_a_sorted_page_of_what_was_reads_what_it_must(tmp_path: Path) -> None:
    """In a box no more than lies there; of a whole layer each row once."""
    sort = (Sort("height_m"),)
    narrow = Query(bbox=(25.0, 60.0, 25.03, 60.03), limit=5, sort=sort)
    filtered = Query(equals=(("levels", 1),), limit=5, sort=sort)
    rows = [
        row(f"b{i}", square(25 + i % 100 * 0.01, 60 + i // 100 * 0.01), levels=i % 2, height_m=i * 7919 % 977)
        for i in range(4_000)
    ]
    with closing(geopackage.open(tmp_path / "city.gpkg", few=50)) as store:
        load(store, spec(), rows)
        seq = store.seq()
        before = [store.items("buildings", query) for query in (narrow, filtered)]
        with closing(connect(tmp_path / "city.gpkg", "rw")) as con:
            con.execute("UPDATE buildings SET height_m = -1 WHERE fid % 10 = 0")
            con.commit()
        past = store.as_of(seq)
        assert [past.items("buildings", query) for query in (narrow, filtered)] == before
        steps = [0, 0]
        for number, query in enumerate((narrow, filtered)):

            def count(number: int = number) -> None:
                steps[number] += 1

            with past._reading() as view:
                view.con.set_progress_handler(count, 100)
            assert past.items("buildings", query) == before[number]
        assert steps[0] < 60, steps
        assert steps[1] < 900, steps


def test_a_feature_that_was_is_given_as_it_is_kept(city: Told) -> None:
    """Where its text is at hand it is the item that is read otherwise, and where it is not, nothing."""
    store, then = city.store, city.store.seq()
    unchanged, changed = 2, 1
    store.item("buildings", unchanged)  # its text is kept from now on
    before = {fid: store.item("buildings", fid) for fid in (unchanged, changed)}
    store.patch("buildings", changed, {"properties": {"name": "another"}})
    past = store.as_of(then)
    assert past.stored_item("buildings", unchanged) is None  # nobody has read the moment
    assert past.item("buildings", unchanged) == before[unchanged]
    assert past.stored_item("buildings", unchanged) == before[unchanged]
    assert past.stored_item("buildings", changed) is None
    past.items("buildings", Query())
    for fid, item in before.items():
        assert past.item("buildings", fid) == item
        assert past.stored_item("buildings", fid) == item
    assert past.stored_item("buildings", 999) is None
    assert past.stored_item("buildings", 2**70) is None
    store.patch("buildings", unchanged, {"properties": {"name": "a third"}})
    assert past.stored_item("buildings", unchanged) is None  # somebody has written since
    past.items("buildings", Query())
    assert past.stored_item("buildings", unchanged) == before[unchanged]
    store.drop("buildings")
    assert past.item("buildings", unchanged) == before[unchanged]
    past.items("buildings", Query())
    assert past.stored_item("buildings", unchanged) in (None, before[unchanged])

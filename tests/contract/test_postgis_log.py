"""The change log of a database that many edit at once: nothing is missed, nothing is shown too early."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shapely

from layers.batch import MESH
from layers.errors import Busy, NotFound, Unavailable
from layers.query import Query
from layers.store.base import Store
from layers.store.database import Database
from layers.store.open import open_store
from layers.store.postgis import log
from layers.textures import Texture
from layers.types import Field, Sort
from tests.postgres import Cluster
from tests.storing import FIELDS, batch, features, fids, grid, load, one, row, spec, square, tetrahedron
from tests.support import until
from tests.textured import QUARTERS, box, image, textured


@pytest.fixture
def url(postgres: Cluster) -> str:
    return postgres.database()


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """Ten squares, of which the fifth and sixth have bodies."""
    rows = grid(10)
    for i in (4, 5):
        rows[i][MESH] = tetrahedron(25, 60).to_bytes()
    made = open_store(tmp_path, Database(url))
    load(made, spec(), rows)
    yield made
    made.close()


def sql(url: str, *statements: str, user: str | None = None) -> list[tuple[Any, ...]]:
    """Statements of another program in one transaction; the rows of the last."""
    with psycopg.connect(url.replace("twin@", f"{user}@") if user else url) as con:
        for statement in statements:
            cursor = con.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_reader_that_polls_misses_nothing(store: Store, url: str) -> None:
    """16 writers commit in any order; numbers must become visible in theirs."""
    writers, rounds = 16, 25
    start, since = threading.Barrier(writers + 1), store.seq()

    def write(number: int) -> None:
        with psycopg.connect(url) as con:
            start.wait(20)
            for i in range(rounds):
                con.execute("UPDATE city.buildings SET levels = %s WHERE fid = %s", (i, number % 8 + 1))
                con.execute("INSERT INTO city.buildings (name) VALUES (%s)", (f"{number}-{i}",))
                con.execute("DELETE FROM city.buildings WHERE name = %s", (f"{number}-{i}",))
                if i % 5 == 0:
                    con.rollback()
                con.commit()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    start.wait(20)
    seen: list[int] = []
    while any(t.is_alive() for t in threads) or store.seq() > (seen[-1] if seen else since):
        newest = store.seq()
        found = [c.seq for c in store.changes(seen[-1] if seen else since)]
        assert not found or found[-1] >= newest  # who sees a number sees every row up to it
        seen += found
    for thread in threads:
        thread.join(20)
    everything = [c.seq for c in store.changes(since, 100_000)]
    assert seen == everything
    assert len(everything) == writers * (rounds - rounds // 5) * 3
    assert store.layer("buildings").count == 10 == len(features(store))


def test_an_open_transaction_holds_nobody_up(store: Store, url: str) -> None:
    with psycopg.connect(url) as slow:
        slow.execute("UPDATE city.buildings SET name = 'slow' WHERE fid = 1")
        began = time.monotonic()
        for _ in range(5):
            store.patch("buildings", 2, {"properties": {"levels": 5}})
        assert time.monotonic() - began < 2
        before = store.seq()
        assert one(store, 1)["properties"]["name"] == "house 0"
        slow.commit()
    assert store.changes(before)[-1].fid == 1
    assert store.revision("buildings", 1) == before + 1


def test_old_snapshots_and_repeatable_read_do_not_disturb(store: Store, url: str) -> None:
    with psycopg.connect(url) as con:
        con.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        con.execute("SELECT count(*) FROM city.buildings")
        store.patch("buildings", 2, {"properties": {"levels": 5}})
        con.execute("UPDATE city.buildings SET levels = 9 WHERE fid = 3")
        con.commit()
    assert [c.fid for c in store.changes(0)][-2:] == [2, 3]


def test_changes_are_of_rows_with_their_boxes(store: Store, url: str) -> None:
    since = store.seq()
    moved = "ST_Translate(geom, 1, 0)"
    sql(url, f"UPDATE city.buildings SET geom = {moved} WHERE fid = 5")
    change = store.changes(since)[0]
    assert change.old == pytest.approx((25.04, 60, 25.041, 60.001))
    assert change.new == pytest.approx((26.04, 60, 26.041, 60.001))
    assert list(store.rows("buildings", meshes=True).meshes) == [6]
    sql(url, "UPDATE city.buildings SET name = 'x' WHERE fid = 6")
    assert list(store.rows("buildings", meshes=True).meshes) == [6]
    since = store.seq()
    sql(
        url,
        "UPDATE city.buildings SET fid = fid + 100 WHERE fid > 8",
        "DELETE FROM city.buildings WHERE fid = 6",
    )
    assert [(c.fid, c.old is None, c.new is None) for c in store.changes(since)] == [
        (9, False, True),
        (10, False, True),
        (109, True, False),
        (110, True, False),
        (6, False, True),
    ]
    assert store.layer("buildings").count == 9
    assert store.rows("buildings", meshes=True).meshes == {}
    since = store.seq()
    sql(url, "UPDATE city.buildings SET name = 'y' WHERE fid = 4711")
    assert store.seq() == since


def test_a_large_statement_is_one_row_of_its_region(store: Store, url: str) -> None:
    since = store.seq()
    points = "ST_SetSRID(ST_Expand(ST_MakePoint(20 + i * 0.0001, 50), 0.001), 4326)"
    sql(url, f"INSERT INTO city.buildings (geom) SELECT {points} FROM generate_series(1, 10001) i")
    changes = store.changes(since)
    assert [(c.fid, c.old) for c in changes] == [(None, None)]
    assert changes[0].new == pytest.approx((19.9991, 49.999, 21.0011, 50.001))
    assert store.layer("buildings").count == 10_011
    sql(url, "TRUNCATE city.buildings")
    assert store.layer("buildings").count == 0
    assert store.changes(changes[0].seq)[0].fid is None
    assert store.layer("buildings").extent is None


def test_copy_savepoints_and_other_roles_are_logged(store: Store, url: str, postgres: Cluster) -> None:
    role = f"surveyor_{url.rsplit('/', 1)[1]}"
    sql(
        url,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA city TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON city.buildings TO {role}",
    )
    since = store.seq()
    with psycopg.connect(url.replace("twin@", f"{role}@")) as con:
        with con.cursor().copy("COPY city.buildings (name, levels) FROM STDIN") as copy:
            copy.write_row(("copied", 1))
        con.execute("SAVEPOINT a")
        con.execute("UPDATE city.buildings SET levels = 1 WHERE fid = 1")
        con.execute("ROLLBACK TO SAVEPOINT a")
        con.execute("UPDATE city.buildings SET levels = 2 WHERE fid = 2")
        con.commit()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            con.execute("DELETE FROM city.twin_changes")
    assert [c.fid for c in store.changes(since)] == [11, 2]
    since = store.seq()
    sql(url, "SET session_replication_role = replica", "UPDATE city.buildings SET levels = 3 WHERE fid = 3")
    assert [c.fid for c in store.changes(since)] == [3]


def test_another_process_is_told_at_once(store: Store, url: str, tmp_path: Path) -> None:
    other = open_store(tmp_path / "other", Database(url))
    since = other.seq()
    assert other.wait(since, 0.05) == since
    told: list[int] = []
    waiting = threading.Thread(target=lambda: told.append(other.wait(since, 10)))
    waiting.start()
    sql(url, "UPDATE city.buildings SET levels = 1 WHERE fid < 4")
    waiting.join(5)
    assert told == [since + 3]
    other.close()


def test_lost_triggers_are_put_back(store: Store, url: str) -> None:
    since = store.seq()
    name = sql(
        url,
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'city.buildings'::regclass AND tgname LIKE '%update'",
    )
    sql(url, f'DROP TRIGGER "{name[0][0]}" ON city.buildings', "DELETE FROM city.buildings WHERE fid = 9")
    until(lambda: store.seq() > since + 1, seconds=3, what="the repair")
    assert store.changes(since)[-1].fid is None
    assert store.layer("buildings").count == 9
    since = store.seq()
    sql(url, "UPDATE city.buildings SET levels = 1 WHERE fid = 1")
    assert [c.fid for c in store.changes(since)] == [1]
    sql(url, "ALTER TABLE city.buildings DISABLE TRIGGER ALL", "DELETE FROM city.buildings WHERE fid = 8")
    until(lambda: store.layer("buildings").count == 8, seconds=3, what="the repair")


def test_columns_of_other_programs(store: Store, url: str) -> None:
    sql(
        url,
        "ALTER TABLE city.buildings ADD COLUMN owner varchar(20) DEFAULT 'city'",
        "ALTER TABLE city.buildings DROP COLUMN built",
    )
    assert until(lambda: store.layer("buildings").field("owner"), seconds=3, what="the new column")
    assert store.layer("buildings").field("built") is None
    assert one(store, 1)["properties"]["owner"] == "city"
    store.patch("buildings", 1, {"properties": {"owner": "state"}})
    assert fids(store, equals=(("owner", "state"),)) == [1]
    sql(url, "ALTER TABLE city.buildings DROP COLUMN owner")
    assert "owner" not in one(store, 1)["properties"]


def test_a_table_that_another_program_replaced(store: Store, url: str) -> None:
    columns = (
        "fid bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, geom geometry(Polygon, 4326), owner text"
    )
    box = "ST_SetSRID(ST_MakeBox2D(ST_Point(10, 10), ST_Point(11, 11)), 4326)"
    sql(
        url,
        "DROP TABLE city.buildings CASCADE",
        f"CREATE TABLE city.buildings ({columns})",
        f"INSERT INTO city.buildings (geom, owner) VALUES ({box}, 'a'), ({box}, 'b')",
    )
    assert [f["properties"] for f in features(store)] == [
        {"source_id": None, "owner": "a"},
        {"source_id": None, "owner": "b"},
    ]
    assert store.changes(0)[-1].fid is None
    assert store.layer("buildings").count == 2
    since = store.seq()
    sql(url, "UPDATE city.buildings SET owner = 'c' WHERE fid = 2")
    assert [c.fid for c in store.changes(since)] == [2]
    assert fids(store, bbox=(10, 10, 10.5, 10.5)) == [1, 2]
    assert load(store, spec(), grid(3)).generation == 2


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("ALTER TABLE city.buildings RENAME COLUMN geom TO shape", "no geometry column"),
        ("ALTER TABLE city.buildings DROP COLUMN fid", "no plain table with a unique integer"),
        ("DROP TABLE city.buildings; CREATE VIEW city.buildings AS SELECT 1 AS fid", "no plain table"),
    ],
)
def test_a_half_replaced_layer_is_an_error_of_that_layer_only(
    store: Store, url: str, damage: str, reason: str
) -> None:
    load(store, spec("other"), grid(2))
    for statement in damage.split(";"):
        sql(url, statement)
    with pytest.raises(Unavailable, match=reason):
        store.items("buildings", Query())
    with pytest.raises(Unavailable, match=reason):
        store.layer("buildings")
    assert [layer.id for layer in store.layers()] == ["other"]
    assert fids(store, "other") == [1, 2]
    if "VIEW" not in damage:
        assert load(store, spec(), grid(4)).created == 4
        assert len(features(store)) == 4


def test_a_dropped_table_is_not_found(store: Store, url: str) -> None:
    sql(url, "DROP TABLE city.buildings")
    with pytest.raises(NotFound, match="removed"):
        store.item("buildings", 1)
    assert store.changes(0)[-1].fid is None
    assert load(store, spec(), grid(1)).created == 1
    assert fids(store) == [11]


def test_readers_do_not_wait_for_a_publish(store: Store, url: str) -> None:
    """A publish of the same fields waits for a long editor; readers of the layer go on meanwhile."""
    stage = store.stage(spec())
    stage.add(batch([{**r, "levels": 99} for r in grid(10)]))
    with psycopg.connect(url) as editor:
        editor.execute("UPDATE city.buildings SET name = 'x' WHERE fid = 1")
        publishing = threading.Thread(target=store.publish, args=(stage,))
        publishing.start()
        waits = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'"
        )
        until(lambda: sql(url, waits)[0][0] == 1, what="the publish to wait for the editor")
        began = time.monotonic()
        assert one(store, 2)["properties"]["levels"] == 1
        assert len(features(store)) == 10
        assert time.monotonic() - began < 1
        editor.commit()
    publishing.join(10)
    assert one(store, 2)["properties"]["levels"] == 99


def test_other_fields_lock_readers_out_for_a_moment_only(store: Store, url: str) -> None:
    """A load with other fields waits until nobody reads the old ones; meanwhile reading goes on."""
    fields = (Field("name", "string"), Field("levels", "string"), Field("new", "integer"))
    stage = store.stage(spec(fields=fields, geometry_type="MultiPolygon"))
    stage.add(batch([{**r, "levels": "many", "new": 1} for r in grid(9)]))
    with psycopg.connect(url) as reader:
        reader.execute("SELECT count(*) FROM city.buildings")
        publishing = threading.Thread(target=store.publish, args=(stage,))
        publishing.start()
        tries = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE query LIKE '%ACCESS EXCLUSIVE%' AND pid <> pg_backend_pid()"
        )
        until(lambda: sql(url, tries)[0][0] == 1, what="the publish to wait for the reader")
        for _ in range(5):
            began = time.monotonic()
            assert len(features(store)) == 10
            assert set(one(store, 2)["properties"]) == {"source_id", *(f.name for f in FIELDS)}
            assert time.monotonic() - began < 1
        reader.commit()
    publishing.join(20)
    assert one(store, 2)["properties"] == {"source_id": "b1", "name": "house 1", "levels": "many", "new": 1}
    assert one(store, 2)["geometry"]["type"] == "MultiPolygon"
    assert store.layer("buildings").geometry_type == "MultiPolygon"
    declared = "SELECT type, srid FROM geometry_columns WHERE f_table_name = 'buildings'"
    assert sql(url, declared) == [("MULTIPOLYGON", 4326)]
    with pytest.raises(psycopg.errors.CheckViolation):
        sql(url, "UPDATE city.buildings SET geom = ST_SetSRID(ST_MakePoint(1, 1), 4326)")


def test_what_a_killed_load_left_is_hidden_and_removed(store: Store, url: str) -> None:
    sql(url, "ALTER TABLE city.buildings ADD COLUMN twin_new_0a_0 text")
    since = store.seq()
    assert "twin_new_0a_0" not in one(store, 1)["properties"]
    assert load(store, spec(), grid(10)).generation == 2
    assert store.seq() >= since
    left = "SELECT count(*) FROM pg_attribute WHERE NOT attisdropped AND attname LIKE 'twin\\_new%'"
    assert sql(url, left) == [(0,)]


def test_an_edit_that_waits_too_long_is_busy(url: str, tmp_path: Path) -> None:
    store = open_store(tmp_path, Database(url, write_seconds=0.3))
    load(store, spec(), grid(2))
    with psycopg.connect(url) as editor:
        editor.execute("UPDATE city.buildings SET name = 'x' WHERE fid = 1")
        with pytest.raises(Busy):
            store.patch("buildings", 1, {"properties": {"levels": 1}})
        store.patch("buildings", 2, {"properties": {"levels": 1}})
    store.close()


def test_names_that_postgresql_cannot_keep(store: Store) -> None:
    long = "很长的中文字段名称" * 4
    values = {long: "甲", long + "二": 2, "xmin": "x", 'a"%s': 1.5}
    values |= dict.fromkeys(("n", "id", "k", "m", "s", "state", "t", "c0", "twin_new_", "Ordér by"), "own")
    kinds = {str: "string", int: "integer", float: "number"}
    fields = tuple(Field(name, kinds[type(value)]) for name, value in values.items())  # type: ignore[arg-type]
    layer = "l" + "o" * 62
    rows = [row("a", square(1, 1), **values)]
    load(store, spec(layer, fields=fields), rows)
    assert json.loads(store.item(layer, 1).body)["properties"] == {"source_id": "a", **values}
    assert features(store, layer, bbox=(1, 1, 2, 2), sort=(Sort("n"), Sort(long, descending=True)))
    revision = store.patch(layer, 1, {"properties": {long: "乙", 'a"%s': 2}})
    assert store.revision(layer, 1) == revision
    assert fids(store, layer, equals=((long, "乙"), ('a"%s', 2.0), ("n", "own"))) == [1]
    assert load(store, spec(layer, fields=fields), rows).updated == 1
    assert shapely.from_wkb(store.rows(layer).wkb[0]).equals(square(1, 1))


def test_a_feature_without_a_source_id_can_be_put_back(store: Store) -> None:
    whole = {"type": "Feature", "geometry": None, "properties": {"name": "new"}}
    fid, _ = store.create("buildings", whole)
    store.replace("buildings", fid, one(store, fid))
    assert one(store, fid)["properties"]["source_id"] is None


def test_text_that_a_report_holds_but_postgresql_does_not(store: Store) -> None:
    store.save_report("buildings", {"reason": "a\x00b"})
    found = store.report("buildings")
    assert found is not None
    assert found["reason"].startswith("a")


def test_a_long_log_is_kept_short(
    store: Store, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revisions, counts and what a late reader learns are the same before and after."""
    load(store, spec("other"), grid(3))
    late, early = store.seq(), 1
    sql(url, *(f"UPDATE city.buildings SET levels = {i} WHERE fid = {i % 3 + 1}" for i in range(60)))
    sql(url, "DELETE FROM city.buildings WHERE fid = 7", "INSERT INTO city.buildings (name) VALUES ('x')")
    sql(url, *(f"UPDATE city.other SET levels = {i} WHERE fid = 1" for i in range(30)))
    known = [store.revision("buildings", fid) for fid in (1, 2, 3, 4)], store.revision("other", 1)
    newest, edited = store.seq(), {c.fid for c in store.changes(late) if c.layer == "buildings"}
    monkeypatch.setattr(log, "KEPT", 10)
    monkeypatch.setattr(log, "STEP", 30)
    length = "SELECT count(*) FROM city.twin_changes"
    until(lambda: sql(url, length)[0][0] < 40, what="the log to be pruned", seconds=20)
    monkeypatch.undo()
    assert store.seq() == newest
    assert ([store.revision("buildings", fid) for fid in (1, 2, 3, 4)], store.revision("other", 1)) == known
    other = open_store(tmp_path / "other", Database(url))
    for one_ in (store, other):
        assert (one_.layer("buildings").count, one_.layer("other").count) == (10, 3)
    other.close()
    for since in (early, late):
        told = [c for c in store.changes(since) if c.layer == "buildings"]
        assert told[0].fid is None  # the layer as a whole
        assert [c.seq for c in store.changes(since)] == sorted(c.seq for c in store.changes(since))
    assert edited == {1, 2, 3, 7, 11}
    assert [c.fid for c in store.changes(newest - 3)] == [1, 1, 1]
    page, since = store.changes(early, 2), early
    walked = []
    while page:
        walked += page
        page = store.changes(walked[-1].seq, 2)
    assert [c.seq for c in walked] == [c.seq for c in store.changes(early)]


def test_a_load_of_images_and_those_who_read_images_wait_for_nobody(store: Store, url: str) -> None:
    def publish(layer: str, colours: Sequence[tuple[int, ...]]) -> Texture:
        made = Texture.of(image(colours), "image/png")
        rows = [row("a", square(25, 60), **{MESH: textured(box(25, 60), made.sha).to_bytes()})]
        load(store, spec(layer), rows, textures=[made])
        return made

    first = publish("houses", QUARTERS)
    with psycopg.connect(url) as reader:
        reader.execute("SELECT data FROM city.twin_textures")
        loads = threading.Thread(target=publish, args=("sheds", QUARTERS[::-1]), daemon=True)
        loads.start()
        loads.join(10)
        waits = loads.is_alive()
        reader.rollback()
        loads.join()
    assert not waits
    assert store.texture("houses", first.sha) == first

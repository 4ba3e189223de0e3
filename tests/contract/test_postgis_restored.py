"""A restored database must never give a stale 304: its epoch is a new one, however it was restored."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
import pytest

from layers.batch import MESH
from layers.errors import BadParameter, ReadOnly, Unavailable
from layers.mesh import Mesh
from layers.query import Query
from layers.store import postgis
from layers.store.base import Store
from layers.store.database import Database, Registered
from layers.store.open import open_store
from layers.store.postgis import repair
from layers.store.postgis.ddl import DdlTarget
from layers.store.postgis.listen import LOOK_S
from tests.postgres import Cluster, binaries, private
from tests.storing import fids, grid, load, one, spec
from tests.support import until
from tiles.snapshots import Columns


def edited(url: str, folder: Path) -> tuple[str, int]:
    """A city with one edit, closed; its epoch and newest number."""
    store = open_store(folder, Database(url))
    body = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]], np.uint32), np.zeros(1, np.uint8)).to_bytes()
    load(store, spec(), [{**row, MESH: body if n == 2 else None} for n, row in enumerate(grid(3))])
    store.patch("buildings", 1, {"properties": {"levels": 50}})
    known = store.epoch, store.seq()
    store.close()
    return known


def name(url: str) -> str:
    return url.rsplit("/", 1)[1]


def test_opened_again_the_epoch_stays(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    known = edited(url, tmp_path)
    for folder in (tmp_path, tmp_path / "another"):
        store = open_store(folder, Database(url))
        assert (store.epoch, store.seq()) == known
        store.close()


def test_a_copy_made_from_a_template(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    known = edited(url, tmp_path)
    file = tmp_path / "buildings.cols"
    with closing(open_store(tmp_path, Database(url))) as store:
        Columns(store, "buildings", file).snapshot()
    with postgres.connect("postgres") as con:
        con.execute(f"CREATE DATABASE {name(url)}_copy TEMPLATE {name(url)}")
    copy = open_store(tmp_path / "copy", Database(f"{url}_copy"))
    columns = Columns(copy, "buildings", file)  # a copy has the history that they were made from
    assert (len(columns.snapshot().fids), columns.builds) == (3, 0)
    assert copy.epoch != known[0]
    assert copy.seq() == known[1]
    assert one(copy, 1)["properties"]["levels"] == 50
    copy.patch("buildings", 1, {"properties": {"levels": 51}})  # the triggers of the copy are its own
    assert copy.changes(known[1])[-1].fid == 1
    copy.close()
    store = open_store(tmp_path, Database(url))
    assert store.epoch == known[0]
    store.close()


def test_a_dump_restored_elsewhere_and_in_place(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    known = edited(url, tmp_path)
    tools = binaries()
    assert tools is not None
    dump = tmp_path / "city.dump"
    subprocess.run([tools / "pg_dump", "-Fc", "-f", dump, url], check=True, capture_output=True)
    other = postgres.database()
    subprocess.run([tools / "pg_restore", "-d", other, dump], check=False, capture_output=True)
    restored = open_store(tmp_path / "other", Database(other))
    assert restored.epoch != known[0]
    assert fids(restored) == [1, 2, 3]
    assert list(restored.rows("buildings", meshes=True).meshes) == [3]
    seq = restored.seq()  # the tables are others: each layer was looked at and logged as a whole
    assert restored.patch("buildings", 2, {"properties": {"levels": 3}}) == seq + 1
    restored.close()

    store = open_store(tmp_path, Database(url))  # open while its own schema is put back
    store.patch("buildings", 1, {"properties": {"levels": 60}})
    assert store.epoch == known[0]
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("DROP SCHEMA city CASCADE")
        with pytest.raises(Unavailable):
            store.seq()
        with pytest.raises(Unavailable):
            store.item("buildings", 1)
        con.execute("CREATE SCHEMA city")
    subprocess.run([tools / "pg_restore", "-d", url, "-n", "city", dump], check=True, capture_output=True)
    assert one(store, 1)["properties"]["levels"] == 50
    assert store.epoch != known[0]
    assert list(store.rows("buildings", meshes=True).meshes) == [3]
    store.patch("buildings", 1, {"properties": {"levels": 61}})
    assert one(store, 1)["properties"]["levels"] == 61
    store.close()


def test_a_city_is_left_alone_until_all_of_it_is_restored(postgres: Cluster, tmp_path: Path) -> None:
    """Tables that pg_restore has made and filled get their indexes and triggers from it: whoever makes them
    before makes it fail, and what is read, or edited, of some layers is not what was dumped."""
    url = postgres.database()
    known = edited(url, tmp_path)
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("CREATE VIEW wells AS SELECT 1 AS fid, ST_SetSRID(ST_Point(25, 60), 4326) AS geom")
    store = open_store(tmp_path, Database(url, tables={"wells": Registered("wells", fid="fid", refresh=1)}))
    assert fids(store, "wells") == [1]
    dump, tools = tmp_path / "city.dump", binaries()
    assert tools is not None
    subprocess.run([tools / "pg_dump", "-Fc", "-n", "city", "-f", dump, url], check=True)

    def restore(section: str) -> None:
        subprocess.run([tools / "pg_restore", "-d", url, f"--section={section}", dump], check=True)

    def refuses() -> None:
        calls = (
            store.seq,
            lambda: store.item("buildings", 1),
            lambda: store.revision("buildings", 1),
            lambda: store.items("buildings", Query()),
            lambda: store.rows("buildings"),
            lambda: list(store.scan("buildings", Query())),
            lambda: store.layer("wells"),
            lambda: store.patch("buildings", 1, {"properties": {"levels": 60}}),
            lambda: open_store(tmp_path, Database(url)),
        )
        for call in calls:
            with pytest.raises(Unavailable, match="being restored"):
                call()

    with psycopg.connect(url, autocommit=True) as con:
        con.execute("DROP SCHEMA city CASCADE")
        restore("pre-data")
        refuses()
        restore("data")
        refuses()
        with pytest.raises(Unavailable, match="being restored"):
            repair.repair(DdlTarget(con, "city", "public"), ["buildings"])
        # what nobody asks for: the thread that looks at the tables, and the one that reads the view again
        con.execute("UPDATE city.twin_refresh SET due = '-infinity'")
        time.sleep(2 * LOOK_S)
        assert con.execute("SELECT due = '-infinity' FROM city.twin_refresh").fetchone() == (True,)
        made = (
            "SELECT (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
            " WHERE c.relnamespace = 'city'::regnamespace) + (SELECT count(*) FROM pg_trigger t"
            " JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'city'::regnamespace)"
        )
        assert con.execute(made).fetchone() == (0,)
        assert con.execute("SELECT epoch FROM city.twin_meta").fetchone() == (known[0],)
    restore("post-data")
    assert one(store, 1)["properties"]["levels"] == 50
    assert store.epoch != known[0]
    assert list(store.rows("buildings", meshes=True).meshes) == [3]
    until(lambda: fids(store, "wells") == [1], what="the view")
    since = store.seq()
    assert store.patch("buildings", 1, {"properties": {"levels": 61}}) == since + 1
    store.close()


def test_a_city_of_before_is_told_apart_when_it_is_restored_from_its_next_opening_on(
    postgres: Cluster, tmp_path: Path
) -> None:
    url = postgres.database()
    known = edited(url, tmp_path)
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("DROP MATERIALIZED VIEW city.twin_complete")
        for _ in range(2):
            store = open_store(tmp_path, Database(url))
            assert (store.epoch, store.seq()) == known
            store.close()
            whole = con.execute("SELECT complete FROM city.twin_complete").fetchall()
            assert whole == [(True,)]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that the test may stop, and whose files it may put back."""
    with private() as cluster:
        yield cluster


def test_files_put_back_while_a_server_is_open_and_while_it_is_not(own: Cluster, tmp_path: Path) -> None:
    url = own.database()
    known = edited(url, tmp_path)
    store: Store = open_store(tmp_path, Database(url))
    data, copy = own.folder / "data", own.folder / "copy"
    own.down()
    shutil.copytree(data, copy)
    own.up()
    store.patch("buildings", 1, {"properties": {"levels": 70}})
    later = store.epoch, store.seq()
    assert later == (known[0], known[1] + 1)

    def put_back() -> None:
        own.down()
        shutil.rmtree(data)
        shutil.copytree(copy, data)
        subprocess.run(["chown", "-R", f"--reference={own.folder}", data], check=True)
        data.chmod(0o700)
        own.up()

    put_back()
    until(lambda: answers(store), what="the server to be back")
    assert one(store, 1)["properties"]["levels"] == 50
    assert store.epoch != known[0]
    assert store.seq() == known[1]
    epoch = store.epoch
    store.patch("buildings", 1, {"properties": {"levels": 71}})
    assert (store.epoch, store.seq()) == (epoch, later[1])
    store.close()
    put_back()
    store = open_store(tmp_path, Database(url))
    assert store.epoch not in (known[0], epoch)
    assert one(store, 1)["properties"]["levels"] == 50
    store.close()


def test_a_standby_is_refused_and_when_promoted_has_a_new_epoch(own: Cluster, tmp_path: Path) -> None:
    """What it had not yet received is lost: the same number may have stood for something else."""
    url = own.database()
    known = edited(url, tmp_path)
    standby = own.copy()
    try:
        there = standby.url(name(url))
        with pytest.raises(Unavailable, match="standby"):
            open_store(tmp_path / "other", Database(there))
        with pytest.raises(BadParameter, match=r"store\.read_url=…: leads to a standby"):
            open_store(tmp_path / "other", Database(url, read_url=there))
        own.down()
        with standby.connect("postgres") as con:
            assert con.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)
        store = open_store(tmp_path / "other", Database(there))
        assert store.epoch != known[0]
        assert store.patch("buildings", 1, {"properties": {"levels": 51}}) > known[1]
        store.close()
    finally:
        standby.close()


def test_reads_that_would_go_to_another_database_are_refused(postgres: Cluster, tmp_path: Path) -> None:
    url, other = postgres.database(), postgres.database()
    with pytest.raises(BadParameter, match=r"store\.read_url=…: leads to another database than store.url"):
        open_store(tmp_path / "a", Database(url, read_url=other))
    open_store(tmp_path / "b", Database(other)).close()  # a city of the same schema is there, too
    with pytest.raises(BadParameter, match="another database"):
        open_store(tmp_path / "a", Database(url, read_url=other))
    store = open_store(tmp_path / "a", Database(url, read_url=url))
    assert store.seq() == 0
    store.close()


def answers(store: Store) -> bool:
    try:
        store.seq()
    except Unavailable:
        return False
    return True


def test_three_open_a_new_database_at_once(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    start, made = threading.Barrier(3), list[Store]()

    def begin(number: int) -> None:
        start.wait(10)
        made.append(open_store(tmp_path / str(number), Database(url)))

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({store.epoch for store in made}) == 1
    assert len(made) == 3
    load(made[0], spec(), grid(2))
    assert [s.layer("buildings").count for s in made] == [2, 2, 2]
    for store in made:
        store.close()


def test_a_store_for_reading_gives_no_epoch_and_puts_nothing_in_order(
    postgres: Cluster, tmp_path: Path
) -> None:
    """Not even by a role that may write: a notebook beside no server, on a copy of the database."""
    url = postgres.database()
    edited(url, tmp_path)
    with postgres.connect("postgres") as con:
        con.execute(f"CREATE DATABASE {name(url)}_copy TEMPLATE {name(url)}")
    mark = tmp_path / "derived/shown.json"
    store = postgis.open(Database(f"{url}_copy"), mark, read_only=True)

    def kept() -> list[tuple[object, ...]]:
        with postgres.connect(f"{name(url)}_copy") as con:
            found = [con.execute("SELECT * FROM city.twin_meta").fetchall()]
            found.append(con.execute("SELECT seq, fid FROM city.twin_changes ORDER BY seq").fetchall())
            return [*found[0], *found[1]]

    before = kept()
    assert one(store, 1)["properties"]["levels"] == 50
    with postgres.connect(f"{name(url)}_copy") as con:
        con.execute("ALTER TABLE city.buildings DISABLE TRIGGER USER")
        con.execute("UPDATE city.buildings SET levels = 7 WHERE fid = 1")
        con.execute("ALTER TABLE city.buildings RENAME TO gone")
    with pytest.raises(Unavailable, match="buildings"):
        one(store, 1)
    with postgres.connect(f"{name(url)}_copy") as con:
        con.execute("ALTER TABLE city.gone RENAME TO buildings")
    assert one(store, 1)["properties"]["levels"] == 7
    for write in (
        lambda: store.patch("buildings", 1, {"properties": {"levels": 8}}),
        lambda: store.drop("buildings"),
        lambda: store.stage(spec("more")),
    ):
        with pytest.raises(ReadOnly, match="for reading alone"):
            write()
    # the whole city is put back under it, as a new one with the same name
    with postgres.connect(f"{name(url)}_copy") as con:
        con.execute("ALTER SCHEMA city RENAME TO former")
    with pytest.raises(Unavailable):
        one(store, 1)
    with postgres.connect(f"{name(url)}_copy") as con:
        con.execute("ALTER SCHEMA former RENAME TO city")
    assert one(store, 1)["properties"]["levels"] == 7
    store.close()
    assert kept() == before
    assert not mark.exists()

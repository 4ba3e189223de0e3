"""A lost, restarting, frozen or full database: an answer within 2 s, and recovery without a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from layers.errors import BadParameter, Busy, ReadOnly, TwinError, Unavailable
from layers.query import Query
from layers.store.base import Store
from layers.store.database import Database
from layers.store.open import open_store
from layers.store.postgis.pool import Guard, Pool
from tests.postgres import Cluster, private
from tests.storing import batch, features, grid, load, one, row, spec, square
from tests.support import until

WITHIN_S = 2.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of this module's own, to be stopped and frozen."""
    with private() as made:
        yield made


@pytest.fixture
def database(cluster: Cluster) -> Database:
    return Database(cluster.database())


@pytest.fixture
def store(database: Database, tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path, database)
    load(made, spec(), grid(10))
    yield made
    made.close()


def calls(store: Store) -> list[Callable[[], object]]:
    """Every kind of call."""
    return [
        store.seq,
        lambda: store.item("buildings", 1),
        lambda: store.items("buildings", Query()),
        lambda: store.layer("buildings"),
        lambda: store.rows("buildings"),
        lambda: store.revision("buildings", 1),
        lambda: next(store.scan("buildings", Query(limit=None))),
        lambda: store.patch("buildings", 1, {"properties": {"levels": 5}}),
        lambda: store.stage(spec("new")),
    ]


def refused(call: Callable[[], object]) -> float:
    """Seconds until the call is refused as it must be."""
    began = time.monotonic()
    with pytest.raises(Unavailable):
        call()
    return time.monotonic() - began


def back(store: Store) -> bool:
    try:
        return store.item("buildings", 1).fid == 1
    except Unavailable:
        return False


def test_a_crash_and_a_restart(store: Store, cluster: Cluster) -> None:
    one(store, 1)
    cluster.down(crash=True)
    for call in calls(store):
        assert refused(call) < WITHIN_S
    cluster.up()
    until(lambda: back(store), seconds=5, what="recovery")
    since = store.seq()
    revision = store.patch("buildings", 1, {"properties": {"levels": 5}})
    assert revision > since
    assert store.wait(revision - 1, 5) >= revision


def test_connections_that_were_cut_are_replaced_unnoticed(store: Store, database: Database) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: one(store, 1), range(60)))
    for _ in range(3):
        with psycopg.connect(database.url) as con:
            con.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with ThreadPoolExecutor(6) as pool:
            assert all(f["id"] == 1 for f in pool.map(lambda _: one(store, 1), range(30)))
    store.patch("buildings", 1, {"properties": {"levels": 5}})


def test_a_frozen_server(store: Store, cluster: Cluster) -> None:
    """It is there, TCP takes what is sent, and nothing answers."""
    for call in calls(store)[:6]:
        call()
    cluster.freeze(True)
    try:
        with ThreadPoolExecutor(len(calls(store))) as pool:
            assert max(pool.map(refused, calls(store))) < WITHIN_S + 0.2
        for call in calls(store):
            assert refused(call) < WITHIN_S
    finally:
        cluster.freeze(False)
    until(lambda: back(store), seconds=5, what="recovery")
    until(lambda: store.patch("buildings", 1, {"properties": {"levels": 6}}), what="a write")


def test_opening_without_a_server(cluster: Cluster, database: Database, tmp_path: Path) -> None:
    port = database.url.replace(f":{cluster.port}", ":1")
    began = time.monotonic()
    with pytest.raises(Unavailable):
        open_store(tmp_path, Database(port))
    assert time.monotonic() - began < WITHIN_S
    secret = port.replace("twin@", "twin:geheim@")
    with pytest.raises(TwinError) as raised:
        open_store(tmp_path, Database(secret))
    assert "geheim" not in str(raised.value)
    for wrong in (Database("postgresql://[", schema="a"), Database(database.url, schema="A b")):
        with pytest.raises(BadParameter):
            open_store(tmp_path, wrong)


def test_a_query_over_time_is_busy(database: Database, tmp_path: Path) -> None:
    import dataclasses

    store = open_store(tmp_path, dataclasses.replace(database, read_seconds=0.15))
    load(store, spec(), [row(f"b{i}", square(25, 60), name="x" * 2000) for i in range(4000)])
    with pytest.raises(Busy):
        [store.items("buildings", Query(words=("not there",), limit=1)) for _ in range(50)]
    assert sum(len(r.fids) for r in store.scan("buildings", Query(limit=None))) == 4000
    store.close()


def test_more_callers_than_connections(database: Database, tmp_path: Path) -> None:
    import dataclasses

    store = open_store(tmp_path, dataclasses.replace(database, readers=1, wait_seconds=0.3))
    load(store, spec(), grid(3))
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with store._sessions.reading():  # type: ignore[attr-defined]
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(5)
    began = time.monotonic()
    with pytest.raises(Busy):
        store.item("buildings", 1)
    assert time.monotonic() - began < 1.5
    leave.set()
    holder.join(5)
    assert one(store, 1)["id"] == 1
    store.close()


def test_a_role_that_only_reads(cluster: Cluster, database: Database, tmp_path: Path) -> None:
    import dataclasses

    name = database.url.rsplit("/", 1)[1]
    with cluster.connect(name) as con:
        con.execute(f"CREATE ROLE reader_{name} LOGIN")
        con.execute(f"CREATE ROLE stranger_{name} LOGIN")
    both = dataclasses.replace(database, read_url=cluster.url(name, f"reader_{name}"))
    store = open_store(tmp_path, both)
    load(store, spec(), grid(3))
    load(store, spec("later"), grid(2))
    with store._sessions.reading() as reading:  # type: ignore[attr-defined]
        assert reading.execute("SELECT current_user").fetchone() == (f"reader_{name}",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reading.execute("DELETE FROM city.buildings")
    assert len(features(store)) == 3
    assert store.layer("later").count == 2
    store.patch("buildings", 1, {"properties": {"levels": 5}})
    assert one(store, 1)["properties"]["levels"] == 5
    store.close()
    alone = Database(cluster.url(name, f"reader_{name}"))
    with pytest.raises((ReadOnly, Unavailable)):
        open_store(tmp_path, alone)
    with pytest.raises((ReadOnly, Unavailable)):
        open_store(tmp_path, Database(cluster.url(name, f"stranger_{name}")))


def test_an_abandoned_stage_is_removed(store: Store, database: Database, tmp_path: Path) -> None:
    stage, kept = store.stage(spec("lost")), store.stage(spec("kept"))
    stage.add(batch(grid(3)))
    kept.add(batch(grid(2)))
    # each has a table of rows and one of textures
    stages = "SELECT count(*) FROM pg_tables WHERE tablename ~ '^twin_stage_'"
    with psycopg.connect(database.url, autocommit=True) as con:
        assert con.execute(stages).fetchone() == (4,)
        pid = stage.con.info.backend_pid  # type: ignore[attr-defined]
        con.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        open_store(tmp_path / "other", database).close()
        assert con.execute(stages).fetchone() == (2,)
    assert store.publish(kept, mode="create").created == 2
    stage.drop()


def test_a_scan_is_of_one_moment_and_waits_for_nobody(store: Store, database: Database) -> None:
    batches = store.scan("buildings", Query(limit=None), size=3)
    first = next(batches)
    store.patch("buildings", 9, {"properties": {"name": "later"}})
    load(store, spec(), grid(4))
    names = [*first.properties["name"], *(n for rows in batches for n in rows.properties["name"])]
    assert names == [f"house {i}" for i in range(10)]
    abandoned = store.scan("buildings", Query(limit=None), size=1)
    next(abandoned)
    abandoned.close()
    open_ = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    with psycopg.connect(database.url, autocommit=True) as con:
        until(lambda: con.execute(open_).fetchone() == (0,), what="the transaction to end")


def test_a_connection_that_is_ended_while_it_is_made_costs_no_call(database: Database) -> None:
    """By an administrator or a proxy: the server is there, and is not taken for lost."""
    ended: list[bool] = []

    def setup(con: psycopg.Connection[tuple[object, ...]]) -> None:
        if not ended:
            ended.append(True)
            con.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    guard = Guard(database.url, lambda con: None)
    pool = Pool(database.url, 1, 1.0, setup, guard)
    try:
        with pool.connection(None) as con:
            assert con.execute("SELECT 1").fetchone() == (1,)
    finally:
        pool.close()
        guard.close()
    assert ended


SLOW = "SELECT pg_sleep(3)"


def _lasting(guard: Guard, url: str) -> None:
    """A call that lasts longer than two probes do, and must come to its end."""
    with psycopg.connect(url, autocommit=True) as con, guard.watched(con, None):
        con.execute(SLOW)


def test_one_connection_that_takes_long_is_no_lost_server(database: Database) -> None:
    """On a busy machine: the guard's first probe finds nothing, its second does."""
    entered: list[int] = []
    second = threading.Event()

    def setup(con: psycopg.Connection[tuple[object, ...]]) -> None:
        entered.append(len(entered))
        if entered[-1]:
            second.set()
        elif not second.wait(10):
            raise AssertionError("nobody asked again")

    guard = Guard(database.url, setup)
    try:
        _lasting(guard, database.url)
    finally:
        guard.close()
    assert entered == [0, 1]


@pytest.mark.parametrize("error", [psycopg.errors.DiskFull, psycopg.errors.TooManyConnections])
def test_a_server_that_refuses_is_there(database: Database, error: type[psycopg.Error]) -> None:
    refused: list[bool] = []

    def setup(con: psycopg.Connection[tuple[object, ...]]) -> None:
        refused.append(True)
        raise error

    guard = Guard(database.url, setup)
    try:
        _lasting(guard, database.url)
    finally:
        guard.close()
    assert len(refused) > 1


def test_a_server_that_answers_others_is_there(database: Database) -> None:
    """Nobody gets a new connection, but what has one is answered."""
    leave, done = threading.Event(), threading.Event()
    guard = Guard(database.url, lambda con: leave.wait(20) and None)

    def ask() -> None:
        with psycopg.connect(database.url, autocommit=True) as con:
            while not done.wait(0.05):
                with guard.watched(con, None):
                    con.execute("SELECT 1")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        _lasting(guard, database.url)
        done.set()
        asking.join(5)
        with pytest.raises(Unavailable):  # now it answers nobody
            _lasting(guard, database.url)
    finally:
        done.set()
        leave.set()
        guard.close()

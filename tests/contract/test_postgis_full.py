"""A database whose disk gets full in the middle of an edit, a load, an undo or of pruning: nothing of it is
there, what was is what it was, and with room again it goes on."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from layers import undo
from layers.errors import Unavailable
from layers.model import Author, Operation
from layers.store.base import Store
from layers.store.database import Database
from layers.store.history import Retention
from layers.store.open import open_store
from layers.store.postgis import pruning
from layers.store.postgis.store import PostgisStore
from tests.postgres import TEMPLATE, Cluster
from tests.storing import features, grid, load, spec

ROWS, LONG = 300, 2_000


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def full(self) -> Iterator[None]:
        """Without a byte that is free."""
        try:
            self.fill()
            yield
        finally:
            self._filler.unlink()

    def fill(self) -> None:
        """Take what is free, also what became free meanwhile."""
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"


@pytest.fixture
def disk() -> Iterator[Disk]:
    folder = Path(tempfile.mkdtemp(prefix="twin-small-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("no file system can be mounted here")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def database(postgres: Cluster, disk: Disk) -> Iterator[Database]:
    """A database on that disk; the log of its cluster is elsewhere."""
    folder = disk.folder / "space"
    folder.mkdir()
    owner = (postgres.folder / "data").stat()
    shutil.chown(disk.folder, owner.st_uid, owner.st_gid)
    shutil.chown(folder, owner.st_uid, owner.st_gid)
    with postgres.connect("postgres") as con:
        con.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        con.execute(f"CREATE DATABASE small TEMPLATE {TEMPLATE} TABLESPACE small")
        # it would make room in tables of what was refused
        con.execute("ALTER SYSTEM SET autovacuum = off")
        con.execute("SELECT pg_reload_conf()")
        yield Database(postgres.url("small"), schema="city")
        con.execute("ALTER SYSTEM RESET autovacuum")
        con.execute("SELECT pg_reload_conf()")
        con.execute("DROP DATABASE small WITH (FORCE)")
        con.execute("DROP TABLESPACE small")


def rows(seed: int) -> list[dict[str, Any]]:
    """Rows whose names are long, and cannot be compressed."""
    chance = Random(seed)
    return [{**one, "name": chance.randbytes(LONG // 2).hex()} for one in grid(ROWS)]


def state(store: Store, past: int) -> Any:
    """What is there now, and what was."""
    return store.seq(), features(store), features(store.as_of(past)), store.change_sets()  # type: ignore[arg-type]


def _refused(store: Store, act: Callable[[], object], before: object) -> str:
    """How an act is refused, which leaves nothing."""
    with pytest.raises(Unavailable) as refused:
        act()
    assert state(store, 1) == before
    return str(refused.value)


def test_a_full_disk_leaves_nothing(database: Database, disk: Disk, tmp_path: Path) -> None:
    store = open_store(tmp_path, database)
    assert isinstance(store, PostgisStore)
    load(store, spec(), rows(1))
    load(store, spec(), rows(2))
    plan = undo.of_set(store, store.change_sets(limit=1)[0].id)
    names = [one["properties"]["name"] for one in features(store.as_of(1))]  # type: ignore[arg-type]
    before = state(store, 1)
    body = {"type": "Feature", "geometry": None, "properties": {"name": "n"}}
    edits = [
        Operation(kind="create", layer="buildings", body={**body, "properties": {"name": one["name"]}})
        for one in rows(3)
    ]
    with disk.full():
        for act in (
            lambda: undo.apply(store, plan, Author()),
            lambda: store.transact(edits, atomic=True),
            lambda: store.transact(edits, atomic=False),
            lambda: load(store, spec(), rows(4)),
        ):
            disk.fill()
            assert "full" in _refused(store, act, before)
    undo.apply(store, plan, Author())
    assert [one["properties"]["name"] for one in features(store)] == names
    assert features(store.as_of(before[0])) == before[1]  # type: ignore[arg-type]
    store.close()


def test_a_full_disk_while_old_rows_go(database: Database, disk: Disk, tmp_path: Path) -> None:
    store = open_store(tmp_path, database, history=Retention(days=1e-9))
    assert isinstance(store, PostgisStore)
    load(store, spec(), rows(1))
    load(store, spec(), rows(2))
    then, now = features(store.as_of(1)), features(store)  # type: ignore[arg-type]

    def prune() -> None:
        with store._sessions.writing() as con:
            while pruning.prune(store._catalogue.place(con)):
                pass

    with disk.full():
        with suppress(Unavailable):
            prune()
        whole = store.kept("buildings").seq <= 1  # either nothing of it went, or it is no longer told
        assert not whole or features(store.as_of(1)) == then  # type: ignore[arg-type]
        assert features(store) == now
    prune()
    assert store.kept("buildings").seq == store.seq()
    assert features(store) == now
    store.close()

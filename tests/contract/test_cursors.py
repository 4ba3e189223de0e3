"""How far somebody has come in the change log is kept, and is one process's to move."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from layers.errors import Busy, ReadOnly, Unavailable
from layers.store.base import Store
from layers.store.cursors import FileCursors
from layers.store.database import Database
from layers.store.open import open_store
from tests.postgres import Cluster
from tests.support import until


def test_a_cursor_outlives_the_store(opener: Callable[[], Store]):
    store = opener()
    cursors = store.cursors()
    assert cursors.hold("crm")
    assert cursors.get("crm") is None
    cursors.put("crm", "e-1")
    assert cursors.hold("other")
    cursors.put("other", "e-2")
    cursors.put("crm", "e-3")
    cursors.close()
    store.close()
    again = opener().cursors()
    assert again.hold("crm")
    assert (again.get("crm"), again.get("other")) == ("e-3", "e-2")
    again.close()


def test_of_two_servers_at_a_database_one_holds_a_name(postgres: Cluster, tmp_path: Path):
    database = Database(postgres.database())
    stores = [open_store(tmp_path / name, database) for name in ("one", "two")]
    one, two = (store.cursors() for store in stores)
    try:
        assert one.hold("crm")
        assert one.hold("crm")
        assert not two.hold("crm")
        assert two.hold("gis")
        one.put("crm", "e-5")
        one.close()
        until(lambda: two.hold("crm"), what="the name that was given back")
        assert two.get("crm") == "e-5"
    finally:
        for cursors in (one, two):
            cursors.close()
        for store in stores:
            store.close()


def test_a_name_is_lost_with_its_connection(postgres: Cluster, tmp_path: Path):
    url = postgres.database()
    stores = [open_store(tmp_path / name, Database(url)) for name in ("one", "two")]
    one, two = (store.cursors() for store in stores)
    try:
        assert one.hold("crm")
        with postgres.connect(url.rsplit("/", 1)[1]) as con:
            held = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            assert con.execute(held).fetchall() == [(True,)]
        until(lambda: two.hold("crm"), what="the name that was lost")
        with pytest.raises(Unavailable):
            one.hold("crm")
        with pytest.raises(Busy):  # on the connection that is made then
            one.put("crm", "e-5")
        assert not one.hold("crm")
        assert two.get("crm") is None
    finally:
        for cursors in (one, two):
            cursors.close()
        for store in stores:
            store.close()


def test_servers_that_begin_at_once_make_one_table(postgres: Cluster, tmp_path: Path):
    with closing(open_store(tmp_path, Database(postgres.database()))) as store:
        many = [store.cursors() for _ in range(8)]
        with ThreadPoolExecutor(8) as threads:
            held = list(threads.map(lambda cursors: cursors.hold("crm"), many))
        assert held.count(True) == 1
        for cursors in many:
            cursors.close()


@pytest.mark.parametrize("text", ["{", "[]", '{"crm": 1}'])
def test_a_damaged_file_is_told_and_not_written_over(tmp_path: Path, text: str):
    path = tmp_path / "cursors.json"
    path.write_text(text)
    cursors = FileCursors(path)
    for call in (lambda: cursors.get("crm"), lambda: cursors.put("crm", "e-1")):
        with pytest.raises(Unavailable, match=r"cursors\.json"):
            call()
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    cursors = FileCursors(tmp_path / "absent" / "cursors.json")
    with pytest.raises(ReadOnly):
        cursors.put("crm", "e-1")
    assert cursors.get("crm") is None

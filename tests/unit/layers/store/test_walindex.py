"""The WAL-index header: equal bytes mean that nobody committed."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from layers.store.geopackage import walindex


def database(folder: Path) -> tuple[Path, sqlite3.Connection]:
    path = folder / "a.gpkg"
    con = sqlite3.connect(path, isolation_level=None)
    con.execute("PRAGMA journal_mode=WAL")
    con.execute("CREATE TABLE t (x)")
    return path, con


def elsewhere(path: Path, sql: str) -> None:
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit(); c.close()"
    )
    subprocess.run([sys.executable, "-c", code, str(path), sql], check=True)


def test_every_commit_of_every_process_is_seen(tmp_path):
    path, con = database(tmp_path)
    index = walindex.find(path)
    assert index is not None
    seen = {index.header()}
    con.execute("INSERT INTO t VALUES (1)")
    seen.add(index.header())
    elsewhere(path, "INSERT INTO t VALUES (2)")
    seen.add(index.header())
    elsewhere(path, "CREATE TABLE u (x)")
    seen.add(index.header())
    assert len(seen) == 4
    con.close()


def test_reading_rolling_back_and_an_open_transaction_change_nothing(tmp_path):
    path, con = database(tmp_path)
    index = walindex.find(path)
    assert index is not None
    before = index.header()
    con.execute("SELECT * FROM t").fetchall()
    elsewhere(path, "SELECT count(*) FROM t")
    con.execute("BEGIN IMMEDIATE")
    con.execute("INSERT INTO t VALUES (1)")
    assert index.header() == before
    con.execute("ROLLBACK")
    assert index.header() == before
    con.close()


def test_a_commit_after_a_checkpoint_that_reset_the_log_is_seen(tmp_path):
    path, con = database(tmp_path)
    index = walindex.find(path)
    assert index is not None
    seen = [index.header()]
    for value in range(5):
        con.execute("INSERT INTO t VALUES (?)", (value,))
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        seen.append(index.header())
    assert len(set(seen)) == 6
    con.close()


def test_a_database_that_is_not_open_here_or_has_no_index_gives_none(tmp_path):
    assert walindex.find(tmp_path / "nowhere.gpkg") is None
    path = tmp_path / "b.gpkg"
    con = sqlite3.connect(path)
    con.execute("CREATE TABLE t (x)")
    con.commit()
    assert walindex.find(path) is None
    con.close()

"""City folders for the figures: the town on either store, and Helsinki."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg

from layers.store.database import Database
from layers.store.open import open_store
from tests.bench.data import Town
from tests.support import HELSINKI, init, twin


def town(folder: Path, of: Town, database: str | None = None, kind: str = "feature") -> Path:
    """A city with the town in it, in its folder or in a database. What is there already is kept."""
    if folder.exists():
        return folder
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    init(making, database)
    store = open_store(making, Database(database) if database else None)
    try:
        of.load(store, kind)
    finally:
        store.close()
    if database:
        settle(database)
    return making.rename(folder)


def settle(database: str) -> None:
    """What autovacuum does within minutes of a load, done now: peers and we are measured at rest."""
    with psycopg.connect(database, autocommit=True) as con:
        con.execute("VACUUM ANALYZE")


def helsinki(folder: Path) -> Path:
    """The demo city, loaded by the command line."""
    twin("init", str(folder))
    shutil.copy(HELSINKI / "city.yml", folder / "city.yml")
    twin("load", "--manifest", str(HELSINKI / "load.yml"), "--city", str(folder))
    return folder

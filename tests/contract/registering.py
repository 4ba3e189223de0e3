"""Tables of other programs for the tests of what is registered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from layers.store.base import Store
from layers.store.database import Database, Registered
from layers.store.open import open_store
from tests.postgres import Cluster


class Foreign:
    """A database of another program, and the stores that were opened on it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.name = url, url.rsplit("/", 1)[1]
        self.folder = folder
        self._stores: list[Store] = []

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """SQL of the other program; the rows of its last statement."""
        with psycopg.connect(self.url, autocommit=True) as con:
            cursor = con.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def open(self, *names: str, url: str | None = None, **tables: Registered) -> Store:
        """A store on tables of the schema ``public`` by their names, and on others as they are said."""
        given: Mapping[str, Registered] = {name: Registered(name) for name in names} | tables
        self._stores.append(open_store(self.folder, Database(url or self.url, tables=given)))
        return self._stores[-1]

    def close(self) -> None:
        for store in self._stores:
            store.close()


@pytest.fixture
def foreign(postgres: Cluster, tmp_path: Path) -> Iterator[Foreign]:
    """A new database."""
    made = Foreign(postgres.database(), tmp_path)
    yield made
    made.close()


def point(lon: float = 25.0, lat: float = 60.0) -> str:
    """SQL of a point."""
    return f"ST_SetSRID(ST_Point({lon}, {lat}), 4326)"

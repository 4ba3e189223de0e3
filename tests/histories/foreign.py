"""Another program that writes to a store: SQL through sqlite3 (with the ST_ functions that GDAL brings) or
psycopg, a transaction each; nothing of ours knows of it."""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import psycopg
import shapely

from layers.store.database import Database
from layers.store.geopackage import blob
from layers.store.geopackage.connection import register
from layers.store.postgis.schema import short


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class Hand(ABC):
    """One program. Statements run in the transaction of the innermost ``transaction()``; ``types`` are its
    column types by those of fields."""

    types: Mapping[str, str]

    @abstractmethod
    def transaction(self, *, kept: bool = True) -> Any:
        """A context: what is done inside is committed at its end, or rolled back where not ``kept``."""

    @abstractmethod
    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """A statement with ``?`` for values; its rows."""

    @abstractmethod
    def table(self, layer: str) -> str:
        """The quoted table of a layer."""

    @abstractmethod
    def column(self, name: str) -> str:
        """The quoted column of a field."""

    @abstractmethod
    def value(self, kind: str, value: Any) -> Any:
        """A value of a field's type as the program binds it."""

    @abstractmethod
    def shape(self, wkb: bytes | None) -> tuple[str, Any]:
        """SQL and value of a geometry."""

    @abstractmethod
    def put(self, layer: str, fid: int, wkb: bytes, values: Mapping[str, tuple[str, Any]]) -> bool:
        """Write a feature over another one of that fid; whether values that are not named stay."""

    def update(self, layer: str, fids: Sequence[int], name: str, kind: str, value: Any) -> None:
        """Set a field of some features in one statement."""
        marks = ",".join("?" * len(fids))
        sql = f"UPDATE {self.table(layer)} SET {self.column(name)} = ? WHERE fid IN ({marks})"
        self.run(sql, [self.value(kind, value), *fids])

    def move(self, layer: str, fid: int, wkb: bytes | None) -> None:
        """Give a feature another geometry."""
        sql, value = self.shape(wkb)
        self.run(f"UPDATE {self.table(layer)} SET geom = {sql} WHERE fid = ?", [value, fid])

    def insert(
        self,
        layer: str,
        wkb: bytes | None,
        values: Mapping[str, tuple[str, Any]],
        fid: int | None = None,
        how: str = "",
        then: str = "",
    ) -> int:
        """A new feature; values are (type, value) by field. Its fid."""
        sql, shape = self.shape(wkb)
        names = "".join(f", {self.column(name)}" for name in values)
        bound = [shape, *(self.value(*pair) for pair in values.values())]
        marks = sql + ", ?" * len(values)
        if fid is not None:
            names, marks, bound = names + ", fid", marks + ", ?", [*bound, fid]
        sql = f"INSERT {how} INTO {self.table(layer)} (geom{names}) VALUES ({marks}) {then} RETURNING fid"
        return int(self.run(sql, bound)[0][0])

    def delete(self, layer: str, fids: Sequence[int]) -> None:
        """Remove features in one statement."""
        self.run(f"DELETE FROM {self.table(layer)} WHERE fid IN ({','.join('?' * len(fids))})", fids)

    def clear(self, layer: str) -> None:
        """Remove every feature."""
        self.run(f"DELETE FROM {self.table(layer)}")

    def renumber(self, layer: str, fid: int, other: int) -> None:
        """Give a feature another fid."""
        self.run(f"UPDATE {self.table(layer)} SET fid = ? WHERE fid = ?", [other, fid])

    def add_column(self, layer: str, name: str, kind: str) -> None:
        """A field more."""
        self.run(f"ALTER TABLE {self.table(layer)} ADD COLUMN {self.column(name)} {self.types[kind]}")

    def drop_column(self, layer: str, name: str) -> None:
        """A field less."""
        self.run(f"ALTER TABLE {self.table(layer)} DROP COLUMN {self.column(name)}")


def hand_at(folder: Path, database: Database | None) -> Hand:
    """Another program at the city of a folder or database."""
    if database is None:
        return SqliteHand(folder / "city.gpkg")
    return PostgresHand(database.url, database.schema)


class SqliteHand(Hand):
    """A program at the GeoPackage."""

    types: ClassVar = {"string": "TEXT", "integer": "INTEGER", "number": "REAL"}

    def __init__(self, path: Path) -> None:
        self._path = path
        self._con: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self, *, kept: bool = True) -> Iterator[None]:
        self._con = sqlite3.connect(self._path, isolation_level=None, timeout=20)
        register(self._con)
        try:
            self._con.execute("BEGIN IMMEDIATE")
            yield
            self._con.execute("COMMIT" if kept else "ROLLBACK")
        finally:
            self._con.close()
            self._con = None

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        assert self._con is not None
        return self._con.execute(sql, values).fetchall()

    def table(self, layer: str) -> str:
        return quoted(layer)

    def column(self, name: str) -> str:
        return quoted(name)

    def put(self, layer: str, fid: int, wkb: bytes, values: Mapping[str, tuple[str, Any]]) -> bool:
        self.insert(layer, wkb, values, fid, how="OR REPLACE")
        return False

    def value(self, kind: str, value: Any) -> Any:
        if value is None:
            return None
        if kind == "array":
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return int(value) if kind == "boolean" else value

    def shape(self, wkb: bytes | None) -> tuple[str, Any]:
        if wkb is None:
            return "?", None
        one = np.empty(1, dtype=object)
        one[0] = shapely.from_wkb(wkb)
        return "?", blob.encode(one)[0]


class PostgresHand(Hand):
    """A program at the database."""

    types: ClassVar = {"string": "text", "integer": "bigint", "number": "double precision"}

    def __init__(self, url: str, schema: str) -> None:
        self._url, self._schema = url, schema
        self._con: psycopg.Connection[tuple[Any, ...]] | None = None

    @contextmanager
    def transaction(self, *, kept: bool = True) -> Iterator[None]:
        with psycopg.connect(self._url, application_name="a program") as con:
            self._con = con
            try:
                yield
                con.commit() if kept else con.rollback()
            finally:
                self._con = None

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        assert self._con is not None
        cursor = self._con.execute(sql.replace("%", "%%").replace("?", "%s"), values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []

    def clear(self, layer: str) -> None:
        self.run(f"TRUNCATE {self.table(layer)}")

    def table(self, layer: str) -> str:
        return f"{quoted(self._schema)}.{quoted(layer)}"

    def column(self, name: str) -> str:
        return quoted(short(name))

    def put(self, layer: str, fid: int, wkb: bytes, values: Mapping[str, tuple[str, Any]]) -> bool:
        names = ["geom", *(self.column(name) for name in values)]
        written = ", ".join(f"{name} = excluded.{name}" for name in names)
        self.insert(layer, wkb, values, fid, then=f"ON CONFLICT (fid) DO UPDATE SET {written}")
        return True

    def value(self, kind: str, value: Any) -> Any:
        if kind == "array" and value is not None:
            return json.dumps(value)
        return value

    def shape(self, wkb: bytes | None) -> tuple[str, Any]:
        return "ST_SetSRID(ST_GeomFromWKB(?), 4326)", wkb

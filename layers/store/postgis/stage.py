"""A load before it is published: rows in an unlogged table of their own, seen by no reader.

The stage has a connection of its own for as long as it lives, which holds an advisory lock: the next open
tells by it which stages were abandoned, and removes them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

import psycopg

from layers.errors import BadFile, TwinError
from layers.store import staged
from layers.store.base import LayerSpec, Stage
from layers.store.postgis import binary_copy
from layers.store.postgis.connection import Connection, quoted
from layers.store.postgis.schema import COLUMN_TYPES
from layers.textures import Texture

if TYPE_CHECKING:
    import pyarrow as pa


_TEXTURES = "_textures"  # behind the name of a stage's table


class PostgisStage(Stage):
    """Implements :class:`layers.store.base.Stage`. ``con`` is the stage's own, ready for writing."""

    def __init__(
        self,
        con: Connection,
        schema: str,
        spec: LayerSpec,
        watched: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.con, self.spec, self.schema, self.watched = con, spec, schema, watched
        self.fields = staged.fields(spec)
        self.columns = [f"p{i}" for i in range(len(self.fields) - 1)]
        self._name = f"twin_stage_{secrets.token_hex(8)}"
        self._lock = secrets.randbits(62)
        self._dropped = False
        with watched():
            con.execute("SELECT pg_advisory_lock(%s)", (self._lock,))
            with con.transaction():
                con.execute(
                    f"INSERT INTO {quoted(schema)}.twin_stages (name, lock) VALUES (%s, %s)",
                    (self._name, self._lock),
                )
                self._create()

    @property
    def table(self) -> str:
        """The staged rows: n, fid, state, geom, source_id, p0 …, mesh."""
        return f"{quoted(self.schema)}.{quoted(self._name)}"

    @property
    def textures(self) -> str:
        """The textures that bodies of the staged rows name: sha, type, data."""
        return f"{quoted(self.schema)}.{quoted(self._name + _TEXTURES)}"

    def _create(self) -> None:
        fields = zip(self.columns, self.fields[1:], strict=True)
        typed = "".join(f", {name} {COLUMN_TYPES[f.type]}" for name, f in fields)
        self.con.execute(
            f"CREATE UNLOGGED TABLE {self.table} (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            f" fid bigint, state smallint, geom geometry NOT NULL, source_id text{typed}, mesh bytea)"
        )
        self.con.execute(
            f"CREATE UNLOGGED TABLE {self.textures} (sha text PRIMARY KEY, type text NOT NULL,"
            " data bytea NOT NULL)"
        )
        self.con.execute(f"CREATE UNIQUE INDEX ON {self.table} (source_id) WHERE source_id IS NOT NULL")

    def add(self, batch: pa.Table) -> None:
        if self._dropped:
            raise ValueError("the stage was dropped or published")
        rows = staged.decode(batch, self.spec, self.fields)
        with self.watched():
            try:
                self._copy(rows)
            except psycopg.errors.UniqueViolation as error:
                raise staged.twice() from error
            except psycopg.DataError as error:
                raise BadFile("store.value", "a value does not fit its column in the database") from error

    def _copy(self, rows: staged.Staged) -> None:
        import pyarrow as pa

        names = ", ".join(["geom", "source_id", *self.columns, "mesh"])
        values = [binary_copy.value(f.type, c) for f, c in zip(self.fields, rows.columns, strict=True)]
        columns = [binary_copy.geometry(rows.wkb, 4326), *values, pa.array(rows.meshes, pa.binary())]
        sql = f"COPY {self.table} ({names}) FROM STDIN WITH (FORMAT BINARY)"
        with self.con.transaction(), self.con.cursor() as cursor, cursor.copy(sql) as copy:
            for piece in binary_copy.rows(columns):
                copy.write(piece)

    def texture(self, texture: Texture) -> None:
        if self._dropped:
            raise ValueError("the stage was dropped or published")
        row = texture.sha, texture.media_type, texture.data
        sql = f"INSERT INTO {self.textures} VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
        with self.watched(), self.con.transaction():
            self.con.execute(sql, row)

    def drop(self) -> None:
        if self._dropped:
            return
        self._dropped = True
        with suppress(TwinError), self.watched(), self.con.transaction():
            self.con.execute(f"DROP TABLE IF EXISTS {self.table}, {self.textures}")
            self.con.execute(f"DELETE FROM {quoted(self.schema)}.twin_stages WHERE name = %s", (self._name,))
        self.con.close()


def sweep(con: Connection, schema: str) -> None:
    """Remove the stages whose connection ended."""
    s = quoted(schema)
    rows: list[Any] = con.execute(f"SELECT name, lock FROM {s}.twin_stages").fetchall()
    for name, lock in rows:
        if con.execute("SELECT pg_try_advisory_lock(%s)", (lock,)).fetchone() != (True,):
            continue
        try:
            with con.transaction():
                con.execute(f"DROP TABLE IF EXISTS {s}.{quoted(name)}, {s}.{quoted(name + _TEXTURES)}")
                con.execute(f"DELETE FROM {s}.twin_stages WHERE name = %s", (name,))
        finally:
            con.execute("SELECT pg_advisory_unlock(%s)", (lock,))

"""Textures of the bodies of a file's layers; there is no table of them before the first.

A row of its number is never given again, so that who looks for textures that nothing names, beside loads,
takes away none that a load has brought meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection
from contextlib import suppress

from layers.errors import Busy
from layers.mesh import RICH, Mesh
from layers.store.geopackage import past, schema
from layers.store.geopackage.connection import quoted
from layers.textures import Texture

TABLE = "twin_textures"
_MAKE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (n INTEGER PRIMARY KEY AUTOINCREMENT, layer TEXT NOT NULL,"
    " sha TEXT NOT NULL, type TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (layer, sha))"
)


def publish(con: sqlite3.Connection, layer: str) -> None:
    """Keep the textures of the attached stage, within the caller's transaction."""
    if con.execute("SELECT 1 FROM stage.textures LIMIT 1").fetchone() is None:
        return
    con.execute(_MAKE)
    con.execute(
        f"INSERT OR REPLACE INTO {TABLE} (layer, sha, type, data) SELECT ?, sha, type, data"
        " FROM stage.textures",
        (layer,),
    )


def one(con: sqlite3.Connection, layer: str, sha: str) -> Texture | None:
    """A texture of a layer, now or once."""
    if not _is_there(con):
        return None
    row = con.execute(f"SELECT type, data FROM {TABLE} WHERE layer=? AND sha=?", (layer, sha)).fetchone()
    return None if row is None else Texture(sha, row[0], row[1])


def types(con: sqlite3.Connection, layer: str, wanted: Collection[str]) -> dict[str, str]:
    """The media types of those of some textures that are kept."""
    if not wanted or not _is_there(con):
        return {}
    sql = f"SELECT sha, type FROM {TABLE} WHERE layer=? AND sha IN (SELECT value FROM json_each(?))"
    return dict(con.execute(sql, (layer, json.dumps(list(wanted)))).fetchall())


def unnamed(con: sqlite3.Connection, stopped: Callable[[], bool]) -> list[int]:
    """The numbers of the textures that no body names, now or in old rows; within one read transaction.
    Raises Busy once it is ``stopped``: a city has a million bodies."""
    if not _is_there(con):
        return []
    found: list[int] = []
    for (layer,) in con.execute(f"SELECT DISTINCT layer FROM {TABLE}").fetchall():
        with suppress(ValueError):  # a body that cannot be read may name any
            named = _named(con, layer, stopped)
            rows = con.execute(f"SELECT n, sha FROM {TABLE} WHERE layer=?", (layer,))
            found += [n for n, sha in rows if sha not in named]
    return found


def remove(con: sqlite3.Connection, numbers: Collection[int]) -> None:
    """Take textures away, within the caller's transaction."""
    con.executemany(f"DELETE FROM {TABLE} WHERE n=?", [(n,) for n in numbers])


def _named(con: sqlite3.Connection, layer: str, stopped: Callable[[], bool]) -> set[str]:
    """What the bodies of a layer name. Raises ValueError."""
    named: set[str] = set()
    for table, column in ((schema.mesh_table(layer), "body"), (past.table(layer), "mesh")):
        if _is_there(con, table):
            sql = f"SELECT {column} FROM {quoted(table)} WHERE substr({column}, 1, {len(RICH)}) = ?"
            for (body,) in con.execute(sql, (RICH,)):
                if stopped():
                    raise Busy("the city is being closed")
                named |= Mesh.from_bytes(body).textures()
    return named


def _is_there(con: sqlite3.Connection, table: str = TABLE) -> bool:
    sql = "SELECT 1 FROM sqlite_master WHERE type='table' AND lower(name)=lower(?)"
    return con.execute(sql, (table,)).fetchone() is not None

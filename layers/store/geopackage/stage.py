"""A load before it is published: rows in an SQLite file of their own beside the store.

Nothing of a stage touches the city's file, so a load of an hour takes no lock there; the publish
attaches the stage and moves it in one transaction. The stage is locked (flock) as long as its
process lives, so the next open can tell an abandoned one and remove it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layers.lockfile import hold
from layers.store import geojson, staged
from layers.store.base import LayerSpec, Stage
from layers.store.geopackage import blob
from layers.store.geopackage.connection import sqlite_errors
from layers.store.geopackage.schema import COLUMN_TYPES
from layers.textures import Texture
from layers.types import Field

if TYPE_CHECKING:
    import pyarrow as pa


class GeoPackageStage(Stage):
    """Implements :class:`layers.store.base.Stage`."""

    def __init__(self, folder: Path, spec: LayerSpec) -> None:
        self.spec = spec
        self.fields = staged.fields(spec)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{spec.id}-{secrets.token_hex(6)}.stage"
        self._lock: int | None = hold(_lock_path(self.path))
        self._con: sqlite3.Connection | None = None
        try:
            with sqlite_errors():
                self._con = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
                self._create(self._con)
        except BaseException:
            self.drop()
            raise

    def _create(self, con: sqlite3.Connection) -> None:
        con.execute("PRAGMA journal_mode=OFF")  # a stage that its process did not finish is thrown away
        con.execute("PRAGMA synchronous=OFF")
        props = "".join(f", p{i} {COLUMN_TYPES[f.type]}" for i, f in enumerate(self.fields[1:]))
        con.execute(
            "CREATE TABLE rows (n INTEGER PRIMARY KEY, fid INTEGER, state INTEGER, geom BLOB,"
            f" minx REAL, maxx REAL, miny REAL, maxy REAL, high INTEGER, source_id TEXT{props},"
            " tail TEXT NOT NULL, mesh BLOB)"
        )
        con.execute("CREATE TABLE textures (sha TEXT PRIMARY KEY, type TEXT NOT NULL, data BLOB NOT NULL)")
        con.execute("CREATE UNIQUE INDEX one_source ON rows (source_id) WHERE source_id IS NOT NULL")

    def add(self, batch: pa.Table) -> None:
        if self._con is None:
            raise ValueError("the stage was dropped or published")
        rows = _rows(batch, self.spec, self.fields)
        named = "".join(f", p{i}" for i in range(len(self.fields) - 1))
        marks = ",".join("?" * (8 + len(self.fields)))
        names = f"geom, minx, maxx, miny, maxy, high, source_id{named}, tail, mesh"
        sql = f"INSERT INTO rows ({names}) VALUES ({marks})"
        with sqlite_errors():
            self._con.execute("BEGIN")
            try:
                self._con.executemany(sql, rows)
            except sqlite3.IntegrityError as error:
                self._con.execute("COMMIT")
                raise staged.twice() from error
            self._con.execute("COMMIT")

    def texture(self, texture: Texture) -> None:
        if self._con is None:
            raise ValueError("the stage was dropped or published")
        row = texture.sha, texture.media_type, texture.data
        with sqlite_errors():
            self._con.execute("INSERT OR IGNORE INTO textures VALUES (?,?,?)", row)

    def close(self) -> None:
        if self._con is not None:
            self._con.close()
            self._con = None

    def drop(self) -> None:
        self.close()
        if self._lock is not None:
            _remove(self.path)
            os.close(self._lock)
            self._lock = None


def _rows(batch: pa.Table, spec: LayerSpec, fields: tuple[Field, ...]) -> Iterator[tuple[Any, ...]]:
    rows = staged.decode(batch, spec, fields)
    tails = geojson.tails(rows.shapes, fields, rows.properties)
    boxes, high = _boxes(rows.shapes)
    blobs = blob.encode(rows.shapes)
    for i, values in enumerate(rows.properties):
        yield (blobs[i], *boxes[i], high[i], *values, tails[i].decode(), rows.meshes[i])


def _boxes(shapes: Any) -> tuple[list[list[float | None]], list[int]]:
    """(minx, maxx, miny, maxy) and whether there are heights, a row; None four times when empty."""
    import shapely

    bounds = shapely.bounds(shapes)[:, [0, 2, 1, 3]].tolist()
    high = shapely.has_z(shapes).astype(int).tolist()
    return [[None] * 4 if box[0] != box[0] else box for box in bounds], high


def _lock_path(path: Path) -> Path:
    # Beside the SQLite file, never the file itself: closing a second handle on that drops SQLite's own locks.
    return path.with_suffix(".lock")


def _remove(path: Path) -> None:
    for name in (path, path.with_name(path.name + "-journal"), _lock_path(path)):
        with contextlib.suppress(OSError):
            name.unlink()


def sweep(folder: Path) -> None:
    """Remove the stages whose process died: those whose lock the kernel gave back."""
    for lock in folder.glob("*.lock"):
        with contextlib.suppress(OSError):
            handle = hold(lock)
            _remove(lock.with_suffix(".stage"))
            os.close(handle)

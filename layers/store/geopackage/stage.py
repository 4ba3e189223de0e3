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
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layers import flat
from layers.lockfile import hold
from layers.seen import Seen
from layers.store import geojson, staged
from layers.store.base import LayerSpec, Stage
from layers.store.geopackage import blob, rtree, schema
from layers.store.geopackage.connection import sqlite_errors
from layers.textures import Texture
from layers.types import Field

if TYPE_CHECKING:
    import pyarrow as pa


#: Rows that one statement inserts, and parameters that it may have (sqlite.org/limits.html, 9).
_AT_ONCE, _PARAMETERS = 50, 32_000


class GeoPackageStage(Stage):
    """Implements :class:`layers.store.base.Stage`.

    It holds the tables of a new layer as they are to be: ``features``, ``json`` and ``mesh``, of which the
    store's are copies, page by page. The fid of row n (from 1) is ``base`` + n."""

    def __init__(self, folder: Path, spec: LayerSpec, base: int) -> None:
        self.spec, self.base = spec, base
        self.fields = staged.fields(spec)
        self.count = 0
        #: Whether a geometry has heights.
        self.high = False
        self._fids: list[NDArray[np.int64]] = []
        self._boxes: list[rtree.Boxes] = []
        self._seen = Seen()
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
        kind = self.spec.geometry_type
        con.execute(schema.feature_table("features", self.fields, kind, key="PRIMARY KEY"))
        for name in ("json", "mesh"):
            con.execute(schema.companion_table(name))
        con.execute("CREATE TABLE textures (sha TEXT PRIMARY KEY, type TEXT NOT NULL, data BLOB NOT NULL)")

    def add(self, batch: pa.Table) -> None:
        if self._con is None:
            raise ValueError("the stage was dropped or published")
        rows = staged.decode(batch, self.spec, self.fields)
        with sqlite_errors():
            self._refuse_twice(rows.columns[0].to_pylist())
            first = self.base + self.count + 1
            fids = np.arange(first, first + len(batch), dtype=np.int64)
            self._con.execute("BEGIN")
            _write(self._con, rows, fids, self.fields)
            self._con.execute("COMMIT")
        self.count += len(batch)
        boxes = rows.boxes()
        there = ~np.isnan(boxes[:, 0])
        self._fids.append(fids[there])
        self._boxes.append(rtree.outward(boxes[there]))
        self.high = self.high or _are_high(rows.shapes)

    def _refuse_twice(self, ids: list[str | None]) -> None:
        """Raises BadFile where a source id is there twice."""
        alike = self._seen.add(ids)
        if not len(alike):
            return
        assert self._con is not None
        here = Counter(ids)
        for at in alike.tolist():
            sql = "SELECT 1 FROM features WHERE source_id = ?"
            if here[ids[at]] > 1 or self._con.execute(sql, (ids[at],)).fetchone() is not None:
                raise staged.twice()

    def boxes(self) -> tuple[NDArray[np.int64], rtree.Boxes]:
        """The fids (n) of the rows that have a place, and their boxes (n, 4) as :mod:`rtree` has them."""
        if not self._fids:
            return np.empty(0, np.int64), np.empty((0, 4), np.float32)
        return np.concatenate(self._fids), np.concatenate(self._boxes)

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


def _write(
    con: sqlite3.Connection, rows: staged.Staged, fids: NDArray[np.int64], fields: tuple[Field, ...]
) -> None:
    import pyarrow as pa

    from layers.store import geojson_columns

    if isinstance(rows.shapes, flat.Flat):
        blobs = blob.column(rows.wkb, rows.shapes, rows.boxes())
        texts = geojson_columns.geometries(rows.shapes)
    else:
        blobs = blob.encode(rows.shapes)
        texts = pa.array(geojson.geometries(rows.shapes), pa.string())
    features = geojson_columns.features(pa.array(fids), texts, fields, rows.columns)
    numbers = fids.tolist()
    _insert(con, "features", [numbers, blobs, *rows.values()])
    _insert(con, "json", [numbers, features.cast(pa.binary()).to_pylist()])
    meshes = [pair for pair in zip(numbers, rows.meshes, strict=True) if pair[1] is not None]
    con.executemany("INSERT INTO mesh VALUES (?,?)", meshes)


def _insert(con: sqlite3.Connection, table: str, columns: list[list[Any]]) -> None:
    """Insert the rows of some columns, many with each statement, which costs a third less than one by one."""
    width, count = len(columns), len(columns[0])
    many = max(1, min(_AT_ONCE, _PARAMETERS // width))
    values = list(chain.from_iterable(zip(*columns, strict=True)))
    row = f"({','.join('?' * width)})"
    whole = count // many * many * width
    for size, begin, end in ((many, 0, whole), (1, whole, len(values))):
        each = (values[at : at + size * width] for at in range(begin, end, size * width))
        con.executemany(f"INSERT INTO {table} VALUES {','.join([row] * size)}", each)


def _are_high(shapes: flat.Flat | NDArray[Any]) -> bool:
    import shapely

    return not isinstance(shapes, flat.Flat) and bool(shapely.has_z(shapes).any())


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

"""A load before it is published: rows in an SQLite file of their own beside the store.

Nothing of a stage touches the city's file, so a load of an hour takes no lock there; the publish
attaches the stage and moves it in one transaction. The stage is locked (flock) as long as its
process lives, so the next open can tell an abandoned one and remove it.
"""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from layers.errors import BadFile
from layers.model import LAYER_ID, Field
from layers.store.base import MESH, SOURCE_ID, WKB, LayerSpec
from layers.store.geopackage import blob, geojson
from layers.store.geopackage.connection import sqlite_errors
from layers.store.geopackage.schema import COLUMN_TYPES
from layers.store.values import stored

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE_FIELD = Field("source_id", "string", {"en": "Source id", "zh-CN": "源标识"})
_RESERVED = frozenset({"fid", "geom"})
_RESERVED_IDS = ("twin_", "gpkg_", "rtree_", "sqlite_")
_MULTI = {"Point": "MultiPoint", "LineString": "MultiLineString", "Polygon": "MultiPolygon"}


class GeoPackageStage:
    """Implements :class:`layers.store.base.Stage`."""

    def __init__(self, folder: Path, spec: LayerSpec) -> None:
        self.spec = spec
        self.fields = _fields(spec)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{spec.id}-{secrets.token_hex(6)}.stage"
        self._lock: int | None = _lock(_lock_path(self.path))
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
        con.execute("CREATE UNIQUE INDEX one_source ON rows (source_id) WHERE source_id IS NOT NULL")

    def add(self, batch: pa.Table) -> None:
        """Write one batch. Raises BadFile: a source id twice, a geometry or value that does not fit."""
        if self._con is None:
            raise ValueError("the stage was dropped or published")
        rows = _rows(batch, self.spec, self.fields)
        marks = ",".join("?" * (9 + len(self.fields)))
        names = ",".join(f"p{i}" for i in range(len(self.fields) - 1))
        sql = (
            "INSERT INTO rows (geom, minx, maxx, miny, maxy, high, source_id"
            f"{',' if names else ''}{names}, tail, mesh) VALUES ({marks[:-2]})"
        )
        with sqlite_errors():
            self._con.execute("BEGIN")
            try:
                self._con.executemany(sql, rows)
            except sqlite3.IntegrityError as error:
                self._con.execute("COMMIT")
                raise BadFile(
                    "store.duplicate-source-id", "two rows of the load have the same source id"
                ) from error
            self._con.execute("COMMIT")

    def close(self) -> None:
        """End writing; the file stays for the publish."""
        if self._con is not None:
            self._con.close()
            self._con = None

    def drop(self) -> None:
        """Forget the stage. May be called again."""
        self.close()
        if self._lock is not None:
            _remove(self.path)
            os.close(self._lock)
            self._lock = None


def _fields(spec: LayerSpec) -> tuple[Field, ...]:
    """``source_id`` and the fields of the spec. Raises BadFile for names a table cannot have."""
    if not LAYER_ID.match(spec.id) or spec.id.startswith(_RESERVED_IDS):
        raise BadFile("store.layer-id", f"{spec.id} cannot be the id of a layer")
    fields = (SOURCE_FIELD, *(f for f in spec.fields if f.name != "source_id"))
    seen: set[str] = set(_RESERVED)
    for field in fields:
        folded = field.name.lower()  # SQLite compares column names without case
        if folded in seen or not field.name or "\x00" in field.name:
            raise BadFile("store.field-name", f"{field.name!r} is reserved, empty or there twice")
        if field.type not in COLUMN_TYPES:
            raise BadFile("store.field-type", f"{field.name} has the unknown type {field.type}")
        seen.add(folded)
    return fields


def _rows(batch: pa.Table, spec: LayerSpec, fields: tuple[Field, ...]) -> Iterator[tuple[Any, ...]]:
    names = set(batch.column_names)
    shapes = _shapes(batch.column(WKB).to_pylist(), spec.geometry_type)
    sources = _texts(batch, SOURCE_ID, names)
    columns: list[list[Any]] = [sources]
    for field in fields[1:]:
        values = batch.column(field.name).to_pylist() if field.name in names else [None] * len(batch)
        columns.append(_column(field, values))
    properties = list(zip(*columns, strict=True))
    tails = geojson.tails(shapes, fields, properties)
    meshes = batch.column(MESH).to_pylist() if MESH in names else [None] * len(batch)
    boxes, high = _boxes(shapes)
    blobs = blob.encode(shapes)
    for i, values in enumerate(properties):
        yield (blobs[i], *boxes[i], high[i], *values, tails[i].decode(), meshes[i])


def _texts(batch: pa.Table, name: str, names: set[str]) -> list[str | None]:
    values = batch.column(name).to_pylist() if name in names else [None] * len(batch)
    return [None if v is None else str(v) for v in values]


def _column(field: Field, values: Sequence[Any]) -> list[Any]:
    try:
        return [None if v is None else stored(field.type, v) for v in values]
    except ValueError as error:
        raise BadFile("store.value", f"{field.name}: {error}") from error


def _shapes(wkb: list[bytes], geometry_type: str) -> Any:
    import numpy as np
    import shapely

    try:
        shapes = np.asarray(shapely.from_wkb(wkb), dtype=object)
    except shapely.errors.ShapelyError as error:
        raise BadFile("store.geometry", "a geometry is not readable WKB") from error
    if shapely.is_missing(shapes).any():
        raise BadFile("store.geometry", "a row has no geometry")
    return promote(shapes, geometry_type)


def promote(shapes: Any, geometry_type: str) -> Any:
    """Single geometries as multi ones where the layer keeps multi. Raises BadFile for another type."""
    import numpy as np
    import shapely

    out = shapes.copy()
    types = np.asarray([s.geom_type for s in shapes], dtype=object)
    for single, multi in _MULTI.items():
        if multi == geometry_type:
            for i in np.flatnonzero(types == single).tolist():
                out[i] = cast(Any, getattr(shapely, multi))([shapes[i]])
                types[i] = multi
    wrong = (types != geometry_type) if geometry_type != "Geometry" else (types == "GeometryCollection")
    if wrong.any():
        first = types[int(np.flatnonzero(wrong)[0])]
        raise BadFile("store.geometry-type", f"a {first} does not fit a layer of {geometry_type}")
    return out


def _boxes(shapes: Any) -> tuple[list[list[float | None]], list[int]]:
    """(minx, maxx, miny, maxy) and whether there are heights, a row; None four times when empty."""
    import shapely

    bounds = shapely.bounds(shapes)[:, [0, 2, 1, 3]].tolist()
    high = shapely.has_z(shapes).astype(int).tolist()
    return [[None] * 4 if box[0] != box[0] else box for box in bounds], high


def _lock_path(path: Path) -> Path:
    # Beside the SQLite file, never the file itself: closing a second handle on that drops SQLite's own locks.
    return path.with_suffix(".lock")


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _remove(path: Path) -> None:
    for name in (path, path.with_name(path.name + "-journal"), _lock_path(path)):
        with contextlib.suppress(OSError):
            name.unlink()


def sweep(folder: Path) -> None:
    """Remove the stages whose process died: those whose lock the kernel gave back."""
    for lock in folder.glob("*.lock"):
        with contextlib.suppress(OSError):
            handle = _lock(lock)
            _remove(lock.with_suffix(".stage"))
            os.close(handle)

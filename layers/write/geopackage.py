"""GeoPackage 1.3 (OGC 12-128r18): one layer under its own id, feature ids kept, R-tree, titles, code lists.

Written with SQLite itself: titles and code lists (the schema extension, annex F.9) cannot be given to
GDAL through pyogrio, and the tables are the ones the store of the city has.
"""

# Identifiers are quoted and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layers.model import FeatureLayer, Rows
from layers.store.geopackage import blob, schema, triggers
from layers.store.geopackage.connection import literal, quoted
from layers.types import CRS84, Field
from layers.write import column_names, reference, shapes

# OGC 12-128r18 annex F.9, tables 40 and 41.
_SCHEMA = (
    "CREATE TABLE gpkg_data_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT,"
    " title TEXT, description TEXT, mime_type TEXT, constraint_name TEXT,"
    " CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),"
    " CONSTRAINT gdc_tn UNIQUE (table_name, name))",
    "CREATE TABLE gpkg_data_column_constraints (constraint_name TEXT NOT NULL,"
    " constraint_type TEXT NOT NULL, value TEXT, min NUMERIC, min_is_inclusive BOOLEAN, max NUMERIC,"
    " max_is_inclusive BOOLEAN, description TEXT,"
    " CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value))",
)
_EXTENSION = "http://www.geopackage.org/spec121/#extension_schema"


def write(layer: FeatureLayer, batches: Iterable[Rows], path: Path, crs: str = CRS84) -> None:
    """Make the file. Raises OSError when it cannot be written."""
    try:
        con = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            # the file is thrown away when anything fails, so nothing has to survive a failure
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-16000", "trusted_schema=ON"):
                con.execute(f"PRAGMA {pragma}")
            _fill(con, layer, batches, crs)
        finally:
            con.close()
    except sqlite3.OperationalError as error:
        raise OSError(f"the GeoPackage cannot be written: {error}") from error


def _fill(con: sqlite3.Connection, layer: FeatureLayer, batches: Iterable[Rows], crs: str) -> None:
    fields, batches = column_names.begun(layer, batches)
    con.execute("BEGIN")
    out = _TableWriter(con, layer, fields, crs)
    for rows in batches:
        out.add(rows)
    out.finish()
    con.execute("COMMIT")


class _TableWriter:
    """The table being filled, and what its registration will say of it."""

    def __init__(
        self, con: sqlite3.Connection, layer: FeatureLayer, fields: Sequence[Field], crs: str
    ) -> None:
        self._con, self._layer, self._fields = con, layer, fields
        self._srs = reference.code(crs)
        self._names = column_names.distinct([f.name for f in fields], ("fid", "geom"))
        self._count = 0
        self._high = False
        self._bounds = shapes.NOWHERE
        schema.standard(con)
        self._describe_crs(crs)
        named = zip(self._names, fields, strict=True)
        described = "".join(f", {quoted(name)} {schema.COLUMN_TYPES[f.type]}" for name, f in named)
        con.execute(
            f"CREATE TABLE {quoted(layer.id)} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,"
            f" geom {layer.geometry_type.upper()}{described})"
        )
        con.execute(
            f"CREATE VIRTUAL TABLE {quoted(schema.rtree(layer.id))} USING rtree(id, minx, maxx, miny, maxy)"
        )

    def _describe_crs(self, crs: str) -> None:
        """The row of the CRS (clause 1.1.2.1.2); its text is WKT 1 (OGC 01-009)."""
        self._con.execute(
            "INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES (?,?,'EPSG',?,?,NULL)",
            (reference.name(crs), self._srs, self._srs, reference.wkt(crs, "WKT1_GDAL")),
        )

    def add(self, rows: Rows) -> None:
        """Insert the rows and their boxes."""
        import shapely

        parsed = shapes.parse(shapes.iso(rows.wkb))
        there = np.flatnonzero(~shapely.is_missing(parsed))
        geometries: list[bytes | None] = [None] * len(parsed)
        for i, one in zip(there.tolist(), blob.encode(parsed[there], self._srs), strict=True):
            geometries[i] = one
        cells: list[Sequence[Any]] = [rows.fids.tolist(), geometries]
        cells += [column_names.plain(field, rows.properties[field.name]) for field in self._fields]
        marks = ",".join("?" * len(cells))
        self._con.executemany(
            f"INSERT INTO {quoted(self._layer.id)} VALUES ({marks})", zip(*cells, strict=True)
        )
        self._count += len(parsed)
        self._high = self._high or bool(shapely.has_z(parsed).any())
        self._index(rows.fids[there].tolist(), shapely.bounds(parsed[there]).reshape(-1, 4))

    def _index(self, fids: list[int], bounds: Any) -> None:
        sound = np.isfinite(bounds).all(axis=1)
        fids, bounds = [fid for fid, one in zip(fids, sound.tolist(), strict=True) if one], bounds[sound]
        if not fids:
            return
        west, south, east, north = bounds.T
        self._con.executemany(
            f"INSERT INTO {quoted(schema.rtree(self._layer.id))} VALUES (?,?,?,?,?)",
            zip(fids, west.tolist(), east.tolist(), south.tolist(), north.tolist(), strict=True),
        )
        self._bounds = shapes.around(self._bounds, bounds)

    def finish(self) -> None:
        """Register the layer, its titles and code lists, and put the triggers in place."""
        con, layer = self._con, self._layer
        box = self._bounds.tolist() if np.isfinite(self._bounds).all() else [None] * 4
        con.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, min_x, min_y, max_x,"
            " max_y, srs_id) VALUES (?,'features',?,?,?,?,?,?,?)",
            (layer.id, column_names.title(layer.title) or layer.id, "", *box, self._srs),
        )
        con.execute(
            "INSERT INTO gpkg_geometry_columns VALUES (?,'geom',?,?,?,0)",
            (layer.id, layer.geometry_type.upper(), self._srs, 2 if self._high else 0),
        )
        con.execute(
            "INSERT INTO gpkg_extensions VALUES (?,'geom','gpkg_rtree_index',"
            "'http://www.geopackage.org/spec120/#extension_rtree','write-only')",
            (layer.id,),
        )
        con.execute("INSERT INTO gpkg_ogr_contents VALUES (?,?)", (layer.id, self._count))
        self._describe()
        for sql in (triggers.rtree_triggers(layer.id) | triggers.count_triggers(layer.id)).values():
            con.execute(sql)

    def _describe(self) -> None:
        """Titles, descriptions and code lists of the columns (the schema extension)."""
        con, layer = self._con, self._layer
        for statement in _SCHEMA:
            con.execute(statement)
        for name in ("gpkg_data_columns", "gpkg_data_column_constraints"):
            con.execute(
                f"INSERT INTO gpkg_extensions VALUES ({literal(name)},NULL,'gpkg_schema',?,'read-write')",
                (_EXTENSION,),
            )
        known: set[str] = set()
        for name, field in zip(self._names, self._fields, strict=True):
            title, more = column_names.title(field.title) or None, column_names.meaning(field) or None
            codes = f"{layer.id}_{name}" if field.codes else None
            if title or more or codes:
                short = None if title in known else title  # what GDAL and QGIS show; unique in a table
                known |= {short} if short else set()
                con.execute(
                    "INSERT INTO gpkg_data_columns VALUES (?,?,?,?,?,NULL,?)",
                    (layer.id, name, short, title, more, codes),
                )
            con.executemany(
                "INSERT INTO gpkg_data_column_constraints VALUES (?,'enum',?,NULL,NULL,NULL,NULL,?)",
                [(codes, code, column_names.title(titles)) for code, titles in (field.codes or {}).items()],
            )

"""Shapefiles (ESRI, 1998) in one zip: a file set for each type of geometry that occurs, with a legend.

The format has one type of geometry a file, names of 10 bytes, texts of 254 bytes, no date-times and
2 GB: ``fields.csv`` in the zip tells what became of each property, ``left_out.csv`` which features have a
geometry that no file of it holds: their rows are there, with a null shape. Attributes are kept beside the
geometries until all are known, because columns have the width of their widest value.
"""

from __future__ import annotations

import csv
import io
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layers.errors import TooLarge
from layers.formula import guarded
from layers.model import FeatureLayer, Rows
from layers.types import CRS84, Field
from layers.write import column_names, dbf, reference, shapes

#: The format counts in 16-bit words with 31 bits; most programs stop at half of that.
MOST_BYTES = 2**31 - 1
MOST_COLUMNS = 255
_CSV_HEAD = ("file", "column", "property", "type", "width", "title", "description", "cut")

#: Code of a geometry (without heights) → the class of file it goes into.
_CLASSES = {1: "point", 2: "line", 3: "polygon", 4: "multipoint", 5: "line", 6: "polygon"}
_TYPES = {"point": 1, "line": 3, "polygon": 5, "multipoint": 8}
_Z = 10
_HEAD = struct.Struct(">i5ii")
_HEAD_TYPE = struct.Struct("<ii8d")
_RECORD = struct.Struct(">ii")
_NULL = struct.pack("<i", 0)


def write(layer: FeatureLayer, batches: Iterable[Rows], path: Path, crs: str = CRS84) -> None:
    """Make the zip. Raises TooLarge beyond what the format can hold, OSError."""
    with tempfile.TemporaryDirectory(prefix="shp-", dir=path.parent) as name, ExitStack() as files:
        fields, batches = column_names.begun(layer, batches)
        out = _Set(layer, fields, Path(name), files)
        for rows in batches:
            out.add(rows)
        out.finish(reference.wkt(crs, "WKT1_ESRI"))
        files.close()
        _pack(Path(name), path)


def _pack(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for one in sorted(folder.iterdir()):
            out.write(one, one.name)
            one.unlink()


def _class(kind: int) -> str | None:
    """The file that a geometry goes into; None for a collection, which goes into none."""
    if kind % 1000 == shapes.COLLECTION:
        return None
    return _CLASSES[kind % 1000] + ("_z" if kind > 1000 else "")


class _Set:
    """The file sets of one layer."""

    def __init__(self, layer: FeatureLayer, fields: Sequence[Field], folder: Path, files: ExitStack) -> None:
        names = [f.name for f in fields]
        fid = Field(column_names.free(column_names.FID, names), "integer", {"en": "Feature id"})
        self._fields = (fid, *fields)
        if len(self._fields) > MOST_COLUMNS:
            raise TooLarge(f"a Shapefile has at most {MOST_COLUMNS} columns; choose some with properties=")
        self._layer, self._folder, self._files = layer, folder, files
        self._parts: dict[str, _Part] = {}
        self._left_out: list[int] = []

    def add(self, rows: Rows) -> None:
        """Share the rows of a batch out by the type of their geometry."""
        wkb = shapes.iso(rows.wkb)
        geometries = shapes.parse(wkb)
        names = [None if one is None else _class(shapes.kind(one)) for one in wkb]
        for i, (one, name) in enumerate(zip(wkb, names, strict=True)):
            if one is not None and name is None:
                self._left_out.append(int(rows.fids[i]))
                geometries[i] = None
        default = self._default(names)
        places = [name or default for name in names]
        values = [rows.fids.tolist(), *(rows.properties[f.name] for f in self._fields[1:])]
        present = sorted(set(places))
        if len(present) == 1:
            self._part(present[0]).add(geometries, values)
            return
        for name in present:
            chosen = [i for i, one in enumerate(places) if one == name]
            self._part(name).add(geometries[chosen], [[column[i] for i in chosen] for column in values])

    def _part(self, name: str) -> _Part:
        if name not in self._parts:
            self._parts[name] = _Part(self._folder / name, name, self._fields, self._files)
        return self._parts[name]

    def _default(self, names: Iterable[str | None]) -> str:
        """Where a feature without a geometry goes: any file may hold one."""
        known = (*self._parts, *(name for name in names if name))
        return known[0] if known else _CLASSES[shapes.CODES[self._layer.geometry_type] or 1]

    def finish(self, prj: str) -> None:
        """Complete every file and name them; the layer's id alone where there is one file set."""
        self._part(self._default(()))
        legend: list[tuple[object, ...]] = []
        for name, part in self._parts.items():
            stem = self._layer.id if len(self._parts) == 1 else f"{self._layer.id}_{name}"
            part.finish()
            for one in sorted(self._folder.glob(f"{name}.*")):
                one.rename(self._folder / f"{stem}{one.suffix}")
            (self._folder / f"{stem}.prj").write_text(prj)
            (self._folder / f"{stem}.cpg").write_text("UTF-8")
            legend += [(f"{stem}.dbf", *line) for line in part.legend()]
        self._table("fields.csv", [_CSV_HEAD, *legend])
        if self._left_out:
            why = "a Shapefile holds no geometry collection; ask for geojson or gpkg"
            self._table("left_out.csv", [("fid", "reason"), *((fid, why) for fid in self._left_out)])

    def _table(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        (self._folder / name).write_text(text.getvalue(), "utf-8-sig", newline="")


class _Part:
    """One file set: .shp and .shx as they come, attributes kept as Arrow until their widths are known."""

    def __init__(self, path: Path, name: str, fields: Sequence[Field], files: ExitStack) -> None:
        self._path = path
        self._class = name.removesuffix("_z")
        self._high = name.endswith("_z")
        self._columns = [
            dbf.DbfColumn(field, short)
            for field, short in zip(fields, dbf.names([f.name for f in fields]), strict=True)
        ]
        self._count = 0
        self._words = 50  # where the next record begins, in 16-bit words
        self._bounds = shapes.NOWHERE
        self._heights = [np.inf, -np.inf]
        self._shp = files.enter_context(path.with_suffix(".shp").open("wb"))
        self._shx = files.enter_context(path.with_suffix(".shx").open("wb"))
        for out in (self._shp, self._shx):
            out.write(bytes(100))
        self._kept = path.with_suffix(".arrow")
        self._schema = pa.schema([(str(i), pa.binary()) for i in range(len(fields))])
        self._spool = files.enter_context(pa.ipc.new_stream(str(self._kept), self._schema))

    def add(self, geometries: NDArray[Any], values: Sequence[Sequence[Any]]) -> None:
        """Write the geometries and keep the attributes. Raises TooLarge."""
        records: list[bytes] = []
        offsets = []
        for body in _records(self._class, self._high, geometries):
            self._count += 1
            words = len(body) // 2
            records += (_RECORD.pack(self._count, words), body)
            offsets.append(_RECORD.pack(self._words, words))
            self._words += 4 + words
        self._shp.write(b"".join(records))
        self._shx.write(b"".join(offsets))
        self._widen(geometries)
        cells = [column.cells(one) for column, one in zip(self._columns, values, strict=True)]
        arrays = [pa.array(one, pa.binary()) for one in cells]
        self._spool.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._check()

    def _widen(self, geometries: NDArray[Any]) -> None:
        import shapely

        bounds = shapely.bounds(geometries).reshape(-1, 4)
        bounds = bounds[~np.isnan(bounds[:, 0])]
        if len(bounds):
            self._bounds = shapes.around(self._bounds, bounds)
        if self._high and len(z := shapely.get_coordinates(geometries, include_z=True)[:, 2]):
            self._heights = [min(self._heights[0], z.min()), max(self._heights[1], z.max())]

    def _check(self) -> None:
        record = 1 + sum(column.width for column in self._columns)
        if max(2 * self._words, self._count * record) > MOST_BYTES - 10_000:
            raise TooLarge(
                "a Shapefile holds at most 2 GB; ask for a part of it (bbox, filter), or for gpkg or parquet"
            )

    def finish(self) -> None:
        """Write the headers, and the table now that its widths are known."""
        box = self._bounds.tolist() if np.isfinite(self._bounds).all() else [0.0] * 4
        heights = self._heights if np.isfinite(self._heights).all() else [0.0] * 2
        code = _TYPES[self._class] + (_Z if self._high else 0)
        for out, words in ((self._shp, self._words), (self._shx, 50 + 4 * self._count)):
            out.seek(0)
            out.write(_HEAD.pack(9994, 0, 0, 0, 0, 0, words))
            out.write(_HEAD_TYPE.pack(1000, code, *box, *heights, 0.0, 0.0))
            out.close()
        self._spool.close()
        with self._path.with_suffix(".dbf").open("wb") as table:
            table.write(dbf.head(self._columns, self._count))
            with pa.OSFile(str(self._kept)) as kept:
                for batch in pa.ipc.open_stream(kept):
                    dbf.records(table, self._columns, [column.to_pylist() for column in batch.columns])
            dbf.finish(table)
        self._kept.unlink()

    def legend(self) -> list[tuple[object, ...]]:
        """What each column is: its name, the property, dBASE type, width, titles, texts that were cut."""
        return [
            (
                *(c.name, guarded(c.field.name), c.letter, c.width),
                *(guarded(column_names.title(c.field.title)), guarded(column_names.meaning(c.field)), c.cut),
            )
            for c in self._columns
        ]


def _records(name: str, high: bool, geometries: NDArray[Any]) -> list[bytes]:
    """The contents of the records of one class of geometry; a null shape for None."""
    import shapely

    there = ~shapely.is_missing(geometries)
    if not there.all():
        present = iter(_records(name, high, geometries[there]))
        return [next(present) if one else _NULL for one in there.tolist()]
    if not len(geometries):
        return []
    if name == "point":
        return _points(high, geometries)
    if name == "polygon":
        geometries = shapely.orient_polygons(geometries, exterior_cw=True)
    _, coordinates, offsets = shapely.to_ragged_array(geometries, include_z=high)
    head = struct.pack("<i", _TYPES[name] + (_Z if high else 0))
    boxes = shapely.bounds(geometries).tobytes()
    flat = np.ascontiguousarray(coordinates[:, :2]).tobytes()
    parts, ends = _parts(offsets, len(geometries))
    firsts = [ends[part] for part in parts]
    heights = _heights(coordinates[:, 2], firsts) if high else [b""] * len(geometries)
    made = []
    for i in range(len(geometries)):
        first, last = firsts[i], firsts[i + 1]
        counts = struct.pack("<i", last - first)
        if name != "multipoint":
            begins = [at - first for at in ends[parts[i] : parts[i + 1]]]
            counts = struct.pack(f"<ii{len(begins)}i", len(begins), last - first, *begins)
        box = boxes[32 * i : 32 * i + 32]
        made.append(b"".join((head, box, counts, flat[16 * first : 16 * last], heights[i])))
    return made


def _parts(offsets: Sequence[NDArray[Any]], count: int) -> tuple[list[int], list[int]]:
    """For each geometry its first ring or line, and where each of those begins in the coordinates; both
    have the end after the last one. Geometries of one part are their own."""
    ends = offsets[0].tolist()
    if len(offsets) == 1:
        return list(range(count + 1)), ends
    return (offsets[1] if len(offsets) == 2 else offsets[1][offsets[2]]).tolist(), ends


def _heights(z: NDArray[Any], firsts: Sequence[int]) -> list[bytes]:
    """For each geometry the range of its heights, and they themselves."""
    ranges = np.column_stack([one.reduceat(z, firsts[:-1]) for one in (np.minimum, np.maximum)]).tobytes()
    every = np.ascontiguousarray(z).tobytes()
    return [
        ranges[16 * i : 16 * i + 16] + every[8 * first : 8 * last]
        for i, (first, last) in enumerate(pairwise(firsts))
    ]


def _points(high: bool, geometries: NDArray[Any]) -> list[bytes]:
    import shapely

    coordinates = shapely.get_coordinates(geometries, include_z=high).tolist()
    if high:  # the measure is not left out of a single point: below -1e38 means that there is none
        return [struct.pack("<i4d", _TYPES["point"] + _Z, *xyz, -1e39) for xyz in coordinates]
    return [struct.pack("<i2d", _TYPES["point"], *xy) for xy in coordinates]

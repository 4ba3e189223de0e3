"""Geometries that GDAL gives as none although the file has something in their place: their bytes.

Importing this loads GDAL."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pyogrio.raw

from layers import wkb
from layers.read.days import quoted

#: Bytes of a geometry that are kept.
_MOST = 1 << 20
#: A Shapefile (ESRI, July 1998): header of both files, record of the index, head of a shape's record.
_HEADER, _INDEX, _HEAD = 100, 8, 8
_NULL_SHAPE = b"\x00\x00\x00\x00"


def of_geopackage(
    path: Path, layer: str, column: str, key: str | None, wanted: Sequence[int]
) -> dict[int, bytes]:
    """Key of the row → what lies in a column of geometries, of those of ``wanted`` that are not null.

    ``key`` is the column of GDAL's feature ids. Where it is None, as of a view, rows are counted from 0 in
    their order, and what lies there is given only if it has no header of a GeoPackage's geometry."""
    if key is None:
        raw = _of_view(path, layer, column)
        return {at: raw[at] for at in wanted if at in raw}
    place, at = quoted(column), quoted(key)
    some = f"{at} IN ({', '.join(map(str, wanted))}) AND {place} IS NOT NULL"
    sql = f"SELECT {at} + 0 AS twin_at, {_hex(place)} AS twin_hex FROM {quoted(layer)} WHERE {some}"  # noqa: S608
    _, read = pyogrio.raw.read_arrow(path, sql=sql, read_geometry=False, columns=["twin_at", "twin_hex"])
    pairs = zip(read["twin_at"].to_pylist(), read["twin_hex"].to_pylist(), strict=True)
    return {at: bytes.fromhex(digits) for at, digits in pairs}


@cache
def _of_view(path: Path, layer: str, column: str) -> dict[int, bytes]:
    """Once a view, all of whose rows have to be gone through; see :func:`of_geopackage`."""
    place = quoted(column)
    # the magic GP, and in the flags an envelope of a known size (OGC 12-128r19, clause 2.1.3)
    headed = f"hex(substr({place}, 1, 2)) = '4750' AND substr(hex(substr({place}, 4, 1)), 2) <= '9'"
    case = f"CASE WHEN {place} IS NOT NULL AND NOT ({headed}) THEN {_hex(place)} END"
    sql = f"SELECT *, {case} AS twin_hex FROM {quoted(layer)}"  # noqa: S608
    _, read = pyogrio.raw.read_arrow(path, sql=sql, read_geometry=False, columns=["twin_hex"])
    raw = enumerate(read["twin_hex"].to_pylist())
    return {at: bytes.fromhex(digits) for at, digits in raw if digits is not None}


def _hex(place: str) -> str:
    return f"hex(substr(CAST({place} AS BLOB), 1, {_MOST}))"


def of_shapefile(path: Path, index: Path, wanted: Sequence[int]) -> dict[int, bytes]:
    """Record, counted from 0 → its bytes (none where it lies outside the file), of those of ``wanted`` that
    are no null shape."""
    raw: dict[int, bytes] = {}
    with (
        index.open("rb") as places,
        path.open("rb") as file,
        mmap.mmap(places.fileno(), 0, access=mmap.ACCESS_READ) as shx,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as shp,
    ):
        for record in wanted:
            at = _HEADER + _INDEX * record
            start = 2 * int.from_bytes(shx[at : at + 4], "big") + _HEAD
            size = 2 * int.from_bytes(shx[at + 4 : at + 8], "big")
            content = shp[start : start + min(size, _MOST)]
            if content[:4] != _NULL_SHAPE:
                # a shape is no WKB, whatever its bytes may look like
                raw[record] = content if wkb.fault(content) else b"\xff" + content
    return raw

"""Which columns of a Parquet file hold geometries, how, and in which CRS: by the metadata ``geo`` of
GeoParquet (0.1 to 1.1), else by the types GEOMETRY and GEOGRAPHY of Parquet 2.11 or GeoArrow's names of
types, else by a column of WKB that is called as one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from layers import wkb
from layers.errors import BadFile, shown
from layers.read import geoarrow
from layers.read.base import AGAIN
from layers.read.plain import is_bytes

#: The CRS of a column that names none (GeoParquet 1.1, "crs"; Parquet, "GEOMETRY").
_DEFAULT_CRS = "OGC:CRS84"
#: What a column of WKB is called that nothing else tells.
_NAMES = ("geometry", "geom", "the_geom", "wkb_geometry", "wkb")
_NUMBER = re.compile(r"(?:srid:)?(\d{1,6})", re.IGNORECASE)
_WKB = "wkb"
_SIDES = frozenset({"xmin", "ymin", "xmax", "ymax"})


@dataclass(frozen=True, slots=True)
class GeoColumn:
    """A column of geometries: its name, its encoding (``wkb`` or one of GeoArrow's), its CRS as a code,
    PROJJSON or WKT (None: not known), whether its edges are geodesics, and the columns that hold the box
    of each geometry."""

    name: str
    encoding: str
    crs: str | None
    spherical: bool = False
    boxes: frozenset[str] = frozenset()


def columns(file: pq.ParquetFile) -> tuple[list[GeoColumn], bool]:
    """The columns of geometries, the one that is read unless another is named first; and whether the file
    is a GeoParquet. Raises BadFile file.damaged, geometry.encoding."""
    raw = (file.metadata.metadata or {}).get(b"geo")
    if raw is not None:
        return _of_geoparquet(raw, file.schema_arrow), True
    found = _of_types(file)
    return found or _of_names(file), False


def _of_geoparquet(raw: bytes, schema: pa.Schema) -> list[GeoColumn]:
    """What the metadata says. Raises BadFile."""
    try:
        geo = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _damaged(f"is no JSON ({error})") from error
    described = geo.get("columns") if isinstance(geo, dict) else None
    if not isinstance(described, dict) or not all(isinstance(one, dict) for one in described.values()):
        raise _damaged("describes no columns")
    primary = geo.get("primary_column")
    names = sorted((name for name in described if name in schema.names), key=lambda name: name != primary)
    if primary not in names:
        raise _damaged(f"names a geometry column {shown(str(primary))}, which the file does not have")
    return [_described(name, described[name], schema.field(name).type) for name in names]


def _damaged(what: str) -> BadFile:
    return BadFile("file.damaged", f"the metadata of the GeoParquet {what}; {AGAIN}")


def _described(name: str, says: Mapping[str, Any], kind: pa.DataType) -> GeoColumn:
    encoding = str(says.get("encoding", "WKB")).casefold().removeprefix("geoarrow.")
    if encoding == _WKB and not is_bytes(kind):
        raise BadFile("geometry.encoding", f"{shown(name)} is said to hold WKB, but is {str(kind)[:80]}")
    crs = _named(says["crs"], {}) if "crs" in says else _DEFAULT_CRS
    covering = says.get("covering")
    boxes = covering.get("bbox") if isinstance(covering, dict) else None
    paths = boxes.values() if isinstance(boxes, dict) else ()
    inside = frozenset(str(path[0]) for path in paths if isinstance(path, list) and len(path) > 1)
    return GeoColumn(name, encoding, crs, says.get("edges") == "spherical", inside)


def _of_types(file: pq.ParquetFile) -> list[GeoColumn]:
    """By the types of Parquet, and by the names that GeoArrow gives types in the schema of Arrow."""
    meta = {key.decode("utf-8", "replace"): text for key, text in (file.metadata.metadata or {}).items()}
    found: dict[str, GeoColumn] = {}
    for number in range(len(file.schema)):
        leaf = file.schema.column(number)
        if leaf.logical_type.type in ("GEOMETRY", "GEOGRAPHY") and leaf.path == leaf.name:
            says = orjson.loads(leaf.logical_type.to_json())
            crs = _named(says.get("crs") or _DEFAULT_CRS, meta)
            found[leaf.name] = GeoColumn(leaf.name, _WKB, crs, leaf.logical_type.type == "GEOGRAPHY")
    for field in file.schema_arrow:
        own = field.metadata or {}
        encoding = own.get(b"ARROW:extension:name", b"").decode("utf-8", "replace").removeprefix("geoarrow.")
        if field.name not in found and encoding in (_WKB, *geoarrow.ENCODINGS):
            says = _members(own.get(b"ARROW:extension:metadata", b""))
            spherical = says.get("edges", "planar") != "planar"
            found[field.name] = GeoColumn(field.name, encoding, _named(says.get("crs"), meta), spherical)
    return list(found.values())


def _members(raw: bytes) -> Mapping[str, Any]:
    try:
        says = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return says if isinstance(says, dict) else {}


def _of_names(file: pq.ParquetFile) -> list[GeoColumn]:
    """The first column of WKB that is called as one; its CRS is not known."""
    for field in sorted(file.schema_arrow, key=lambda field: field.name.casefold()):
        if field.name.casefold() in _NAMES and is_bytes(field.type):
            first = next(file.iter_batches(1000, columns=[field.name], use_threads=False), None)
            values = [] if first is None else first.column(0).drop_null()[:1].to_pylist()
            if values and wkb.fault(values[0]) is None:
                return [GeoColumn(field.name, _WKB, None)]
    return []


def _named(crs: Any, meta: Mapping[str, bytes]) -> str | None:
    """A CRS as the rest of the house knows it: the code of its authority where it says one, else its own
    definition; None where it is not known.

    It is PROJJSON, in drafts of GeoParquet WKT, in Parquet a code, ``srid:n``, or ``projjson:key`` of the
    file's metadata."""
    if isinstance(crs, str):
        key = crs.removeprefix("projjson:")
        text = meta.get(key, b"").decode("utf-8", "replace") if key != crs else crs
        if text.lstrip().startswith("{"):
            return _named(_members(text.encode()), meta)
        if (match := _NUMBER.fullmatch(text)) is not None:
            return f"EPSG:{match[1]}" if int(match[1]) else None
        return text or None
    if not isinstance(crs, dict) or not crs:
        return None
    own = crs.get("id")
    if isinstance(own, dict) and f"{own.get('authority')}:{own.get('code')}".upper() in _known_codes(own):
        return f"{own['authority']}:{own['code']}".upper()
    return _text(crs)


def _known_codes(own: Mapping[str, Any]) -> tuple[str, ...]:
    """The codes of two authorities: those of others are told by the definition."""
    digits = str(own.get("code"))
    return (_DEFAULT_CRS, *((f"EPSG:{digits}",) if digits.isdigit() else ()))


def _text(crs: Mapping[str, Any]) -> str:
    """PROJJSON as WKT 2; as it is where PROJ does not know it, which is told when the data is placed."""
    import pyproj
    from pyproj.exceptions import CRSError

    text = orjson.dumps(crs).decode()
    try:
        return str(pyproj.CRS.from_json(text).to_wkt())
    except CRSError:
        return text


def is_box(kind: pa.DataType) -> bool:
    """Whether a column is built as the box of each geometry is: numbers xmin, ymin, xmax, ymax, perhaps zmin
    and zmax."""
    if not pa.types.is_struct(kind):
        return False
    names = {member.name for member in kind}
    numbers = all(pa.types.is_floating(member.type) for member in kind)
    return numbers and names >= _SIDES and names <= _SIDES | {"zmin", "zmax"}

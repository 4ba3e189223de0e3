"""The words of the project as types: layer, field, feature, mesh, report, query, change.

Coordinates are longitude, latitude in degrees (OGC:CRS84 order) and heights in metres in
the layer's vertical datum, unless a name says otherwise.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from layers.cql.ast import Predicate

LAYER_ID = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"

type Bbox = tuple[float, float, float, float]
#: Two ends in time: dates, or instants in UTC (ISO 8601); None where one is open or not known.
type Interval = tuple[str | None, str | None]
type Titles = Mapping[str, str]
type FieldType = Literal["string", "integer", "number", "boolean", "date", "datetime", "array"]
#: What may be done to single features of a layer.
type EditKind = Literal["create", "update", "delete"]
EDITS: tuple[EditKind, ...] = ("create", "update", "delete")
type GeometryType = Literal[
    "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "Geometry"
]


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a layer: column name, type, titles, unit (UCUM) and code list.

    The store computes the value of one that is ``read_only``; what a client sends of it is not kept."""

    name: str
    type: FieldType
    title: Titles = field(default_factory=dict, hash=False)
    unit: str | None = None
    codes: Mapping[str, Titles] | None = field(default=None, hash=False)
    read_only: bool = False


def only_time(fields: Sequence[Field]) -> str | None:
    """The name of the one date or datetime among some fields: the time of a layer that names none."""
    dated = [f.name for f in fields if f.type in ("date", "datetime")]
    return dated[0] if len(dated) == 1 else None


@dataclass(frozen=True, slots=True)
class Layer:
    """A named, typed set of features as the store holds it now.

    ``extent`` is None for an empty layer. ``crs`` is the recorded source CRS (``EPSG:n``),
    ``storage_crs`` the one in which features are kept: another than longitude/latitude for a table
    that is published where it lies. ``crs_also`` are further CRSs in which the city has
    every layer offered. ``generation`` counts loads, ``seq`` is the change-log number of the newest
    change of the layer. ``edits`` is what may be done to its features; where that is not
    everything, ``fixed_because`` is the reason.
    """

    id: str
    kind: str
    title: Titles
    fields: tuple[Field, ...]
    geometry_type: GeometryType
    extent: Bbox | None
    crs: str
    count: int
    generation: int
    seq: int
    time_field: str | None = None
    meshes: bool = False
    locking: Literal["default", "strict"] = "default"
    edits: tuple[EditKind, ...] = EDITS
    fixed_because: str = ""
    crs_also: tuple[str, ...] = ()
    storage_crs: str = "OGC:CRS84"

    def field(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((f for f in self.fields if f.name == name), None)


class Surface(IntEnum):
    """Semantic surface types (CityGML 2.0 clause 10.3.2, CityJSON 2.0 section 3.3)."""

    UNKNOWN = 0
    GROUND = 1
    WALL = 2
    ROOF = 3
    CEILING = 4
    FLOOR = 5
    CLOSURE = 6
    WINDOW = 7
    DOOR = 8


_MESH_HEADER = struct.Struct("<4sII")


@dataclass(frozen=True, slots=True)
class Mesh:
    """The 3D body of a feature.

    positions: float64 (n, 3) longitude, latitude (degrees), height (m);
    triangles: uint32 (m, 3) indices into positions, counter-clockwise seen from outside;
    surfaces: uint8 (m,) one :class:`Surface` a triangle.
    """

    positions: NDArray[np.float64]
    triangles: NDArray[np.uint32]
    surfaces: NDArray[np.uint8]

    def to_bytes(self) -> bytes:
        """Little-endian blob: ``MSH1``, counts, positions, triangles, surfaces."""
        head = _MESH_HEADER.pack(b"MSH1", len(self.positions), len(self.triangles))
        return (
            head
            + np.ascontiguousarray(self.positions, "<f8").tobytes()
            + np.ascontiguousarray(self.triangles, "<u4").tobytes()
            + np.ascontiguousarray(self.surfaces, "u1").tobytes()
        )

    @classmethod
    def from_bytes(cls, blob: bytes) -> Mesh:
        """The inverse of :meth:`to_bytes`. Raises ValueError on a blob that is not one."""
        if len(blob) < _MESH_HEADER.size:
            raise ValueError("mesh blob is truncated")
        magic, n, m = _MESH_HEADER.unpack_from(blob)
        if magic != b"MSH1" or len(blob) != _MESH_HEADER.size + n * 24 + m * 13:
            raise ValueError("not a mesh blob")
        at = _MESH_HEADER.size
        positions = np.frombuffer(blob, "<f8", n * 3, at).reshape(n, 3)
        triangles = np.frombuffer(blob, "<u4", m * 3, at + n * 24).reshape(m, 3)
        surfaces = np.frombuffer(blob, "u1", m, at + n * 24 + m * 12)
        return cls(positions, triangles, surfaces)


@dataclass(frozen=True, slots=True)
class Rows:
    """Features as columns, the form in which the tilers read a store.

    ``fids`` int64 (n,), ascending unless a query sorts them; ``wkb`` n geometries as ISO WKB in
    lon/lat(/height), None for a feature without one (only where a query selects features);
    ``properties`` column name → n Python values (None for null);
    ``meshes`` fid → mesh for the features that have one (empty unless asked for).
    """

    fids: NDArray[np.int64]
    wkb: Sequence[bytes | None]
    properties: Mapping[str, Sequence[Any]]
    meshes: Mapping[int, Mesh] = field(default_factory=dict)


#: Where a page ended: the values of the sort fields of its last feature, then its fid.
type Cursor = tuple[str | int | float | bool | None, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key: a property, ascending or not. Nulls come last both ways; texts sort by code point."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A request for features, already checked and typed; its conditions are joined by AND.

    ``bbox`` is in lon/lat; minx > maxx crosses the antimeridian. ``datetime`` is a pair of
    ISO instants, either open (None); an instant is the pair (t, t). ``equals`` holds
    (property, typed value) pairs. ``filter`` is a checked CQL2 expression. ``words`` are texts of
    which at least one must occur in a text property, without regard to case and accents.
    ``sort`` is followed by fid, so the order is total. ``after`` is the keyset: only features that
    follow it in that order. ``properties`` names those to give, None for all.
    ``limit`` None (all of them) is only for :meth:`layers.store.base.Store.scan`.
    ``crs`` is the output CRS URI.
    """

    bbox: Bbox | None = None
    datetime: Interval | None = None
    equals: tuple[tuple[str, str | int | float | bool], ...] = ()
    filter: Predicate | None = None
    words: tuple[str, ...] = ()
    sort: tuple[Sort, ...] = ()
    properties: tuple[str, ...] | None = None
    limit: int | None = 100
    offset: int = 0
    after: Cursor | None = None
    crs: str = CRS84


@dataclass(frozen=True, slots=True)
class Page:
    """A page of features: their GeoJSON joined by commas, counts, and where the next begins.

    ``next_after`` is the cursor of the last feature of this page when more follow, else None.
    ``matched`` is None where it would take too long to count, see :mod:`layers.store.counting`.
    A page that would be very large holds fewer features than were asked for, and has a cursor.
    """

    features: bytes
    returned: int
    matched: int | None
    next_after: Cursor | None


@dataclass(frozen=True, slots=True)
class Selection:
    """A page of features as columns, in the order of the query; see :class:`Page`."""

    rows: Rows
    matched: int | None
    next_after: Cursor | None


@dataclass(frozen=True, slots=True)
class Item:
    """One feature as GeoJSON bytes (no trailing newline), with its revision."""

    body: bytes
    fid: int
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the change log.

    ``fid`` None means the layer as a whole (or the region ``new``, if given) changed.
    ``old`` is None for a created feature, ``new`` is None for a deleted one.
    """

    seq: int
    layer: str
    fid: int | None
    old: Bbox | None
    new: Bbox | None


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of a load: a stable rule id, the row (1-based, 0 = the file), the reason."""

    rule: str
    row: int
    reason: str
    action: Literal["noted", "repaired", "quarantined"]
    source_id: str | None = None


@dataclass(slots=True)
class Report:
    """What a load found and did. Counts are of features.

    ``time_zone`` is the one in which times that name none were read, empty where there were no such;
    ``time_field`` is the layer's time, empty where it has none."""

    layer: str
    kind: str
    source: str
    sha256: str = ""
    driver: str = ""
    crs: str = ""
    encoding: str = ""
    time_zone: str = ""
    time_field: str = ""
    read: int = 0
    kept: int = 0
    repaired: int = 0
    quarantined: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    generation: int = 0
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        """Record a finding; repaired and quarantined counts are kept by the caller per feature."""
        self.problems.append(problem)

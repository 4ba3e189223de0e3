"""Rows of a source made fit for a layer: placed, repaired, or quarantined with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray
from shapely import GeometryType as G

from layers import flat, wkb
from layers.batch import FID, MESH, ROW, SOURCE_ID, WKB
from layers.bulk import Bulk, is_zero
from layers.crs import mapped
from layers.errors import BadFile, shown
from layers.findings import Findings
from layers.identity import Identity
from layers.kinds.base import Kind
from layers.mesh import Mesh
from layers.model import Problem
from layers.place import Place

type Geometries = NDArray[np.object_]

_FAMILY = {
    G.POINT: "point",
    G.MULTIPOINT: "point",
    G.LINESTRING: "line",
    G.MULTILINESTRING: "line",
    G.LINEARRING: "line",
    G.POLYGON: "polygon",
    G.MULTIPOLYGON: "polygon",
}
_MULTI: dict[str, Callable[..., shapely.Geometry]] = {
    "point": shapely.multipoints,
    "line": shapely.multilinestrings,
    "polygon": shapely.multipolygons,
}
_UNMEASURED = "the point lies at 0, 0 and the others far from there: it was not measured"
_EDGE = 1e-9
#: What helps where longitudes are counted from 0 to 360.
_TURNED = "where longitudes count to 360, take 360 from those beyond 180 and split at 180 what crosses it"
#: The quiet NaN of either sign as WKB holds it; a ring that begins with one never closes for GEOS.
_NANS = (b"\0\0\0\0\0\0\xf8\x7f", b"\0\0\0\0\0\0\xf8\xff")


@dataclass(slots=True)
class Cleaner:
    """Cleans the batches of one file. ``place`` turns source x, y (z) into lon/lat degrees (z)."""

    kind: Kind
    place: Place | None
    findings: Findings
    identity: Identity
    read: int = 0
    kept: int = 0
    repaired: int = 0
    quarantined: int = 0
    types: Counter[int] = field(default_factory=Counter)
    beyond: int = 0
    turned: int = 0
    bulk: Bulk = field(default_factory=Bulk)
    #: Geometries that lost something of their positions.
    lost: Counter[str] = field(default_factory=Counter)
    _seen: set[str] = field(default_factory=set)

    def clean(self, table: pa.Table) -> pa.Table:
        """The kept rows of one batch, geometry as lon/lat WKB, source ids filled."""
        rows = table[ROW].to_numpy()
        ids = self.identity.of(table)
        keep = np.ones(len(table), bool)
        self.read += len(table)

        def drop(mask: NDArray[np.bool_], rule: str, reason: str | Callable[[int], str]) -> None:
            for i in np.flatnonzero(mask & keep).tolist():
                why = reason if isinstance(reason, str) else reason(i)
                self.findings.add(Problem(rule, int(rows[i]), why, "quarantined", ids[i]))
                self.quarantined += 1
            keep[mask] = False

        column = flat.whole(table[WKB])
        wkb_ = self._plain(column)
        if wkb_ is not None:
            geometry = _read(wkb_)
        else:
            with np.errstate(invalid="ignore"):  # GEOS raises the flag for the NaN that is looked for here
                geometry = self._geometry(table, drop, keep)
        meshes = self._meshes(table, keep, rows, ids)
        drop(
            self._repeated(ids, keep),
            "id.duplicate",
            lambda i: f"source id {shown(ids[i])} is already taken by another row",
        )
        before = geometry.copy()
        if wkb_ is None or not _are_points(geometry):
            self._repair(geometry, keep, drop, rows, ids)
        self.kept += int(keep.sum())
        types, counts = np.unique(shapely.get_type_id(geometry[keep]), return_counts=True)
        self.types.update(dict(zip(types.tolist(), counts.tolist(), strict=True)))
        return _replaced(table, keep, _written(wkb_, before, geometry, keep), ids, meshes)

    def _plain(self, column: pa.Array) -> pa.Array | None:
        """The WKB of a batch in lon/lat, where all of it is plain, of one family that the kind takes, and in
        its place; else None, and each geometry is looked at by itself."""
        read = flat.read(column)
        if read is None or not len(read.kinds) or (read.kinds != read.kinds[0]).any():
            return None
        family = {flat.POINT: "point", flat.LINE: "line", flat.POLYGON: "polygon"}[int(read.kinds[0])]
        if self.kind.geometry and family not in self.kind.geometry:
            return None
        if family == "point" and (read.positions == 0).all(axis=1).any():
            return None
        placed = read.positions if self.place is None else self.place(read.positions)
        if not (np.abs(placed) <= (180, 90)).all():
            return None
        if self.place is not None:
            column, read = flat.replaced(column, placed), replace(read, positions=placed)
        self.bulk.sample(read.boxes()[:, [0, 2, 1, 3]])
        return column

    def _geometry(self, table: pa.Table, drop: Callable[..., None], keep: NDArray[np.bool_]) -> Geometries:
        blobs = table[WKB].to_pylist()
        absent = np.array([b is None for b in blobs], bool)
        drop(absent, "geometry.missing", "the feature has no geometry")
        faults = [None if b is None else wkb.fault(b) for b in blobs]
        drop(
            np.array([f == wkb.TOO_DEEP for f in faults], bool),
            "geometry.depth",
            wkb.TOO_DEEP,
        )
        drop(np.array([f is not None for f in faults], bool), "geometry.unreadable", lambda i: str(faults[i]))
        geometry: Geometries = wkb.shapes(blobs, "fix")
        undecoded = shapely.is_missing(geometry) & keep
        nan = np.zeros(len(blobs), bool)
        for i in np.flatnonzero(undecoded).tolist():
            nan[i] = any(mark in blobs[i] for mark in _NANS)
        drop(undecoded & nan, "geometry.nan", "a coordinate is not a finite number")
        drop(
            undecoded,
            "geometry.unreadable",
            lambda i: f"the geometry, a {wkb.kind_of(blobs[i])}, cannot be decoded",
        )
        drop(
            shapely.is_empty(geometry),
            "geometry.nan",
            "the geometry is empty or its coordinates are not numbers",
        )
        drop(~_finite(geometry), "geometry.nan", "a coordinate is not a finite number")
        self.lost["measures"] += int((shapely.has_m(geometry) & keep).sum())
        geometry = wkb.without_measures(geometry)
        self._gather(geometry, table, drop, keep)
        self._fitting(geometry, drop)
        geometry[~keep] = None
        high = shapely.has_z(geometry)
        if self.kind.flat:
            self.lost["flat"] += int(high.sum())
            geometry = shapely.force_2d(geometry)
        zero = is_zero(geometry)
        geometry = _placed(geometry, self.place)
        if not self.kind.flat:
            self.lost["heights"] += int((high & ~shapely.has_z(geometry)).sum())
        outside = _outside(geometry)
        self.beyond += int((outside & keep).sum())
        turned = outside & ~_outside(geometry, 360)
        self.turned += int((turned & keep).sum())
        drop(turned, "geometry.range", f"a longitude lies beyond ±180; {_TURNED}, else check the CRS")
        drop(
            outside, "geometry.range", "a coordinate lies outside longitude ±180, latitude ±90; check the CRS"
        )
        geometry[~keep] = None
        self.bulk.add(geometry, zero, table[ROW].to_numpy())
        return geometry

    def _fitting(self, geometry: Geometries, drop: Callable[..., None]) -> None:
        """Drops what is not of the kind's types."""
        if not self.kind.geometry:
            return
        families = np.array(
            [_FAMILY.get(t, "collection") for t in shapely.get_type_id(geometry)], dtype=object
        )
        wanted = " or ".join(sorted(self.kind.geometry))
        drop(
            ~np.isin(families, list(self.kind.geometry)),
            "geometry.type",
            lambda i: f"a {families[i]} is not the {wanted} that {self.kind.id} needs",
        )

    def unmeasured(self) -> NDArray[np.int64]:
        """The rows, once all were cleaned, that are set aside because they lie at 0, 0 and all others far
        from there."""
        types = self.bulk.unmeasured()
        if not types:
            return np.empty(0, np.int64)
        for row in sorted(self.bulk.zeros):
            self.findings.add(Problem("geometry.zero", row, _UNMEASURED, "quarantined"))
        self.types.subtract(types)
        self.types = +self.types
        self.kept -= types.total()
        self.quarantined += types.total()
        return np.array(sorted(self.bulk.zeros), np.int64)

    def _gather(
        self, geometry: Geometries, table: pa.Table, drop: Callable[..., None], keep: NDArray[np.bool_]
    ) -> None:
        """Collections of one family as one geometry of it; no layer keeps another, so those are set aside."""
        chosen = np.flatnonzero(keep & (shapely.get_type_id(geometry) == G.GEOMETRYCOLLECTION))
        mixed = np.zeros(len(geometry), bool)
        reasons: dict[int, str] = {}
        for i in chosen.tolist():
            members = _members(geometry[i])
            families = sorted({_FAMILY[shapely.get_type_id(one)] for one in members})
            if len(families) != 1:
                mixed[i] = True
                reasons[i] = f"a collection of {' and '.join(families) or 'nothing'} is no one feature"
                continue
            geometry[i] = _MULTI[families[0]]([part for one in members for part in shapely.get_parts(one)])
            reason = f"the collection holds {families[0]}s only; kept as one geometry of them"
            row = int(table[ROW][i].as_py())
            self.findings.add(Problem("geometry.collection", row, reason, "repaired"))
            self.repaired += 1
        drop(mixed, "geometry.collection", lambda i: reasons[i])

    def _meshes(
        self, table: pa.Table, keep: NDArray[np.bool_], rows: NDArray[np.int64], ids: list[str | None]
    ) -> list[bytes | None] | None:
        """The bodies placed in lon/lat, all together; one whose numbers do not hold is dropped, its feature
        kept."""
        if MESH not in table.column_names:
            return None
        blobs = table[MESH].to_pylist()
        out: list[bytes | None] = [None] * len(blobs)
        chosen = [i for i, blob in enumerate(blobs) if blob is not None and keep[i]]
        if not chosen:
            return out
        meshes = [Mesh.from_bytes(blobs[i]) for i in chosen]
        positions = np.concatenate([mesh.positions for mesh in meshes])
        if self.place is not None:
            positions = self.place(positions)
        ends = np.cumsum([len(mesh.positions) for mesh in meshes]).tolist()
        finite = np.isfinite(positions).all(axis=1)
        for i, mesh, end in zip(chosen, meshes, ends, strict=True):
            own = slice(end - len(mesh.positions), end)
            if finite[own].all():
                out[i] = replace(mesh, positions=positions[own]).to_bytes()
                continue
            reason = "the body has a coordinate that is not a number"
            self.findings.add(Problem("mesh.nan", int(rows[i]), reason, "noted", ids[i]))
        return out

    def _repeated(self, ids: list[str | None], keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        out = np.zeros(len(ids), bool)
        if not self.identity.declared:
            return out  # the column was chosen because no row repeats another
        here = self._seen
        for i, source_id in enumerate(ids):
            if source_id is None or not keep[i]:
                continue
            out[i] = source_id in here
            here.add(source_id)
        return out

    def _repair(
        self,
        geometry: Geometries,
        keep: NDArray[np.bool_],
        drop: Callable[..., None],
        rows: NDArray[np.int64],
        ids: list[str | None],
    ) -> None:
        """Make polygons valid, keeping their area; quarantine what stays no area or no length."""
        broken = np.flatnonzero(keep & ~shapely.is_valid(geometry))
        hopeless = np.zeros(len(geometry), bool)
        for i in broken.tolist():
            fixed = _valid(geometry[i])
            if fixed is None:
                hopeless[i] = True
                continue
            reason = f"{shapely.is_valid_reason(geometry[i])}; repaired"
            self.findings.add(Problem("geometry.invalid", int(rows[i]), reason, "repaired", ids[i]))
            self.repaired += 1
            geometry[i] = fixed
        drop(hopeless, "geometry.degenerate", "the geometry has no length or no area, or cannot be repaired")
        polygons = keep & np.isin(shapely.get_type_id(geometry), [G.POLYGON, G.MULTIPOLYGON])
        drop(polygons & ~(shapely.area(geometry) > 0), "geometry.degenerate", "the polygon has no area")
        turned = polygons & ~_is_oriented(geometry)
        geometry[turned] = shapely.orient_polygons(geometry[turned])


def _is_oriented(geometry: Geometries) -> NDArray[np.bool_]:
    """Which are polygons of one ring that runs counter-clockwise."""
    alone = shapely.get_num_interior_rings(geometry) == 0
    alone &= shapely.get_type_id(geometry) == G.POLYGON
    out = np.zeros(len(geometry), bool)
    out[alone] = shapely.is_ccw(shapely.get_exterior_ring(geometry[alone]))
    return out


def _read(column: pa.Array) -> Geometries:
    """Plain WKB as shapely geometries."""
    out: Geometries = np.asarray(shapely.from_wkb(column.to_numpy(zero_copy_only=False)), object)
    return out


def _are_points(geometry: Geometries) -> bool:
    return bool((shapely.get_type_id(geometry) == G.POINT).all())


def _written(
    column: pa.Array | None, before: Geometries, geometry: Geometries, keep: NDArray[np.bool_]
) -> pa.Array:
    """The kept geometries as WKB, those of a ``column`` that are what they were ``before`` as they are."""
    if column is None:
        return _iso(geometry[keep])
    changed = keep & np.array([one is not other for one, other in zip(before, geometry, strict=True)], bool)
    if changed.any():
        column = pc.replace_with_mask(column, pa.array(changed), _iso(geometry[changed]))
    return column if keep.all() else column.filter(pa.array(keep))


def _iso(geometry: Geometries) -> pa.Array:
    return pa.array(list(shapely.to_wkb(geometry, include_srid=False, flavor="iso")), pa.binary())


def _members(shape: shapely.Geometry) -> list[shapely.Geometry]:
    """The geometries in a collection, and in those inside it, but for empty ones."""
    if shape.geom_type != "GeometryCollection":
        return [] if shape.is_empty else [shape]
    return [one for part in shape.geoms for one in _members(part)]


def _finite(geometry: Geometries) -> NDArray[np.bool_]:
    coords, index = shapely.get_coordinates(geometry, include_z=False, return_index=True)
    bad = index[~np.isfinite(coords).all(axis=1)]
    out = np.ones(len(geometry), bool)
    out[bad] = False
    return out


def _outside(geometry: Geometries, longitude: float = 180) -> NDArray[np.bool_]:
    coords, index = shapely.get_coordinates(geometry, return_index=True)
    fits = (np.abs(coords[:, 0]) <= longitude + _EDGE) & (np.abs(coords[:, 1]) <= 90 + _EDGE)
    out = np.zeros(len(geometry), bool)
    out[index[~fits]] = True
    return out


def _placed(geometry: Geometries, place: Place | None) -> Geometries:
    """The geometries in lon/lat; a height that is not a number is dropped with its dimension."""
    high = shapely.has_z(geometry)
    if high.any():
        coords, index = shapely.get_coordinates(geometry, include_z=True, return_index=True)
        unknown = np.unique(index[high[index] & ~np.isfinite(coords[:, 2])])
        geometry[unknown] = shapely.force_2d(geometry[unknown])
    return geometry if place is None else mapped(geometry, place)


def _valid(shape: shapely.Geometry) -> shapely.Geometry | None:
    """The geometry made valid in its own family, or None."""
    family = _FAMILY.get(shapely.get_type_id(shape))
    if family == "line":
        return None if shape.length == 0 else shape
    if family != "polygon":
        return None
    fixed = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    parts = [p for p in shapely.get_parts(fixed) if p.geom_type == "Polygon" and p.area > 0]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def _replaced(
    table: pa.Table,
    keep: NDArray[np.bool_],
    geometry: pa.Array,
    ids: list[str | None],
    meshes: list[bytes | None] | None,
) -> pa.Table:
    """The kept rows of a table with new geometries (WKB, of these only), ids and meshes."""
    rows = table if keep.all() else table.filter(pa.array(keep))
    columns: dict[str, Any] = {name: rows[name] for name in rows.column_names if name != FID}
    columns[WKB] = geometry
    columns[SOURCE_ID] = pa.array([s for s, k in zip(ids, keep, strict=True) if k], pa.string())
    if meshes is not None:
        columns[MESH] = pa.array([m for m, k in zip(meshes, keep, strict=True) if k], pa.binary())
    return pa.table(columns)


def losses(cleaner: Cleaner) -> Iterator[Problem]:
    """What positions had and no layer keeps."""
    reasons = {
        "measures": "{} geometries have measures (M), which are left out",
        "flat": "{} geometries have heights (Z), which are left out: those of a "
        + f"{cleaner.kind.id} are its fields",
        "heights": "{} geometries have positions without a height among others, and lose all of theirs",
    }
    for what, reason in reasons.items():
        if count := cleaner.lost[what]:
            yield Problem(f"geometry.{what}", 0, reason.format(count), "noted")


def implausible(cleaner: Cleaner) -> None:
    """Refuse a file of which most rows do not lie on earth in the CRS that was assumed."""
    if cleaner.beyond * 2 > cleaner.read:
        reason = f"{cleaner.beyond} of {cleaner.read} rows lie outside longitude/latitude; declare the CRS"
        if cleaner.turned == cleaner.beyond:
            reason += f", or, {_TURNED}"
        raise BadFile("crs.implausible", reason)

"""Buildings and their CIM parts: which part belongs to which building, whichever is loaded first.

A part belongs to the building whose footprint contains the part's representative point; of
several, to the smallest. A building with parts is marked so that it is not drawn twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from layers import kinds, wkb
from layers.batch import MESH, SOURCE_ID, WKB
from layers.kinds import roofs
from layers.kinds.base import Batch, Columns
from layers.model import Mesh, Problem
from layers.store.base import LayerSpec, Store

#: Parts that cover less of their building's footprint than this are reported.
COVERED = 0.6
_REMEMBERED = {"building": "has_parts", "cim": "building_id"}
#: A remainder narrower than this (m) is a gap between two drawings of one wall, not a body.
_SLIVER_M = 0.4
#: Metres of a degree of latitude, near enough to tell a sliver.
_DEGREE_M = 111_320.0


class Memory:
    """The relation values a layer has now, so that loading it again does not change and restore them."""

    def __init__(self, store: Store, layer_id: str, kind: str) -> None:
        self._field = _REMEMBERED.get(kind)
        self._values: dict[str, Any] = {}
        self._bodies: dict[str, tuple[bytes, bytes]] = {}
        if self._field is None:
            return
        rows = store.rows(layer_id, meshes=kind == "building")
        properties = rows.properties
        if self._field in properties and "source_id" in properties:
            ids = properties["source_id"]
            self._values = dict(zip(ids, properties[self._field], strict=True))
            for source_id, fid, place in zip(ids, rows.fids.tolist(), _plain(rows.wkb), strict=True):
                if source_id is not None and place is not None and fid in rows.meshes:
                    self._bodies[source_id] = place, rows.meshes[fid].to_bytes()

    def recall(self, batch: Batch, values: Columns) -> None:
        """Put the remembered value in rows whose source does not give one."""
        if self._field is None or not self._values:
            return
        column = values[self._field]
        values[self._field] = [
            v or self._values.get(s or "", v) for v, s in zip(column, batch.ids, strict=True)
        ]

    def bodies(self, table: pa.Table) -> pa.Table:
        """Staged buildings with the remaining bodies they had, where the footprint is the same."""
        if not self._bodies:
            return table
        pairs = zip(table[SOURCE_ID].to_pylist(), _plain(table[WKB].to_pylist()), strict=True)
        meshes = [
            had[1] if (had := self._bodies.get(s or "")) and had[0] == place else None for s, place in pairs
        ]
        return table.append_column(MESH, pa.array(meshes, pa.binary()))


def _plain(places: Sequence[bytes | None]) -> list[bytes | None]:
    """Equal bytes for equal geometries; None for what cannot be read."""
    out: list[bytes | None] = shapely.to_wkb(shapely.normalize(wkb.shapes(places))).tolist()
    return out


@dataclass(frozen=True, slots=True)
class _Rows:
    """The footprints of the layers of one kind, and what they say of the relation."""

    layer: list[str]
    fid: list[int]
    source_id: list[str | None]
    value: list[Any]
    low: list[float]
    high: list[float]
    shape: NDArray[np.object_]


def _rows(store: Store, kind: str, field: str) -> _Rows:
    out = _Rows([], [], [], [], [], [], np.array([], dtype=object))
    shapes: list[Any] = []
    for layer in store.layers():
        if layer.kind != kind or layer.field(field) is None:
            continue
        rows = store.rows(layer.id)
        n = len(rows.fids)
        out.layer.extend([layer.id] * n)
        out.fid.extend(rows.fids.tolist())
        out.source_id.extend(rows.properties.get("source_id", [None] * n))
        out.value.extend(rows.properties[field])
        out.low.extend(v or 0.0 for v in rows.properties.get("min_height_m", [0.0] * n))
        out.high.extend(v or 0.0 for v in rows.properties.get("height_m", [0.0] * n))
        shapes.extend(shapely.force_2d(wkb.shapes(rows.wkb)))
    return replace(out, shape=np.array(shapes, dtype=object))


def _owners(buildings: _Rows, parts: _Rows) -> list[int | None]:
    """Index of the building of every part: the smallest that contains its representative point."""
    points = shapely.point_on_surface(parts.shape)
    tree = shapely.STRtree(buildings.shape)
    part, building = tree.query(points, predicate="within")
    order = np.lexsort((-shapely.area(buildings.shape[building]), part))
    owners: list[int | None] = [None] * len(parts.fid)
    for p, b in zip(part[order].tolist(), building[order].tolist(), strict=True):
        owners[p] = b
    return owners


def update(store: Store, loaded: str) -> list[Problem]:
    """Bring both sides of the relation up to date in the store; findings for the loaded layer's report."""
    buildings, parts = _rows(store, "building", "has_parts"), _rows(store, "cim", "building_id")
    if not buildings.fid:
        return []
    owners = _owners(buildings, parts) if parts.fid else []
    named = [None if o is None else buildings.source_id[o] for o in owners]
    known = set(buildings.source_id)
    triples = zip(parts.value, named, owners, strict=True)
    # A name that no building here bears comes from the source (a CityJSON parent) and stays.
    wanted = [n if o is not None or v in known else v for v, n, o in triples]
    _write(store, parts, "building_id", wanted)
    owning = {o for o in owners if o is not None}
    _write(store, buildings, "has_parts", [i in owning for i in range(len(buildings.fid))])
    _remainders(store, buildings, parts, owners)
    return list(_findings(buildings, parts, owners, loaded))


def _write(store: Store, rows: _Rows, field: str, wanted: Sequence[Any]) -> None:
    """Set the values that differ, one transaction a layer."""
    changed: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for layer, fid, before, after in zip(rows.layer, rows.fid, rows.value, wanted, strict=True):
        if before != after:
            changed.setdefault(layer, []).append((fid, {field: after}))
    for layer, values in changed.items():
        store.set_values(layer, values)


def remainder(footprint: Any, low: float, high: float, parts: Sequence[tuple[Any, float]]) -> Mesh | None:
    """What is left of a building's body outside its parts, or None.

    ``parts`` are (footprint, height of underside). Beside the parts the building stands from ``low``
    to ``high``; below a part that begins above ``low`` it stands up to the part's underside, unless
    a lower part is there. Shapes in lon/lat degrees, heights in metres.
    """
    pieces = [(shapely.difference(footprint, shapely.union_all([s for s, _ in parts])), high)]
    for i, (shape, bottom) in enumerate(parts):
        below = [s for j, (s, b) in enumerate(parts) if b < bottom or (b == bottom and j < i)]
        free = shapely.difference(shapely.intersection(shape, footprint), shapely.union_all(below))
        pieces.append((free, bottom))
    bodies = [
        roofs.mesh(shape, low, top, roofs.Roof())[0]
        for piece, top in pieces
        if top > low + 0.01 and (shape := _without_slivers(piece)) is not None
    ]
    return _joined(bodies) if bodies else None


def _without_slivers(shape: Any) -> Any:
    """The polygons of a shape that are wider than a sliver, or None."""
    wide = [p for p in shapely.get_parts(shape) if p.geom_type == "Polygon"]
    if not wide:
        return None
    scale = np.array([_DEGREE_M * np.cos(np.radians(wide[0].bounds[1])), _DEGREE_M])
    metric = shapely.transform(np.array(wide, dtype=object), lambda c: c * scale)
    kept = [p for p, m in zip(wide, metric, strict=True) if not shapely.buffer(m, -_SLIVER_M / 2).is_empty]
    return shapely.multipolygons(kept) if kept else None


def _joined(bodies: Sequence[Mesh]) -> Mesh:
    starts = np.cumsum([0, *(len(b.positions) for b in bodies[:-1])])
    return Mesh(
        np.concatenate([b.positions for b in bodies]),
        np.concatenate([b.triangles + np.uint32(k) for b, k in zip(bodies, starts, strict=True)]),
        np.concatenate([b.surfaces for b in bodies]),
    )


def _remainders(store: Store, buildings: _Rows, parts: _Rows, owners: Sequence[int | None]) -> None:
    """Keep what remains of every building with parts as its mesh; those without lose theirs."""
    mine: dict[int, list[tuple[Any, float]]] = {}
    for i, owner in enumerate(owners):
        if owner is not None:
            mine.setdefault(owner, []).append((parts.shape[i], parts.low[i]))
    wanted: dict[str, dict[int, bytes | None]] = {}
    for b, own in mine.items():
        body = remainder(buildings.shape[b], buildings.low[b], buildings.high[b], own)
        wanted.setdefault(buildings.layer[b], {})[buildings.fid[b]] = (
            body.to_bytes() if body is not None else None
        )
    for layer_id in dict.fromkeys(buildings.layer):
        _keep_bodies(store, layer_id, wanted.get(layer_id, {}))


def _keep_bodies(store: Store, layer_id: str, wanted: Mapping[int, bytes | None]) -> None:
    """Publish the rows of a layer whose remaining body is new, changed or gone."""
    had = {fid: mesh.to_bytes() for fid, mesh in store.rows(layer_id, meshes=True).meshes.items()}
    changed = [fid for fid in sorted(wanted.keys() | had.keys()) if wanted.get(fid) != had.get(fid)]
    rows = store.rows(layer_id, changed)
    named = [i for i, s in enumerate(rows.properties["source_id"]) if s is not None]
    if not named:
        return
    layer = store.layer(layer_id)
    fields = tuple(f for f in layer.fields if f.name != "source_id")
    table: dict[str, Any] = {
        SOURCE_ID: [rows.properties["source_id"][i] for i in named],
        WKB: pa.array([rows.wkb[i] for i in named], pa.binary()),
        MESH: pa.array([wanted.get(int(rows.fids[i])) for i in named], pa.binary()),
        **{f.name: [rows.properties[f.name][i] for i in named] for f in fields},
    }
    stage = store.stage(
        LayerSpec(
            layer.id,
            layer.kind,
            layer.title,
            fields,
            layer.geometry_type,
            layer.crs,
            layer.time_field,
            kinds.get(layer.kind).key,
        )
    )
    try:
        stage.add(pa.table(table))
        store.publish(stage, mode="append")
    except BaseException:
        stage.drop()
        raise


def _findings(buildings: _Rows, parts: _Rows, owners: Sequence[int | None], loaded: str) -> Iterator[Problem]:
    if loaded in parts.layer:
        for i, owner in enumerate(owners):
            if owner is None:
                yield Problem(
                    "part.no_building", 0, "the part lies in no building", "noted", parts.source_id[i]
                )
    for building in sorted({o for o in owners if o is not None}):
        mine = parts.shape[[i for i, o in enumerate(owners) if o == building]]
        share = covered(buildings.shape[building], mine)
        if share < COVERED:
            reason = f"its parts cover {share:.0%} of the footprint; the rest is drawn from the outline"
            yield Problem("parts.cover", 0, reason, "noted", buildings.source_id[building])


def covered(building: Any, parts: Any) -> float:
    """The share of a building's footprint that its parts cover."""
    if building.area == 0:
        return 1.0
    return float(shapely.area(shapely.intersection(shapely.union_all(parts), building)) / building.area)

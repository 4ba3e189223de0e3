"""CIM: building parts and city objects with a body of their own, kept as meshes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from layers.kinds import heights, kind_table, roofs, vector
from layers.kinds.base import Columns, SourceBatch, metres, number

TABLE = kind_table.of("cim")


def normalise(batch: SourceBatch) -> Columns:
    """height_m, height_source, min_height_m, levels, roof_shape, roof_height_m, building_id, name, storey,
    storey_no, storey_elevation_m, system, category, cim_level, cim_class, foot_lon, foot_lat."""
    out: Columns = {name: column.to_pylist() for name, column in heights.normalise(batch, TABLE).items()}
    _by_mesh(batch, out)
    shapes = [s.casefold() if s else None for s in TABLE.texts(batch, "roof_shape")]
    out["roof_shape"] = shapes
    out["roof_height_m"] = _each(batch, "roof_height_m", metres)
    out["building_id"] = TABLE.texts(batch, "building_id")
    for name in ("name", "storey", "system"):
        out[name] = TABLE.texts(batch, name)
    out["storey_no"] = _each(batch, "storey_no", _whole)
    out["storey_elevation_m"] = _each(batch, "storey_elevation_m", metres)
    for name in TABLE.prism.foot if TABLE.prism and TABLE.prism.foot else ():
        out[name] = _each(batch, name, _degrees)
    for name in ("category", "cim_level", "cim_class"):
        out[name] = TABLE.codes(batch, name)
    return out


def _each[T](batch: SourceBatch, name: str, of: Callable[[Any], T]) -> list[T]:
    return vector.each(TABLE.column(batch, name), of)


def _by_mesh(batch: SourceBatch, out: Columns) -> None:
    """A body that came with the source tells its own height, unless an attribute was measured; one that is a
    part of a whole tells how far above the whole's ground its underside is, and keeps that."""
    lows = batch.first(("mesh_low_m",))
    for i, height in enumerate(batch.first(("mesh_height_m",))):
        low = lows[i]
        if height is not None and (low is not None or out["height_source"][i] != "measured"):
            bottom = 0.0 if low is None else float(low)
            out["height_m"][i], out["height_source"][i] = round(bottom + float(height), 3), "measured"
            out["min_height_m"][i] = bottom


def _degrees(value: Any) -> float | None:
    read = number(value)
    return read[0] if read and abs(read[0]) <= 180 else None


def _whole(value: Any) -> int | None:
    read = number(value)
    return int(read[0]) if read and read[0].is_integer() else None


KIND = TABLE.kind("cim", normalise, roofs.meshes)

"""Registered tables keep their own CRS: on reading their rows become lon/lat, on writing the reverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from layers.cql import geometry
from layers.errors import BadFile, BadParameter, Unreadable
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.literal import literal
from layers.store.postgis.values import Ewkb
from layers.types import Bbox


def to_lonlat(table: LayerTable, shapes: NDArray[Any]) -> NDArray[Any]:
    """Shapes of a table as lon/lat; None for one that cannot be brought there."""
    if table.srid == 4326:
        return shapes
    import numpy as np
    import shapely

    import layers.crs as crs_

    try:
        operations = crs_.transformers(f"EPSG:{table.srid}")
    except BadFile as error:
        raise Unreadable(f"layer {table.id} cannot be read: {error.reason}") from error
    if not operations:
        return shapes
    first = operations[0]

    def move(xyz: Any) -> Any:
        out = np.array(xyz, np.float64, copy=True)
        out[:, 0], out[:, 1] = first.transform(out[:, 0], out[:, 1])
        return out

    out = crs_.mapped(shapes, move)
    out[np.isinf(shapely.bounds(out)).any(axis=1)] = None
    return out


def wkb(table: LayerTable, shapes: Any) -> list[bytes | None]:
    """Shapes of a table as ISO WKB in lon/lat."""
    import shapely

    moved = to_lonlat(table, shapes)
    return list(shapely.to_wkb(moved, byte_order=1, flavor="iso", include_srid=False))


def ewkb(table: LayerTable, shape: Any) -> Ewkb | None:
    """A lon/lat shape as EWKB in the table's CRS, x first."""
    import numpy as np
    import shapely

    import layers.crs as crs_

    if shape is None:
        return None
    if table.srid != 4326:
        one = np.empty(1, dtype=object)
        one[0] = shape
        shape = crs_.shapes_from_lonlat(one, f"EPSG:{table.srid}", x_first=True)[0]
    return Ewkb(shapely.to_wkb(shapely.set_srid(shape, table.srid), include_srid=True))


def within(table: LayerTable, boxes: Sequence[Bbox]) -> tuple[str, list[Any]]:
    """Whether a feature intersects one of the boxes (lon/lat), whose edges bend as the table's CRS does."""
    parts, values = [], []
    for box in boxes:
        try:
            area = literal(geometry.box(*box), table.srid)
        except BadParameter as error:
            raise Unreadable(f"layer {table.id} cannot be read in longitude and latitude") from error
        if area is not None:
            near = f"{table.geom} && %s AND " if table.untyped else ""
            parts.append(f"({near}ST_Intersects({table.shape}, %s))")
            values += [Ewkb(area.ewkb)] * (2 if near else 1)
    return " OR ".join(parts) or "false", values


def box_to_lonlat(table: LayerTable, box: Bbox) -> Bbox | None:
    """A box in the table's CRS (x first) as the lon/lat box around its bent edges; None beyond its area."""
    if table.srid == 4326:
        return box
    import math

    import layers.crs as crs_

    operations = crs_.transformers(f"EPSG:{table.srid}")
    if not operations:
        return box
    try:
        lonlat = operations[0].transform_bounds(*box, densify_pts=21)
    except Exception:  # pyproj raises its own errors and RuntimeError here
        return None
    return (lonlat[0], lonlat[1], lonlat[2], lonlat[3]) if all(map(math.isfinite, lonlat)) else None

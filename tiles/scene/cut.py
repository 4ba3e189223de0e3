"""What is cut out of a registered tileset: areas of a setting, and where features of the city stand
instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely

from layers import wkb
from layers.errors import BadConfig, shown
from layers.model import Rows
from tiles.scheme import METRES_PER_DEGREE

#: Metres around a feature: what a photo shows of its walls and eaves is not thinner.
_AROUND = 0.5
#: Metres that an outline may be beside its place: engines draw so many corners in each frame.
_FINE = 0.1
#: Corners of an area in a file.
_MOST = 100_000

type Ring = Sequence[tuple[float, float]]


def area(said: str | Sequence[Ring], folder: Path) -> Any:
    """The area of a setting: rings, or a GeoJSON file of polygons below the city's ``folder``.

    Raises BadConfig."""
    if not isinstance(said, str):
        return shapely.union_all(shapely.make_valid([shapely.Polygon(ring) for ring in said]))
    try:
        shape = shapely.from_geojson((folder / said).read_bytes())
    except OSError as error:
        raise BadConfig(f"{shown(said)} cannot be read: {error.strerror}") from error
    except shapely.GEOSException as error:
        raise BadConfig(f"{shown(said)} is no GeoJSON of polygons") from error
    merged = shapely.union_all(shapely.make_valid(shapely.get_parts(shapely.force_2d(shape))))
    if shapely.get_dimensions(merged) != 2 or shapely.get_num_coordinates(merged) > _MOST:
        raise BadConfig(f"{shown(said)} has no polygons, or more than {_MOST} corners")
    return merged


def outlines(batches: Iterable[Rows]) -> Any:
    """Where features stand, with a little around: one area in degrees."""
    found: list[Any] = []
    for rows in batches:
        shapes = shapely.force_2d(wkb.shapes(rows.wkb))
        found.append(shapes[shapely.get_dimensions(shapes) == 2])
    shapes = np.concatenate(found) if found else np.empty(0, object)
    if not len(shapes):
        return shapely.Polygon()
    # metres, near enough for a city: a buffer in degrees would be narrower to the east
    lon, lat = shapely.get_coordinates(shapes).mean(axis=0)
    scale = np.array([METRES_PER_DEGREE * np.cos(np.radians(lat)), METRES_PER_DEGREE])
    local = shapely.transform(shapes, lambda xy: (xy - (lon, lat)) * scale)
    merged = shapely.union_all(shapely.buffer(shapely.make_valid(local), _AROUND, join_style="mitre"))
    return shapely.transform(shapely.simplify(merged, _FINE), lambda xy: xy / scale + (lon, lat))


def document(cut: Iterable[Any], keep: Any | None) -> bytes:
    """GeoJSON of what is cut out (a feature of the id ``cut``), or, where an area is named outside of which
    nothing is kept, of what is then left (``keep``); without a feature where all is shown."""
    out = shapely.union_all(list(cut))
    name, shape = ("cut", out) if keep is None else ("keep", shapely.difference(keep, out))
    features = [
        {"type": "Feature", "id": name, "properties": {}, "geometry": orjson.Fragment(_geojson(shape))}
    ]
    empty = keep is None and shapely.is_empty(out)
    return orjson.dumps({"type": "FeatureCollection", "features": [] if empty else features})


def _geojson(shape: Any) -> str:
    return str(shapely.to_geojson(shapely.set_precision(shape, 1e-8, mode="pointwise")))

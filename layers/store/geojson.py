"""Rows as GeoJSON (RFC 7946): bytes made once, at publish or on the first read after an edit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layers import flat
from layers.types import CRS84, Field

DEGREE_DECIMALS = 9  # 0.1 mm
METRE_DECIMALS = 4  # 0.1 mm
#: What stands before the positions of a geometry, in the place of the comma after the last, and after it.
AROUND = {
    flat.POINT: ('{"type":"Point","coordinates":', "}", ""),
    flat.LINE: ('{"type":"LineString","coordinates":[', "]", "}"),
    flat.POLYGON: ('{"type":"Polygon","coordinates":[[', "]", "]}"),
}
#: What shapely's numbers of points, lines, rings and polygons are in WKB.
_KINDS = np.array([flat.POINT, flat.LINE, 0, flat.POLYGON], np.uint32)
#: From here on columns are sooner made than rows.
_MANY = 20


def geometries(shapes: NDArray[Any], decimals: int = DEGREE_DECIMALS) -> list[str]:
    """GeoJSON geometry texts of shapely geometries; ``null`` for None and for empty ones."""
    import shapely

    if not len(shapes):
        return []
    if len(shapes) < _MANY:
        return _by_geos(shapes, decimals)
    plain = (shapely.get_num_interior_rings(shapes) == 0) & np.isin(shapely.get_type_id(shapes), (0, 1, 3))
    plain &= ~(shapely.has_z(shapes) | shapely.has_m(shapes) | shapely.is_empty(shapes))
    out = np.empty(len(shapes), object)
    out[plain] = _texts(_flat(shapes[plain]), decimals)
    out[~plain] = _by_geos(shapes[~plain], decimals)
    return list(out)


def positions(shapes: flat.Flat, decimals: int) -> tuple[NDArray[np.uint8], flat.Indices]:
    """The rounded positions of each geometry as text, with what closes them (:data:`AROUND`): the text of
    all, and where each begins (n + 1)."""
    rounded = np.ascontiguousarray(np.round(shapes.positions, decimals))
    text = np.frombuffer(orjson.dumps(rounded, option=orjson.OPT_SERIALIZE_NUMPY), np.uint8).copy()
    begins = np.flatnonzero(text == ord("["))[1:][shapes.firsts[:-1]]  # the first opens the array of all
    offsets = np.append(begins, len(text))
    for kind, (_, closing, _) in AROUND.items():
        text[offsets[1:][shapes.kinds == kind] - 1] = ord(closing)
    return text, offsets


def _texts(shapes: flat.Flat, decimals: int) -> list[str]:
    if not len(shapes.kinds):
        return []
    numbers, offsets = positions(shapes, decimals)
    text, ends = numbers.tobytes().decode(), offsets.tolist()
    around = [AROUND[kind] for kind in shapes.kinds.tolist()]
    spans = zip(around, ends, ends[1:], strict=False)
    return [f"{head}{text[begin:end]}{tail}" for (head, _, tail), begin, end in spans]


def _flat(shapes: NDArray[Any]) -> flat.Flat:
    """Points, lines and polygons of one ring, in the plane."""
    import shapely

    kinds = _KINDS[shapely.get_type_id(shapes)]
    counts = shapely.get_num_coordinates(shapes)
    return flat.Flat(kinds, np.concatenate([[0], np.cumsum(counts)]), shapely.get_coordinates(shapes))


def _by_geos(shapes: NDArray[Any], decimals: int) -> list[str]:
    import shapely

    if not len(shapes):
        return []
    texts = shapely.to_geojson(round_to(shapes, decimals)).tolist()
    empty = shapely.is_empty(shapes).tolist()
    return ["null" if text is None or empty[i] else _shortest(text) for i, text in enumerate(texts)]


def _shortest(text: str) -> str:
    """The same with each number as :func:`positions` writes it: GEOS does not always find the shortest
    decimal of a double (25.226006601999998 for 25.226006602)."""
    return orjson.dumps(orjson.loads(text)).decode()


def round_to(shapes: NDArray[Any], decimals: int) -> NDArray[Any]:
    """Copies with coordinates rounded; topology is not touched."""
    import shapely

    high = shapely.has_z(shapes)
    if not high.any() or high.all():  # one pass; what is mixed takes two
        coordinates = shapely.get_coordinates(shapes, include_z=bool(high.any()))
        return np.asarray(shapely.set_coordinates(shapes.copy(), np.round(coordinates, decimals)))
    out = shapes.copy()
    for chosen, z in ((~high, False), (high, True)):
        out[chosen] = shapely.transform(shapes[chosen], lambda xy: np.round(xy, decimals), include_z=z)
    return out


def properties(fields: Sequence[Field], rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """The ``properties`` object of each row, its values in the order of the fields."""
    names = [f.name for f in fields]
    repairs = [(i, fix) for i, f in enumerate(fields) if (fix := _READ.get(f.type))]
    out = []
    for row in rows:
        values = list(row)
        for i, fix in repairs:
            if values[i] is not None:
                values[i] = fix(values[i])
        out.append(_dumps(dict(zip(names, values, strict=True))))
    return out


def _dumps(values: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(values)
    except TypeError:  # a BLOB or an integer beyond 64 bits, put there by another program
        return orjson.dumps({k: _shown(v) for k, v in values.items()})


def _shown(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def boolean(value: object) -> object:
    """SQLite's 0 and 1 as JSON booleans; anything else another program stored stays as it is."""
    return bool(value) if value in (0, 1) else value


def array(value: object) -> object:
    """A column's JSON text as a list; anything else another program stored stays as it is."""
    if not isinstance(value, str | bytes):
        return value
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return parsed if isinstance(parsed, list) else value


_READ: dict[str, Callable[[object], object]] = {"boolean": boolean, "array": array}


def tails(
    shapes: NDArray[Any],
    fields: Sequence[Field],
    rows: Iterable[Sequence[Any]],
    decimals: int = DEGREE_DECIMALS,
) -> list[bytes]:
    """What follows the id in each Feature: geometry, properties, closing brace."""
    pairs = zip(geometries(shapes, decimals), properties(fields, rows), strict=True)
    return [b',"geometry":' + g.encode() + b',"properties":' + p + b"}" for g, p in pairs]


def projected(
    shapes: NDArray[Any], fields: Sequence[Field], rows: Iterable[Sequence[Any]], crs: str
) -> list[bytes]:
    """:func:`tails` of lon/lat shapes in a CRS, in the axis order of its authority."""
    if crs == CRS84:
        return tails(shapes, fields, rows)
    import layers.crs as crs_

    decimals = DEGREE_DECIMALS if crs_.is_geographic(crs) else METRE_DECIMALS
    return tails(crs_.shapes_from_lonlat(shapes, crs), fields, rows, decimals)


def feature(fid: int, tail: bytes) -> bytes:
    """One Feature."""
    return b'{"type":"Feature","id":%d%s' % (fid, tail)

"""Coordinate reference systems: their names, their axis order, and honest ways to longitude/latitude.

A coordinate operation is used only when PROJ knows it as a real one with a stated accuracy of 5 m or
better; a "ballpark" one (datums taken as equal) is refused, never guessed. CGCS2000 is the one
exception, made on purpose: it agrees with WGS 84 within centimetres (GB 22021-2008; EPSG:1043).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import BadFile, BadParameter, shown
from layers.model import FeatureLayer
from layers.types import CRS84, Bbox

if TYPE_CHECKING:
    import pyproj
    from pyproj import Transformer

LABEL84 = "OGC:CRS84"
WORST_ACCURACY_M = 5.0
_MARGIN_DEGREES = 0.5  # areas of use follow borders; a city on one may reach over it
_STRAY_DEGREES = 5.0
_MAX_TEXT = 20_000  # PROJ needs more than a second for a text of 100 kB
#: What programs call the datum of CGCS2000, in letters and digits alone.
_CGCS2000 = frozenset(
    {"china2000", "dchina2000", "cgcs2000", "dcgcs2000", "chinageodeticcoordinatesystem2000"}
)
_WGS84 = "World Geodetic System 1984"

_URI = re.compile(r"https?://www\.opengis\.net/def/crs/([A-Za-z]+)/([0-9.]+)/([A-Za-z0-9]+)")
_URN = re.compile(r"urn:ogc:def:crs:([A-Za-z]+):[0-9.]*:([A-Za-z0-9]+)")
_SHORT = re.compile(r"(?:(EPSG|OGC):)?(CRS84|\d{4,6})", re.IGNORECASE | re.ASCII)


def label(text: str, name: str = "crs") -> str:
    """``EPSG:n`` or ``OGC:CRS84`` of a URI, URN, CURIE (with or without brackets) or short name.

    Raises BadParameter naming the parameter. Whether the code exists is not asked here."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if (match := _URI.fullmatch(bare)) is not None:
        authority, code = match[1].upper(), match[3].upper()
    elif (match := _URN.fullmatch(bare)) is not None:
        authority, code = match[1].upper(), match[2].upper()
    elif (match := _SHORT.fullmatch(bare)) is not None:
        code = match[2].upper()
        authority = (match[1] or ("OGC" if code == "CRS84" else "?")).upper()
    else:
        authority, code = "?", ""
    if authority == "OGC" and code == "CRS84":
        return LABEL84
    if authority == "EPSG" and code.isdigit() and len(code) <= 6:
        return f"EPSG:{int(code)}"
    raise BadParameter(name, text, f"a CRS as a URI ({CRS84}), EPSG:n or CRS84")


def uri(text: str) -> str:
    """The URI of a CRS (OGC 09-048r5). Raises BadParameter."""
    short = label(text)
    return CRS84 if short == LABEL84 else f"http://www.opengis.net/def/crs/EPSG/0/{short[5:]}"


#: URIs of the CRSs in which every layer is offered.
COMMON = (CRS84, uri("EPSG:4326"), uri("EPSG:3857"))


def supported(layer: FeatureLayer) -> tuple[str, ...]:
    """URIs in which features of the layer are offered: CRS84 first, then its source CRS, those of the
    city, and the web ones."""
    return offered(layer.crs, *layer.crs_also)


def offered(*crs: str) -> tuple[str, ...]:
    """URIs of CRS84, of these CRSs where they have a code and an accurate way to it, and of the web ones."""
    own: list[str] = []
    for text in crs:
        with suppress(BadParameter, BadFile):  # one without a code (a WKT of its own) cannot be asked for
            named = uri(text)
            if named not in (*COMMON, *own):
                transformers(text)
                own.append(named)
    return (CRS84, *own, *COMMON[1:])


def horizontal(text: str) -> str:
    """The short name of a CRS of two axes in which features of any layer can be given.

    Raises BadParameter (it has no code), BadFile (crs.unknown, crs.kind, crs.inaccurate)."""
    short = label(text)
    if short != LABEL84:
        import pyproj

        transformers(short)
        if len(pyproj.CRS(short).axis_info) != 2:  # `transformers` takes the horizontal part
            raise BadFile("crs.kind", f"{short} has heights, too; its horizontal part is needed")
    return short


def known(text: str) -> str:
    """A CRS as PROJ knows it: ``OGC:CRS84``, ``EPSG:n``, or ``EPSG:n+m`` of the URI of a compound one
    (OGC 09-048r5, 7.5); another text, as WKT, as it is."""
    with suppress(BadParameter):
        return label(text)
    _, mark, parts = text.partition("/def/crs-compound?")
    codes = [_URI.fullmatch(part.partition("=")[2]) for part in parts.split("&")] if mark else []
    registered = [code[3] for code in codes if code is not None and code[1].upper() == "EPSG"]
    return f"EPSG:{'+'.join(registered)}" if registered and len(registered) == len(codes) else text


def vertical_datum(text: str) -> str | None:
    """The name of what heights count from, where a code, URI or WKT says it. Raises BadFile crs.unknown."""
    parsed = _vertical_of(text)
    if parsed is None:
        return None
    return str(parsed.name) if parsed.is_vertical else "ellipsoidal height"


def vertical_unit(text: str) -> float | None:
    """Metres of the unit of heights, where a code, URI or WKT says it. Raises BadFile crs.unknown."""
    parsed = _vertical_of(text)
    return None if parsed is None else float(parsed.axis_info[-1].unit_conversion_factor)


def _vertical_of(text: str) -> pyproj.CRS | None:
    """The vertical part of a CRS, or the whole of one in three dimensions."""
    import pyproj
    from pyproj.exceptions import CRSError

    try:
        parsed = pyproj.CRS.from_user_input(known(text))
    except CRSError as error:
        raise BadFile("crs.unknown", f"{shown(text)} is not a known coordinate system") from error
    if parsed.is_compound:
        return parsed.sub_crs_list[1]
    return parsed if parsed.is_vertical or len(parsed.axis_info) == 3 else None


def _called(text: str) -> str:
    """What a message calls a CRS: its code, or the name in its definition."""
    name = text.split('"', 2)[1] if '"' in text else text
    return shown(name) if name else "a system without a name"


@lru_cache(maxsize=64)
def definition(text: str) -> pyproj.CRS:
    """The horizontal CRS of a code, URI or WKT. Raises BadFile: unknown, or not of the Earth's surface."""
    import pyproj
    from pyproj.exceptions import CRSError

    if len(text) > _MAX_TEXT:
        raise BadFile("crs.unknown", "the text of the coordinate system is too long")
    try:
        crs = pyproj.CRS.from_user_input(known(text))
    except CRSError as error:
        raise BadFile("crs.unknown", f"{shown(text)} is not a known coordinate system") from error
    if crs.is_compound:
        crs = crs.sub_crs_list[0]
    if crs.is_geocentric or not (crs.is_geographic or crs.is_projected):
        raise BadFile("crs.kind", f"{_called(text)} is neither geographic nor projected")
    # rebuilt, one whose axes a file leaves to the reader is not found among those that are registered
    return crs.to_2d() if len(crs.axis_info) > 2 else crs


def is_geographic(text: str) -> bool:
    """Whether coordinates are in degrees. Raises BadFile."""
    return text in (CRS84, LABEL84) or bool(definition(text).is_geographic)


@lru_cache(maxsize=256)
def swaps(text: str) -> bool:
    """Whether the authority's axis order is northing (or latitude) first. Raises BadFile."""
    if text in (CRS84, LABEL84):
        return False
    axes = [axis.direction.lower() for axis in definition(text).axis_info]
    return axes[:2] == ["north", "east"]


@lru_cache(maxsize=64)
def transformers(text: str) -> tuple[Transformer, ...]:
    """Operations to longitude/latitude, x first on both sides, best first; empty where nothing changes.

    Raises BadFile (crs.unknown, crs.kind, crs.inaccurate)."""
    from pyproj import Transformer
    from pyproj.transformer import TransformerGroup

    crs = definition(text)
    geodetic = crs.geodetic_crs
    datum = (geodetic.datum.name if geodetic is not None and geodetic.datum is not None else "") or ""
    own = re.sub(r"[^a-z0-9]", "", datum.casefold()) in _CGCS2000 or datum.startswith(_WGS84)
    if own and crs.is_geographic and crs.prime_meridian is not None and crs.prime_meridian.longitude == 0:
        return ()
    if own:  # the same datum: an exact conversion, no datum operation
        return (Transformer.from_crs(crs, geodetic, always_xy=True),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a better operation whose grid is not installed
        group = TransformerGroup(crs, "EPSG:4326", always_xy=True, allow_ballpark=False)
    good = tuple(t for t in group.transformers if 0 <= t.accuracy <= WORST_ACCURACY_M)
    if not good:
        stated = [t.accuracy for t in group.transformers if t.accuracy > 0]
        best = f"the best known one is good to {min(stated):g} m" if stated else "none is known"
        raise BadFile("crs.inaccurate", f"no accurate way from {_called(text)} to WGS 84: {best}")
    return good


def accuracy(text: str) -> float:
    """Stated accuracy in metres of the operation to WGS 84; 0 for WGS 84 and CGCS2000. Raises BadFile."""
    operations = transformers(text)
    return max(0.0, float(operations[0].accuracy)) if operations else 0.0


def to_lonlat(coordinates: NDArray[np.float64], text: str) -> NDArray[np.float64]:
    """Coordinates (n, 2 or 3), x (east) first, to longitude, latitude; heights pass unchanged.

    A row that lands far outside the area of use, where inverse projections give nonsense, becomes
    infinite. Raises BadFile: no accurate operation, or the middle of the data lies outside the area
    where one is valid (``crs.area``), as with a wrongly declared CRS."""
    operations = transformers(text)
    out = np.array(coordinates, np.float64, copy=True)
    if not operations or not len(out):
        return out
    for operation in operations:
        x, y = operation.transform(out[:, 0], out[:, 1])
        finite = np.isfinite(x) & np.isfinite(y)
        if not finite.any():
            continue
        if _inside(operation, np.median(x[finite]), np.median(y[finite]), _MARGIN_DEGREES).item():
            out[:, 0], out[:, 1] = x, y
            out[~(finite & _inside(operation, x, y, _STRAY_DEGREES)), :2] = np.inf
            return out
    raise BadFile("crs.area", f"the data lies outside the area of use of {_called(text)}")


def _inside(operation: Transformer, lon: Any, lat: Any, margin: float) -> NDArray[np.bool_]:
    """Where the operation is valid, give or take a margin; everywhere when PROJ names no area."""
    area: Any = operation.area_of_use
    lon, lat = np.asarray(lon), np.asarray(lat)
    if area is None:
        return np.ones(lon.shape, bool)
    west, east = area.west - margin, area.east + margin
    inside = (lon >= west) & (lon <= east) if area.west <= area.east else (lon >= west) | (lon <= east)
    out: NDArray[np.bool_] = inside & (lat >= area.south - margin) & (lat <= area.north + margin)
    return out


def shapes_to_lonlat(shapes: NDArray[Any], text: str) -> NDArray[Any]:
    """Shapely geometries in a CRS, x first, to longitude/latitude. Raises BadFile."""
    if not transformers(text):
        return shapes
    return mapped(shapes, lambda xyz: to_lonlat(xyz, text))


def from_lonlat(coordinates: NDArray[np.float64], text: str, *, x_first: bool = False) -> NDArray[np.float64]:
    """Longitude/latitude (n, 2 or 3) to a CRS, in the axis order of its authority, or x (east) first;
    infinite where the CRS is not defined. Raises BadFile."""
    operations = () if text in (CRS84, LABEL84) else transformers(text)
    out = np.array(coordinates, np.float64, copy=True)
    if operations and len(out):
        lonlat = out[:, 0].copy(), out[:, 1].copy()
        middle = out[0] if len(out) == 1 else np.median(out[:, :2], axis=0)
        operation = next(
            (t for t in operations if _inside(t, middle[0], middle[1], _MARGIN_DEGREES).item()), operations[0]
        )
        out[:, 0], out[:, 1] = operation.transform(*lonlat, direction="INVERSE")
    if swaps(text) and not x_first:
        out[:, [0, 1]] = out[:, [1, 0]]
    return out


def shapes_from_lonlat(shapes: NDArray[Any], text: str, *, x_first: bool = False) -> NDArray[Any]:
    """Shapely geometries to a CRS, in the axis order of its authority, or x (east) first. Raises BadFile."""
    if text in (CRS84, LABEL84):
        return shapes
    return mapped(shapes, lambda xyz: from_lonlat(xyz, text, x_first=x_first))


def on_its_side(lonlat: NDArray[Any], source: NDArray[Any], text: str, tolerance: float) -> NDArray[Any]:
    """``lonlat``, made from ``source``, with each position at ±180° on the side that it came from.

    A rounded digit beyond the edge of a world map is -180° to a projection: a polygon that ends at
    the antimeridian would span the Earth."""
    import shapely

    positions = shapely.get_coordinates(lonlat, include_z=bool(shapely.has_z(lonlat).all()))
    edge = np.abs(np.abs(positions[:, 0]) - 180) < 1e-6
    if not edge.any():
        return lonlat
    back = shapely.get_coordinates(shapes_from_lonlat(lonlat, text))
    torn = edge & (np.abs(back - shapely.get_coordinates(source)) > tolerance).any(axis=1)
    positions[torn, 0] = -np.copysign(180.0, positions[torn, 0])
    return np.asarray(shapely.set_coordinates(lonlat.copy(), positions), dtype=object)


def mapped(
    shapes: NDArray[Any], change: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[Any]:
    """Shapely geometries with their coordinates (n, 2 or 3) changed; heights only where there are some."""
    import shapely

    out = shapes.copy()
    high = shapely.has_z(shapes)
    for chosen, z in ((~high, False), (high, True)):
        if chosen.any():
            out[chosen] = shapely.transform(shapes[chosen], change, include_z=z)
    return out


def bbox_to_lonlat(bbox: Bbox, text: str) -> Bbox:
    """A box in the axis order of the CRS's authority to longitude/latitude; its edges are densified.

    Raises BadParameter (bbox) when the CRS does not reach there."""
    if text in (CRS84, LABEL84):
        return bbox
    west, south, east, north = (bbox[1], bbox[0], bbox[3], bbox[2]) if swaps(text) else bbox
    operations = transformers(text)
    if not operations:
        return west, south, east, north
    try:
        edges = operations[0].transform_bounds(west, south, east, north, densify_pts=21)
    except Exception as error:  # pyproj raises its own errors and RuntimeError here
        raise BadParameter("bbox", bbox, "the box lies outside its CRS") from error
    if not np.isfinite(edges).all():
        raise BadParameter("bbox", bbox, "the box lies outside its CRS")
    return float(edges[0]), float(edges[1]), float(edges[2]), float(edges[3])

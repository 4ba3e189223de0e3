"""The CRS of a file: features brought into it, and its name as each format writes it.

Files have x (east, longitude) first whatever the axis order of the authority, as GeoPackage (OGC
12-128r18 clause 2.1.3.1.1), GeoParquet 1.1, FlatGeobuf, GeoJSON 2008 (section 2.1.1) and Shapefile have
it. Heights stay as they are. A CRS is given by its URI.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

import layers.crs as crs_
from layers.model import Rows
from layers.store.geojson import DEGREE_DECIMALS, METRE_DECIMALS
from layers.types import CRS84
from layers.write import shapes

if TYPE_CHECKING:
    import pyproj

WGS84 = 4326


def projected(batches: Iterable[Rows], crs: str) -> Iterable[Rows]:
    """The same features in a CRS. A geometry that reaches beyond where the CRS is defined (a quarter
    of the globe from the meridian of a transverse Mercator) is None. Raises BadFile."""
    return batches if crs == CRS84 else _projected(batches, crs)


def _projected(batches: Iterable[Rows], crs: str) -> Iterator[Rows]:
    import shapely

    for rows in batches:
        placed = crs_.shapes_from_lonlat(shapes.parse(shapes.iso(rows.wkb)), crs, x_first=True)
        placed[~np.isfinite(shapely.bounds(placed).reshape(-1, 4)).all(axis=1)] = None
        yield replace(rows, wkb=shapes.encode(placed))


def decimals(crs: str) -> int:
    """Decimals of 0.1 mm or finer, for formats that are text."""
    return DEGREE_DECIMALS if crs_.is_geographic(crs) else METRE_DECIMALS


def label(crs: str) -> str:
    """``EPSG:n`` or ``OGC:CRS84``."""
    return crs_.label(crs)


def code(crs: str) -> int:
    """The EPSG code; that of WGS 84 for CRS84, from which it differs in the axis order alone."""
    return WGS84 if crs == CRS84 else int(label(crs)[5:])


def urn(crs: str) -> str:
    """The URN (OGC 09-048r5)."""
    return "urn:ogc:def:crs:" + ("OGC:1.3:CRS84" if crs == CRS84 else f"EPSG::{code(crs)}")


def name(crs: str) -> str:
    """What people call it."""
    return str(_definition(f"EPSG:{code(crs)}").name)


def wkt(crs: str, version: str) -> str:
    """Its text in a version of WKT 1 that pyproj knows; of the plane alone where a 3D CRS has none."""
    from pyproj.enums import WktVersion
    from pyproj.exceptions import CRSError

    result = _definition(f"EPSG:{code(crs)}")
    try:
        return str(result.to_wkt(WktVersion(version)))
    except CRSError:
        return str(result.to_2d().to_wkt(WktVersion(version)))


def projjson(crs: str) -> dict[str, Any]:
    """Its PROJJSON (proj.org)."""
    return dict(_definition(label(crs)).to_json_dict())


@lru_cache(maxsize=64)
def _definition(text: str) -> pyproj.CRS:
    """The CRS as it was asked for, with its heights where it has them."""
    import pyproj

    return pyproj.CRS.from_user_input(text)

"""CoverageJSON (OGC 21-069r2): a window of a coverage, and the words that all coverages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.raster.bands import Band
from layers.raster.coverage import Values
from layers.raster.grid import Grid

MEDIA = "application/prs.coverage+json"
_GREGORIAN = {"coordinates": ["t"], "system": {"type": "TemporalRS", "calendar": "Gregorian"}}


def grid_document(
    grid: Grid, crs_uri: str, bands: Sequence[Band], values: Values, time: str | None
) -> dict[str, Any]:
    """A Coverage whose domain is a Grid (clause 6.1, 9.10): axes are the middles of the cells."""
    across, down = grid.cell
    west, south, east, north = grid.bounds
    axes: dict[str, Any] = {
        "x": {"start": west + across / 2, "stop": east - across / 2, "num": grid.width},
        "y": {"start": north - down / 2, "stop": south + down / 2, "num": grid.height},
    }
    shape = {"y": grid.height, "x": grid.width}
    if time is not None:
        axes |= {"t": {"values": [time]}}
        shape = {"t": 1, **shape}
    return {
        "type": "Coverage",
        "domain": {
            "type": "Domain",
            "domainType": "Grid",
            "axes": axes,
            "referencing": referencing(crs_uri, grid.crs.is_geographic, timed=time is not None),
        },
        "parameters": parameters(bands),
        "ranges": {
            band.name: {
                "type": "NdArray",
                "dataType": "float" if values.dtype.kind == "f" else "integer",
                "axisNames": list(shape),
                "shape": list(shape.values()),
                "values": listed(values[place]),
            }
            for place, band in enumerate(bands)
        },
    }


def points_document(
    positions: NDArray[np.float64],
    crs_uri: str,
    bands: Sequence[Band],
    values: NDArray[np.float64],
    time: str | None,
    *,
    one: bool,
) -> dict[str, Any]:
    """A Coverage whose domain is a Point or a MultiPoint (clauses 9.4, 9.6), in degrees; positions (n, 2) and
    values (bands, n), NaN where there is none; for orjson with ``OPT_SERIALIZE_NUMPY``.

    A line is a MultiPoint, too: a Trajectory would need a time for each position (clause 9.9)."""
    axes: dict[str, Any]
    if one:
        axes = {"x": {"values": positions[:1, 0].tolist()}, "y": {"values": positions[:1, 1].tolist()}}
    else:
        axes = {"composite": {"dataType": "tuple", "coordinates": ["x", "y"], "values": positions}}
    if time is not None:
        axes["t"] = {"values": [time]}
    shape = {} if one else {"axisNames": ["composite"], "shape": [len(positions)]}
    return {
        "type": "Coverage",
        "domain": {
            "type": "Domain",
            "domainType": "Point" if one else "MultiPoint",
            "axes": axes,
            "referencing": referencing(crs_uri, True, timed=time is not None),
        },
        "parameters": parameters(bands),
        "ranges": {
            band.name: {"type": "NdArray", "dataType": "float", **shape, "values": row}
            for band, row in zip(bands, values, strict=True)
        },
    }


def referencing(crs_uri: str, geographic: bool, *, timed: bool) -> list[dict[str, Any]]:
    """How the axes x, y (and t) are read (clause 6.5). x is east, whatever the order of the authority, which
    coordinates of a domain do not follow."""
    system = {"type": "GeographicCRS" if geographic else "ProjectedCRS", "id": crs_uri}
    return [{"coordinates": ["x", "y"], "system": system}, *([_GREGORIAN] if timed else [])]


def parameters(bands: Sequence[Band]) -> dict[str, Any]:
    """The bands as Parameters (clause 8)."""
    return {band.name: _parameter(band) for band in bands}


def _parameter(band: Band) -> dict[str, Any]:
    label = {"en": band.title}
    document: dict[str, Any] = {
        "type": "Parameter",
        "description": label,
        "observedProperty": {"label": label},
    }
    if band.unit:
        document["unit"] = {"symbol": {"value": band.unit, "type": "http://www.opengis.net/def/uom/UCUM/"}}
    return document


def listed(values: Values) -> Any:
    """Values row by row, for orjson with ``OPT_SERIALIZE_NUMPY``: null where there is none, and for what JSON
    has no word for."""
    if values.dtype.kind == "f":
        return np.ascontiguousarray(values.filled(np.nan).ravel())
    return values.ravel().tolist() if np.ma.is_masked(values) else np.ascontiguousarray(values.data.ravel())

"""Where an IFC model lies: an anchor that is declared, else its map conversion, else the place of its site.

Source: IFC 4.3 (ISO 16739-1:2024) 8.18.3.4 IfcMapConversion, 5.4.3.62 IfcSite; of IFC 2x3 the property sets
ePset_MapConversion and ePset_ProjectedCRS of buildingSMART's User Guide for Geo-referencing in IFC.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import BadFile, shown
from layers.read import anchor
from layers.read.anchor import LONLAT, Anchor
from layers.read.base import ReadOptions, Sink
from layers.read.ifc.placements import matrix

type Floats = NDArray[np.float64]

#: Metres from the origin beyond which coordinates are those of a map, and not of a building site.
_FAR_M = 10_000.0
#: Metres of units in which maps are drawn.
_MAP_UNITS = (1.0, 1200 / 3937, 0.3048, 0.01, 0.001)
#: By how much a map's metre differs from one on the ground, at most.
_DISTORTION = 0.1
_CODE = re.compile(r"\s*(?:EPSG)?\s*:{0,2}\s*(\d{4,6})\s*", re.IGNORECASE)
_ADVICE = (
    "declare where its origin lies with --anchor LON,LAT,HEIGHT (and --rotation), or with --crs that its"
    " coordinates are those of a grid"
)


@dataclass(frozen=True, slots=True)
class Place:
    """The CRS of a model's places, None where the file does not name it; ``to`` turns positions (n, 3) in
    metres, as the model has them, into x, y in its units and height in metres."""

    crs: str | None
    to: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class _Conversion:
    """IfcMapConversion in metres: the map's place of the origin, height, the direction of the x axis, and the
    scale of each axis from metres of the model to metres of the map."""

    east: float
    north: float
    height: float
    turn: float
    scale: tuple[float, float, float]
    crs: str | None

    def metres(self, positions: Floats) -> Floats:
        x, y, z = (positions * self.scale).T
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        return np.column_stack(
            [self.east + x * cos - y * sin, self.north + x * sin + y * cos, self.height + z]
        )


@dataclass(frozen=True, slots=True)
class _Site:
    """The longitude, latitude and elevation (m) of IfcSite, and where in the model (m) that is."""

    lon: float
    lat: float
    elevation: float
    at: Floats


def of(model: Any, path: Path, options: ReadOptions, sink: Sink, unit: float, middle: Floats) -> Place:
    """The place of a model. ``unit`` are metres of its length unit, ``middle`` (3,) a typical position (m).

    What is contradictory, doubled or missing is noted. Raises BadFile ifc.nowhere, ifc.conversion,
    anchor.unreadable."""
    declared = options.declared
    given = anchor.of(path, declared)
    if given is not None:
        if given.unit is not None or given.up is not None:
            raise BadFile("anchor.unreadable", "an IFC file says its unit, and its z points up")
        return Place(given.crs, given.placed)
    conversion, site = _conversion(model, unit, sink), _site(model, unit)
    if conversion is not None:
        crs = declared.crs or conversion.crs
        place = _mapped(conversion, crs, middle, sink)
        _compare(place, middle, site, sink)
        return place
    if declared.crs is not None:
        reason = f"the file has no map conversion: its coordinates are taken as those of {declared.crs}"
        sink.note("ifc.absolute", reason)
        return Place(declared.crs, _in_units(lambda positions: positions, declared.crs))
    if site is None:
        raise BadFile("ifc.nowhere", f"the file does not say where it lies (no IfcMapConversion); {_ADVICE}")
    reason = (
        f"the file has no map conversion: it is placed at the site's latitude {site.lat:.6f} and longitude"
        f" {site.lon:.6f}, which programs often fill with those of a city"
    )
    sink.note("ifc.site", reason)
    held = Anchor((site.lon, site.lat, site.elevation), LONLAT, _true_north(model))
    return Place(LONLAT, lambda positions: held.placed(positions - site.at))


def _mapped(conversion: _Conversion, crs: str | None, middle: Floats, sink: Sink) -> Place:
    """By the map conversion, unless the coordinates are those of the map already."""
    origin = np.array([conversion.east, conversion.north])
    off = float(np.hypot(*middle[:2]))
    if np.hypot(*origin) > _FAR_M < off and np.hypot(*(middle[:2] - origin)) < off / 2:
        reason = (
            "the coordinates are those of the map already, and the map conversion would move them once more:"
            " it is left out; declare --anchor if it is meant"
        )
        sink.note("ifc.doubled", reason)
        height = 0.0 if abs(middle[2] - conversion.height) < abs(middle[2]) else conversion.height
        return Place(crs, _in_units(lambda positions: positions + np.array([0.0, 0.0, height]), crs))
    return Place(crs, _in_units(conversion.metres, crs))


def _in_units(metres: Callable[[Floats], Floats], crs: str | None) -> Callable[[Floats], Floats]:
    """The same with x and y in the units of a CRS."""
    unit = _unit_of(crs)
    return lambda positions: metres(positions) / [unit, unit, 1.0]


def _unit_of(crs: str | None) -> float:
    """Metres of a unit of the axes of a CRS; 1 where it is not known, which a load refuses."""
    from layers import crs as known

    if crs is None:
        return 1.0
    try:
        grid = known.definition(crs)
    except BadFile:
        return 1.0
    if grid.is_geographic:
        raise BadFile("ifc.conversion", f"{shown(crs)} has degrees, and an IFC model has metres; {_ADVICE}")
    return float(grid.axis_info[0].unit_conversion_factor)


def _compare(place: Place, middle: Floats, site: _Site | None, sink: Sink) -> None:
    """Note that a site lies far from where the map conversion puts it."""
    if site is None or place.crs is None:
        return
    import pyproj

    from layers import crs

    try:
        ((lon, lat),) = crs.to_lonlat(place.to(middle[None])[:, :2], place.crs)
    except BadFile:
        return  # the load says so
    _, _, metres = pyproj.Geod(ellps="GRS80").inv(lon, lat, site.lon, site.lat)
    if metres > _FAR_M:
        reason = (
            f"IfcSite says latitude {site.lat:.4f}, longitude {site.lon:.4f}, {metres / 1000:,.0f} km from"
            f" where the map conversion puts the model ({lat:.4f}, {lon:.4f}); the map conversion is used"
        )
        sink.note("ifc.places", reason)


# -- the map conversion ----------------------------------------------------------------------


def _conversion(model: Any, unit: float, sink: Sink) -> _Conversion | None:
    told = _of_sets(model) if model.schema == "IFC2X3" else _of_entity(model)
    if told is None:
        return None
    numbers, factors, crs, map_unit = told
    east, north, height, abscissa, ordinate, scale = numbers
    if not all(map(math.isfinite, numbers)) or not scale:
        raise BadFile("ifc.conversion", f"the map conversion has a number that is none; {_ADVICE}")
    if map_unit is None:  # then that of the project, unless the scale says another
        near = min(_MAP_UNITS, key=lambda each: abs(math.log(each * abs(scale) / unit)))
        map_unit = near if abs(near * scale / unit - 1) < _DISTORTION else unit
    grows = scale * map_unit / unit
    if abs(grows - 1) > _DISTORTION:
        reason = f"the scale of the map conversion makes the model {grows:g} times as large; it is left out"
        sink.note("ifc.scale", reason)
        grows = 1.0
    turn = math.atan2(ordinate, abscissa) if abscissa or ordinate else 0.0
    return _Conversion(
        east * map_unit,
        north * map_unit,
        height * map_unit,
        turn,
        (grows * factors[0], grows * factors[1], grows * factors[2]),
        crs,
    )


type _Told = tuple[tuple[float, ...], tuple[float, float, float], str | None, float | None]
_ONES = (1.0, 1.0, 1.0)


def _of_sets(model: Any) -> _Told | None:
    """Of IFC 2x3: the property sets, whatever of the project they are given to."""
    sets: dict[str, dict[str, Any]] = {}
    for each in model.by_type("IfcPropertySet"):
        name = (each.Name or "").casefold()
        if name in ("epset_mapconversion", "epset_projectedcrs"):
            sets.setdefault(
                name, {p.Name: getattr(p, "NominalValue", None) for p in each.HasProperties or ()}
            )
    said = sets.get("epset_mapconversion")
    if said is None:
        return None
    usual = {"XAxisAbscissa": 1.0, "Scale": 1.0}
    names = ("Eastings", "Northings", "OrthogonalHeight", "XAxisAbscissa", "XAxisOrdinate", "Scale")
    numbers = tuple(_number(said.get(name), usual.get(name, 0.0)) for name in names)
    grid = sets.get("epset_projectedcrs", {})
    label, map_unit = (getattr(grid.get(name), "wrappedValue", None) for name in ("Name", "MapUnit"))
    return numbers, _ONES, _code(label), {"METRE": 1.0, "FOOT": 0.3048}.get(str(map_unit).upper())


def _number(value: Any, usual: float) -> float:
    held = getattr(value, "wrappedValue", None)
    try:
        return usual if held is None else float(held)
    except (TypeError, ValueError):
        return math.nan


def _of_entity(model: Any) -> _Told | None:
    from ifcopenshell.util import unit as units

    operations = model.by_type("IfcCoordinateOperation")
    if not operations:
        return None
    one = operations[0]
    grid = one.TargetCRS
    crs = _code(grid.Name) if grid is not None else None
    map_unit = getattr(grid, "MapUnit", None)
    metres = None if map_unit is None else float(units.get_unit_scale(map_unit))
    if one.is_a("IfcMapConversion"):
        axis = (one.XAxisAbscissa, one.XAxisOrdinate)
        x, y = axis if any(axis) else (1.0, 0.0)
        numbers = (one.Eastings, one.Northings, one.OrthogonalHeight, x, y, one.Scale or 1.0)
        scaled = one.is_a("IfcMapConversionScaled")
        factors = (one.FactorX, one.FactorY, one.FactorZ) if scaled else _ONES
        return tuple(float(n or 0.0) for n in numbers), factors, crs, metres
    first, second = one.FirstCoordinate, one.SecondCoordinate
    if not first.is_a("IfcLengthMeasure"):
        reason = "an IfcRigidOperation by angles is not read"
        raise BadFile("ifc.conversion", f"{reason}; {_ADVICE}")
    numbers = (first.wrappedValue, second.wrappedValue, one.Height or 0.0, 1.0, 0.0, 1.0)
    return numbers, _ONES, crs, metres


def _code(name: str | None) -> str | None:
    """The name of a CRS as its code, where it is one."""
    if not name:
        return None
    match = _CODE.fullmatch(name)
    return f"EPSG:{match[1]}" if match else name


# -- the site --------------------------------------------------------------------------------


def _site(model: Any, unit: float) -> _Site | None:
    for site in model.by_type("IfcSite"):
        lat, lon = (_degrees(angle) for angle in (site.RefLatitude, site.RefLongitude))
        if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180 or (lat == 0 and lon == 0):
            continue
        at = matrix(site.ObjectPlacement)[:3, 3] * unit
        return _Site(lon, lat, float(site.RefElevation or 0.0) * unit, at)
    return None


def _degrees(angle: Any) -> float | None:
    """IfcCompoundPlaneAngleMeasure: degrees, minutes, seconds and millionths, all of one sign."""
    if not angle or len(angle) < 3:
        return None
    parts = [*angle, 0][:4]
    return float(parts[0] + parts[1] / 60 + parts[2] / 3600 + parts[3] / 3.6e9)


def _true_north(model: Any) -> float:
    """Degrees clockwise from true north to the model's y axis."""
    for context in model.by_type("IfcGeometricRepresentationContext", include_subtypes=False):
        north = context.TrueNorth
        if north is not None and len(north.DirectionRatios) >= 2 and any(north.DirectionRatios[:2]):
            x, y = north.DirectionRatios[:2]
            return math.degrees(math.atan2(y, x)) - 90
    return 0.0

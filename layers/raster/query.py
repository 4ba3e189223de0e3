"""A request for values of a coverage, read strictly (OGC 19-087, draft of 2026): one table of parameters
drives parsing and the API document.

The draft's ``resolution``, ``width`` and ``height`` stand beside the scaling of its earlier versions
(``scale-factor``, ``scale-axes``, ``scale-size``), which OWSLib, GDAL and pygeoapi's clients send."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from layers.crs import label, uri
from layers.errors import BadParameter
from layers.parameters import AT, NOT_KEPT, PARAMETERS, Parameter, between
from layers.raster import axes
from layers.raster.axes import AxisValue
from layers.raster.bands import Band
from layers.types import Bbox, Interval

#: Cells along one side of an answer.
MOST_SIDE = 65_535
_AXES = {"type": "string", "maxLength": 500}
_CRS = {"type": "string", "format": "uri"}
_NAMES = {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class Region:
    """A part of space: a box whose ends may be open (infinite), x first or in the axis order of the CRS's
    authority; ``crs`` is its short name, None for that of the coverage itself."""

    box: Bbox
    crs: str | None
    x_first: bool = True
    #: The parameter that said it.
    parameter: str = "bbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageQuery:
    """What is wanted of a coverage; ``crs`` is the short name of the answer's CRS, None for its own."""

    region: Region | None = None
    crs: str | None = None
    interval: Interval | None = None
    names: tuple[str, ...] | None = None
    without: tuple[str, ...] | None = None
    factors: tuple[float, float] | None = None
    #: Cells of the answer across and down; None for as many as there are.
    width: int | None = None
    height: int | None = None
    #: Width and height of a cell of the answer, in the units of its CRS.
    resolution: tuple[float | None, float | None] | None = None

    @property
    def scaled(self) -> bool:
        """Whether a number or a size of cells is asked for."""
        return any(one is not None for one in (self.factors, self.width, self.height, self.resolution))


def _axes(text: str) -> tuple[AxisValue, ...]:
    return axes.items(text) if text else ()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(names) or len(set(names)) < len(names):
        raise ValueError("names of fields separated by commas, each once")
    return names


def _crs(name: str) -> Callable[[str], str]:
    return lambda text: label(text, name)


#: Parameters that choose a part and a scale, which Maps have too.
SIZE = tuple(
    Parameter(
        name,
        f"How many cells the answer has {way}; with a part in space, exactly that part has so many.",
        {"type": "integer", "minimum": 1, "maximum": MOST_SIDE},
        between(1, MOST_SIDE),
    )
    for name, way in (("width", "across"), ("height", "down"))
)
PLACE = (
    PARAMETERS["bbox"],
    Parameter(
        "bbox-crs",
        "The CRS of bbox, in the axis order of its authority.",
        _CRS | {"default": uri("CRS84")},
        _crs("bbox-crs"),
    ),
    Parameter(
        "subset",
        "Only this part: `Lat(60.1:60.2),Lon(24.9:25)`, `E(…:…),N(…:…)` in a projected CRS, "
        '`time("2024-05-01")`; `*` is an open end.',
        _AXES,
        _axes,
    ),
    Parameter(
        "subset-crs",
        "The CRS of subset. Without it Lat and Lon are of CRS84, E and N of the coverage's own CRS.",
        _CRS,
        _crs("subset-crs"),
    ),
    PARAMETERS["datetime"],
    Parameter("crs", "The CRS of the answer; its own without it.", _CRS, _crs("crs")),
)
TABLE: dict[str, Parameter] = {
    one.name: one
    for one in (
        *PLACE,
        Parameter("properties", "Only these fields, in this order, separated by commas.", _NAMES, _names),
        Parameter("exclude-properties", "All fields but these.", _NAMES, _names),
        *SIZE,
        Parameter(
            "resolution",
            "Width and height of a cell of the answer in the units of its CRS: `E(10),N(10)`; empty for "
            "those of the coverage.",
            _AXES,
            _axes,
        ),
        Parameter(
            "scale-factor",
            "How many cells become one along each axis; below 1, into how many parts one is divided.",
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            axes.positive,
        ),
        Parameter("scale-axes", "The same by axis: `Lat(2),Lon(4)`.", _AXES, _axes),
        Parameter("scale-size", "How many cells the answer has by axis: `Lat(100),Lon(200)`.", _AXES, _axes),
    )
}
#: How GDAL writes a parameter.
ALIASES = {"scaleSize": "scale-size"}
#: Ways to say the scale, of which a request has one.
_SCALES = ("resolution", "scale-factor", "scale-axes", "scale-size")


def read(pairs: Sequence[tuple[str, str]], table: dict[str, Parameter]) -> dict[str, Any]:
    """The typed values of a request's parameters by name; lists of ``subset`` are joined.

    Raises BadParameter: unknown, twice, or not as the table has it."""
    values: dict[str, Any] = {}
    for given, text in pairs:
        name = ALIASES.get(given, given)
        if name not in table:
            if given == AT.name:
                raise BadParameter(given, text, NOT_KEPT)
            raise BadParameter(given, text, f"no parameter here; there are {', '.join(['f', *table])}")
        value = table[name].read(text)
        if name not in values:
            values[name] = value
        elif name == "subset":
            values[name] += value
        else:
            raise BadParameter(given, text, "given more than once")
    return values


def parse(pairs: Sequence[tuple[str, str]]) -> CoverageQuery:
    """The query of a request. Raises BadParameter."""
    values = read(pairs, TABLE)
    given = [name for name in _SCALES if name in values]
    sizes = [name for name in ("width", "height") if name in values]
    if len(given) > 1 or (given and sizes):
        both = [*given, *sizes]
        raise BadParameter(both[1], values[both[1]], f"one of {both[0]} and {both[1]} says the scale")
    if "properties" in values and "exclude-properties" in values:
        raise BadParameter("exclude-properties", values["exclude-properties"], "not together with properties")
    region, interval = where(values)
    size = _by_axis("scale-size", values.get("scale-size"), _cells)
    factor = values.get("scale-factor")
    by_axis = _by_axis("scale-axes", values.get("scale-axes"), axes.positive)
    factors = (factor, factor) if factor else by_axis and (by_axis[0] or 1.0, by_axis[1] or 1.0)
    return CoverageQuery(
        region=region,
        crs=values["crs"] if "crs" in values else _spoken(values.get("scale-size")),
        interval=interval,
        names=values.get("properties") or None,
        without=values.get("exclude-properties") or None,
        factors=factors,
        width=size[0] if size else values.get("width"),
        height=size[1] if size else values.get("height"),
        resolution=_by_axis("resolution", values.get("resolution"), _spacing),
    )


def _cells(text: str) -> int:
    return int(between(1, MOST_SIDE)(text))


def _spacing(text: str) -> float | None:
    return axes.positive(text) if text else None


def _spoken(size: tuple[AxisValue, ...] | None) -> str | None:
    """The CRS that the axes of a size are of: GDAL names longitude and latitude, and means degrees."""
    return "OGC:CRS84" if size and any(one.axis in axes.LON | axes.LAT for one in size) else None


def _by_axis[T](
    name: str, given: tuple[AxisValue, ...] | None, parse: Callable[[str], T]
) -> tuple[T | None, T | None] | None:
    """The values of the x and the y axis. Raises BadParameter."""
    if not given:
        return None
    found: dict[str, T] = {}
    for one in given:
        place = "x" if one.axis in axes.X else "y" if one.axis in axes.Y else ""
        if not place or place in found:
            raise BadParameter(name, one.name, "Lat and Lon, or E and N, each once")
        try:
            found[place] = parse(one.text)
        except ValueError as error:
            raise BadParameter(name, f"{one.name}({one.text})", str(error)) from error
    return found.get("x"), found.get("y")


def where(values: dict[str, Any]) -> tuple[Region | None, Interval | None]:
    """The part in space and the time of typed parameters. Raises BadParameter."""
    interval: Interval | None = values.get("datetime")
    sides: dict[str, tuple[float, float]] = {}
    geographic: set[bool] = set()
    for one in values.get("subset", ()):
        try:
            if one.axis in axes.TIME:
                if interval is not None:
                    raise ValueError("time is said once, by datetime or by subset")
                interval = _time(one.text)
                continue
            place = "x" if one.axis in axes.X else "y" if one.axis in axes.Y else ""
            if not place:
                raise ValueError("no axis here; there are Lat, Lon, E, N and time")
            if place in sides:
                raise ValueError("each axis once")
            sides[place] = axes.limits(one.text)
        except (ValueError, BadParameter) as error:
            reason = str(error)
            raise BadParameter("subset", f"{one.name}({one.text})", reason) from error
        geographic.add(one.axis in axes.LON | axes.LAT)
    if sides and "bbox" in values:
        raise BadParameter("bbox", values["bbox"], "not together with a subset in space")
    if len(geographic) > 1:
        raise BadParameter("subset", ",".join(one.name for one in values["subset"]), "axes of one CRS")
    if "bbox" in values:
        crs = values.get("bbox-crs", "OGC:CRS84")
        return Region(values["bbox"], crs, x_first=crs == "OGC:CRS84"), interval
    if not sides:
        return None, interval
    everything = -float("inf"), float("inf")
    (west, east), (south, north) = sides.get("x", everything), sides.get("y", everything)
    crs = values.get("subset-crs", "OGC:CRS84" if geographic == {True} else None)
    return Region((west, south, east, north), crs, parameter="subset"), interval


def _time(text: str) -> Interval:
    """``"from":"to"`` of the axis of time, or one moment in quotes or without."""
    bare = text.replace('"', "")
    if bare == "*":
        return None, None
    for mark in ('":"', "*:", ":*"):
        if mark in text:
            low, _, high = text.partition('":"') if mark == '":"' else text.partition(":")
            ends = [".." if end.strip('" ') == "*" else end.strip('" ') for end in (low, high)]
            bare = "/".join(ends)
            break
    interval: Interval = PARAMETERS["datetime"].read(bare)
    return interval


def chosen(bands: Sequence[Band], query: CoverageQuery) -> list[Band]:
    """The fields that are wanted, in their order. Raises BadParameter for a name that none has."""
    by_name = {band.name: band for band in bands}
    for name, given in (("properties", query.names), ("exclude-properties", query.without)):
        for one in given or ():
            if one not in by_name:
                raise BadParameter(name, one, f"no field of it; there are {', '.join(by_name)}")
    if query.names is not None:
        return [by_name[one] for one in query.names]
    wanted = [band for band in bands if band.name not in (query.without or ())]
    if not wanted:
        raise BadParameter("exclude-properties", ",".join(query.without or ()), "at least one field remains")
    return wanted

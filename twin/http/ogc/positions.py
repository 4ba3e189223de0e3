"""Values of rasters at positions and along lines, as CoverageJSON: the queries ``position`` and
``trajectory`` of OGC API EDR 1.1 (OGC 19-086r6, clause 8.2)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layers.errors import BadParameter
from layers.model import ContentLayer, Layer, is_raster
from layers.parameters import PARAMETERS, Parameter, between
from layers.raster import covjson, values
from layers.raster.bands import Band
from layers.raster.files import instant_of, true_at, version
from layers.raster.profile import RasterProfile
from layers.types import CRS84
from twin.access.caller import CALLER
from twin.http import answers, respond
from twin.http.context import Context, Link, link
from twin.http.imagery import as_raster
from twin.http.openapi_parts import get, ok
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site

if TYPE_CHECKING:
    from twin.city import City

#: Positions of one answer.
MOST = 1000
_LAYER = "/ogc/collections/{layer}"
_QUERIES = ("position", "trajectory")
_TITLES = {
    "position": ("Values at positions", "点位取值"),
    "trajectory": ("Values along a line", "沿线取值"),
}
_SHAPES = {"position": ("Point", "MultiPoint"), "trajectory": ("LineString",)}


def _crs(text: str) -> str:
    if text not in (CRS84, "CRS84", "OGC:CRS84"):
        raise ValueError(f"positions are given in {CRS84}")
    return text


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise ValueError("names of fields separated by commas, each once")
    return names


def _form(text: str) -> str:
    if text.replace(" ", "+") not in ("covjson", "coveragejson", "json", covjson.MEDIA):
        raise ValueError("one of covjson, json")
    return text


def _coords(query: str, text: str) -> tuple[str, NDArray[np.float64]]:
    """The type of a WKT geometry (OGC 06-103r4) and its positions: longitude, latitude; heights are left
    out."""
    import shapely

    names = [shape.upper() for shape in _SHAPES[query]]
    wanted = f"{' or '.join(names)} of longitudes and latitudes, as {names[0]}(24.9 60.2{_MORE[query]})"
    try:
        shape = shapely.from_wkt(text)
    except shapely.errors.ShapelyError:
        raise ValueError(wanted) from None
    if shape is None or shape.geom_type not in _SHAPES[query] or shape.is_empty:
        raise ValueError(wanted)
    positions = shapely.get_coordinates(shape)
    with np.errstate(invalid="ignore"):
        if not bool((np.abs(positions) <= (180.0, 90.0)).all()):
            raise ValueError("longitudes lie within ±180, latitudes within ±90")
    if len(positions) > MOST:
        raise ValueError(f"at most {MOST} positions")
    return shape.geom_type, positions


_MORE = {"position": "", "trajectory": ", 25 60.3"}
_COMMON = (
    PARAMETERS["datetime"],
    Parameter(
        "parameter-name",
        "Only these fields, separated by commas.",
        {"type": "array", "items": {"type": "string"}},
        _names,
    ),
    Parameter("crs", "The CRS of the positions.", {"type": "string", "enum": [CRS84, "CRS84"]}, _crs),
    Parameter("f", "The representation.", {"type": "string", "enum": ["covjson", "json"]}, _form),
)
_RESOLUTION = Parameter(
    "resolution-x",
    "How many values along the line, at equal distances, its ends included; 0, or none: one at each corner,"
    f" and between them as close as the cells lie, at most {MOST} in all.",
    {"type": "integer", "minimum": 0, "maximum": MOST, "default": 0},
    between(0, MOST),
)
TABLES: Mapping[str, Mapping[str, Parameter]] = {
    query: {
        one.name: one
        for one in (
            Parameter(
                "coords",
                f"WKT in longitude and latitude: {' or '.join(_SHAPES[query]).upper()}",
                {"type": "string"},
                partial(_coords, query),
            ),
            *_COMMON,
            *((_RESOLUTION,) if query == "trajectory" else ()),
        )
    }
    for query in _QUERIES
}


def room(site: Site) -> Room:
    """The routes of the queries."""
    city = site.city

    async def give(query: str, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """GET or HEAD. Raises NotFound, BadParameter, Unavailable."""
        view = city.catalogue.of(scope[CALLER])
        layer = as_raster(await city.read(view.layer, layer_id))
        wanted = respond.query_values(scope, TABLES[query])
        if "coords" not in wanted:
            raise BadParameter("coords", "", TABLES[query]["coords"].description)
        state, body = await city.aside(_document, city, layer, wanted)
        etag = f'"{view.epoch}-{layer.generation}-{state}"'
        if not await answers.fresh(scope, send, etag):
            media = (b"content-type", covjson.MEDIA.encode())
            await answers.give(scope, send, (body,), [media, (b"etag", etag.encode()), answers.VARY_CODING])

    routes = tuple(
        Route(f"{_LAYER}/{query}", {"GET": partial(give, query)}, describe_all=partial(_describe, query))
        for query in _QUERIES
    )
    title = ("Values at positions and along lines", "点位与沿线取值")
    return Room("positions", title, routes, members=_members)


def _document(city: City, layer: ContentLayer, wanted: Mapping[str, Any]) -> tuple[str, bytes]:
    """The state of the files, and the values, in a thread."""
    profile = city.profiles.of(layer)
    assets = true_at(layer, instant_of(layer, wanted.get("datetime")))
    names = wanted.get("parameter-name") or [one.band.name for one in profile.bands]
    bands = [_band(profile, name) for name in names]
    positions, one = _positions(wanted, profile.cell)
    paths = city.profiles.paths(assets)
    # before the values: those of a later file may bear the tag of an older one, never of a newer
    state = version(paths)
    smooth = profile.smooth(layer.form)
    lent = [city.rasters.lend(path) for path in paths]
    found = values.at(lent, positions, [band.index for band in bands], smooth)
    times = [asset.time for asset in assets if asset.time is not None]
    time = times[-1] if times else None
    document = covjson.points_document(positions, CRS84, bands, found, time, one=one)
    return state, orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _positions(wanted: Mapping[str, Any], cell: float) -> tuple[NDArray[np.float64], bool]:
    """Where values are wanted, and whether it is at one point."""
    geometry, corners = wanted["coords"]
    if geometry != "LineString":
        return corners, geometry == "Point"
    if number := wanted.get("resolution-x", 0):
        return values.along(corners, number), False
    return values.every(corners, cell, MOST), False


def _band(profile: RasterProfile, name: str) -> Band:
    found = profile.named(name)
    if found is None:
        there = ", ".join(one.band.name for one in profile.bands[:20])
        raise BadParameter("parameter-name", name, f"there is no such field; there are {there}")
    return found.band


def _members(context: Context, layer: Layer) -> Mapping[str, Any]:
    """``data_queries`` of the collection (OGC 19-086r6, clause 8.2)."""
    if not is_raster(layer):
        return {}
    here = f"{context.base}/collections/{layer.id}"
    return {"data_queries": {query: {"link": _link(context, here, query)} for query in _QUERIES}}


def _link(context: Context, here: str, query: str) -> Link:
    title = context.say(*_TITLES[query])
    variables = {"query_type": query, "output_formats": ["CoverageJSON"], "title": title}
    return link("data", f"{here}/{query}", covjson.MEDIA, title, variables=variables)


def _describe(query: str, context: Context) -> Paths:
    summary = context.say(*_TITLES[query])
    parameters = [one.openapi() for one in TABLES[query].values()]
    parameters[0] |= {"required": True}
    content = ok(summary, {covjson.MEDIA: {"type": "object"}})
    return {
        f"/ogc/collections/{layer.id}/{query}": {
            "get": get(f"{layer.id}.{query}", layer.id, summary, content, parameters)
        }
        for layer in context.view.layers()
        if is_raster(layer)
    }

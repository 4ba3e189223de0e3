"""``/config.json``: what the page must know of the city before it draws anything."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from layers import kinds
from layers.bulk import most
from layers.errors import NotFound, Unavailable
from layers.kinds.base import Body, Model, Prism, Tube
from layers.model import FeatureLayer, Layer, has_features, is_raster
from layers.types import Bbox, Field
from tiles.imagery.style import Wanted, colormaps
from tiles.scheme import METRES_PER_DEGREE
from tiles.storeys import NUMBER
from twin.http import across
from twin.http.imagery import of_city
from twin.http.registered import is_scene

if TYPE_CHECKING:
    from twin.catalogue.published import PublishedLayer
    from twin.catalogue.view import View
    from twin.city import City

log = logging.getLogger("twin")

#: Warning levels (预警级别), worst first, with the words of the interface.
LEVELS = (
    {"id": "red", "title": {"zh-CN": "红色", "en": "Red"}},
    {"id": "orange", "title": {"zh-CN": "橙色", "en": "Orange"}},
    {"id": "yellow", "title": {"zh-CN": "黄色", "en": "Yellow"}},
    {"id": "blue", "title": {"zh-CN": "蓝色", "en": "Blue"}},
)
#: Degrees around the layers where ``surroundings`` is not set (about two kilometres).
MARGIN = 0.02


def document(city: City, view: View) -> dict[str, Any]:
    """The whole document, of what is seen; layers in the order of city.yml, then by id. Raises Unavailable.

    Its addresses are relative to its own, so they hold behind whatever path a proxy shows the server."""
    published = view.all_published()
    extent = union(one.layer.extent for one in published)
    boxes = [(_bulk(view, one.layer), one.layer) for one in published]
    bulk = most(
        _around_the_globe(
            [(box, layer.count if has_features(layer) else 1) for box, layer in boxes if box is not None]
        )
    )
    entries = [
        layer_entry(one)
        | {"raster": _raster(city, one.layer), "registered": _registered(one.layer)}
        | _choices(view, one.layer)
        | _version(one.layer)
        for one in published
    ]
    kept = {"kept": view.kept().at or None}
    return _document(city, extent, bulk) | _terrain(city, view) | kept | {"layers": entries}


def without_features(city: City, reason: str) -> dict[str, Any]:
    """The document while no layer can be read, and why: the page opens where the sensors are."""
    places = (
        (stream.lon, stream.lat, stream.lon, stream.lat)
        for stream in list(city.live.streams.values())
        if stream.lon is not None and stream.lat is not None
    )
    extent = union(places)
    return _document(city, extent, extent) | {"kept": None, "layers": [], "unavailable": reason}


def _document(city: City, extent: Bbox | None, bulk: Bbox | None) -> dict[str, Any]:
    settings = city.settings
    return {
        "title": settings.title,
        "languages": list(settings.languages),
        "timeZone": settings.time_zone,
        "view": settings.view.model_dump() if settings.view else overview(bulk),
        "surroundings": list(settings.surroundings or around(extent)),
        "ground": 0.0 if settings.heights.ground == "terrain" else settings.heights.ground,
        "terrain": None,
        "credits": [credit.model_dump() for credit in settings.credits],
        "mapApprovalNo": settings.map_approval_no,
        "levels": list(LEVELS),
        "workflow": city.incidents.workflow.public(),
        "thresholds": city.live.themes.public(),
        "stream": "stream",
    }


def _terrain(city: City, view: View) -> dict[str, Any]:
    """``terrain``, the surface that is the city's ground, and where its tiles are; None where the ground is a
    number, or no surface can be read: ``terrainMissing`` says why."""
    heights = city.settings.heights
    terrain = view.make_tiles().terrain
    if heights.ground != "terrain" or terrain is None:
        return {"terrain": None}
    lack, surface = terrain.lack(), terrain.ground()
    if surface is None:
        return {"terrain": None, "terrainMissing": lack}
    return {"terrain": {"url": f"terrain/{surface.layer}", "layer": surface.layer}}


def _bulk(view: View, layer: Layer) -> Bbox | None:
    """Where most of a layer lies, west > east across the antimeridian."""
    box = view.bulk(layer)
    return None if box is None else across.normalized(view, layer, box)


def _around_the_globe(boxes: Sequence[tuple[Bbox, int]]) -> list[tuple[Bbox, int]]:
    """Boxes on one side of the antimeridian, where one crosses it: those west of Greenwich are beyond 180."""
    if all(west <= east for (west, _, east, _), _ in boxes):
        return list(boxes)
    result: list[tuple[Bbox, int]] = []
    for (west, south, east, north), count in boxes:
        end = east + 360 if west > east else east
        turn = 360 if west + end < 0 else 0
        result.append(((west + turn, south, end + turn, north), count))
    return result


def union(extents: Iterable[Bbox | None]) -> Bbox | None:
    """The box around all boxes that are there."""
    boxes = [box for box in extents if box is not None]
    if not boxes:
        return None
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def around(extent: Bbox | None) -> Bbox:
    """Where zooming out stops: the layers and some room, or the world while there are none."""
    if extent is None:
        return -180.0, -85.0, 180.0, 85.0
    west, south, east, north = extent
    return (
        max(west - MARGIN, -180.0),
        max(south - MARGIN, -85.0),
        min(east + MARGIN, 180.0),
        min(north + MARGIN, 85.0),
    )


def overview(extent: Bbox | None) -> dict[str, float]:
    """A view of all layers, from the south and above. ``height`` is the distance to the target (m)."""
    west, south, east, north = extent or (-180.0, -60.0, 180.0, 60.0)
    lat = (south + north) / 2
    wide = (east - west) * METRES_PER_DEGREE * math.cos(math.radians(lat))
    high = (north - south) * METRES_PER_DEGREE
    distance = min(max(wide, high, 300.0), 20_000_000.0)
    lon = ((west + east) / 2 + 180) % 360 - 180
    return {"lon": lon, "lat": lat, "height": distance, "heading": 0.0, "pitch": -45.0}


def layer_entry(published: PublishedLayer[Layer]) -> dict[str, Any]:
    """One layer: what it is called, how it is drawn and from where."""
    layer = published.layer
    kind = kinds.known(layer.kind)
    return {
        "id": layer.id,
        "kind": layer.kind,
        "group": dict(kind.group),
        "title": {**kind.title, **layer.title},
        "form": layer.form,
        "extent": list(layer.extent) if layer.extent else None,
        "visible": published.visible,
        "style": dict(published.style),
        "buried": kind.buried,
        "label": [list(fields) for fields in kind.label],
        **(_of_features(layer, published.tiles.maxzoom) if has_features(layer) else _WITHOUT_FEATURES),
    }


def _of_features(layer: FeatureLayer, maxzoom: int) -> dict[str, Any]:
    """What the page must know of a layer of features besides."""
    return {
        "geometryType": layer.geometry_type,
        "count": layer.count,
        "edits": list(layer.edits),
        "fields": [field_entry(field) for field in layer.fields],
        "vector": {"url": _vector(layer.id), "minzoom": 0, "maxzoom": maxzoom},
        "scene": _solids(layer.id, kinds.known(layer.kind).body),
        "related": f"ogc/collections/{layer.id}/items/{{fid}}/related"
        if kinds.may_relate(layer.kind)
        else None,
    }


def _version(layer: Layer) -> dict[str, Any]:
    """Of which layer it is a model version, and what it is called; nothing of what is none."""
    mark = layer.model_version
    if mark is None or not mark.of:
        return {}
    return {"version": {"of": mark.of, "number": mark.number, "name": mark.name}}


def models(view: View) -> dict[str, Any]:
    """``/models.json``: the storeys and categories of layers that have some, as in the document."""
    layers = [{"id": layer.id, **_choices(view, layer)} for layer in view.feature_layers()]
    return {"layers": [one for one in layers if len(one) > 1]}


def _choices(view: View, layer: Layer) -> dict[str, Any]:
    """The storeys and categories among which the page lets choose; nothing where a layer has none."""
    if not has_features(layer) or layer.field(NUMBER) is None:
        return {}
    try:
        choices = view.make_tiles().choices(layer.id)
    except NotFound:
        return {}  # it has just gone
    storeys = [{"no": one.number, "title": one.name, "elevation": one.elevation} for one in choices.storeys]
    return {"storeys": storeys, "categories": list(choices.categories)}


def _raster(city: City, layer: Layer) -> dict[str, Any] | None:
    """How the pictures of a raster layer are had; None for one that has none, or whose files cannot be read
    now."""
    if not is_raster(layer):
        return None
    wanted = of_city(city, layer.id)
    try:
        look = city.imagery.look(layer, wanted, Wanted())
    except Unavailable as error:
        _tell(layer.id, layer.generation, str(error))
        return None
    profile, style = look.profile, look.style
    own = city.settings.layers.get(layer.id)
    return {
        "url": f"imagery/{layer.id}/{{z}}/{{x}}/{{y}}.png",
        "minzoom": 0,
        "maxzoom": profile.zoom,
        "bands": [
            {
                "name": one.band.name,
                "title": one.band.title,
                "unit": one.band.unit,
                "min": one.least,
                "max": one.most,
            }
            for one in profile.bands
        ],
        "colormaps": list(colormaps()),
        "times": sorted({asset.time for asset in layer.assets if asset.time is not None}),
        "style": {
            "colormap": style.colormap or None,
            "range": list(style.ranges[0]) if len(style.bands) == 1 and style.ranges else None,
            "bands": list(style.bands),
            "hillshade": style.hillshade,
            "opacity": ((own.style if own else None) or {}).get("opacity", 1),
        },
    }


def _registered(layer: Layer) -> dict[str, Any] | None:
    """Where 3D content that was registered is, and what is cut out of it; None for another layer."""
    if not is_scene(layer):
        return None
    here = f"3dtiles/{layer.id}"
    return {"url": f"{here}/tileset.json", "areas": f"{here}/areas.json"}


@cache
def _tell(layer_id: str, generation: int, reason: str) -> None:
    """The operator is told once, not with every page that is opened."""
    log.warning("layer %s: %s", layer_id, reason)


def _vector(layer_id: str) -> str:
    """The template of a layer's tiles, cut exactly: the globe draws all that is in a tile."""
    return f"tiles/{layer_id}/{{z}}/{{x}}/{{y}}.mvt?clip=exact"


def _solids(layer_id: str, body: Body | None) -> dict[str, Any] | None:
    """Where the solids of a layer are, and what they are like; None where it has none."""
    if body is None:
        return None
    return {
        # the page holds the tree while edits change its nodes
        "url": f"3dtiles/{layer_id}/tileset.json?bounds=edits&instancing=gpu&compression=meshopt",
        "body": "tube" if isinstance(body, Tube) else "model" if isinstance(body, Model) else "prism",
        "painted": isinstance(body, Prism) and body.stored,
    }


#: The same words of a layer that has none: the page lists it, and draws it where it knows the form.
_WITHOUT_FEATURES: dict[str, Any] = {
    "geometryType": "",
    "count": 0,
    "edits": [],
    "fields": [],
    "vector": None,
    "scene": None,
    "related": None,
}


def field_entry(field: Field) -> dict[str, Any]:
    """One property: name, type, titles, unit and code list."""
    entry: dict[str, Any] = {
        "name": field.name,
        "type": field.type,
        "title": dict(field.title),
        "unit": field.unit,
    }
    if field.read_only:
        entry["readOnly"] = True
    if field.codes:
        entry["codes"] = {code: dict(titles) for code, titles in field.codes.items()}
    return entry

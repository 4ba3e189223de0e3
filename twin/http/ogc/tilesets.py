"""OGC API Tiles Part 1 as one room: tilesets, their tiles, and the tile matrix set they use (OGC 17-083r4).

The tiles themselves are made by ``twin.http.tiles``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from layers.errors import NotFound, shown
from layers.model import FeatureLayer, Layer
from layers.types import CRS84, Bbox
from tiles import scheme
from tiles.vector import documents
from tiles.vector.clip import BUFFER
from twin.http import across, past
from twin.http.context import REL, Context, Link, link
from twin.http.formats import JSON, SCHEMA
from twin.http.ogc.conformance import classes
from twin.http.ogc.pages import Document, Pages
from twin.http.ogc.schemas import dimension, json_type, properties
from twin.http.openapi_parts import BINARY, get, ok, path_parameter
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site, of_features
from twin.http.tiles import MVT, OF_VECTOR, clip_parameter, form_parameter, vector_tile, version_parameter

TMS = "WebMercatorQuad"
WEB_MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
TMS_URI = f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{TMS}"
#: Half the circumference of the WGS 84 ellipsoid's equator (m).
HALF = 20_037_508.342789244
DEFINED_ZOOMS = 24
#: Metres a pixel of the OGC standardised rendering pixel (OGC 17-083r4, clause 6.1.1.1).
PIXEL = 0.00028


CLASSES = classes(
    {
        "ogcapi-tiles-1/1.0": "core tileset tilesets-list geodata-tilesets mvt oas30",
        "tms/2.0": "tilematrixset json-tilematrixset",
    }
)
_LAYER = "/ogc/collections/{layer}"


def room(site: Site, pages: Pages) -> Room:
    """The routes of tiles below /ogc, with their links and classes."""
    city = site.city

    async def tile(scope: Scope, receive: Receive, send: Send, layer: str, z: str, y: str, x: str) -> None:
        """By row and column (clause 8): the order differs from the XYZ alias. An empty tile is 200 with no
        bytes here: clients of the OGC path take 204 for an error."""
        view = past.view(city, scope)
        await (city.read if view.moment is None else city.aside)(view.layer, layer)
        await vector_tile(city, scope, send, (layer,), z, x, y, empty=200, known=OF_VECTOR | {"f"})

    place = f"tiles/{TMS}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"

    def describe(context: Context) -> Paths:
        layers = context.view.feature_layers()
        return {f"/ogc/collections/{layer.id}/{place}": _describe_tile(context, layer) for layer in layers}

    routes = (
        *(pages.route(one) for one in DOCUMENTS),
        Route(f"{_LAYER}/{place}", {"GET": tile}, describe_all=describe, past="fixed"),
    )
    title = ("Tiles of the layers", "图层瓦片")
    return Room("ogc-tiles", title, routes, _landing_links, of_features(_collection_links), CLASSES)


def _landing_links(context: Context) -> list[Link]:
    title = context.say("Tile matrix sets", "瓦片矩阵集")
    return [link(f"{REL}/tiling-schemes", f"{context.base}/tileMatrixSets", JSON, title)]


def _collection_links(context: Context, layer: FeatureLayer) -> list[Link]:
    href = f"{context.base}/collections/{layer.id}/tiles"
    return [link(f"{REL}/tilesets-vector", href, JSON, context.say("Vector tiles", "矢量瓦片"))]


def tile_parameters() -> list[dict[str, Any]]:
    """The place of a tile in a path, for the API document."""
    place = {"type": "integer", "minimum": 0}
    return [
        path_parameter("tileMatrix", {"type": "string"}, "The zoom level"),
        path_parameter("tileRow", place, "The row, from the north"),
        path_parameter("tileCol", place, "The column, from the west"),
    ]


def _describe_tile(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    title = context.say("A vector tile", "矢量瓦片")
    parameters = [
        *tile_parameters(),
        form_parameter(),
        clip_parameter(),
        version_parameter(),
    ]
    operation = f"{layer.id}.vector.getTile"
    return {"get": get(operation, layer.id, title, ok(title, {MVT: BINARY}), parameters)}


def tile_matrix_sets(context: Context) -> dict[str, Any]:
    """``/ogc/tileMatrixSets``."""
    href = f"{context.base}/tileMatrixSets/{TMS}"
    return {
        "title": context.say("Tile matrix sets", "瓦片矩阵集"),
        "tileMatrixSets": [
            {
                "id": TMS,
                "title": TMS,
                "uri": TMS_URI,
                "crs": WEB_MERCATOR,
                "links": [link("self", href, JSON, TMS)],
            }
        ],
        "links": [link("self", f"{context.base}/tileMatrixSets", JSON, "Tile matrix sets")],
    }


def tile_matrix_set(context: Context, name: str) -> dict[str, Any]:
    """``/ogc/tileMatrixSets/WebMercatorQuad`` (OGC 17-083r4, annex D.1). Raises NotFound."""
    if name != TMS:
        raise NotFound(f"no tile matrix set {shown(name)!r}; there is {TMS}")
    return {
        "id": TMS,
        "title": "Google Maps Compatible for the World",
        "uri": TMS_URI,
        "crs": WEB_MERCATOR,
        "orderedAxes": ["X", "Y"],
        "wellKnownScaleSet": "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
        "tileMatrices": [_matrix(zoom) for zoom in range(DEFINED_ZOOMS + 1)],
    }


def _matrix(zoom: int) -> dict[str, Any]:
    cell = 2 * HALF / 256 / 2**zoom
    return {
        "id": str(zoom),
        "scaleDenominator": cell / PIXEL,
        "cellSize": cell,
        "cornerOfOrigin": "topLeft",
        "pointOfOrigin": [-HALF, HALF],
        "matrixWidth": 2**zoom,
        "matrixHeight": 2**zoom,
        "tileWidth": 256,
        "tileHeight": 256,
    }


def tilesets(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """``…/tiles``: the list, of one (clause 10, tilesets-list)."""
    words = context.say("vector tiles", "矢量瓦片")
    return listing(context, layer, words, "tiles", "vector", _templates(context, layer))


def listing(
    context: Context, layer: Layer, words: str, below: str, data_type: str, templates: Sequence[Link]
) -> dict[str, Any]:
    """The list, of one, of a layer's tilesets of one type of data; it lies ``below`` the collection."""
    here = f"{context.base}/collections/{layer.id}"
    return {
        "title": f"{context.title(layer)}: {words}",
        "links": [
            link("self", f"{here}/{below}", JSON, "Tilesets"),
            link("geodata", here, JSON, context.title(layer)),
            *templates,
        ],
        "tilesets": [summary(context, layer, below, data_type)],
    }


def tileset(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """``…/tiles/WebMercatorQuad``: the tileset metadata (clause 9)."""
    here = f"{context.base}/collections/{layer.id}"
    document = summary(context, layer, "tiles", "vector")
    document["links"] = [
        *document["links"],
        *_templates(context, layer),
        link("geodata", here, JSON, context.title(layer)),
        link(f"{REL}/schema", f"{here}/schema", SCHEMA, context.say("Schema", "模式")),
    ]
    deepest = context.view.published(layer.id).tiles.maxzoom
    if box := across.extent(context.view, layer):
        document["tileMatrixSetLimits"] = _limits(box, deepest)
        west, south, east, north = box
        document["boundingBox"] = {"lowerLeft": [west, south], "upperRight": [east, north], "crs": CRS84}
    document["layers"] = [_vector_layer(layer, deepest, context.title(layer))]
    merging = documents.merging(context.root, deepest)
    document["description"] = f"{merging['description']} {merging['overzoom']}."
    document["links"].append(
        link(
            "related",
            merging["links"][0]["href"].replace("{layer}", layer.id),
            "application/geo+json",
            context.say("The features that a merged one stands for", "合并要素所含的要素"),
            templated=True,
        )
    )
    return document


def _limits(box: Bbox, deepest: int) -> list[dict[str, Any]]:
    """The tiles of each zoom that may hold something of a layer in a box (degrees); all columns where it lies
    across the antimeridian (OGC 17-083r4, clause 7.2)."""
    west, south, east, north = box if box[0] <= box[2] else (-180.0, box[1], 180.0, box[3])
    (around,) = scheme.world_boxes(np.array([[west, south, east, north]])).tolist()
    zooms = (scheme.cells(around, z, BUFFER / scheme.EXTENT) for z in range(deepest + 1))
    return [
        {
            "tileMatrix": str(cells.z),
            "minTileRow": cells.y0,
            "maxTileRow": cells.y1,
            "minTileCol": cells.x0,
            "maxTileCol": cells.x1,
        }
        for cells in zooms
    ]


def _templates(context: Context, layer: FeatureLayer) -> list[Link]:
    """The addresses of the tiles, row first as the OGC has it, and column first as maps have it."""
    here, say = f"{context.base}/collections/{layer.id}/tiles/{TMS}", context.say
    by_row = f"{here}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
    by_column = f"{context.root}/tiles/{layer.id}/{{z}}/{{x}}/{{y}}.mvt"
    return [
        link("item", by_row, MVT, say("Vector tiles", "矢量瓦片"), templated=True),
        link("xyz", by_column, MVT, say("Vector tiles, z/x/y", "矢量瓦片（z/x/y）"), templated=True),
        link("tilejson", f"{context.root}/tiles/{layer.id}.json", JSON, "TileJSON"),
    ]


def summary(context: Context, layer: Layer, below: str, data_type: str) -> dict[str, Any]:
    """What a list says of a tileset; ``below`` its collection lies the list."""
    here = f"{context.base}/collections/{layer.id}/{below}/{TMS}"
    return {
        "title": context.title(layer),
        "dataType": data_type,
        "crs": WEB_MERCATOR,
        "tileMatrixSetId": TMS,
        "tileMatrixSetURI": TMS_URI,
        "links": [
            link("self", here, JSON, context.title(layer)),
            link(f"{REL}/tiling-scheme", f"{context.base}/tileMatrixSets/{TMS}", JSON, TMS),
        ],
    }


def _vector_layer(layer: FeatureLayer, deepest: int, title: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": layer.id,
        "title": title,
        "dataType": "vector",
        "minTileMatrix": "0",
        "maxTileMatrix": str(deepest),
        "propertiesSchema": {
            "type": "object",
            "properties": {name: {"type": type_} for name, type_ in documents.counts(layer).items()}
            | {field.name: json_type(field) for field in properties(layer)},
        },
    }
    if (dimensions := dimension(layer)) is not None:
        document["geometryDimension"] = dimensions
    return document


DOCUMENTS = (
    Document(
        "/ogc/tileMatrixSets", tile_matrix_sets, "getTileMatrixSets", ("Tile matrix sets", "瓦片矩阵集")
    ),
    Document(
        "/ogc/tileMatrixSets/{tileMatrixSetId}",
        tile_matrix_set,
        "getTileMatrixSet",
        ("A tile matrix set", "瓦片矩阵集"),
        parameters=(path_parameter("tileMatrixSetId", {"type": "string", "enum": [TMS]}, "The set's id"),),
    ),
    Document(f"{_LAYER}/tiles", tilesets, "getTilesets", ("Its tilesets", "瓦片集"), past=True),
    Document(
        f"{_LAYER}/tiles/{TMS}", tileset, "getTileset", ("Its tileset metadata", "瓦片集元数据"), past=True
    ),
)

"""Tilesets of a layer and the tile matrix set they use (OGC API Tiles Part 1; OGC 17-083r4).

The tiles themselves are made by ``twin.http.tiles``; here is what describes them.
"""

from __future__ import annotations

from typing import Any

from layers.errors import NotFound, shown
from layers.model import Layer
from layers.types import CRS84
from tiles.scheme import MAX_ZOOM
from twin.http.context import REL, Context, link
from twin.http.formats import JSON, SCHEMA
from twin.http.ogc.documents import TMS
from twin.http.ogc.schemas import dimension, json_type, properties

MVT = "application/vnd.mapbox-vector-tile"
WEB_MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
TMS_URI = f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{TMS}"
#: Half the circumference of the WGS 84 ellipsoid's equator (m).
HALF = 20_037_508.342789244
DEFINED_ZOOMS = 24
#: Metres a pixel of the OGC standardised rendering pixel (OGC 17-083r4, clause 6.1.1.1).
PIXEL = 0.00028


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


def tile_matrix_set(name: str) -> dict[str, Any]:
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


def tilesets(context: Context, layer: Layer) -> dict[str, Any]:
    """``…/tiles``: the list, of one (clause 10, tilesets-list)."""
    here = f"{context.base}/collections/{layer.id}"
    return {
        "title": f"{context.title(layer)}: {context.say('vector tiles', '矢量瓦片')}",
        "links": [
            link("self", f"{here}/tiles", JSON, "Tilesets"),
            link("geodata", here, JSON, context.title(layer)),
        ],
        "tilesets": [_summary(context, layer)],
    }


def tileset(context: Context, layer: Layer, name: str) -> dict[str, Any]:
    """``…/tiles/WebMercatorQuad``: the tileset metadata (clause 9). Raises NotFound."""
    if name != TMS:
        raise NotFound(f"layer {layer.id} has no tileset {shown(name)!r}; it has {TMS}")
    here = f"{context.base}/collections/{layer.id}"
    found = _summary(context, layer)
    found["links"] = [
        *found["links"],
        link(
            "item",
            f"{here}/tiles/{TMS}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}",
            MVT,
            context.say("Vector tiles", "矢量瓦片"),
            templated=True,
        ),
        link("geodata", here, JSON, context.title(layer)),
        link(f"{REL}/schema", f"{here}/schema", SCHEMA, context.say("Schema", "模式")),
    ]
    if layer.extent is not None:
        west, south, east, north = layer.extent
        found["boundingBox"] = {"lowerLeft": [west, south], "upperRight": [east, north], "crs": CRS84}
    found["layers"] = [_vector_layer(context, layer)]
    return found


def _summary(context: Context, layer: Layer) -> dict[str, Any]:
    here = f"{context.base}/collections/{layer.id}/tiles/{TMS}"
    return {
        "title": context.title(layer),
        "dataType": "vector",
        "crs": WEB_MERCATOR,
        "tileMatrixSetId": TMS,
        "tileMatrixSetURI": TMS_URI,
        "links": [
            link("self", here, JSON, context.title(layer)),
            link(f"{REL}/tiling-scheme", f"{context.base}/tileMatrixSets/{TMS}", JSON, TMS),
        ],
    }


def _vector_layer(context: Context, layer: Layer) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": layer.id,
        "title": context.title(layer),
        "dataType": "vector",
        "minTileMatrix": "0",
        "maxTileMatrix": str(MAX_ZOOM),
        "propertiesSchema": {
            "type": "object",
            "properties": {field.name: json_type(field) for field in properties(layer)},
        },
    }
    if (dimensions := dimension(layer)) is not None:
        found["geometryDimension"] = dimensions
    return found

"""OGC API Coverages (OGC 19-087, draft of 2026): the values of rasters, by part, scale, field and CRS.

By our own handlers: docs/decisions.md says what pygeoapi's answer is wrong in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from layers.crs import uri
from layers.model import ContentLayer, Layer, has_features, is_raster
from layers.raster import covjson, geotiff, plan
from layers.raster import query as queries
from layers.raster.files import instant_of
from layers.raster.grid import code
from layers.raster.query import CoverageQuery
from layers.types import RASTERS
from twin.access.caller import CALLER
from twin.http import answers, negotiate, respond
from twin.http.context import REL, Context, Link, link
from twin.http.formats import JSON, Offer, Representation
from twin.http.imagery import as_raster
from twin.http.ogc import coverage_documents as documents
from twin.http.ogc.conformance import classes
from twin.http.ogc.coverage_documents import check_crs, crs_of, opened, tag
from twin.http.ogc.pages import Document, Pages
from twin.http.openapi_parts import BINARY, errors, form, get, ok
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site

if TYPE_CHECKING:
    from twin.city import City

GEOTIFF = "image/tiff; application=geotiff"
OFFER: Offer = (
    Representation(
        ("geotiff", "tiff", "tif"),
        GEOTIFF,
        ("image/tiff", GEOTIFF, "image/tiff;application=geotiff", "application/x-geotiff"),
        ("GeoTIFF", "GeoTIFF"),
    ),
    Representation(
        ("covjson", "coveragejson", "json"),
        covjson.MEDIA,
        # the draft's type, and that of the community standard
        (covjson.MEDIA, "application/vnd.cov+json", JSON),
        ("CoverageJSON", "CoverageJSON"),
    ),
)
#: Bytes of the values that are written as JSON, which takes about five times as many.
MOST_JSON = 1 << 23
CLASSES = classes(
    {
        "ogcapi-coverages-1/1.0": (
            "core subsetting-spatial subsetting-temporal scaling-spatial field-selection crs "
            "geotiff coveragejson oas30"
        ),
    }
)
_LAYER = "/ogc/collections/{layer}"
DOCUMENTS = (
    Document(
        f"{_LAYER}/coverage/domainset",
        documents.domain_set,
        "getDomainSet",
        ("Its domain set", "域集"),
        forms=RASTERS,
    ),
    Document(
        f"{_LAYER}/coverage/rangetype",
        documents.range_type,
        "getRangeType",
        ("Its range type", "值域类型"),
        forms=RASTERS,
    ),
)


def room(site: Site, pages: Pages) -> Room:
    """The routes of coverages, with their links, members and classes."""
    city = site.city

    async def coverage(scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """GET or HEAD. Raises NotFound, BadParameter, NotAcceptable, TooLarge, Busy, Unavailable."""
        view = city.catalogue.of(scope[CALLER])
        layer = as_raster(await city.read(view.layer, layer_id))
        forms, pairs = negotiate.chosen(respond.query_pairs(scope), ("f",))
        kind = negotiate.representation(scope, forms.get("f"), OFFER)
        query = queries.parse(pairs)
        etag = tag(city, view, layer, kind.name)
        if await answers.fresh(scope, send, etag, answers.VARY):
            return
        headers, body = await city.read(
            _made, city, layer, query, kind.name, heavy=True, gone=lambda: respond.gone(receive)
        )
        headers += [(b"etag", etag.encode()), answers.FRESH]
        if kind is OFFER[0]:
            await answers.exactly(scope, send, body, [*headers, (b"vary", b"Accept")])
        else:
            await answers.give(scope, send, (body,), [*headers, answers.VARY])

    routes = (
        *(pages.route(one) for one in DOCUMENTS),
        Route(f"{_LAYER}/coverage", {"GET": coverage}, describe_all=_describe),
    )
    return Room(
        "coverages",
        ("Values of coverages", "栅格数据值"),
        routes,
        collection=_links,
        conformance=CLASSES,
        members=documents.members,
    )


def _made(city: City, layer: ContentLayer, query: CoverageQuery, kind: str) -> tuple[Headers, bytes]:
    """Headers and body of the answer, in a thread."""
    with opened(city, layer, instant_of(layer, query.interval)) as coverage:
        own = code(coverage.grid.crs)
        check_crs((query.region,), query.crs, crs_of(city, layer, own), own)
        bands = queries.chosen(coverage.bands, query)
        grid = plan.planned(coverage, query)
        plan.check_size(grid, bands, plan.MOST_BYTES if kind == "geotiff" else MOST_JSON)
        values = coverage.read(grid, [band.index for band in bands])
        crs = query.crs or own
        if kind == "geotiff":
            body = geotiff.encode(coverage, grid, bands, values)
        else:
            crs_uri = uri(crs) if crs else grid.crs.to_wkt()
            document = covjson.grid_document(
                grid, crs_uri, bands, coverage.measured(values, bands), coverage.time
            )
            body = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        return _headers(layer, grid, crs, coverage.time, kind), body


def _headers(layer: ContentLayer, grid: Any, crs: str | None, time: str | None, kind: str) -> Headers:
    """OGC 19-087, /req/core/response-headers; boxes are in the axis order of the CRS's authority."""
    box = ",".join(format(end, ".12g") for end in documents.box_in(grid, crs))
    extension = "tif" if kind == "geotiff" else "covjson"
    headers: Headers = [
        (b"content-type", (GEOTIFF if kind == "geotiff" else covjson.MEDIA).encode()),
        (b"content-bbox", box.encode()),
        (b"content-disposition", f'inline; filename="{layer.id}.{extension}"'.encode()),
    ]
    if crs is not None:
        headers.append((b"content-crs", f"<{uri(crs)}>".encode()))
    if time is not None:
        headers.append((b"content-datetime", time.encode()))
    return headers


def _links(context: Context, layer: Layer) -> list[Link]:
    if not is_raster(layer):
        return []
    here, say = f"{context.base}/collections/{layer.id}", context.say
    return [
        *(
            link(
                f"{REL}/coverage",
                f"{here}/coverage?f={one.name}",
                one.media,
                say(f"Values as {one.title[0]}", f"数据值（{one.title[1]}）"),
            )
            for one in OFFER
        ),
        link(f"{REL}/coverage-domainset", f"{here}/coverage/domainset", JSON, say("Domain set", "域集")),
        link(f"{REL}/coverage-rangetype", f"{here}/coverage/rangetype", JSON, say("Range type", "值域类型")),
        link(f"{REL}/schema", f"{here}/schema", "application/schema+json", say("Fields", "字段")),
    ]


def _describe(context: Context) -> Paths:
    return {
        f"/ogc/collections/{layer.id}/coverage": _path(context, layer)
        for layer in context.view.layers()
        if is_raster(layer)
    }


def _path(context: Context, layer: Layer) -> dict[str, Any]:
    summary = context.say("Values of the coverage", "数据值")
    content = {GEOTIFF: BINARY, covjson.MEDIA: {"type": "object"}}
    parameters = [form(OFFER), *(one.openapi() for one in queries.TABLE.values())]
    operation = get(f"{layer.id}.getCoverage", layer.id, summary, ok(summary, content), parameters)
    operation["responses"] |= errors(413)
    return {"get": operation}


def schema(context: Context, layer: Layer) -> dict[str, Any]:
    """The schema of a coverage's fields, else of a layer's features."""
    from twin.http.ogc import schemas

    return (
        schemas.schema(context, layer) if has_features(layer) else documents.schema(context, as_raster(layer))
    )

"""What every OGC API has: landing page, conformance, API document, collections. All of it is made of what
the rooms declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from layers import instants
from layers.crs import COMMON, supported, uri
from layers.model import Layer, has_features, is_raster
from layers.types import CRS84, FORMS, Form
from twin.http import across
from twin.http.context import REL, Context, Link, link
from twin.http.formats import HTML, JSON, OPENAPI
from twin.http.negotiate import text
from twin.http.ogc import openapi
from twin.http.ogc.conformance import classes
from twin.http.ogc.pages import Document, Pages
from twin.http.room import Room, Site

CLASSES = classes(
    {"ogcapi-common-1/1.0": "core landing-page json html oas30", "ogcapi-common-2/1.0": "collections"}
)
#: What a layer without features is called.
_FORMS: Mapping[Form, tuple[str, str]] = {
    "coverage": ("a coverage", "栅格覆盖"),
    "surface": ("a surface", "地表面"),
    "scene": ("a 3D scene", "三维场景"),
}


def room(site: Site, pages: Pages) -> Room:
    """The room whose documents name all rooms of the site."""
    documents = Documents(site)
    landing = Document(
        "/ogc",
        documents.landing,
        "getLandingPage",
        ("Landing page", "首页"),
        "landingPage",
        template="landing_page.html",
    )
    others = (
        Document(
            "/ogc/conformance",
            documents.conformance,
            "getConformance",
            ("Conformance classes", "符合性类"),
            "conformance",
            template="conformance.html",
        ),
        Document(
            "/ogc/api",
            documents.api,
            "getApi",
            ("This document", "本文档"),
            media=OPENAPI,
            template="api.html",
        ),
        Document(
            "/ogc/collections",
            documents.collections,
            "getCollections",
            ("The layers", "图层列表"),
            "collections",
            template="collections/index.html",
            past=True,
        ),
        Document(
            "/ogc/collections/{layer}",
            documents.collection,
            "getCollection",
            ("The layer", "图层"),
            "collection",
            template="collections/collection.html",
            forms=FORMS,
            past=True,
        ),
    )
    routes = (pages.route(landing, slash=True), *(pages.route(one) for one in others))
    return Room("city", ("The city", "城市"), routes, _landing_links, _collection_links, CLASSES)


def _landing_links(context: Context) -> list[Link]:
    say, base = context.say, context.base
    return [
        *context.self_links(),
        link("service-desc", f"{base}/api", OPENAPI, say("API definition", "接口定义（OpenAPI）")),
        link("service-doc", f"{base}/api?f=html", HTML, say("API documentation", "接口文档")),
        link("conformance", f"{base}/conformance", JSON, say("Conformance classes", "符合性类")),
        link(f"{REL}/conformance", f"{base}/conformance", JSON, say("Conformance classes", "符合性类")),
        link("data", f"{base}/collections", JSON, say("Layers", "图层")),
        link(f"{REL}/data", f"{base}/collections", JSON, say("Layers", "图层")),
    ]


def _collection_links(context: Context, layer: Layer) -> list[Link]:
    here, say = f"{context.base}/collections/{layer.id}", context.say
    return [
        link("self", f"{here}?f=json", JSON, say("This layer as JSON", "本图层（JSON）")),
        link("alternate", f"{here}?f=html", HTML, say("This layer as HTML", "本图层（网页）")),
        link("root", context.base, JSON, say("All interfaces of the city", "城市全部接口")),
    ]


class Documents:
    """The documents of Common Part 1 and Part 2 over all rooms of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def landing(self, context: Context) -> dict[str, Any]:
        """``/ogc`` (Features Part 1, clause 7.2; Common Part 1, clause 9)."""
        settings = context.city.settings
        return {
            "title": text(settings.title, context.lang, "City"),
            "description": context.say(
                "Layers of the city as OGC API Features and Tiles; live sensors and incidents beside them.",
                "城市图层的 OGC API 要素与瓦片服务，以及实时感知与事件接口。",
            ),
            "attribution": settings.attribution,
            "links": [one for room in self._site.rooms for one in room.landing(context)],
        }

    def conformance(self, context: Context) -> dict[str, Any]:
        """``/ogc/conformance``."""
        declared = [one for room in self._site.rooms for one in room.conformance]
        return {"conformsTo": list(dict.fromkeys(declared)), "links": context.self_links()}

    def api(self, context: Context) -> dict[str, Any]:
        """``/ogc/api``."""
        return openapi.document(context, self._site.rooms)

    def collections(self, context: Context) -> dict[str, Any]:
        """``/ogc/collections``; the global CRS list is referred to by each one as ``#/crs``."""
        documents = [self.collection(context, layer) for layer in context.view.layers()]
        documents += [one for room in self._site.rooms for one in room.collections(context)]
        return {
            "links": context.self_links(),
            "crs": list(COMMON),
            "numberMatched": len(documents),
            "numberReturned": len(documents),
            "collections": documents,
        }

    def collection(self, context: Context, layer: Layer) -> dict[str, Any]:
        """``/ogc/collections/{id}`` (Features Part 1 clause 7.14, Part 2 clause 6.2)."""
        document: dict[str, Any] = {
            "id": layer.id,
            "title": context.title(layer),
            "description": _description(context, layer),
            "links": [one for room in self._site.rooms for one in room.collection(context, layer)],
        }
        if extent_ := _extent(context, layer):
            document["extent"] = extent_
        if has_features(layer):
            document |= {
                "itemType": "feature",
                "crs": list(supported(layer)),
                "storageCrs": uri(layer.storage_crs),
            }
        else:
            # Features Part 1 takes features for the default, and so do its clients
            document["itemType"] = "coverage" if is_raster(layer) else "unknown"
        for room in self._site.rooms:
            _join(document, room.members(context, layer))
        if layer.vertical_datum:
            document["verticalDatum"] = layer.vertical_datum
        if attribution := context.city.settings.attribution:
            document["attribution"] = attribution
        return document


def _join(document: dict[str, Any], members: Mapping[str, Any]) -> None:
    for name, value in members.items():
        if isinstance(value, Mapping):
            _join(document.setdefault(name, {}), value)
        else:
            document[name] = value


def _extent(context: Context, layer: Layer) -> dict[str, Any]:
    """What is known of it in space and time: nothing of an empty layer."""
    document: dict[str, Any] = {}
    if box := across.extent(context.view, layer):
        document["spatial"] = {"bbox": [list(box)], "crs": CRS84}
    if has_features(layer) and layer.time_field:
        document["temporal"] = {"interval": [instants.whole_days(context.view.interval(layer.id))]}
    return document


def _description(context: Context, layer: Layer) -> str:
    title, datum = context.title(layer), layer.vertical_datum
    if has_features(layer):
        description = context.say(
            f"{title}: {layer.count} features of kind {layer.kind}",
            f"{title}：{layer.count} 个要素（{layer.kind}）",
        )
    else:
        form = context.say(*_FORMS[layer.form])
        description = context.say(f"{title}: {form} in {layer.crs}", f"{title}：{form}（{layer.crs}）")
    return (
        description + context.say(f"; heights from {datum}", f"；高程基准 {datum}") if datum else description
    )

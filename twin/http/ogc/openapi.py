"""The API document at ``/ogc/api``: OpenAPI 3.0, one path a layer written out, no outside ``$ref``.

3.0 on purpose: the official suites and several clients read nothing newer. The parameters come
from the one strict table that also parses requests (``layers.query``), so the document is true.
"""

from __future__ import annotations

from typing import Any

from twin.http.context import Context
from twin.http.formats import DOCUMENT, JSON, OPENAPI, PAGE
from twin.http.negotiate import text
from twin.http.ogc import openapi_layer
from twin.http.ogc.documents import TMS
from twin.http.openapi_parts import (
    answer,
    form,
    get,
    path_parameter,
    profile,
    responses,
    schemas,
    security_schemes,
)

VERSION = "3.0.3"


def document(context: Context) -> dict[str, Any]:
    """The whole document for the catalogue as it is now."""
    layers = context.view.layers()
    paths, typed = _fixed_paths(context), schemas()
    for layer in layers:
        paths |= openapi_layer.paths(context, layer)
        typed |= openapi_layer.schemas(layer)
    return {
        "openapi": VERSION,
        "info": {
            "title": text(context.city.settings.title, context.lang, "City"),
            "description": context.say(
                "Layers of the city: features, their schemas, downloads and vector tiles.",
                "城市图层：要素、模式、下载与矢量瓦片。",
            ),
            "version": "1.0.0",
        },
        "servers": [{"url": context.base}],
        "tags": [
            {"name": "city"},
            *({"name": layer.id, "description": context.title(layer)} for layer in layers),
        ],
        "paths": paths,
        "components": {
            "parameters": {
                one["name"]: one for one in [*openapi_layer.standard(None), profile(), form(PAGE)]
            },
            "schemas": typed,
            "responses": responses(),
            "securitySchemes": security_schemes(),
        },
    }


def _fixed_paths(context: Context) -> dict[str, Any]:
    say = context.say

    def one(operation: str, summary: str, schema: str, media: str = JSON) -> dict[str, Any]:
        ok = answer(summary, {media: schema})
        return {"get": get(operation, "city", summary, ok, [form(DOCUMENT)])}

    matrix_set = one("getTileMatrixSet", say("A tile matrix set", "瓦片矩阵集"), "document")
    matrix_set["parameters"] = [
        path_parameter("tileMatrixSetId", {"type": "string", "enum": [TMS]}, "The set's id")
    ]
    return {
        "/": one("getLandingPage", say("Landing page", "首页"), "landingPage"),
        "/conformance": one("getConformance", say("Conformance classes", "符合性类"), "conformance"),
        "/api": one("getApi", say("This document", "本文档"), "document", OPENAPI),
        "/functions": one("getFunctions", say("Functions of filters", "过滤函数"), "functions"),
        "/collections": one("getCollections", say("The layers", "图层列表"), "collections"),
        "/tileMatrixSets": one("getTileMatrixSets", say("Tile matrix sets", "瓦片矩阵集"), "document"),
        "/tileMatrixSets/{tileMatrixSetId}": matrix_set,
    }

"""The parts that every path of the API document shares: parameters, schemas, answers, keys.

No ``$ref`` leaves the document: validators and the official test suites run without internet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twin.http.formats import HTML, PROFILES, Offer, names

PROBLEM = "application/problem+json"
TEXT: dict[str, Any] = {"type": "string"}
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
#: The ways to send a key.
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"header": []}]
#: RFC 9457 members, and OGC's two beside them.
_PROBLEM = ("type", "title", "status", "detail", "code", "description")
#: Errors that any reading may answer; the address alone decides which.
READING = (400, 403, 404, 406, 503)
#: Errors that any writing may answer.
WRITING = (400, 403, 404, 413, 415, 503)


def reference(name: str) -> dict[str, Any]:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def array_of(items: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a list."""
    return {"type": "array", "items": dict(items)}


def object_of(properties: dict[str, Any], required: str) -> dict[str, Any]:
    """The schema of an object; ``required`` names its members, separated by spaces."""
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return schema | {"required": required.split()} if required else schema


# parameters


def form(offer: Offer) -> dict[str, Any]:
    """The parameter ``f`` of a resource."""
    schema = {"type": "string", "enum": names(offer)}
    return query_parameter("f", schema, "The representation; it wins over Accept")


def profile() -> dict[str, Any]:
    """The parameter ``profile`` (OGC 23-058r2, clause 13)."""
    schema = {"type": "array", "items": {"type": "string", "enum": list(PROFILES)}, "minItems": 1}
    return query_parameter("profile", schema, "The GeoJSON profile; rfc7946 without it")


def query_parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """A query parameter, with style and explode written out, because QGIS needs them."""
    return {
        "name": name,
        "in": "query",
        "description": description,
        "required": False,
        "style": "form",
        "explode": False,
        "schema": schema,
    }


def path_parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """A path parameter."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def tile_place(most: int, *, from_south: bool = False) -> list[dict[str, Any]]:
    """Zoom, column and row of a tile in a path, at most as deep as ``most``."""
    index = {"type": "integer", "minimum": 0, "maximum": 2**most - 1}
    return [
        path_parameter("z", index | {"maximum": most}, "The zoom level"),
        path_parameter("x", index, "The column, from the west"),
        path_parameter("y", index, f"The row, from the {'south' if from_south else 'north'}"),
    ]


def header_parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A header that may be sent."""
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


# operations and answers


def get(
    operation: str, tag: str, summary: str, ok: dict[str, Any], parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    """A reading operation."""
    return {
        "operationId": operation,
        "tags": [tag],
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": ok,
            "304": {"description": "As If-None-Match has it"},
            **errors(*READING),
        },
    }


def ok(description: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A 200 response: media type → name of a schema of the document, or a schema."""
    schemas_ = {
        media: reference(one) if isinstance(one, str) else dict(one) for media, one in content.items()
    }
    return {
        "description": description,
        "content": {media: {"schema": schema} for media, schema in schemas_.items()},
    }


def answer(description: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A 200 response that has an HTML form too (Features Part 1, /req/html/definition)."""
    return ok(description, {**content, HTML: TEXT})


def write(
    operation: str,
    tag: str,
    summary: str,
    responses_: Mapping[str, Any],
    body: Mapping[str, Any],
    parameters: Sequence[dict[str, Any]] = (),
    more: tuple[int, ...] = (),
) -> dict[str, Any]:
    """A writing operation: media type → schema of its body; ``more`` are the errors of its own."""
    document: dict[str, Any] = {
        "operationId": operation,
        "tags": [tag],
        "summary": summary,
        "responses": {**responses_, **errors(*WRITING, *more)},
    }
    if parameters:
        document["parameters"] = list(parameters)
    if body:
        document["requestBody"] = {"required": True, "content": ok("", body)["content"]}
    return keyed(document)


def keyed(operation: Mapping[str, Any]) -> dict[str, Any]:
    """An operation that needs a key: it may be absent or wrong (401), or one of too many wrong ones (429)."""
    responses_ = {**operation["responses"], **errors(401, 429)}
    return {**operation, "security": SECURITY, "responses": dict(sorted(responses_.items()))}


def errors(*statuses: int) -> dict[str, Any]:
    """References to the error responses of a path."""
    return {str(status): {"$ref": f"#/components/responses/e{status}"} for status in sorted(statuses)}


def responses() -> dict[str, Any]:
    """``components.responses``: the one error shape, by status."""
    descriptions = {
        "400": "A parameter or the body is wrong; the answer names it and what is allowed",
        "401": "This needs a named key",
        "403": "The key may not do this, or the Host or Origin is foreign",
        "404": "There is no such thing",
        "406": "None of the accepted media types can be given",
        "409": "The present state does not permit it; the answer says why",
        "410": "It was there, and is no longer kept; the answer says what is",
        "412": "If-Match does not name the current revision",
        "413": "The body, or the answer, is too large",
        "415": "The media type of the body is not taken here",
        "416": "Nothing of the range of bytes is there; Content-Range tells the length",
        "422": "Nothing of the transaction is written; `exceptions` has each reason",
        "428": "This layer is changed only with If-Match",
        "429": "Too many wrong keys from this address; right ones are taken",
        "503": "Not now: the server is busy, the city is read-only, or its database does not answer",
    }
    problems: dict[str, Any] = {
        f"e{status}": {"description": text, "content": {PROBLEM: {"schema": reference("problem")}}}
        for status, text in descriptions.items()
    }
    problems["e401"]["headers"] = {"WWW-Authenticate": _header("How to send a key")}
    for status in ("e429", "e503"):
        problems[status]["headers"] = {"Retry-After": _header("Seconds until it is worth trying again")}
    return problems


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": TEXT}


def security_schemes() -> dict[str, Any]:
    """The three ways to send a key."""
    return {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "The key is the password; any user name.",
        },
        "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    }


# schemas


def schemas() -> dict[str, Any]:
    """``components.schemas`` but for those of the layers."""
    links = array_of(reference("link"))
    texts = array_of(TEXT)
    return {
        "problem": object_of(
            {
                **dict.fromkeys(_PROBLEM, TEXT),
                "status": {"type": "integer"},
                "errors": array_of(
                    object_of({"detail": TEXT, "pointer": TEXT}, "detail pointer")
                    | {"description": "The members of the body that are wrong"}
                ),
            },
            " ".join(_PROBLEM),
        ),
        "link": object_of({"href": TEXT, "rel": TEXT, "type": TEXT, "title": TEXT}, "href rel"),
        "landingPage": object_of({"title": TEXT, "description": TEXT, "links": links}, "links"),
        "conformance": object_of({"conformsTo": texts}, "conformsTo"),
        "functions": object_of({"functions": array_of(_function()), "links": links}, "functions"),
        "collections": object_of(
            {"links": links, "crs": texts, "collections": array_of(reference("collection"))},
            "links collections",
        ),
        "collection": object_of(
            {
                "id": TEXT,
                "title": TEXT,
                "description": TEXT,
                "itemType": TEXT,
                "links": links,
                "extent": {"type": "object"},
                "crs": texts,
                "storageCrs": TEXT,
                "verticalDatum": TEXT,
            },
            "id links",
        ),
        "document": {"type": "object"},
        "featureCollection": object_of(
            {
                "type": {"type": "string", "enum": ["FeatureCollection"]},
                "features": array_of({"type": "object"}),
            },
            "type features",
        ),
        "jsonfg": object_of({"type": TEXT, "conformsTo": texts, "featureType": TEXT}, "type conformsTo"),
        **_geometries(),
    }


def _function() -> dict[str, Any]:
    argument = object_of({"title": TEXT, "description": TEXT, "type": array_of(TEXT)}, "type")
    return object_of(
        {
            "name": TEXT,
            "description": TEXT,
            "arguments": array_of(argument),
            "returns": array_of(TEXT),
        },
        "name returns",
    )


def _geometries() -> dict[str, Any]:
    """GeoJSON geometries (RFC 7946, section 3.1), by type and as one."""
    position = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3}
    line = {**array_of(position), "minItems": 2}
    polygon = {**array_of({**array_of(position), "minItems": 4}), "minItems": 1}
    shapes: dict[str, dict[str, Any]] = {
        "Point": position,
        "LineString": line,
        "Polygon": polygon,
        "MultiPoint": {**array_of(position), "minItems": 1},
        "MultiLineString": {**array_of(line), "minItems": 1},
        "MultiPolygon": {**array_of(polygon), "minItems": 1},
    }
    by_type = {
        f"geometry{name}": object_of(
            {"type": {"type": "string", "enum": [name]}, "coordinates": shape}, "type coordinates"
        )
        for name, shape in shapes.items()
    }
    by_type["geometryCollection"] = object_of(
        {
            "type": {"type": "string", "enum": ["GeometryCollection"]},
            "geometries": array_of({"oneOf": [reference(name) for name in by_type]}),
        },
        "type geometries",
    )
    return by_type | {"geometry": {"oneOf": [reference(name) for name in by_type]}}


def feature_schema(
    geometry: dict[str, Any], properties: dict[str, Any], *, read_only: bool
) -> dict[str, Any]:
    """A feature as it is read (with id and links) or as it is sent."""
    members = {
        "type": {"type": "string", "enum": ["Feature"]},
        "geometry": geometry,
        "properties": properties,
    }
    if not read_only:
        return object_of(members, "type geometry properties")
    members |= {"id": {"type": "integer", "format": "int64"}, "links": array_of(reference("link"))}
    return object_of(members, "type id geometry properties")

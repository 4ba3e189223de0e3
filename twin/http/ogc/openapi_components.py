"""The parts that every path of the API document shares: schemas, answers, keys.

No ``$ref`` leaves the document: validators and the official test suites run without internet.
"""

from __future__ import annotations

from typing import Any

from twin.http.ogc.negotiate import HTML, JSON

PROBLEM = "application/problem+json"
_TEXT: dict[str, Any] = {"type": "string"}
_LINKS: dict[str, Any] = {"type": "array", "items": {"$ref": "#/components/schemas/link"}}


#: RFC 9457 members, and OGC's two beside them.
_PROBLEM = ("type", "title", "status", "detail", "code", "description")


def schemas() -> dict[str, Any]:
    """``components.schemas``."""
    return {
        "problem": _object(
            {**dict.fromkeys(_PROBLEM, _TEXT), "status": {"type": "integer"}}, " ".join(_PROBLEM)
        ),
        "link": _object({"href": _TEXT, "rel": _TEXT, "type": _TEXT, "title": _TEXT}, "href rel"),
        "landingPage": _object({"title": _TEXT, "description": _TEXT, "links": _LINKS}, "links"),
        "conformance": _object({"conformsTo": {"type": "array", "items": _TEXT}}, "conformsTo"),
        "collections": _object(
            {
                "links": _LINKS,
                "crs": {"type": "array", "items": _TEXT},
                "collections": {"type": "array", "items": {"$ref": "#/components/schemas/collection"}},
            },
            "links collections",
        ),
        "collection": _object(
            {
                "id": _TEXT,
                "title": _TEXT,
                "description": _TEXT,
                "itemType": _TEXT,
                "links": _LINKS,
                "extent": {"type": "object"},
                "crs": {"type": "array", "items": _TEXT},
                "storageCrs": _TEXT,
            },
            "id links",
        ),
        "document": {"type": "object"},
        "geometry": _object({"type": _TEXT, "coordinates": {"type": "array", "items": {}}}, "type"),
        "feature": _feature("id links"),
        "newFeature": _feature(""),
        "patch": _object(
            {
                "properties": {"type": "object", "nullable": True},
                "geometry": {"allOf": [{"$ref": "#/components/schemas/geometry"}], "nullable": True},
            },
            "",
        ),
        "featureCollection": _object(
            {
                "type": {"type": "string", "enum": ["FeatureCollection"]},
                "features": {"type": "array", "items": {"$ref": "#/components/schemas/feature"}},
                "links": _LINKS,
                "timeStamp": {"type": "string", "format": "date-time"},
                "numberMatched": {"type": "integer", "minimum": 0},
                "numberReturned": {"type": "integer", "minimum": 0},
            },
            "type features",
        ),
    }


def _feature(required: str) -> dict[str, Any]:
    return _object(
        {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "integer"},
            "geometry": {"allOf": [{"$ref": "#/components/schemas/geometry"}], "nullable": True},
            "properties": {"type": "object", "nullable": True},
            "links": _LINKS,
        },
        f"type geometry properties {required}".strip(),
    )


def _object(properties: dict[str, Any], required: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": properties}
    return found | {"required": required.split()} if required else found


def responses() -> dict[str, Any]:
    """``components.responses``: the one error shape, by status."""
    told = {
        "400": "A parameter or the body is wrong; the answer names it and what is allowed",
        "401": "Writing needs a named key",
        "403": "The key may not do this, or the Host or Origin is foreign",
        "404": "There is no such thing",
        "406": "None of the accepted media types can be given",
        "412": "If-Match does not name the current revision",
        "413": "The body is too large",
        "415": "The media type of the body is not taken here",
        "428": "This layer is changed only with If-Match",
        "503": "Not now: the city folder is read-only, or the server is busy",
    }
    schema = {"$ref": "#/components/schemas/problem"}
    return {
        f"e{status}": {"description": text, "content": {PROBLEM: {"schema": schema}}}
        for status, text in told.items()
    }


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


def answer(description: str, schema: str, media: str = JSON) -> dict[str, Any]:
    """A 200 response; every one has an HTML form (Features Part 1, /req/html/definition)."""
    content: dict[str, Any] = {
        media: {"schema": {"$ref": f"#/components/schemas/{schema}"}},
        HTML: {"schema": {"type": "string"}},
    }
    return {"description": description, "content": content}


def errors(*statuses: int) -> dict[str, Any]:
    """References to the error responses of a path."""
    return {str(status): {"$ref": f"#/components/responses/e{status}"} for status in statuses}

"""The representations of each kind of resource: one table for negotiation, links and the API document."""

from __future__ import annotations

from dataclasses import dataclass

JSON = "application/json"
GEOJSON = "application/geo+json"
JSONFG = "application/fg+json"
HTML = "text/html"
SCHEMA = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
ASYNCAPI = "application/vnd.aai.asyncapi+json;version=3.0.0"
MERGE_PATCH = "application/merge-patch+json"
FLATGEOBUF = "application/flatgeobuf"
CSV = "text/csv"
#: The GeoJSON profiles (OGC 21-045r1, clause 14): an id, a URI, or a safe CURIE names one.
PROFILES = ("rfc7946", "jsonfg")
PROFILE = "http://www.opengis.net/def/profile/OGC/0/"


@dataclass(frozen=True, slots=True, eq=False)
class Representation:
    """One form of a resource. ``names`` are its values of ``f``, the first is the one in links;
    ``takes`` are the media types that ask for it in Accept, ``media`` is what it is sent as.

    Each is one object, so that offers are found by identity, which hashes in no time."""

    names: tuple[str, ...]
    media: str
    takes: tuple[str, ...]
    title: tuple[str, str]

    @property
    def name(self) -> str:
        """Its name in code and links."""
        return self.names[0]


_JSON = Representation(
    ("json", "geojson"),
    JSON,
    (JSON, GEOJSON, SCHEMA, "application/vnd.oai.openapi+json", "application/openapi+json"),
    ("JSON", "JSON"),
)
_HTML = Representation(("html",), HTML, (HTML, "application/xhtml+xml"), ("HTML", "网页"))
_GEOJSON = Representation(("json", "geojson"), GEOJSON, (GEOJSON, JSON), ("GeoJSON", "GeoJSON"))
_JSONFG = Representation(
    # the vendor type is that of the drafts (OGC 21-045r1, clause 16)
    ("jsonfg", "fgjson"),
    JSONFG,
    (JSONFG, "application/vnd.ogc.fg+json"),
    ("JSON-FG", "JSON-FG"),
)
_FLATGEOBUF = Representation(
    ("flatgeobuf", "fgb"), FLATGEOBUF, (FLATGEOBUF, "application/x-flatgeobuf"), ("FlatGeobuf", "FlatGeobuf")
)
_CSV = Representation(("csv",), CSV, (CSV,), ("CSV", "CSV"))

type Offer = tuple[Representation, ...]
#: What each kind of resource has, the default first.
DOCUMENT: Offer = (_JSON, _HTML)
FEATURE: Offer = (_GEOJSON, _HTML, _JSONFG)
PAGE: Offer = (_GEOJSON, _HTML, _JSONFG, _FLATGEOBUF, _CSV)


def find(offer: Offer, f: str) -> Representation | None:
    """The representation that a value of ``f`` names: a name, or a media type as links have them, with
    its plus sign escaped or read as a space."""
    media = f.replace(" ", "+")
    return next((one for one in offer if f in one.names or media in one.takes), None)


def names(offer: Offer) -> list[str]:
    """Every value of ``f`` that the offer has, media types apart."""
    return [name for one in offer for name in one.names]

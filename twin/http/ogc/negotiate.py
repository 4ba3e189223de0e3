"""Which representation and language a client gets: ``f``, Accept, Accept-Language.

``f`` wins over Accept (OGC API Features Part 1, recommendation 3 leaves it to the server).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from layers.errors import BadParameter, shown
from twin.http.errors import NotAcceptable
from twin.http.respond import Scope, header

JSON = "application/json"
GEOJSON = "application/geo+json"
HTML = "text/html"
SCHEMA = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
MERGE_PATCH = "application/merge-patch+json"

#: Values of ``f``; a media type is taken as well, because some clients paste what a link says.
NAMES: Mapping[str, str] = {
    "json": "json",
    "geojson": "json",
    "html": "html",
    JSON: "json",
    GEOJSON: "json",
    HTML: "html",
}
_JSON_LIKE = frozenset(
    {
        JSON,
        GEOJSON,
        SCHEMA,
        "application/vnd.oai.openapi+json",
        "application/openapi+json",
        "application/*",
        "*/*",
    }
)
_HTML_LIKE = frozenset({HTML, "application/xhtml+xml", "text/*"})


def representation(scope: Scope, f: str | None) -> str:
    """``json`` or ``html``. Raises BadParameter for an unknown ``f``, NotAcceptable for Accept."""
    if f is not None:
        chosen = NAMES.get(f)
        if chosen is None:
            raise BadParameter("f", f, "json, geojson or html")
        return chosen
    accept = header(scope, b"accept")
    if not accept or accept == "*/*":
        return "json"
    return _best(accept)


def _best(accept: str) -> str:
    for media, weight in weighted(accept):
        if weight <= 0:
            continue
        if media in _JSON_LIKE:
            return "json"
        if media in _HTML_LIKE:
            return "html"
    raise NotAcceptable(
        f"Accept: {shown(accept)}: none can be given here; offered: {JSON}, {GEOJSON}, {HTML}"
    )


def weighted(value: str) -> list[tuple[str, float]]:
    """The entries of an Accept-like header, best first (RFC 9110 section 12.4.2), without parameters."""
    found: list[tuple[str, float]] = []
    for part in value.lower().split(",")[:40]:
        name, *params = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for param in params:
            if param.startswith("q="):
                weight = _weight(param[2:])
        if name:
            found.append((name, weight))
    return sorted(found, key=lambda entry: -entry[1])


def _weight(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0


def language(scope: Scope, offered: Sequence[str]) -> str:
    """The best of the city's languages for Accept-Language; the city's first without a match."""
    given = header(scope, b"accept-language")
    if given:
        for tag, weight in weighted(given):
            if weight <= 0:
                continue
            for candidate in offered:
                if candidate.lower() == tag or candidate.lower().split("-")[0] == tag.split("-")[0]:
                    return candidate
    return offered[0]


def text(titles: Mapping[str, str], lang: str, fallback: str = "") -> str:
    """A title in a language, else in English, else in any language there is, else the fallback."""
    return titles.get(lang) or titles.get("en") or next(iter(titles.values()), "") or fallback

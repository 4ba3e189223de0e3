"""What a document handler knows of its request, and the links it writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layers.model import Layer
from twin.http.formats import HTML, JSON
from twin.http.negotiate import text

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

type Link = dict[str, Any]
REL = "http://www.opengis.net/def/rel/ogc/1.0"


@dataclass(frozen=True, slots=True)
class Context:
    """The city, what the caller sees of it, where the OGC API begins (``https://host/ogc``), the language and
    the path asked for below it."""

    city: City
    view: View
    base: str
    lang: str
    path: str
    #: What could not be read for the document, which is not kept then.
    lacks: list[str] = field(default_factory=list)

    @property
    def root(self) -> str:
        """Where the server begins (``https://host``)."""
        return self.base.removesuffix("/ogc")

    def title(self, layer: Layer) -> str:
        """A layer's title in the language of the request, else its id."""
        return text(layer.title, self.lang, layer.id)

    def self_links(self, media: str = JSON) -> list[Link]:
        """The document itself as JSON and as HTML."""
        here = f"{self.base}{self.path}"
        return [
            link("self", f"{here}?f=json", media, self.say("This document as JSON", "本文档（JSON）")),
            link("alternate", f"{here}?f=html", HTML, self.say("This document as HTML", "本文档（网页）")),
        ]

    def say(self, en: str, zh: str) -> str:
        """A phrase of this server in the language of the request."""
        return zh if self.lang == "zh-CN" else en


def link(rel: str, href: str, media: str, title: str, **more: object) -> Link:
    """A link object (OGC API Common Part 1, clause 8)."""
    return {"rel": rel, "type": media, "title": title, "href": href, **more}


def link_header(links: list[Link]) -> bytes:
    """The same links as a Link header (RFC 8288), without titles, which may not be ASCII."""
    return ", ".join(f'<{one["href"]}>; rel="{one["rel"]}"; type="{one["type"]}"' for one in links).encode(
        "ascii", "ignore"
    )

"""The links of pages and features: addresses that repeat the request, in another form or further on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import quote, urlencode

import orjson

from twin.http.context import Link, link, link_header
from twin.http.formats import GEOJSON, JSON, PROFILE, Offer, Representation

type Pairs = list[tuple[str, str]]
#: Bytes of a Link header that leave room for the other headers.
LONGEST = 2048
#: Parameters that say where a page begins; a ``next`` link has a cursor in their place.
PLACE = frozenset({"offset", "after"})
_PLAIN = re.compile(rb"(?:[A-Za-z0-9._~!$&()*+,;=:@/-]|%[0-9A-Fa-f]{2})+")


def encoded(pairs: Sequence[tuple[str, str]]) -> str:
    """Parameters as a query string. Commas, colons and slashes stay readable, as RFC 3986 allows."""
    return urlencode(pairs, quote_via=quote, safe=",:/") if pairs else ""


def repeated(raw: bytes, pairs: Pairs) -> str:
    """The parameters of a request as a query string: its own ``raw`` one where nothing was taken out of
    it and it has only characters of RFC 3986, which is cheaper than writing it anew."""
    if _PLAIN.fullmatch(raw) and raw.count(b"&") + 1 == len(pairs):
        return raw.decode("ascii")
    return encoded(pairs)


def href(here: str, *queries: str) -> str:
    """An address with those of the query strings that are not empty."""
    query = "&".join(filter(None, queries))
    return f"{here}?{query}" if query else here


def form(f: str | None, profile: str | None = None) -> str:
    """The parameters that choose a form, as a query string."""
    pairs = [("profile", profile)] if profile else []
    return encoded([*pairs, ("f", f)] if f else pairs)


def of_page(
    here: str, query: str, pairs: Pairs, offer: Offer, own: Representation, requested: str, after: str | None
) -> list[Link]:
    """self, alternate, collection and, where more follows ``after``, next.

    ``here`` is the address of the items, ``query`` its parameters as a query string, ``requested`` the form
    as the client asked for it."""
    links = _of(here, query, offer, own, requested)
    links.append(link("collection", here[: -len("/items")], JSON, "The layer"))
    if after is not None:
        begun = any(name in PLACE for name, _ in pairs)
        following = (
            next_href(here, pairs, requested, after)
            if begun
            else href(here, query, f"after={after}", requested)
        )
        links.append(link("next", following, own.media, "The next page"))
    return links


def of_feature(here: str, query: str, offer: Offer, own: Representation, requested: str) -> list[Link]:
    """self, alternate and collection of one feature at ``here``."""
    links = _of(here, query, offer, own, requested)
    links.append(link("collection", here.rsplit("/items/", 1)[0], JSON, "The layer"))
    return links


def of_plain_feature(
    items: str, fid: int, offer: Offer, more: Callable[[str], list[Link]], query: str = "", layer: str = ""
) -> tuple[bytes, bytes]:
    """The links of a feature asked for without parameters, as JSON and as a Link header; ``more`` gives those
    of its address beside the ones of every feature. Of one that was, ``query`` is the request's ``at``, and
    ``layer`` the address of its layer then.

    ``items`` is the address of the layer's features. The links differ in the id alone, so they are made
    once a layer: making them costs as much as the feature's own query."""
    body, header = _plain(items, offer, more, query, layer)
    number = b"%d" % fid
    return body.replace(_FID, number), header.replace(_FID, number)


#: Stands for the id; no address has a brace.
_FID = b"{fid}"


@lru_cache(maxsize=256)
def _plain(
    items: str, offer: Offer, more: Callable[[str], list[Link]], query: str, layer: str
) -> tuple[bytes, bytes]:
    here = f"{items}/{_FID.decode()}"
    own = of_feature(here, query, offer, offer[0], "")
    if layer:
        own[-1]["href"] = layer
    links = [*own, *more(here)]
    return orjson.dumps(links), link_header(links)


def of_header(links: list[Link]) -> bytes:
    """The links of a page as a header. A long filter stands in each of them, and proxies refuse long
    headers (nginx takes 4 kB in all), so beyond a length only ``next`` is told."""
    whole = link_header(links)
    return whole if len(whole) <= LONGEST else link_header([one for one in links if one["rel"] == "next"])


def profiled(profile: str | None) -> list[Link]:
    """The link to the GeoJSON profile that was asked for (OGC 23-058r2, clause 13)."""
    if profile is None:
        return []
    return [link("profile", PROFILE + profile, GEOJSON, f"The profile {profile}")]


def next_href(here: str, pairs: Pairs, requested: str, after: str) -> str:
    """The keyset cursor replaces the offset: a page deep in a layer costs what the first one costs.

    A cursor is a number or base64url, which needs no escape."""
    remaining = [pair for pair in pairs if pair[0] not in PLACE]
    return href(here, encoded(remaining), f"after={after}", requested)


def _of(here: str, query: str, offer: Offer, own: Representation, requested: str) -> list[Link]:
    links = [link("self", href(here, query, requested), own.media, f"This as {own.title[0]}")]
    for other in offer:
        if other is not own:
            address = href(here, query, f"f={other.name}")
            links.append(link("alternate", address, other.media, f"This as {other.title[0]}"))
    return links

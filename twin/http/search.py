"""``/search?q=&limit=``: addresses, names of features, coordinates."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import orjson

from layers.errors import BadParameter, Busy, NotFound
from layers.types import Bbox
from twin.access.caller import CALLER
from twin.catalogue.search_index import Entry, Index
from twin.http import answers, respond
from twin.http.errors import WrongMethod
from twin.http.page_config import union
from twin.http.respond import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

DEFAULT, MOST = 10, 50
LONGEST = 200
TURN_SECONDS = 10.0
_PAIR = re.compile(
    r"^\s*([+-]?\d{1,3}(?:\.\d+)?)\s*°?\s*([NSEW北南东西])?(?:\s*[,;，；]\s*|\s+)"
    r"([+-]?\d{1,3}(?:\.\d+)?)\s*°?\s*([NSEW北南东西])?\s*$",
    re.IGNORECASE,
)
_LATITUDE, _NEGATIVE = frozenset("NS北南"), frozenset("SW南西")


def make(city: City) -> ASGIApp:
    """The ASGI callable at /search."""
    # one a class of rights: what is hidden from it is not in it
    indexes: dict[str, Index] = {}
    # an index answers one at a time, and the first search makes it: who waits must not hold a thread
    turn = asyncio.Lock()

    async def find(view: View, text: str, limit: int) -> list[dict[str, Any]]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turn.acquire()
        except TimeoutError as error:
            raise Busy("the index of the search is being made; try again soon") from error
        try:
            index = indexes.setdefault(view.rights, Index(view))
            return await city.aside(_found, view, index, text, limit)
        finally:
            turn.release()

    async def search(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/search":
            raise NotFound("the search is at /search")
        if scope["method"] not in ("GET", "HEAD"):
            raise WrongMethod(scope["method"], "GET, HEAD")
        asked = respond.query_map(scope, ("q", "limit"))
        text, limit = _text(asked), _limit(asked)
        found = await find(city.catalogue.of(scope[CALLER]), text, limit)
        body = {"type": "FeatureCollection", "numberReturned": len(found[:limit]), "features": found[:limit]}
        await answers.give(
            scope,
            send,
            (orjson.dumps(body),),
            [(b"content-type", b"application/geo+json"), (b"vary", b"Accept-Encoding")],
        )

    return search


def _found(view: View, index: Index, text: str, limit: int) -> list[dict[str, Any]]:
    """The place that a text names by its coordinates, else the features found by words."""
    if _PAIR.match(text):
        extent = union(layer.extent for layer in view.layers())
        places = [_coordinate(pair) for pair in coordinates(text, extent)]
        if places:
            return places
    return [_feature(entry, score) for entry, score in index.search(text, limit)]


def coordinates(text: str, extent: Bbox | None) -> list[tuple[float, float]]:
    """(lon, lat) that a text names, best reading first; empty when it names none.

    Without a letter for the hemisphere both orders are tried: the one that lies in the city
    wins, else latitude first, as people write it."""
    found = _PAIR.match(text)
    if found is None or "." not in text:
        return []
    one, two = float(found[1]), float(found[3])
    mark_one, mark_two = (found[2] or "").upper(), (found[4] or "").upper()
    if mark_one or mark_two:
        one = -abs(one) if mark_one in _NEGATIVE else one
        two = -abs(two) if mark_two in _NEGATIVE else two
        lat_first = mark_one in _LATITUDE if mark_one else mark_two not in _LATITUDE
        pairs = [(two, one) if lat_first else (one, two)]
    else:
        pairs = [(two, one), (one, two)]
    pairs = [(lon, lat) for lon, lat in pairs if abs(lon) <= 180 and abs(lat) <= 90]
    inside = [pair for pair in pairs if extent is not None and _within(pair, extent)]
    return (inside or pairs)[:1]


def _within(pair: tuple[float, float], extent: Bbox) -> bool:
    west, south, east, north = extent
    return west - 1 <= pair[0] <= east + 1 and south - 1 <= pair[1] <= north + 1


def _text(asked: dict[str, str]) -> str:
    text = asked.get("q", "").strip()
    if not text or len(text) > LONGEST:
        raise BadParameter("q", text, f"required: 1 to {LONGEST} characters")
    return text


def _limit(asked: dict[str, str]) -> int:
    given = asked.get("limit")
    if given is None:
        return DEFAULT
    if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given) > 0):
        raise BadParameter("limit", given, f"a whole number from 1; more than {MOST} gives {MOST}")
    return min(int(given), MOST)


def _coordinate(pair: tuple[float, float]) -> dict[str, Any]:
    lon, lat = pair
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "properties": {
            "title": f"{lat:.6f}, {lon:.6f}",
            "layer": None,
            "fid": None,
            "kind": "coordinate",
            "score": 1.0,
        },
    }


def _feature(entry: Entry, score: float) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": f"{entry.layer}/{entry.fid}",
        "bbox": list(entry.bbox),
        "geometry": {"type": "Point", "coordinates": [entry.lon, entry.lat]},
        "properties": {
            "title": entry.title,
            "layer": entry.layer,
            "fid": entry.fid,
            "kind": entry.kind,
            "score": score,
        },
    }

"""``/search?q=&limit=``: addresses, names of features, coordinates."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from layers.errors import Busy
from layers.parameters import AT, Parameter
from layers.types import Bbox
from twin.catalogue.past_search import PastSearch
from twin.catalogue.pasts import Pasts
from twin.catalogue.search_index import SearchEntry, SearchIndex
from twin.http import answers, past, respond
from twin.http.context import Context, Link, link
from twin.http.formats import GEOJSON
from twin.http.openapi_parts import get, ok
from twin.http.page_config import union
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

DEFAULT, MOST = 10, 50
LONGEST = 200
#: Moments of which an index of what has changed since is kept.
MOST_PAST = 4
TURN_SECONDS = 10.0
_PAIR = re.compile(
    r"^\s*([+-]?\d{1,3}(?:\.\d+)?)\s*°?\s*([NSEW北南东西])?(?:\s*[,;，；]\s*|\s+)"
    r"([+-]?\d{1,3}(?:\.\d+)?)\s*°?\s*([NSEW北南东西])?\s*$",
    re.IGNORECASE,
)
_LATITUDE, _NEGATIVE = frozenset("NS北南"), frozenset("SW南西")


def _text(text: str) -> str:
    if not text.strip() or len(text.strip()) > LONGEST:
        raise ValueError(f"required: 1 to {LONGEST} characters")
    return text.strip()


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise ValueError(f"a whole number from 1; more than {MOST} gives {MOST}")
    return min(int(text), MOST)


PARAMETERS: dict[str, Parameter] = {
    one.name: one
    for one in (
        Parameter(
            "q",
            "An address, words of a name, or coordinates.",
            {"type": "string", "minLength": 1, "maxLength": LONGEST},
            _text,
        ),
        Parameter(
            "limit",
            f"How many places at most; more than {MOST} counts as {MOST}.",
            {"type": "integer", "minimum": 1, "default": DEFAULT},
            _limit,
        ),
    )
}


def make(site: Site) -> Sequence[Room]:
    """The search."""
    route = Route("/search", {"GET": Search(site.city).answer}, _describe, past="fresh")
    return (Room("search", ("Search", "搜索"), (route,), _links),)


def _links(context: Context) -> list[Link]:
    title = context.say("Addresses, names of features, coordinates", "地址、要素名称、坐标")
    return [link("search", f"{context.root}/search?q={{q}}", GEOJSON, title, templated=True)]


def _describe(context: Context) -> dict[str, Any]:
    summary = context.say("Addresses, features by name, and coordinates", "按地址、名称或坐标查找")
    parameters = [one.openapi() for one in PARAMETERS.values()]
    parameters[0]["required"] = True
    return {"get": get("search", "search", summary, ok(summary, {GEOJSON: "featureCollection"}), parameters)}


class Search:
    """Answers searches from an index, which the first of them makes."""

    def __init__(self, city: City) -> None:
        self._city = city
        # one a class of rights: what is hidden from it is not in it
        self._indexes: dict[str, SearchIndex] = {}
        self._past: Pasts[PastSearch] = Pasts(MOST_PAST)
        # an index answers one at a time: who waits must not hold a thread
        self._turn, self._past_turn = asyncio.Lock(), asyncio.Lock()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One search. Raises BadParameter, Busy."""
        parameters = respond.query_values(scope, PARAMETERS | {AT.name: AT})
        text, limit = parameters.get("q") or PARAMETERS["q"].read(""), parameters.get("limit", DEFAULT)
        results = (await self._find(past.view(self._city, scope), text, limit))[:limit]
        body = {"type": "FeatureCollection", "numberReturned": len(results), "features": results}
        await answers.give_json(scope, send, body, media=answers.GEOJSON)

    async def _find(self, view: View, text: str, limit: int) -> list[dict[str, Any]]:
        # what was may take long to be made, and nobody who asks for what is waits for that
        turn = self._turn if view.moment is None else self._past_turn
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turn.acquire()
        except TimeoutError as error:
            raise Busy("the index of the search is being made; try again soon") from error
        try:
            return await self._city.aside(_hits, view, self._index(view), text, limit)
        finally:
            turn.release()

    def _index(self, view: View) -> SearchIndex | PastSearch:
        now = self._indexes.setdefault(view.rights, SearchIndex(view.present))
        if view.moment is None:
            return now
        return self._past.of((view.epoch, view.rights, view.moment.seq), lambda: PastSearch(view, now))


def _hits(view: View, index: SearchIndex | PastSearch, text: str, limit: int) -> list[dict[str, Any]]:
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
    match = _PAIR.match(text)
    if match is None or "." not in text:
        return []
    one, two = float(match[1]), float(match[3])
    mark_one, mark_two = (match[2] or "").upper(), (match[4] or "").upper()
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


def _feature(entry: SearchEntry, score: float) -> dict[str, Any]:
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

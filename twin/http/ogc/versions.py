"""What a feature was: its versions, as JSON and as a TimeMap, and the one that was at an instant (RFC 7089).

A version is a memento: the feature as of the change set that made it. Everybody who sees the layer is told
when and through what it changed; by whom and why, callers who may edit, since that names people."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from layers import instants
from layers.errors import BadParameter, Gone, NotFound
from layers.model import Moment, Version
from layers.parameters import Parameter, between
from twin.access.caller import CALLER
from twin.http import answers, negotiate, past, readable, respond
from twin.http.context import Context, Link, link, link_header
from twin.http.formats import DOCUMENT, GEOJSON, HTML, JSON, Offer, Representation
from twin.http.ogc import change_forms, links
from twin.http.ogc.ids import feature_id
from twin.http.openapi_parts import TEXT, answer, array_of, form, get, object_of, path_parameter, reference
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site

if TYPE_CHECKING:
    from layers.model import FeatureLayer
    from twin.catalogue.view import View
    from twin.city import City

LINK_FORMAT = "application/link-format"
MOST = 1000
DEFAULT = 100
_LINKS = Representation(("link-format", "timemap"), LINK_FORMAT, (LINK_FORMAT,), ("a TimeMap", "TimeMap"))
OFFER: Offer = (*DOCUMENT, _LINKS)
VARY = (b"vary", b"Accept, Accept-Encoding, Accept-Datetime")
#: An HTTP date has whole seconds; a change of the same second is not after it.
_SECOND = timedelta(milliseconds=999)
PARAMETERS = {
    one.name: one
    for one in (
        Parameter(
            "limit",
            "How many versions at most, the newest first.",
            {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT},
            between(1, MOST),
        ),
        Parameter(
            "before",
            "Only versions that began before this change; `next` links carry it.",
            {"type": "integer", "format": "int64", "minimum": 0},
            between(0, 2**63 - 1),
        ),
    )
}
_WHOLE = {"type": "integer", "format": "int64"}
_TIME = {"type": "string", "format": "date-time"}
_SET = object_of(
    {
        "id": _WHOLE,
        "first": _WHOLE,
        "last": _WHOLE,
        "at": _TIME,
        "via": TEXT,
        "actor": TEXT | {"nullable": True},
        "message": TEXT,
        "undone": _WHOLE,
    },
    "id first last at via",
)
_VERSION = object_of(
    {
        "since": _WHOLE,
        "until": _WHOLE | {"nullable": True},
        "at": _TIME | {"nullable": True},
        "there": {"type": "boolean"},
        "set": _SET | {"nullable": True},
        "links": array_of(reference("link")),
    },
    "since until at there set links",
)
_VERSIONS = object_of(
    {"layer": TEXT, "feature": _WHOLE, "versions": array_of(_VERSION), "links": array_of(reference("link"))},
    "layer feature versions links",
)


def room(site: Site) -> Room:
    """The route of a feature's versions."""
    city = site.city

    async def versions(scope: Scope, receive: Receive, send: Send, layer_id: str, text: str) -> None:
        table = PARAMETERS | {"f": Parameter("f", "", {}, str)}
        given = respond.query_values(scope, table)
        own = negotiate.representation(scope, given.get("f"), OFFER)
        fid, limit = feature_id(layer_id, text), given.get("limit", DEFAULT)
        view, before = city.catalogue.of(scope[CALLER]), given.get("before")
        # one more tells whether there is a next page
        found, kept = await city.aside(_versions, view, layer_id, fid, before, limit + 1)
        here = f"{respond.base_url(city, scope)}{scope['path'].removesuffix('/versions')}"
        page = _Page(here, found, kept, limit, before)
        await _give(city, scope, send, own, page, layer_id, fid, "edit" in scope[CALLER].may)

    path = "/ogc/collections/{layer}/items/{feature}/versions"
    return Room(
        "versions",
        ("Versions of features", "要素的版本"),
        (Route(path, {"GET": versions}, describe_all=_paths),),
        schemas=lambda context: {"versions": _VERSIONS},
    )


def _versions(
    view: View, layer_id: str, fid: int, before: int | None, limit: int
) -> tuple[list[Version], Moment]:
    """Raises NotFound."""
    view.feature_layer(layer_id)
    return view.versions(layer_id, fid, before=before, limit=limit), view.kept(layer_id)


class _Page:
    """Up to ``limit`` of the versions of the feature at an address, newest first, of those that began before
    a change; and where the next begin, when there are more."""

    def __init__(
        self, here: str, versions: list[Version], kept: Moment, limit: int, before: int | None
    ) -> None:
        self.here, self.versions = here, versions[:limit]
        self._kept, self._before = kept, before
        self._limit = "" if limit == DEFAULT else f"limit={limit}"
        self._following = self.versions[-1].since if len(versions) > limit else None

    def memento(self, version: Version, newer: int | None) -> tuple[str, str] | None:
        """The address and the instant of a version; None of one that no moment shows: the feature was not
        there, or changed again in the same change set."""
        if not version.there:
            return None
        if version.set is None or version.at is None:
            return past.with_at(self.here, self._kept.name), self._kept.at
        if newer is not None and newer <= version.set.last:
            return None
        return past.with_at(self.here, f"@{version.set.last}"), version.at

    def mementos(self) -> list[tuple[Version, tuple[str, str] | None]]:
        """The versions, each with what :meth:`memento` says."""
        newer = [self._before, *(one.since for one in self.versions)]
        return [(one, self.memento(one, two)) for one, two in zip(self.versions, newer, strict=False)]

    def next_href(self, f: str) -> str | None:
        """Where older versions are."""
        if self._following is None:
            return None
        return links.href(f"{self.here}/versions", self._limit, f"before={self._following}", f"f={f}")

    def href(self, f: str) -> str:
        """This page, in a form."""
        before = "" if self._before is None else f"before={self._before}"
        return links.href(f"{self.here}/versions", self._limit, before, f"f={f}")


async def _give(
    city: City,
    scope: Scope,
    send: Send,
    own: Representation,
    page: _Page,
    layer_id: str,
    fid: int,
    named: bool,
) -> None:
    if own is _LINKS:
        headers: Headers = [(b"content-type", LINK_FORMAT.encode()), answers.VARY]
        await answers.give(scope, send, (_timemap(page).encode(),), headers)
        return
    own_links = _links(page, own)
    document = {
        "layer": layer_id,
        "feature": fid,
        "versions": [_version(one, memento, named) for one, memento in page.mementos()],
        "links": own_links,
    }
    # what is told of people is kept by nobody
    keep: Headers = [answers.UNKEPT] if named else []
    if own.media == HTML:
        title = (f"Versions of {layer_id} {fid}", f"{layer_id} {fid} 的版本")
        await readable.give(city, scope, send, title, document, page.href("json"), own_links, keep)
        return
    await answers.give_json(scope, send, document, keep, vary=answers.VARY)


def _version(version: Version, memento: tuple[str, str] | None, named: bool) -> dict[str, Any]:
    own = [] if memento is None else [link("memento", memento[0], GEOJSON, "The feature as it was")]
    return {
        "since": version.since,
        "until": version.until,
        "at": version.at,
        "there": version.there,
        "set": None if version.set is None else change_forms.told(version.set, named),
        "links": own,
    }


def _links(page: _Page, own: Representation) -> list[Link]:
    result = [link("self", page.href(own.name), own.media, f"This as {own.title[0]}")]
    for other in OFFER:
        if other is not own:
            rel = "timemap" if other is _LINKS else "alternate"
            result.append(link(rel, page.href(other.name), other.media, f"This as {other.title[0]}"))
    result.append(link("original", page.here, GEOJSON, "The feature"))
    if following := page.next_href(own.name):
        result.append(link("next", following, own.media, "Older versions"))
    return result


def _timemap(page: _Page) -> str:
    """The TimeMap of these versions (RFC 7089, section 5), the newest first."""
    known = [memento for _, memento in page.mementos() if memento is not None]
    entries = [f'<{page.here}>;rel="original timegate"']
    ends = f';from="{past.http_date(known[-1][1])}";until="{past.http_date(known[0][1])}"' if known else ""
    entries.append(f'<{page.href(_LINKS.name)}>;rel="self";type="{LINK_FORMAT}"{ends}')
    following = page.next_href(_LINKS.name)
    if following is not None:
        entries.append(f'<{following}>;rel="timemap";type="{LINK_FORMAT}"')
    for number, (href, at) in enumerate(known):
        first = "first " if number == len(known) - 1 and following is None else ""
        entries.append(f'<{href}>;rel="{first}memento";datetime="{past.http_date(at)}"')
    return ",\n".join(entries) + "\n"


# -- negotiation in time ------------------------------------------------------------------------


def feature_links(here: str) -> list[Link]:
    """Of a feature at ``here``: its versions, and that it is its own TimeGate."""
    return [
        link("version-history", f"{here}/versions", JSON, "Its versions"),
        link("timegate", here, GEOJSON, "The feature, at Accept-Datetime"),
        link("timemap", f"{here}/versions?f={_LINKS.name}", LINK_FORMAT, "Its versions as a TimeMap"),
    ]


async def redirect(city: City, scope: Scope, send: Send, view: View, fid: int, layer_id: str) -> None:
    """Answer a request with Accept-Datetime: 302 to the feature as it was (RFC 7089, pattern 1.1).

    Before the first version it is that, after the last change the newest. Raises BadParameter, NotFound
    where the feature was not there."""
    instant = _http_date(respond.header(scope, b"accept-datetime") or "")
    seq = await city.aside(_memento_at, view, layer_id, fid, instant)
    here = f"{respond.base_url(city, scope)}{scope['path']}"
    query = scope["query_string"].decode("ascii", "ignore")
    headers: Headers = [
        (b"location", past.with_at(f"{here}?{query}" if query else here, f"@{seq}").encode()),
        (b"link", link_header([link("original", here, GEOJSON, ""), *feature_links(here)])),
        VARY,
        answers.FRESH,
    ]
    await answers.send(send, 302, b"", headers)


def _memento_at(view: View, layer_id: str, fid: int, instant: datetime) -> int:
    """The number of the change after which a feature is as it was at an instant."""
    view.feature_layer(layer_id)
    then = 0
    with contextlib.suppress(Gone, NotFound):
        moment = view.which(instants.utc(min(instant, datetime.now(UTC))))
        then = moment.seq
        return _shown(view, layer_id, view.at(moment).revision(layer_id, fid))
    # it was not there, or it is not known whether it was: the earliest there is, if that came later
    first = _first(view, layer_id, fid)
    if first.since <= then:
        raise NotFound(f"layer {layer_id} had no feature {fid} then")
    return view.kept(layer_id).seq if first.set is None else first.set.last


def _shown(view: View, layer_id: str, seq: int) -> int:
    """The moment that shows a change, or the earliest one that shows its outcome."""
    try:
        return view.which(f"@{seq}").seq
    except Gone:
        return view.kept(layer_id).seq


def _first(view: View, layer_id: str, fid: int) -> Version:
    """The earliest version of a feature that is kept. Raises NotFound."""
    earliest = view.earliest(layer_id, fid)
    if earliest is None:
        raise NotFound(f"layer {layer_id} has no feature {fid}")
    return earliest


def _http_date(text: str) -> datetime:
    """The last instant of the second that an HTTP date names (RFC 9110, section 5.6.7). Raises
    BadParameter."""
    try:
        if not text.strip().endswith("GMT"):
            raise ValueError
        return parsedate_to_datetime(text).replace(tzinfo=UTC) + _SECOND
    except (ValueError, TypeError, OverflowError):
        allowed = "an HTTP date, as Sun, 29 Nov 2026 12:00:00 GMT"
        raise BadParameter("Accept-Datetime", text, allowed) from None


def _paths(context: Context) -> Paths:
    return {
        f"/ogc/collections/{layer.id}/items/{{featureId}}/versions": _path(context, layer)
        for layer in context.view.feature_layers()
    }


def _path(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    summary = context.say("What the feature was, and when it changed", "要素的历史版本")
    done = answer(summary, {JSON: "versions", LINK_FORMAT: TEXT})
    given = [*(one.openapi() for one in PARAMETERS.values()), form(OFFER)]
    return {
        "parameters": [path_parameter("featureId", _WHOLE, context.say("The feature's id", "要素标识"))],
        "get": get(f"{layer.id}.getVersions", layer.id, summary, done, given),
    }

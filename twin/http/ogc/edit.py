"""Changing features: POST, PUT, PATCH, DELETE, and which of them who may use.

Follows OGC API Features Part 4 (OGC 20-002r1) with RFC 7396 merge patches and the feature's revision
as ETag. Clients differ: some send no If-Match, or Content-Crs without its angle brackets; both are
taken. Everything that needs the store happens in one call in a writer thread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from layers import crs as crs_
from layers import query as queries
from layers.errors import BadBody, BadFile, BadParameter, Stale, Unconditional, shown
from layers.model import Author, FeatureLayer
from layers.types import CRS84, EditKind
from twin.access.caller import CALLER
from twin.http import answers, etags, respond
from twin.http.author import author
from twin.http.errors import WrongMethod
from twin.http.formats import GEOJSON, MERGE_PATCH
from twin.http.ogc.ids import feature_id
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import allowed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from twin.catalogue.view import View
    from twin.city import City

MAX_BODY = 1_048_576
#: The methods that do it, of the features of a layer and of one feature.
ON_ITEMS: Mapping[EditKind, Collection[str]] = {"create": ("POST",)}
ON_ITEM: Mapping[EditKind, Collection[str]] = {"update": ("PUT", "PATCH"), "delete": ("DELETE",)}
KINDS: Mapping[str, EditKind] = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
#: The media type that the body of each method has; DELETE has none.
TAKES = {"POST": GEOJSON, "PUT": GEOJSON, "PATCH": MERGE_PATCH}
#: How far a position may be from where it comes back to after a transformation and its inverse.
_SAME_METRES, _SAME_DEGREES = 0.01, 1e-7


@dataclass(frozen=True, slots=True)
class EditRequest:
    """A write as its request says it: nothing is looked up in the store."""

    view: View
    method: str
    layer_id: str
    fid: int | None
    body: dict[str, Any]
    content_crs: str | None
    if_match: str | None
    if_none_match: str | None
    by: Author


class Edit:
    """``POST`` on ``/ogc/collections/{id}/items``, and ``PUT``, ``PATCH``, ``DELETE`` on one feature."""

    def __init__(self, city: City) -> None:
        self._city = city

    async def create(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """A new feature: 201 with its address and ETag."""
        change = await self._read(scope, receive, layer_id, None)
        fid, revision = await self._city.write(self._create, change)
        here = f"{respond.base_url(self._city, scope)}/ogc/collections/{layer_id}/items/{fid}"
        headers: Headers = [(b"location", here.encode()), _etag(change.view, revision)]
        await answers.send(send, 201, b"", headers)

    async def change(self, scope: Scope, receive: Receive, send: Send, layer_id: str, text: str) -> None:
        """Replace, patch or delete one feature: 204, with the new ETag where the feature is still there."""
        change = await self._read(scope, receive, layer_id, text)
        revision = await self._city.write(self._change, change)
        await answers.send(
            send, 204, b"", [] if change.method == "DELETE" else [_etag(change.view, revision)]
        )

    async def allowed(
        self, scope: Scope, layer_id: str, methods: Mapping[EditKind, Collection[str]]
    ) -> Collection[str]:
        """The methods of a layer's features; asked for by OPTIONS, those that this caller may use: an editor
        shows or hides its tools by it.

        A feature's id is not looked up: clients ask for ``unknown_id`` in an empty layer."""
        view = self._city.catalogue.of(scope[CALLER])
        layer = await self._city.read(view.feature_layer, layer_id)
        may = "edit" in scope[CALLER].may and not view.read_only
        if scope["method"] == "OPTIONS" and not may:
            return ("GET",)
        return _methods(layer, methods)

    async def _read(self, scope: Scope, receive: Receive, layer_id: str, text: str | None) -> EditRequest:
        by = author(self._city, scope)
        respond.query_map(scope, ())
        fid = None if text is None else feature_id(layer_id, text)
        method = scope["method"]
        body: dict[str, Any] = {}
        if method in TAKES:
            sent = await respond.json_body(scope, receive, MAX_BODY, TAKES[method])
            body = checked(sent, fid, whole=method != "PATCH")
        conditions = b"content-crs", b"if-match", b"if-none-match"
        crs, if_match, if_none_match = (respond.header(scope, name) for name in conditions)
        view = self._city.catalogue.of(scope[CALLER])
        return EditRequest(view, method, layer_id, fid, body, crs, if_match, if_none_match, by)

    def _create(self, change: EditRequest) -> tuple[int, int]:
        layer = change.view.feature_layer(change.layer_id)
        _editable(layer, change, ON_ITEMS)
        feature = to_lonlat(change.body, layer, change.content_crs)
        return change.view.create(change.layer_id, feature, change.by)

    def _change(self, change: EditRequest) -> int:
        view, fid = change.view, change.fid
        layer = view.feature_layer(change.layer_id)
        assert fid is not None
        _editable(layer, change, ON_ITEM)
        if_match = self._if_match(change, layer, fid)
        self._if_none_match(change, layer, fid)
        if change.method == "DELETE":
            return view.delete(layer.id, fid, if_match, change.by)
        body = change.body
        if change.method == "PATCH" and _is_part(body.get("geometry")):
            body, read = self._merged(change, layer, fid)
            if_match = read if if_match is None else if_match
        feature = to_lonlat(body, layer, change.content_crs)
        call = view.replace if change.method == "PUT" else view.patch
        return call(layer.id, fid, feature, if_match, change.by)

    def _merged(self, change: EditRequest, layer: FeatureLayer, fid: int) -> tuple[dict[str, Any], int]:
        """A patch with a whole geometry, its part of one merged into the geometry that there is (RFC 7396,
        section 2) in the CRS of the request, and the revision that must still be the current one."""
        item = change.view.item(layer.id, fid, _content_crs(layer, change.content_crs))
        geometry = orjson.loads(item.body)["geometry"] or {}
        merged = geometry | change.body["geometry"]
        members = {name: value for name, value in merged.items() if value is not None}
        return change.body | {"geometry": members}, item.revision

    def _if_match(self, change: EditRequest, layer: FeatureLayer, fid: int) -> int | None:
        """The revision that If-Match names; None without a condition.

        Raises BadParameter, NotFound, Stale, and Unconditional where the layer's locking is strict."""
        revisions = etags.revisions(change.if_match, change.view.epoch)
        if revisions is None:
            if change.view.published(layer.id).strict:
                raise Unconditional(
                    f"layer {layer.id} is changed only with If-Match: the ETag of the feature"
                )
            return None
        if len(revisions) == 1:
            return next(iter(revisions))
        current = change.view.revision(layer.id, fid)
        if current not in revisions:
            raise Stale(f"feature {fid} of {layer.id} has changed: read it again; its revision is {current}")
        return current

    def _if_none_match(self, change: EditRequest, layer: FeatureLayer, fid: int) -> None:
        """Raises Stale where If-None-Match names the feature as it is (RFC 9110, section 13.1.2)."""
        if change.if_none_match is None:
            return
        current = change.view.revision(layer.id, fid)
        if etags.matches(change.if_none_match, etags.tag(change.view.epoch, current)):
            raise Stale(f"feature {fid} of {layer.id} is what If-None-Match excludes: revision {current}")


def _etag(view: View, revision: int) -> tuple[bytes, bytes]:
    return b"etag", etags.tag(view.epoch, revision).encode()


def _methods(layer: FeatureLayer, methods: Mapping[EditKind, Collection[str]]) -> list[str]:
    """The methods that the layer lets be used, whoever asks."""
    return ["GET", *(one for kind, names in methods.items() if kind in layer.edits for one in names)]


def _is_part(geometry: Any) -> bool:
    """Whether a patch gives some members of a geometry but not a whole one."""
    return isinstance(geometry, dict) and not geometry.keys() >= {"type", "coordinates"}


def _editable(layer: FeatureLayer, change: EditRequest, methods: Mapping[EditKind, Collection[str]]) -> None:
    """Raises WrongMethod: the layer is not changed so, whoever asks (RFC 9110, section 15.5.6)."""
    if KINDS[change.method] not in layer.edits:
        reason = f"layer {layer.id} is not edited so: {layer.fixed_because}"
        raise WrongMethod(change.method, allowed(_methods(layer, methods)), reason)


def checked(body: Any, fid: int | None, *, whole: bool) -> dict[str, Any]:
    """The body as a feature, or as a patch of one. Raises BadBody; the store checks the values.

    The id of a new feature is ours to give, whatever the body says (Part 4, clause 7.4)."""
    if not isinstance(body, dict):
        raise BadBody("the body must be a JSON object")
    if fid is not None and body.get("id", fid) not in (fid, str(fid)):
        raise BadBody(f"id: {shown(body['id'])} is not the feature of this address, {fid}")
    if body.get("type", "Feature") != "Feature" or (whole and "type" not in body):
        raise BadBody("type: must be Feature")
    if whole:
        missing = [name for name in ("geometry", "properties") if name not in body]
        if missing:
            raise BadBody(f"a whole feature is needed; missing: {', '.join(missing)}")
    return {name: value for name, value in body.items() if name in ("type", "geometry", "properties")}


def to_lonlat(feature: dict[str, Any], layer: FeatureLayer, header: str | None) -> dict[str, Any]:
    """The feature with its geometry in lon/lat. Raises BadParameter for a CRS the layer does not offer."""
    wanted = _content_crs(layer, header)
    if wanted == CRS84 or feature.get("geometry") is None:
        return feature
    return feature | {"geometry": _geometry_to_lonlat(feature["geometry"], wanted)}


def _content_crs(layer: FeatureLayer, header: str | None) -> str:
    """The CRS that a Content-Crs header names; CRS84 without one. Raises BadParameter for one that the
    layer does not offer."""
    if header is None:
        return CRS84
    uri = header.strip().removeprefix("<").removesuffix(">")
    try:
        return queries.parse_item(layer, [("crs", uri)])
    except BadParameter as error:
        raise BadParameter("Content-Crs", uri, "one of " + ", ".join(crs_.supported(layer))) from error


def _geometry_to_lonlat(geometry: Any, crs: str) -> Any:
    """A GeoJSON geometry in the axis order of its CRS's authority to lon/lat. Raises BadBody.

    A projection takes any number and gives some place for it, so the way back is the test."""
    import numpy as np
    import shapely

    try:
        parsed = shapely.from_geojson(orjson.dumps(geometry))
    except (shapely.GEOSException, ValueError, TypeError) as error:
        # a TypeError is orjson's for what nests too deep to be written
        raise BadBody("geometry: not a GeoJSON geometry") from error
    shape = parsed
    if crs_.swaps(crs):
        shape = shapely.transform(shape, _swapped, include_z=shape.has_z)
    try:
        lonlat = crs_.shapes_to_lonlat(_one(shape), crs)
    except BadFile as error:
        raise BadBody(f"geometry: {error.reason}") from error
    tolerance = _SAME_DEGREES if crs_.is_geographic(crs) else _SAME_METRES
    lonlat = crs_.on_its_side(lonlat, _one(parsed), crs, tolerance)
    back = shapely.get_coordinates(crs_.shapes_from_lonlat(lonlat, crs))
    if not np.allclose(back, shapely.get_coordinates(parsed), rtol=1e-9, atol=tolerance):
        raise BadBody(f"geometry: a position lies outside {crs}")
    return orjson.loads(shapely.to_geojson(lonlat[0]))


def _one(shape: Any) -> NDArray[Any]:
    import numpy as np

    array = np.empty(1, dtype=object)
    array[0] = shape
    return array


def _swapped(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    return positions[:, [1, 0, *range(2, positions.shape[1])]]

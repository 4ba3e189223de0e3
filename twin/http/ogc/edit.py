"""Changing a feature: PUT, PATCH and what OPTIONS says of them.

Follows OGC API Features Part 4 for replace and update, with RFC 7396 merge patches and the
feature's revision as ETag. Clients differ: some send no If-Match, or Content-Crs without its
angle brackets; both are taken.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from layers import crs as crs_
from layers import query as queries
from layers.errors import BadBody, BadParameter, NoKey, Stale, Unconditional, shown
from layers.model import CRS84, Layer
from twin.http import respond
from twin.http.errors import WrongMedia
from twin.http.ogc.context import strict
from twin.http.ogc.items import feature_id
from twin.http.ogc.negotiate import GEOJSON, MERGE_PATCH
from twin.http.respond import CORS, Headers, Receive, Scope, Send

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from twin.city import City

MAX_BODY = 1_048_576
READ = "GET, HEAD, OPTIONS"
_TAG = re.compile(r'^(?:W/)?"?(?:([0-9A-Za-z_]+)-)?(\d{1,18})"?$')


class Edit:
    """``PUT``, ``PATCH`` and ``OPTIONS`` on ``/ogc/collections/{id}/items/{fid}``."""

    def __init__(self, city: City) -> None:
        self._city = city

    async def change(self, scope: Scope, receive: Receive, send: Send, layer_id: str, text: str) -> None:
        """Replace or patch one feature; 204 with the new ETag."""
        city = self._city
        key = city.keys.require(scope, "edit")
        layer = city.store.layer(layer_id)
        respond.query_map(scope, ())
        fid = feature_id(layer_id, text)
        replacing = scope["method"] == "PUT"
        _check_media(scope, GEOJSON if replacing else MERGE_PATCH)
        body = respond.read_json(await respond.read_body(scope, receive, MAX_BODY))
        feature = _checked(body, fid, whole=replacing)
        feature = _to_lonlat(feature, layer, respond.header(scope, b"content-crs"))
        if_match = self._if_match(scope, layer, fid)
        call = city.store.replace if replacing else city.store.patch
        revision = await city.run(call, layer_id, fid, feature, if_match, key.name)
        headers: Headers = [(b"etag", f'"{city.store.epoch}-{revision}"'.encode()), *CORS]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def options(self, scope: Scope, send: Send, layer_id: str) -> None:
        """What this caller may do with a feature: an editor shows or hides its tools by it.

        The id is not looked up: clients ask for ``unknown_id`` in an empty layer."""
        self._city.store.layer(layer_id)
        await options(send, f"{READ}, PUT, PATCH" if self._may_edit(scope) else READ)

    def _may_edit(self, scope: Scope) -> bool:
        try:
            key = self._city.keys.who(scope)
        except NoKey:
            return False
        return key is not None and "edit" in key.may and not self._city.store.read_only

    def _if_match(self, scope: Scope, layer: Layer, fid: int) -> int | None:
        """The revision that If-Match names; None without a condition.

        Raises BadParameter, Stale, and Unconditional where the layer's locking is strict."""
        given = respond.header(scope, b"if-match")
        if given is None or given.strip() == "*":
            if strict(self._city, layer):
                raise Unconditional(
                    f"layer {layer.id} is changed only with If-Match: the ETag of the feature"
                )
            return None
        revisions = {self._revision(tag.strip()) for tag in given.split(",")} - {None}
        if len(revisions) == 1:
            return revisions.pop()
        current = self._city.store.revision(layer.id, fid)
        if current not in revisions:
            raise Stale(f"feature {fid} of {layer.id} has changed: read it again; its revision is {current}")
        return current

    def _revision(self, tag: str) -> int | None:
        """The revision of one entity tag; None when it is of another history of the store."""
        found = _TAG.match(tag)
        if found is None:
            raise BadParameter("If-Match", tag, "the ETag of the feature, or its revision number")
        epoch, revision = found.groups()
        return int(revision) if epoch in (None, self._city.store.epoch) else None


async def options(send: Send, allow: str) -> None:
    """An answer to OPTIONS. Foreign origins may read; their writes are refused, so none is announced."""
    headers: Headers = [
        (b"allow", allow.encode()),
        (b"access-control-allow-methods", READ.encode()),
        (
            b"access-control-allow-headers",
            b"Accept, Accept-Language, Authorization, If-None-Match, X-Api-Key",
        ),
        (b"access-control-max-age", b"86400"),
        *CORS,
    ]
    if "PATCH" in allow:
        headers.append((b"accept-patch", MERGE_PATCH.encode()))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _check_media(scope: Scope, wanted: str) -> None:
    given = (respond.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if given != wanted:
        raise WrongMedia(f"Content-Type: {shown(given) or 'none'}: {scope['method']} takes {wanted}")


def _checked(body: Any, fid: int, *, whole: bool) -> dict[str, Any]:
    """The body as a feature, or as a patch of one. Raises BadBody; the store checks the values."""
    if not isinstance(body, dict):
        raise BadBody("the body must be a JSON object")
    if body.get("id", fid) not in (fid, str(fid)):
        raise BadBody(f"id: {shown(body['id'])} is not the feature of this address, {fid}")
    if body.get("type", "Feature") != "Feature" or (whole and "type" not in body):
        raise BadBody("type: must be Feature")
    if whole:
        missing = [name for name in ("geometry", "properties") if name not in body]
        if missing:
            raise BadBody(f"a whole feature is needed; missing: {', '.join(missing)}")
    return {name: value for name, value in body.items() if name in ("type", "geometry", "properties")}


def _to_lonlat(feature: dict[str, Any], layer: Layer, header: str | None) -> dict[str, Any]:
    """The feature with its geometry in lon/lat. Raises BadParameter for a CRS the layer does not offer."""
    if header is None or feature.get("geometry") is None:
        return feature
    given = header.strip().removeprefix("<").removesuffix(">")
    try:
        wanted = queries.parse_item(layer, [("crs", given)])
    except BadParameter as error:
        raise BadParameter("Content-Crs", given, "one of " + ", ".join(crs_.supported(layer))) from error
    if wanted == CRS84:
        return feature
    return feature | {"geometry": _geometry_to_lonlat(feature["geometry"], wanted)}


def _geometry_to_lonlat(geometry: Any, crs: str) -> Any:
    """A GeoJSON geometry in the axis order of its CRS's authority to lon/lat. Raises BadBody."""
    import numpy as np
    import shapely

    try:
        shape = shapely.from_geojson(orjson.dumps(geometry))
    except (shapely.GEOSException, ValueError) as error:
        raise BadBody("geometry: not a GeoJSON geometry") from error
    if crs_.swaps(crs):
        shape = shapely.transform(shape, _swapped, include_z=shape.has_z)
    lonlat = crs_.shapes_to_lonlat(np.array([shape], dtype=object), crs)[0]
    return orjson.loads(shapely.to_geojson(lonlat))


def _swapped(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    return positions[:, [1, 0, *range(2, positions.shape[1])]]

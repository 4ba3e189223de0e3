"""A pygeoapi provider over our store: it looks things up and keeps nothing.

pygeoapi builds a provider for every request, so the constructor may cost nothing.
Imported only by pygeoapi, by dotted path.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import orjson
from pygeoapi.provider.base import BaseProvider, ProviderInvalidQueryError, ProviderItemNotFoundError

from layers import query as queries
from layers.errors import BadParameter, NotFound
from layers.model import FeatureLayer, FeaturePage
from layers.query import Query
from layers.types import CRS84, Cursor
from twin.catalogue.view import View
from twin.http.ogc.ids import feature_id
from twin.http.ogc.schemas import json_type, properties


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request that our own strict parser has read already, and what its page shows beside it."""

    query: Query
    extra: dict[str, Any]
    next_href: Callable[[Cursor | None], str | None]


#: Set around a call into pygeoapi whose query is ours; unset, the provider reads pygeoapi's arguments.
ASKED: ContextVar[ParsedRequest | None] = ContextVar("asked", default=None)


@dataclass(frozen=True, slots=True)
class LiveData:
    """``provider.data``: what is seen, and of which layer. pygeoapi copies its configuration deeply."""

    view: View
    layer_id: str

    def __deepcopy__(self, memo: dict[int, Any]) -> LiveData:
        return self


class StoreProvider(BaseProvider):  # type: ignore[misc]
    """Features of one layer, read only."""

    def __init__(self, provider_def: dict[str, Any]) -> None:
        super().__init__(provider_def)
        live: LiveData = provider_def["data"]
        self._view = live.view
        self._layer: FeatureLayer = live.view.feature_layer(live.layer_id)
        self._fields: dict[str, dict[str, Any]] = {}
        self.get_fields()

    def get_fields(self) -> dict[str, dict[str, Any]]:
        """Field name → JSON Schema of its values."""
        if not self._fields:
            self._fields = {field.name: json_type(field) for field in properties(self._layer)}
        return dict(self._fields)

    def query(self, **request: Any) -> dict[str, Any]:
        """A page of features as a GeoJSON FeatureCollection."""
        prepared = ASKED.get()
        if prepared is not None:
            page = self._view.items(self._layer.id, prepared.query)
            return _collection(page) | prepared.extra | {"next_href": prepared.next_href(page.next_after)}
        try:
            collection = _collection(self._view.items(self._layer.id, self._read(**request)))
            return collection if request.get("resulttype") != "hits" else collection | _NONE
        except BadParameter as error:
            raise ProviderInvalidQueryError(user_msg=str(error)) from error

    def get(self, identifier: str, **request: Any) -> dict[str, Any]:
        """One feature as GeoJSON."""
        prepared = ASKED.get()
        crs = prepared.query.crs if prepared else _crs(request.get("crs_transform_spec"))
        try:
            fid = feature_id(self._layer.id, identifier)
            feature: dict[str, Any] = orjson.loads(self._view.item(self._layer.id, fid, crs).body)
        except NotFound as error:
            raise ProviderItemNotFoundError(user_msg=str(error)) from error
        return feature | (prepared.extra if prepared else {})

    def _read(
        self,
        *,
        offset: int = 0,
        limit: int = 10,
        bbox: list[float] | None = None,
        datetime_: str | None = None,
        properties: list[tuple[str, str]] | None = None,
        sortby: list[dict[str, str]] | None = None,
        select_properties: list[str] | None = None,
        q: str | None = None,
        filterq: Any = None,
        crs_transform_spec: Any = None,
        **_: Any,
    ) -> Query:
        """pygeoapi's arguments as our Query."""
        pairs = [("limit", str(limit)), ("offset", str(offset)), *(properties or [])]
        if bbox:
            pairs.append(("bbox", ",".join(map(repr, bbox))))
        if datetime_:
            pairs.append(("datetime", datetime_))
        if sortby:
            pairs.append(("sortby", ",".join(one["order"] + one["property"] for one in sortby)))
        if select_properties:
            pairs.append(("properties", ",".join(select_properties)))
        if q:
            pairs.append(("q", q))
        if crs_transform_spec is not None:
            pairs.append(("crs", _crs(crs_transform_spec)))
        if filterq is not None:
            from twin.http.ogc.pygeoapi_filter import as_cql2

            # pygeoapi has brought its geometries to longitude, latitude
            pairs += [("filter", orjson.dumps(as_cql2(filterq)).decode()), ("filter-lang", "cql2-json")]
        return queries.parse(self._layer, pairs)


#: What ``resulttype=hits`` leaves of a page.
_NONE: dict[str, Any] = {"features": [], "numberReturned": 0}


def _crs(spec: Any) -> str:
    return spec.target_crs_uri if spec is not None else CRS84


def _collection(page: FeaturePage) -> dict[str, Any]:
    collection = {
        "type": "FeatureCollection",
        "features": orjson.loads(b"[" + page.features + b"]"),
        "numberReturned": page.returned,
    }
    return collection if page.matched is None else collection | {"numberMatched": page.matched}

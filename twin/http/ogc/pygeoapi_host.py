"""pygeoapi as a library: the HTML pages, and its own items path for comparison.

Own ``API(config, openapi)`` and own templates that load nothing from anywhere. Imported at the
first HTML request (its import costs about a second), always in a reader thread. Requests have
passed our strict parsing before they come here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from layers.crs import supported
from layers.errors import BadInput, NotFound, TwinError
from layers.model import FeatureLayer
from layers.query import DEFAULT_LIMIT, MAX_LIMIT, Query
from layers.types import CRS84, Cursor
from twin.http.context import Context

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

TEMPLATES = Path(__file__).parent / "templates"
PROVIDER = "twin.http.ogc.pygeoapi_provider.StoreProvider"
#: Addresses (``https://host``), classes of rights and moments that an API object is kept for: all are few.
KEPT = 8
type Extra = Mapping[str, Any]
type NextHref = Callable[[Cursor | None], str | None]


@dataclass(frozen=True, slots=True)
class _Hosted:
    catalogue: tuple[object, ...]
    api: Any


class Host:
    """pygeoapi over one city: one API object an address and view, swapped when the catalogue
    changes."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._lock = threading.Lock()
        self._hosted: dict[tuple[object, ...], _Hosted] = {}

    def page(self, context: Context, template: str, document: Mapping[str, Any]) -> bytes:
        """One of our own documents as HTML, by pygeoapi's rendering and our template."""
        from pygeoapi.util import render_j2_template

        api = self._api(context.base, context.view)
        data = {**document, "base": context.base, "credits": self._credits(), **_of_then(context)}
        html: str = render_j2_template(
            api.tpl_config, api.config["server"]["templates"], template, data, _locale(context.lang)
        )
        return html.encode()

    def items(
        self, context: Context, layer_id: str, query: Query, extra: Extra, next_href: NextHref
    ) -> bytes:
        """A page of features as HTML, by pygeoapi's items handler."""
        return self._html(context, layer_id, None, query, extra, next_href)

    def item(self, context: Context, layer_id: str, fid: int, query: Query, extra: Extra) -> bytes:
        """One feature as HTML, by pygeoapi's item handler."""
        return self._html(context, layer_id, fid, query, extra, lambda _: None)

    def raw_items(self, base: str, layer_id: str, query_string: str) -> tuple[int, str]:
        """pygeoapi's own reading of a query string and its own answer: for tests and the bench."""
        from pygeoapi.api import itemtypes

        api = self._api(base, self._city.catalogue.whole)
        request = _request(api, query_string, "application/json", "en")
        _, status, content = itemtypes.get_collection_items(api, request, layer_id)
        return int(status), str(content)

    def raw_item(self, base: str, layer_id: str, fid: str, query_string: str) -> tuple[int, str]:
        """The same of one feature."""
        from pygeoapi.api import itemtypes

        api = self._api(base, self._city.catalogue.whole)
        request = _request(api, query_string, "application/json", "en")
        _, status, content = itemtypes.get_collection_item(api, request, layer_id, fid)
        return int(status), str(content)

    def _html(
        self,
        context: Context,
        layer_id: str,
        fid: int | None,
        query: Query,
        extra: Extra,
        next_href: NextHref,
    ) -> bytes:
        from pygeoapi.api import itemtypes

        from twin.http.ogc.pygeoapi_provider import ASKED, ParsedRequest

        api = self._api(context.base, context.view)
        request = _request(api, "", "text/html", context.lang)
        shown = {
            **extra,
            "base": context.base,
            "layer_id": layer_id,
            "credits": self._credits(),
            **_of_then(context),
        }
        token = ASKED.set(ParsedRequest(query, shown, next_href))
        try:
            if fid is None:
                _, status, content = itemtypes.get_collection_items(api, request, layer_id)
            else:
                _, status, content = itemtypes.get_collection_item(api, request, layer_id, str(fid))
        finally:
            ASKED.reset(token)
        if int(status) != 200:
            raise _error(int(status), content)
        return str(content).encode()

    def _credits(self) -> list[dict[str, Any]]:
        return [credit.model_dump() for credit in self._city.settings.credits]

    def _api(self, base: str, view: View) -> Any:
        layers = view.feature_layers()
        catalogue = tuple((layer.id, layer.generation, layer.fields, layer.time_field) for layer in layers)
        key = (base, *view.key)
        with self._lock:
            held = self._hosted.get(key)
            if held is None or held.catalogue != catalogue:
                held = _Hosted(catalogue, _build(self._city, view, base))
                self._hosted[key] = held
                while len(self._hosted) > KEPT:
                    self._hosted.pop(next(iter(self._hosted)))
            return held.api


def _of_then(context: Context) -> dict[str, str]:
    """For a page of what was: when that was, and what makes its links lead to the same moment."""
    moment = context.view.moment
    return {} if moment is None else {"as_of": moment.at, "at": f"&at={moment.name}"}


def _build(city: City, view: View, base: str) -> Any:
    """A pygeoapi API over the present catalogue; its logging set-up must not touch ours."""
    from pygeoapi.api import API

    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    api = API(_config(city, view, base), {})
    root.setLevel(level)
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)
    # it logs a client's mistake as an error; what it answers is judged in _error
    logging.getLogger("pygeoapi").setLevel(logging.CRITICAL)
    return api


def _config(city: City, view: View, base: str) -> dict[str, Any]:
    title = {"en": city.settings.title.get("en", "City"), **city.settings.title}
    return {
        "server": {
            "url": base,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "languages": list(city.settings.languages),
            "limits": {"default_items": DEFAULT_LIMIT, "max_items": MAX_LIMIT},
            "templates": {"path": str(TEMPLATES)},
        },
        "logging": {"level": "CRITICAL"},
        "metadata": {"identification": {"title": title, "description": title, "keywords": [], "url": base}},
        "resources": {layer.id: _resource(view, layer) for layer in view.feature_layers()},
    }


def _resource(view: View, layer: FeatureLayer) -> dict[str, Any]:
    from twin.http.ogc.pygeoapi_provider import LiveData

    title = dict(layer.title) or {"en": layer.id}
    return {
        "type": "collection",
        "title": title,
        "description": title,
        "keywords": [layer.kind],
        "links": [],
        "extents": {"spatial": {"bbox": list(layer.extent or (-180, -90, 180, 90)), "crs": CRS84}},
        "providers": [
            {
                "type": "feature",
                "name": PROVIDER,
                "data": LiveData(view, layer.id),
                "id_field": "fid",
                "time_field": layer.time_field,
                "crs": list(supported(layer)),
                "storage_crs": CRS84,
            }
        ],
    }


def _locale(lang: str) -> Any:
    from pygeoapi import l10n

    return l10n.str2locale(lang)


def _request(api: Any, query_string: str, accept: str, lang: str) -> Any:
    """A pygeoapi request of our making: only what we chose to pass on is in it."""
    from pygeoapi.api import APIRequest
    from starlette.requests import Request

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": query_string.encode(),
        "headers": [(b"accept", accept.encode()), (b"accept-language", lang.encode())],
    }
    return APIRequest(Request(scope), api.locales)


def _error(status: int, content: str) -> TwinError:
    """A refusal of pygeoapi in our shape: our exception template writes it as JSON."""
    document = orjson.loads(content)
    if status == 404:
        return NotFound(document["description"])
    if status < 500:
        return BadInput(document["description"])
    raise RuntimeError(f"pygeoapi answered {status}: {document['code']}: {document['description']}")

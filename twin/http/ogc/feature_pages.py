"""What an HTML page of features shows beside them: columns that sort, the conditions with a link that
drops each, a search and a filter, files of the same selection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from layers import query as queries
from layers.model import FeatureLayer
from layers.query import Query
from layers.types import Field
from layers.write import FORMATS
from twin.http.context import Context
from twin.http.formats import FEATURE, HTML, PAGE
from twin.http.negotiate import text
from twin.http.ogc import links, sketch
from twin.http.ogc.links import PLACE, Pairs
from twin.http.ogc.schemas import properties

#: Parameters that shape a page; every other one is a condition on the features.
_SHAPE = frozenset({*queries.PAGING, "sortby", "properties", "crs", "filter-lang", "filter-crs", "bbox-crs"})
#: A parameter and those that say how it is read.
_READ_BY = {"filter": ("filter-lang", "filter-crs"), "bbox": ("bbox-crs",)}


def of_page(context: Context, layer: FeatureLayer, query: Query, here: str, pairs: Pairs) -> dict[str, Any]:
    """For a page at the address ``here`` with these parameters, ``f`` apart."""
    whole = _without(pairs, *queries.PAGING)
    sortable = {one.name for one in queries.sortables(layer)}

    def page(remaining: Pairs) -> str:
        return links.href(here, links.encoded(remaining), "f=html")

    return {
        **_both(context, layer, query),
        "layer_title": context.title(layer),
        "columns": [
            _column(context, one)
            | {
                "order": _order(query, one),
                "href": page(_sorted(pairs, query, one)) if one.name in sortable else None,
            }
            for one in _shown(layer, query)
        ],
        "conditions": [
            {"name": name, "value": value, "href": page(_without(whole, name, *_READ_BY.get(name, ())))}
            for name, value in pairs
            if name not in _SHAPE
        ],
        "first_href": page(_without(pairs, *PLACE)) if any(name in PLACE for name, _ in pairs) else None,
        "forms": {
            name: {
                "kept": _without(pairs, *PLACE, name, *_READ_BY.get(name, ())),
                "value": dict(pairs).get(name, ""),
            }
            for name in ("q", "filter")
        },
        "example": _example(layer),
        "files": [
            {"title": one.title[0], "href": links.href(here, links.encoded(pairs), f"f={one.name}")}
            for one in PAGE
            if one.media != HTML
        ],
        "downloads": [
            {
                "title": one.title,
                "href": links.href(here[: -len("items")] + "download", links.encoded(whole), f"f={one.name}"),
            }
            for one in FORMATS.values()
        ],
    }


def of_feature(
    context: Context, layer: FeatureLayer, query: Query, here: str, pairs: Pairs
) -> dict[str, Any]:
    """For the page of one feature."""
    return {
        **_both(context, layer, query),
        "columns": [_column(context, one) for one in _shown(layer, query)],
        "files": [
            {"title": one.title[0], "href": links.href(here, links.encoded(pairs), f"f={one.name}")}
            for one in FEATURE
            if one.media != HTML
        ],
    }


def _both(context: Context, layer: FeatureLayer, query: Query) -> dict[str, Any]:
    """``sketch`` draws features, ``cells`` gives the value of each column as it is shown and as it is."""
    label = context.say(f"Drawing of {context.title(layer)}", f"{context.title(layer)}示意图")
    titles = [(one.name, _titles(context, one)) for one in _shown(layer, query)]
    no_yes = context.say("no", "否"), context.say("yes", "是")

    def cells(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, codes in titles:
            value = _cell(values.get(name), no_yes)
            yield codes.get(value, value), value

    return {"sketch": partial(sketch.draw, crs=query.crs, label=label), "cells": cells}


def _cell(value: Any, no_yes: tuple[str, str]) -> str:
    match value:
        case None:
            return ""
        case bool():
            return no_yes[value]
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case list():
            return ", ".join(_cell(one, no_yes) for one in value)
    return str(value)


def _titles(context: Context, field: Field) -> dict[str, str]:
    return {code: text(titles, context.lang, code) for code, titles in (field.codes or {}).items()}


def _shown(layer: FeatureLayer, query: Query) -> list[Field]:
    wanted = query.properties
    return [one for one in properties(layer) if wanted is None or one.name in wanted]


def _column(context: Context, field: Field) -> dict[str, Any]:
    return {"name": field.name, "title": text(field.title, context.lang, field.name), "unit": field.unit}


def _order(query: Query, field: Field) -> str:
    """``-`` or ``+`` where the page is sorted by this field first, else nothing."""
    first = query.sort[0] if query.sort else None
    if first is None or first.field != field.name:
        return ""
    return "-" if first.descending else "+"


def _sorted(pairs: Pairs, query: Query, field: Field) -> Pairs:
    """Sorted by this field; a second click turns the order round."""
    turned = "-" if _order(query, field) == "+" else ""
    return [*_without(pairs, "sortby", *PLACE), ("sortby", turned + field.name)]


def _without(pairs: Pairs, *names: str) -> Pairs:
    return [pair for pair in pairs if pair[0] not in names]


def _example(layer: FeatureLayer) -> str:
    """A filter that this layer understands."""
    numbers = (one.name for one in layer.fields if one.type in ("number", "integer"))
    return next((f'"{name}" > 10' for name in numbers), "id > 10")

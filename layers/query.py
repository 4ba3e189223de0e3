"""A request for features: what it holds, and how it is read from parameters against a layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from layers import crs as crs_
from layers import cursor, kinds
from layers.cql.ast import FID, Predicate
from layers.cql.parse import LANGUAGES
from layers.cql.parse import parse as parse_filter
from layers.errors import BadParameter
from layers.model import FeatureLayer
from layers.parameters import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_OFFSET,
    PAGING,
    PARAMETERS,
    RESERVED,
    Parameter,
    filters,
)
from layers.types import CRS84, Bbox, Cursor, Field, Interval, Sort

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "MAX_OFFSET",
    "PAGING",
    "PARAMETERS",
    "RESERVED",
    "Parameter",
    "Query",
    "cursor_text",
    "expected",
    "filters",
    "parse",
    "parse_download",
    "parse_item",
    "sortables",
]


@dataclass(frozen=True, slots=True)
class Query:
    """A request for features, already checked and typed; its conditions are joined by AND.

    ``bbox`` is in lon/lat; minx > maxx crosses the antimeridian. ``datetime`` is a pair of
    ISO instants, either open (None); an instant is the pair (t, t). ``equals`` holds
    (property, typed value) pairs. ``filter`` is a checked CQL2 expression. ``words`` are texts of
    which at least one must occur in a text property (of ``words_in``, None for any), without regard to case
    and accents.
    ``sort`` is followed by fid, so the order is total. ``after`` is the keyset: only features that
    follow it in that order. ``properties`` names those to give, None for all.
    ``limit`` None (all of them) is only for :meth:`layers.store.base.Store.scan`.
    ``crs`` is the output CRS URI.
    """

    bbox: Bbox | None = None
    datetime: Interval | None = None
    equals: tuple[tuple[str, str | int | float | bool], ...] = ()
    filter: Predicate | None = None
    words: tuple[str, ...] = ()
    words_in: tuple[str, ...] | None = None
    sort: tuple[Sort, ...] = ()
    properties: tuple[str, ...] | None = None
    limit: int | None = 100
    offset: int = 0
    after: Cursor | None = None
    crs: str = CRS84


def expected(layer: FeatureLayer, box: Bbox) -> float:
    """How many features a box would meet if they lay evenly in the layer's extent; no more than a guess."""
    if layer.extent is None:
        return 0.0
    west, south, east, north = layer.extent
    box_west, box_south, box_east, box_north = box
    if box_west > box_east:
        box_east = 180.0  # across the antimeridian: its larger part tells enough
    width = min(east, box_east) - max(west, box_west)
    height = min(north, box_north) - max(south, box_south)
    if width < 0 or height < 0:
        return 0.0
    return layer.count * width * height / max((east - west) * (north - south), 1e-18)


def parse(layer: FeatureLayer, pairs: Iterable[tuple[str, str]]) -> Query:
    """A checked query from decoded (name, value) pairs, without ``f``.

    Raises BadParameter: unknown or repeated name, malformed value, CRS that is not offered, a filter,
    order or cursor that does not fit the layer."""
    values, raw, equals = _read(layer, pairs, frozenset())
    sort = _sorted(layer, values, raw)
    return _query(
        layer, values, raw, equals, sort, values.get("limit", DEFAULT_LIMIT), _after(layer, sort, raw)
    )


def parse_download(layer: FeatureLayer, pairs: Iterable[tuple[str, str]]) -> Query:
    """As :func:`parse`, for everything that matches: ``limit`` is None, and there are no parameters of a
    page (:data:`PAGING`). A property goes with the one that says where its value came from."""
    values, raw, equals = _read(layer, pairs, PAGING)
    query = _query(layer, values, raw, equals, _sorted(layer, values, raw), None, None)
    if query.properties is None:
        return query
    kind, wanted = kinds.KINDS.get(layer.kind), query.properties
    sources = [source for source, of in kind.provenance.items() if of in wanted] if kind else []
    beside = [name for name in sources if name not in wanted and layer.field(name) is not None]
    return replace(query, properties=(*wanted, *beside))


type _Equals = list[tuple[str, str | int | float | bool]]


def _read(
    layer: FeatureLayer, pairs: Iterable[tuple[str, str]], without: frozenset[str]
) -> tuple[dict[str, Any], dict[str, str], _Equals]:
    """Values by parameter, texts by name, and the property filters, each given once."""
    table: dict[str, Parameter] | None = None
    values: dict[str, Any] = {}
    raw: dict[str, str] = {}
    equals: _Equals = []
    for name, text in pairs:
        if name in raw:
            raise BadParameter(name, text, "a parameter is given once")
        raw[name] = text
        known = None if name in without else PARAMETERS.get(name)
        if known is not None:
            values[name] = known.read(text)
            continue
        table = filters(layer) if table is None else table
        if name not in table:
            raise BadParameter(name, text, f"unknown parameter; allowed are {_allowed(table, without)}")
        equals.append((name, table[name].read(text)))
    return values, raw, equals


def _query(
    layer: FeatureLayer,
    values: Mapping[str, Any],
    raw: Mapping[str, str],
    equals: _Equals,
    sort: tuple[Sort, ...],
    limit: int | None,
    after: Cursor | None,
) -> Query:
    filter_crs = _offered(layer, "filter-crs", values, raw)
    language = values.get("filter-lang", LANGUAGES[0])
    text = values.get("filter")
    return Query(
        bbox=_bbox(layer, values, raw),
        datetime=_closed(values.get("datetime")),
        equals=tuple(equals),
        filter=None if text is None else parse_filter(text, language, layer, filter_crs),
        words=values.get("q", ()),
        sort=sort,
        properties=_selected(layer, values, raw),
        limit=limit,
        offset=values.get("offset", 0),
        after=after,
        crs=_offered(layer, "crs", values, raw),
    )


def sortables(layer: FeatureLayer) -> tuple[Field, ...]:
    """The fields by which features can be sorted: the id of the feature, and all properties but arrays."""
    own = tuple(f for f in layer.fields if f.type != "array")
    return own if layer.field(FID.name) is not None else (FID, *own)


def _sorted(layer: FeatureLayer, values: Mapping[str, Any], raw: Mapping[str, str]) -> tuple[Sort, ...]:
    keys: tuple[Sort, ...] = values.get("sortby", ())
    if keys:
        allowed = [f.name for f in sortables(layer)]
        for key in keys:
            if key.field not in allowed:
                names = ", ".join(allowed[:40])
                raise BadParameter(
                    "sortby", raw["sortby"], f"no sortable property {key.field}; allowed are {names}"
                )
    return keys


def _selected(
    layer: FeatureLayer, values: Mapping[str, Any], raw: Mapping[str, str]
) -> tuple[str, ...] | None:
    names: tuple[str, ...] | None = values.get("properties")
    for name in names or ():
        if layer.field(name) is None:
            allowed = ", ".join([f.name for f in layer.fields][:40])
            raise BadParameter("properties", raw["properties"], f"no property {name}; allowed are {allowed}")
    return names


def _after(layer: FeatureLayer, sort: tuple[Sort, ...], raw: Mapping[str, str]) -> Cursor | None:
    if "after" not in raw:
        return None
    fields = {f.name: f for f in sortables(layer)} if sort else {}
    return cursor.decoded(raw["after"], tuple(fields[key.field] for key in sort))


def cursor_text(query: Query, after: Cursor) -> str:
    """A cursor of a page of that query as the value of ``after``: the plain id without ``sortby``."""
    return cursor.encoded(query.sort, after)


def parse_item(layer: FeatureLayer, pairs: Iterable[tuple[str, str]]) -> str:
    """The output CRS of a request for one item: ``crs`` is its only parameter. Raises BadParameter."""
    crs = CRS84
    seen = False
    for name, text in pairs:
        if name != "crs":
            raise BadParameter(name, text, "unknown parameter; allowed are crs, f, profile")
        if seen:
            raise BadParameter(name, text, "a parameter is given once")
        seen = True
        crs = _offered(layer, "crs", {"crs": PARAMETERS["crs"].read(text)}, {"crs": text})
    return crs


def _allowed(table: Mapping[str, Parameter], without: frozenset[str]) -> str:
    own = [name for name in PARAMETERS if name not in without]
    return ", ".join([*own, "f", *sorted(table)][:40])


def _closed(interval: Interval | None) -> Interval | None:
    return None if interval == (None, None) else interval


def _offered(layer: FeatureLayer, name: str, values: Mapping[str, Any], raw: Mapping[str, str]) -> str:
    uri: str = values.get(name, CRS84)
    if uri != CRS84 and uri not in (offered := crs_.supported(layer)):
        raise BadParameter(name, raw[name], "one of " + ", ".join(offered))
    return uri


def _bbox(layer: FeatureLayer, values: Mapping[str, Any], raw: Mapping[str, str]) -> Bbox | None:
    crs = _offered(layer, "bbox-crs", values, raw)
    box: Bbox | None = values.get("bbox")
    if box is None:
        return None
    swapped = crs != CRS84 and crs_.swaps(crs)
    west, south, east, north = (box[1], box[0], box[3], box[2]) if swapped else box
    if south > north:
        raise BadParameter("bbox", raw["bbox"], "south comes before north")
    if west > east:
        if not (crs_.is_geographic(crs) and abs(west) <= 180 and abs(east) <= 180):
            raise BadParameter("bbox", raw["bbox"], "west comes before east (across 180° both within ±180)")
        return west, south, east, north
    return crs_.bbox_to_lonlat(box, crs)

"""OGC API Features Part 3 (OGC 19-079r2), Annex A: queryables, filter, features-filter."""

from __future__ import annotations

import json

import pyproj
import pytest

from tests.conformance.crs import known, offered
from tests.conformance.filters import plain, quoted, spatial, value
from tests.conformance.outside import FILTER, GEOJSON, JSON, MANY, REL, SCHEMA, link, media, told

DRAFTS = (
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
INVALID = "THIS IS NOT A FILTER"
NOWHERE = "http://www.opengis.net/def/crs/OGC/0/does_not_exist"


def needs(api, *names):
    """Only for an API that declares the classes; ours has to."""
    missing = [name for name in names if f"{FILTER}/{name}" not in api.classes]
    if missing:
        if api.ours:
            pytest.fail(f"not declared: {missing}")
        pytest.skip(f"not declared: {missing}")


def box(collection):
    """West, south, east, north of a collection, a hair's breadth wider."""
    told = collection.get("extent", {}).get("spatial", {}).get("bbox", [(-180, -90, 180, 90)])
    west, south, east, north = told[0]
    return max(west - 1e-6, -180), max(south - 1e-6, -90), min(east + 1e-6, 180), min(north + 1e-6, 90)


def within(name, corners):
    """The filter of a box."""
    return f"S_INTERSECTS({quoted(name)},BBOX({','.join(map(repr, corners))}))"


def all_ids(api, collection):
    """The ids of every feature that has a geometry: a predicate on none is neither true nor false."""
    return {one["id"] for one in api.features(collection) if one["geometry"]}


# -- Queryables -----------------------------------------------------------------------------------------


def test_queryables_get_conformance(api):
    """/conf/queryables/get-conformance: the class is declared."""
    needs(api, "queryables")


def test_queryables_get_queryables(api):
    """/conf/queryables/get-queryables: every collection has a schema of what can be asked for."""
    needs(api, "queryables")
    for collection in api.collections:
        href = f"{api.root}/collections/{collection['id']}/queryables"
        answer = api.ask(href, SCHEMA)
        assert answer.status_code == 200, told(answer)
        assert media(answer) == SCHEMA
        schema = answer.json()
        assert schema["$schema"] in DRAFTS
        assert schema["$id"] == href
        assert schema["type"] == "object"
        assert schema["properties"]
        for name, one in schema["properties"].items():
            assert one.get("type") or one.get("$ref") or one.get("format"), name


def test_queryables_get_collection(api):
    """/conf/queryables/get-collection: every collection links its queryables."""
    needs(api, "queryables")
    for collection in api.collections:
        alone = api.get(f"{api.root}/collections/{collection['id']}")
        href = link(alone, f"{REL}/queryables")["href"]
        assert href.split("?")[0] == f"{api.root}/collections/{collection['id']}/queryables"


def test_queryables_query_parameters_parameters(api):
    """/conf/queryables-query-parameters/parameters: each queryable is a parameter, and selects."""
    needs(api, "queryables-query-parameters")
    for collection in api.collections:
        parameters = api.parameters(collection)
        for name in plain(api, collection):
            schema = api.queryables(collection)[name]
            if schema.get("type") not in ("string", "integer", "number", "boolean") or name in api.document[
                "components"
            ].get("parameters", {}):
                continue
            assert name in parameters, (collection["id"], name)
            values = [v for v in (value(one, name) for one in api.features(collection)) if v is not None]
            for each in values[:1] + values[-1:]:
                said = str(each).lower() if isinstance(each, bool) else str(each)
                answer = api.ask(api.items(collection), GEOJSON, limit=MANY, **{name: said})
                assert answer.status_code == 200, told(answer)
                page = answer.json()
                assert page["features"], (collection["id"], name, said)
                assert {value(one, name) for one in page["features"]} == {each}


# -- Filter, on the features of a collection --------------------------------------------------------------


def test_filter_get_conformance(api):
    """/conf/filter/get-conformance and /conf/features-filter/get-conformance: both are declared."""
    needs(api, "filter", "features-filter")


def test_filter_get_collections(api):
    """/conf/filter/get-collections: the list of collections is there."""
    needs(api, "filter")
    answer = api.ask(f"{api.root}/collections", JSON)
    assert media(answer) == JSON
    assert isinstance(answer.json()["collections"], list)


@pytest.mark.parametrize("lang", ["cql2-text", "cql2-json"])
def test_filter_filter_param(api, lang):
    """/conf/filter/filter-param: a valid filter selects, an invalid one is refused."""
    needs(api, "filter")
    for collection in api.collections:
        for name in plain(api, collection):
            if lang == "cql2-text":
                valid, invalid = f"{quoted(name)} IS NULL", INVALID
            else:
                valid = '{"op":"isNull","args":[{"property":' + json.dumps(name) + "}]}"
                invalid = '{"op":"isNull"}'
            answer = api.ask(api.items(collection), GEOJSON, filter_lang=lang, filter=valid, limit=MANY)
            assert answer.status_code == 200, told(answer)
            assert media(answer) == GEOJSON
            right = {one["id"] for one in api.features(collection) if value(one, name) is None}
            assert {one["id"] for one in answer.json()["features"]} == right, (collection["id"], name)
            answer = api.ask(api.items(collection), GEOJSON, filter_lang=lang, filter=invalid)
            assert answer.status_code == 400, told(answer)


def test_filter_filter_lang_default(api):
    """/conf/filter/filter-lang-default: without filter-lang it is CQL2 text."""
    needs(api, "filter")
    for collection in api.collections:
        name = quoted(plain(api, collection)[0])
        plainly = api.matching(collection, filter=f"{name} IS NOT NULL")
        assert plainly == api.matching(collection, filter=f"{name} IS NOT NULL", filter_lang="cql2-text")
        assert api.ask(api.items(collection), GEOJSON, filter=INVALID).status_code == 400
        answer = api.ask(api.items(collection), GEOJSON, filter="true", filter_lang="no-such-language")
        assert answer.status_code == 400
        described = api.resolve(api.parameters(collection)["filter-lang"]["schema"])
        assert described["default"] == "cql2-text"
        assert {"cql2-text", "cql2-json"} <= set(described["enum"])


def test_filter_expression_construction(api):
    """/conf/filter/expression-construction: a property that is no queryable is refused."""
    needs(api, "filter")
    for collection in api.collections:
        for filter_ in ("this_is_not_a_queryable IS NULL", "this_is_not_a_queryable = 1 OR true"):
            answer = api.ask(api.items(collection), GEOJSON, filter=filter_)
            assert answer.status_code == 400, told(answer)
            assert "this_is_not_a_queryable" in answer.text


def test_filter_filter_crs_wgs84(api):
    """/conf/filter/filter-crs-wgs84: without filter-crs literals are longitude and latitude."""
    needs(api, "filter")
    for collection in api.collections:
        name = spatial(api, collection)
        assert api.matching(collection, filter=within(name, box(collection))) == all_ids(api, collection)
        far = within(name, (1000000, 1000000, 2000000, 2000000))
        assert api.ask(api.items(collection), GEOJSON, filter=far).status_code == 400


def test_filter_filter_crs_param(api):
    """/conf/filter/filter-crs-param: literals in every CRS of the collection, in its axis order."""
    needs(api, "filter")
    tried = 0
    for collection in api.collections:
        name, corners = spatial(api, collection), box(collection)
        for uri in offered(api, collection):
            crs = known(uri)
            area = crs.area_of_use if crs else None
            if crs is None or (area and not _covers(area, corners)):
                continue
            to = pyproj.Transformer.from_crs(pyproj.CRS("OGC:CRS84"), crs)
            low, high = to.transform(corners[0], corners[1]), to.transform(corners[2], corners[3])
            if not crs.is_geographic:
                bounds = to.transform_bounds(*corners, densify_pts=21)
                low, high = bounds[:2], bounds[2:]
            filter_ = within(name, (*low, *high))
            found = api.matching(collection, filter=filter_, filter_crs=uri)
            assert found == all_ids(api, collection), (collection["id"], uri)
            tried += 1
        answer = api.ask(api.items(collection), GEOJSON, filter=within(name, corners), filter_crs=NOWHERE)
        assert answer.status_code == 400, told(answer)
    assert tried > len(api.collections)


def _covers(area, corners):
    west, south, east, north = corners
    return area.west <= west and area.south <= south and east <= area.east and north <= area.north


def test_filter_mixing_expression(api):
    """/conf/filter/mixing-expression: filter and bbox select what both select."""
    needs(api, "filter")
    for collection in api.collections:
        name, corners = spatial(api, collection), box(collection)
        both = api.matching(collection, filter=within(name, corners), bbox=",".join(map(repr, corners)))
        assert both == all_ids(api, collection)
        if corners[0] > -100:
            found = api.matching(collection, filter=within(name, corners), bbox="-170,-60,-160,-50")
            assert found == set()


def test_filter_get_functions(api):
    """/conf/filter/get-functions: the functions with their arguments and what they return."""
    needs(api, "filter")
    answer = api.ask(f"{api.root}/functions", JSON)
    if answer.status_code == 404 and not api.ours:
        pytest.skip("no functions")
    assert answer.status_code == 200, told(answer)
    assert media(answer) == JSON
    types = {"string", "number", "integer", "datetime", "geometry", "boolean", "array", "date", "timestamp"}
    functions = answer.json()["functions"]
    assert functions
    for one in functions:
        assert one["name"]
        assert set(one["returns"]) <= types, one
        for argument in one.get("arguments", []):
            assert set(argument["type"]) <= types, one


def test_features_filter_filter_on_items(api):
    """/conf/features-filter/filter-on-items: the parameters are described for every items path."""
    needs(api, "features-filter")
    for collection in api.collections:
        parameters = api.parameters(collection)
        for name in ("filter", "filter-lang", "filter-crs"):
            assert parameters[name].get("required", False) is False
            assert api.resolve(parameters[name]["schema"])["type"] == "string"

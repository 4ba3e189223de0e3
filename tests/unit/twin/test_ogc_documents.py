"""The documents of the OGC API over a small real store: OpenAPI, schema, links, tile matrix set."""

from types import SimpleNamespace

import numpy as np
import openapi_spec_validator
import pyarrow as pa
import pytest
import shapely

from layers import query as queries
from layers.errors import BadBody, BadParameter, NotFound
from layers.model import Field
from layers.store import geopackage
from layers.store.base import SOURCE_ID, WKB, LayerSpec
from tests.support import ROOT
from twin.http.ogc import conformance, documents, edit, items, openapi, pages, schemas, tilesets
from twin.http.ogc.context import Context
from twin.settings import parse

FIELDS = (
    Field("name", "string", {"en": "Name", "zh-CN": "名称"}),
    Field("depth_m", "number", {"en": "Depth"}, unit="m"),
    Field("count", "integer"),
    Field("open", "boolean"),
    Field("day", "date"),
    Field("seen", "datetime"),
    Field("class", "string", codes={"a": {"en": "A", "zh-CN": "甲"}, "b": {"en": "B"}}),
    Field("limit", "integer"),
)
ROW = {"name": "x", "depth_m": 1.5, "count": 3, "open": True, "class": "a", "limit": 7}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = geopackage.open(tmp_path_factory.mktemp("city") / "city.gpkg")
    spec = LayerSpec("things", "feature", {"en": "Things"}, FIELDS, "Point", "EPSG:3879", time_field="seen")
    types = {"depth_m": pa.float64(), "count": pa.int64(), "limit": pa.int64(), "open": pa.bool_()}
    columns = {
        SOURCE_ID: pa.array(["one"]),
        WKB: pa.array([shapely.to_wkb(shapely.Point(24.94, 60.17))], pa.binary()),
    }
    for field in FIELDS:
        columns[field.name] = pa.array([ROW.get(field.name)], types.get(field.name, pa.string()))
    stage = opened.stage(spec)
    stage.add(pa.table(columns))
    opened.publish(stage, mode="create")
    yield opened
    opened.close()


def context(store, settings="", lang="en"):
    city = SimpleNamespace(store=store, settings=parse(settings))
    return Context(city, "https://map.example/ogc", lang, "")


def test_the_api_document_is_valid_and_true_to_the_parsing_table(store):
    document = openapi.document(context(store))
    openapi_spec_validator.validate(document)
    layer = store.layer("things")
    parameters = document["paths"]["/collections/things/items"]["get"]["parameters"]
    names = [one["name"] for one in parameters]
    assert len(names) == len(set(names))
    assert set(names) == set(queries.PARAMETERS) | set(queries.filters(layer)) | {"f"}
    # a field named like a parameter is data, not a filter
    assert next(one for one in parameters if one["name"] == "limit")["schema"]["maximum"] == 10_000
    assert document["servers"] == [{"url": "https://map.example/ogc"}]


def test_the_api_document_says_where_if_match_is_required(store):
    for settings, required in (("", False), ("layers: {things: {locking: strict}}", True)):
        document = openapi.document(context(store, settings))
        put = document["paths"]["/collections/things/items/{featureId}"]["put"]
        assert put["parameters"][0]["required"] is required
        assert put["security"]


def test_an_empty_city_has_a_valid_document_too(tmp_path):
    opened = geopackage.open(tmp_path / "city.gpkg")
    openapi_spec_validator.validate(openapi.document(context(opened)))
    assert documents.collections(context(opened), opened.layers())["collections"] == []
    opened.close()


def test_the_schema_has_types_formats_units_codes_and_roles(store):
    layer = store.layer("things")
    properties = schemas.schema(context(store, lang="zh-CN"), layer)["properties"]
    assert properties["geometry"]["format"] == "geometry-point"
    assert properties["name"]["title"] == "名称"
    assert properties["depth_m"]["x-ogc-unit"] == "m"
    assert properties["count"]["type"] == "integer"
    assert properties["open"]["type"] == "boolean"
    assert (properties["day"]["type"], properties["day"]["format"]) == ("string", "date")
    assert properties["seen"]["x-ogc-role"] == "primary-instant"
    assert properties["class"]["enum"] == ["a", "b"]
    assert properties["class"]["x-enum-titles"] == {"a": "甲", "b": "B"}
    assert [one["x-ogc-propertySeq"] for one in properties.values()] == list(range(1, len(properties) + 1))


def test_queryables_leave_out_what_cannot_be_asked_for(store):
    layer = store.layer("things")
    found = schemas.queryables(context(store), layer)
    assert found["additionalProperties"] is False
    assert "limit" not in found["properties"]
    assert set(found["properties"]) - {"geometry"} == set(queries.filters(layer))


def test_the_geojson_schema_never_narrows_an_integer(store):
    found = schemas.geojson(context(store), store.layer("things"))["properties"]["properties"]["properties"]
    assert found["count"] == {"type": "number", "multipleOf": 1}
    assert found["depth_m"] == {"type": "number"}


def test_a_collection_lists_its_crs_and_time(store):
    found = documents.collection(context(store), store.layer("things"))
    assert found["crs"][0].endswith("CRS84")
    assert "http://www.opengis.net/def/crs/EPSG/0/3879" in found["crs"]
    assert found["extent"]["temporal"]["interval"] == [[None, None]]
    titled = context(store, "layers: {things: {title: {en: My things}}}")
    assert documents.collection(titled, store.layer("things"))["title"] == "My things"


def test_the_tile_matrix_set_is_the_registered_one():
    """Annex D.1 of OGC 17-083r4 gives these numbers."""
    found = tilesets.tile_matrix_set("WebMercatorQuad")["tileMatrices"]
    assert found[0]["scaleDenominator"] == pytest.approx(559082264.028717, rel=1e-12)
    assert found[18]["cellSize"] == pytest.approx(0.597164283559817, rel=1e-9)
    assert (found[18]["matrixWidth"], found[18]["id"]) == (262144, "18")
    with pytest.raises(NotFound):
        tilesets.tile_matrix_set("WorldCRS84Quad")


def test_declared_classes_are_uris_once_each():
    assert len(set(conformance.CLASSES)) == len(conformance.CLASSES)
    assert all(
        uri.startswith("http://www.opengis.net/spec/") and "/conf/" in uri for uri in conformance.CLASSES
    )


@pytest.mark.parametrize("text", ["", "x", "-1", "+1", "1.0", "01", "٣", "1 ", "9" * 19, "1e3"])
def test_what_is_no_feature_id(text):
    with pytest.raises(NotFound):
        items.feature_id("things", text)


def test_feature_ids():
    assert items.feature_id("things", "0") == 0
    assert items.feature_id("things", "9" * 18) == 10**18 - 1


def test_next_replaces_offset_and_keeps_the_rest():
    pairs = [("bbox", "1,2,3,4"), ("offset", "40"), ("name", "a&b=ä"), ("after", "3")]
    links = items.page_links("http://x/ogc", "things", pairs, "geojson", 99)
    following = next(one["href"] for one in links if one["rel"] == "next")
    assert following == (
        "http://x/ogc/collections/things/items?bbox=1,2,3,4&name=a%26b%3D%C3%A4&after=99&f=geojson"
    )
    assert "next" not in [one["rel"] for one in items.page_links("http://x", "things", pairs, None, None)]


@pytest.mark.parametrize("form", ["<{}>", "{}", " <{}> "])
def test_content_crs_of_a_projected_crs_with_northing_first(store, form):
    from pyproj import Transformer

    layer = store.layer("things")
    uri = "http://www.opengis.net/def/crs/EPSG/0/3879"
    to = Transformer.from_crs("EPSG:4326", "EPSG:3879")
    north_east = to.transform(60.17, 24.94)
    feature = {"geometry": {"type": "Point", "coordinates": [*north_east, 12.5]}}
    found = edit._to_lonlat(feature, layer, form.format(uri))["geometry"]
    assert found["type"] == "Point"
    np.testing.assert_allclose(found["coordinates"], [24.94, 60.17, 12.5], atol=1e-8)
    assert edit._to_lonlat(feature, layer, None) is feature


def test_content_crs_that_is_not_offered_or_a_geometry_that_is_none(store):
    layer = store.layer("things")
    with pytest.raises(BadParameter, match="Content-Crs"):
        edit._to_lonlat({"geometry": {}}, layer, "<http://www.opengis.net/def/crs/EPSG/0/28992>")
    for geometry in ({}, [], "x", {"type": "Point"}, {"type": "Point", "coordinates": ["a", 1]}):
        with pytest.raises(BadBody, match="geometry"):
            edit._to_lonlat({"geometry": geometry}, layer, "<http://www.opengis.net/def/crs/EPSG/0/3857>")


def test_every_template_is_used_and_every_used_one_exists():
    folder = ROOT / "twin" / "http" / "ogc" / "templates"
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.html")}
    paths = (
        [],
        ["conformance"],
        ["api"],
        ["collections"],
        ["collections", "x"],
        ["collections", "x", "schema"],
        ["collections", "x", "queryables"],
        ["collections", "x", "tiles"],
    )
    used = {pages.find(path).template for path in paths}
    by_pygeoapi = {"collections/items/index.html", "collections/items/item.html", "exception.html"}
    assert there == used | by_pygeoapi | {"_base.html", "_say.html"}
    for path in there:
        assert "http" not in (folder / path).read_text("utf-8"), path

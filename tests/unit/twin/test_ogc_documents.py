"""The documents of the OGC API over a small real store: OpenAPI, schema, links, tile matrix set."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import openapi_spec_validator
import orjson
import pyarrow as pa
import pytest
import shapely

from layers import query as queries
from layers.batch import SOURCE_ID, WKB
from layers.errors import BadBody, BadParameter, NotFound
from layers.model import FeatureLayer
from layers.query import Query
from layers.store import geopackage
from layers.store.base import LayerSpec
from layers.types import LIVE_LAYERS, Field
from tests.support import ROOT
from tiles.service import Tiles
from twin.catalogue.view import View
from twin.http import formats, negotiate, ogc, page_config, respond
from twin.http.context import Context, link_header
from twin.http.ogc import (
    common,
    cost,
    edit,
    features,
    links,
    openapi,
    schemas,
    tilesets,
    versions,
)
from twin.http.ogc.ids import feature_id
from twin.http.ogc.pages import Document
from twin.http.room import Site
from twin.live_layers import LiveLayers
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
    Field("tags", "array"),
)
LAYER = FeatureLayer(
    id="some",
    kind="feature",
    title={},
    fields=(),
    geometry_type="Point",
    extent=None,
    crs="EPSG:4326",
    count=0,
    generation=1,
    seq=1,
)
ROW = {"name": "x", "depth_m": 1.5, "count": 3, "open": True, "class": "a", "limit": 7, "tags": ["x", "y"]}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = geopackage.open(tmp_path_factory.mktemp("city") / "city.gpkg")
    spec = LayerSpec("things", "feature", {"en": "Things"}, FIELDS, "Point", "EPSG:3879", time_field="seen")
    types = {"depth_m": pa.float64(), "count": pa.int64(), "limit": pa.int64(), "open": pa.bool_()}
    types["tags"] = pa.list_(pa.string())
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
    conf = parse(settings)
    view = View(store, conf, lambda _: None)
    return Context(SimpleNamespace(settings=conf), view, "https://map.example/ogc", lang, "")


@pytest.fixture(scope="module")
def site(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    live = LiveLayers(None, None, parse(""), folder)
    made = Site(SimpleNamespace(store=store, settings=parse(""), folder=folder, live_layers=live))
    made.rooms.extend(ogc.make(made))
    yield made
    live.close()


def test_the_api_document_is_valid_and_true_to_the_parsing_table(store, site):
    document = openapi.document(context(store), site.rooms)
    openapi_spec_validator.validate(document)
    layer = store.layer("things")
    parameters = document["paths"]["/collections/things/items"]["get"]["parameters"]
    names = [one["name"] for one in parameters]
    assert len(names) == len(set(names))
    assert set(names) == set(queries.PARAMETERS) | set(queries.filters(layer)) | {"at", "f", "profile"}
    # a field named like a parameter is data, not a filter
    assert next(one for one in parameters if one["name"] == "limit")["schema"]["maximum"] == 10_000
    assert document["servers"] == [{"url": "https://map.example/ogc"}]


def test_the_api_document_says_where_if_match_is_required(store, site):
    for settings, required in (("", False), ("layers: {things: {locking: strict}}", True)):
        document = openapi.document(context(store, settings), site.rooms)
        path = document["paths"]["/collections/things/items/{featureId}"]
        for method in ("put", "patch", "delete"):
            (if_match,) = [one for one in path[method]["parameters"] if one["name"] == "If-Match"]
            assert if_match["required"] is required
            assert path[method]["security"]
    assert document["paths"]["/collections/things/items"]["post"]["security"]


def test_the_api_document_types_what_may_be_written(store, site):
    found = openapi.document(context(store), site.rooms)["components"]["schemas"]
    new = found["things.newFeature"]["properties"]["properties"]
    assert new["additionalProperties"] is False
    assert set(new["properties"]) == {"source_id", *(field.name for field in FIELDS)}
    assert new["properties"]["class"] == {"type": "string", "nullable": True, "enum": ["a", "b", None]}
    assert new["properties"]["tags"]["type"] == "array"
    assert found["things.newFeature"]["properties"]["geometry"]["oneOf"] == [
        {"$ref": "#/components/schemas/geometryPoint"}
    ]
    assert "id" not in found["things.newFeature"]["properties"]
    assert "id" in found["things.feature"]["required"]


def test_an_empty_city_has_a_valid_document_too(tmp_path, site):
    opened = geopackage.open(tmp_path / "city.gpkg")
    openapi_spec_validator.validate(openapi.document(context(opened), site.rooms))
    listed = common.Documents(site).collections(context(opened))["collections"]
    assert [one["id"] for one in listed] == list(LIVE_LAYERS)
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


def test_queryables_are_all_that_a_filter_may_name(store):
    found = schemas.queryables(context(store), store.layer("things"))
    assert found["additionalProperties"] is False
    assert set(found["properties"]) == {"id", "geometry", "source_id", *(field.name for field in FIELDS)}
    assert found["properties"]["tags"]["type"] == "array"


def test_single_values_are_query_parameters_unless_named_like_one_of_ours(store):
    layer = store.layer("things")
    names = {field.name for field in schemas.parameters(layer)}
    assert names == set(queries.filters(layer))
    assert not names & {"limit", "tags"}
    assert "name" in names


def test_sortables_have_no_list_and_no_geometry(store):
    found = schemas.sortables(context(store), store.layer("things"))
    assert found["$id"] == "https://map.example/ogc/collections/things/sortables"
    assert set(found["properties"]) == {"id", "source_id", *(field.name for field in FIELDS)} - {"tags"}
    assert found["additionalProperties"] is False


def test_each_schema_keeps_the_rules_of_its_standard(store):
    """OGC 23-058r2, /conf/schemas and /conf/advanced-property-roles."""
    layer = store.layer("things")
    for build in (schemas.schema, schemas.queryables, schemas.sortables):
        found = build(context(store), layer)
        assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert found["type"] == "object"
        assert "?" not in found["$id"]
        places = [one["x-ogc-propertySeq"] for one in found["properties"].values()]
        assert places == list(range(1, len(places) + 1))
        for name, one in found["properties"].items():
            spatial = one.get("format", "").startswith("geometry-")
            assert ("type" in one) is not spatial, name
            assert "$ref" not in one
        roles = [one["x-ogc-role"] for one in found["properties"].values() if "x-ogc-role" in one]
        assert len(roles) == len(set(roles))


def test_a_property_named_id_hides_no_role(store):
    layer = replace(LAYER, fields=(Field("id", "string"), Field("geometry", "string"), Field("x", "date")))
    for build in (schemas.schema, schemas.queryables, schemas.sortables):
        found = build(context(store), layer)["properties"]
        assert found["id"]["type"] == "string"
    roles = {
        one["x-ogc-role"]: name
        for name, one in schemas.schema(context(store), layer)["properties"].items()
        if "x-ogc-role" in one
    }
    assert roles == {"id": "id_", "primary-geometry": "geometry_"}


def test_functions_are_listed_with_their_types(store):
    from layers.cql.functions import FUNCTIONS

    found = schemas.functions(context(store))["functions"]
    assert [one["name"] for one in found] == list(FUNCTIONS)
    by_name = {one["name"]: one for one in found}
    assert by_name["upper"]["returns"] == ["string"]
    assert by_name["upper"]["arguments"][0]["type"] == ["string"]
    assert by_name["abs"]["arguments"][0]["type"] == ["integer", "number"]
    assert all(one["description"] for one in found)


def test_the_geojson_schema_never_narrows_an_integer(store):
    found = schemas.geojson(context(store), store.layer("things"))["properties"]["properties"]["properties"]
    assert found["count"] == {"type": "number", "multipleOf": 1}
    assert found["depth_m"] == {"type": "number"}


def test_a_collection_lists_its_crs_and_time(store, site):
    documents = common.Documents(site)
    found = documents.collection(context(store), store.layer("things"))
    assert found["crs"][0].endswith("CRS84")
    assert "http://www.opengis.net/def/crs/EPSG/0/3879" in found["crs"]
    assert found["extent"]["temporal"]["interval"] == [[None, None]]
    titled = context(store, "layers: {things: {title: {en: My things}}}")
    assert documents.collection(titled, titled.view.layer("things"))["title"] == "My things"


def places(folder, shapes):
    opened = geopackage.open(folder / "city.gpkg")
    stage = opened.stage(LayerSpec("places", "feature", {"en": "Places"}, (), "Point", "EPSG:4326"))
    columns = {
        SOURCE_ID: pa.array([str(i) for i in range(len(shapes))]),
        WKB: pa.array([shapely.to_wkb(shape) for shape in shapes], pa.binary()),
    }
    stage.add(pa.table(columns))
    opened.publish(stage, mode="create")
    view = View(opened, parse(""), lambda seen: Tiles(seen, folder))
    return replace(context(opened), view=view), view.layer("places")


def test_an_empty_layer_states_no_extent(tmp_path, site):
    on, layer = places(tmp_path, [])
    assert "extent" not in common.Documents(site).collection(on, layer)
    assert "boundingBox" not in tilesets.tileset(on, layer)


def test_the_extent_of_a_layer_across_the_antimeridian_has_west_beyond_east(tmp_path, site):
    file = ROOT / "tests" / "found" / "serve" / "10-antimeridian.geojson"
    found = orjson.loads(file.read_bytes())["features"]
    on, layer = places(tmp_path, [shapely.geometry.shape(one["geometry"]) for one in found])
    ((west, south, east, north),) = common.Documents(site).collection(on, layer)["extent"]["spatial"]["bbox"]
    assert (west, east) == (179.9, -179.95)
    assert (south, north) == pytest.approx((-16.9, -16.8), abs=1e-5)
    corners = tilesets.tileset(on, layer)["boundingBox"]
    assert corners["lowerLeft"] == [west, south]
    assert corners["upperRight"] == [east, north]


def test_the_page_opens_on_a_layer_across_the_antimeridian_and_not_over_africa(tmp_path):
    shapes = [shapely.Point(179.9, -16.9), shapely.Point(-179.95, -16.8)]
    on, layer = places(tmp_path, shapes)
    box = page_config._bulk(on.view, layer)
    ((west, south, east, north), count), *others = page_config._around_the_globe(
        [(box, 2), ((177.0, -18.0, 178.0, -17.0), 5)]
    )
    assert (west, east, count) == (179.9, pytest.approx(180.05), 2)
    assert others == [((177.0, -18.0, 178.0, -17.0), 5)]
    view = page_config.overview((west, south, east, north))
    assert view["lon"] == pytest.approx(179.975)
    assert view["height"] < 20_000
    assert page_config.overview((179.95, 0.0, 180.25, 1.0))["lon"] == pytest.approx(-179.9)
    assert page_config._around_the_globe([((1.0, 2.0, 3.0, 4.0), 1)]) == [((1.0, 2.0, 3.0, 4.0), 1)]


def test_gdal_before_3_7_finds_the_schema_by_the_letters_that_it_compares(store, site):
    found = common.Documents(site).collection(context(store), store.layer("things"))["links"]
    by = {rel: [one for one in found if one["rel"] == rel] for rel in ("describedby", "describedBy")}
    assert len(by["describedby"]) == len(by["describedBy"]) == 1
    assert {**by["describedby"][0], "rel": ""} == {**by["describedBy"][0], "rel": ""}


def test_the_tile_matrix_set_is_the_registered_one():
    """Annex D.1 of OGC 17-083r4 gives these numbers."""
    found = tilesets.tile_matrix_set(None, "WebMercatorQuad")["tileMatrices"]
    assert found[0]["scaleDenominator"] == pytest.approx(559082264.028717, rel=1e-12)
    assert found[18]["cellSize"] == pytest.approx(0.597164283559817, rel=1e-9)
    assert (found[18]["matrixWidth"], found[18]["id"]) == (262144, "18")
    with pytest.raises(NotFound):
        tilesets.tile_matrix_set(None, "WorldCRS84Quad")


@pytest.mark.parametrize(
    ("box", "count", "wide"),
    [
        (None, 10**7, False),
        ((24.0, 60.0, 25.0, 61.0), 10**7, True),
        ((-180.0, -90.0, 180.0, 90.0), 10**7, True),
        ((24.0, 60.0, 25.0, 61.0), 50_000, False),
        ((24.0, 60.0, 24.01, 60.01), 10**7, False),
        ((24.0, 60.0, 24.1, 60.1), 10**7, True),
        ((0.0, 0.0, 1.0, 1.0), 10**7, False),
        ((20.0, 50.0, -170.0, 70.0), 10**7, True),
    ],
)
def test_a_box_that_matches_much_is_heavy(box, count, wide):
    layer = replace(LAYER, extent=(24.0, 60.0, 25.0, 61.0), count=count)
    assert cost.is_wide(layer, Query(bbox=box)) is wide


def test_declared_classes_are_uris_once_each(store, site):
    declared = [uri for room in site.rooms for uri in room.conformance]
    assert common.Documents(site).conformance(context(store))["conformsTo"] == declared
    assert len(set(declared)) == len(declared)
    assert all(uri.startswith("http://www.opengis.net/spec/") and "/conf/" in uri for uri in declared)


@pytest.mark.parametrize("text", ["", "x", "-", "-0", "-01", "+1", "1.0", "01", "٣", "1 ", "9" * 19, "1e3"])
def test_what_is_no_feature_id(text):
    with pytest.raises(NotFound):
        feature_id("things", text)


def test_feature_ids():
    assert feature_id("things", "0") == 0
    assert feature_id("things", str(2**63 - 1)) == 2**63 - 1
    assert feature_id("things", "-5") == -5  # as other programs' tables have them


HERE = "http://x/ogc/collections/things/items"


def by_rel(found, rel):
    return [one["href"] for one in found if one["rel"] == rel]


def test_next_replaces_offset_and_keeps_the_rest():
    pairs = [("bbox", "1,2,3,4"), ("offset", "40"), ("name", "a&b=ä"), ("after", "3")]
    found = links.of_page(HERE, links.encoded(pairs), pairs, formats.PAGE, formats.PAGE[0], "f=geojson", "99")
    told = "bbox=1,2,3,4&name=a%26b%3D%C3%A4"
    assert by_rel(found, "next") == [f"{HERE}?{told}&after=99&f=geojson"]
    assert by_rel(found, "self") == [f"{HERE}?bbox=1,2,3,4&offset=40&name=a%26b%3D%C3%A4&after=3&f=geojson"]
    assert (
        by_rel(
            links.of_page(HERE, links.encoded(pairs), pairs, formats.PAGE, formats.PAGE[0], "", None), "next"
        )
        == []
    )
    plain = links.of_page(HERE, links.encoded(pairs[:1]), pairs[:1], formats.PAGE, formats.PAGE[0], "", "99")
    assert by_rel(plain, "next") == [f"{HERE}?bbox=1,2,3,4&after=99"]
    assert by_rel(links.of_page(HERE, "", [], formats.PAGE, formats.PAGE[0], "", "9"), "next") == [
        f"{HERE}?after=9"
    ]


def test_every_other_form_is_an_alternate():
    for own in formats.PAGE:
        found = links.of_page(HERE, "limit=3", [("limit", "3")], formats.PAGE, own, f"f={own.name}", None)
        assert {one["type"] for one in found if one["rel"] == "alternate"} == {
            other.media for other in formats.PAGE if other is not own
        }
        assert [one["type"] for one in found if one["rel"] == "self"] == [own.media]


def test_a_long_header_tells_next_alone():
    short = links.of_page(HERE, "limit=5", [("limit", "5")], formats.PAGE, formats.PAGE[0], "", "9")
    assert links.of_header(short) == link_header(short)
    text = "filter=" + "a" * 500
    long = links.of_page(HERE, text, [("filter", "a" * 500)], formats.PAGE, formats.PAGE[0], "", "9")
    header = links.of_header(long).decode()
    assert header == f'<{HERE}?{text}&after=9>; rel="next"; type="application/geo+json"'
    assert links.of_header([one for one in long if one["rel"] != "next"]) == b""


def test_the_links_kept_for_plain_features_are_those_made_for_one():
    for fid in (0, 41, 10**18 - 1):
        made = links.of_feature(f"{HERE}/{fid}", "", formats.FEATURE, formats.FEATURE[0], "")
        made += versions.feature_links(f"{HERE}/{fid}")
        told, header = links.of_plain_feature(HERE, fid, formats.FEATURE, versions.feature_links)
        assert orjson.loads(told) == made
        assert header == link_header(made)
        made = links.of_feature(f"{HERE}/{fid}", "at=%407", formats.FEATURE, formats.FEATURE[0], "")
        assert made[-1]["rel"] == "collection"
        made[-1]["href"] += "?at=@7"
        made += versions.feature_links(f"{HERE}/{fid}")
        then = HERE.removesuffix("/items") + "?at=@7"
        told, header = links.of_plain_feature(
            HERE, fid, formats.FEATURE, versions.feature_links, "at=%407", then
        )
        assert orjson.loads(told) == made
        assert header == link_header(made)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"bbox=1,2,3,4&limit=5", "bbox=1,2,3,4&limit=5"),
        (b"name=a%26b%c3%a4", "name=a%26b%c3%a4"),
        (b"name=a>b", "name=a%3Eb"),
        (b'name=a"b', "name=a%22b"),
        (b"limit=5&f=json", "limit=5"),
        (b"name=%zz", "name=%25zz"),
        (b"limit=5&", "limit=5"),
    ],
)
def test_a_request_is_repeated_by_its_own_words_where_they_are_plain(raw, told):
    _, pairs = negotiate.chosen(respond.query_pairs({"query_string": raw}), ("f", "profile"))
    assert links.repeated(raw, pairs) == told


@pytest.mark.parametrize(
    ("pairs", "form", "told"),
    [
        ([], 0, "light"),
        ([("bbox", "1,2,3,4"), ("limit", "1000")], 0, "light"),
        ([("limit", "999"), ("offset", "0"), ("after", "99999999")], 0, "light"),
        ([("crs", "x")], 0, "aside"),
        ([("properties", "a,b"), ("limit", "10")], 0, "aside"),
        ([("limit", "10")], 2, "aside"),
        ([("limit", "1001")], 0, "heavy"),
        ([("limit", "10000")], 0, "heavy"),
        ([("offset", "100000")], 0, "heavy"),
        ([("filter", "a=1")], 0, "heavy"),
        ([("properties", "a"), ("sortby", "a")], 0, "heavy"),
        ([("q", "a")], 1, "heavy"),
        ([("name", "a"), ("crs", "x")], 0, "heavy"),
        ([("datetime", "..")], 0, "heavy"),
    ],
)
def test_what_a_request_may_cost_is_told_from_its_parameters(pairs, form, told):
    assert cost.of_request(pairs, formats.PAGE[form]) == told


@pytest.mark.parametrize("form", ["<{}>", "{}", " <{}> "])
def test_content_crs_of_a_projected_crs_with_northing_first(store, form):
    from pyproj import Transformer

    layer = store.layer("things")
    uri = "http://www.opengis.net/def/crs/EPSG/0/3879"
    to = Transformer.from_crs("EPSG:4326", "EPSG:3879")
    north_east = to.transform(60.17, 24.94)
    feature = {"geometry": {"type": "Point", "coordinates": [*north_east, 12.5]}}
    found = edit.to_lonlat(feature, layer, form.format(uri))["geometry"]
    assert found["type"] == "Point"
    np.testing.assert_allclose(found["coordinates"], [24.94, 60.17, 12.5], atol=1e-8)
    assert edit.to_lonlat(feature, layer, None) is feature


def test_content_crs_that_is_not_offered_or_a_geometry_that_is_none(store):
    layer = store.layer("things")
    with pytest.raises(BadParameter, match="Content-Crs"):
        edit.to_lonlat({"geometry": {}}, layer, "<http://www.opengis.net/def/crs/EPSG/0/28992>")
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    nested = {"type": "Polygon", "coordinates": deep}
    beyond = {"type": "Point", "coordinates": [1e300, 1e300]}
    for geometry in (
        {},
        [],
        "x",
        {"type": "Point"},
        {"type": "Point", "coordinates": ["a", 1]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Feature", "geometry": None, "properties": {}},
        nested,
        beyond,
    ):
        with pytest.raises(BadBody, match="geometry"):
            edit.to_lonlat({"geometry": geometry}, layer, "<http://www.opengis.net/def/crs/EPSG/0/3857>")


def test_every_template_is_used_and_every_used_one_exists(site, monkeypatch):
    folder = ROOT / "twin" / "http" / "ogc" / "templates"
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.html")}
    used = set()

    class Seen(Document):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            used.add(self.template)

    for module in (common, features, tilesets):
        monkeypatch.setattr(module, "Document", Seen)
    ogc.make(site)
    used |= {one.template for one in (*features.DOCUMENTS, *tilesets.DOCUMENTS)}
    by_pygeoapi = {"collections/items/index.html", "collections/items/item.html", "exception.html"}
    assert there == used | by_pygeoapi | {"_base.html", "_say.html"}
    for path in there:
        assert "http" not in (folder / path).read_text("utf-8"), path

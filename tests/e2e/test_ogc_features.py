"""OGC API Features Parts 1, 2, 3 and 5 on the real process: what the official suite asks of it."""

import re
from urllib.parse import parse_qsl, urlsplit

import openapi_spec_validator
import pytest

from layers.types import LIVE_LAYERS

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
LAYERS = {
    "buildings": 446,
    "building_parts": 126,
    "addresses": 1462,
    "pipelines": 78,
    "street_assets": 1074,
    "roads": 2577,
    "land_cover": 270,
    "places": 7,
}
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
CENTRE = "24.935,60.165,24.955,60.175"


def get(server, path, status=200, **params):
    answer = server.http.get(path, params=params)
    assert answer.status_code == status, answer.text[:500]
    return answer.json()


def links(document, rel):
    return [one for one in document["links"] if one["rel"] == rel]


@pytest.fixture(scope="module")
def api(server):
    landing = get(server, "/ogc")
    (service,) = [one for one in links(landing, "service-desc") if "openapi" in one["type"]]
    # a client that takes the first one gets it, not the document of the event streams
    assert links(landing, "service-desc")[0] == service
    assert service["type"] == OPENAPI
    answer = server.http.get(service["href"])
    assert answer.headers["content-type"] == OPENAPI
    return answer.json()


def test_the_landing_page_leads_to_everything(server):
    landing = get(server, "/ogc")
    rels = {one["rel"] for one in landing["links"]}
    assert {"self", "alternate", "service-desc", "service-doc", "conformance", "data"} <= rels
    for one in landing["links"]:
        endless = one["type"] == "text/event-stream"
        href = one["href"].replace("{q}", "a")
        answer = server.http.head(href) if endless else server.http.get(href)
        assert answer.status_code == 200, one
        assert answer.headers["content-type"].replace("; charset=utf-8", "") == one["type"]


def test_the_api_document_is_valid_openapi_3_0(api):
    assert re.fullmatch(r"3\.0\.\d", api["openapi"])
    openapi_spec_validator.validate(api)


def test_the_api_document_refers_to_nothing_outside(api):
    def refs(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for child in node.values():
                yield from refs(child)
        elif isinstance(node, list):
            for child in node:
                yield from refs(child)

    found = set(refs(api))
    assert found
    for ref in found:
        assert ref.startswith("#/components/")
        part, name = ref.removeprefix("#/components/").split("/")
        assert name in api["components"][part]


def test_servers_and_paths_are_where_the_clients_look(server, api):
    assert [one["url"] for one in api["servers"]] == [f"{server.url}/ogc"]
    for layer in LAYERS:
        assert f"/collections/{layer}/items" in api["paths"]
        assert f"/collections/{layer}/items/{{featureId}}" in api["paths"]
    operations = [
        verb["operationId"]
        for path in api["paths"].values()
        for name, verb in path.items()
        if name in ("get", "put", "patch")
    ]
    assert len(operations) == len(set(operations))
    assert any(".getTile" in name for name in operations)


def test_every_path_of_the_api_document_answers(server, api):
    for path, verbs in api["paths"].items():
        if "{" in path or "get" not in verbs or path.endswith("/download"):
            continue  # a whole layer in each format is asked for in test_download.py
        assert "200" in verbs["get"]["responses"]
        server_url = verbs.get("servers", api["servers"])[0]["url"]
        needed = [one["name"] for one in verbs["get"]["parameters"] if one.get("required")]
        endless = "text/event-stream" in verbs["get"]["responses"]["200"]["content"]
        ask = server.http.head if endless else server.http.get
        keyed = server.auth if verbs["get"].get("security") else {}
        answer = ask(server_url + path.rstrip("/"), params=dict.fromkeys(needed, "a"), headers=keyed)
        assert answer.status_code == 200, path


def test_the_standard_parameters_are_written_out(api):
    for layer in LAYERS:
        parameters = {
            one["name"]: one for one in api["paths"][f"/collections/{layer}/items"]["get"]["parameters"]
        }
        for one in parameters.values():
            assert one["in"] == "query"
            assert one["style"] == "form"
            assert one["explode"] is False
            assert one["required"] is False
            assert "type" in one["schema"]
        limit = parameters["limit"]["schema"]
        assert limit["type"] == "integer"
        assert limit["minimum"] == 1
        assert limit["default"] == 100
        assert limit["maximum"] == 10_000
        assert parameters["bbox"]["schema"]["type"] == "array"
        assert parameters["bbox"]["schema"]["items"]["type"] == "number"
        assert parameters["datetime"]["schema"]["type"] == "string"
        assert {"crs", "bbox-crs", "f", "source_id"} <= set(parameters)
    assert api["components"]["parameters"]["limit"]["schema"]["maximum"] == 10_000


def test_each_queryable_is_a_parameter_and_the_other_way_round(server, api):
    standard = {*api["components"]["parameters"], "at"}
    for layer in LAYERS:
        queryables = get(server, f"/ogc/collections/{layer}/queryables")
        names = {
            name
            for name, one in queryables["properties"].items()
            if one.get("x-ogc-role") != "primary-geometry" and one["type"] != "array"
        }
        parameters = {one["name"] for one in api["paths"][f"/collections/{layer}/items"]["get"]["parameters"]}
        assert names == parameters - standard


def test_the_classes_that_clients_look_for_are_declared(server):
    classes = get(server, "/ogc/conformance")["conformsTo"]
    assert len(classes) == len(set(classes))
    for name in (
        *(f"ogcapi-features-1/1.0/conf/{part}" for part in ("core", "oas30", "geojson", "html")),
        *(f"ogcapi-features-3/1.0/conf/{part}" for part in ("filter", "features-filter", "queryables")),
        *(f"cql2/1.0/conf/{part}" for part in ("cql2-text", "cql2-json", "basic-cql2", "arithmetic")),
        "ogcapi-features-4/1.0/conf/create-replace-delete",
        "ogcapi-features-5/1.0/conf/schemas",
        "ogcapi-common-3/1.0/conf/sortables",
        "json-fg-1/1.0/conf/core",
    ):
        assert f"http://www.opengis.net/spec/{name}" in classes


def test_the_collections_and_their_links(server):
    document = get(server, "/ogc/collections")
    assert {one["id"] for one in document["collections"]} == {*LAYERS, *LIVE_LAYERS}
    assert {one["type"] for one in document["links"] if one["rel"] == "alternate"} == {"text/html"}
    for listed in document["collections"]:
        alone = get(server, f"/ogc/collections/{listed['id']}")
        assert alone == listed
        items = [one for one in links(listed, "items") if one["type"] == "application/geo+json"]
        assert len(items) == 1
        assert CRS84 in listed["crs"]
        assert listed["storageCrs"] == CRS84
        if listed["id"] in LIVE_LAYERS:
            continue
        west, south, east, north = listed["extent"]["spatial"]["bbox"][0]
        assert 24.8 < west < east < 25.1
        assert 60.1 < south < north < 60.3
        first = server.http.get(items[0]["href"], params={"limit": 1}).json()["features"][0]
        url = items[0]["href"].partition("?")[0] + f"/{first['id']}"
        assert server.http.get(url).json()["id"] == first["id"]


@pytest.mark.parametrize(("layer", "count"), LAYERS.items())
def test_number_matched_is_what_the_next_links_give(server, layer, count):
    url, seen = f"{server.url}/ogc/collections/{layer}/items?limit=100", []
    while url:
        page = server.http.get(url).json()
        assert page["numberMatched"] == count
        assert page["numberReturned"] == len(page["features"])
        seen += [one["id"] for one in page["features"]]
        following = links(page, "next")
        assert all(one["type"] == "application/geo+json" for one in following)
        url = following[0]["href"] if following else None
    assert len(seen) == len(set(seen)) == count


def test_the_page_has_everything_the_suite_looks_for(server):
    answer = server.http.get("/ogc/collections/buildings/items", params={"limit": 1})
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["content-crs"] == f"<{CRS84}>"
    page = answer.json()
    assert page["type"] == "FeatureCollection"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", page["timeStamp"])
    assert {one["rel"] for one in page["links"]} == {"self", "alternate", "next", "collection"}
    assert [one["type"] for one in links(page, "alternate")] == [
        "text/html",
        "application/fg+json",
        "application/flatgeobuf",
        "text/csv",
    ]
    header = answer.headers["link"]
    for one in page["links"]:
        assert f'<{one["href"]}>; rel="{one["rel"]}"' in header
    feature = get(server, f"/ogc/collections/buildings/items/{page['features'][0]['id']}")
    versions = {"version-history", "timegate", "timemap"}
    assert {one["rel"] for one in feature["links"]} == {"self", "alternate", "collection", *versions}
    assert feature["properties"] == page["features"][0]["properties"]
    assert feature["geometry"] == page["features"][0]["geometry"]


def test_the_self_link_repeats_the_request(server):
    asked = {"limit": "2", "bbox": CENTRE, "height_source": "measured"}
    page = get(server, "/ogc/collections/buildings/items", **asked)
    (own,) = links(page, "self")
    assert dict(parse_qsl(urlsplit(own["href"]).query)) == asked
    again = server.http.get(own["href"]).json()
    assert again["features"] == page["features"]


@pytest.mark.parametrize(
    "box", ["177,65,-177,70", "-180,-90,180,-60", "-180,70,180,90", "-180,-90,180,90", CENTRE]
)
def test_the_boxes_of_the_suite(server, box):
    page = get(server, "/ogc/collections/buildings/items", bbox=box, limit="1000")
    inside = 446 if box == "-180,-90,180,90" else 0
    if box == CENTRE:
        assert 0 < page["numberMatched"] <= 446
    else:
        assert page["numberMatched"] == inside


def test_a_box_of_six_numbers_is_read_by_its_plane(server):
    flat = get(server, "/ogc/collections/buildings/items", bbox=CENTRE, limit="1")
    solid = get(
        server, "/ogc/collections/buildings/items", bbox="24.935,60.165,-50,24.955,60.175,500", limit="1"
    )
    assert solid["numberMatched"] == flat["numberMatched"] > 0


def test_limit_is_obeyed_and_clamped(server):
    assert get(server, "/ogc/collections/roads/items", limit="1")["numberReturned"] == 1
    assert get(server, "/ogc/collections/roads/items")["numberReturned"] == 100
    assert get(server, "/ogc/collections/roads/items", limit="10000")["numberReturned"] == 2577
    assert get(server, "/ogc/collections/roads/items", limit="10001")["numberReturned"] == 2577


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z/2026-02-01T00:00:00Z",
        "../2026-02-01T00:00:00Z",
        "2026-01-01T00:00:00Z/..",
        "0000-01-01T00:00:00Z/2026-02-01T00:00:00Z",
        "2026-01-01T00:00:00Z/9999-12-31T00:00:00Z",
    ],
)
def test_a_time_on_a_layer_without_time_matches_all(server, time):
    assert get(server, "/ogc/collections/pipelines/items", datetime=time, limit="1")["numberMatched"] == 78


def test_crs_is_offered_answered_and_refused(server):
    offered = get(server, "/ogc/collections/buildings")["crs"]
    plain = get(server, "/ogc/collections/buildings/items", limit="3")
    for uri in offered:
        answer = server.http.get("/ogc/collections/buildings/items", params={"limit": 3, "crs": uri})
        assert answer.status_code == 200
        assert answer.headers["content-crs"] == f"<{uri}>"
        one = server.http.get(
            f"/ogc/collections/buildings/items/{plain['features'][0]['id']}", params={"crs": uri}
        )
        assert one.headers["content-crs"] == f"<{uri}>"
        assert one.json()["geometry"] == answer.json()["features"][0]["geometry"]
    get(server, "/ogc/collections/buildings/items", 400, crs="http://www.opengis.net/def/crs/0/unsupported")
    told = get(
        server,
        "/ogc/collections/buildings/items",
        400,
        bbox=CENTRE,
        **{"bbox-crs": "http://www.opengis.net/def/crs/0/unsupported"},
    )
    assert "bbox-crs" in told["detail"]


def test_epsg_4326_is_latitude_first(server):
    lonlat = get(server, "/ogc/collections/addresses/items", limit="1")["features"][0]["geometry"][
        "coordinates"
    ]
    latlon = get(server, "/ogc/collections/addresses/items", limit="1", crs=EPSG + "4326")
    assert latlon["features"][0]["geometry"]["coordinates"] == [lonlat[1], lonlat[0]]
    west, south, east, north = CENTRE.split(",")
    plain = get(server, "/ogc/collections/addresses/items", bbox=CENTRE, limit="1")["numberMatched"]
    turned = get(
        server,
        "/ogc/collections/addresses/items",
        bbox=",".join((south, west, north, east)),
        limit="1",
        **{"bbox-crs": EPSG + "4326"},
    )
    assert turned["numberMatched"] == plain > 0


def test_a_property_filter_matches_its_features_alone(server):
    everything = get(server, "/ogc/collections/pipelines/items", limit="100")["features"]
    for medium in {one["properties"]["medium"] for one in everything}:
        page = get(server, "/ogc/collections/pipelines/items", medium=medium, limit="100")
        wanted = {one["id"] for one in everything if one["properties"]["medium"] == medium}
        assert {one["id"] for one in page["features"]} == wanted
    assert get(server, "/ogc/collections/pipelines/items", medium="no such")["numberMatched"] == 0


def test_schema_and_data_agree(server):
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    for layer in LAYERS:
        schema = server.http.get(f"/ogc/collections/{layer}/schema")
        assert schema.headers["content-type"] == "application/schema+json"
        properties = schema.json()["properties"]
        assert properties["id"]["x-ogc-role"] == "id"
        assert properties["geometry"]["x-ogc-role"] == "primary-geometry"
        for feature in get(server, f"/ogc/collections/{layer}/items", limit="1000")["features"]:
            assert set(feature["properties"]) == set(properties) - {"id", "geometry"}
            for name, value in feature["properties"].items():
                assert value is None or isinstance(value, types[properties[name]["type"]]), (
                    layer,
                    name,
                    value,
                )
                if value is not None and "enum" in properties[name]:
                    assert value in properties[name]["enum"], (layer, name, value)


def test_titles_follow_the_language(server):
    path = "/ogc/collections/buildings"
    zh = server.http.get(path, headers={"accept-language": "zh-CN"})
    en = server.http.get(path, headers={"accept-language": "en-GB,en;q=0.8"})
    assert zh.headers["content-language"] == "zh-CN"
    assert en.headers["content-language"] == "en"
    assert zh.json()["title"] != en.json()["title"]
    assert "accept-language" in en.headers["vary"].lower()


def test_head_says_what_get_says(server):
    for path in (
        "/ogc",
        "/ogc/collections",
        "/ogc/collections/roads/items?limit=50",
        "/ogc/collections/roads/items/1",
        "/ogc/api",
    ):
        got, head = server.http.get(path), server.http.head(path)
        assert head.status_code == got.status_code == 200
        assert head.content == b""
        for name in ("content-type", "etag", "content-length"):
            if name in got.headers and not (name == "content-length" and "items" in path):
                assert head.headers[name] == got.headers[name]


def test_large_answers_are_compressed_for_who_takes_it(server):
    path = "/ogc/collections/roads/items?limit=1000"
    plain = server.http.get(path, headers={"accept-encoding": "identity"})
    packed = server.http.get(path, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) * 3 < int(plain.headers["content-length"])
    assert packed.json()["features"] == plain.json()["features"]


def test_the_tilesets_are_described(server):
    landing = get(server, "/ogc")
    rel = "http://www.opengis.net/def/rel/ogc/1.0/"
    (schemes,) = links(landing, rel + "tiling-schemes")
    (matrix_set,) = server.http.get(schemes["href"]).json()["tileMatrixSets"]
    definition = server.http.get(matrix_set["links"][0]["href"]).json()
    assert definition["tileMatrices"][0]["scaleDenominator"] == pytest.approx(559082264.028717, rel=1e-9)
    for layer in LAYERS:
        (listed,) = links(get(server, f"/ogc/collections/{layer}"), rel + "tilesets-vector")
        (summary,) = server.http.get(listed["href"]).json()["tilesets"]
        tileset = server.http.get(links(summary, "self")[0]["href"]).json()
        assert tileset["tileMatrixSetURI"] == matrix_set["uri"]
        template = links(tileset, "item")[0]
        assert template["type"] == "application/vnd.mapbox-vector-tile"
        url = template["href"].format(tileMatrix=14, tileRow=4742, tileCol=9327)
        tile = server.http.get(url)
        assert tile.status_code == 200
        assert tile.content == server.http.get(f"/tiles/{layer}/14/9327/4742.mvt").content


def test_an_empty_tile_is_200_and_a_tile_outside_is_not_there(server):
    here = "/ogc/collections/buildings/tiles/WebMercatorQuad"
    empty = server.http.get(f"{here}/14/0/0")
    assert (empty.status_code, empty.content) == (200, b"")
    assert empty.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert server.http.get(f"{here}/14/2147483647/0").status_code in (400, 404)
    assert server.http.get(f"{here}/14/0/2147483647").status_code in (400, 404)
    assert server.http.get(f"{here}/a/b/c").status_code == 404
    assert server.http.get(f"{here.replace('WebMercatorQuad', 'Other')}/0/0/0").status_code == 404

"""Our items against pygeoapi's own path over the same store: equal, or a difference with a reason."""

import itertools
import json
import random
from urllib.parse import urlencode

import pytest

from twin.http.ogc.pygeoapi_host import Host, items_through_pygeoapi

BASE = "http://127.0.0.1/ogc"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"
EPSG_3857 = "http://www.opengis.net/def/crs/EPSG/0/3857"
LAYERS = ("buildings", "building_parts", "addresses", "pipelines", "street_assets", "roads")
FILTERS = {
    "buildings": ("height_source", ["measured", "levels", "default", "nothing"]),
    "building_parts": ("height_source", ["measured", "levels", "default"]),
    "addresses": ("street", ["Mannerheimintie", "Kaivokatu", "Aleksanterinkatu"]),
    "pipelines": ("medium", ["water", "heat", "gas", "cooling"]),
    "street_assets": ("class", ["hydrant", "lamp", "cabinet"]),
    "roads": ("class", ["footway", "service", "residential"]),
}
SORTS = {
    "buildings": ["height_m", "-height_m", "name,-height_m"],
    "building_parts": ["-height_m", "source_id"],
    "addresses": ["street", "-street,source_id"],
    "pipelines": ["medium,-source_id", "-diameter_mm"],
    "street_assets": ["class", "-source_id"],
    "roads": ["name", "-name", "+class,-name"],
}
WORDS = ["a", "katu", "MANNERHEIM", "esplanadi,kaivo", "zzz", "ä"]
EQUAL, COMPARED = 500, ("type", "numberMatched", "numberReturned", "features")
#: What pygeoapi does otherwise, and why ours is right: request, its status, our status, reason.
DIFFERENCES = [
    (
        {"nosuchparam": "1"},
        200,
        400,
        "unknown parameters are refused (Features Part 1, /req/core/query-param-unknown)",
    ),
    ({"resulttype": "hits"}, 200, 400, "a parameter of its own; numberMatched is in every page"),
    ({"skipGeometry": "true"}, 200, 400, "a parameter of its own, which providers may ignore"),
    ({"lang": "en"}, 200, 400, "Accept-Language chooses"),
    ({"offset": "200000"}, 400, 400, "refused there by our store"),
    ({"filter": "name = 'x'", "filter-lang": "cql-text"}, 200, 400, "not a name of the standard"),
    ({"filter": "name LIKE 5"}, 400, 400, ""),
    ({"filter": "no_such_property = 1"}, 400, 400, ""),
    ({"filter": "name = 'it''s'"}, 400, 200, "pygeofilter does not read a doubled quote"),
    ({"filter": "name NOT LIKE 'x'", "q": ""}, 200, 400, "an empty q is no word"),
    ({"filter": "height_m DIV 2 = 1"}, 400, 200, "pygeofilter has no DIV"),
    ({"bbox": "nan,nan,nan,nan"}, None, 400, "not a box"),
    ({"sortby": "no_such_property"}, 400, 400, ""),
    ({"sortby": "name,name"}, 400, 400, "refused there by our store"),
    ({"properties": "no_such_property"}, 400, 400, ""),
    ({"bbox": "24,60,25,61", "bbox-crs": ""}, 400, 400, ""),
    ({"bbox-crs": EPSG_4326}, 400, 200, "a CRS without a box says nothing"),
    ({"bbox": "24,61,25,60"}, 400, 400, ""),
    ({"limit": "unlimited"}, 400, 400, ""),
    ({"limit": "0"}, 400, 400, ""),
    ({"offset": "-1"}, 400, 400, ""),
    ({"bbox": "a,b,c,d"}, 400, 400, ""),
    ({"datetime": "foo"}, 400, 400, ""),
    ({"crs": "http://www.opengis.net/def/crs/EPSG/0/28992"}, 400, 400, ""),
    ({"f": "jsonld"}, 200, 400, "not offered: its writer fetches contexts"),
]


def predicate(chance, layer):
    """A filter that both read: within what pygeofilter 0.4 has of CQL2 text."""
    name, values = FILTERS[layer]
    value, other = chance.choice(values), chance.choice(values)
    lon, lat = chance.uniform(24.92, 24.96), chance.uniform(60.160, 60.178)
    triangle = f"POLYGON(({lon} {lat}, {lon + 0.01} {lat}, {lon} {lat + 0.01}, {lon} {lat}))"
    simple = [
        f"{name} = '{value}'",
        f"{name} <> '{value}'",
        f"{name} IN ('{value}', '{other}')",
        f"{name} NOT IN ('{value}')",
        f"{name} LIKE '{value[:2]}%'",
        f"{name} NOT LIKE '%{value[-1]}'",
        f"source_id IS NOT NULL AND {name} > '{value}'",
        f"{name} IS NULL",
        f"S_INTERSECTS(geometry, {triangle})",
        f"S_WITHIN(geometry, {triangle})",
        f"S_DISJOINT(geometry, {triangle})",
        f"NOT {name} = '{value}'",
    ]
    first, second = chance.sample(simple, 2)
    return chance.choice([first, first, f"({first}) AND ({second})", f"({first}) OR ({second})"])


def requests(seed=3, count=EQUAL):
    """Valid requests of every kind, the same ones at every run."""
    chance = random.Random(seed)
    for layer in itertools.islice(itertools.cycle(LAYERS), count):
        asked = {"limit": str(chance.choice([1, 2, 7, 10, 100, 1000]))}
        if chance.random() < 0.4:
            lon, lat = chance.uniform(24.92, 24.96), chance.uniform(60.160, 60.178)
            width, height = chance.uniform(0, 0.02), chance.uniform(0, 0.01)
            box = [lon, lat, lon + width, lat + height]
            if chance.random() < 0.3:
                box = [box[1], box[0], box[3], box[2]]
                asked["bbox-crs"] = EPSG_4326
            asked["bbox"] = ",".join(f"{one:.7f}" for one in box)
        if chance.random() < 0.3:
            name, values = FILTERS[layer]
            asked[name] = chance.choice(values)
        if chance.random() < 0.4:
            asked["filter"] = predicate(chance, layer)
        if chance.random() < 0.3:
            asked["sortby"] = chance.choice(SORTS[layer])
        if chance.random() < 0.2:
            asked["properties"] = chance.choice([FILTERS[layer][0], f"source_id,{FILTERS[layer][0]}"])
        if chance.random() < 0.2:
            asked["q"] = chance.choice(WORDS)
        if chance.random() < 0.3:
            asked["offset"] = str(chance.choice([0, 1, 5, 60, 2000]))
        if chance.random() < 0.3:
            asked["crs"] = chance.choice([CRS84, EPSG_4326, EPSG_3857])
        if chance.random() < 0.2:
            asked["datetime"] = chance.choice(
                ["2020-01-01T00:00:00Z/..", "../2030-01-01T00:00:00Z", "2024-02-29"]
            )
        yield layer, asked


@pytest.fixture(scope="module")
def city(helsinki_template, tmp_path_factory):
    """The same city opened in this process, beside the server's own copy."""
    from tests.support import copy_city
    from twin.app import open_city

    opened = open_city(copy_city(helsinki_template, tmp_path_factory.mktemp("own") / "helsinki"))
    yield opened
    opened.close()


def test_five_hundred_requests_have_equal_answers(server, city):
    compared = nonempty = 0
    used = set()
    for layer, asked in requests():
        ours = server.http.get(f"/ogc/collections/{layer}/items", params=asked)
        status, theirs = items_through_pygeoapi(city, layer, urlencode(asked))
        assert ours.status_code == status == 200, (layer, asked, ours.text[:300], theirs)
        mine = ours.json()
        for member in COMPARED:
            assert mine[member] == theirs[member], (layer, asked, member)
        # its next link is there whenever the page is full, even when nothing follows; ours is exact
        more = mine["numberMatched"] > int(asked.get("offset", 0)) + mine["numberReturned"]
        has_next = [one for one in mine["links"] if one["rel"] == "next"]
        assert bool(has_next) == (more and mine["numberReturned"] > 0)
        compared += 1
        nonempty += bool(mine["features"])
        used |= set(asked)
    assert compared == EQUAL
    assert nonempty >= EQUAL // 2
    assert {"filter", "sortby", "properties", "q", "bbox", "crs", "datetime", "offset"} <= used


def test_single_features_have_equal_answers(server, city):
    host, chance = Host(city), random.Random(5)
    for layer in LAYERS:
        page = server.http.get(f"/ogc/collections/{layer}/items", params={"limit": 1000}).json()
        for one in chance.sample(page["features"], 6):
            query = chance.choice(["", f"crs={EPSG_4326}", f"crs={EPSG_3857}"])
            ours = server.http.get(f"/ogc/collections/{layer}/items/{one['id']}?{query}").json()
            status, content = host.raw_item(BASE, layer, str(one["id"]), query)
            theirs = json.loads(content)
            assert status == 200
            for member in ("type", "id", "geometry", "properties"):
                assert ours[member] == theirs[member], (layer, one["id"], query, member)
    for missing in ("999999999", "x", "-1"):
        assert server.http.get(f"/ogc/collections/roads/items/{missing}").status_code == 404
        assert host.raw_item(BASE, "roads", missing, "")[0] == 404


@pytest.mark.parametrize(("asked", "their_status", "our_status", "reason"), DIFFERENCES)
def test_each_difference_is_known(server, city, asked, their_status, our_status, reason):
    ours = server.http.get("/ogc/collections/buildings/items", params=asked)
    assert ours.status_code == our_status
    assert reason or their_status == our_status
    if their_status is not None:
        status, _ = Host(city).raw_items(BASE, "buildings", urlencode(asked))
        assert status == their_status


def test_a_new_layer_is_known_to_the_embedded_pygeoapi(city):
    host = Host(city)
    status, _ = host.raw_items(BASE, "pipelines", "limit=1")
    assert status == 200
    status, told = host.raw_items(BASE, "nothing", "limit=1")
    assert status == 404
    assert json.loads(told)["code"] == "NotFound"
    city.store.drop("pipelines")
    status, _ = host.raw_items(BASE, "pipelines", "limit=1")
    assert status == 404

"""Our items against pygeoapi's own path over the same store: equal, or a difference with a reason."""

import itertools
import json
import random
from urllib.parse import urlencode

import pytest

from tests.clients.layers import COUNT, MANY, add
from tests.support import copy_city
from twin.app import open_city
from twin.http.ogc.pygeoapi_host import Host

BASE = "http://127.0.0.1/ogc"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"
EPSG_3857 = "http://www.opengis.net/def/crs/EPSG/0/3857"
LAYERS = ("buildings", "building_parts", "addresses", "pipelines", "street_assets", "roads", MANY)
FILTERS = {
    "buildings": ("height_source", ["measured", "levels", "default", "nothing"]),
    "building_parts": ("height_source", ["measured", "levels", "default"]),
    "addresses": ("street", ["Mannerheimintie", "Kaivokatu", "Aleksanterinkatu"]),
    "pipelines": ("medium", ["water", "heat", "gas", "cooling"]),
    "street_assets": ("class", ["hydrant", "lamp", "cabinet"]),
    "roads": ("class", ["footway", "service", "residential"]),
    MANY: ("source_id", ["m7", "m40", "m3000"]),
}
NUMBERS = {"buildings": "height_m", "building_parts": "height_m", "pipelines": "diameter_mm", MANY: "ratio"}
#: What is asked for before the filtered property, where that is the source_id itself.
SELECTED = {MANY: "day"}
SORTS = {
    "buildings": ["height_m", "-height_m", "name,-height_m"],
    "building_parts": ["-height_m", "source_id"],
    "addresses": ["street", "-street,source_id"],
    "pipelines": ["medium,-source_id", "-diameter_mm"],
    "street_assets": ["class", "-source_id"],
    "roads": ["name", "-name", "+class,-name"],
    MANY: ["at", "-day,source_id", "-ratio"],
}
TIMES = [
    "2020-01-01T00:00:00Z/..",
    "../2030-01-01T00:00:00Z",
    "2024-02-29",
    "2024-03-01T00:00:14Z",
    "2024-02-01T00:00:10Z/2024-05-01T00:00:20Z",
]
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
INFIX = "pygeofilter writes the temporal functions of CQL2 between their operands"
MOMENT = "TIMESTAMP('2024-03-01T00:00:14Z')"
#: The same, of the layer that has times.
TIMED_DIFFERENCES = [
    ({"filter": f"T_AFTER(at, {MOMENT})"}, 400, 200, INFIX),
    ({"filter": "T_INTERSECTS(at, INTERVAL('2024-02-01T00:00:00Z', '..'))"}, 400, 200, INFIX),
    ({"filter": f"at T_AFTER {MOMENT}"}, 400, 400, ""),
    ({"filter": "n + 1 > 5"}, 400, 200, "pygeofilter has no names of one letter"),
    ({"filter": "ratio % 2 = 1"}, 400, 200, "pygeofilter has no remainder"),
    ({"datetime": "2024-02-30"}, 400, 400, ""),
    ({"datetime": "2025-01-01/2024-01-01"}, 400, 400, ""),
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
        f"CASEI({name}) = CASEI('{value.upper()}')",
        f"CASEI({name}) LIKE CASEI('{value[:2].upper()}%')",
    ]
    if layer in NUMBERS:
        number, size = NUMBERS[layer], chance.choice([3, 12, 300])
        simple += [
            f"{number} * 2 - 1 > {size}",
            f"{number} / 2 <= {size} + 1",
            f"{number} BETWEEN {size} - 2 AND {size} * 2",
        ]
    if layer == MANY:
        moment = f"TIMESTAMP('2024-0{chance.randint(1, 9)}-01T00:00:1{chance.randint(0, 9)}Z')"
        day = f"DATE('2024-0{chance.randint(1, 9)}-1{chance.randint(0, 9)}')"
        simple += [
            f"at > {moment}",
            f"at <= {moment}",
            f"at BETWEEN {moment} AND TIMESTAMP('2024-10-01T00:00:00Z')",
            f"day < {day}",
            f"day = {day}",
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
            first = SELECTED.get(layer, "source_id")
            asked["properties"] = chance.choice([FILTERS[layer][0], f"{first},{FILTERS[layer][0]}"])
        if chance.random() < 0.2:
            asked["q"] = chance.choice(WORDS)
        if chance.random() < 0.3:
            asked["offset"] = str(chance.choice([0, 1, 5, 60, 2000]))
        if chance.random() < 0.3:
            asked["crs"] = chance.choice([CRS84, EPSG_4326, EPSG_3857])
        if chance.random() < (0.5 if layer == MANY else 0.2):
            asked["datetime"] = chance.choice(TIMES)
        yield layer, asked


@pytest.fixture(scope="module")
def timed(helsinki_template, tmp_path_factory):
    """Helsinki and a layer that has times; copy it."""
    folder = copy_city(helsinki_template, tmp_path_factory.mktemp("timed") / "helsinki")
    add(folder)
    return folder


@pytest.fixture(scope="module")
def helsinki_module(timed, tmp_path_factory):
    """What the server of this module has."""
    return copy_city(timed, tmp_path_factory.mktemp("city") / "helsinki")


@pytest.fixture(scope="module")
def city(timed, tmp_path_factory):
    """The same city opened in this process, beside the server's own copy."""
    opened = open_city(copy_city(timed, tmp_path_factory.mktemp("own") / "helsinki"))
    yield opened
    opened.close()


def escaped(told):
    """As pygeoapi tells it: its ``util.to_json`` escapes angle brackets in values, in JSON too."""
    return json.loads(json.dumps(told).replace("<", "&lt;").replace(">", "&gt;"))


def test_five_hundred_requests_have_equal_answers(server, city):
    compared = nonempty = 0
    used, filters, halved, angled = set(), "", 0, False
    for layer, asked in requests():
        ours = server.http.get(f"/ogc/collections/{layer}/items", params=asked)
        status, theirs = Host(city).raw_items(BASE, layer, urlencode(asked))
        assert ours.status_code == status == 200, (layer, asked, ours.text[:300], theirs)
        theirs = json.loads(theirs)
        mine = ours.json()
        for member in COMPARED:
            assert escaped(mine[member]) == theirs[member], (layer, asked, member)
        # its next link is there whenever the page is full, even when nothing follows; ours is exact
        more = mine["numberMatched"] > int(asked.get("offset", 0)) + mine["numberReturned"]
        has_next = [one for one in mine["links"] if one["rel"] == "next"]
        assert bool(has_next) == (more and mine["numberReturned"] > 0)
        compared += 1
        nonempty += bool(mine["features"])
        angled |= escaped(mine["features"]) != mine["features"]
        used |= set(asked)
        filters += asked.get("filter", "") + "\n"
        halved += layer == MANY and "datetime" in asked and 0 < mine["numberMatched"] < COUNT
    assert compared == EQUAL
    assert nonempty >= EQUAL // 2
    assert {"filter", "sortby", "properties", "q", "bbox", "crs", "datetime", "offset"} <= used
    assert halved >= 10
    assert angled
    assert all(word in filters for word in ("CASEI(", " * 2 - 1", " / 2", "BETWEEN", "TIMESTAMP(", "DATE("))


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
    differs(server, city, "buildings", asked, their_status, our_status, reason)


@pytest.mark.parametrize(("asked", "their_status", "our_status", "reason"), TIMED_DIFFERENCES)
def test_each_difference_about_times_is_known(server, city, asked, their_status, our_status, reason):
    differs(server, city, MANY, asked, their_status, our_status, reason)


def differs(server, city, layer, asked, their_status, our_status, reason):
    """Assert both statuses, and that there is a reason where they are not equal."""
    ours = server.http.get(f"/ogc/collections/{layer}/items", params=asked)
    assert ours.status_code == our_status
    assert reason or their_status == our_status
    if their_status is not None:
        status, _ = Host(city).raw_items(BASE, layer, urlencode(asked))
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

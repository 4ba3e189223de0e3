"""Our items against pygeoapi's own path over the same store: equal, or a difference with a reason."""

import itertools
import json
import random
from urllib.parse import urlencode

import pytest

from twin.http.ogc.pygeoapi_host import items_through_pygeoapi

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"
LAYERS = ("buildings", "building_parts", "addresses", "pipelines", "street_assets", "roads")
FILTERS = {
    "buildings": ("height_source", ["measured", "levels", "default", "nothing"]),
    "building_parts": ("height_source", ["measured", "levels", "default"]),
    "addresses": ("street", ["Mannerheimintie", "Kaivokatu", "Aleksanterinkatu"]),
    "pipelines": ("medium", ["water", "heat", "gas", "cooling"]),
    "street_assets": ("class", ["hydrant", "lamp", "cabinet"]),
    "roads": ("class", ["footway", "service", "residential"]),
}
#: What pygeoapi does otherwise, and why ours is right. (request, its status, our status)
DIFFERENCES = [
    ({"nosuchparam": "1"}, 200, 400),  # Features Part 1 req. 8: unknown parameters are refused
    ({"filter": "no_such_property = 1"}, 200, 400),  # accepted and ignored there
    ({"bbox": "nan,nan,nan,nan"}, None, 400),  # not a box
    ({"sortby": "-name"}, 200, 400),  # accepted and ignored there
    ({"bbox": "24,60,25,61", "bbox-crs": ""}, 400, 400),
    ({"limit": "unlimited"}, 400, 400),
    ({"limit": "0"}, 400, 400),
    ({"offset": "-1"}, 400, 400),
    ({"bbox": "a,b,c,d"}, 400, 400),
    ({"crs": "http://www.opengis.net/def/crs/EPSG/0/28992"}, 400, 400),
]


def requests(seed=3, count=120):
    """Valid requests of every kind, the same ones at every run."""
    chance = random.Random(seed)
    for layer in itertools.islice(itertools.cycle(LAYERS), count):
        asked = {"limit": str(chance.choice([1, 2, 7, 10, 100, 1000]))}
        if chance.random() < 0.6:
            lon, lat = chance.uniform(24.92, 24.96), chance.uniform(60.160, 60.178)
            width, height = chance.uniform(0, 0.02), chance.uniform(0, 0.01)
            box = [lon, lat, lon + width, lat + height]
            if chance.random() < 0.3:
                box = [box[1], box[0], box[3], box[2]]
                asked["bbox-crs"] = EPSG_4326
            asked["bbox"] = ",".join(f"{one:.7f}" for one in box)
        if chance.random() < 0.4:
            name, values = FILTERS[layer]
            asked[name] = chance.choice(values)
        if chance.random() < 0.3:
            asked["offset"] = str(chance.choice([0, 1, 5, 60, 2000]))
        if chance.random() < 0.3:
            asked["crs"] = chance.choice([CRS84, EPSG_4326])
        if chance.random() < 0.2:
            asked["datetime"] = "2020-01-01T00:00:00Z/.."
        yield layer, asked


@pytest.fixture(scope="module")
def city(helsinki_template, tmp_path_factory):
    """The same city opened in this process, beside the server's own copy."""
    from tests.support import copy_city
    from twin.app import open_city

    opened = open_city(copy_city(helsinki_template, tmp_path_factory.mktemp("own") / "helsinki"))
    yield opened
    opened.pool.shutdown()
    opened.store.close()


def test_a_hundred_requests_have_equal_answers(server, city):
    compared = nonempty = 0
    for layer, asked in requests():
        ours = server.http.get(f"/ogc/collections/{layer}/items", params=asked)
        status, theirs = items_through_pygeoapi(city, layer, urlencode(asked))
        assert ours.status_code == status == 200, (layer, asked, ours.text[:300], theirs)
        mine = ours.json()
        for member in ("type", "numberMatched", "numberReturned", "features"):
            assert mine[member] == theirs[member], (layer, asked, member)
        # its next link is there whenever the page is full, even when nothing follows; ours is exact
        more = mine["numberMatched"] > int(asked.get("offset", 0)) + mine["numberReturned"]
        has_next = [one for one in mine["links"] if one["rel"] == "next"]
        assert bool(has_next) == (more and mine["numberReturned"] > 0)
        compared += 1
        nonempty += bool(mine["features"])
    assert compared >= 100
    assert nonempty >= 50


@pytest.mark.parametrize(("asked", "their_status", "our_status"), DIFFERENCES)
def test_each_difference_is_known(server, city, asked, their_status, our_status):
    ours = server.http.get("/ogc/collections/buildings/items", params=asked)
    assert ours.status_code == our_status
    if their_status is not None:
        status, _ = items_through_pygeoapi(city, "buildings", urlencode(asked))
        assert status == their_status


def test_a_new_layer_is_known_to_the_embedded_pygeoapi(city):
    from twin.http.ogc.pygeoapi_host import Host

    host = Host(city)
    status, _ = host.raw_items("http://127.0.0.1/ogc", "pipelines", "limit=1")
    assert status == 200
    status, told = host.raw_items("http://127.0.0.1/ogc", "nothing", "limit=1")
    assert status == 404
    assert json.loads(told)["code"] == "NotFound"
    city.store.drop("pipelines")
    status, _ = host.raw_items("http://127.0.0.1/ogc", "pipelines", "limit=1")
    assert status == 404

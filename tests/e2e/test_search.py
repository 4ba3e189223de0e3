"""/search on the real process: addresses, names, coordinates, bad input."""

import pytest


def search(server, text, **more):
    answer = server.http.get("/search", params={"q": text, **more})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    page = answer.json()
    assert page["type"] == "FeatureCollection"
    return page["features"]


@pytest.fixture(scope="module")
def addresses(server):
    page = server.http.get("/ogc/collections/addresses/items", params={"limit": 10_000}).json()
    return [one for one in page["features"] if one["properties"]["street"] and one["properties"]["number"]]


def test_every_twentieth_address_is_found_first_by_street_and_number(server, addresses):
    for one in addresses[::20]:
        properties = one["properties"]
        asked = f"{properties['street']} {properties['number']}"
        found = search(server, asked, limit=20)
        same = [
            hit
            for hit in found
            if hit["properties"]["layer"] == "addresses"
            and asked.casefold() in hit["properties"]["title"].casefold()
        ]
        assert same, asked
        assert found[0] in same, (asked, found[0]["properties"])


def test_a_result_says_what_and_where(server, addresses):
    properties = addresses[0]["properties"]
    (hit, *_) = search(server, f"{properties['street']} {properties['number']}", limit=5)
    assert set(hit["properties"]) == {"title", "layer", "fid", "kind", "score"}
    assert hit["properties"]["kind"] == "address"
    assert 0 < hit["properties"]["score"] <= 1
    feature = server.http.get(f"/ogc/collections/addresses/items/{hit['properties']['fid']}").json()
    assert hit["geometry"]["coordinates"] == pytest.approx(feature["geometry"]["coordinates"], abs=1e-6)
    assert hit["id"] == f"addresses/{hit['properties']['fid']}"


def test_accents_case_and_unfinished_words(server):
    for asked in ("Etelaesplanadi", "ETELÄESPLANADI", "eteläespl", "etelaesp"):
        titles = [one["properties"]["title"] for one in search(server, asked)]
        assert titles
        assert all("eteläesplanadi" in title.casefold() for title in titles), titles


def test_the_words_may_come_in_any_order_and_must_all_be_there(server, addresses):
    properties = addresses[0]["properties"]
    turned = search(server, f"{properties['number']} {properties['street']}")
    straight = search(server, f"{properties['street']} {properties['number']}")
    assert turned[0]["id"] == straight[0]["id"]
    assert search(server, f"{properties['street']} zzzzzz") == []


def test_limit(server):
    assert len(search(server, "a", limit=3)) == 3
    assert len(search(server, "a")) == 10
    assert len(search(server, "a", limit=999)) == 50


def test_one_street_is_one_result(server):
    roads = [
        one for one in search(server, "Mannerheimintie", limit=50) if one["properties"]["layer"] == "roads"
    ]
    assert len(roads) == 1
    assert "bbox" in roads[0]


@pytest.mark.parametrize(
    "text",
    ["60.17,24.94", "24.94 60.17", "60.17, 24.94", "60.17N 24.94E", "24.94°E, 60.17°N", "60.17；24.94"],
)
def test_coordinates_in_either_order(server, text):
    (hit,) = search(server, text)
    assert hit["geometry"]["coordinates"] == [24.94, 60.17]
    assert hit["properties"]["kind"] == "coordinate"
    assert hit["properties"]["layer"] is None


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({}, "q"),
        ({"q": ""}, "q"),
        ({"q": "   "}, "q"),
        ({"q": "x" * 201}, "q"),
        ({"q": "a", "limit": "0"}, "limit"),
        ({"q": "a", "limit": "-1"}, "limit"),
        ({"q": "a", "limit": "many"}, "limit"),
        ({"q": "a", "limit": "9" * 30}, "limit"),
        ({"q": "a", "nosuchparam": "1"}, "nosuchparam"),
    ],
)
def test_bad_input_names_the_parameter(server, params, named):
    answer = server.http.get("/search", params=params)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(named)


@pytest.mark.parametrize(
    "text", ["'", '"', "%", "*", "()", "\\", "../../etc", "\u0000", "🏠", "۱۲", "a" * 200]
)
def test_odd_texts_are_answered(server, text):
    assert isinstance(search(server, text), list)


def test_other_methods_and_paths(server):
    assert server.http.post("/search", params={"q": "a"}, headers=server.auth).status_code == 405
    assert server.http.get("/search/more", params={"q": "a"}).status_code == 404
    assert server.http.head("/search", params={"q": "a"}).content == b""

"""Addresses behind a proxy: what it says is believed from a trusted one alone, and begins every link."""

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from layers import load
from layers.errors import NotAllowed
from layers.load import Declared
from twin import app, settings
from twin.access.keys import Keys
from twin.http import respond

XP, XH, XX = "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix"


@pytest.mark.parametrize(
    ("peer", "headers", "base"),
    [
        ("10.0.0.1", {}, "http://inner:8080"),
        ("10.0.0.1", {XP: "https", XH: "map.example.org"}, "https://map.example.org"),
        ("10.0.0.1", {XP: "https, http", XH: "map.example.org, inner"}, "https://map.example.org"),
        ("10.0.0.1", {XP: "https", XH: "Map.Example.org:8443"}, "https://Map.Example.org:8443"),
        ("10.0.0.1", {XP: "javascript", XH: "x/'><b>"}, "http://inner:8080"),
        ("10.0.0.2", {XP: "https", XH: "map.example.org", XX: "/twin"}, "http://inner:8080"),
        ("10.0.0.2", {"forwarded": "proto=https;host=map.example.org"}, "http://inner:8080"),
        # where nginx strips /twin/
        ("10.0.0.1", {XP: "https", XH: "map.example.org", XX: "/twin"}, "https://map.example.org/twin"),
        ("10.0.0.1", {XX: "/a/twin_1.x~/, /b"}, "http://inner:8080/a/twin_1.x~"),
        *(
            ("10.0.0.1", {XX: prefix}, "http://inner:8080")
            for prefix in (
                "twin",
                "//evil.example",
                "/a/../b",
                "/..",
                "/a b",
                "/a?b",
                "/a#b",
                "/<b>",
                "/",
                "",
            )
        ),
        # RFC 7239
        (
            "10.0.0.1",
            {"forwarded": 'for=192.0.2.43;host="map.example.org:8443";Proto=HTTPS, for=10.0.0.9;host=inner'},
            "https://map.example.org:8443",
        ),
        ("10.0.0.1", {"forwarded": 'for="[2001:db8::1]" ; proto = https'}, "http://inner:8080"),
        ("10.0.0.1", {"forwarded": 'proto=https;host="map.example.org'}, "https://inner:8080"),
        ("10.0.0.1", {"forwarded": 'host="map\\.example.org"; proto=http'}, "http://map.example.org"),
        ("10.0.0.1", {"forwarded": ",host=map.example.org"}, "http://inner:8080"),
        # a client's own header goes through a proxy that sets the others
        ("10.0.0.1", {XH: "map.example.org", "forwarded": "host=127.0.0.1"}, "http://map.example.org"),
    ],
)
def test_links_begin_with_what_a_trusted_proxy_was_asked_for(behind, peer, headers, base):
    assert respond.base_url(behind, asked(peer, headers)) == base


EVIL = [{XH: "evil.example"}, {"forwarded": "host=evil.example"}, {XH: "evil.example, map.example.org"}]


@pytest.mark.parametrize("headers", EVIL)
def test_a_host_that_is_not_allowed_gets_into_no_link(behind, headers):
    with pytest.raises(NotAllowed, match="allowed_hosts"):
        respond.base_url(behind, asked("10.0.0.1", headers))
    behind.settings = settings.parse("url: https://map.example.org/twin\ntrusted_proxies: [10.0.0.1]\n")
    assert respond.base_url(behind, asked("10.0.0.1", headers)) == "https://map.example.org/twin"
    own = respond.own_origins(behind, asked("10.0.0.1", headers))
    assert own == {("https", "map.example.org", 443), ("http", "inner", 8080)}


XF = "x-forwarded-for"


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("10.0.0.1", {}, "10.0.0.1"),
        ("10.0.0.1", {XF: "203.0.113.9"}, "203.0.113.9"),
        # what the client invented stands before what the proxy saw
        ("10.0.0.1", {XF: "198.51.100.1, 203.0.113.9:4711, 10.0.0.1"}, "203.0.113.9"),
        ("10.0.0.2", {XF: "203.0.113.9"}, "10.0.0.2"),
        ("10.0.0.1", {"forwarded": 'for="[2001:db8::1]:4711";proto=https'}, "2001:db8::1"),
        ("10.0.0.1", {"forwarded": "for=198.51.100.1, for=203.0.113.9;host=x, For=10.0.0.1"}, "203.0.113.9"),
        ("10.0.0.1", {"forwarded": "for=198.51.100.1, ((, for=203.0.113.9"}, "10.0.0.1"),
        ("10.0.0.1", {"forwarded": "for=198.51.100.1;x=" + "y" * 2000 + ", for=203.0.113.9"}, "10.0.0.1"),
        ("10.0.0.1", {XF: "x" * 100}, "x" * 64),
    ],
)
def test_a_client_is_where_the_nearest_address_is_that_is_no_proxy(behind, peer, headers, address):
    assert respond.client(behind, asked(peer, headers)) == address


def test_an_edit_says_from_where_and_why(town):
    key = {"Authorization": f"Bearer {Keys(town.folder).add('anna')}", XF: "203.0.113.9"}
    part = {"content-type": "application/merge-patch+json", "change-message": "%E6%A0%B8%E5%AF%B9 checked"}
    here = "/ogc/collections/houses/items/1"
    body = json.dumps({"properties": {"name": "a"}})
    assert ask(town, "PATCH", here, key | part, content=body).status_code == 204
    assert said(town) == ("anna", "203.0.113.9", "核对 checked")
    assert ask(town, "DELETE", here, key | {"change-message": "gone"}, peer="10.0.0.7").status_code == 204
    assert said(town) == ("anna", "10.0.0.7", "gone")
    action = {"action": "delete", "collection": "houses", "filter": "id = 2"}
    media = {"content-type": "application/ogc-tx+json", "change-message": "of the header"}
    for more, message in (({}, "of the header"), ({"description": "of the body"}, "of the body")):
        sent = json.dumps({"semantic": "batch", "transaction": [action], **more})
        assert ask(town, "POST", "/ogc/transactions", key | media, content=sent).status_code == 200
        assert said(town) == ("anna", "203.0.113.9", message)
        action["filter"] = "id = 3"


@pytest.mark.parametrize("message", ["%ff", "x" * 1001, "a%00b"])
def test_a_message_that_is_none_is_refused(town, message):
    key = {"Authorization": f"Bearer {Keys(town.folder).add('anna')}", "change-message": message}
    answer = ask(town, "DELETE", "/ogc/collections/houses/items/1", key)
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidParameterValue")
    assert "Change-Message" in answer.json()["detail"]


def said(city):
    newest = city.store.change_sets(limit=1)[0]
    return newest.actor, newest.address, newest.message


def asked(peer, headers):
    said = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"scheme": "http", "client": (peer, 1), "headers": [(b"host", b"inner:8080"), *said]}


@pytest.fixture
def behind(tmp_path):
    text = "trusted_proxies: [10.0.0.1]\nallowed_hosts: [map.example.org]\n"
    (tmp_path / "city.yml").write_text(text, "utf-8")
    city = app.open_city(tmp_path)
    with asyncio.Runner() as runner:
        RUNNERS[city.folder] = runner
        yield city
        FRONTS.pop(city.folder, None)
    city.close()
    city.live.stop()


PREFIXED = {XP: "https", XH: "map.example.org", XX: "/twin"}
BASE = "https://map.example.org/twin"


def ask(city, method, path, headers=None, peer="10.0.0.1", **more) -> httpx.Response:
    if city.folder not in FRONTS:
        FRONTS[city.folder] = app.build(city)

    async def main() -> httpx.Response:
        city.bus.bind(asyncio.get_running_loop())
        transport = httpx.ASGITransport(app=cast(Any, FRONTS[city.folder]), client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, headers=headers or {}, **more)

    return RUNNERS[city.folder].run(main())


#: One event loop and one application a city, as in a server.
RUNNERS: dict[Path, asyncio.Runner] = {}
FRONTS: dict[Path, app.Front] = {}


def addresses(value: Any) -> list[str]:
    """Every address in a document that is one of this server."""
    if isinstance(value, dict):
        return [one for inner in value.values() for one in addresses(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in addresses(inner)]
    if isinstance(value, str) and value.startswith(("http://", "https://", "/")):
        return [value] if "opengis.net" not in value and "json-schema.org" not in value else []
    return []


@pytest.fixture
def town(behind, tmp_path):
    """A layer with bodies, a sensor, an incident and a key."""
    file = tmp_path / "houses.geojson"
    ring = [[24.94, 60.17], [24.941, 60.17], [24.941, 60.171], [24.94, 60.17]]
    house = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [house] * 3}))
    load.run(behind.store, file, Declared(kind="building"), layer_id="houses")
    behind.live.start()
    return behind


DOCUMENTS = [
    "/ogc?f=json",
    "/ogc/conformance",
    "/ogc/collections",
    "/ogc/collections/houses",
    "/ogc/collections/houses/items?limit=1",
    "/ogc/collections/houses/items/1",
    "/ogc/collections/houses/items/1/related",
    "/ogc/collections/houses/queryables",
    "/ogc/collections/houses/schema/geojson",
    "/ogc/collections/houses/tiles",
    "/ogc/collections/houses/tiles/WebMercatorQuad",
    "/ogc/tileMatrixSets",
    "/ogc/functions",
    "/ogc/jobs",
    "/tiles/houses.json",
    "/sta/v1.1",
]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_link_lies_below_the_prefix(town, path):
    found = ask(town, "GET", path, PREFIXED)
    assert found.status_code == 200
    told = addresses(found.json())
    assert told
    assert [one for one in told if one != BASE and not one.startswith(f"{BASE}/")] == []
    assert "127.0.0.1" not in str(found.headers)
    for _, value in httpx.Headers(found.headers).multi_items():
        assert "map.example.org/" not in value.replace(f"{BASE}/", "")
    # and each of them is there when the proxy has taken the prefix off
    for one in told[:40]:
        if "{" not in one and "/download" not in one:
            assert ask(town, "HEAD", one.removeprefix(BASE) or "/", PREFIXED).status_code < 400, one


@pytest.mark.parametrize(
    "path",
    ["/ogc?f=html", "/ogc/collections?f=html", "/ogc/collections/houses/items?f=html", "/ogc/api?f=html"],
)
def test_every_link_of_a_page_lies_below_the_prefix(town, path):
    html = ask(town, "GET", path, PREFIXED).text
    links = [
        one.partition('"')[0] for part in ('href="', 'action="', 'src="') for one in html.split(part)[1:]
    ]
    own = [one for one in links if not one.startswith(("#", "?", "http://www.opengis.net"))]
    assert own
    assert [one for one in own if one != BASE and not one.startswith(f"{BASE}/")] == []


def test_the_page_and_its_configuration_name_nothing_from_the_root(town):
    config = ask(town, "GET", "/config.json", PREFIXED).json()
    assert addresses(config) == []
    assert config["stream"] == "stream"
    (houses,) = config["layers"]
    assert houses["vector"]["url"].startswith("tiles/houses/")
    assert (
        houses["scene"]["url"]
        == "3dtiles/houses/tileset.json?bounds=edits&instancing=gpu&compression=meshopt"
    )
    found = ask(town, "GET", "/", PREFIXED | {"accept": "application/json"})
    assert (found.status_code, found.headers["location"]) == (303, f"{BASE}/ogc")


def test_what_is_made_is_found_below_the_prefix(town):
    key = Keys(town.folder).add("tester")
    auth = PREFIXED | {"authorization": f"Bearer {key}"}
    thing = {"name": "t", "description": ""}
    assert (
        ask(town, "POST", "/sta/v1.1/Things", auth, json=thing).headers["location"]
        == f"{BASE}/sta/v1.1/Things(1)"
    )
    made = ask(town, "POST", "/incidents", auth, json={"title": "x"})
    assert made.headers["location"] == f"{BASE}/incidents/1"
    for document in ("/sta/v1.1/Things", "/incidents"):
        told = addresses(ask(town, "GET", document, PREFIXED).json())
        assert [one for one in told if not one.startswith(f"{BASE}/")] == []
    feature = {"type": "Feature", "properties": {}, "geometry": None}
    geojson = auth | {"content-type": "application/geo+json"}
    item = ask(town, "POST", "/ogc/collections/houses/items", geojson, content=json.dumps(feature))
    assert item.headers["location"] == f"{BASE}/ogc/collections/houses/items/4"
    cookie = ask(town, "POST", "/session", auth).headers["set-cookie"]
    assert "; Path=/twin/;" in cookie
    assert cookie.endswith("; Secure")
    closed = ask(
        town, "DELETE", "/session", PREFIXED | {"cookie": cookie.partition(";")[0], "origin": BASE[:-5]}
    )
    assert "; Path=/twin/; Max-Age=0;" in closed.headers["set-cookie"]


def test_the_public_address_may_have_a_path(town):
    town.settings = settings.parse("url: https://map.example.org/twin/\n")
    for path in DOCUMENTS:
        told = addresses(ask(town, "GET", path, peer="192.0.2.1").json())
        assert [one for one in told if one != BASE and not one.startswith(f"{BASE}/")] == []


@pytest.mark.parametrize("headers", EVIL)
@pytest.mark.parametrize("path", ["/ogc?f=json", "/", "/sta/v1.1", "/tiles/houses.json"])
def test_a_forged_host_is_refused_and_says_why(town, headers, path):
    found = ask(town, "GET", path, headers | {"accept": "application/json"})
    assert found.status_code == 403
    assert "evil.example" not in found.text + str(found.headers)
    # from anybody else it is not even read
    direct = ask(town, "GET", path, headers | {"accept": "application/json"}, peer="192.0.2.1")
    assert direct.status_code in (200, 303)
    assert "evil.example" not in direct.text + str(direct.headers)

"""The page over HTTP: what is served, how it may be cached, and what is refused."""

import gzip
import re
import socket
from urllib.parse import urlsplit

import pytest

from tests.support import Server

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def _script(server: Server) -> str:
    page = server.http.get("/", headers=HTML)
    found = re.search(r'src="\./(assets/[^"]+\.js)"', page.text)
    assert found
    return "/" + found[1]


def test_the_page_forbids_everything_foreign(server: Server):
    page = server.http.get("/", headers=HTML)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")
    assert "http" not in policy
    again = server.http.get("/", headers={**HTML, "if-none-match": page.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("how", [{"headers": {"accept": "application/json"}}, {"params": {"f": "json"}}])
def test_a_client_that_wants_json_is_sent_to_the_landing_page(server: Server, how):
    answer = server.http.get("/", follow_redirects=False, **how)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{server.url}/ogc"


def test_hashed_files_are_kept_for_ever_and_packed(server: Server):
    path = _script(server)
    with server.http.stream("GET", path, headers={"accept-encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
        assert packed.headers["content-encoding"] == "gzip"
        assert "immutable" in packed.headers["cache-control"]
        assert packed.headers["content-type"] == "text/javascript; charset=utf-8"
    plain = server.http.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 3
    head = server.http.head(path, headers={"accept-encoding": "identity"})
    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(plain.content))
    assert head.content == b""


def test_the_first_load_is_the_engine_and_little_else(server: Server):
    """Panels and charts are chunks of their own; the limit is what one script with all of them weighed."""
    text = server.http.get(_script(server), headers={"accept-encoding": "identity"}).text
    assert len(gzip.compress(text.encode(), 9)) < 1_095_272
    assert "twin-strip" in text
    for later in ("twin-incidents", "twin-sensor", "twin-feature", "twin-incident", "twin-layers"):
        assert f"customElements.define(`{later}`" not in text


def test_the_engine_brings_its_workers_and_its_data(server: Server):
    engine = "/assets/cesium-26.3.0"
    assert server.http.get(f"{engine}/Workers/createVerticesFromHeightmap.js").status_code == 200
    heights = server.http.get(f"{engine}/Assets/approximateTerrainHeights.json")
    assert heights.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "target",
    [
        "/../pyproject.toml",
        "/assets/../../../../pyproject.toml",
        "/%2e%2e/%2e%2e/pyproject.toml",
        "/assets/%2e%2e%2f%2e%2e%2fpage.py",
        "//etc/passwd",
        "/index.html.gz",
        "/no/such/thing",
        "/assets/",
        "/assets",
    ],
)
def test_nothing_else_is_served(server: Server, target: str):
    """On a raw socket: clients tidy such paths before they send them."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 404"), answer[:200]
    assert b"/work" not in answer
    assert b"Traceback" not in answer


def test_the_page_takes_no_writes(server: Server):
    answer = server.http.post("/", json={})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_the_configuration_says_how_to_draw_every_layer(server: Server):
    answer = server.http.get("/config.json")
    config = answer.json()
    layers = {layer["id"]: layer for layer in config["layers"]}
    counts = {name: layer["count"] for name, layer in layers.items()}
    assert counts == {
        "buildings": 446,
        "building_parts": 126,
        "addresses": 1462,
        "pipelines": 78,
        "street_assets": 1074,
        "roads": 2577,
        "land_cover": 270,
        "places": 7,
    }
    assert {name for name, layer in layers.items() if layer["scene"]} == {
        "buildings",
        "building_parts",
        "pipelines",
        "street_assets",
    }
    for layer in layers.values():
        assert set(layer["title"]) >= {"zh-CN", "en"}
        assert layer["style"]["legend"]
        assert layer["vector"]["url"].endswith("/{z}/{x}/{y}.mvt?clip=exact")
    assert layers["addresses"]["visible"] is False
    assert any(entry.get("assumed") for entry in layers["pipelines"]["style"]["legend"])
    assert "OpenStreetMap" in config["credits"][0]["text"]
    assert config["mapApprovalNo"] is None
    assert config["workflow"]["states"]["closed"]["final"] is True
    thresholds = config["thresholds"]["water_pressure"]["thresholds"]
    assert {"level", "side", "raise", "clear"} == set(thresholds[0])
    west, south, east, north = config["surroundings"]
    assert west < config["view"]["lon"] < east
    assert south < config["view"]["lat"] < north
    same = server.http.get("/config.json", headers={"if-none-match": answer.headers["etag"]})
    assert same.status_code == 304


def test_the_configuration_refuses_unknown_parameters(server: Server):
    answer = server.http.get("/config.json", params={"lang": "en"})
    assert answer.status_code == 400
    assert "lang" in answer.json()["detail"]

"""The page's files, the view of a city that says nothing of it, and the page that is not built."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from layers.store.lost import unavailable
from tests.support import twin
from twin import app
from twin.access.caller import CALLER, Caller
from twin.catalogue.view import View
from twin.http import page, page_config


def _get(room: Any, path: str, **headers: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """One GET on an ASGI callable."""
    sent: list[Any] = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "scheme": "http",
        CALLER: Caller(),
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(room(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:])


@pytest.fixture
def city(tmp_path: Path) -> Any:
    """A city without layers."""
    twin("init", str(tmp_path / "city"))
    opened = app.open_city(tmp_path / "city")
    yield opened
    opened.pool.close()
    opened.live.file.close()
    opened.store.close()


def test_a_page_that_is_not_built_says_how_and_is_found_once_it_is(city, tmp_path):
    static = tmp_path / "static"
    room = page.MapPage(city, static).landing
    status, _, body = _get(room, "/", accept="text/html")
    assert status == 503
    assert b"make env" in body
    static.mkdir()
    (static / "index.html").write_text("<p>built</p>")
    status, headers, body = _get(room, "/", accept="text/html")
    assert (status, body) == (200, b"<p>built</p>")
    assert headers[b"content-type"] == b"text/html; charset=utf-8"


def test_links_and_packed_siblings_are_not_files_of_their_own(tmp_path):
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "a.js.gz").write_bytes(b"1")
    (tmp_path / "secret").symlink_to("/etc/hostname")
    found = page.assets(tmp_path)
    assert list(found) == ["/a.js"]
    assert found["/a.js"].packed == tmp_path / "a.js.gz"


def test_a_city_without_layers_opens_on_the_world(city):
    config = page_config.document(city, city.catalogue.whole)
    assert config["layers"] == []
    assert config["surroundings"] == [-180.0, -85.0, 180.0, 85.0]
    assert config["view"]["height"] > 1e6


def test_a_city_whose_features_are_lost_opens_where_its_sensors_are_and_says_why(city):
    place = {"lon": 24.95, "lat": 60.17}
    city.live.streams = {1: SimpleNamespace(**place), 2: SimpleNamespace(lon=None, lat=None)}
    view = View(unavailable("city.gpkg is empty"), city.settings, lambda seen: None)
    city.catalogue.of = lambda _: view
    status, _, body = _get(page.MapPage(city, Path("none")).config, "/config.json")
    config = json.loads(body)
    assert (status, config["layers"], config["unavailable"]) == (200, [], "city.gpkg is empty")
    assert config["view"]["lon"] == pytest.approx(place["lon"])
    assert config["view"]["height"] < 1000


def test_the_overview_stands_off_as_far_as_the_layers_are_wide():
    view = page_config.overview((24.0, 60.0, 24.2, 60.05))
    assert (view["lon"], view["lat"]) == pytest.approx((24.1, 60.025))
    assert view["height"] == pytest.approx(0.2 * 111_320 * 0.4997, rel=1e-3)


def test_surroundings_leave_some_room_around_the_layers():
    assert page_config.around((24.0, 60.0, 24.2, 60.05)) == pytest.approx((23.98, 59.98, 24.22, 60.07))
    assert page_config.union([None, (1, 2, 3, 4), (0, 3, 2, 5)]) == (0, 2, 3, 5)
    assert page_config.union([None]) is None

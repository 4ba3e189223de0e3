"""The city as it was: a moment is chosen, all that is drawn is of it, and nobody can take it for now.

One page in one small city that was edited, by the API and by a load; the tests follow one another."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Locator

from tests.browser import small
from tests.browser.conftest import Tab, feature, new_tab
from tests.browser.small import LAT, LON, at
from tests.support import Server, init, until

HOUSE, SPARE, SENSOR = at(120, 120), at(0, 150), at(60, 60)
#: The zone of a new city.
ZONE = ZoneInfo("Asia/Shanghai")


def patch(server: Server, layer: str, fid: int, **properties: Any) -> None:
    headers = {**server.auth, "content-type": "application/merge-patch+json"}
    body = json.dumps({"properties": properties})
    answer = server.http.patch(f"/ogc/collections/{layer}/items/{fid}", content=body, headers=headers)
    assert answer.status_code in (200, 204), answer.text


@pytest.fixture(scope="module")
def noon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, datetime]]:
    """The server of a city, and a whole second after which it was edited."""
    city, files = init(tmp_path_factory.mktemp("past") / "city"), tmp_path_factory.mktemp("files")
    small.load(city, files, "houses", "roads", "spare")
    server = Server.start(city)
    then = int(time.time()) + 1
    until(lambda: time.time() > then + 0.5, 5, "the next second")
    patch(server, "houses", 1, height_m=50)
    assert server.http.delete("/ogc/collections/spare/items/1", headers=server.auth).status_code == 204
    small.load(city, files, "tower")
    small.observe(server, small.sensor(server, "meter", *SENSOR), small.CLEAN)
    yield server, datetime.fromtimestamp(then, UTC)
    server.stop()


@pytest.fixture(scope="module")
def tab(browser: Browser, noon: tuple[Server, datetime]) -> Iterator[Tab]:
    server, _ = noon
    opened = new_tab(browser, server)
    # a layer that was not there then
    opened.expected += ["404"]
    opened.open(f"v={LON},{LAT},500,0,-60&lang=en")
    yield opened
    opened.close()


def height(tab: Tab) -> Any:
    """Of the house, as its body in the picture says."""
    tab.ready()
    return (tab.attributes(*HOUSE, 10) or {}).get("height_m")


def bar(tab: Tab) -> Locator:
    return tab.page.locator("twin-past")


def test_a_moment_is_chosen_and_shown_in_a_frame(tab: Tab, noon: tuple[Server, datetime]):
    _, then = noon
    assert bar(tab).locator("[data-frame]").count() == 0
    assert height(tab) == 50
    assert tab.pick(*SPARE) is None
    until(lambda: tab.pick(*SENSOR) not in (None, feature("roads", 1)), 20, "the sensor's sign")
    tab.page.locator("[data-tool=past]").click()
    local = then.astimezone(ZONE)
    bar(tab).locator("input").fill(local.strftime("%Y-%m-%dT%H:%M:%S"))
    bar(tab).locator("[data-past=show]").click()
    bar(tab).locator("[data-frame]").wait_for()
    assert local.strftime("%Y-%m-%d %H:%M:%S") in bar(tab).locator("[data-then]").inner_text()
    assert f"at={then:%Y-%m-%dT%H}%3A{then:%M}%3A{then:%S}Z" in tab.page.url
    assert tab.page.title().startswith("As it was")


def test_all_that_is_drawn_is_of_that_moment(tab: Tab):
    assert height(tab) == 20
    assert tab.pick(*SPARE) == feature("spare", 1)
    assert tab.pick(*SENSOR) is None
    tab.js("window.twin.set({left: 'layers'})")
    tree = tab.page.locator("twin-layers")
    tree.locator("[data-layer=tower] [data-why='why.then']").wait_for()
    assert tree.locator("[data-layer=sensors] [data-why='past.live']").count() == 1
    assert tab.page.locator("twin-strip [data-past]").count() == 1
    tab.js("window.twin.set({mode: '2d', left: null})")
    assert height(tab) == 20
    assert tab.pick(*SPARE) == feature("spare", 1)
    tab.js("window.twin.set({mode: '3d'})")
    tab.page.locator("[data-panel=incidents]").click()
    tab.page.locator("[data-only-now=incidents] [role], [data-only-now=incidents] .message").first.wait_for()
    tab.js("window.twin.set({right: null})")


def test_what_changes_now_does_not_change_what_was(tab: Tab):
    patch(tab.server, "houses", 1, height_m=60)
    headers = {"accept": "application/geo+json"}
    now = tab.server.http.get("/ogc/collections/houses/items/1", headers=headers).json()
    assert now["properties"]["height_m"] == 60
    tab.look(*HOUSE, 300)
    assert height(tab) == 20


def test_the_card_tells_what_was_and_is_not_edited(tab: Tab, noon: tuple[Server, datetime]):
    tab.js("selection => window.twin.set({selection})", feature("houses", 1))
    card = tab.page.locator("twin-feature")
    until(lambda: "20 m" in card.locator("[data-field=height_m]").inner_text(), 20, "the height of then")
    assert card.locator("[data-action=edit]").count() == 0
    card.locator(".versions summary").click()
    rows = card.locator("[data-version]")
    rows.nth(2).wait_for()
    texts = [rows.nth(i).inner_text() for i in range(rows.count())]
    assert [
        name in text for text, name in zip(texts, ("50 m → 60 m", "20 m → 50 m", "loaded"), strict=True)
    ] == [
        True,
        True,
        True,
    ]
    assert all("edited · test" in text for text in texts[:2]), texts
    rows.nth(1).locator("[data-moment]").click()
    until(
        lambda: "50 m" in card.locator("[data-field=height_m]").inner_text(), 20, "the height after the edit"
    )
    assert "at=%40" in tab.page.url
    assert height(tab) == 50


def test_axe_finds_nothing(tab: Tab):
    assert tab.violations() == []


def test_back_to_now(tab: Tab):
    bar(tab).locator("[data-past=now]").click()
    bar(tab).locator("[data-frame]").wait_for(state="detached")
    assert "at=" not in tab.page.url
    assert height(tab) == 60
    card = tab.page.locator("twin-feature")
    card.locator("[data-action=edit]").wait_for()
    assert tab.pick(*SPARE) is None
    tab.js("window.twin.set({selection: null})")
    until(lambda: tab.pick(*SENSOR) is not None, 20, "the sensor's sign")


def test_before_what_is_kept_the_page_says_so(tab: Tab):
    tab.expected += ["410", "Failed to load", "could not be"]
    tab.js("window.twin.set({at: '2020-01-01T00:00:00Z'})")
    error = bar(tab).locator("[data-past=error]")
    error.wait_for()
    assert error.inner_text()
    tab.page.go_back()
    bar(tab).locator("[data-frame]").wait_for(state="detached")
    assert height(tab) == 60

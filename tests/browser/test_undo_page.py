"""Taking back on the page: shown first, then done, while another page watches.

One small city, edited by two people over the API; the tests follow one another."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator

from tests.browser import small
from tests.browser.conftest import Tab, feature, new_tab
from tests.browser.small import LAT, LON, at
from tests.browser.test_history_panel import PHONE
from tests.browser.test_past import ZONE
from tests.support import Server, fresh_key, init, until

HOUSE = at(120, 120)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    city, files = init(tmp_path_factory.mktemp("undo") / "city"), tmp_path_factory.mktemp("files")
    small.load(city, files, "houses", "roads")
    anna = fresh_key(city, "anna")
    server = Server.start(city)
    until(lambda: time.time() > math.ceil(loaded(server)) + 0.1, 5, "the next second")
    edit(server, "houses/items/1", anna, height_m=50)
    edit(server, "roads/items/1", anna, name="Wrong Street")
    edit(server, "houses/items/3", anna, height_m=99)
    edit(server, "roads/items/1", server.key, name="Right Street")
    yield server
    server.stop()


def loaded(server: Server) -> float:
    """When the last load was done (Unix seconds)."""
    page = server.http.get("/ogc/change-sets").json()["changeSets"]
    return max(datetime.fromisoformat(one["at"]).timestamp() for one in page if one["via"] == "load")


@pytest.fixture(scope="module")
def began(server: Server) -> str:
    """Before the edits and after the loads, as the clock of the city says it."""
    return f"{datetime.fromtimestamp(math.ceil(loaded(server)), ZONE):%Y-%m-%dT%H:%M:%S}"


def edit(server: Server, item: str, key: str, **properties: Any) -> None:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/merge-patch+json"}
    body = json.dumps({"properties": properties})
    answer = server.http.patch(f"/ogc/collections/{item}", content=body, headers=headers)
    assert answer.status_code in (200, 204), answer.text


def value(server: Server, item: str, name: str) -> Any:
    headers = {"accept": "application/geo+json"}
    return server.http.get(f"/ogc/collections/{item}", headers=headers).json()["properties"][name]


def newest(server: Server) -> dict[str, Any]:
    page = server.http.get("/ogc/change-sets?limit=1", headers=server.auth).json()
    found: dict[str, Any] = page["changeSets"][0]
    return found


@pytest.fixture(scope="module")
def tab(browser: Browser, server: Server) -> Iterator[Tab]:
    opened = new_tab(browser, server, viewport={"width": 900, "height": 600})
    opened.open(f"v={LON},{LAT},700,0,-60&lang=en&p=history")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def watching(browser: Browser, server: Server) -> Iterator[Tab]:
    """Another page, of somebody on a phone without a key."""
    opened = new_tab(browser, server, viewport=PHONE, has_touch=True, is_mobile=True)
    opened.open(f"v={HOUSE[0]},{HOUSE[1]},400,0,-60&lang=zh-CN", key=False)
    yield opened
    opened.close()


def panel(tab: Tab) -> Locator:
    return tab.page.locator("twin-history")


def undo(tab: Tab) -> Locator:
    return tab.page.locator("twin-undo")


def test_what_a_person_did_is_shown_with_what_others_changed_since(tab: Tab, began: str):
    history = panel(tab)
    history.locator("[data-set]").first.wait_for()
    several = history.locator("twin-undo-form")
    several.locator("summary").click()
    several.locator("button.action").click()
    assert several.locator("[role=alert]").inner_text()
    several.locator("[name=actor]").fill("anna")
    several.locator("[name=from]").fill(began)
    several.locator("button.action").click()
    plan = undo(tab).locator("[data-undo=plan]")
    plan.wait_for()
    rows = undo(tab).locator("[data-feature]")
    assert {rows.nth(i).get_attribute("data-feature") for i in range(rows.count())} == {
        "houses/1",
        "houses/3",
        "roads/1",
    }
    assert "50 m → 20 m" in undo(tab).locator("[data-feature='houses/1']").inner_text()
    assert "test" in undo(tab).locator("[data-feature='roads/1'] [data-conflict]").inner_text()
    tab.ready()
    assert tab.page.locator("canvas.marks").count() == 1
    assert undo(tab).locator("[data-undo=do]").is_disabled()
    assert tab.violations() == []


def test_it_is_done_while_another_page_watches(tab: Tab, watching: Tab, server: Server):
    assert watching.attributes(*HOUSE, 10)["height_m"] == 50
    undo(tab).locator("[name=leaveOut]").check()
    undo(tab).locator("[name=message]").fill("wrong storey heights")
    undo(tab).locator("[data-undo=do]").click()
    undo(tab).locator("[data-undo=done]").wait_for()
    assert value(server, "houses/items/1", "height_m") == 20
    assert value(server, "houses/items/3", "height_m") == 60
    assert value(server, "roads/items/1", "name") == "Right Street"
    made = newest(server)
    assert (made["via"], made["actor"], made["message"]) == ("undo", "test", "wrong storey heights")
    until(
        lambda: (watching.attributes(*HOUSE, 10) or {}).get("height_m") == 20, 30, "what the other page shows"
    )
    undo(tab).locator("[data-undo=look]").click()
    row = panel(tab).locator("[data-feature='houses/1']")
    row.wait_for()
    assert "50 m → 20 m" in row.inner_text()
    assert f"set={made['id']}" in tab.page.url


def test_the_undo_is_taken_back(tab: Tab, server: Server):
    panel(tab).locator("[data-undo=set]").click()
    undo(tab).locator("[data-undo=plan]").wait_for()
    assert undo(tab).locator("[data-undo=conflicts]").count() == 0
    undo(tab).locator("[data-undo=cancel]").click()
    panel(tab).locator("[data-undo=set]").click()
    undo(tab).locator("[data-undo=do]").click()
    undo(tab).locator("[data-undo=done]").wait_for()
    assert value(server, "houses/items/1", "height_m") == 50
    undo(tab).locator("[data-undo=close]").click()
    until(lambda: "taken back" in panel(tab).locator("[data-set]").first.inner_text(), 20, "the list")


def test_a_plan_that_was_overtaken_is_shown_anew(tab: Tab, server: Server):
    panel(tab).locator("[data-set]").first.click()
    panel(tab).locator("[data-undo=set]").click()
    undo(tab).locator("[data-undo=plan]").wait_for()
    edit(server, "houses/items/1", server.key, height_m=70)
    tab.expected.append("409")
    undo(tab).locator("[data-undo=do]").click()
    undo(tab).locator("[data-undo=overtaken]").wait_for()
    undo(tab).locator("[data-undo=conflicts]").wait_for()
    assert value(server, "houses/items/1", "height_m") == 70
    undo(tab).locator("[data-undo=cancel]").click()


def test_a_feature_becomes_what_it_was_from_its_card(tab: Tab, server: Server):
    tab.js("selection => window.twin.set({selection, right: null, set: null})", feature("houses", 1))
    card = tab.page.locator("twin-feature")
    card.locator(".versions summary").click()
    again = card.locator("[data-version] [data-again]")
    again.last.wait_for()
    # not of the newest, which it is
    assert again.count() == card.locator("[data-version]").count() - 1
    again.last.click()
    undo(tab).locator("[data-undo=plan]").wait_for()
    assert "70 m → 20 m" in undo(tab).locator("[data-feature='houses/1']").inner_text()
    undo(tab).locator("[data-undo=do]").click()
    undo(tab).locator("[data-undo=done]").wait_for()
    assert value(server, "houses/items/1", "height_m") == 20
    tab.js("window.twin.set({selection: null})")
    undo(tab).locator("[data-undo=close]").click()


def test_what_was_done_in_the_view_is_taken_back(tab: Tab, server: Server, began: str):
    edit(server, "houses/items/1", server.key, height_m=33)
    edit(server, "roads/items/1", server.key, name="Somewhere Else")
    tab.look(*HOUSE, 60, pitch=-90, mode="2d")
    several = panel(tab).locator("twin-undo-form")
    several.locator("summary").click()
    several.locator("[name=from]").fill(began)
    several.locator("[name=here]").check()
    several.locator("button.action").click()
    undo(tab).locator("[data-undo=plan]").wait_for()
    features = undo(tab).locator("[data-feature]").evaluate_all("all => all.map(one => one.dataset.feature)")
    assert features == ["houses/1"]


def test_who_may_not_edit_is_offered_nothing(watching: Tab):
    watching.js("window.twin.set({right: 'history'})")
    panel(watching).locator("[data-set]").first.tap()
    panel(watching).locator("[data-of-set]").wait_for()
    assert watching.page.locator("[data-undo], twin-undo-form").count() == 0

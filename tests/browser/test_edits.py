"""Editing on the page: edits of several features are gathered, saved at once with a message, and survive what
comes between. One page in one small city; the tests follow one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Route

from tests.browser import small
from tests.browser.conftest import Tab, feature, new_tab
from tests.browser.pixels import colour
from tests.browser.small import LAT, LON, at
from tests.support import Server, init, until

OPENING = f"v={LON},{LAT},700,0,-60&lang=en"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    city, files = init(tmp_path_factory.mktemp("edits") / "city"), tmp_path_factory.mktemp("files")
    small.load(city, files, "houses", "roads", "spare", "far")
    started = Server.start(city)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def opening() -> str:
    return OPENING


def read(server: Server, layer: str, fid: int) -> Any:
    return server.http.get(
        f"/ogc/collections/{layer}/items/{fid}", headers={"accept": "application/geo+json"}
    )


def properties(server: Server, layer: str, fid: int) -> Any:
    return read(server, layer, fid).json()["properties"]


def newest(server: Server) -> Any:
    """The newest change set, with what it changed."""
    found = server.http.get("/ogc/change-sets", params={"limit": 1}, headers=server.auth).json()[
        "changeSets"
    ][0]
    changed = server.http.get("/ogc/changes", params={"set": found["id"]}, headers=server.auth).json()
    return found, changed


def choose(tab: Tab, layer: str, fid: int) -> Locator:
    """The card of a feature, with what was read of it."""
    tab.js("selection => window.twin.set({selection})", feature(layer, fid))
    card = tab.page.locator(f"twin-feature:has([data-layer={layer}][data-fid='{fid}'])")
    card.locator("[data-action=edit], form").first.wait_for()
    return card


def form(card: Locator) -> Locator:
    if card.locator("form").count() == 0:
        card.locator("[data-action=edit]").click()
    return card.locator("form")


def panel(tab: Tab) -> Locator:
    tab.js("window.twin.set({right: 'edits', selection: null})")
    found = tab.page.locator("twin-edits")
    found.wait_for()
    return found


def test_two_edits_and_a_deletion_are_one_change_set_with_its_message(tab: Tab):
    server = tab.server
    before, _ = newest(server)
    house = choose(tab, "houses", 1)
    form(house).locator("input[name=height_m]").fill("25")
    form(house).locator("input[name=name]").fill("Corner house")
    road = choose(tab, "roads", 1)
    form(road).locator("input[name=name]").fill("Sun Street")
    choose(tab, "spare", 1)
    spare = tab.page.locator("twin-feature")
    spare.locator("[data-action=done]").click()
    spare.locator("[data-action=delete]").click()
    bar = tab.page.locator("twin-edits-bar [data-unsaved]")
    assert bar.inner_text().startswith("3 features changed, not saved")
    assert newest(server)[0] == before
    bar.locator("button").click()
    edits = tab.page.locator("twin-edits")
    assert "20 m → 25 m" in edits.locator("[data-change='houses/1'] [data-edited=height_m]").inner_text()
    assert "to be deleted" in edits.locator("[data-change='spare/1']").inner_text()
    edits.locator("textarea").fill("Survey of May")
    assert tab.violations() == []
    edits.locator("[data-action=save-all]").click()
    edits.locator("[data-saved]").wait_for()
    found, changed = newest(server)
    assert (found["id"], found["actor"], found["message"]) == (before["id"] + 1, "test", "Survey of May")
    told = {(one["layer"], one["id"], one["change"]) for one in changed["changes"]}
    assert told == {("houses", 1, "changed"), ("roads", 1, "changed"), ("spare", 1, "removed")}
    assert properties(server, "houses", 1)["height_m"] == 25
    assert read(server, "spare", 1).status_code == 404
    assert tab.page.locator("twin-edits-bar [data-unsaved]").count() == 0


def test_one_wrong_value_of_three_is_told_at_its_field_and_nothing_is_written(tab: Tab):
    server = tab.server
    before, _ = newest(server)
    house = choose(tab, "houses", 2)
    form(house).locator("input[name=height_m]").fill("high")
    fault = house.locator("#fault-height_m")
    assert "no number" in fault.inner_text()
    form(house).locator("input[name=height_m]").fill("12")
    assert fault.count() == 0
    form(choose(tab, "roads", 2)).locator("input[name=name]").fill("Moon Street")
    # a number, but none that the server keeps
    form(choose(tab, "houses", 3)).locator("input[name=levels]").fill("1" + "0" * 25)
    edits = panel(tab)
    tab.expected += ["422"]
    edits.locator("[data-action=save-all]").click()
    edits.locator("[data-change='houses/3'] [data-edited=levels] .fault").wait_for()
    assert edits.locator(".fault").count() == 1
    assert "Nothing was written" in edits.locator(".message").inner_text()
    assert newest(server)[0] == before
    assert tab.violations() == []
    card = choose(tab, "houses", 3)
    assert form(card).locator("input[name=levels]").get_attribute("aria-invalid") == "true"
    assert card.locator("#fault-levels").count() == 1
    panel(tab).locator("[data-change='houses/3'] [data-action=discard]").click()
    assert edits.locator("[data-change]").count() == 2


def test_a_reload_asks_first_and_keeps_the_draft(tab: Tab):
    asked: list[str] = []

    def leave(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    tab.page.once("dialog", leave)
    tab.page.reload()
    until(lambda: tab.js("!!window.twin"), 60, "the page's start")
    assert asked == ["beforeunload"]
    edits = panel(tab)
    assert "Moon Street" in edits.locator("[data-change='roads/2']").inner_text()
    assert "12 m" in edits.locator("[data-change='houses/2']").inner_text()


def test_who_was_quicker_is_told_and_one_goes_on_field_by_field(tab: Tab):
    server = tab.server
    media = {**server.auth, "content-type": "application/merge-patch+json"}
    assumed = f"{properties(server, 'houses', 2)['height_m']} m"
    theirs = {"properties": {"height_m": 14, "use": "shop"}}
    url = "/ogc/collections/houses/items/2"
    assert server.http.patch(url, json=theirs, headers=media).status_code == 204
    other, _ = newest(server)
    house = choose(tab, "houses", 2)
    if house.locator("form").count():
        house.locator("[data-action=done]").click()
    form(choose(tab, "roads", 2)).locator("input[name=name]").fill("Moonlight Street")
    edits = panel(tab)
    edits.locator("textarea").fill("after a look at both")
    edits.locator("[data-action=save-all]").click()
    conflict = edits.locator("[data-change='houses/2'] [data-conflict]")
    conflict.wait_for()
    assert "Changed meanwhile by test" in conflict.inner_text()
    # the other side's other field is shown beside the one that both have changed
    assert "shop" in conflict.locator("[data-compared=use]").inner_text()
    row = conflict.locator("[data-compared=height_m]")
    assert [row.locator("td").nth(i).inner_text().strip() for i in range(3)] == [assumed, "14 m", "12 m"]
    assert newest(server)[0] == other
    assert tab.violations() == []
    row.locator("input[value=theirs]").check()
    assert row.locator("input[value=mine]").is_checked() is False
    edits.locator("[data-action=mine]").click()
    conflict.locator("[data-action=settle]").click()
    assert "14 m → 12 m" in edits.locator("[data-change='houses/2']").inner_text()
    edits.locator("[data-action=save-all]").click()
    edits.locator("[data-saved]").wait_for()
    found, changed = newest(server)
    assert found["message"] == "after a look at both"
    assert {(one["layer"], one["id"]) for one in changed["changes"]} == {("houses", 2), ("roads", 2)}
    now = properties(server, "houses", 2)
    assert (now["height_m"], now["use"]) == (12, "shop")
    assert properties(server, "roads", 2)["name"] == "Moonlight Street"


def test_a_point_is_put_on_the_map_filled_in_and_saved_without_a_message(tab: Tab):
    server = tab.server
    edits = panel(tab)
    edits.locator("select[name=layer]").select_option("far")
    edits.locator("[data-action=put]").click()
    assert tab.page.locator("twin-edits-bar").inner_text().startswith("Click the place")
    tab.look(LON, LAT, 700)
    there = tab.js("([lon, lat]) => window.twin.window(lon, lat)", list(at(-120, 60)))
    tab.page.mouse.click(there["x"], there["y"])
    card = tab.page.locator("twin-new")
    card.locator("input[name=name]").fill("A new lamp")
    until(lambda: tab.pick(*at(-120, 60)) == {"type": "new", "id": 1}, 20, "its dot on the map")
    lat, lon = map(float, card.locator("input[name=twin-place]").input_value().split(","))
    assert (lon, lat) == (pytest.approx(at(-120, 60)[0], abs=2e-5), pytest.approx(at(-120, 60)[1], abs=2e-5))
    assert tab.violations() == []
    card.locator("[data-action=save]").click()
    saved = tab.page.locator("twin-feature [data-field=name]")
    saved.wait_for()
    assert saved.inner_text() == "A new lamp"
    found, changed = newest(server)
    assert found["message"] == ""
    (made,) = changed["changes"]
    assert (made["layer"], made["change"]) == ("far", "added")
    feature_ = read(server, "far", made["id"]).json()
    assert feature_["properties"]["name"] == "A new lamp"
    assert feature_["geometry"]["coordinates"][:2] == [lon, lat]
    # far from all that the layer had: its tiles reach there now
    until(lambda: tab.pick(*at(-120, 60)) == feature("far", made["id"]), 30, "the feature in its layer")


def test_a_save_whose_answer_was_lost_is_not_done_twice(tab: Tab):
    """The server has done it; the page cannot know, is reloaded, and saves again."""
    server = tab.server
    lost: list[int] = []

    def lose(route: Route) -> None:
        lost.append(route.fetch().status)
        route.abort()

    def count() -> int:
        return int(server.http.get("/ogc/collections/far/items?limit=1").json()["numberMatched"])

    before, sets = count(), newest(server)[0]["id"]
    edits = panel(tab)
    edits.locator("select[name=layer]").select_option("far")
    edits.locator("[data-action=add-here]").click()
    edits = panel(tab)
    tab.page.route("**/ogc/transactions", lose, times=1)
    edits.locator("[data-action=save-all]").click()
    edits.locator("[role=alert]").first.wait_for()
    assert lost == [200]
    tab.page.once("dialog", lambda dialog: dialog.accept())
    tab.page.reload()
    until(lambda: tab.js("!!window.twin"), 60, "the page's start")
    edits = panel(tab)
    edits.locator("[data-action=save-all]").click()
    edits.locator("[data-saved]").wait_for()
    assert (count(), newest(server)[0]["id"]) == (before + 1, sets + 1)
    tab.expected += ["ERR_FAILED"]


def test_a_point_is_moved_and_steps_are_taken_back(tab: Tab):
    server = tab.server
    card = choose(tab, "far", 1)
    before = read(server, "far", 1).json()["geometry"]
    place = form(card).locator("input[name=twin-place]")
    place.fill("60.171, 24.951")
    form(card).locator("input[name=name]").fill("moved")
    tab.page.locator("twin-feature h2").click()
    tab.page.keyboard.press("Control+z")
    assert form(card).locator("input[name=name]").input_value() == "far"
    assert place.input_value() == "60.171, 24.951"
    tab.page.keyboard.press("Control+Shift+z")
    assert form(card).locator("input[name=name]").input_value() == "moved"
    tab.page.keyboard.press("Control+z")
    card.locator("[data-action=save]").click()
    card.locator("[data-action=edit]").wait_for()
    now = read(server, "far", 1).json()
    assert now["geometry"]["coordinates"] == [24.951, 60.171] != before["coordinates"]
    assert now["properties"]["name"] == "far"


def test_what_is_not_saved_is_marked_on_the_map_but_not_in_the_past(tab: Tab):
    tab.look(*at(120, 120), 300, -90, right=None, selection=None, mode="2d")
    place = tab.js("([lon, lat]) => window.twin.window(lon, lat)", list(at(120, 120)))
    plain = colour(tab, place["x"], place["y"])
    form(choose(tab, "houses", 1)).locator("input[name=name]").fill("marked")
    tab.look(*at(120, 120), 300, -90, selection=None)
    marked = colour(tab, place["x"], place["y"])
    assert np.abs(np.subtract(marked, plain)).max() > 40
    # the token of what is not saved: less red in it than blue
    assert marked[0] < marked[2]
    seq = newest(tab.server)[0]["last"]
    tab.look(*at(120, 120), 300, -90, at=f"@{seq}")
    assert np.abs(np.subtract(colour(tab, place["x"], place["y"]), marked)).max() > 40
    assert tab.page.locator("twin-edits-bar [data-unsaved]").count() == 0
    card = tab.page.locator("twin-feature")
    tab.js("selection => window.twin.set({selection})", feature("houses", 1))
    card.locator("[data-field=height_m]").wait_for()
    assert card.locator("[data-action=edit], [data-action=delete], [data-unsaved]").count() == 0
    tab.js("window.twin.set({at: null, selection: null, mode: '3d'})")
    tab.page.locator("twin-edits-bar [data-unsaved='1'] button").click()
    panel(tab).locator("[data-action=discard-all]").click()
    assert tab.page.locator("twin-edits [data-change]").count() == 0


def test_a_key_that_may_not_edit_sees_none_of_it(browser: Browser, server: Server):
    tab = new_tab(browser, server)
    tab.open(f"{OPENING}&l=&p=edits&s=houses:1", key=False)
    tab.page.locator("twin-feature [data-field=height_m]").wait_for()
    for absent in ("[data-panel=edits]", "twin-edits", "[data-action=edit]", "[data-action=delete]"):
        assert tab.page.locator(absent).count() == 0, absent
    tab.page.keyboard.press("e")
    assert tab.page.locator("twin-edits").count() == 0
    tab.close()


def test_a_phone_in_chinese_gathers_edits_too(browser: Browser, server: Server):
    tab = new_tab(
        browser,
        server,
        viewport={"width": 390, "height": 700},
        has_touch=True,
        is_mobile=True,
        color_scheme="dark",
    )
    tab.open(f"v={LON},{LAT},700,0,-60&l=houses&lang=zh-CN&s=houses:1")
    card = tab.page.locator("twin-feature")
    card.locator("[data-action=edit]").tap()
    card.locator("input[name=name]").fill("街角楼")
    bar = tab.page.locator("twin-edits-bar [data-unsaved]")
    assert "1 个要素已修改，尚未保存" in bar.inner_text()
    assert tab.js("document.documentElement.scrollWidth <= innerWidth")
    bar.locator("button").tap()
    edits = tab.page.locator("twin-edits")
    edits.locator("[data-change]").wait_for()
    button = edits.locator("[data-action=save-all]").bounding_box()
    assert button is not None
    assert button["height"] >= 44
    assert tab.violations() == []
    edits.locator("[data-action=save-all]").tap()
    edits.locator("[data-saved]").wait_for()
    assert properties(server, "houses", 1)["name"] == "街角楼"
    tab.close()

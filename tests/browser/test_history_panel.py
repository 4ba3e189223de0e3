"""What changed, by whom and when: listed, filtered, told by feature and shown on the map.

One page in one small city that is edited over the API; the tests follow one another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator

from tests.browser import small
from tests.browser.conftest import Tab, feature, new_tab
from tests.browser.pixels import colour
from tests.browser.small import LAT, LON, at, box
from tests.browser.test_past import ZONE, patch
from tests.support import Server, init, until

HOUSE, SPARE, NEW = at(120, 120), at(0, 150), at(-120, 120)
PHONE = {"width": 390, "height": 760}


def shape(server: Server, layer: str, fid: int, geometry: dict[str, Any]) -> None:
    headers = {**server.auth, "content-type": "application/merge-patch+json"}
    answer = server.http.patch(
        f"/ogc/collections/{layer}/items/{fid}", json={"geometry": geometry}, headers=headers
    )
    assert answer.status_code in (200, 204), answer.text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    city, files = init(tmp_path_factory.mktemp("history") / "city"), tmp_path_factory.mktemp("files")
    small.load(city, files, "houses", "roads", "spare")
    server = Server.start(city)
    patch(server, "houses", 1, height_m=50, name="Annex")
    assert server.http.delete("/ogc/collections/spare/items/1", headers=server.auth).status_code == 204
    new = {"type": "Feature", "geometry": box(-140, 100, -100, 140), "properties": {"height_m": 12}}
    headers = {**server.auth, "content-type": "application/geo+json"}
    assert server.http.post("/ogc/collections/houses/items", json=new, headers=headers).status_code == 201
    shape(server, "roads", 2, small.line((230, -80), (350, -80)))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tab(browser: Browser, server: Server) -> Iterator[Tab]:
    opened = new_tab(browser, server, viewport={"width": 900, "height": 600})
    opened.open(f"v={LON},{LAT},700,0,-60&lang=en")
    yield opened
    opened.close()


def panel(tab: Tab) -> Locator:
    return tab.page.locator("twin-history")


def rows(tab: Tab) -> list[str]:
    """The change sets that are listed, as they read."""
    return panel(tab).locator("[data-set]").all_inner_texts()


def colour_at(tab: Tab, lon: float, lat: float) -> list[int]:
    """The colour that is drawn over the map there, as red, green, blue and opacity."""
    place = tab.js("([lon, lat]) => window.twin.window(lon, lat)", [lon, lat])
    return list(
        tab.js(
            "([x, y]) => { const marks = document.querySelector('canvas.marks'); if (!marks) return [];"
            "const one = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});"
            "one.drawImage(marks, -Math.round(x * devicePixelRatio), -Math.round(y * devicePixelRatio));"
            "return [...one.getImageData(0, 0, 1, 1).data] }",
            [place["x"], place["y"]],
        )
    )


def test_change_sets_are_listed_newest_first(tab: Tab):
    tab.page.locator("[data-panel=history]").click()
    until(lambda: len(rows(tab)) == 7, 20, "the change sets")
    assert "p=history" in tab.page.url
    texts = rows(tab)
    layers = [text.strip().split("\n")[0] for text in texts[:4]]
    assert layers == ["Roads", "Buildings", "Features", "Buildings"]
    assert all("edited · test" in text for text in texts[:4]), texts
    assert all("loaded" in text for text in texts[4:]), texts
    counted = panel(tab).locator("[data-set] .counts")
    until(lambda: counted.count() == 4, 20, "the numbers of each")
    told = [" ".join(text.split()) for text in counted.all_inner_texts()]
    assert told == ["1 Changed", "1 New", "1 Gone", "1 Changed"]


def test_it_is_filtered_by_layer_by_person_and_by_what_is_in_view(tab: Tab):
    history = panel(tab)
    history.locator("[data-history=layer]").select_option("spare")
    until(lambda: len(rows(tab)) == 2, 20, "those of a layer")
    history.locator("[data-history=layer]").select_option("")
    history.locator("[data-history=actor]").fill("nobody of that name")
    history.locator("[data-history=actor]").press("Enter")
    history.locator("[data-why='history.none']").wait_for()
    history.locator("[data-history=actor]").fill("test")
    history.locator("[data-history=actor]").press("Enter")
    until(lambda: len(rows(tab)) == 4, 20, "those of a person")
    history.locator("[data-history=actor]").fill("")
    history.locator("[data-history=actor]").press("Enter")
    until(lambda: len(rows(tab)) == 7, 20, "all of them again")
    tab.look(*HOUSE, 60, pitch=-90, mode="2d")
    history.locator("[data-history=here]").click()
    # the house was loaded and edited; the other layers have nothing there
    until(lambda: len(rows(tab)) == 2, 20, "those of the view")
    history.locator("[data-history=here]").click()
    until(lambda: len(rows(tab)) == 7, 20, "all of them again")
    tab.look(LON, LAT, 700, mode="3d")


def test_what_a_change_set_changed_is_told_and_drawn(tab: Tab):
    history = panel(tab)
    assert tab.page.locator("canvas.marks").count() == 0
    history.locator("[data-set]").nth(3).click()
    row = history.locator("[data-feature='houses/1']")
    row.wait_for()
    assert "set=4" in tab.page.url
    text = row.inner_text()
    assert "20 m → 50 m" in text
    assert "– → Annex" in text
    tab.ready()
    red, green, blue, opacity = colour_at(tab, *at(101, 120))
    assert opacity > 0
    assert blue > red > green, "the colour of what has changed"
    assert history.locator("[data-of-set='4']").inner_text().count("test") == 1


def test_a_click_on_the_map_tells_old_and_new_side_by_side(tab: Tab):
    tab.look(*at(300, 60), 700)
    place = tab.js("([lon, lat]) => window.twin.window(lon, lat)", list(at(110, 110)))
    frame = tab.page.locator("#map canvas").first.bounding_box()
    assert frame is not None
    tab.page.mouse.click(frame["x"] + place["x"], frame["y"] + place["y"])
    height = panel(tab).locator("[data-values='houses/1'] [data-field=height_m]")
    height.wait_for()
    assert height.locator("td").all_inner_texts() == ["20 m", "50 m"]
    assert tab.js("window.twin.state().selection") is None
    panel(tab).locator("[data-card='houses/1']").click()
    tab.page.locator("twin-feature [data-field=height_m]").wait_for()
    tab.js("window.twin.set({selection: null})")


def test_what_is_gone_and_what_is_new_have_colours_of_their_own(tab: Tab):
    history = panel(tab)
    history.locator("[data-history=back]").click()
    history.locator("[data-set='5']").click()
    history.locator("[data-feature='spare/1'][data-change=removed]").click()
    values = history.locator("[data-values='spare/1']")
    assert values.locator("[data-field=name] td").all_inner_texts() == ["spare"]
    assert values.locator("[data-card]").count() == 0
    tab.ready()
    until(lambda: abs(tab.js("window.twin.state().view").get("lat") - SPARE[1]) < 1e-4, 20, "the place of it")
    tab.ready()
    red, green, blue, opacity = colour_at(tab, SPARE[0] + 0.00002, SPARE[1])
    assert opacity > 0
    assert red > blue > green, "the colour of what is gone"
    history.locator("[data-history=back]").click()
    history.locator("[data-set='6']").click()
    history.locator("[data-feature^='houses/'][data-change=added]").wait_for()
    tab.look(LON, LAT, 700)
    red, green, blue, opacity = colour_at(tab, *at(-139, 120))
    assert opacity > 0
    assert green > blue > red, "the colour of what is new"


def test_the_city_before_a_change_set_is_shown(tab: Tab):
    history = panel(tab)
    history.locator("[data-moment='@5']").click()
    tab.page.locator("twin-past [data-frame]").wait_for()
    tab.ready()
    assert tab.pick(*NEW, 5) is None
    history.locator("[data-moment='@6']").click()
    tab.ready()
    assert tab.pick(*NEW, 5)["layer"] == "houses"
    assert (tab.attributes(*NEW, 5) or {}).get("height_m") == 12
    tab.page.locator("twin-past [data-past=now]").click()
    tab.page.locator("twin-past [data-frame]").wait_for(state="detached")


def test_the_link_opens_the_same(tab: Tab):
    url = tab.page.url
    assert "p=history" in url
    assert "set=6" in url
    tab.page.reload()
    until(lambda: tab.js("!!window.twin"), 60, "the page's start")
    panel(tab).locator("[data-change=added][data-feature]").wait_for()
    tab.ready()
    assert colour_at(tab, *at(-139, 120))[3] > 0


def test_what_changes_meanwhile_is_listed(tab: Tab, server: Server):
    history = panel(tab)
    history.locator("[data-history=back]").click()
    until(lambda: len(rows(tab)) == 7, 20, "the list")
    tab.page.mouse.move(10, 300)
    patch(server, "houses", 3, height_m=61)
    until(lambda: len(rows(tab)) == 8, 20, "the newest change")
    counted = history.locator("[data-set]").first.locator(".counts")
    until(lambda: counted.count() == 1, 20, "the numbers of the newest change")
    # nothing moves under a pointer
    history.locator("[data-set]").nth(1).hover()
    patch(server, "houses", 3, height_m=62)
    history.locator("[data-history=fresh]").wait_for()
    assert len(rows(tab)) == 8
    history.locator("[data-history=fresh]").click()
    until(lambda: len(rows(tab)) == 9, 20, "the newest change, when asked for")


def different(tab: Tab) -> str:
    return tab.page.locator("[data-compare=list]").inner_text()


def test_two_moments_are_compared_as_colours(tab: Tab):
    tab.js("window.twin.set({at: '@3', right: null, set: null})")
    tab.page.locator("twin-past [data-past=compare]").click()
    until(lambda: different(tab).strip() == "5 different", 20, "how much is different")
    assert "at=%403&against=now" in tab.page.url
    assert tab.page.locator("twin-past [data-then]").inner_text().endswith("compared with now")
    tab.look(*at(0, 60), 700)
    red, green, blue, _ = colour_at(tab, *at(-139, 120))
    assert green > blue > red, "the colour of what is new"
    red, green, blue, _ = colour_at(tab, SPARE[0] + 0.00002, SPARE[1])
    assert red > blue > green, "the colour of what is gone"
    # what is drawn as a body is that of then
    assert (tab.attributes(*HOUSE, 10) or {}).get("height_m") == 20
    place = tab.js("([lon, lat]) => window.twin.window(lon, lat)", list(at(110, 110)))
    tab.page.mouse.click(place["x"], place["y"])
    height = panel(tab).locator("[data-values='houses/1'] [data-field=height_m] td")
    until(lambda: height.all_inner_texts() == ["20 m", "50 m"], 20, "old and new values")
    layers = panel(tab).locator("[data-summary] [data-layer]")
    assert [one.split() for one in layers.all_inner_texts()] == [
        ["Buildings", "1", "New", "2", "Changed"],
        ["Roads", "1", "Changed"],
        ["Features", "1", "Gone"],
    ]
    panel(tab).locator("[data-kind=removed]").click()
    assert panel(tab).locator("[data-feature]").count() == 1
    tab.js("window.twin.set({right: null})")


def turn(tab: Tab, key: str) -> None:
    tab.page.locator("[role=slider]").focus()
    tab.page.keyboard.press(key)
    tab.ready()


@pytest.mark.parametrize("mode", ["3d", "2d"])
def test_two_moments_stand_side_by_side(tab: Tab, mode: str):
    tab.page.locator("[data-compare=sides]").click()
    divide = tab.page.locator("[role=slider]")
    divide.wait_for()
    tab.look(*at(0, 60), 700, mode=mode)
    turn(tab, "End")
    # all that is left of the divide is of then
    assert divide.get_attribute("aria-valuenow") == "97"
    assert tab.pick(*NEW, 5) is None
    assert tab.pick(*SPARE) == feature("spare", 1)
    place = tab.js("([lon, lat]) => window.twin.window(lon, lat)", list(NEW))
    ground = colour(tab, place["x"], place["y"])
    turn(tab, "Home")
    assert divide.get_attribute("aria-valuenow") == "3"
    new = tab.pick(*NEW)
    assert new["layer"] == "houses"
    assert tab.pick(*SPARE) is None
    assert tab.attributes(*HOUSE, 10)["height_m"] == 50
    house = colour(tab, place["x"], place["y"])
    assert house != ground
    # the card is of the moment of that side
    shown = tab.js("([lon, lat]) => window.twin.window(lon, lat, 10)", list(HOUSE))
    tab.page.mouse.click(shown["x"], shown["y"])
    height = tab.page.locator("twin-feature [data-field=height_m]")
    until(lambda: "50 m" in "".join(height.all_inner_texts()), 20, "the height of now")
    assert "s=houses:1:against" in tab.page.url
    tab.js("window.twin.set({selection: null})")
    # through the middle of the new house: it is drawn right of the divide, and not left of it
    canvas = tab.js("window.innerWidth")
    tab.js("share => { document.activeElement.blur(); window.twin.set({split: share}) }", place["x"] / canvas)
    tab.ready()
    assert colour(tab, place["x"] + 16, place["y"]) == house
    assert colour(tab, place["x"] - 16, place["y"]) == ground
    assert tab.page.locator("[data-side=right]").inner_text().strip() == "now ▶"
    moment = tab.server.http.get("/ogc/changes?set=3").json()["to"]["at"]
    local = datetime.fromisoformat(moment).astimezone(ZONE)
    assert f"{local:%Y-%m-%d %H:%M:%S}" in tab.page.locator("[data-side=left]").inner_text()


def test_the_divide_is_moved_by_the_pointer_and_stands_in_the_link(tab: Tab):
    divide = tab.page.locator("[role=slider]")
    grip = divide.bounding_box()
    assert grip is not None
    tab.page.mouse.move(grip["x"] + 12, 300)
    tab.page.mouse.down()
    tab.page.mouse.move(450, 300, steps=4)
    tab.page.mouse.up()
    assert divide.get_attribute("aria-valuenow") == "50"
    assert "split=0.5&" in tab.page.url
    assert tab.violations() == []


def test_what_is_edited_meanwhile_is_seen_on_the_side_of_now(tab: Tab, server: Server):
    tab.look(*at(0, 60), 700, mode="3d")
    assert tab.attributes(*HOUSE, 10)["height_m"] == 50
    patch(server, "houses", 1, height_m=55)
    until(lambda: (tab.attributes(*HOUSE, 10) or {}).get("height_m") == 55, 30, "the edit on the right")
    turn(tab, "End")
    assert tab.attributes(*HOUSE, 10)["height_m"] == 20
    patch(server, "houses", 1, height_m=50)


def test_a_comparison_ends(tab: Tab):
    tab.page.locator("[data-compare=end]").click()
    tab.page.locator("[role=slider]").wait_for(state="detached")
    assert "against" not in tab.page.url
    tab.ready()
    assert tab.attributes(*HOUSE, 10)["height_m"] == 20
    tab.page.locator("twin-past [data-past=now]").click()
    tab.page.locator("twin-past [data-frame]").wait_for(state="detached")
    tab.ready()
    until(lambda: (tab.attributes(*HOUSE, 10) or {}).get("height_m") == 50, 20, "the height of now")


def test_axe_finds_nothing(tab: Tab):
    history = panel(tab)
    tab.js("window.twin.set({right: 'history', set: null})")
    history.locator("[data-set]").first.wait_for()
    assert tab.violations() == []
    history.locator("[data-set='4']").click()
    history.locator("[data-feature='houses/1']").click()
    history.locator("[data-values='houses/1']").wait_for()
    assert tab.violations() == []


def test_on_a_phone_without_a_key_in_chinese(browser: Browser, server: Server):
    opened = new_tab(browser, server, viewport=PHONE, has_touch=True, is_mobile=True)
    opened.open(f"v={LON},{LAT},700,0,-60&lang=zh-CN&p=history", key=False)
    until(lambda: len(rows(opened)) == 11, 20, "the change sets")
    assert "test" not in "".join(rows(opened))
    assert panel(opened).locator("[data-history=actor]").count() == 0
    panel(opened).locator("[data-set='4']").tap()
    row = panel(opened).locator("[data-feature='houses/1']")
    row.wait_for()
    assert "修改" in row.inner_text()
    frame = panel(opened).bounding_box()
    assert frame is not None
    assert frame["y"] > PHONE["height"] * 0.4
    assert opened.js("document.documentElement.scrollWidth") == PHONE["width"]
    opened.close()

"""The page opens by itself, shows what the city has, and remembers its state in the address.

Opening a page costs the processor more than most tests do: what does not ask how it opens goes there by its
state, and what a link opens is looked at by more than one test.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import places
from tests.browser.conftest import Tab, feature, new_tab
from tests.support import Server, until


@pytest.fixture(scope="module")
def helsinki_module(helsinki_module: Path) -> Path:
    """A city whose map has an approval number."""
    with (helsinki_module / "city.yml").open("a", encoding="utf-8") as text:
        text.write("map_approval_no: GS(2026)0815\n")
    return helsinki_module


@pytest.fixture(scope="module")
def opening(server: Server) -> str:
    there = places.building(server)
    layers = "buildings,building_parts,pipelines,street_assets,roads"
    return f"v={there.lon:.6f},{there.lat:.6f},350,0,-60&l={layers}&lang=en"


@pytest.fixture(scope="module")
def linked(tab: Tab) -> Tab:
    """The page, opened by a link that names a feature and panels, and says not from where to look."""
    tab.open("l=places&s=addresses:60&p=legend,incidents&lang=en")
    return tab


@pytest.fixture(scope="module")
def reader(browser: Browser, server: Server) -> Iterator[Tab]:
    """A page without a key, on a dark screen."""
    opened = new_tab(browser, server, color_scheme="dark")
    opened.open("l=", key=False)
    yield opened
    complaints = opened.complaints
    opened.page.context.close()
    assert complaints == []


def only(tab: Tab, *layers: str) -> dict[str, dict[str, object]]:
    """The state of the layers in which these alone are switched on."""
    known = tab.js("Object.keys(window.twin.state().layers)")
    return {name: {"visible": name in layers, "opacity": 1} for name in known}


def is_at_address(tab: Tab, fid: int) -> bool:
    """Whether the page looks at that address."""
    item = tab.server.http.get(f"/ogc/collections/addresses/items/{fid}").json()
    lon, lat = item["geometry"]["coordinates"]
    view = tab.js("window.twin.state().view")
    return bool((view["lon"], view["lat"]) == pytest.approx((lon, lat), abs=2e-5))


def test_the_key_leaves_the_address_and_the_page_goes_on_with_a_session(tab: Tab):
    assert tab.server.key not in tab.page.url
    assert "key=" not in tab.page.url
    assert tab.js("sessionStorage.length + localStorage.length") == 0
    assert tab.js("document.cookie") == ""
    assert tab.js("fetch('session').then(answer => answer.json())")["name"] == "test"


def test_the_credits_carry_the_notice_of_the_data(tab: Tab):
    assert "OpenStreetMap contributors" in tab.page.inner_text("#credits")


def test_the_approval_number_of_the_map_stands_beside_the_notice(tab: Tab):
    tab.js("window.twin.set({lang: 'zh-CN'})")
    credits = tab.page.inner_text("#credits")
    assert "OpenStreetMap contributors" in credits
    assert "审图号" in credits
    assert "GS(2026)0815" in credits
    tab.js("window.twin.set({lang: 'en'})")


def test_a_building_is_picked_where_it_stands(tab: Tab):
    there = places.building(tab.server)
    tab.look(there.lon, there.lat)
    assert tab.pick(there.lon, there.lat, there.height) == feature("buildings", there.fid)
    drawn = tab.attributes(there.lon, there.lat, there.height)
    assert drawn["source_id"] == there.properties["source_id"]
    assert drawn["height_m"] == pytest.approx(there.height, abs=0.01)


def test_a_building_part_is_picked_where_it_stands(tab: Tab):
    there = places.part(tab.server)
    tab.look(there.lon, there.lat)
    assert tab.pick(there.lon, there.lat, there.height) == feature("building_parts", there.fid)


def test_a_pipe_is_seen_underground_and_hidden_by_the_street_otherwise(tab: Tab):
    there = places.pipe(tab.server)
    for distance in (120, 320):
        tab.look(there.lon, there.lat, distance, underground=True)
        assert tab.pick(there.lon, there.lat, there.height) == feature("pipelines", there.fid)
        tab.look(there.lon, there.lat, distance, underground=False)
        hidden = tab.pick(there.lon, there.lat, there.height)
        assert hidden is None or hidden["layer"] != "pipelines"


def test_a_vector_feature_is_picked_at_its_known_place(tab: Tab):
    there = places.asset(tab.server)
    tab.look(there.lon, there.lat, 150, pitch=-80)
    assert tab.pick(there.lon, there.lat) == feature("street_assets", there.fid)
    assert tab.attributes(there.lon, there.lat)["source_id"] == there.properties["source_id"]


def test_from_above_footprints_stand_for_buildings(tab: Tab):
    there = places.building(tab.server)
    tab.look(there.lon, there.lat, 300, mode="2d")
    assert tab.pick(there.lon, there.lat) == feature("buildings", there.fid)
    forms = {(one["layer"], one["form"]) for one in tab.js("window.twin.tiles()")}
    assert ("buildings", "vector") in forms
    tab.js("window.twin.set({mode: '3d'})")
    tab.ready()


def test_search_goes_to_an_address(tab: Tab):
    tab.js("window.twin.set({lang: 'en'})")
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("Unioninkatu 29")
    first = tab.page.locator("#search-hits li[role=option]").first
    first.wait_for()
    assert "Unioninkatu 29" in first.inner_text()
    before = tab.js("window.twin.state().view")
    tab.page.keyboard.press("Enter")
    selection = tab.js("window.twin.state().selection")
    assert selection["layer"] in ("addresses", "buildings")
    after = tab.js("window.twin.state().view")
    assert (after["lon"], after["lat"]) != (before["lon"], before["lat"])
    item = tab.server.http.get(f"/ogc/collections/{selection['layer']}/items/{selection['fid']}").json()
    assert after["lon"] == pytest.approx(item["geometry"]["coordinates"][0], abs=2e-4)
    assert after["lat"] == pytest.approx(item["geometry"]["coordinates"][1], abs=2e-4)
    tab.page.keyboard.press("Escape")


def test_the_layer_tree_hides_and_fades_layers_and_the_legend_marks_what_is_assumed(tab: Tab):
    tab.page.keyboard.press("l")
    row = tab.page.locator("twin-layers [data-layer=roads]")
    row.locator("input[type=checkbox]").uncheck()
    assert tab.js("window.twin.state().layers.roads.visible") is False
    assert "roads" not in tab.page.url
    row.locator("input[type=checkbox]").check()
    row.locator("input[type=range]").fill("0.5")
    assert tab.js("window.twin.state().layers.roads.opacity") == 0.5
    assert "roads:0.5" in tab.page.url
    tab.page.get_by_role("tab", name="Legend").click()
    assert tab.page.locator("twin-layers .swatch.assumed").count() >= 2
    tab.page.keyboard.press("Escape")


def test_the_language_switches_without_a_missing_word(tab: Tab):
    tab.page.keyboard.press("l")
    for lang, word in (("zh-CN", "图层目录"), ("en", "Layers")):
        tab.page.locator("select.language").select_option(lang)
        until(lambda word=word: word in tab.page.inner_text("twin-layers"), 5, f"the word {word}")
        assert tab.page.get_attribute("html", "lang") == lang
        assert "undefined" not in tab.page.inner_text("body")
    tab.page.keyboard.press("Escape")


def test_zooming_out_stops_at_the_surroundings(tab: Tab):
    config = tab.server.http.get("/config.json").json()
    west, south, east, north = config["surroundings"]
    for _ in range(12):
        tab.page.keyboard.press("-")
    view = tab.js("window.twin.state().view")
    assert view["height"] < 1.2 * 111_320 * ((east - west) ** 2 + (north - south) ** 2) ** 0.5
    tab.js("window.twin.set({view: {lon: 0, lat: 0, height: 500, heading: 0, pitch: -50}})")
    tab.page.keyboard.press("+")
    view = tab.js("window.twin.state().view")
    assert west <= view["lon"] <= east
    assert south <= view["lat"] <= north


def test_a_layer_leads_to_its_data_and_downloads(tab: Tab):
    tab.js("window.twin.set({lang: 'en'})")
    tab.page.keyboard.press("l")
    link = tab.page.locator("twin-layers [data-layer=roads] a.data")
    assert link.get_attribute("aria-label") == "Data and downloads of Roads"
    with tab.page.context.expect_page() as opened:
        link.click()
    data = opened.value
    data.wait_for_load_state()
    assert data.url == f"{tab.server.url}/ogc/collections/roads?f=html"
    assert data.locator("a[href*='download?f=gpkg']").count() == 1
    data.close()
    tab.page.keyboard.press("Escape")


@pytest.mark.parametrize("mode", ["3d", "2d"])
def test_a_deep_link_restores_the_whole_view(tab: Tab, mode: str):
    there = places.building(tab.server)
    view = f"v={there.lon:.6f},{there.lat:.6f},420,35,-50&m={mode}"
    tab.open(f"{view}&l=buildings:0.7,places&s=buildings:{there.fid}&lang=zh-CN")
    state = tab.js("window.twin.state()")
    assert state["mode"] == mode
    assert state["lang"] == "zh-CN"
    assert state["selection"] == feature("buildings", there.fid)
    assert state["layers"]["buildings"] == {"visible": True, "opacity": 0.7}
    assert not state["layers"]["pipelines"]["visible"]
    view = state["view"]
    assert view["lon"] == pytest.approx(there.lon, abs=2e-5)
    assert view["lat"] == pytest.approx(there.lat, abs=2e-5)
    assert view["height"] == pytest.approx(420, rel=0.01)
    assert view["heading"] == pytest.approx(35, abs=0.5)
    assert view["pitch"] == pytest.approx(-50, abs=0.5)
    assert tab.page.locator("twin-feature [data-field=height_m]").count() == 1
    height = there.height if mode == "3d" else 0
    assert tab.pick(there.lon, there.lat, height) == feature("buildings", there.fid)


def test_a_link_that_names_a_feature_alone_goes_to_it_and_shows_its_layer(linked: Tab):
    until(lambda: is_at_address(linked, 60), 20, "the flight")
    assert linked.js("window.twin.state().layers.addresses.visible")
    assert linked.js("window.twin.state().selection") == feature("addresses", 60)


def test_panels_open_by_link_and_the_link_says_which_are_open(linked: Tab):
    linked.page.get_by_role("tab", name="Legend", selected=True).wait_for()
    linked.page.locator("twin-incidents.drawer.right").wait_for()
    assert "p=legend,incidents" in linked.page.url
    linked.js("window.twin.set({selection: null})")
    linked.page.keyboard.press("i")
    linked.page.keyboard.press("l")
    assert linked.page.locator(".drawer").count() == 0
    assert "p=" not in linked.page.url.split("#")[1]


def test_another_link_in_the_tab_goes_to_its_feature_and_says_when_there_is_none(linked: Tab):
    linked.js("location.hash = '#l=&lang=en&s=addresses:61'")
    until(lambda: is_at_address(linked, 61), 20, "the flight to another")
    linked.expected += ["404"]
    linked.js("location.hash = '#l=&lang=en&s=addresses:99999999'")
    linked.page.locator("twin-feature .message").wait_for()
    linked.page.keyboard.press("Escape")


def test_axe_finds_nothing_in_panels_cards_and_forms(tab: Tab):
    there = places.building(tab.server)
    tab.js("window.twin.set({lang: 'en', left: 'layers', right: 'incidents'})")
    tab.page.locator("twin-layers [data-layer=roads]").wait_for()
    tab.page.locator("twin-incidents .scroll").wait_for()
    assert tab.violations() == []
    tab.js(
        "window.twin.set({left: 'legend', selection: " + json.dumps(feature("buildings", there.fid)) + "})"
    )
    tab.page.locator("twin-feature [data-action=edit]").click()
    tab.page.locator("twin-feature input[name=name]").fill("typed and not saved")
    assert tab.violations() == []
    tab.page.locator("twin-feature [data-action=discard]").click()
    tab.page.locator("twin-feature .close").click()
    assert tab.js("window.twin.state().selection") is None
    assert tab.page.locator("twin-incidents").is_visible()
    tab.js("window.twin.set({left: null, right: null})")


def test_the_dark_set_follows_the_system_and_the_switch_is_kept(reader: Tab):
    tab = reader
    paper = "getComputedStyle(document.querySelector('header.bar')).backgroundColor"
    dark = tab.js(paper)
    assert tab.page.get_attribute("html", "data-theme") == "dark"
    tab.page.keyboard.press("d")
    assert tab.page.get_attribute("html", "data-theme") == "light"
    assert tab.js(paper) == "rgb(255, 255, 255)" != dark
    tab.open("l=", key=False)
    assert tab.page.get_attribute("html", "data-theme") == "light"
    tab.page.locator("[data-tool=theme]").click()
    assert tab.js(paper) == dark


def test_without_a_key_nothing_offers_to_write(reader: Tab):
    there = places.building(reader.server, small=True)
    reader.js("selection => window.twin.set({selection})", feature("buildings", there.fid))
    reader.page.locator("twin-feature [data-field=height_m]").wait_for()
    assert reader.page.locator("[data-action=edit]").count() == 0


def test_the_card_leads_from_a_part_to_its_building_and_back(tab: Tab):
    there = places.part(tab.server)
    selection = feature("building_parts", there.fid)
    tab.look(there.lon, there.lat, 300, -50, selection=selection, layers=only(tab, "building_parts"))
    card = tab.page.locator("twin-feature")
    card.locator("[data-relation=isPartOf] button").click()
    card.locator(f"[data-relation=hasPart] [data-feature='building_parts/{there.fid}']").click()
    card.locator("[data-relation=isPartOf] button").wait_for()
    assert tab.js("window.twin.state().selection") == feature("building_parts", there.fid)


def test_an_edit_is_saved_from_its_card_and_tells_when_it_was_overtaken(tab: Tab):
    there = places.building(tab.server, small=True)
    selection = feature("buildings", there.fid)
    tab.look(there.lon, there.lat, 300, -50, selection=selection, layers=only(tab, "buildings"))
    card = tab.page.locator("twin-feature")
    card.locator("[data-action=edit]").click()
    card.locator("input[name=name]").fill("House of the test")
    card.locator("[data-action=save]").click()
    card.locator("[data-field=name]").wait_for()
    url = f"/ogc/collections/buildings/items/{there.fid}"
    assert tab.server.http.get(url).json()["properties"]["name"] == "House of the test"
    card.locator("[data-action=edit]").click()
    card.locator("input[name=name]").fill("Too late")
    patch = {"properties": {"name": "Someone else was quicker"}}
    media = {"content-type": "application/merge-patch+json"}
    assert tab.server.http.patch(url, json=patch, headers={**tab.server.auth, **media}).status_code == 204
    # its tile is exchanged soon: the card knows by then, without a try
    card.locator("[data-conflict]").wait_for()
    assert "Changed meanwhile by test" in card.locator("[data-conflict]").inner_text()
    assert tab.server.http.get(url).json()["properties"]["name"] == "Someone else was quicker"
    card.locator("[data-action=theirs]").click()
    card.locator("[data-action=settle]").click()
    # nothing of ours is left, and one goes on with what there is
    name = card.locator("input[name=name]")
    name.wait_for()
    assert name.input_value() == "Someone else was quicker"
    assert tab.page.locator("[data-unsaved]").count() == 0


def test_a_phone_sees_sheets_and_no_horizontal_scroll(browser: Browser, server: Server):
    tab = new_tab(browser, server, viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    tab.open("l=", key=False)
    tab.page.locator("[data-panel=incidents]").click()
    drawer = tab.page.locator("twin-incidents.drawer").bounding_box()
    assert drawer is not None
    assert drawer["width"] == 390
    assert drawer["y"] > 300
    tab.js("window.twin.set({right: null, left: 'layers'})")
    for part in ("label", "a.data"):
        tab.page.locator(f"twin-layers [data-layer=roads] {part}").wait_for()
    label, data = (
        tab.page.locator(f"twin-layers [data-layer=roads] {part}").bounding_box()
        for part in ("label", "a.data")
    )
    assert label is not None
    assert data is not None
    assert data["y"] + data["height"] / 2 == pytest.approx(label["y"] + label["height"] / 2, abs=1)
    tab.js("selection => window.twin.set({selection})", feature("buildings", places.building(server).fid))
    word = tab.page.locator("twin-feature dt", has_text="addr:housenumber")
    word.wait_for()
    lines = """e => {
        const words = document.createRange();
        words.selectNodeContents(e);
        return words.getClientRects().length;
    }"""
    assert word.evaluate(lines) == 1
    assert tab.js("document.documentElement.scrollWidth") <= 390
    assert tab.foreign == []
    assert tab.complaints == []
    tab.page.context.close()

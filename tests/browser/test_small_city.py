"""What a picture of the page shows, and why where it shows nothing.

No view is empty without its reason and the next step, and the step helps: each is provoked on the real page.
One page in one small city, which begins with nothing in it; the tests follow one another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Error, Locator

from layers.store import geopackage
from layers.store.base import FormSpec
from tests.browser import small
from tests.browser.conftest import Tab, feature, new_tab
from tests.browser.pixels import colour, contrast, pixels
from tests.browser.small import LAT, LON, at
from tests.support import Server, init, twin, until

ENGLISH = {"accept-language": "en"}
#: What the page complains of while a server, a proxy or a layer fails it.
PROVOKED = ("ERR_", "403", "404", "503", "could not be opened", "Failed to load", "could not be loaded")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A city without a layer."""
    running = Server.start(init(tmp_path_factory.mktemp("small") / "city"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what is loaded lies."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def tab(browser: Browser, server: Server) -> Iterator[Tab]:
    """The page, opened before there was anything."""
    # pixels are counted here
    opened = new_tab(browser, server, device_scale_factor=1)
    opened.expected += PROVOKED
    opened.open("lang=en")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def town(tab: Tab, files: Path) -> Tab:
    """The page with all layers; one of them has lost its only feature, one is no layer of features."""
    tab.js("window.twin.set({mode: '2d'})")
    spec = FormSpec("shell", "scene", "scene", {"en": "Shell"}, "EPSG:3879", (24.9, 60.1, 25.0, 60.2))
    store = geopackage.open(tab.server.folder / "city.gpkg")
    store.record(spec)
    (only,) = tab.server.http.get("/ogc/collections/hollow/items").json()["features"]
    item = f"/ogc/collections/hollow/items/{only['id']}"
    assert tab.server.http.delete(item, headers=tab.server.auth).status_code == 204
    store.close()
    layers = [name for name in small.LAYERS if name != "hollow"]
    small.load(tab.server.folder, files, *layers)
    every = {"shell", *small.LAYERS}
    until(lambda: set(tab.js("window.twin.state().layers")) == every, 30, "the layers")
    look(tab, 0, 0, mode="2d", left="layers")
    until(lambda: {"areas", "houses"} <= {one["layer"] for one in tab.js("window.twin.tiles()")}, 20, "tiles")
    tab.ready()
    return tab


def look(tab: Tab, east: float, north: float, height: float = 900, pitch: float = -60, **state: Any) -> None:
    """Look at a place in metres from the middle of the city."""
    lon, lat = at(east, north)
    tab.look(lon, lat, height, pitch, **state)


def only(tab: Tab, *layers: str) -> None:
    """Switch on these layers alone."""
    shown = {name: {"visible": name in layers, "opacity": 1} for name in tab.js("window.twin.state().layers")}
    tab.js("layers => window.twin.set({layers})", shown)


def notice(tab: Tab, word: str) -> Locator:
    """The reason over the map; waited for."""
    found = tab.page.locator(f"twin-why [data-why='{word}']")
    found.wait_for(timeout=20_000)
    assert found.inner_text().strip()
    return found


def row(tab: Tab, layer: str, word: str) -> Locator:
    """The reason in the layer's row of the tree; waited for."""
    found = tab.page.locator(f"twin-layers [data-layer={layer}] [data-why='{word}']")
    found.wait_for(timeout=20_000)
    return found


def press(reason: Locator) -> None:
    """The next step beside a reason; it helps: the reason goes."""
    reason.locator("button").click()
    reason.wait_for(state="detached", timeout=20_000)


def visible(tab: Tab) -> set[str]:
    return {name for name, one in tab.js("window.twin.state().layers").items() if one["visible"]}


def test_a_city_without_layers_says_how_to_load_one_and_goes_there(tab: Tab, files: Path):
    assert "twin load" in notice(tab, "why.nothing").inner_text()
    small.load(tab.server.folder, files, "hollow")

    def begun_anew() -> bool:
        # while the page is exchanged there is nobody to ask
        with contextlib.suppress(Error):
            return bool(tab.js("!!window.twin && 'hollow' in window.twin.state().layers"))
        return False

    until(begun_anew, 30, "the layer")
    tab.ready()
    assert tab.page.locator("twin-why [data-why]").count() == 0
    view = tab.js("window.twin.state().view")
    assert (view["lon"], view["lat"]) == pytest.approx((LON, LAT), abs=1e-5)
    assert view["height"] < 1000


def test_a_layer_that_lost_its_features_leads_to_its_data(town: Tab):
    link = row(town, "hollow", "why.empty").locator("a")
    said = town.server.http.get("/" + str(link.get_attribute("href")).lstrip("/"))
    assert said.status_code == 200
    items = town.server.http.get("/ogc/collections/hollow/items?f=html", headers=ENGLISH)
    assert "This layer has no features yet" in items.text


def test_a_layer_of_another_form_leads_to_its_data(town: Tab):
    link = row(town, "shell", "why.form").locator("a")
    assert town.server.http.get("/" + str(link.get_attribute("href"))).status_code == 200


def test_all_layers_off_and_the_usual_ones_back(town: Tab):
    only(town)
    press(notice(town, "why.off"))
    assert "areas" in visible(town)


def test_the_legend_of_no_layer_brings_the_usual_ones_back(town: Tab):
    only(town)
    town.js("window.twin.set({left: 'legend'})")
    press(town.page.locator("twin-layers [data-why='why.off']"))
    assert "areas" in visible(town)
    town.js("window.twin.set({left: 'layers'})")


def test_nothing_in_view_leads_back_to_the_city(town: Tab):
    only(town, "areas", "houses")
    look(town, 3000, 0, 300)
    press(notice(town, "why.elsewhere"))
    town.ready()
    assert town.js("window.twin.tiles().some(t => t.layer === 'areas' && t.urls.length > 0)")


def test_a_layer_elsewhere_is_gone_to(town: Tab):
    only(town, "areas", "far")
    look(town, 0, 0, 600)
    press(row(town, "far", "why.outside"))
    lon, lat = at(4000, 0)
    view = town.js("window.twin.state().view")
    assert (view["lon"], view["lat"]) == pytest.approx((lon, lat), abs=1e-3)
    town.ready()
    assert town.pick(lon, lat)["layer"] == "far"


@pytest.mark.parametrize(
    ("layer", "status", "word"), [("houses", 503, "why.building"), ("pipes", 403, "why.right")]
)
def test_what_a_proxy_or_the_server_refuses_is_told_and_tried_again(
    town: Tab, layer: str, status: int, word: str
):
    """The 3D form of these layers was not opened before: the page has been flat so far."""
    town.page.route(f"**/3dtiles/{layer}/**", lambda route: route.fulfill(status=status))
    only(town, layer)
    town.js("window.twin.set({mode: '3d', underground: " + str(layer == "pipes").lower() + "})")
    view = {"lon": LON, "lat": LAT, "height": 400, "heading": 0, "pitch": -60}
    town.js("view => window.twin.set({view})", view)
    told = row(town, layer, word)
    if status == 503:
        assert notice(town, word).locator("button").count() == 1
    assert town.page.locator(f"twin-layers [data-layer={layer}] [data-why]").count() == 1
    town.page.unroute(f"**/3dtiles/{layer}/**")
    # it is tried again by itself too
    with contextlib.suppress(Error):
        told.locator("button").click(timeout=300)
    told.wait_for(state="detached", timeout=20_000)
    town.ready()
    town.js("window.twin.set({underground: false})")


def test_what_stands_on_the_street_is_seen_again_from_the_surface(town: Tab):
    only(town, "houses")
    look(town, 0, 0, 700, mode="3d", underground=True)
    assert notice(town, "why.underground").locator("button").count() == 1
    press(row(town, "houses", "why.underground"))
    assert town.js("window.twin.state().underground") is False


def test_what_lies_under_the_street_is_seen_from_below(town: Tab):
    only(town, "pipes")
    look(town, 0, -150, 120, mode="3d")
    press(notice(town, "why.buried"))
    town.ready()
    lon, lat = at(0, -150)
    assert town.pick(lon, lat, -1.5)["layer"] == "pipes"


def test_several_reasons_lead_to_the_tree_that_tells_each(town: Tab):
    only(town, "pipes", "far")
    town.js("window.twin.set({left: null, underground: false})")
    notice(town, "why.each").locator("button").click()
    row(town, "pipes", "why.buried")
    row(town, "far", "why.outside")


def test_a_layer_that_was_dropped_is_shown_again_after_its_load(town: Tab, files: Path):
    only(town, "spare")
    look(town, 0, 150, 300, mode="2d")
    lon, lat = at(0, 150)
    assert town.pick(lon, lat)["layer"] == "spare"
    twin("drop", "spare", "--yes", "--city", str(town.server.folder))
    told = row(town, "spare", "why.gone")
    notice(town, "why.gone")
    # still gone: it says so again
    told.locator("button").click()
    row(town, "spare", "why.gone")
    small.load(town.server.folder, files, "spare")
    told.wait_for(state="detached", timeout=20_000)
    town.ready()
    assert town.pick(lon, lat)["layer"] == "spare"


def inside(tab: Tab, west: float, south: float, east: float, north: float) -> NDArray[np.uint8]:
    """The picture of a rectangle in metres from the middle, seen from the south: what surely lies in it."""
    tab.js("window.twin.set({left: null, right: null})")
    corners = [(west, south), (east, south), (east, north), (west, north)]
    seen = [tab.js("([lon, lat]) => window.twin.window(lon, lat, 0)", list(at(*one))) for one in corners]
    xs, ys = sorted(one["x"] for one in seen), sorted(one["y"] for one in seen)
    return pixels(tab, xs[1] + 8, ys[1] + 8, xs[2] - xs[1] - 16, ys[2] - ys[1] - 16)


@pytest.mark.parametrize(("mode", "pitch"), [("2d", -90), ("3d", -60)])
def test_areas_of_one_height_do_not_fight_for_pixels(town: Tab, mode: str, pitch: float):
    """The water lies in the green, in one layer and at one height; the house of another layer over both."""
    only(town, "areas", "houses") if mode == "2d" else only(town, "areas")
    look(town, 40, 40, 500, pitch, mode=mode)
    water = inside(town, -60, -60, 60, 60).reshape(-1, 3)
    assert len(water) > 5000
    assert int(water[0, 2]) - int(water[0, 0]) > 40
    # but for a pixel where two tiles meet
    assert (water == water[0]).all(axis=1).mean() > 0.999
    green = inside(town, 65, -60, 98, 60).reshape(-1, 3)
    assert (green == green[0]).all(axis=1).mean() > 0.999
    assert not np.array_equal(green[0], water[0])
    if mode == "2d":
        house = inside(town, 100, 100, 140, 140).reshape(-1, 3)
        assert len(np.unique(house, axis=0)) == 1
        assert not np.array_equal(house[0], green[0])


@pytest.mark.parametrize("shade", ["light", "dark"])
def test_a_building_of_no_known_height_is_told_from_the_ground(town: Tab, shade: str):
    """WCAG 2.2, 1.4.11: three to one, by its outline."""
    if town.page.get_attribute("html", "data-theme") != shade:
        town.page.keyboard.press("d")
    only(town, "houses")
    look(town, -300, 0, 300, mode="2d")
    there = [town.js("([lon, lat]) => window.twin.window(lon, lat, 0)", list(at(e, 0))) for e in (-370, -300)]
    across = pixels(town, there[0]["x"], there[0]["y"] - 4, there[1]["x"] - there[0]["x"], 8)
    ground, fill = across[4, 0], across[4, -1]
    assert not np.array_equal(ground, fill)
    for line in across:
        assert max(contrast(one, ground) for one in line) >= 3
    if shade == "dark":
        town.page.keyboard.press("d")


def test_a_name_is_written_where_nothing_stands_before_it(town: Tab):
    only(town, "houses", "roads")
    look(town, 290, -20, 320, -28, mode="3d")
    both = {"Open Street", "Shade Street"}

    def written() -> set[str]:
        return both & set(town.js("window.twin.names()"))

    # until the camera has rested names stay as they were from above
    until(lambda: written() == {"Open Street"}, 20, "the name in the open alone")
    look(town, 290, -20, 400, mode="2d")
    until(lambda: written() == both, 20, "both names from above")


def test_a_search_without_a_find_says_what_can_be_searched(town: Tab):
    town.page.keyboard.press("/")
    town.page.keyboard.type("no such place")
    hit = town.page.locator("#search-hits li.empty")
    hit.wait_for()
    assert "Try a street" in hit.inner_text()
    town.page.locator("twin-search input").fill(f"{LAT}, {LON}")
    town.page.locator("#search-hits li:not(.empty)").first.wait_for()
    town.page.keyboard.press("Escape")


def test_a_filter_that_matches_nothing_leads_to_all_features(town: Tab):
    url = f"{town.server.url}/ogc/collections/houses/items?f=html&filter=height_m%20%3E%20999"
    data = town.page.context.new_page()
    data.goto(url)
    nothing = data.locator(".nothing")
    assert "No feature matches" in nothing.inner_text()
    nothing.locator("a").click()
    assert data.locator("table.rows tbody tr").count() == 3
    data.close()


def test_no_open_incident_leads_to_the_closed_ones(town: Tab):
    town.js("window.twin.set({right: 'incidents'})")
    lists = town.page.locator("twin-incidents")
    lists.locator("[data-action=closed]").click()
    lists.get_by_text("No incident yet").wait_for()
    body = {"title": "Over", "level": 4}
    number = town.server.http.post("/incidents", json=body, headers=town.server.auth).json()["id"]
    lists.locator(f"[data-incident='{number}']").wait_for()
    done = town.server.http.post(
        f"/incidents/{number}/actions", json={"action": "void", "note": "x"}, headers=town.server.auth
    )
    assert done.status_code == 200
    lists.locator("input[type=checkbox]").uncheck()
    lists.locator("[data-action=closed]").click()
    lists.locator(f"[data-incident='{number}']").wait_for()
    town.js("window.twin.set({right: null})")


def test_an_incident_lies_over_the_sensor_of_its_place(town: Tab):
    lon, lat = at(0, -250)
    stream = small.sensor(town.server, "Raised", lon, lat)
    small.observe(town.server, stream, small.LEVELS[-1])
    body = {"title": "At the sensor", "level": 4, "lon": lon, "lat": lat}
    number = town.server.http.post("/incidents", json=body, headers=town.server.auth).json()["id"]
    until(lambda: (town.js("id => window.twin.sensor(id)", stream) or {}).get("state") == "red", 10, "red")
    until(lambda: town.js("id => window.twin.incident(id)", number), 10, "the incident")
    look(town, 0, -250, 300, mode="3d")
    there = town.js("([lon, lat]) => window.twin.window(lon, lat, 1)", [lon, lat])
    # the sign of the sensor reaches so far up; the pin stands on the place
    spot = [there["x"], there["y"] - 8]
    assert town.js("([x, y]) => window.twin.pickWindow(x, y)", spot) == {"type": "incident", "id": number}
    red, green, blue = colour(town, *spot)
    assert blue > red + 40 > green - 60
    town.js("window.twin.set({live: {incidents: false}})")
    town.ready()
    assert town.js("([x, y]) => window.twin.pickWindow(x, y)", spot) == {"type": "sensor", "id": stream}
    town.js("window.twin.set({live: {}})")
    done = town.server.http.post(
        f"/incidents/{number}/actions", json={"action": "void", "note": "x"}, headers=town.server.auth
    )
    assert done.status_code == 200


def test_an_incident_that_is_not_there_leads_to_the_list(town: Tab):
    town.js("location.hash = '#l=areas&s=incident:999'")
    card = town.page.locator("twin-incident")
    card.get_by_text("There is no such incident").wait_for()
    card.locator("[data-action=list]").click()
    town.page.locator("twin-incidents .scroll").wait_for()
    assert card.count() == 0
    town.js("window.twin.set({right: null})")


def test_a_feature_that_is_not_there_leads_to_the_data_of_its_layer(town: Tab):
    town.js("selection => window.twin.set({selection})", feature("houses", 999))
    card = town.page.locator("twin-feature")
    card.get_by_text("no longer there").wait_for()
    href = card.locator(".message a").get_attribute("href")
    assert town.server.http.get(f"/{href}").status_code == 200
    town.js("window.twin.set({selection: null})")


def test_a_sensor_that_is_not_known_lets_go(town: Tab):
    town.js("window.twin.set({selection: {type: 'sensor', id: 999}})")
    card = town.page.locator("twin-sensor")
    card.get_by_text("not known").wait_for()
    card.locator("[data-action=close]").click()
    card.wait_for(state="detached")
    assert town.js("window.twin.state().selection") is None


@pytest.fixture(scope="module")
def silent(town: Tab) -> int:
    """A sensor without a value of the last day."""
    lon, lat = at(0, 250)
    found = small.sensor(town.server, "Silent", lon, lat)
    until(lambda: town.js("id => window.twin.sensor(id)", found), 10, "the sensor")
    return found


def test_a_sensor_without_a_value_today_leads_to_the_older_ones(town: Tab, silent: int):
    town.js("id => window.twin.set({selection: {type: 'sensor', id}})", silent)
    card = town.page.locator("twin-sensor")
    card.locator(".chart[data-status=empty]").wait_for()
    assert "No observation yet" in card.inner_text()
    small.observe(town.server, silent, small.CLEAN, datetime.now(UTC) - timedelta(days=3))
    href = card.get_by_role("link", name="Older observations").get_attribute("href")
    (older,) = town.server.http.get(f"/{href}").json()["value"]
    assert older["result"] == small.CLEAN
    town.js("window.twin.set({selection: null})")


def test_while_the_server_is_away_all_say_so_and_come_back(town: Tab, silent: int):
    """Last: the server that comes back is another process."""
    only(town, "far")
    look(town, 0, 0, 600, mode="3d")
    house = feature("houses", 1)
    port = str(urlsplit(town.server.url).port)
    town.server.stop()
    until(lambda: town.page.locator(".live").get_attribute("data-live") == "false", 20, "the cut")
    town.js("selection => window.twin.set({selection, left: 'layers'})", house)
    card = town.page.locator("twin-feature")
    card.get_by_text("does not answer").wait_for()
    assert card.locator("[data-action=again]").count() == 1
    town.page.locator("twin-search input").fill("house")
    town.page.get_by_text("does not answer the search").wait_for()
    town.js("id => window.twin.set({selection: {type: 'sensor', id}})", silent)
    chart = town.page.locator("twin-sensor .chart[data-status=failed]")
    chart.wait_for()
    assert town.page.locator("twin-sensor [data-action=again]").count() == 1
    only(town, "tower")
    away = row(town, "tower", "why.away")
    assert notice(town, "why.away").locator("button").count() == 1
    again = Server.start(town.server.folder, "--port", port)
    try:
        chart.wait_for(state="detached", timeout=30_000)
        away.wait_for(state="detached", timeout=20_000)
        town.js("selection => window.twin.set({selection})", house)
        card.locator("[data-field=height_m]").wait_for()
        town.page.locator("twin-search input").fill(f"{LAT}, {LON}")
        town.page.locator("#search-hits li:not(.empty)").first.wait_for()
    finally:
        again.stop()

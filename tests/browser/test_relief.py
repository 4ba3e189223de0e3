"""A city on its terrain, with rasters: what is drawn, what stands on it, what is read of it.

One page in one small city on hills; heights and values against rasterio's own reading of the files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Route

from tests import dems
from tests.browser import relief
from tests.browser.conftest import Tab, feature, new_tab
from tests.browser.pixels import colour, pixels
from tests.browser.relief import AFTER, BEFORE, PHOTO, at
from tests.support import Server, twin, until
from tiles.terrain.scheme import DEEPEST, tolerance


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server.start(relief.make(tmp_path_factory.mktemp("relief")))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def tab(browser: Browser, server: Server) -> Iterator[Tab]:
    """The page, over the middle of the city, all features on and no raster."""
    opened = new_tab(browser, server)
    lon, lat = at(0, 0)
    opened.open(f"v={lon},{lat},500,0,-50&l={','.join(relief.FEATURES)}&lang=en&p=layers")
    yield opened
    opened.close()


def heights(tab: Tab, *places: tuple[float, float]) -> np.ndarray[Any, Any]:
    """What rasterio reads of the terrain's file."""
    lon, lat = np.array(places).T
    return dems.read(tab.server.folder / "rasters" / "ground.tif", lon, lat)


def show(tab: Tab, *on: str, **looks: Any) -> None:
    """Switch on these rasters alone, beside all features."""
    layers = {
        name: {"visible": name in on or name in relief.FEATURES, "opacity": 1}
        for name in tab.js("window.twin.state().layers")
    }
    for name, raster in looks.items():
        layers[name]["raster"] = raster
    tab.js("layers => window.twin.set({layers})", layers)
    tab.ready()


def seen(tab: Tab, east: float, north: float) -> list[int]:
    """The colour of the ground at a place."""
    window = tab.js("([lon, lat]) => window.twin.window(lon, lat)", list(at(east, north)))
    return colour(tab, window["x"], window["y"])


def hue(rgb: list[int]) -> list[float]:
    """Its shares of red, green and blue: slopes are lit and shaded."""
    return [one / max(sum(rgb), 1) for one in rgb]


def row(tab: Tab, layer: str) -> Locator:
    return tab.page.locator(f"twin-layers [data-layer={layer}]")


def test_the_globe_has_the_heights_of_the_file(tab: Tab):
    """100 places by the engine's own decoder: 1 cm, and what the finest mesh may differ from its samples."""
    rng = np.random.default_rng(3)
    places = [at(*one) for one in rng.uniform(-500, 500, (100, 2))]
    drawn = np.array(tab.js("places => window.twin.heights(places)", [list(one) for one in places]))
    np.testing.assert_allclose(drawn, heights(tab, *places), atol=tolerance(DEEPEST[0]) + 0.01)


def test_a_building_stands_on_the_terrain(tab: Tab):
    """Its wall begins where the ground is, is as high as it says, and nothing is seen under it."""
    lon, lat = at(0, -20.2)
    tab.look(*at(0, -20), 120, -20)
    (ground,) = heights(tab, (lon, lat))
    house = feature("houses", 1)
    low, high = ground + 1.0, ground + 15.0
    assert tab.pick(*at(0, -20), low) == house
    assert tab.pick(*at(0, -20), high) == house
    assert tab.pick(*at(0, -20), ground + 30.0) is None
    assert tab.pick(*at(0, -32), float(heights(tab, at(0, -32))[0])) is None


def test_what_lies_flat_lies_on_the_terrain(tab: Tab):
    tab.look(*at(0, 0), 600, -60)
    for layer, place in (("roads", (100, -60)), ("greens", (120, 120)), ("posts", (-120, 120))):
        lon, lat = at(*place)
        (ground,) = heights(tab, (lon, lat))
        assert tab.pick(lon, lat, float(ground)) == feature(layer, 1), layer
    red, green, blue = seen(tab, 120, 120)
    assert green > red
    assert green > blue


def test_a_raster_is_drawn_with_its_opacity_and_in_its_order(tab: Tab):
    tab.look(*at(0, 0), 900, -89)
    bare = seen(tab, 200, 200)
    show(tab, "photo")
    full = seen(tab, 200, 200)
    np.testing.assert_allclose(hue(full), hue(list(PHOTO)), atol=0.03)
    slider = row(tab, "photo").locator(".opacity")
    slider.fill("0.5")
    tab.ready()
    half = seen(tab, 200, 200)
    np.testing.assert_allclose(half, (np.array(bare) + full) / 2, atol=12)
    show(tab, "photo", "flood")
    over = hue(seen(tab, 200, 200))
    top = "photo" if np.allclose(over, hue(list(PHOTO)), atol=0.03) else "flood"
    down = row(tab, top).locator("[data-raster=down]")
    while down.is_enabled():
        down.click()
    tab.ready()
    assert not np.allclose(hue(seen(tab, 200, 200)), over, atol=0.03)
    assert "&o=" in tab.page.url


def test_times_and_colours_are_chosen(tab: Tab):
    tab.look(*at(0, 0), 900, -89)
    show(tab, "flood")
    np.testing.assert_allclose(hue(seen(tab, 200, 200)), hue(list(AFTER)), atol=0.05)
    row(tab, "flood").locator("[data-raster=earlier]").click()
    tab.ready()
    np.testing.assert_allclose(hue(seen(tab, 200, 200)), hue(list(BEFORE)), atol=0.05)
    assert "datetime=2024-05-01" in tab.page.url
    show(tab, "ground")
    before = seen(tab, 200, 200)
    row(tab, "ground").locator("summary").click()
    row(tab, "ground").locator("[data-raster=colormap]").select_option("magma")
    tab.ready()
    assert np.abs(np.array(seen(tab, 200, 200)) - before).max() > 30
    row(tab, "ground").locator(".ramp i").wait_for()
    drawn = row(tab, "ground").locator(".ramp").inner_text()
    low, high = (float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", drawn))
    assert low < float(heights(tab, at(0, 0))[0]) < high
    row(tab, "ground").locator("[data-raster=high]").fill("1000")
    row(tab, "ground").locator("[data-raster=high]").press("Enter")
    assert "%2C1000" in tab.page.url
    row(tab, "ground").locator("[data-raster=hillshade]").uncheck()
    tab.ready()
    assert "hillshade=false" in tab.page.url
    row(tab, "ground").locator("[data-raster=reset]").click()
    assert "&r=" not in tab.page.url


def test_the_value_under_the_pointer_is_told(tab: Tab):
    show(tab, "photo")
    tab.js("window.twin.set({left: null})")
    tab.look(*at(0, 0), 900, -89)
    lon, lat = at(150, 50)
    window = tab.js("([lon, lat]) => window.twin.window(lon, lat)", [lon, lat])
    tab.page.mouse.move(window["x"], window["y"])
    strip = tab.page.locator("twin-strip [data-place]")
    strip.locator("[data-read=ground]").wait_for()
    until(lambda: "200 / 120 / 40" in strip.inner_text(), 20, "the photo's value")
    numbers = [float(one) for one in re.findall(r"-?\d+\.\d+", strip.text_content() or "")]
    np.testing.assert_allclose(numbers[:2], [lat, lon], atol=5e-5)
    # a pixel of the picture is a metre and a half
    assert abs(numbers[2] - float(heights(tab, (lon, lat))[0])) < 3


def test_a_profile_is_drawn_by_pointer_and_by_keyboard(tab: Tab):
    tab.look(*at(0, 0), 900, -89)
    tab.page.locator("[data-tool=profile]").click()
    panel = tab.page.locator("twin-profile")
    panel.wait_for()
    ends = [(-200.0, 50.0), (-50.0, 50.0)]
    for place in ends:
        window = tab.js("([lon, lat]) => window.twin.window(lon, lat)", list(at(*place)))
        tab.page.mouse.click(window["x"], window["y"])
    panel.locator("[data-span]").wait_for()
    assert panel.locator("canvas").count() == 1
    length = float(re.findall(r"Length (\d+) m", panel.inner_text())[0])
    assert abs(length - 150) < 5
    panel.locator("[data-profile=clear]").click()
    assert tab.page.locator("svg.drawn circle").count() == 0
    panel.locator("input[name=place]").focus()
    for place in ends:
        lon, lat = at(*place)
        tab.page.keyboard.type(f"{lat}, {lon}")
        tab.page.keyboard.press("Enter")
    panel.locator("[data-span]").wait_for()
    low, high = map(float, re.findall(r": (-?[\d.]+) – (-?[\d.]+)", panel.inner_text())[0])
    along = heights(tab, *(at(east, 50) for east in np.linspace(-200, -50, 400)))
    assert (low, high) == (pytest.approx(along.min(), abs=0.3), pytest.approx(along.max(), abs=0.3))
    tab.page.keyboard.type("nowhere")
    tab.page.keyboard.press("Enter")
    panel.locator("[role=alert]").wait_for()


def test_axe_finds_nothing(tab: Tab):
    show(tab, "ground", "flood", ground={"colormap": "magma"})
    assert tab.violations() == []
    # on a narrow screen the drawers lie over one another
    tab.js("window.twin.set({left: 'layers', right: null, pointer: 'pick'})")
    row(tab, "ground").locator("summary").click()
    assert tab.violations() == []
    tab.js("window.twin.set({left: 'legend'})")
    tab.page.locator("twin-layers .ramp").wait_for()
    assert tab.violations() == []
    tab.js("window.twin.set({left: 'layers'})")


def test_everything_stands_higher_on_an_exaggerated_terrain(tab: Tab):
    tab.js("window.twin.set({left: 'layers', right: null, pointer: 'pick'})")
    tab.look(*at(0, 0), 500, -50)
    tab.page.locator("[data-exaggeration]").select_option("3")
    tab.ready()
    assert "&x=3" in tab.page.url
    roof = float(heights(tab, at(0, 0))[0]) + 20
    factor, around = tab.js(
        "[window.twin.scene.verticalExaggeration, window.twin.scene.verticalExaggerationRelativeHeight]"
    )
    assert factor == 3
    drawn = around + (roof - around) * 3
    assert tab.pick(*at(0, 0), drawn) == feature("houses", 1)
    lon, lat = at(120, 120)
    green = around + (float(heights(tab, (lon, lat))[0]) - around) * 3
    assert tab.pick(lon, lat, green) == feature("greens", 1)
    tab.page.locator("[data-exaggeration]").select_option("1")


def test_under_the_ground_the_pipe_is_seen_where_it_lies(tab: Tab):
    show(tab)
    tab.look(*at(0, 80), 200, -50, underground=True)
    lon, lat = at(60, 80)
    found = tab.pick(lon, lat, float(heights(tab, (lon, lat))[0]) - 1.5)
    assert found == feature("pipes", 1)
    tab.js("window.twin.set({underground: false})")


def test_the_glass_of_the_ground_has_no_seams(tab: Tab):
    """Along the edges of tiles of two levels, from near the ground: no pixel unlike those around it."""
    bare = {name: {"visible": False, "opacity": 1} for name in tab.js("window.twin.state().layers")}
    tab.look(*at(0, 0), 300, -20, underground=True, layers=bare, left=None)
    part = pixels(tab, 60, 150, 460, 200).mean(axis=2)
    around = np.lib.stride_tricks.sliding_window_view(part, (5, 5))
    unlike = np.abs(part[2:-2, 2:-2] - np.median(around, axis=(2, 3))) > 25
    assert unlike.sum() == 0
    assert part.mean() > 40
    show(tab)
    tab.js("window.twin.set({underground: false, left: 'layers'})")


def test_a_flattened_city_shows_the_outlines_of_what_stood_there(tab: Tab):
    tab.look(*at(0, 0), 500, -50)
    tab.page.locator("[data-terrain] input[type=checkbox]").uncheck()
    tab.ready()
    assert "&t=0" in tab.page.url
    assert tab.pick(*at(0, 0), 0) == feature("houses", 1)
    assert tab.pick(*at(120, 120), 0) == feature("greens", 1)
    row(tab, "houses").locator("[data-why='why.outlined'] button").click()
    tab.ready()
    assert "&t=0" not in tab.page.url


def test_a_raster_that_is_not_to_be_seen_says_why(tab: Tab):
    show(tab, "photo")
    tab.look(*at(1500, 0), 300, -89)
    reason = row(tab, "photo").locator("[data-why='why.outside']")
    reason.wait_for()
    reason.locator("button").click()
    reason.wait_for(state="detached")
    tab.expected += ["503", "could not be", "Failed to load"]
    tab.page.route("**/imagery/flood/**", lambda route: route.fulfill(status=503, body="{}"))
    show(tab, "flood")
    row(tab, "flood").locator("[data-why='why.building']").wait_for()
    tab.page.unroute("**/imagery/flood/**")
    row(tab, "flood").locator("[data-why='why.building']").wait_for(state="detached", timeout=20_000)


def test_an_edit_is_painted_on_the_terrain(tab: Tab):
    show(tab)
    tab.look(*at(120, 120), 300, -89)
    body = {"geometry": {"type": "Polygon", "coordinates": [relief.ring(120, 160, 10)]}}
    headers = {**tab.server.auth, "content-type": "application/merge-patch+json"}
    answer = tab.server.http.patch(
        "/ogc/collections/greens/items/1", content=json.dumps(body), headers=headers
    )
    assert answer.status_code in (200, 204), answer.text
    lon, lat = at(120, 100)
    until(lambda: tab.pick(lon, lat, float(heights(tab, (lon, lat))[0])) is None, 20, "the edit in the page")
    lon, lat = at(120, 160)
    assert tab.pick(lon, lat, float(heights(tab, (lon, lat))[0])) == feature("greens", 1)


PICKS_WHILE_PAINTED = """async (rounds) => {
  const { scene } = window.twin;
  const middle = { x: scene.canvas.clientWidth / 2, y: scene.canvas.clientHeight / 2 };
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < scene.imageryLayers.length; i += 1) {
      scene.imageryLayers.get(i).imageryProvider._reload?.();
    }
    for (let frame = 0; frame < 20; frame += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      scene.requestRender();
      scene.render();
      scene.pick(middle);
    }
  }
}"""


def test_a_pick_draws_no_picture_that_was_freed(tab: Tab):
    """A frame ends with the exchange of pictures; the tab tells of errors of WebGL at its end."""
    show(tab)
    tab.look(*at(120, 120), 300, -60)
    tab.js(PICKS_WHILE_PAINTED, 4)
    tab.ready()


def test_files_that_take_the_place_of_others_are_drawn(tab: Tab, tmp_path: Path):
    """A picture and the terrain are loaded anew beside the running server."""
    show(tab, "photo")
    tab.look(*at(0, 0), 900, -89)
    city = tab.server.folder
    lon, lat = at(0, 0)
    (before,) = heights(tab, (lon, lat))
    other = relief.picture(tmp_path, "other", BEFORE)
    raised = dems.write(
        tmp_path / "raised.tif", dems.hills(relief.CELLS, relief.CELLS) + 40, pixel=relief.PIXEL
    )
    entries = [{"id": "photo", "file": str(other)}, {"id": "ground", "file": str(raised), "kind": "terrain"}]
    manifest = tmp_path / "load.yml"
    manifest.write_text(json.dumps({"layers": entries}), "utf-8")
    twin("load", "--manifest", str(manifest), "--replace", "--city", str(city))

    def is_other() -> bool:
        # while the terrain is exchanged, the place may be out of the picture
        tab.ready()
        return np.allclose(hue(seen(tab, 200, 200)), hue(list(BEFORE)), atol=0.05)

    until(is_other, 30, "the picture")
    until(
        lambda: tab.js("([lon, lat]) => window.twin.heights([[lon, lat]])", [lon, lat])[0] > before + 39,
        30,
        "the terrain",
    )
    tab.ready()
    assert tab.js("window.twin.state().view.height") == pytest.approx(900, abs=1)
    tab.look(*at(0, 0), 500, -50)
    until(lambda: tab.pick(lon, lat, float(before) + 60) == feature("houses", 1), 30, "the house on it")


def test_the_page_opens_without_its_terrain_and_says_why(browser: Browser, server: Server):
    """It waits for a while, then stands flat; the link keeps the wish; another try may succeed."""
    opened = new_tab(browser, server)
    held: list[Route] = []
    refusal: dict[str, Any] = {"status": 503, "body": "{}"}

    def answer(route: Route) -> None:
        if opened.expected:
            route.fulfill(**refusal)
        else:
            held.append(route)

    opened.page.route("**/terrain/**", answer)
    lon, lat = at(0, 0)
    opened.open(f"v={lon},{lat},500,0,-50&l=houses&lang=en&p=layers")
    reason = opened.page.locator("[data-terrain] [data-why]")
    assert reason.get_attribute("data-why") == "terrain.slow"
    assert opened.pick(lon, lat, 0) == feature("houses", 1)
    opened.expected += ["503", "could not be", "Failed to load"]
    held[0].fulfill(**refusal)
    opened.page.locator("[data-why='terrain.failed']").wait_for()
    assert "&t=0" not in opened.page.url
    opened.page.unroute("**/terrain/**")
    reason.locator("button").click()
    reason.wait_for(state="detached")
    opened.ready()
    ground = opened.js("([lon, lat]) => window.twin.heights([[lon, lat]])", [lon, lat])[0]
    assert opened.pick(lon, lat, float(ground) + 20) == feature("houses", 1)
    opened.close()

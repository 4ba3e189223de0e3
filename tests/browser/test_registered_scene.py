"""A registered photo mesh on the page: drawn where it lies, cut out where a building stands, listed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely

from layers import load
from layers.store import geopackage
from tests import tilesets
from tests.browser.conftest import Tab
from tests.browser.pixels import colour
from tests.browser.small import at
from tests.storing import batch, row, spec
from tests.support import Server, init

LON, LAT = at(0, 0)
LIFT = 5.0
SETTINGS = """
layers:
  photo:
    title: {zh-CN: 倾斜摄影, en: Photo mesh}
    scene: {move: [0, 0, 5], replaced_by: houses}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A city of a photo mesh and of one house in its north-east."""
    folder = init(tmp_path_factory.mktemp("registered") / "city")
    with (folder / "city.yml").open("a") as file:
        file.write(SETTINGS)
    store = geopackage.open(folder / "city.gpkg")
    load.run(store, _source(tmp_path_factory.mktemp("set")), layer_id="photo", city=folder)
    stage = store.stage(spec("houses", kind="building", fields=()))
    stage.add(batch([row("house", shapely.box(*at(30, 30), *at(60, 60)))]))
    store.publish(stage)
    store.close()
    running = Server.start(folder)
    yield running
    running.stop()


def _source(folder: Path) -> Path:
    return tilesets.write(folder, tilesets.photo_mesh(LON, LAT))


def _height(east: float, north: float) -> float:
    """Of the mesh at a place, in metres from its middle."""
    u, v = east / tilesets.SIDE + 0.5, north / tilesets.SIDE + 0.5
    return float(LIFT + tilesets.TALL / 2 * (1 + np.sin(u * 9) * np.cos(v * 7)))


def _seen(tab: Tab, east: float, north: float, height: float) -> list[int]:
    lon, lat = at(east, north)
    found = tab.js("([lon, lat, h]) => window.twin.window(lon, lat, h)", [lon, lat, height])
    return colour(tab, found["x"], found["y"])


def test_its_picture_lies_where_it_was_taken(tab: Tab) -> None:
    tab.look(LON, LAT, 380, -70, layers={"photo": {"visible": True, "opacity": 1}})
    red, green, _ = _seen(tab, -80, -80, _height(-80, -80))
    assert red > 2 * green, "south-west: the picture is red there"
    red, green, _ = _seen(tab, 80, 80, _height(80, 80))
    assert green > 2 * red, "north-east: green"
    assert tab.js("window.twin.tiles().filter(t => t.layer === 'photo').map(t => t.form)") == ["registered"]


def test_where_a_house_stands_it_is_cut_out(tab: Tab) -> None:
    layers = {"photo": {"visible": True, "opacity": 1}, "houses": {"visible": False, "opacity": 1}}
    tab.look(LON, LAT, 380, -90, layers=layers)
    red, green, blue = _seen(tab, 45, 45, 0)
    assert max(red, green, blue) - min(red, green, blue) < 24, "the ground, which has no colour"
    red, green, _ = _seen(tab, 75, 45, _height(75, 45))
    assert green > 1.5 * red


def test_the_card_of_an_element_has_what_its_tile_carries(tab: Tab, tmp_path: Path) -> None:
    """Chosen it is drawn so, and no link names it: its number is of a tile alone."""
    tab.look(LON, LAT, 120, -80, layers={"photo": {"visible": True, "opacity": 1}}, left="", lang="zh-CN")
    place = (-20, -20, _height(-20, -20))
    before = _seen(tab, *place)
    lon, lat = at(*place[:2])
    found = tab.js("([lon, lat, h]) => window.twin.window(lon, lat, h)", [lon, lat, place[2]])
    tab.page.mouse.click(found["x"], found["y"])
    card = tab.page.locator("twin-element")
    card.locator("[data-property=name]").wait_for()
    assert card.locator("[data-property=name]").inner_text().startswith("part ")
    text = card.inner_text()
    assert "倾斜摄影" in text
    assert "Data/Tile_0/fine_" in text
    assert not any(part.startswith("s=") for part in tab.page.url.split("#")[1].split("&"))
    tab.ready()
    tab.page.screenshot(path=tmp_path / "element.png")
    chosen = _seen(tab, *place)
    assert chosen[1] > before[1] + 20
    assert tab.violations() == []
    card.locator("button.close").click()
    card.wait_for(state="detached")
    tab.ready()
    assert np.abs(np.subtract(_seen(tab, *place), before)).max() < 8
    tab.js("window.twin.set({ lang: 'en' })")


def test_the_list_names_it_without_a_count(tab: Tab) -> None:
    tab.look(LON, LAT, 380, -60, left="layers", layers={"photo": {"visible": True, "opacity": 1}})
    line = tab.page.locator("twin-layers [data-layer=photo]")
    assert "Photo mesh" in line.inner_text()
    assert line.locator(".count").count() == 0
    assert line.locator(".swatch").count() == 0
    assert line.locator("[data-why]").count() == 0
    tab.look(LON + 1, LAT, 380, -60)
    assert line.locator("[data-why]").get_attribute("data-why") == "why.outside"

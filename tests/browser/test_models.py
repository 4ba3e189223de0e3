"""A body with an image on its roof, drawn and clicked: the texture is seen, the card tells the surface."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely

from layers.batch import MESH
from layers.store import geopackage
from layers.textures import Texture
from tests.browser.conftest import Tab, feature
from tests.browser.pixels import colour
from tests.browser.small import at
from tests.storing import batch, row, spec
from tests.support import Server, init
from tests.textured import box, image, textured

LON, LAT = at(0, 0)
#: Metres: its side, and the height of its roof.
SIDE, TOP = 60.0, 20.0
ROOF = Texture.of(image(size=(256, 256), form="JPEG"), "image/jpeg")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A city of one house."""
    folder = init(tmp_path_factory.mktemp("models") / "city")
    store = geopackage.open(folder / "city.gpkg")
    body = textured(box(LON, LAT, SIDE, TOP), ROOF.sha, walls=(230, 120, 20, 255))
    (west, south), (east, north) = body.positions[0, :2], body.positions[7, :2]
    stage = store.stage(spec("models", kind="cim", fields=()))
    stage.add(batch([row("house", shapely.box(west, south, east, north), **{MESH: body.to_bytes()})]))
    stage.texture(ROOF)
    store.publish(stage)
    store.close()
    running = Server.start(folder)
    yield running
    running.stop()


def _place(tab: Tab, east: float, north: float, height: float) -> tuple[float, float]:
    """Where a point, in metres from the south-west corner of the house, is in the window."""
    lon, lat = at(east, north)
    found = tab.js("([lon, lat, h]) => window.twin.window(lon, lat, h)", [lon, lat, height])
    return found["x"], found["y"]


def _click(tab: Tab, *place: float) -> str | None:
    """The kind of surface that the card tells after a click on a place."""
    tab.page.mouse.click(*_place(tab, *place))
    shown = tab.page.locator("twin-feature [data-surface]")
    shown.wait_for(timeout=20_000)
    return shown.get_attribute("data-surface")


def test_the_roof_shows_its_image_and_the_walls_their_colour(tab: Tab, tmp_path: Path) -> None:
    tab.look(*at(30, 30), 200, -60, mode="3d", left="")
    tab.page.screenshot(path=tmp_path / "textured.png")
    quarter = SIDE / 4
    seen = {
        name: colour(tab, *_place(tab, east * quarter, north * quarter, TOP))
        for name, (east, north) in {"red": (1, 3), "green": (3, 3), "blue": (1, 1), "white": (3, 1)}.items()
    }
    assert int(np.argmax(seen["red"])) == 0
    assert int(np.argmax(seen["green"])) == 1
    assert int(np.argmax(seen["blue"])) == 2
    assert min(seen["white"]) > max(seen["red"][1], seen["green"][0], seen["blue"][0])
    red, green, blue = colour(tab, *_place(tab, SIDE / 2, 0, TOP / 2))
    assert red > green > blue


def test_a_click_on_a_surface_tells_which_it_is(tab: Tab) -> None:
    assert _click(tab, SIDE / 2, SIDE / 2, TOP) == "ROOF"
    card = tab.page.locator("twin-feature")
    assert tab.js("window.twin.state().selection") == feature("models", 1)
    assert "RoofSurface" in card.inner_text()
    assert "Dach" in card.inner_text()
    # in a small window the card lies over the wall
    card.locator("button.close").click()
    card.wait_for(state="detached")
    assert _click(tab, SIDE / 2, 0, TOP / 2) == "WALL"
    text = card.inner_text()
    assert "WallSurface" in text
    assert "w0" in text
    assert "Dach" not in text

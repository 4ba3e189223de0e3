"""The page's main road over each store: it draws, a click tells, an edit of another program is seen."""

import re

import psycopg
import pytest

from tests import gdal_edit
from tests.browser import places
from tests.browser.conftest import Tab, feature
from tests.e2e import both
from tests.support import Server, until
from twin import settings

server = both.server


def test_it_opens_with_every_visible_layer_drawn_and_no_foreign_request(tab: Tab):
    drawn = _drawn(tab)
    assert drawn[("buildings", "scene")] > 0
    assert drawn[("building_parts", "scene")] > 0
    assert drawn[("roads", "vector")] > 0
    assert drawn[("street_assets", "vector")] > 0
    # what is buried is asked for where it is seen
    assert not drawn.get(("pipelines", "scene"))
    tab.js("window.twin.set({underground: true})")
    tab.ready()
    assert _drawn(tab)[("pipelines", "scene")] > 0
    tab.js("window.twin.set({underground: false})")
    tab.ready()
    assert tab.foreign == []
    assert tab.complaints == []


def _drawn(tab: Tab) -> dict[tuple[str, str], int]:
    """Tiles that are there, by layer and form."""
    return {(one["layer"], one["form"]): len(one["urls"]) for one in tab.js("window.twin.tiles()")}


def test_a_click_opens_the_card_with_titles_units_and_provenance(tab: Tab):
    there = places.building(tab.server)
    tab.look(there.lon, there.lat, lang="zh-CN")
    at = tab.js("([lon, lat, h]) => window.twin.window(lon, lat, h)", [there.lon, there.lat, there.height])
    tab.page.mouse.click(at["x"], at["y"])
    card = tab.page.locator("twin-feature .scroll")
    card.locator("[data-field=height_m]").wait_for()
    assert card.get_attribute("data-fid") == str(there.fid)
    height = card.locator("[data-field=height_m]").inner_text()
    word = {"measured": "实测", "levels": "推算", "default": "默认(推定)"}[there.properties["height_source"]]
    assert re.search(r"\d m", height)
    assert word in height
    assert f"s=buildings:{there.fid}" in tab.page.url
    tab.page.keyboard.press("Escape")
    assert tab.js("window.twin.state().selection") is None


def _edit_from_outside(server: Server, layer: str, fid: int, column: str, value: str) -> None:
    """As QGIS does it: in the file, or in the database."""
    database = settings.load(server.folder).database()
    if database is None:
        gdal_edit.edit(server.folder / "city.gpkg", "set", layer, fid, column, value)
        return
    with psycopg.connect(database.url) as con:
        con.execute(f'UPDATE city.{layer} SET "{column}" = %s WHERE fid = %s', (value, fid))


@pytest.mark.parametrize("mode", ["3d", "2d"])
def test_an_edit_of_another_program_is_drawn_and_told(tab: Tab, mode: str):
    there = places.building(tab.server)
    alone = {"buildings": {"visible": True, "opacity": 1}}
    selection = feature("buildings", there.fid)
    tab.look(there.lon, there.lat, mode=mode, selection=selection, right="card", layers=alone)
    height = there.height if mode == "3d" else 0
    assert tab.attributes(there.lon, there.lat, height)["fid"] == there.fid
    said = f"from outside in {mode}"
    _edit_from_outside(tab.server, "buildings", there.fid, "use", said)
    until(lambda: tab.attributes(there.lon, there.lat, height)["use"] == said, 20, "the edit in the picture")
    until(lambda: said in tab.page.inner_text("twin-feature"), 20, "the edit in the card")
    tab.js("window.twin.set({selection: null, right: null, mode: '3d'})")
    tab.ready()

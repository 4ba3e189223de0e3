"""A city from afar on an open page: what is merged is seen whole, says how many it stands for, and opens."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio.features

from tests.bench.metropolis import MIDDLE, Metropolis
from tests.browser.conftest import SIZE, Tab, feature
from tests.browser.pixels import pixels
from tests.support import Server, init, twin, until

COUNT = 4_000
#: Where street assets stand, beside the buildings.
ASSETS = (MIDDLE[0] + 0.4, MIDDLE[1])
#: The colour of addresses: config/kinds/address.yml.
INDIGO = (0x5C, 0x6B, 0xC0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("afar")
    city = str(init(folder / "city"))
    files = Metropolis(COUNT, COUNT, COUNT // 2).write(folder)
    twin("load", str(files["building"]), "--as", "buildings", "--kind", "building", "--city", city)
    twin("load", str(files["address"]), "--as", "addresses", "--kind", "address", "--city", city)
    # its own attribute is called as what a group has is
    trees = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": list(MIDDLE)},
        "properties": {"count": 5000, "filter": "all", "name": "grove"},
    }
    (folder / "trees.geojson").write_text(json.dumps(trees))
    twin("load", str(folder / "trees.geojson"), "--as", "trees", "--kind", "feature", "--city", city)
    assets = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [ASSETS[0] + i * 0.00005, ASSETS[1]]},
            "properties": {"class": one, "name": f"{one} {i}"},
        }
        for i, one in enumerate(("tree", "lamp", "tree", "hydrant"))
    ]
    collection = {"type": "FeatureCollection", "features": assets}
    (folder / "assets.geojson").write_text(json.dumps(collection))
    twin("load", str(folder / "assets.geojson"), "--as", "assets", "--kind", "component", "--city", city)
    running = Server.start(Path(city))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def opening() -> str:
    lon, lat = MIDDLE
    return f"v={lon},{lat},30000,0,-40&m=3d&l=addresses&lang=zh-CN"


def _discs(tab: Tab) -> list[tuple[float, float, float, float]]:
    """Where the picture has spots of the addresses' colour, beside the panels: x, y, width, height."""
    picture = pixels(tab, 0, 0, SIZE["width"], SIZE["height"]).astype(int)
    near = (np.abs(picture - INDIGO).max(axis=2) < 12).astype(np.uint8)
    scale = picture.shape[1] / SIZE["width"]
    found = []
    for shape, value in rasterio.features.shapes(near, mask=near > 0, connectivity=8):
        corners = np.array(shape["coordinates"][0]) / scale
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        if value and left > 100 and right < SIZE["width"] - 80 and top > 60 and bottom < SIZE["height"] - 60:
            found.append((float(left + right) / 2, float(top + bottom) / 2, right - left, bottom - top))
    return found


def test_signs_of_several_are_whole_when_seen_aslant(tab: Tab) -> None:
    until(lambda: len(_discs(tab)) > 3, 20, "the signs")
    wide = [one for one in _discs(tab) if one[2] > 14]
    assert len(wide) > 3
    # half of each was under the ground; some are covered by a neighbour
    assert np.median([high / across for _, _, across, high in wide]) == pytest.approx(1, abs=0.15)


def test_a_sign_opens_to_exactly_its_members(tab: Tab) -> None:
    page = tab.page
    x, y, _, _ = max(_discs(tab), key=lambda one: (min(one[2], one[3]), one[1]))
    page.mouse.click(x, y)
    card = page.locator("twin-merged [data-merged]")
    card.wait_for()
    count = int(card.get_attribute("data-merged") or 0)
    assert count > 1
    until(lambda: page.locator("twin-merged button.link").count() == min(count, 20), 10, "the members")
    address = page.locator("twin-merged a").get_attribute("href") or ""
    asked = address.replace("f=html", "f=json&limit=1")
    assert tab.server.http.get(f"/{asked}").json()["numberMatched"] == count
    assert tab.violations() == []
    page.locator("twin-merged .actions button.primary").click()
    tab.ready()
    assert tab.js("window.twin.state().view.height") < 20_000
    page.locator("twin-merged button.close").click()


def test_an_attribute_of_that_name_is_no_group(tab: Tab) -> None:
    lon, lat = MIDDLE
    tab.open(f"v={lon},{lat},400,0,-90&m=2d&l=trees&lang=zh-CN")
    place = tab.js("([lon, lat]) => window.twin.window(lon, lat, 0)", [lon, lat])
    tab.page.mouse.click(place["x"], place["y"])
    until(lambda: "grove" in tab.page.locator("twin-feature h2").inner_text(), 10, "the card")


def test_built_up_areas_say_how_many_buildings_they_are(tab: Tab) -> None:
    lon, lat = MIDDLE
    tab.open(f"v={lon},{lat},60000,0,-90&m=2d&l=buildings&lang=zh-CN")
    page = tab.page

    def asked() -> bool:
        for across in np.linspace(0.35, 0.65, 7):
            page.mouse.click(SIZE["width"] * across, SIZE["height"] / 2)
            if page.locator("twin-merged [data-merged]").count():
                return True
        return False

    until(asked, 20, "a card of an area")
    assert int(page.locator("twin-merged [data-merged]").get_attribute("data-merged") or 0) > 1


def test_a_block_in_3d_tells_its_heights_and_opens_to_its_members(tab: Tab) -> None:
    lon, lat = MIDDLE
    tab.open(f"v={lon},{lat},9000,0,-60&m=3d&l=buildings&lang=zh-CN")
    page = tab.page
    card = page.locator("twin-merged [data-merged]")

    def asked() -> bool:
        for across in np.linspace(0.35, 0.65, 13):
            page.mouse.click(SIZE["width"] * across, SIZE["height"] / 2)
            if card.count():
                return True
        return False

    until(asked, 30, "the card of a block")
    count = int(card.get_attribute("data-merged") or 0)
    mean, highest = (float(each.split()[0]) for each in card.locator("dl dd").all_inner_texts())
    assert 0 < mean <= highest
    until(lambda: page.locator("twin-merged button.link").count() == min(count, 20), 10, "the members")
    address = page.locator("twin-merged .actions a").get_attribute("href") or ""
    asked_for = tab.server.http.get(f"/{address.replace('f=html', 'f=json&limit=1')}").json()
    assert asked_for["numberMatched"] == count
    page.locator("twin-merged button.link").first.click()
    page.locator("twin-feature h2").wait_for()
    assert tab.violations() == []


def test_street_assets_stand_there_and_are_picked_one_by_one(tab: Tab) -> None:
    lon, lat = ASSETS
    tab.open(f"v={lon + 0.000075},{lat},45,0,-20&m=3d&l=assets&lang=en")
    asked = tab.js("performance.getEntriesByType('resource').map(({name}) => name)")
    assert any("/3dtiles/assets/" in url and url.split("?")[0].endswith(".glb") for url in asked)
    for i, (height, name) in enumerate(
        [(4.0, "tree 0"), (5.0, "lamp 1"), (4.0, "tree 2"), (0.6, "hydrant 3")]
    ):
        until(lambda i=i, height=height: tab.pick(lon + i * 0.00005, lat, height), 10, name)  # type: ignore[misc]
        assert tab.pick(lon + i * 0.00005, lat, height) == feature("assets", i + 1)
        assert tab.attributes(lon + i * 0.00005, lat, height)["name"] == name
    place = tab.js("([lon, lat]) => window.twin.window(lon, lat, 4)", [lon, lat])
    tab.page.mouse.click(place["x"], place["y"])
    until(lambda: "tree 0" in tab.page.locator("twin-feature h2").inner_text(), 10, "the card")

"""A dense city on an open page: what is asked for, how much is done at once, what is kept, what stays.

By count, not by time: the processor that draws the map here takes as long as it likes.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
import shapely.geometry

from tests.bench.metropolis import MIDDLE, Metropolis
from tests.browser.conftest import SIZE, Tab
from tests.browser.pixels import pixels
from tests.support import Server, init, twin, until

COUNT = 30_000
LON, LAT = MIDDLE
LAYERS = ("buildings", "addresses")
#: Features of a slice of work, with the last part that was begun in it: twin/web/app/src/map/work.ts.
MOST_AT_ONCE = 6000 + 1500
#: Bytes of a layer: cache and what a view may need more, twin/web/app/src/layers/forms/vector.ts.
MOST_BYTES = 96 * 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("size")
    city = str(init(folder / "city"))
    files = Metropolis(COUNT, COUNT, 100, side=6_000).write(folder)
    twin("load", str(files["building"]), "--as", "buildings", "--kind", "building", "--city", city)
    twin("load", str(files["address"]), "--as", "addresses", "--kind", "address", "--city", city)
    twin("load", str(files["pipeline"]), "--as", "pipes", "--kind", "pipeline", "--city", city)
    running = Server.start(Path(city))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def opening() -> str:
    return f"v={LON},{LAT},1500,0,-90&m=2d&l=buildings,addresses&lang=zh-CN"


class Asked:
    """Tiles that the page asks for from here on, and those of them that it lets go."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.tiles: list[str] = []
        self.let_go: list[str] = []
        tab.page.on("request", lambda request: self._note(self.tiles, request.url))
        tab.page.on("requestfailed", lambda request: self._note(self.let_go, request.url))

    @staticmethod
    def _note(found: list[str], url: str) -> None:
        if re.search(r"/tiles/\w+/\d+/", url):
            found.append(url)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait while the page is heard, too."""

        def heard() -> bool:
            self.tab.page.wait_for_timeout(50)
            return condition()

        until(heard, 20, what)

    def zooms(self) -> set[int]:
        return {int(re.findall(r"/tiles/\w+/(\d+)/", url)[0]) for url in self.tiles}


def _zoom(tab: Tab, heights: list[float], frames: int = 1, pitch: float = -90) -> None:
    """Look from each height for so many pictures."""
    tab.js(
        """async ([lon, lat, heights, frames, pitch]) => {
          for (const height of heights) {
            twin.set({view: {lon, lat, height, heading: 0, pitch}});
            for (let i = 0; i < frames; i += 1) {
              await new Promise(done => {
                const stop = twin.scene.postRender.addEventListener(() => { stop(); done(); });
                twin.scene.requestRender();
              });
            }
          }
        }""",
        [LON, LAT, heights, frames, pitch],
    )


def _drawn(tab: Tab) -> dict[str, Any]:
    found: list[dict[str, Any]] = tab.js("window.twin.tiles()")
    return {one["layer"]: one for one in found if one["form"] == "vector"}


def _share(tab: Tab) -> float:
    """How much of the picture is not bare ground."""
    picture = pixels(tab, 100, 70, SIZE["width"] - 200, SIZE["height"] - 140).astype(int)
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    ground = counts[np.abs(colours - _ground(tab)).max(axis=1) < 4].sum()
    return 1 - float(ground / counts.sum())


def _ground(tab: Tab) -> list[int]:
    colour = tab.js("(({red, green, blue}) => [red, green, blue])(twin.scene.globe.baseColor)")
    return [round(one * 255) for one in colour]


def test_a_city_opens_with_the_tiles_that_are_seen(tab: Tab):
    urls: list[str] = [url for one in _drawn(tab).values() for url in one["urls"]]
    assert 2 <= len(urls) <= 12
    zooms = {int(re.findall(r"/tiles/\w+/(\d+)/", url)[0]) for url in urls}
    # none of a zoom that was not looked at
    assert len(zooms) <= 2
    assert sum(one["drawn"] for one in _drawn(tab).values()) == len(urls)


def test_no_slice_of_work_is_large(tab: Tab):
    for height in (900, 2500, 5000):
        tab.look(LON, LAT, height, pitch=-90)
    tab.js("twin.set({selected: {type: 'feature', layer: 'buildings', fid: 1}})")
    tab.ready()
    tab.js("twin.set({selected: null})")
    tab.ready()
    work = tab.js("window.twin.work()")
    assert work["slices"] > 10
    assert 0 < work["most"] <= MOST_AT_ONCE


def _shown(tab: Tab, layer: str) -> list[dict[str, Any]]:
    """The vector tiles of a layer that are drawn: address, and features and drawn pieces of each part."""
    found: list[dict[str, Any]] = tab.js(
        """layer => {
          const found = [];
          for (let i = 0; i < twin.scene.primitives.length; i += 1) {
            for (const {shapes} of twin.scene.primitives.get(i).members ?? []) {
              for (const {content: {url, parts}} of shapes.tileset._selectedTiles) {
                if (!url?.includes(`/tiles/${layer}/`)) continue;
                const pieces = ({content: {_collections: drawn}, features}) =>
                  [features, drawn.reduce((sum, one) => sum + one.primitiveCount, 0)];
                found.push({url, parts: (parts ?? []).map(pieces)});
              }
            }
          }
          return found;
        }""",
        layer,
    )
    return found


def test_each_part_of_a_tile_has_its_own_features(tab: Tab):
    tab.look(LON, LAT, 1500, pitch=-90)
    parts = [part for layer in LAYERS for one in _shown(tab, layer) for part in one["parts"]]
    assert len(parts) > 2
    # an area or a line may be of several pieces
    assert all(features <= drawn <= 1.2 * features + 20 for features, drawn in parts), parts


def _switch(tab: Tab, layer: str, *, visible: bool) -> None:
    tab.js(
        "([layer, visible]) => twin.set({layers: {...twin.state().layers, [layer]: {visible, opacity: 1}}})",
        [layer, visible],
    )
    tab.ready()


def _held(tab: Tab, layer: str) -> list[tuple[float, float]]:
    """A place (pixels of the page) in each feature of the tiles that are drawn of a layer."""
    places = []
    for url in (one["url"] for one in _shown(tab, layer)):
        tile = mapbox_vector_tile.decode(
            tab.server.http.get(url).content, default_options={"y_coord_down": True}
        )
        z, x, y = map(int, re.findall(r"/tiles/\w+/(\d+)/(\d+)/(\d+)", url)[0])
        for part in tile.values():
            inside = [
                shapely.geometry.shape(one["geometry"]).representative_point() for one in part["features"]
            ]
            across, down = (shapely.get_coordinates(inside) / part["extent"] + [x, y]).T / 2**z
            own = (across * 2**z // 1 == x) & (down * 2**z // 1 == y)
            lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * down))))
            places += np.stack([across * 360 - 180, lat], axis=1)[own].tolist()
    found = tab.js("places => places.map(([lon, lat]) => twin.window(lon, lat, 0))", places)
    return [(one["x"], one["y"]) for one in found if one]


@pytest.mark.parametrize("height", [2_000, 6_000, 20_000, 60_000])
def test_all_that_a_tile_holds_is_in_the_picture(tab: Tab, height: float):
    # a sign covers what is missing under it
    _switch(tab, "addresses", visible=False)
    tab.look(LON, LAT, height, pitch=-90)
    # a busy machine paints what is new in several pictures
    until(lambda: _missing(tab, "buildings") <= 0.01, 20, "all of it in the picture")
    _switch(tab, "addresses", visible=True)


def _missing(tab: Tab, layer: str) -> float:
    """The share of what the drawn tiles of a layer hold that is not in the picture."""
    held = _held(tab, layer)
    picture = pixels(tab, 0, 0, SIZE["width"], SIZE["height"]).astype(int)
    bare = np.abs(picture - _ground(tab)).max(axis=2) < 4
    scale = picture.shape[1] / SIZE["width"]
    places = [
        (round(y * scale), round(x * scale))
        for x, y in held
        # beside the panels
        if 100 < x < SIZE["width"] - 100 and 70 < y < SIZE["height"] - 70
    ]
    assert len(places) > 20
    return sum(bool(bare[y - 1 : y + 2, x - 1 : x + 2].all()) for y, x in places) / len(places)


def test_signs_do_not_pile_up_from_afar(tab: Tab):
    tab.look(LON, LAT, 100_000, pitch=-90)
    # the city is less than 50 pixels wide; finer tiles of the last view stay until the new ones are there
    until(lambda: 1 <= len(_held(tab, "addresses")) <= 4, 20, "a few signs for all of it")


def test_house_numbers_are_written_in_all_of_a_dense_picture(tab: Tab):
    asked: list[dict[str, str]] = []
    tab.page.on(
        "response", lambda one: asked.append(_items(one.url)) if "/addresses/items" in one.url else None
    )
    tab.look(LON, LAT, 690, -90)
    until(lambda: tab.page.wait_for_timeout(100) or len(tab.js("twin.names()")) > 60, 20, "the numbers")
    # more than one answer holds, so all parts of the place are asked for
    assert len({one["bbox"] for one in asked}) >= 5
    assert {one["properties"] for one in asked} == {"street,number,name"}


def _items(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def test_a_fast_zoom_passes_the_zooms_between_by(tab: Tab):
    tab.look(LON + 0.01, LAT + 0.01, 100_000, pitch=-90)
    tab.look(LON, LAT, 100_000, pitch=-90)
    asked = Asked(tab)
    _zoom(tab, [100_000 / 2**i for i in range(9)])
    tab.ready()
    # at most the zoom where it came to rest, and what a slow picture let through
    assert len(asked.zooms()) <= 3
    assert len(asked.tiles) - len(asked.let_go) <= 4 * 2 * len(LAYERS)


def test_tiles_that_are_out_of_view_are_let_go(tab: Tab):
    session = tab.page.context.new_cdp_session(tab.page)
    slow = {"offline": False, "latency": 4000, "downloadThroughput": -1, "uploadThroughput": -1}
    tab.js("for (const one of twin.tiles()) twin.trim(one.layer, one.form)")
    asked = Asked(tab)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", slow)
    go = "([lon, lat]) => twin.set({view: {lon, lat, height: 350, heading: 0, pitch: -90}})"
    tab.js(go, [LON - 0.015, LAT - 0.01])
    asked.until(lambda: len(asked.tiles) > 0, "tiles that are asked for")
    held = len(asked.tiles)
    tab.js(go, [LON + 0.015, LAT + 0.01])
    asked.until(lambda: len(asked.let_go) > 0, "tiles that are let go")
    assert len(asked.let_go) <= held
    session.send("Network.emulateNetworkConditions", {**slow, "latency": 0})
    tab.ready()


def test_the_last_view_stays_until_the_new_one_has_come(tab: Tab):
    tab.look(LON, LAT, 3000, pitch=-90)
    assert _share(tab) > 0.2
    session = tab.page.context.new_cdp_session(tab.page)
    slow = {"offline": False, "latency": 3000, "downloadThroughput": -1, "uploadThroughput": -1}
    for height in (700, 6000):
        tab.js("for (const one of twin.tiles()) twin.trim(one.layer, one.form)")
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", slow)
        _zoom(tab, [height], frames=3)
        drawn = _drawn(tab)
        assert all(drawn[layer]["drawn"] > 0 for layer in LAYERS)
        assert _share(tab) > 0.05
        session.send("Network.emulateNetworkConditions", {**slow, "latency": 0})
        tab.ready()
        assert _share(tab) > 0.05


def test_a_long_walk_keeps_no_more_than_the_cache(tab: Tab):
    most = 0
    for step in range(60):
        east, north = step % 10 - 4.5, step // 10 - 2.5
        tab.js(
            "([lon, lat]) => twin.set({view: {lon, lat, height: 700, heading: 0, pitch: -90}})",
            [LON + 0.006 * east, LAT + 0.006 * north],
        )
        if step % 6 == 0:
            tab.ready()
        bytes_held = [one["bytes"] for one in _drawn(tab).values()]
        # a number: what is not told is never dropped
        assert all(one is not None and one > 0 for one in bytes_held)
        most = max(most, *bytes_held)
    assert 0 < most <= MOST_BYTES
    small = 2 * 1024 * 1024
    tab.js("([most]) => twin.bound('buildings', 'vector', most)", [small])
    tab.look(LON + 0.02, LAT, 700, pitch=-90)
    tab.look(LON - 0.02, LAT, 700, pitch=-90)
    view = _drawn(tab)["buildings"]
    assert view["bytes"] <= max(small, view["bytes"] / max(len(view["urls"]), 1) * view["drawn"] * 1.2)
    assert len(view["urls"]) <= view["drawn"] + 2


def _bodies(tab: Tab) -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = tab.js("window.twin.tiles()")
    return {one["layer"]: one for one in found if one["form"] == "scene"}


def _made(tab: Tab, layer: str) -> int:
    """How many nodes of a layer's tree the page has made."""
    return int(
        tab.js(
            """layer => {
              for (let i = 0; i < twin.scene.primitives.length; i += 1) {
                const {resource, statistics} = twin.scene.primitives.get(i);
                if (resource?.url.includes(`/3dtiles/${layer}/`)) return statistics.numberOfTilesTotal;
              }
              return 0;
            }""",
            layer,
        )
    )


def _nodes(root: dict[str, Any]) -> int:
    return 1 + sum(_nodes(child) for child in root.get("children", []))


def test_bodies_are_asked_for_where_they_are_seen(tab: Tab):
    tab.open(f"v={LON},{LAT},1200,0,-40&m=3d&l=buildings,pipes&lang=zh-CN")
    buildings = _bodies(tab)["buildings"]
    assert buildings["drawn"] > 4
    # neither what a nearer view would take nor what lies beside the picture
    assert len(buildings["urls"]) <= buildings["drawn"] + 8
    # nodes of the tree are made where they are looked for: an object of each would hold up the page
    tree = tab.server.http.get("/3dtiles/buildings/tileset.json?bounds=edits").json()
    assert buildings["drawn"] <= _made(tab, "buildings") < _nodes(tree["root"]) / 2
    # pipes are not seen through the street
    assert "pipes" not in _bodies(tab)
    tab.js("twin.set({underground: true})")
    tab.ready()
    assert _bodies(tab)["pipes"]["drawn"] > 0
    tab.js("twin.set({underground: false})")
    tab.ready()


def test_bodies_of_the_last_view_stay_until_the_new_ones_have_come(tab: Tab):
    tab.look(LON, LAT, 6000, pitch=-40)
    session = tab.page.context.new_cdp_session(tab.page)
    slow = {"offline": False, "latency": 3000, "downloadThroughput": -1, "uploadThroughput": -1}
    for height in (900, 9000):
        tab.js("for (const one of twin.tiles()) twin.trim(one.layer, one.form)")
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", slow)
        _zoom(tab, [height], frames=3, pitch=-40)
        assert _bodies(tab)["buildings"]["drawn"] > 0
        session.send("Network.emulateNetworkConditions", {**slow, "latency": 0})
        tab.ready()
        assert _bodies(tab)["buildings"]["drawn"] > 0

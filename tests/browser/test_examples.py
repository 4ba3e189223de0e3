"""The examples of docs/examples, as they are but for where the libraries come from: an edit over the API is
on the map without a reload, and only what changed was asked for again."""

from __future__ import annotations

import json
import mimetypes
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from playwright.sync_api import Browser

from layers import load
from layers.batch import MESH
from layers.source import Declared
from layers.store.base import Store
from layers.store.open import open_store
from layers.textures import Texture
from tests import tilesets
from tests.browser.conftest import Tab, new_tab
from tests.browser.pixels import colour
from tests.storing import batch, row, spec
from tests.support import ROOT, Server, until
from tests.templates import made_once
from tests.textured import box, image, textured

EXAMPLES = ROOT / "docs" / "examples"
APP = ROOT / "twin" / "web" / "app"
MODULES = APP / "node_modules"
ENGINE = MODULES / "@cesium" / "engine"
MERGE = {"content-type": "application/merge-patch+json"}
LON, LAT = 24.94, 60.17
ROOF = Texture.of(image(((200, 30, 30),) * 4, size=(64, 64), form="JPEG"), "image/jpeg")
#: Degrees: about 110 m from one house to the next, each 55 m wide.
STEP = 0.002
SIDE = STEP / 2
CDN = re.compile(r"https://unpkg\.com/(maplibre-gl|cesium|three|3d-tiles-renderer)@([0-9.]+)/")


def square(column: float, row: float = 0.0) -> dict[str, Any]:
    """The ground of a house at a place of the grid."""
    west, south = LON + column * STEP, LAT + row * STEP / 2
    east, north = west + SIDE, south + SIDE / 2
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def middle(column: float, row: float = 0.0) -> tuple[float, float]:
    """The middle of that house."""
    return LON + column * STEP + SIDE / 2, LAT + row * STEP / 2 + SIDE / 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A city of five houses in a row, and one far behind it."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "city").mkdir()
    houses = [
        {"type": "Feature", "geometry": square(*at), "properties": {"name": f"house {n}", "height_m": 40}}
        for n, at in enumerate([(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (2, 4)])
    ]
    (folder / "houses.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": houses}))
    (folder / "city" / "city.yml").write_text("{}")
    store = open_store(folder / "city")
    load.run(store, folder / "houses.geojson", Declared(kind="building"), layer_id="buildings")
    photo = tilesets.write(folder / "photo", tilesets.photo_mesh(LON, LAT))
    load.run(store, photo, layer_id="photo", city=folder / "city")
    _model(store)
    store.close()
    running = Server.start(folder / "city")
    yield running
    running.stop()


def _model(store: Store) -> None:
    """A body with a red image on its roof and green walls, as a layer."""
    body = textured(box(LON, LAT, 60, 20), ROOF.sha, walls=(20, 200, 40, 255))
    (west, south), (east, north) = body.positions[0, :2], body.positions[7, :2]
    stage = store.stage(spec("models", kind="cim", fields=()))
    stage.add(batch([row("hall", shapely.box(west, south, east, north), **{MESH: body.to_bytes()})]))
    stage.texture(ROOF)
    store.publish(stage)


def bundled() -> Path:
    """CesiumJS as one module, as its releases have it: npm has the engine in 1 500 files."""

    def bundle(folder: Path) -> None:
        rolldown = [MODULES / ".bin" / "rolldown", ENGINE / "index.js", "--format", "esm"]
        command = [ROOT / ".venv" / "bin" / "node", *rolldown, "--file", folder / "index.js"]
        subprocess.run(command, check=True, capture_output=True, cwd=APP)

    return made_once("cesium", (ENGINE / "package.json",), bundle)


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Another origin than the twin's, with the examples and, in place of the CDN, the libraries of npm."""
    cesium = bundled()
    folders = {
        "cesium/Assets/": ENGINE / "Source" / "Assets",
        "cesium/": cesium,
        "cesium/Workers/": ENGINE / "Build" / "Workers",
        "cesium/ThirdParty/": ENGINE / "Build" / "ThirdParty",
        **{f"{name}/": MODULES / name for name in ("maplibre-gl", "three", "3d-tiles-renderer")},
        "": EXAMPLES,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].strip("/")
            name = max((one for one in folders if path.startswith(one)), key=len)
            file = folders[name] / path[len(name) :].strip("/")
            if not file.is_file():
                self.send_response(204 if file.name == "favicon.ico" else 404)
                self.end_headers()
                return
            body = file.read_bytes()
            if file.suffix == ".html":
                body = CDN.sub(lambda found: f"{origin}/{found[1]}/", body.decode()).encode()
                body = body.replace(b"/cesium/Build/Cesium/", b"/cesium/")
            media = (
                "text/javascript" if file.suffix in (".js", ".mjs") else mimetypes.guess_type(file.name)[0]
            )
            self.send_response(200)
            self.send_header("content-type", media or "application/octet-stream")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    origin = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield origin
    listening.shutdown()
    listening.server_close()
    thread.join()


def opened(browser: Browser, server: Server, site: str, page: str, layer: str = "buildings") -> Tab:
    """An example, open; a mark in it is gone once it is loaded anew."""
    tab = new_tab(browser, server, device_scale_factor=1)
    tab.page.goto(f"{site}/{page}?server={server.url}&layer={layer}")
    tab.js("window.mark = 1")
    return tab


def closed(tab: Tab) -> None:
    """It was never loaded anew, asked nobody else and complained of nothing."""
    assert tab.js("window.mark") == 1
    tab.close()


def patch(server: Server, fid: int, body: dict[str, Any]) -> None:
    """Edit a house."""
    url = f"/ogc/collections/buildings/items/{fid}"
    done = server.http.patch(url, json=body, headers={**server.auth, **MERGE})
    assert done.status_code == 204, done.text


def test_the_libraries_are_those_that_the_page_and_the_tests_have():
    package = json.loads((APP / "package.json").read_text())
    found = {match for file in EXAMPLES.glob("*.html") for match in CDN.findall(file.read_text())}
    release = re.search(r'CESIUM_VERSION = "([0-9.]+)"', (ENGINE / "index.js").read_text())
    assert release is not None
    assert found == {
        *((name, package["devDependencies"][name]) for name in ("maplibre-gl", "three", "3d-tiles-renderer")),
        ("cesium", release[1]),
    }


# -- MapLibre ------------------------------------------------------------------------------------------------


def _rendered(tab: Tab, lon: float, lat: float) -> list[str]:
    found = tab.js(
        "([lon, lat]) => map.queryRenderedFeatures(map.project([lon, lat]), {layers: ['areas']})"
        ".map(one => one.properties.name)",
        [lon, lat],
    )
    return list(found)


def _pixel(tab: Tab, lon: float, lat: float) -> list[int]:
    x, y = tab.js(
        "([lon, lat]) => { const p = window.map.project([lon, lat]); return [p.x, p.y]; }", [lon, lat]
    )
    return colour(tab, x, y)


def test_maplibre_shows_an_edit_without_a_reload(browser: Browser, server: Server, site: str):
    tab = opened(browser, server, site, "maplibre.html")
    # until the script has run, the name is that of the page's element
    until(lambda: tab.js("!!window.map.loaded?.()"), 60, "the map")
    assert _rendered(tab, *middle(1)) == ["house 1"]
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    patch(server, 2, {"properties": {"name": "renamed"}})
    until(lambda: _rendered(tab, *middle(1)) == ["renamed"], 20, "the new name")
    assert {url.partition("?")[0].rpartition(".")[2] for url in asked} == {"mvt"}
    paper, house = _pixel(tab, *middle(1, 2)), _pixel(tab, *middle(1))
    assert paper != house
    patch(server, 2, {"geometry": square(1, 2)})
    until(lambda: _rendered(tab, *middle(1, 2)) == ["renamed"], 20, "the house at its new place")
    until(lambda: _pixel(tab, *middle(1, 2)) == house, 20, "its colour there")
    assert _pixel(tab, *middle(1)) == paper
    closed(tab)


# -- CesiumJS ------------------------------------------------------------------------------------------------

PLACED = """async ([lon, lat, height]) => {
  const { Cartesian3, SceneTransforms } = await import('cesium');
  const at = SceneTransforms.worldToWindowCoordinates(widget.scene, Cartesian3.fromDegrees(lon, lat, height));
  return at && [at.x, at.y];
}"""
PICKED = """([x, y]) => {
  const found = widget.scene.pick({ x, y });
  return found?.getProperty?.('name') ?? null;
}"""


def _picked(tab: Tab, lon: float, lat: float, height: float) -> str | None:
    at = tab.js(PLACED, [lon, lat, height])
    return None if at is None else tab.js(PICKED, at)


def test_cesium_exchanges_the_changed_tile_alone(browser: Browser, server: Server, site: str):
    tab = opened(browser, server, site, "cesium.html")
    until(lambda: tab.js("!!window.fresh && window.fresh.tileset.tilesLoaded"), 60, "the tileset")
    until(lambda: _picked(tab, *middle(3), 40) == "house 3", 30, "the house in the picture")
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    patch(server, 4, {"properties": {"name": "renamed"}})
    until(lambda: _picked(tab, *middle(3), 40) == "renamed", 20, "the new name")
    glb = [url for url in asked if url.partition("?")[0].endswith(".glb")]
    assert len(glb) == len(set(glb)) == tab.js("fresh.exchanged") >= 1
    # same vertices, other place: where buffers that are cached by URL would show the old shape
    ground, house = (
        colour(tab, *tab.js(PLACED, [*middle(3, 2), 0])),
        colour(tab, *tab.js(PLACED, [*middle(3), 40])),
    )
    assert ground != house
    patch(server, 4, {"geometry": square(3, 2)})
    until(lambda: _picked(tab, *middle(3, 2), 40) == "renamed", 20, "the house at its new place")
    assert colour(tab, *tab.js(PLACED, [*middle(3, 2), 40])) == house
    assert _picked(tab, *middle(3), 40) is None
    assert tab.js("fresh.opened") == 1
    closed(tab)


IMPLICIT = """async url => {
  const { Cesium3DTileset } = await import('cesium');
  widget.scene.primitives.remove(fresh.tileset);
  // no block is good enough, wherever earlier edits have left the layer's middle
  const tileset = await Cesium3DTileset.fromUrl(url, { maximumScreenSpaceError: 1 });
  window.implicit = widget.scene.primitives.add(tileset);
  widget.scene.requestRender();
}"""


def test_cesium_reads_the_tree_as_implicit_tiling(browser: Browser, server: Server, site: str):
    tab = opened(browser, server, site, "cesium.html")
    until(lambda: tab.js("!!window.fresh && window.fresh.tileset.tilesLoaded"), 60, "the tileset")
    links = server.http.get("/ogc/collections/buildings?f=json").json()["links"]
    (href,) = [one["href"] for one in links if one["href"].endswith("/implicit/tileset.json")]
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url.partition("?")[0]))
    tab.js(IMPLICIT, href)
    # two that no other test moves
    for column in (2, 4):
        until(partial(_is_picked, tab, column), 30, f"house {column} in the picture")
    until(lambda: tab.js("implicit.tilesLoaded"), 30, "all tiles")
    assert any(url.endswith(".subtree") for url in asked)
    mine = [url for url in asked if url.endswith(".glb")]
    assert mine
    assert len(mine) == len(set(mine))
    assert all("/3dtiles/buildings/implicit/" in url for url in mine)
    # blocks stood for them
    assert any("/blocks/" in url for url in mine)
    closed(tab)


def _is_picked(tab: Tab, column: int) -> bool:
    return _picked(tab, *middle(column), 40) == f"house {column}"


# -- three.js with 3d-tiles-renderer -------------------------------------------------------------------------

#: Where a place, in metres east, north and up of the middle of the layer, is in the window.
SEEN = """([east, north, up]) => {
  const at = camera.position.clone().set(-east, up, north).project(camera);
  return [(at.x + 1) / 2 * innerWidth, (1 - at.y) / 2 * innerHeight];
}"""
#: The camera over the middle of the layer, so far above it and a little to the south.
OVER = "up => { camera.position.set(0, up, -up / 3); controls.target.set(0, 0, 0); controls.update(); }"
IDLE = (
    "tiles.loadProgress === 1 && tiles.root && [...tiles.visibleTiles].some((one) => one.engineData?.scene)"
)


def _over(browser: Browser, server: Server, site: str, layer: str, height: float) -> Tab:
    tab = opened(browser, server, site, "three.html", layer)
    tab.expected.append("versions at 1.1 or higher have limited support")
    until(lambda: tab.js("!!window.tiles"), 30, "the script")
    tab.js(OVER, height)
    until(lambda: tab.js(IDLE), 60, f"tiles of {layer}")
    return tab


def _told(tab: Tab, place: tuple[float, float, float]) -> Any:
    return tab.js("([x, y]) => pick(x, y)", tab.js(SEEN, place))


def test_three_picks_a_building(browser: Browser, server: Server, site: str):
    tab = _over(browser, server, site, "buildings", 700)
    extent = server.http.get("/ogc/collections/buildings?f=json").json()["extent"]["spatial"]["bbox"][0]
    lon, lat = middle(2)  # those before and after it are edited by other tests
    metres = 111_320 * np.cos(np.radians(LAT))
    east = (lon - (extent[0] + extent[2]) / 2) * metres
    north = (lat - (extent[1] + extent[3]) / 2) * 111_420
    found = _told(tab, (east, north, 40))
    assert (found[0]["name"], found[0]["height_m"]) == ("house 2", 40)
    assert _told(tab, (east, north - 60, 0)) is None
    tab.page.mouse.click(*tab.js(SEEN, (east, north, 40)))
    assert "house 2" in tab.page.locator("#told").inner_text()
    closed(tab)


def test_three_shows_a_model_with_its_image_and_picks_its_surfaces(
    browser: Browser, server: Server, site: str
):
    tab = _over(browser, server, site, "models", 150)
    red, green, _ = colour(tab, *tab.js(SEEN, (0, 0, 20)))
    assert red > 2 * green
    found = _told(tab, (0, 0, 20))
    assert found[0]["source_id"] == "hall"
    assert found[1]["surface"] == "ROOF"
    closed(tab)


def test_three_shows_a_registered_photo_mesh(browser: Browser, server: Server, site: str):
    tab = _over(browser, server, site, "photo", 400)
    red, green, _ = colour(tab, *tab.js(SEEN, (-80, -80, 5)))
    assert red > 2 * green
    red, green, _ = colour(tab, *tab.js(SEEN, (80, 80, 5)))
    assert green > 2 * red
    closed(tab)

"""Edits reach an open page: exactly the changed tiles are fetched and exchanged, without a reload."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route
from shapely.affinity import translate
from shapely.geometry import Point, mapping, shape

from tests.browser import places
from tests.browser.conftest import Tab, feature
from tests.browser.places import Place
from tests.support import HELSINKI, Server, twin, until

MERGE = {"content-type": "application/merge-patch+json"}
#: Above every roof of the city, so that nothing else covers the building of a test.
TALL = 140.0
TOUCHES = itertools.count()


def _patch(server: Server, layer: str, fid: int, body: dict[str, Any]) -> None:
    done = server.http.patch(
        f"/ogc/collections/{layer}/items/{fid}", json=body, headers={**server.auth, **MERGE}
    )
    assert done.status_code == 204, done.text


def _put(server: Server, layer: str, fid: int, geometry: Any) -> None:
    """PUT the feature as it is, elsewhere."""
    url = f"/ogc/collections/{layer}/items/{fid}"
    read = server.http.get(url)
    item = read.json()
    body = {"type": "Feature", "geometry": mapping(geometry), "properties": item["properties"]}
    headers = {**server.auth, "content-type": "application/geo+json", "if-match": read.headers["etag"]}
    done = server.http.put(url, content=json.dumps(body), headers=headers)
    assert done.status_code == 204, done.text


@pytest.fixture(scope="module")
def opening(server: Server) -> str:
    there = places.building(server, small=True)
    return f"v={there.lon:.6f},{there.lat:.6f},700,0,-70&l=buildings,street_assets&lang=en"


@pytest.fixture(scope="module")
def tower(tab: Tab) -> Place:
    """A building of middling size, made the highest of the city; the page looks at it."""
    there = places.building(tab.server, small=True)
    tab.look(there.lon, there.lat, 700, pitch=-70)
    _patch(tab.server, "buildings", there.fid, {"properties": {"height_m": TALL}})
    made = Place(there.fid, there.lon, there.lat, TALL, there.geometry, there.properties)
    # its node is exchanged, and so are the blocks that stand for it from afar
    until(lambda: _drawn(tab, made).get("height_m") == TALL, 20, "the exchanged tile")
    return made


def _node(tab: Tab, place: Place) -> str:
    """The URL of the 3D tile that holds a building, told by the exchange that an edit makes."""
    url: list[str] = []

    def asked(request: Any) -> None:
        if "/3dtiles/buildings/" in request.url and "/blocks/" not in request.url:
            url.append(request.url.partition("?")[0])

    tab.page.on("request", asked)
    _touch(tab, place, f"touch {next(TOUCHES)}")
    tab.page.remove_listener("request", asked)
    assert len(set(url)) == 1
    return url[0]


def _touch(tab: Tab, place: Place, use: str) -> None:
    """Edit an attribute of the tower and wait until the picture carries it."""
    _patch(tab.server, "buildings", place.fid, {"properties": {"use": use}})
    until(lambda: _drawn(tab, place).get("use") == use, 20, "the edit in the picture")


def _drawn(tab: Tab, place: Place) -> dict[str, Any]:
    return tab.attributes(place.lon, place.lat, place.height) or {}


def test_a_put_changes_the_picked_attribute_and_the_place(tab: Tab, tower: Place):
    """Same vertices, other place: the tile keeps its byte layout, where the engine's caches go wrong."""
    assert tab.pick(tower.lon, tower.lat, TALL) == feature("buildings", tower.fid)
    assert _drawn(tab, tower)["height_m"] == pytest.approx(TALL)
    east = 40 / (places.METRES * 0.5)
    moved = translate(tower.geometry, xoff=east)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    _put(tab.server, "buildings", tower.fid, moved)
    until(
        lambda: tab.pick(tower.lon + east, tower.lat, TALL) == feature("buildings", tower.fid),
        20,
        "the building at its new place",
    )
    old = tab.pick(tower.lon, tower.lat, TALL)
    assert old is None or old["fid"] != tower.fid or old["layer"] != "buildings"
    # one or two nodes of the tree; the footprints are not drawn in 3D
    assert 1 <= len({url for url in asked if "/3dtiles/buildings/" in url and "/blocks/" not in url}) <= 2
    _put(tab.server, "buildings", tower.fid, tower.geometry)
    until(lambda: tab.pick(tower.lon, tower.lat, TALL) == feature("buildings", tower.fid), 20, "the way back")


def test_an_engine_without_the_private_parts_reloads_the_layer(tab: Tab, tower: Place):
    """Another engine release may lack what the exchange leans on: the edit is drawn all the same."""
    assert tab.js("window.twin.refresher('buildings', 'scene').usable") is True
    tab.js("window.twin.refresher('buildings', 'scene').usable = false")
    before = tab.swaps("buildings", "scene")
    _patch(tab.server, "buildings", tower.fid, {"properties": {"use": "drawn by a reload"}})
    until(lambda: _drawn(tab, tower).get("use") == "drawn by a reload", 60, "the edit in the picture")
    assert before > 0
    until(lambda: tab.swaps("buildings", "scene") == 0, 60, "the new tileset in place of the old one")
    assert tab.js("window.twin.refresher('buildings', 'scene').usable") is True


def test_a_moved_point_is_picked_at_its_new_place_in_the_vector_tile(tab: Tab):
    there = places.asset(tab.server)
    tab.look(there.lon, there.lat, 150, pitch=-80)
    assert tab.pick(there.lon, there.lat) == feature("street_assets", there.fid)
    north = 9 / places.METRES
    _put(tab.server, "street_assets", there.fid, translate(there.geometry, yoff=north))
    until(
        lambda: tab.pick(there.lon, there.lat + north) == feature("street_assets", there.fid),
        20,
        "the asset at its new place",
    )
    old = tab.pick(there.lon, there.lat)
    assert old is None or old != feature("street_assets", there.fid)


def test_a_failing_server_leaves_the_old_tile_and_is_asked_again(tab: Tab, tower: Place):
    tab.look(tower.lon, tower.lat, 700, pitch=-70)
    url = _node(tab, tower)
    failures: list[str] = []
    tab.expected += ["500"]

    def fail(route: Route) -> None:
        if len(failures) < 3:
            failures.append(route.request.url)
            route.fulfill(status=500, body="no")
        else:
            route.continue_()

    tab.page.route(f"{url}*", fail)
    _patch(tab.server, "buildings", tower.fid, {"properties": {"use": "after the failure"}})
    # a call into the page lets its route handlers run
    until(lambda: tab.js("true") and len(failures) >= 2, 20, "the failures")
    assert tab.pick(tower.lon, tower.lat, TALL) == feature("buildings", tower.fid)
    until(lambda: _drawn(tab, tower).get("use") == "after the failure", 20, "the recovery")
    assert len(failures) == 3
    tab.page.unroute(f"{url}*")


def test_a_tile_that_is_dropped_while_it_is_refreshed_does_no_harm(tab: Tab, tower: Place):
    tab.look(tower.lon, tower.lat, 700, pitch=-70)
    url = _node(tab, tower)
    held: list[Route] = []
    tab.page.route(f"{url}*", lambda route: held.append(route))
    _patch(tab.server, "buildings", tower.fid, {"properties": {"use": "while dropped"}})
    until(lambda: tab.js("true") and held, 20, "the request")
    tab.look(24.90, 60.14, 300)
    tab.js("window.twin.trim('buildings', 'scene')")
    tab.ready()
    until(lambda: url not in _loaded(tab), 20, "the dropped tile")
    for route in held:
        route.continue_()
    tab.page.unroute(f"{url}*")
    until(
        lambda: not tab.js("window.twin.refresher('buildings', 'scene').busy"), 20, "the end of the refresh"
    )
    tab.look(tower.lon, tower.lat, 700, pitch=-70)
    assert _drawn(tab, tower).get("use") == "while dropped"
    _touch(tab, tower, "alive")


def _loaded(tab: Tab) -> list[str]:
    return list(tab.js("window.twin.refresher('buildings', 'scene').loadedUrls"))


def test_an_empty_cell_is_filled_by_an_edit(tab: Tab, tower: Place):
    """Both kinds of tile: the 3D cell holds a placeholder, the vector tile was a 204."""
    west, south, east, north = tab.server.http.get("/ogc/collections/buildings").json()["extent"]["spatial"][
        "bbox"
    ][0]
    roofs = [shape(i["geometry"]) for i in places.items(tab.server, "buildings")]
    empty = _far_from(roofs, (west, south, east, north))
    tab.look(*empty, 500, pitch=-70)
    centre = tower.geometry.centroid
    moved = translate(tower.geometry, xoff=empty[0] - centre.x, yoff=empty[1] - centre.y)
    inside = moved.representative_point()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    _put(tab.server, "buildings", tower.fid, moved)
    until(
        lambda: tab.pick(inside.x, inside.y, TALL) == feature("buildings", tower.fid), 20, "the filled cell"
    )
    assert not any("tileset.json" in url for url in asked)
    tab.look(*empty, 500, pitch=-70, mode="2d")
    assert tab.pick(inside.x, inside.y) == feature("buildings", tower.fid)
    _put(tab.server, "buildings", tower.fid, tower.geometry)
    until(
        lambda: tab.pick(inside.x, inside.y) != feature("buildings", tower.fid), 20, "the emptied vector tile"
    )
    _put(tab.server, "buildings", tower.fid, moved)
    until(
        lambda: tab.pick(inside.x, inside.y) == feature("buildings", tower.fid),
        20,
        "the vector tile filled again",
    )
    _put(tab.server, "buildings", tower.fid, tower.geometry)
    tab.look(tower.lon, tower.lat, 700, pitch=-70, mode="3d")
    until(lambda: tab.pick(tower.lon, tower.lat, TALL) == feature("buildings", tower.fid), 20, "the way back")


def _far_from(roofs: list[Any], box: tuple[float, float, float, float]) -> tuple[float, float]:
    """The middle of the emptiest of some cells inside a box."""
    west, south, east, north = box
    points = [
        (west + (east - west) * (i + 0.5) / 8, south + (north - south) * (j + 0.5) / 8)
        for i in range(8)
        for j in range(8)
    ]
    return max(points, key=lambda p: min(Point(p).distance(roof) for roof in roofs))


def test_a_clipping_polygon_is_kept_over_a_refresh(tab: Tab, tower: Place):
    tab.look(tower.lon, tower.lat, 700, pitch=-70)
    assert tab.pick(tower.lon, tower.lat, TALL) == feature("buildings", tower.fid)
    west, south, east, north = tower.geometry.buffer(1e-4).bounds
    ring = [west, south, east, south, east, north, west, north]
    tab.js("ring => window.twin.clip('buildings', ring)", ring)
    hidden = until(lambda: _hidden(tab, tower), 20, "the cut")
    assert hidden
    before = tab.swaps("buildings", "scene")
    _patch(tab.server, "buildings", tower.fid, {"properties": {"use": "clipped"}})
    until(lambda: tab.swaps("buildings", "scene") > before, 20, "the exchanged tile")
    tab.ready()
    assert _hidden(tab, tower)
    tab.js("window.twin.clip('buildings', undefined)")
    until(lambda: _drawn(tab, tower).get("use") == "clipped", 20, "the building without the cut")


def _hidden(tab: Tab, tower: Place) -> bool:
    tab.ready()
    return bool(tab.pick(tower.lon, tower.lat, TALL) != feature("buildings", tower.fid))


def test_fifty_refreshes_leave_nothing_behind(tab: Tab, tower: Place):
    # each is a picture: as little of the city in it as shows the tower
    alone = {"buildings": {"visible": True, "opacity": 1}}
    tab.look(tower.lon, tower.lat, 350, pitch=-70, layers=alone)
    url = _node(tab, tower)
    before = tab.js("window.twin.cacheEntries()")
    done = tab.js(
        """async url => {
            const refresher = window.twin.refresher('buildings', 'scene');
            for (let i = 0; i < 50; i += 1) {
                const swaps = refresher.swaps;
                refresher.changed(url, `again-${i}`);
                const late = performance.now() + 20000;
                while (refresher.swaps === swaps) {
                    if (performance.now() > late) throw new Error(`no exchange ${i} of ${url}`);
                    await new Promise(done => setTimeout(done, 5));
                }
            }
            while (refresher.busy) await new Promise(done => setTimeout(done, 5));
            return refresher.swaps;
        }""",
        url,
    )
    assert done >= 50
    tab.ready()
    # a tile of an earlier view may be let go meanwhile: what is left behind would be fifty
    assert tab.js("window.twin.cacheEntries()") <= before
    assert tab.pick(tower.lon, tower.lat, TALL) == feature("buildings", tower.fid)


def test_the_card_of_the_selected_feature_follows_an_edit(tab: Tab, tower: Place):
    tab.look(tower.lon, tower.lat, 700, pitch=-70)
    at = tab.js("([lon, lat, h]) => window.twin.window(lon, lat, h)", [tower.lon, tower.lat, TALL])
    tab.page.mouse.click(at["x"], at["y"])
    tab.page.locator("twin-feature [data-field=height_m]").wait_for()
    _patch(tab.server, "buildings", tower.fid, {"properties": {"use": "seen in the card"}})
    until(lambda: "seen in the card" in tab.page.inner_text("twin-feature"), 20, "the new value in the card")
    assert tab.js("window.twin.state().selection") == feature("buildings", tower.fid)


def test_a_layer_that_was_loaded_again_is_drawn_anew(tab: Tab, tower: Place, tmp_path: Path):
    """One building is higher in the new file: its tile, which no edit touched yet, keeps its byte layout."""
    other = places.building(tab.server)
    tab.look(other.lon, other.lat, 700, pitch=-30)
    assert tab.pick(other.lon, other.lat, other.height) == feature("buildings", other.fid)
    source = json.loads((HELSINKI / "buildings.geojson").read_text("utf-8"))
    found = [f for f in source["features"] if other.properties["source_id"] in (f.get("id"), _osm_id(f))]
    assert len(found) == 1
    digits = re.sub(r"\d", "9", str(found[0]["properties"]["height"]))
    found[0]["properties"]["height"] = digits
    height = float(digits)
    assert height > other.height + 30
    assert tab.pick(other.lon, other.lat, height) != feature("buildings", other.fid)
    file = tmp_path / "buildings.geojson"
    file.write_text(json.dumps(source), "utf-8")
    folder = str(tab.server.folder)
    twin("load", str(file), "--as", "buildings", "--kind", "building", "--replace", "--city", folder)
    until(lambda: _attribute(tab, other, "height_m") == height, 30, "the new height in the picture")
    assert tab.pick(other.lon, other.lat, height) == feature("buildings", other.fid)
    # single edits reach the new tileset as they did the old one
    _patch(tab.server, "buildings", other.fid, {"properties": {"use": "after the load"}})
    until(lambda: _attribute(tab, other, "use") == "after the load", 20, "the edit after the load")


def test_an_edit_beyond_the_boxes_of_the_tree_opens_the_layer_anew(tab: Tab, tower: Place):
    """The tile has not been refreshed before: the engine holds its old buffers under its plain URL."""
    other = places.building(tab.server)
    tab.look(other.lon, other.lat, 2500, pitch=-30, layers={"buildings": {"visible": True, "opacity": 1}})
    assert tab.pick(other.lon, other.lat, 500) != feature("buildings", other.fid)
    _patch(tab.server, "buildings", other.fid, {"properties": {"height_m": 999.0}})
    until(lambda: _attribute(tab, other, "height_m") == 999, 30, "the new height in the attributes")
    assert tab.pick(other.lon, other.lat, 500) == feature("buildings", other.fid)


def _osm_id(item: dict[str, Any]) -> str:
    return f"{item['properties'].get('osm_type')}/{item['properties'].get('osm_id')}"


def _attribute(tab: Tab, place: Place, name: str) -> Any:
    drawn = tab.attributes(place.lon, place.lat, place.height) or {}
    return drawn.get(name) if drawn.get("fid") == place.fid else None

"""An afternoon of the demo city: edited in QGIS, over the API, by a re-load. The page shows it as it was at
noon, tells what changed since and by whom, and one person's edits are taken back while another page watches.

The tests follow one another."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from shapely import STRtree
from shapely.geometry import shape

from tests.browser import places
from tests.browser.conftest import Tab, new_tab
from tests.browser.places import Place
from tests.qgis import Qgis
from tests.support import HELSINKI, Server, fresh_key, twin, until

ASSETS = "/ogc/collections/street_assets/items"


@dataclass(frozen=True)
class Afternoon:
    """The server, a whole second before all edits, who edited, and the buildings that anna and QGIS edited:
    anna her own and one that QGIS changed after her."""

    server: Server
    noon: datetime
    hers: Place
    shared: Place
    theirs: Place
    asset: int

    @property
    def at(self) -> str:
        return f"{self.noon:%Y-%m-%dT%H:%M:%SZ}"


def alone(server: Server) -> list[Place]:
    """Large buildings that no other solid touches."""
    every = places.items(server, "buildings")
    solids = STRtree([shape(i["geometry"]) for i in [*every, *places.items(server, "building_parts")]])
    found = [i for i in every if len(solids.query(shape(i["geometry"]), predicate="intersects")) == 1]
    found.sort(key=lambda i: -shape(i["geometry"]).area)
    middles = [shape(i["geometry"]).representative_point() for i in found]
    return [places.place(i, at, i["properties"]["height_m"]) for i, at in zip(found, middles, strict=True)]


def patch(server: Server, key: str, fid: int, **properties: Any) -> None:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/merge-patch+json"}
    done = server.http.patch(
        f"/ogc/collections/buildings/items/{fid}", json={"properties": properties}, headers=headers
    )
    assert done.status_code == 204, done.text


def values(server: Server, fid: int, **params: str) -> dict[str, Any]:
    answer = server.http.get(f"/ogc/collections/buildings/items/{fid}", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["properties"])


@pytest.fixture(scope="module")
def afternoon(
    helsinki_module: Path, tmp_path_factory: pytest.TempPathFactory, qgis: Qgis
) -> Iterator[Afternoon]:
    anna = fresh_key(helsinki_module, "anna")
    server = Server.start(helsinki_module)
    hers, shared, theirs = alone(server)[:3]
    noon = int(time.time()) + 1
    until(lambda: time.time() > noon + 0.5, 5, "the next second")
    # over the API
    patch(server, anna, hers.fid, height_m=140, name="Annan torni")
    patch(server, anna, shared.fid, height_m=120, use="tower")
    # in QGIS
    qgis.open("buildings", f"{helsinki_module}/city.gpkg|layername=buildings", "ogr")
    qgis.edit("buildings", [["set", shared.fid, "name", "QGIS:n talo"], ["set", theirs.fid, "height_m", 99]])
    qgis.close("buildings")
    # by a re-load: the first asset is gone from the file
    source = json.loads((HELSINKI / "street_assets.geojson").read_text("utf-8"))
    asset = server.http.get(ASSETS, params={"limit": 1}).json()["features"][0]
    wanted = asset["properties"]["source_id"]
    kept = [one for one in source["features"] if one.get("id", one["properties"].get("@id")) != wanted]
    assert len(kept) == len(source["features"]) - 1
    file = tmp_path_factory.mktemp("files") / "street_assets.geojson"
    file.write_text(json.dumps({**source, "features": kept}), "utf-8")
    words = ("--as", "street_assets", "--kind", "component", "--replace", "--city", str(helsinki_module))
    twin("load", str(file), *words)
    until(lambda: server.http.get(f"{ASSETS}/{asset['id']}").status_code == 404, 5, "the load")
    yield Afternoon(server, datetime.fromtimestamp(noon, UTC), hers, shared, theirs, asset["id"])
    server.stop()


def opened(browser: Browser, afternoon: Afternoon, *, key: bool) -> Iterator[Tab]:
    there = afternoon.hers
    tab = new_tab(browser, afternoon.server)
    tab.open(f"v={there.lon:.6f},{there.lat:.6f},500,0,-60&l=buildings,street_assets&lang=en", key=key)
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def tab(browser: Browser, afternoon: Afternoon) -> Iterator[Tab]:
    yield from opened(browser, afternoon, key=True)


@pytest.fixture(scope="module")
def watching(browser: Browser, afternoon: Afternoon) -> Iterator[Tab]:
    """Another page, of somebody without a key."""
    yield from opened(browser, afternoon, key=False)


def height(tab: Tab, place: Place) -> Any:
    """Of a building, as its body in the picture says; looked for low, where every height has it."""
    return (tab.attributes(place.lon, place.lat, min(place.height, 5)) or {}).get("height_m")


def drawn(tab: Tab, place: Place) -> Any:
    tab.look(place.lon, place.lat, 500)
    return height(tab, place)


def test_the_page_shows_it_as_it_was_at_noon(tab: Tab, afternoon: Afternoon) -> None:
    for place, now in ((afternoon.theirs, 99), (afternoon.shared, 120), (afternoon.hers, 140)):
        assert drawn(tab, place) == now
    tab.js("at => window.twin.set({at})", afternoon.at)
    tab.page.locator("twin-past [data-frame]").wait_for()
    for place in (afternoon.theirs, afternoon.shared, afternoon.hers):
        assert drawn(tab, place) == place.properties["height_m"]
        assert values(afternoon.server, place.fid, at=afternoon.at) == place.properties
    was = afternoon.server.http.get(f"{ASSETS}/{afternoon.asset}", params={"at": afternoon.at})
    assert was.status_code == 200
    tab.page.locator("twin-past [data-past=now]").click()
    tab.page.locator("twin-past [data-frame]").wait_for(state="detached")
    assert drawn(tab, afternoon.hers) == 140


def test_it_tells_what_changed_since_and_by_whom(tab: Tab, afternoon: Afternoon) -> None:
    answer = afternoon.server.http.get(
        "/ogc/changes", params={"from": afternoon.at}, headers=afternoon.server.auth
    ).json()
    changes = {(one["layer"], one["id"]): one for one in answer["changes"]}
    house = [("buildings", one.fid) for one in (afternoon.hers, afternoon.shared, afternoon.theirs)]
    assert set(changes) == {*house, ("street_assets", afternoon.asset)}
    who = {key: (one["set"]["via"], one["set"]["actor"]) for key, one in changes.items()}
    assert [who[key] for key in house] == [("api", "anna"), ("other", None), ("other", None)]
    assert who["street_assets", afternoon.asset][0] == "load"
    assert changes["street_assets", afternoon.asset]["change"] == "removed"
    tab.page.locator("[data-panel=history]").click()
    rows = tab.page.locator("twin-history [data-set]")
    rows.first.wait_for()
    texts = rows.all_inner_texts()
    assert "loaded" in texts[0]
    assert sum("edited · anna" in text for text in texts) == 2
    assert any("another program" in text for text in texts), texts
    tab.js("window.twin.set({right: null})")


def test_one_persons_edits_are_taken_back_while_another_page_watches(
    tab: Tab, watching: Tab, afternoon: Afternoon
) -> None:
    server = afternoon.server
    watching.look(afternoon.hers.lon, afternoon.hers.lat, 500)
    assert height(watching, afternoon.hers) == 140
    before = server.http.get("/ogc/change-sets", params={"limit": 1}).json()["changeSets"][0]["last"]
    words = ("anna", "--from", afternoon.at, "--city", str(server.folder))
    refused = twin("undo", "actor", *words, "--yes", check=False)
    # QGIS has changed one of hers since
    assert refused.returncode != 0
    assert "--leave-out-conflicts" in refused.stdout + refused.stderr
    assert values(server, afternoon.hers.fid)["height_m"] == 140
    twin("undo", "actor", *words, "--yes", "--leave-out-conflicts", "--message", "wrong storeys")
    was = afternoon.hers.properties["height_m"]
    for page in (watching, tab):
        until(lambda page=page: height(page, afternoon.hers) == was, 20, "what was taken back in the picture")
    assert values(server, afternoon.hers.fid) == afternoon.hers.properties
    # what others did stays, and what she did is known still
    assert values(server, afternoon.shared.fid)["name"] == "QGIS:n talo"
    assert values(server, afternoon.shared.fid)["height_m"] == 120
    assert values(server, afternoon.theirs.fid)["height_m"] == 99
    assert values(server, afternoon.hers.fid, at=f"@{before}")["name"] == "Annan torni"
    newest = server.http.get("/ogc/change-sets", params={"limit": 1}, headers=server.auth).json()[
        "changeSets"
    ][0]
    assert (newest["via"], newest["message"]) == ("undo", "wrong storeys")
    assert watching.js("window.twin.state().at") in (None, "")

"""Clashes of a model version on the page: begun, followed, listed, seen in both colours, and taken along."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.browser.conftest import SIZE, Tab
from tests.browser.pixels import colour
from tests.browser.test_model import at
from tests.ifcs import AXIS, EAST, HEIGHT, MAP, NORTH, Model, house
from tests.support import Server, init, twin, until

#: In the house that is checked in a beam goes through the wall; a duct of another model through the floor.
BEAM = (7.6, -1.5, 1.0, 8.2, 5.0, 1.3)
DUCT = (2.0, 2.0, -1.0, 2.6, 2.6, 1.0)


def _ducts() -> Model:
    model = Model()
    model.element("IfcDuctSegment", "=duct", DUCT, model.storey("Ground", 0.0))
    model.mapped(EAST, NORTH, HEIGHT, AXIS, MAP)
    return model


def _revised() -> Model:
    model = house()
    storey = model.file.by_type("IfcBuildingStorey")[1]
    assert storey.Name == "Ground"
    model.element("IfcBeam", "beam", BEAM, storey)
    return model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("clash")
    city = str(init(folder / "city"))
    twin("load", str(house().write(folder / "house.ifc")), "--as", "house", "--city", city)
    twin("load", str(_ducts().write(folder / "ducts.ifc")), "--as", "ducts", "--city", city)
    pipe = {"type": "LineString", "coordinates": [at(7.9, -1.0), at(7.9, 4.5)]}
    facts = {"medium": "water", "diameter_mm": 200, "depth_m": 1.0, "name": "main"}
    document = {"type": "Feature", "geometry": pipe, "properties": facts}
    (folder / "pipes.geojson").write_text(json.dumps(document))
    twin("load", str(folder / "pipes.geojson"), "--as", "pipes", "--kind", "pipeline", "--city", city)
    revised = str(_revised().write(folder / "revised.ifc"))
    twin("model", "check-in", "house", revised, "--name", "v2", "--city", city)
    running = Server.start(Path(city))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def opening() -> str:
    lon, lat = at(5, 4)
    return f"v={lon},{lat},60,0,-50&m=3d&l=house&p=history&lang=zh-CN"


def _hue(tab: Tab, *place: float) -> int:
    """Which of red, green and blue is strongest where a place of the model (m) is in the picture."""
    lon, lat = at(*place[:2])
    found = tab.js("([lon, lat, h]) => window.twin.window(lon, lat, h)", [lon, lat, place[2]])
    return int(np.argmax(colour(tab, found["x"], found["y"])))


def _rows(tab: Tab) -> list[str]:
    return [one.inner_text() for one in tab.page.locator("twin-clashes [data-pair]").all()]


def test_clashes_are_begun_listed_and_seen(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    page.set_viewport_size({"width": 1200, "height": 700})  # else the list lies over the middle
    page.locator("[data-version=v2] [data-model=clash]").click()
    assert "碰撞检查" in page.locator("twin-clashes h3").inner_text()
    assert page.locator("[data-beside]").evaluate_all("all => all.map(one => one.dataset.beside)") == [
        "ducts",
        "pipes",
    ]
    assert tab.violations() == []
    page.locator("[data-clash=start]").click()
    count = page.locator("[data-clash-count]")
    count.wait_for()
    until(lambda: "cl=" in page.url, 10, "the link")
    assert count.get_attribute("data-clash-count") == "2"
    first, second = _rows(tab)
    # the common solids, largest first: 0.6 x 0.6 x 0.2 and 0.6 x 0.3 x 0.3 metres
    assert [word for word in ("floor", "=duct", "0.072 m³") if word not in first] == []
    assert [word for word in ("beam", "south", "0.054 m³") if word not in second] == []
    tab.ready()
    layers = tab.js("window.twin.state().layers")
    assert layers["house__1"]["visible"] is True
    page.locator("[data-pair='1']").click()
    tab.ready()
    view = tab.js("window.twin.state().view")
    assert view["height"] < 40
    # both are new in the version: the first of them is orange, the other blue
    wall_first = second.index("south") < second.index("beam")
    assert _hue(tab, 2.0, 0.15, 3.0) == (0 if wall_first else 2)
    assert _hue(tab, 7.9, -0.8, 1.3) == (2 if wall_first else 0)
    page.locator(".values [data-card]").nth(int(wall_first)).click()
    until(lambda: "beam" in page.locator("twin-feature h2").inner_text(), 10, "the card")
    page.locator("twin-feature button.close").click()
    with page.expect_download() as begun:
        page.locator("[data-clash=download]").click()
    assert begun.value.suggested_filename == "house-v2-碰撞检查.csv"
    text = Path(begun.value.path()).read_text("utf-8-sig")
    table = list(csv.DictReader(io.StringIO(text)))
    assert [one["other_title"] for one in table] == ["'=duct", "beam" if wall_first else "south"]
    assert [float(one["volume_m3"]) for one in table] == pytest.approx([0.072, 0.054], abs=1e-5)
    assert tab.violations() == []
    page.set_viewport_size(cast(Any, SIZE))


def test_a_link_has_the_clashes_and_leaving_them_puts_the_layers_back(tab: Tab) -> None:
    page = tab.page
    job = tab.js("window.twin.state().clash")
    tab.open(f"cl={job}&p=history&l=house&lang=en")
    until(lambda: len(_rows(tab)) == 2, 20, "the list")
    assert "Clashes: 2" in page.locator("[data-clash-count]").inner_text()
    assert tab.js("window.twin.state().layers.house__1.visible") is True
    page.locator("[data-clash=back]").click()
    until(lambda: "cl=" not in page.url, 10, "the link")
    assert tab.js("window.twin.state().layers.house__1.visible") is False
    page.locator("[data-version=v2] [data-model=clash]").wait_for()


def test_nothing_is_begun_against_a_layer_that_is_left_out(tab: Tab) -> None:
    page = tab.page
    page.locator("[data-version=v2] [data-model=clash]").click()
    page.locator("[data-beside=ducts]").uncheck()
    page.locator("[data-beside=pipes]").uncheck()
    page.locator("[data-clash=tolerance]").fill("5")
    page.locator("[data-clash=start]").click()
    page.locator("[data-clash-count='1']").wait_for()
    job: Any = tab.server.http.get(
        f"/ogc/jobs/{tab.js('window.twin.state().clash')}", headers=tab.server.auth
    ).json()
    assert job["input"] == {"layer": "house", "version": "v2", "beside": [], "tolerance_m": 0.005}


def test_what_is_too_near_to_a_pipe_is_listed_after_the_clashes(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    page.set_viewport_size({"width": 1200, "height": 700})
    page.locator("[data-clash=back]").click()
    page.locator("[data-version=v2] [data-model=clash]").click()
    page.locator("[data-clash=clearance]").fill("3")
    page.locator("[data-clash=start]").click()
    page.locator("[data-clash-near='5']").wait_for()
    assert "3" in page.locator("section[data-clash-job] .counts").first.inner_text()
    # from the tube's top, 0.9 m below the ground, to the beam's underside, 1 m above it
    beside = _rows(tab)[2:]
    assert ["1.9 m" in one for one in beside if "beam" in one] == [True]
    assert all("main" in one for one in beside)
    page.locator("[data-pair='2']").click()
    page.locator(".values [data-card^='pipes/']").wait_for()
    assert tab.violations() == []
    page.screenshot(path=str(tmp_path / "near.png"))
    with page.expect_download() as begun:
        page.locator("[data-clash=download]").click()
    table = list(csv.DictReader(io.StringIO(Path(begun.value.path()).read_text("utf-8-sig"))))
    gaps = {one["new_title"]: float(one["gap_m"]) for one in table[2:]}
    assert gaps["beam"] == pytest.approx(1.9, abs=0.01)
    assert list(gaps.values()) == sorted(gaps.values())
    page.set_viewport_size(cast(Any, SIZE))


def test_a_job_that_is_gone_is_told(tab: Tab) -> None:
    tab.expected.append("404")
    tab.open("cl=nothing&p=history&l=house&lang=en")
    tab.page.locator("twin-clashes [role=alert]").wait_for()
    assert "no longer there" in tab.page.locator("twin-clashes").inner_text()

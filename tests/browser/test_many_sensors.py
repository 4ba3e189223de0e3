"""A city of many sensors on an open page: counted from afar, one by one near by, and no storm of streams."""

import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Request

from tests import sensing
from tests.browser.conftest import Tab
from tests.support import Server, init, until

COUNT = 20_000
LON, LAT = sensing.LON, sensing.LAT


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("many") / "city"
    init(folder)
    sensing.fill(folder, COUNT)
    running = Server.start(folder)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def opening() -> str:
    return f"v={LON},{LAT},40000,0,-90&m=2d&lang=zh-CN"


def counts(tab: Tab) -> dict[str, Any]:
    found: dict[str, Any] = tab.js("window.twin.counts()")
    return found


def look(tab: Tab, lon: float, lat: float, height: float) -> None:
    tab.look(lon, lat, height, pitch=-90)


def observe(tab: Tab, datastream: int, value: float) -> None:
    body = {"Datastream": {"@iot.id": datastream}, "result": value}
    answer = tab.server.http.post("/sta/v1.1/Observations", json=body, headers=tab.server.auth)
    assert answer.status_code == 201, answer.text


def test_from_afar_there_are_counts_of_all_which_follow(tab: Tab):
    look(tab, LON, LAT, 40_000)
    until(lambda: counts(tab)["counted"] > 0, 10, "the counts")
    now = counts(tab)
    assert now["sensors"] == 0
    assert 20 < now["clusters"] < 600
    assert sum(now["states"].values()) == COUNT
    quiet = next(i for i in range(1, COUNT) if sensing.value(i) < 1.5)
    observe(tab, quiet, 3.0)
    until(lambda: counts(tab)["states"]["red"] == now["states"]["red"] + 1, 5, "the red one in the counts")
    observe(tab, quiet, 0.5)
    red = tab.page.locator("twin-strip [data-state=red]")
    until(lambda: red.inner_text().strip() == str(now["states"]["red"]), 5, "the strip")


def test_a_click_on_a_count_opens_it(tab: Tab):
    look(tab, LON, LAT, 40_000)
    until(lambda: counts(tab)["counted"] > 0, 10, "the counts")
    tab.ready()
    here = min(
        tab.js("window.twin.clusters()"), key=lambda one: abs(one["lon"] - LON) + abs(one["lat"] - LAT)
    )
    at = tab.js("([lon, lat]) => window.twin.window(lon, lat, 2)", [here["lon"], here["lat"]])
    tab.page.mouse.click(at["x"], at["y"])
    until(lambda: counts(tab)["sensors"] > 0, 20, "single sensors")
    now = counts(tab)
    assert now["clusters"] == 0
    assert now["sensors"] <= 2_000
    assert now["sensors"] >= here["count"]
    assert sum(now["states"].values()) == COUNT


def test_near_by_they_are_one_by_one_and_those_in_the_picture_are_there(tab: Tab):
    look(tab, LON, LAT, 1_500)
    until(lambda: counts(tab)["clusters"] == 0 and counts(tab)["sensors"] > 0, 10, "single sensors")
    nearest = min(range(1, COUNT + 1), key=lambda i: math.dist(sensing.place(i), (LON, LAT)))
    until(lambda: tab.js("id => !!window.twin.sensor(id)", nearest), 10, "the nearest")
    look(tab, *sensing.place(nearest), 400)
    tab.ready()
    assert tab.pick(*sensing.place(nearest), 2) == {"type": "sensor", "id": nearest}
    observe(tab, nearest, 2.75)
    until(lambda: tab.js("id => window.twin.sensor(id).state", nearest) == "red", 5, "its state")


def test_small_steps_ask_for_nothing_and_a_flight_asks_once(tab: Tab):
    look(tab, LON, LAT, 1_500)
    until(lambda: counts(tab)["sensors"] > 0, 10, "single sensors")
    tab.page.wait_for_timeout(600)
    opened: list[str] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).path == "/stream":
            opened.append(request.url)

    tab.page.on("request", note)
    for step in range(1, 5):
        look(tab, LON + step * 1e-4, LAT, 1_500)
    tab.page.wait_for_timeout(600)
    assert opened == []
    for step in range(5):
        view = {"lon": LON + 0.02 * step, "lat": LAT, "height": 1500, "heading": 0, "pitch": -90}
        tab.js("patch => window.twin.set(patch)", {"view": view})
    tab.page.wait_for_timeout(2000)
    assert len(opened) == 1
    assert "last_event_id=" in opened[0]


def test_a_sensor_that_is_chosen_is_known_wherever_it_stands(tab: Tab):
    look(tab, LON, LAT, 400)
    until(lambda: counts(tab)["sensors"] > 0, 10, "single sensors")
    far = max(range(1, COUNT + 1), key=lambda i: abs(sensing.place(i)[0] - LON))
    assert tab.js("id => window.twin.sensor(id) === undefined", far)
    tab.js("id => window.twin.set({selection: {type: 'sensor', id}, right: 'card'})", far)
    until(lambda: tab.js("id => !!window.twin.sensor(id)", far), 10, "the chosen sensor")
    assert f"Level {far}" in tab.page.inner_text("twin-sensor")
    tab.js("window.twin.set({selection: null, right: null})")

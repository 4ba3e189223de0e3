"""Sensors and incidents on an open page: what is posted over HTTP is seen without a reload."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from layers.store import geopackage
from tests.browser import places, small
from tests.browser.conftest import Tab
from tests.browser.pixels import colour
from tests.support import Server, until

LON, LAT = 24.9443, 60.1695
#: µg/m³ for PM2.5 of the built-in theme: clear, and above the highest threshold.
CLEAN, FOUL = 12.0, 400.0


@pytest.fixture(scope="module")
def opening() -> str:
    return f"v={LON},{LAT},300,0,-60&l=buildings&lang=en"


@pytest.fixture(scope="module")
def sensor(tab: Tab) -> int:
    """A sensor that is made while the page is open."""
    found = small.sensor(tab.server, "Air of the test", LON, LAT, simulated=True)
    until(lambda: tab.js("id => window.twin.sensor(id)", found), 10, "the sensor on the page")
    return found


def _state(tab: Tab, datastream: int) -> str:
    return str(tab.js("id => window.twin.sensor(id).state", datastream))


def _pixel(tab: Tab, lon: float, lat: float) -> list[int]:
    """The colour at a place in the picture."""
    there = tab.js("([lon, lat]) => window.twin.window(lon, lat, 2)", [lon, lat])
    return colour(tab, there["x"], there["y"])


def test_an_observation_changes_the_sign_of_a_sensor(tab: Tab, sensor: int):
    tab.look(LON, LAT, 300)
    now = datetime.now(UTC)
    small.observe(tab.server, sensor, CLEAN, now - timedelta(seconds=30))
    until(lambda: _state(tab, sensor) == "ok", 10, "the sensor in its normal state")
    tab.ready()
    assert tab.pick(LON, LAT, 2) == {"type": "sensor", "id": sensor}
    grey = _pixel(tab, LON, LAT)
    small.observe(tab.server, sensor, FOUL, now)
    until(lambda: _state(tab, sensor) == "red", 5, "the raised threshold")
    tab.ready()
    red = _pixel(tab, LON, LAT)
    assert max(grey) - min(grey) < 40
    assert red[0] - max(red[1:]) > 100
    assert tab.js("id => window.twin.sensor(id).value", sensor) == FOUL


def test_a_click_on_the_sensor_shows_its_day_and_its_thresholds(tab: Tab, sensor: int):
    start = datetime.now(UTC) - timedelta(hours=20)
    rows = [[(start + timedelta(minutes=5 * i)).isoformat(), 10 + i % 7] for i in range(100)]
    batch: list[dict[str, Any]] = [
        {
            "Datastream": {"@iot.id": sensor},
            "components": ["phenomenonTime", "result"],
            "dataArray": rows,
        }
    ]
    made = tab.server.http.post("/sta/v1.1/CreateObservations", json=batch, headers=tab.server.auth)
    assert made.status_code == 201, made.text
    at = tab.js("([lon, lat]) => window.twin.window(lon, lat, 2)", [LON, LAT])
    tab.page.mouse.click(at["x"], at["y"])
    chart = tab.page.locator("twin-sensor .chart[data-status=ready]")
    chart.wait_for()
    assert int(chart.get_attribute("data-points") or 0) >= 102
    assert chart.locator("canvas").count() == 1
    card = tab.page.inner_text("twin-sensor")
    assert "simulated" in card
    assert "µg/m³" in card
    assert tab.page.locator("twin-sensor .reading").get_attribute("data-state") == "red"
    before = int(chart.get_attribute("data-points") or 0)
    small.observe(tab.server, sensor, FOUL, datetime.now(UTC))
    until(lambda: int(chart.get_attribute("data-points") or 0) == before + 1, 5, "the new value in the chart")
    tab.page.keyboard.press("Escape")


def test_observations_redraw_the_panels_that_show_them_and_no_other(tab: Tab, sensor: int):
    tab.js("window.twin.set({left: 'layers', right: 'incidents', lang: 'en'})")
    tab.page.locator("twin-layers [data-layer=sensors]").wait_for()
    tab.page.locator("twin-incidents .scroll").wait_for()
    before = tab.js("window.twin.renders()")
    for i in range(5):
        value = FOUL + 1 + i
        small.observe(tab.server, sensor, value, datetime.now(UTC))
        until(
            lambda value=value: tab.js("id => window.twin.sensor(id).value", sensor) == value, 5, "the value"
        )
    after = tab.js("window.twin.renders()")
    for still in ("twin-layers", "twin-shell", "twin-tools"):
        assert after[still] == before[still], still
    tab.js("id => window.twin.set({selection: {type: 'sensor', id}, right: 'card'})", sensor)
    tab.page.locator("twin-sensor .chart[data-status=ready]").wait_for()
    shown = tab.js("window.twin.renders()")["twin-sensor"]
    small.observe(tab.server, sensor, FOUL, datetime.now(UTC))
    until(lambda: tab.js("window.twin.renders()")["twin-sensor"] > shown, 5, "the card")
    tab.js("window.twin.set({left: null, right: null, selection: null})")


def test_a_new_incident_appears_in_the_list_and_on_the_map_and_is_handled_there(tab: Tab):
    tab.js("window.twin.set({lang: 'en', right: 'incidents'})")
    body = {"title": "Water main burst", "level": 1, "lon": LON + 0.001, "lat": LAT, "class": "water"}
    made = tab.server.http.post("/incidents", json=body, headers=tab.server.auth)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    row = tab.page.locator(f"twin-incidents [data-incident='{number}']")
    row.wait_for(timeout=2000)
    assert row.get_attribute("data-level") == "1"
    assert "Water main burst" in row.inner_text()
    assert tab.js("window.twin.counts().pins") >= 1
    row.click()
    tab.ready()
    assert tab.page.locator("twin-incident").is_visible()
    at = tab.js("([lon, lat]) => window.twin.window(lon, lat, 1)", [body["lon"], LAT])
    picked = tab.js("([x, y]) => window.twin.pickWindow(x, y)", [at["x"], at["y"] - 12])
    assert picked == {"type": "incident", "id": number}
    tab.page.locator("twin-incident [data-action=accept]").click()
    until(lambda: tab.js("id => window.twin.incident(id).status", number) == "accepted", 5, "the move")
    assert tab.server.http.get(f"/incidents/{number}").json()["status"] == "accepted"
    until(lambda: "Accepted" in tab.page.inner_text("twin-incident .log"), 5, "the move in the history")


def test_a_move_made_elsewhere_is_shown_and_a_closed_incident_leaves_the_map(tab: Tab):
    body = {"title": "Lamp out", "level": 4, "lon": LON, "lat": LAT + 0.001}
    number = tab.server.http.post("/incidents", json=body, headers=tab.server.auth).json()["id"]
    until(lambda: tab.js("id => window.twin.incident(id)", number), 5, "the incident")
    pins = tab.js("window.twin.counts().pins")
    move = {"action": "void", "note": "a test"}
    done = tab.server.http.post(f"/incidents/{number}/actions", json=move, headers=tab.server.auth)
    assert done.status_code == 200, done.text
    until(lambda: tab.js("window.twin.counts().pins") == pins - 1, 5, "the pin's removal")
    assert tab.js("id => window.twin.incident(id).status", number) == "void"


def test_a_server_that_comes_back_is_followed_again_and_what_was_edited_meanwhile_is_drawn(
    tab: Tab, sensor: int
):
    tab.expected += ["ERR_"]
    there = places.building(tab.server, small=True)
    tab.look(there.lon, there.lat)
    port = str(urlsplit(tab.server.url).port)
    tab.server.stop()
    until(lambda: tab.page.locator(".live").get_attribute("data-live") == "false", 20, "the cut")
    store = geopackage.open(tab.server.folder / "city.gpkg")
    store.patch("buildings", there.fid, {"properties": {"use": "edited while it was down"}})
    store.close()
    again = Server.start(tab.server.folder, "--port", port)
    try:
        assert again.url == tab.server.url
        until(lambda: tab.page.locator(".live").get_attribute("data-live") == "true", 30, "the connection")
        small.observe(again, sensor, CLEAN, datetime.now(UTC))
        until(lambda: _state(tab, sensor) == "ok", 20, "the observation")
        until(
            lambda: (
                (tab.attributes(there.lon, there.lat, there.height) or {}).get("use")
                == "edited while it was down"
            ),
            30,
            "the edit in the picture",
        )
    finally:
        again.stop()

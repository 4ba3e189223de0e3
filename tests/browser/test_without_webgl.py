"""A browser without WebGL: lists and cards work, and the notice that says so covers nothing.

Cheap, as nothing is drawn: what is about the layout of the panels stands here too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import small
from tests.browser.conftest import Tab, new_tab, running_browser
from tests.support import Server, init, until


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without WebGL."""
    with running_browser("--disable-3d-apis") as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A city with one sensor in each state, and three incidents."""
    running = Server.start(init(tmp_path_factory.mktemp("blind") / "city"))
    for value in (small.CLEAN, *small.LEVELS):
        stream = small.sensor(running, f"at {value}", small.LON, small.LAT, simulated=True)
        small.observe(running, stream, value)
    for number in range(3):
        body = {"title": f"Case {number}", "level": 2, "lon": small.LON, "lat": small.LAT}
        assert running.http.post("/incidents", json=body, headers=running.auth).status_code == 201
    yield running
    running.stop()


@pytest.fixture(scope="module")
def tab(browser: Browser, server: Server) -> Iterator[Tab]:
    opened = new_tab(browser, server, viewport={"width": 1000, "height": 700})
    opened.expected += ["ERR_FAILED", "could not be loaded", "Failed to load"]
    opened.open("lang=en")
    yield opened
    opened.close()


def test_a_panel_whose_code_cannot_be_had_says_so_and_is_tried_again(tab: Tab):
    tab.js("window.twin.set({lang: 'zh-CN'})")
    tab.page.route("**/incident-list-*.js", lambda route: route.abort())
    tab.page.keyboard.press("i")
    message = tab.page.locator(".drawer.right .message")
    message.wait_for()
    assert "加载失败" in message.inner_text()
    tab.page.unroute("**/incident-list-*.js")
    tab.page.locator(".drawer.right .action").click()
    tab.page.locator("twin-incidents.drawer.right").wait_for()
    tab.js("window.twin.set({lang: 'en'})")


def test_the_notice_covers_nothing_and_takes_no_click(tab: Tab):
    """With list and card open, the form for a note is filled and sent by the mouse."""
    notice = tab.page.locator(".nogl")
    assert "no WebGL" in notice.inner_text()
    tab.page.locator("twin-incidents .incident").first.click()
    card = tab.page.locator("twin-incident")
    card.locator("[data-action=void]").click()
    card.locator("textarea").fill("no such thing")
    box = notice.bounding_box()
    assert box is not None
    # where the notice stands over a panel, the panel is on top of it
    covered = """box => {
        const found = [];
        for (let x = box.x + 2; x < box.x + box.width; x += 8)
            for (let y = box.y + 2; y < box.y + box.height; y += 8)
                found.push(document.elementFromPoint(x, y)?.closest('.nogl') !== null);
        return found.some(Boolean);
    }"""
    assert tab.js(covered, dict(box)) is False
    number = tab.js("window.twin.state().selection.id")
    card.locator("[data-action=confirm]").click(timeout=5000)
    until(lambda: tab.server.http.get(f"/incidents/{number}").json()["status"] == "void", 5, "the move")
    tab.js("window.twin.set({selection: null, right: null})")


def test_without_a_key_an_incident_says_who_may_move_it(browser: Browser, server: Server):
    tab = new_tab(browser, server)
    number = server.http.get("/incidents?open=true").json()["incidents"][0]["id"]
    tab.open(f"lang=en&s=incident:{number}", key=False)
    reason = tab.page.locator("twin-incident [data-why=right]")
    reason.wait_for()
    assert "by the link that has one" in reason.inner_text()
    tab.open(f"lang=en&s=incident:{number}")
    tab.page.locator("twin-incident [data-action=accept]").wait_for()
    assert tab.page.locator("twin-incident [data-why=right]").count() == 0
    tab.page.context.close()


@pytest.mark.parametrize("lang", ["zh-CN", "en"])
def test_the_strip_of_a_phone_shows_every_state_whole(tab: Tab, lang: str):
    """390 pixels: what is raised is counted by state, and nothing of it lies under the button or the edge."""
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.js("lang => window.twin.set({lang, left: null, right: null})", lang)
    states = tab.page.locator(".strip .counts [data-state]")
    until(lambda: tab.js("window.twin.counts().states.red") == 1, 10, "the sensors")
    stream = tab.server.http.get("/sta/v1.1/Datastreams?$top=1").json()["value"][0]["@iot.id"]
    small.observe(tab.server, stream, small.CLEAN)
    told = tab.page.locator(".strip .live")
    until(lambda: "·" in told.inner_text(), 10, "the time of the last value")
    shown = [states.nth(i) for i in range(states.count())]
    boxes = {one.get_attribute("data-state"): one.bounding_box() for one in shown if one.is_visible()}
    assert {"red", "orange", "yellow", "blue"} <= set(boxes)
    button = tab.page.locator(".strip .link").bounding_box()
    assert button is not None
    assert button["x"] + button["width"] <= 390
    for state, found in boxes.items():
        assert found is not None
        assert found["x"] >= 0, state
        assert found["x"] + found["width"] <= button["x"], state
    live = tab.js("(e => [e.scrollWidth, e.clientWidth])(document.querySelector('.strip .live'))")
    assert live[0] <= live[1]

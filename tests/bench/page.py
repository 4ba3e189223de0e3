"""The open page on a city of a million buildings: what a walk asks for, what holds it up, what it keeps.

Chromium with WebGL by the processor. Requests, bytes and memory tell; the length of a task is wall time on
whatever else the machine does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession

from tests.bench import afar
from tests.bench.metropolis import MIDDLE
from tests.bench.report import Row, at_most
from tests.browser.conftest import Tab, new_tab, running_browser
from tests.support import COLD, Server

#: What the browser calls a long task: more than 50 ms.
_TASKS = """window.longTasks = [];
new PerformanceObserver(list => list.getEntries().forEach(one => window.longTasks.push(one.duration)))
  .observe({type: 'longtask', buffered: true});"""
_STEP = """async ([views, wait]) => {
  for (const view of views) {
    twin.set({view});
    await new Promise(done => setTimeout(done, wait));
  }
}"""
#: Heights (m) of a zoom over eight levels.
HEIGHTS = [120_000 / 2**i for i in range(9)]
#: Requests: a page, its files and the tiles of one view; a zoom over eight levels.
OPENED, ZOOMED = 60, 24


@dataclass
class _Traffic:
    """Requests of a page as the browser's network layer tells them."""

    begun: int = 0
    let_go: int = 0
    bytes: int = 0
    ours: set[str] = field(default_factory=set)

    def listen(self, session: CDPSession) -> None:
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.loadingFailed", self._failed)
        session.send("Network.enable")

    def _sent(self, event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith("http"):
            self.begun += 1
            self.ours.add(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self.ours:
            self.bytes += int(event["encodedDataLength"])

    def _failed(self, event: dict[str, Any]) -> None:
        self.let_go += event["requestId"] in self.ours and bool(event.get("canceled"))


@dataclass
class _Walk:
    """One page, walked through in one mode."""

    tab: Tab
    mode: str
    session: CDPSession
    traffic: _Traffic = field(default_factory=_Traffic)

    def phase(self, name: str, act: Callable[[], None], most: int | None = None) -> Row:
        """Act, wait for the whole picture, and tell what it took."""
        begun, let_go, size = self.traffic.begun, self.traffic.let_go, self.traffic.bytes
        if name != "opened":
            self.tab.js("window.longTasks.length = 0")
        act()
        self.tab.ready()
        self.tab.page.wait_for_timeout(500)
        tasks: list[float] = self.tab.js("window.longTasks")
        self.session.send("HeapProfiler.collectGarbage")
        heap = self.session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        tiles = sum(one["bytes"] for one in self.tab.js("window.twin.tiles()")) / 1e6
        detail = (
            f"{self.traffic.let_go - let_go} let go, {(self.traffic.bytes - size) / 1e6:.1f} MB; "
            f"{sum(one > 100 for one in tasks)} tasks over 100 ms, the longest {max(tasks, default=0):.0f}; "
            f"heap {heap:.0f} MB, tiles {tiles:.0f} MB"
        )
        asked = self.traffic.begun - begun
        said = f"{self.mode.upper()}, {name}: requests"
        if most is None:
            return Row(said, str(asked), "stated", detail)
        return at_most(said, asked, most, detail, "")

    def rows(self) -> Iterator[Row]:
        lon, lat = MIDDLE
        pitch = -90 if self.mode == "2d" else -40
        link = f"v={lon},{lat},2500,0,{pitch}&m={self.mode}&lang=zh-CN"
        yield self.phase("opened", lambda: self.tab.open(link), OPENED)
        yield self.phase("ten pans", self._pan)
        away = [_view(lon + 0.02, lat + 0.01, height, pitch) for height in HEIGHTS]
        yield self.phase("far away", lambda: self._go(away[:1]))
        yield self.phase("a zoom over eight levels in", lambda: self._go(away), ZOOMED)
        yield self.phase("and out", lambda: self._go(away[::-1]), ZOOMED)
        if self.mode == "3d":
            flight = [
                _view(lon - 0.03 + 0.006 * i, lat - 0.02 + 0.003 * i, 800, -20, 30 * i) for i in range(12)
            ]
            yield self.phase("a flight", lambda: self._go(flight, 100))

    def _go(self, views: list[dict[str, float]], wait: int = 60) -> None:
        self.tab.js(_STEP, [views, wait])

    def _pan(self) -> None:
        mouse, size = self.tab.page.mouse, self.tab.page.viewport_size
        assert size is not None
        for _ in range(10):
            mouse.move(size["width"] * 0.6, size["height"] * 0.5)
            mouse.down()
            for step in range(6):
                mouse.move(size["width"] * (0.6 - 0.04 * step), size["height"] * 0.5)
                self.tab.page.wait_for_timeout(30)
            mouse.up()
            self.tab.page.wait_for_timeout(200)


def _view(lon: float, lat: float, height: float, pitch: float, heading: float = 0) -> dict[str, float]:
    return {"lon": lon, "lat": lat, "height": height, "heading": heading, "pitch": pitch}


def rows(folder: Path) -> Iterator[Row]:
    """The figures; the city lies in ``folder``, and what is there already is kept."""
    server = Server.start(afar.city(folder / "metropolis", afar.LARGE), clean=False, prefix=COLD)
    try:
        with running_browser() as browser:
            for mode in ("2d", "3d"):
                tab = new_tab(browser, server)
                tab.page.add_init_script(_TASKS)
                session = tab.page.context.new_cdp_session(tab.page)
                walk = _Walk(tab, mode, session)
                walk.traffic.listen(session)
                yield from walk.rows()
                tab.page.context.close()
    finally:
        server.stop()

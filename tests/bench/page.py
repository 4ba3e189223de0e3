"""The open page on a city of a million buildings: what a walk asks for, what holds it up, what it keeps.

Chromium with WebGL by the processor. Requests, bytes, memory and the CPU of a task tell; its length is wall
time on whatever else the machine does, most of it spent waiting for the picture, which another process draws.
"""

from __future__ import annotations

import json
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

#: What the browser notes of each task: its length, and the CPU of the page's thread in it.
_TRACED = ["toplevel"]
_TASK, _THREAD = "ThreadControllerImpl::RunTask", "CrRendererMain"
#: Milliseconds.
LONG = 100
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


@dataclass(frozen=True, slots=True)
class _Tasks:
    """What the page's thread did: milliseconds of each task, from its begin to its end and of CPU."""

    long: list[float]
    own: list[float]

    @classmethod
    def of(cls, trace: bytes) -> _Tasks:
        events: list[dict[str, Any]] = json.loads(trace)["traceEvents"]
        pages = {
            (one["pid"], one["tid"])
            for one in events
            if one["name"] == "thread_name" and one["args"]["name"] == _THREAD
        }
        whole = (one for one in events if one["name"] == _TASK and one["ph"] == "X")
        tasks = [one for one in whole if (one["pid"], one["tid"]) in pages]
        return cls([one["dur"] / 1000 for one in tasks], [one["tdur"] / 1000 for one in tasks])

    def said(self) -> str:
        long, own = (sum(one > LONG for one in each) for each in (self.long, self.own))
        return (
            f"{long} tasks over {LONG} ms, the longest {max(self.long):.0f}, {own} by their own work (CPU), "
            f"the most {max(self.own):.0f}"
        )


@dataclass
class _Walk:
    """One page, walked through in one mode."""

    tab: Tab
    mode: str
    session: CDPSession
    traffic: _Traffic = field(default_factory=_Traffic)
    spent: _Tasks = field(init=False)

    def phase(self, name: str, act: Callable[[], None], most: int | None = None) -> Row:
        """Act, wait for the whole picture, and tell what it took."""
        begun, let_go, size = self.traffic.begun, self.traffic.let_go, self.traffic.bytes
        self.spent = self._traced(act)
        self.session.send("HeapProfiler.collectGarbage")
        heap = self.session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        tiles = sum(one["bytes"] for one in self.tab.js("window.twin.tiles()")) / 1e6
        detail = (
            f"{self.traffic.let_go - let_go} let go, {(self.traffic.bytes - size) / 1e6:.1f} MB; "
            f"{self.spent.said()}; heap {heap:.0f} MB, tiles {tiles:.0f} MB"
        )
        asked = self.traffic.begun - begun
        said = f"{self.mode.upper()}, {name}: requests"
        if most is None:
            return Row(said, str(asked), "stated", detail)
        return at_most(said, asked, most, detail, "")

    def _traced(self, act: Callable[[], None]) -> _Tasks:
        browser = self.tab.page.context.browser
        assert browser is not None
        browser.start_tracing(page=self.tab.page, categories=_TRACED)
        act()
        self.tab.ready()
        self.tab.page.wait_for_timeout(500)
        return _Tasks.of(browser.stop_tracing())

    def rows(self) -> Iterator[Row]:
        lon, lat = MIDDLE
        pitch = -90 if self.mode == "2d" else -40
        link = f"v={lon},{lat},2500,0,{pitch}&m={self.mode}&lang=zh-CN"
        yield self.phase("opened", lambda: self.tab.open(link), OPENED)
        yield self.phase("ten pans", self._pan)
        name = f"{self.mode.upper()}, ten pans: work of the page in one task (CPU)"
        yield at_most(name, max(self.spent.own), LONG, "drawing is another process's", " ms")
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
                session = tab.page.context.new_cdp_session(tab.page)
                walk = _Walk(tab, mode, session)
                walk.traffic.listen(session)
                yield from walk.rows()
                tab.page.context.close()
    finally:
        server.stop()

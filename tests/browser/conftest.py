"""A real browser on a real server: Debian's Chromium with software WebGL, one page a module."""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.support import ROOT, Server, until

AXE = ROOT / "twin/web/app/node_modules/axe-core/axe.min.js"

#: WebGL by the processor on any machine, the rest of the picture put together without it, and no background
#: traffic of the browser's own. Mesa's renderer costs less than half of the browser's own.
#: Put together that way a wide picture lacks what the map draws in the lowest 48 rows of the window: one for
#: people to look at is taken without the last argument.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    *(
        ["--use-angle=gl-egl"]
        if ctypes.util.find_library("EGL_mesa")
        else ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    ),
    "--ignore-gpu-blocklist",
    "--disable-gpu-compositing",
]
#: What the browser says of having to copy the canvas for that.
COPYING = "GPU stall due to ReadPixels"
#: Of a shader that only picks Mesa drops the arrays, but lists them: the engine finds no element to set, sets
#: none, and WebGL complains of each draw until it complains of nothing any more.
SET_NOTHING = """{
  const set = WebGL2RenderingContext.prototype.uniform3fv;
  WebGL2RenderingContext.prototype.uniform3fv = function (place, ...values) {
    if (place) set.call(this, place, ...values);
  };
}"""
SIZE = {"width": 640, "height": 400}
#: Pixels of the screen for one of CSS: each costs the processor its shaders; the layout stays what it is.
SCALE = 0.5
READY_SECONDS = 120


def chromium() -> str | None:
    """The browser's path: $TWIN_CHROMIUM, else what the machine has."""
    named = os.environ.get("TWIN_CHROMIUM")
    return (
        named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    )


@dataclass
class Tab:
    """An open page, with everything it asked for and complained about."""

    page: Page
    server: Server
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    #: Complaints that a test provokes on purpose contain one of these.
    expected: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Note requests that leave this machine, console errors and uncaught exceptions."""
        self.page.on("request", self._asked)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught {error}"))
        self.page.on("response", self._answered)

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.hostname != "127.0.0.1":
            self.foreign.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and COPYING not in message.text:
            self.complaints.append(f"{message.type} {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")

    def unexpected(self) -> list[str]:
        """Complaints that no test asked for."""
        return [c for c in self.complaints if not any(part in c for part in self.expected)]

    def close(self) -> None:
        """End it: it has asked nobody else, and complained of nothing that no test asked for."""
        foreign, complaints = self.foreign, self.unexpected()
        self.page.context.close()
        assert foreign == []
        assert complaints == []

    def open(self, fragment: str = "", *, key: bool = True) -> None:
        """Load the page afresh and wait for its first whole picture."""
        self.page.goto("about:blank")
        secret = f"key={self.server.key}&" if key else ""
        self.page.goto(f"{self.server.url}/#{secret}{fragment}")
        until(lambda: self.js("!!window.twin"), 60, "the page's start")
        self.ready()

    def js(self, expression: str, argument: Any = None) -> Any:
        """The value of an expression in the page."""
        return self.page.evaluate(expression, argument)

    def violations(self) -> list[str]:
        """What axe-core finds wrong in the page as it stands: each rule, and the first element."""
        self.js(AXE.read_text("utf-8"))
        found: list[str] = self.js(
            "axe.run(document, {resultTypes: ['violations']})"
            ".then(({violations}) => violations.map(v => `${v.id}: ${v.nodes[0].html}`))"
        )
        return found

    def ready(self) -> None:
        """Wait until the view is drawn whole."""
        self.js("ms => window.twin.ready(ms)", READY_SECONDS * 1000)

    def look(self, lon: float, lat: float, height: float = 350, pitch: float = -60, **state: Any) -> None:
        """Look at a place from that far; other parts of the state may be given too."""
        view = {"lon": lon, "lat": lat, "height": height, "heading": 0, "pitch": pitch}
        self.js("patch => window.twin.set(patch)", {"view": view, **state})
        self.ready()

    def pick(self, lon: float, lat: float, height: float = 0) -> Any:
        """What a click at that place selects."""
        return self.js("([lon, lat, h]) => window.twin.pick(lon, lat, h)", [lon, lat, height])

    def attributes(self, lon: float, lat: float, height: float = 0) -> Any:
        """What the drawn feature there carries."""
        return self.js("([lon, lat, h]) => window.twin.attributes(lon, lat, h)", [lon, lat, height])

    def swaps(self, layer: str, form: str) -> int:
        """Tiles exchanged so far."""
        return int(
            self.js(
                "([l, f]) => window.twin.tiles().find(t => t.layer === l && t.form === f).swaps",
                [layer, form],
            )
        )


def feature(layer: str, fid: int) -> dict[str, object]:
    """The selection of a feature, as the page writes it."""
    return {"type": "feature", "layer": layer, "fid": fid}


@contextlib.contextmanager
def running_browser(*more: str) -> Iterator[Browser]:
    """A browser, with more arguments."""
    path = chromium()
    if path is None or not Path(path).exists():
        pytest.skip("Chromium is absent: make deps installs it (or set TWIN_CHROMIUM)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, headless=True, args=[*ARGUMENTS, *more])
        yield running
        running.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a module: while it runs, Playwright's event loop is the thread's, and no test could
    have one of its own; starting it takes less than a second."""
    with running_browser() as running:
        yield running


def new_tab(browser: Browser, server: Server, **options: Any) -> Tab:
    """A page of its own context; motion is reduced so that flights are jumps."""
    settings = {
        "viewport": SIZE,
        "device_scale_factor": SCALE,
        "reduced_motion": "reduce",
        "locale": "en-GB",
        **options,
    }
    context = browser.new_context(**settings)
    context.set_default_timeout(60_000)
    tab = Tab(context.new_page(), server)
    tab.page.add_init_script(SET_NOTHING)
    tab.listen()
    return tab


@pytest.fixture(scope="module")
def opening() -> str:
    """The link by which the page of a module is opened: the whole city, where the module does not say what
    it looks at. Each layer costs the processor its requests, buffers and draws."""
    return ""


@pytest.fixture(scope="module")
def tab(browser: Browser, server: Server, opening: str) -> Iterator[Tab]:
    """One open page a module; at its end it has asked nobody else and complained of nothing."""
    opened = new_tab(browser, server)
    opened.open(opening)
    yield opened
    opened.close()

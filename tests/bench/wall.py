"""What a person waits for, and the dearest tile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.report import Row, at_most
from tests.support import COLD, ROOT, Server


def start_to_ready(city: Path) -> Row:
    """Start of the loaded city to ready, wall."""
    started = time.perf_counter()
    server = Server.start(city, prefix=COLD)
    seconds = time.perf_counter() - started
    server.stop()
    return Row("start of the loaded city to ready (wall)", f"{seconds:.2f} s", "≤ 3 s", "", seconds <= 3)


def densest_scene_tile(city: Path) -> Row:
    """The largest 3D tile of the city, built from the store with nothing cached."""
    from layers.store import geopackage
    from tiles.service import Tiles

    store = geopackage.open(city / "city.gpkg")
    try:
        scenes = Tiles(store, city / "derived")
        sizes = {key: len(scenes.glb(*key).plain()) for key in _nodes(scenes)}
        densest = max(sizes, key=lambda key: sizes[key])
        spent = []
        for _ in range(5):
            fresh = Tiles(store, city / "derived")
            fresh.tileset(densest[0])
            fresh.glb_etag(*densest)
            before = time.process_time()
            fresh.glb(*densest)
            spent.append((time.process_time() - before) * 1000)
    finally:
        store.close()
    name = "/".join(map(str, densest))
    detail = f"{name}, {sizes[densest]} bytes"
    return at_most("cold densest 3D tile (CPU)", min(spent), 30, detail, " ms")


def _nodes(scenes: object) -> Iterator[tuple[str, int, int, int]]:
    for layer in ("buildings", "building_parts", "pipelines"):
        waiting = [json.loads(scenes.tileset(layer).plain())["root"]]  # type: ignore[attr-defined]
        while waiting:
            node = waiting.pop()
            waiting += node.get("children", [])
            if "content" in node and not node["content"]["uri"].startswith("blocks/"):
                z, x, y = node["content"]["uri"].removesuffix(".glb").split("/")[-3:]
                yield layer, int(z), int(x), int(y)


def demo_to_page(folder: Path) -> Row:
    """``twin demo`` on a loaded city to the page drawn in the browser, wall."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import ARGUMENTS, chromium

    command = [sys.executable, "-m", "twin", "demo", "--port", "0", "--dir", str(folder)]
    _demo_address(command).send_signal(signal.SIGINT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 960, "height": 600})
        started = time.perf_counter()
        process = _demo_address(command)
        page.goto(process.address)  # type: ignore[attr-defined]
        page.wait_for_function("() => window.twin", timeout=60_000)
        shown = time.perf_counter() - started
        page.evaluate("window.twin.ready(150000)")
        seconds = time.perf_counter() - started
        browser.close()
        process.send_signal(signal.SIGINT)
        process.wait(20)
    name = "make demo on a warm cache to the page ready (wall)"
    detail = f"the page's program runs at {shown:.1f} s; the rest is software WebGL drawing every tile"
    return Row(name, f"{seconds:.1f} s", "stated", detail)


def _demo_address(command: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "/#key=" in line:
            process.address = line.split()[-1]  # type: ignore[attr-defined]
            return process
    raise RuntimeError("twin demo did not start")

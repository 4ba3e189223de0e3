"""Pictures of a city on the real page, from above at each zoom: those of docs/far-views.md.

``python -m tests.bench.pictures CITY OUT [ZOOM …]`` writes ``OUT/zoom-Z.webp``; ``--layers``, ``--at``
and ``--lang`` say what is looked at. The city is served from its folder, so nobody else may have it open.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.bench.metropolis import MIDDLE
from tests.browser.conftest import ARGUMENTS, SET_NOTHING, Tab, chromium
from tests.support import Server

WIDE, HIGH = 840, 600
ZOOMS = range(4, 19)
#: Bytes of a picture.
MOST = 110_000
#: Metres of a pixel of zoom 0 on the equator, where a tile has 512.
_PIXEL = 78_271.517
#: Half the angle that the page's camera sees across.
_HALF = math.radians(30)
#: The page itself says when a view is whole; names stand when the camera has rested.
READY_MS, REST_MS = 180_000, 2_500


def height(zoom: float, lat: float) -> float:
    """Metres over the ground from which a pixel of the picture is one of a zoom's tiles."""
    return WIDE * _PIXEL * math.cos(math.radians(lat)) / 2**zoom / (2 * math.tan(_HALF))


def taken(
    city: Path, zooms: Sequence[float], layers: str, at: tuple[float, float], lang: str = "zh-CN"
) -> Iterator[tuple[float, Image.Image]]:
    """The picture of each zoom: what the map shows, with nothing over it that is not on the map."""
    lon, lat = at
    server = Server.start(city)
    try:
        with sync_playwright() as playwright:
            # a picture for people: the browser's own compositor, or its lowest rows are missing
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS[:-1])
            page = browser.new_page(
                viewport={"width": WIDE, "height": HIGH}, reduced_motion="reduce", locale=lang
            )
            page.add_init_script(SET_NOTHING)
            tab = Tab(page, server)
            view = f"{lon},{lat},{height(zooms[0], lat):.0f},0,-90"
            page.goto(f"{server.url}/#v={view}&m=2d&l={layers}&lang={lang}", timeout=READY_MS)
            page.wait_for_function("!!window.twin", timeout=READY_MS)
            for zoom in zooms:
                where = {"lon": lon, "lat": lat, "height": height(zoom, lat), "heading": 0, "pitch": -90}
                tab.js("view => window.twin.set({view})", where)
                page.wait_for_timeout(500)
                tab.js("ms => window.twin.ready(ms)", READY_MS)
                page.wait_for_timeout(REST_MS)
                tab.js("ms => window.twin.ready(ms)", READY_MS)
                yield zoom, Image.open(io.BytesIO(page.screenshot(timeout=READY_MS))).convert("RGB")
            browser.close()
    finally:
        server.kill()


def packed(picture: Image.Image, most: int = MOST) -> bytes:
    """A WebP of at most so many bytes, as good as that allows."""
    for quality in range(82, 10, -6):
        written = io.BytesIO()
        picture.save(written, "WEBP", quality=quality, method=6)
        if written.tell() <= most:
            break
    return written.getvalue()


def main() -> None:
    """Take the pictures that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pictures", description=__doc__)
    parser.add_argument("city", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("zooms", nargs="*", type=float, default=list(ZOOMS))
    parser.add_argument("--layers", default="buildings,addresses,pipes")
    parser.add_argument("--at", default=",".join(map(str, MIDDLE)))
    parser.add_argument("--lang", default="zh-CN")
    asked = parser.parse_args()
    lon, lat = (float(part) for part in asked.at.split(","))
    asked.out.mkdir(parents=True, exist_ok=True)
    for zoom, picture in taken(asked.city, asked.zooms, asked.layers, (lon, lat), asked.lang):
        file = asked.out / f"zoom-{zoom:g}.webp"
        file.write_bytes(packed(picture))
        print(f"{file}: {file.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()

"""The rasters of the tests, and their server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import rasters
from tests.conformance.rasters.outside import (
    Site,
)
from tests.support import Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    city = tmp_path_factory.mktemp("rasters")
    (city / "city.yml").write_text("title: {en: Rasters}\n")
    rasters.write(city / "rasters/dem.tif")
    rasters.record(city, "dem", "rasters/dem.tif", form="surface")
    for year in (2020, 2024):
        bands = [np.full((200, 300), year % 100 + n, np.uint8) for n in (0, 50, 100)]
        names = ("red", "green", "blue")
        rasters.write(city / f"rasters/{year}.tif", bands, nodata=None, names=names, units=[""] * 3)
    rasters.record(city, "photo", ("rasters/2020.tif", "2020-06-01"), ("rasters/2024.tif", "2024-06-01"))
    return city


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    running = Server.start(folder)
    seen = Site(running)
    yield seen
    seen.close()
    running.stop()

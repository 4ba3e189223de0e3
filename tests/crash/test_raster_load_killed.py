"""A load of a raster that is killed: no process goes on, and the next load removes what was written."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from tests import launcher
from tests.raster_sources import hills, write
from tests.support import twin, until


def test_a_killed_load_leaves_nothing_for_long(tmp_path: Path) -> None:
    city = tmp_path / "city"
    twin("init", str(city))
    large = write(tmp_path / "large.tif", hills(6000, 6000))
    process = launcher.start(["load", str(large), "--as", "large", "--city", str(city)])
    rasters = city / "rasters"
    until(lambda: rasters.is_dir() and any(rasters.glob(".coming-*/cells.tif")))
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(started, 10)
    assert not [one for one in started if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert any(rasters.iterdir())
    small = write(tmp_path / "small.tif", hills())
    twin("load", str(small), "--as", "small", "--city", str(city))
    assert [each.name[:6] for each in rasters.iterdir()] == ["small-"]

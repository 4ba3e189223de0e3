"""What it costs to take a raster in, against ``rio cogeo``."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bench.imagery import photo
from tests.bench.report import Row
from tests.raster_sources import write
from tests.support import init

#: Cells a side, and how often each command is run, in turns.
SIDE, TURNS = 5000, 3
_LEAST = 0.7
_OURS = (sys.executable, "-m", "twin", "load")
_PEER = (str(Path(sys.executable).with_name("rio")), "cogeo", "create", "--quiet")
_WEB = ("--web-optimized", "--resampling", "bilinear", "--overview-resampling", "average", "--add-mask")


def rows(folder: Path) -> Iterator[Row]:
    """CPU of the whole commands: of a relief, whose values stay as they are, and of a photo, which is laid
    into the tiles of the web map."""
    folder.mkdir(parents=True)
    city = folder / "city"
    init(city)
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    hills = 175 + 120 * np.sin(x / 300) * np.cos(y / 220) + 25 * np.sin((x + y) / 31)
    relief = (hills + rng.normal(0, 0.05, hills.shape)).astype(np.float32)
    cases: Sequence[tuple[str, NDArray[np.generic], Sequence[str]]] = (
        ("relief", relief, ("--overview-resampling", "average")),
        ("photo", photo(hills, rng), _WEB),
    )
    for name, cells, options in cases:
        source = write(folder / f"{name}.tif", cells)
        load = (*_OURS, str(source), "--as", name, "--replace", "--city", str(city))
        create = (*_PEER, str(source), str(folder / "peer.tif"), *options)
        spent: tuple[list[float], list[float]] = ([], [])
        for _ in range(TURNS):
            for command, into in zip((load, create), spent, strict=True):
                into.append(_cpu(command))
        ours, theirs = min(spent[0]), min(spent[1])
        ratio = theirs / ours
        detail = f"{SIDE} cells a side: {ours:.1f} s, rio cogeo {theirs:.1f} s"
        told = f"a COG made of a {name}: CPU of rio cogeo to that of twin load"
        yield Row(told, f"{ratio:.2f} ×", f"≥ {_LEAST:g} ×", detail, ratio >= _LEAST)
    shutil.rmtree(folder)


def _cpu(command: Sequence[str]) -> float:
    """Seconds of CPU that a command takes with all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

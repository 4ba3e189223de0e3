"""A city with millions of features and of observations is started, and asked at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import sensing
from tests.bench.measure import cpu_ns
from tests.bench.report import Row, at_most
from tests.support import COLD, Server
from tiles import scheme

SENSORS, EACH = 20_000, 500
#: How often it is started; the first start finds what the copy of the city lacks, and is not counted.
STARTS = 4
#: Zooms whose first tile is asked for.
ZOOMS = (0, 4, 8, 10, 12, 14, 16)
#: Seconds without work from which a server has done what it does after a start.
QUIET = 1.5


def rows(city: Path, features: int, layers: Sequence[str], middle: tuple[float, float]) -> Iterator[Row]:
    """The figures of a city, which gets sensors; ``middle`` (degrees) is a place in it."""
    if not (city / "live.gpkg").exists():
        sensing.fill(city, SENSORS)
        sensing.older(city, SENSORS, EACH)
    waited, first, background = [], [], []
    prefix = *COLD, f"PYTHONPATH={_without_pandas(city.parent)}"
    for number in range(STARTS):
        began = time.perf_counter()
        server = Server.start(city, prefix=prefix)
        ready = time.perf_counter() - began
        try:
            spent = _asked(server, layers, middle)
            before = cpu_ns(server.process.pid)
            _quiet(server)
            after = (cpu_ns(server.process.pid) - before) / 1e9
        finally:
            server.stop()
        if number:
            waited.append(ready)
            first.append(spent)
            background.append(after)
    said = f"{features:,} features, {SENSORS * (EACH + 1):,} observations of {SENSORS:,} sensors"
    detail = f"median of {len(waited)}; {max(waited):.2f} s at most"
    yield at_most(f"start to ready (wall): {said}", statistics.median(waited), 3, detail, " s")
    detail = f"all {len(layers)} layers; afterwards in the background {statistics.median(background):.2f} s"
    name = "from then on, until a tile of each of seven zooms and a 3D node are there (CPU)"
    yield at_most(name, statistics.median(first), 0.3 * len(layers), detail, " s")


def _without_pandas(folder: Path) -> Path:
    """What hides pandas from a server as users install it: pyarrow reads it with the first list that it is
    given, a second of CPU."""
    place = folder / "without"
    place.mkdir(exist_ok=True)
    (place / "pandas.py").write_text("raise ImportError")
    return place


def _asked(server: Server, layers: Sequence[str], middle: tuple[float, float]) -> float:
    before = cpu_ns(server.process.pid)
    x, y = (float(each) for each in scheme.world(*middle))  # type: ignore[arg-type]
    for z in ZOOMS:
        at = f"{z}/{int(x * 2**z)}/{int(y * 2**z)}"
        assert server.http.get(f"/tiles/{','.join(layers)}/{at}.mvt").status_code == 200
    at = f"16/{int(x * 2**16)}/{int(y * 2**16)}"
    assert server.http.get(f"/3dtiles/buildings/{at}.glb").status_code == 200
    return (cpu_ns(server.process.pid) - before) / 1e9


def _quiet(server: Server) -> None:
    """Wait until it does nothing."""
    spent = -1
    while (now := cpu_ns(server.process.pid)) - spent > 20_000_000:
        spent = now
        time.sleep(QUIET)

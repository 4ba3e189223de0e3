"""Files of a city loaded into a GeoPackage, and ``ogr2ogr`` writing the same file as one.

CPU of all processes of a load, the reader's among them; the peer reads and writes in one process, keeps no
history, has no GeoJSON beside its rows and checks nothing.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.report import Row, at_most

PEER = "ogr2ogr"
#: Of the peer's speed ours is to be so much, by kind.
GOALS = {"address": 0.7, "building": 0.5}
MEMORY_MB = 600


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a load with its reader, and the most memory (MB) of its process."""

    cpu: float
    peak: float


def rows(folder: Path, small: int, large: int) -> Iterator[Row]:
    """Loads of so many rows of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    peer = shutil.which(PEER)
    for kind, goal in GOALS.items():
        costs = {count: _cost(_file(folder, kind, count), kind, folder / "city") for count in (small, large)}
        few, many = costs[small], costs[large]
        told = f"{many.cpu:.1f} s of CPU"
        if peer is None:
            yield Row(f"loading {large:,} of kind {kind}", told, f"≥ {goal} × {PEER}", f"without {PEER}")
        else:
            theirs = _peer(peer, _file(folder, kind, large), folder)
            ratio, version = theirs / many.cpu, _version(peer)
            detail = f"{told}, {PEER} {theirs:.1f} s ({version})"
            name = f"loading {large:,} of kind {kind}: speed to {PEER}"
            yield Row(name, f"{ratio:.2f} ×", f"≥ {goal} ×", detail, ratio >= goal)
        detail = f"of {small:,} {few.peak:.0f} MB"
        yield at_most(f"loading {large:,} of kind {kind}: memory", many.peak, MEMORY_MB, detail, " MB")


def _file(folder: Path, kind: str, count: int) -> Path:
    """A file of so many rows, made once, in a process of its own: it loads GDAL."""
    file = folder / f"{kind}-{count}.fgb"
    if not file.exists():
        subprocess.run(
            [sys.executable, "-m", "tests.bench.loads", "make", kind, str(count), file], check=True
        )
    return file


def _cost(file: Path, kind: str, city: Path) -> Cost:
    shutil.rmtree(city, ignore_errors=True)
    city.mkdir()
    command = [sys.executable, "-m", "tests.bench.loads", "load", kind, str(file), str(city)]
    before = _children()
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    shutil.rmtree(city)
    return Cost(_children() - before - told["start"], told["peak"])


def _peer(program: str, file: Path, folder: Path) -> float:
    out = folder / "peer.gpkg"
    out.unlink(missing_ok=True)
    before = _children()
    subprocess.run([program, "-f", "GPKG", str(out), str(file)], check=True)
    out.unlink()
    return _children() - before


def _version(program: str) -> str:
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return told.split(",")[0]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _load(kind: str, file: Path, city: Path) -> None:
    from layers import load
    from layers.read import warm
    from layers.source import Declared
    from layers.store import geopackage

    start = sum(os.times()[:2])
    store = geopackage.open(city / "city.gpkg")
    load.run(store, file, Declared(kind=kind), layer_id="loaded")
    store.close()
    warm.READER.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"start": start, "peak": peak}))


def _make(kind: str, count: int, file: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyogrio
    import shapely

    random = np.random.default_rng(7)
    at = np.array([120.0, 30.0]) + random.random((count, 2)) * 0.4 * np.sqrt(count / 1e6)
    street = random.integers(0, 5000, count)
    if kind == "address":
        shapes, family = shapely.points(at), "Point"
        numbers = random.integers(1, 999, count)
        columns = {
            "id": [f"A{i:09}" for i in range(count)],
            "street": [f"解放路{k}段" if k % 3 else f"Main Street {k}" for k in street.tolist()],
            "housenumber": [str(k) for k in numbers.tolist()],
            "unit": [None if k % 3 else f"{k}室" for k in numbers.tolist()],
            "postcode": [str(310_000 + k % 900) for k in street.tolist()],
            "city": ["杭州市" if k % 3 else "Hangzhou" for k in street.tolist()],
        }
    else:
        shapes, family = shapely.buffer(shapely.points(at), 1e-4, quad_segs=2), "Polygon"
        heights = np.round(3 + random.random(count) ** 3 * 90, 1)
        uses = ("residential", "office", "retail", "industrial", "school", None)
        columns = {
            "id": [f"B{i:09}" for i in range(count)],
            "name": [None if i % 10 else f"楼{i}" for i in range(count)],
            "height": [
                None if k % 3 == 0 else h for h, k in zip(heights.tolist(), street.tolist(), strict=True)
            ],
            "levels": [None if k % 5 == 0 else k % 30 for k in street.tolist()],
            "building": [uses[k % 6] for k in street.tolist()],
            "built": [1950 + k % 75 for k in street.tolist()],
        }
    table = pa.table({**columns, "geometry": pa.array(list(shapely.to_wkb(shapes)), pa.binary())})
    written = {"geometry_name": "geometry", "geometry_type": family, "crs": "EPSG:4326"}
    pyogrio.write_arrow(table, file, driver="FlatGeobuf", layer=kind, **written)


if __name__ == "__main__":
    verb, given, *others = sys.argv[1:]
    if verb == "make":
        _make(given, int(others[0]), Path(others[1]))
    else:
        _load(given, Path(others[0]), Path(others[1]))

"""``make bench``: every figure of docs/benchmarks.md, measured in one run and written there.

Figures are CPU of the server's process a request, as ratios between processes that take turns
within the run; wall time appears only where a person waits.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.bench import figures
from tests.support import HELSINKI, ROOT, Server, twin

REPORT = ROOT / "docs" / "benchmarks.md"
LIBRARIES = ("uvicorn", "pygeoapi", "numpy", "shapely", "pyogrio", "orjson", "isal")


@dataclass(frozen=True, slots=True)
class Process:
    """A helper server: its process and address."""

    pid: int
    url: str


@contextmanager
def running(module: str, *arguments: str) -> Iterator[Process]:
    """A helper server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " at " not in line:
            raise RuntimeError(f"{module} did not start")
        yield Process(process.pid, line.split(" at ")[1].strip().rstrip("/"))
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    """Measure, print, write the report."""
    with tempfile.TemporaryDirectory() as temporary:
        city = Path(temporary) / "helsinki"
        twin("init", str(city))
        shutil.copy(HELSINKI / "city.yml", city / "city.yml")
        twin("load", "--manifest", str(HELSINKI / "load.yml"), "--city", str(city))
        rows: list[figures.Row] = []
        started = time.perf_counter()
        server = Server.start(city)
        rows.append(figures.start_to_ready(time.perf_counter() - started))
        copy = Path(temporary) / "copy"
        try:
            with (
                running("tests.bench.floor") as floor,
                running("tests.bench.pygeoapi_path", str(_copied(city, copy))) as peer,
            ):
                us = Process(server.process.pid, server.url)
                for measure in figures.HTTP:
                    _tell(rows, measure, us, floor, peer)
            for row in figures.observations(server):
                _add(rows, row)
        finally:
            server.stop()
        _add(rows, figures.densest_scene_tile(copy))
        _add(rows, figures.demo_to_page(Path(temporary) / "demo"))
    REPORT.write_text(report(rows), "utf-8")
    print(f"\nwritten to {REPORT.relative_to(ROOT)}")


def _copied(city: Path, copy: Path) -> Path:
    """The peer reads a copy: two servers never share a city folder."""
    shutil.copytree(city, copy, ignore=shutil.ignore_patterns("city.lock"))
    return copy


def _tell(
    rows: list[figures.Row],
    measure: Callable[..., Iterator[figures.Row]],
    us: Process,
    floor: Process,
    peer: Process,
) -> None:
    for row in measure(us, floor, peer):
        _add(rows, row)


def _add(rows: list[figures.Row], row: figures.Row) -> None:
    rows.append(row)
    print(f"{row.name:62} {row.value:>14}   goal {row.goal}", flush=True)


def report(rows: list[figures.Row]) -> str:
    """The page that the figures are read on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; every figure below was measured in one run on the loaded Helsinki city.",
        "Ratios compare the CPU of server processes that took turns, the median of nine turns; the floor is",
        "the same HTTP server answering constant bytes of the same length; the peer is pygeoapi's own items",
        "path over our store behind the same HTTP server. CPU comes from the scheduler statistics.",
        "",
        f"Python {platform.python_version()}, {libraries}; Linux, {_cores()} cores.",
        "",
        "| figure | measured | goal | absolute |",
        "|---|---|---|---|",
    ]
    lines += [f"| {row.name} | {row.value} | {row.goal} | {row.detail} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()

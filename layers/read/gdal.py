"""Reading and listing by a GDAL driver. GDAL itself loads at the first call: not before its other drivers
are switched off."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from layers.read.base import ReadOptions, Sink
from layers.source import SourceLayer


def reading(driver: str) -> Callable[[Path, ReadOptions, Sink], None]:
    """The ``read`` of a format that needs nothing but its driver."""

    def read(path: Path, options: ReadOptions, sink: Sink) -> None:
        from layers.read import vector

        vector.read(path, options, sink, driver)

    return read


def listing(driver: str) -> Callable[[Path, ReadOptions], list[SourceLayer]]:
    """The ``layers`` of a format that a driver reads."""

    def layers(path: Path, options: ReadOptions) -> list[SourceLayer]:
        from layers.read import vector

        return vector.layers(path, driver)

    return layers


def in_fork(drivers: Callable[[], Iterable[str]]) -> frozenset[str]:
    """What a list of drivers says in a fork of this process, where GDAL is not loaded after it as before."""
    end, start = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(end)
            with open(start, "w") as out:
                out.write("\n".join(drivers()))
        finally:
            os._exit(0)
    os.close(start)
    with open(end) as listed:
        known = frozenset(listed.read().splitlines())
    os.waitpid(pid, 0)
    return known

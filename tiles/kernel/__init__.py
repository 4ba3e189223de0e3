"""The compiled kernel: encoding of vector tiles, lines of far views and triangles of footprints, where it is
built.

It is never needed: :mod:`tiles.vector.encode`, :mod:`tiles.levels.segments` and :mod:`tiles.mesh.triangles`
do the same by numpy."""

from __future__ import annotations

import importlib
import logging
import os
from functools import cache
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from tiles.kernel import build

log = logging.getLogger("tiles")

#: With 0 in this variable of the environment nothing compiled is used.
SWITCH = "TWIN_KERNEL"

type Array = NDArray[Any]
#: dims uint8 (or None), parts int64, coords int64, outer uint8, xy float64 of :class:`tiles.batch.Batch`.
type Shapes = tuple[Array | None, Array, Array, Array, Array]
#: A name, codes int32, and the blob uint8 and offsets int64 of its :class:`tiles.dictionary.Values`.
type Property = tuple[bytes, Array, Array, Array]
#: Rows inside their clip box, across its edge, and of those polygons that may come apart there, int64.
type Split = tuple[Array, Array, Array]
#: Tile units of a world unit, and of the tile's corner; its side; margins of points, lines and polygons.
type Tile = tuple[float, float, float, float, tuple[float, float, float]]


class Kernel(Protocol):
    """What module.c has. Arrays are contiguous. Raises ValueError for those that do not fit together."""

    SOURCES: int

    def layer(
        self,
        name: bytes,
        fids: Array,
        shapes: Shapes,
        rows: Split,
        cut: Shapes,
        properties: tuple[Property, ...],
        tile: Tile,
        /,
    ) -> bytes:
        """The message of a layer of these rows, where polygons that may come apart are ``cut`` already, in
        tile units; of no bytes where nothing is drawn."""

    def split(
        self, shapes: Shapes, boxes: Array, rows: Array, to: Split, tile: Tile, /
    ) -> tuple[int, int, int]:
        """Writes rows to where they belong, each with room for all; how many of each."""

    def triangles(
        self, xy: Array, coords: Array, outer: Array, triangles: Array, left: Array, /
    ) -> tuple[int, int]:
        """Writes triangles (m, 3) of polygons, and to ``left`` (p,) the exteriors of those that are for
        another way; how many of each."""

    def lines(
        self, keys: Array, whose: Array, corners: Array, feature: Array, offsets: Array, xy: Array, /
    ) -> tuple[int, int]:
        """Writes the lines of segments (n,) as :func:`tiles.levels.segments.paths` has them: the feature
        (room for n) and the offsets (n + 1) of lines, and places (2 n, 2); how many lines and places."""


@cache
def compiled() -> Kernel | None:
    """The compiled kernel; None where it is switched off, not built, built of other sources, or cannot be
    loaded, which is told once."""
    if os.environ.get(SWITCH) == "0":
        return None
    try:
        module = importlib.import_module("tiles.kernel._kernel")
    except ModuleNotFoundError:
        log.info("the kernel is not built: numpy does its work")
        return None
    except ImportError as error:
        log.warning("the kernel cannot be loaded, numpy does its work: %s", error)
        return None
    sources = build.checksum()
    if sources and sources != module.SOURCES:
        log.warning("the kernel is built of other sources, numpy does its work: run make env")
        return None
    return cast(Kernel, module)

"""Implicit tiling (OGC 22-025r4, clause 7): which contents there are, by the availability in subtrees."""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layers.errors import BadFile, shown
from layers.read.tileset.files import plain, resolved, there

_HEAD = struct.Struct("<4sIQQ")
#: Levels, and those of a subtree times its axes: so many bits say which subtrees lie below it.
_MOST_LEVELS, _MOST_BITS = 32, 24
#: Bytes of a subtree and of its buffers, and subtrees that wait to be read.
_LIMIT, _MOST_WAITING = 64 << 20, 1_000_000


@dataclass(frozen=True, slots=True)
class Tiling:
    """The ``implicitTiling`` of a tile, and the templates of its contents."""

    axes: int
    levels: int
    subtree_levels: int
    subtrees: str
    contents: tuple[str, ...]

    @classmethod
    def of(cls, raw: Mapping[str, Any], contents: tuple[str, ...]) -> Tiling:
        """Raises BadFile tileset.damaged."""
        try:
            axes = {"QUADTREE": 2, "OCTREE": 3}[raw["subdivisionScheme"]]
            # 3DTILES_implicit_tiling counts from the last level, 1.1 counts levels
            levels = int(raw["availableLevels"] if "availableLevels" in raw else raw["maximumLevel"] + 1)
            made = cls(axes, levels, int(raw["subtreeLevels"]), raw["subtrees"]["uri"], contents)
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile("tileset.damaged", f"an implicitTiling is not whole ({shown(error)})") from error
        if not 1 <= made.levels <= _MOST_LEVELS or not 1 <= made.subtree_levels <= _MOST_BITS // axes:
            reason = f"an implicitTiling has {made.levels} levels, {made.subtree_levels} of them in a subtree"
            most = f"{_MOST_LEVELS} and {_MOST_BITS // axes} at most are read"
            raise BadFile("tileset.damaged", f"{reason}; {most}")
        return made


type Place = tuple[int, ...]


def _filled(template: str, level: int, place: Place) -> str:
    for name, value in zip(("{level}", "{x}", "{y}", "{z}"), (level, *place), strict=False):
        template = template.replace(name, str(value))
    return template


def contents(
    tiling: Tiling, document: str, root: Path, used: Callable[[str], None], missing: Callable[[str], None]
) -> Iterator[str]:
    """The path of every content; ``used`` is told every file of subtrees, ``missing`` those that are
    not there. Raises BadFile tileset.damaged, tileset.outside, tileset.cycle, limit.tiles."""
    waiting: list[tuple[int, Place]] = [(0, (0,) * tiling.axes)]
    seen: set[str] = set()
    while waiting:
        level, place = waiting.pop()
        path = resolved(_filled(tiling.subtrees, level, place), document)
        if path in seen:
            raise BadFile("tileset.cycle", f"the subtree {shown(path)} stands in two places")
        seen.add(path)
        if not there(root, path):
            missing(path)
            continue
        used(path)
        subtree = _Subtree(root, path, tiling, used)
        for below, local, number in subtree.contents():
            whole = tuple((p << below) + q for p, q in zip(place, local, strict=True))
            yield resolved(_filled(tiling.contents[number], level + below, whole), document)
        next_level = level + tiling.subtree_levels
        if next_level < tiling.levels:
            for local in subtree.children():
                step = tiling.subtree_levels
                waiting.append(
                    (next_level, tuple((p << step) + q for p, q in zip(place, local, strict=True)))
                )
                if len(waiting) > _MOST_WAITING:
                    raise BadFile(
                        "limit.tiles", f"more than {_MOST_WAITING} subtrees lie below {shown(path)}"
                    )


def _place(code: int, axes: int) -> Place:
    """The place of a Morton code (7.4.2)."""
    bits = range(-(-code.bit_length() // axes))
    return tuple(sum((code >> (bit * axes + axis) & 1) << bit for bit in bits) for axis in range(axes))


class _Subtree:
    def __init__(self, root: Path, path: str, tiling: Tiling, used: Callable[[str], None]) -> None:
        self._tiling, self._name = tiling, path
        try:
            data = _limited(root, path)
            document, self._binary = _parts(data)
            self._views = document.get("bufferViews", [])
            self._buffers = [self._buffer(root, each, used) for each in document.get("buffers", [])]
            count = len(tiling.contents)
            raw = document.get("contentAvailability", [])
            self._tiles = self._bits(document["tileAvailability"])
            self._contents = [self._bits(one) for one in (raw if isinstance(raw, list) else [raw])][:count]
            self._below = self._bits(document["childSubtreeAvailability"], children=True)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, struct.error, OSError) as error:
            raise BadFile(
                "tileset.damaged", f"the subtree {shown(path)} cannot be read ({type(error).__name__})"
            ) from error

    def _buffer(self, root: Path, raw: Mapping[str, Any], used: Callable[[str], None]) -> bytes:
        if "uri" not in raw:
            return self._binary
        path = posixpath.normpath(resolved(raw["uri"], self._name))
        if not there(root, path):
            raise BadFile("tileset.damaged", f"{shown(path)}, which {shown(self._name)} needs, is not there")
        used(path)
        return _limited(root, path)

    def _bits(self, raw: Mapping[str, Any], *, children: bool = False) -> NDArray[np.bool_]:
        width, levels = 1 << self._tiling.axes, self._tiling.subtree_levels
        count = width**levels if children else (width**levels - 1) // (width - 1)
        if "constant" in raw:
            return np.full(count, bool(raw["constant"]))
        view = self._views[raw["bitstream"] if "bitstream" in raw else raw["bufferView"]]
        start = int(view.get("byteOffset", 0))
        data = self._buffers[view["buffer"]][start : start + int(view["byteLength"])]
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[:count]
        if len(bits) < count:
            raise ValueError("too few bits")
        return bits.astype(bool)

    def contents(self) -> Iterator[tuple[int, Place, int]]:
        """Level within the subtree, place and number of every content of a tile that there is."""
        width, at = 1 << self._tiling.axes, 0
        for below in range(self._tiling.subtree_levels):
            level = slice(at, at + width**below)
            for number, bits in enumerate(self._contents):
                for code in np.flatnonzero(self._tiles[level] & bits[level]).tolist():
                    yield below, _place(code, self._tiling.axes), number
            at += width**below

    def children(self) -> Iterator[Place]:
        """Places of the subtrees below, in tiles of their level."""
        for code in np.flatnonzero(self._below).tolist():
            yield _place(code, self._tiling.axes)


def _limited(root: Path, path: str) -> bytes:
    """A file of a subtree. Raises BadFile tileset.damaged, OSError."""
    data = plain(root / path, _LIMIT)
    if len(data) > _LIMIT:
        raise BadFile("tileset.damaged", f"{shown(path)} of a subtree has more than {_LIMIT} bytes")
    return data


def _parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    if data[:4] != b"subt":
        return orjson.loads(data), b""
    _, _, length, binary = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    return orjson.loads(data[_HEAD.size : end].rstrip(b" \0")), data[end : end + binary]

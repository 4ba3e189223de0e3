"""Proof that tiles are whole: of a folder, an archive or a running layer."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tiles import geocentric
from tiles.scheme import DEEPEST_ZOOM, Floats
from tiles.static import glb

#: Radians and metres by which what is rounded may be outside of its box.
_ROUNDED, _ROUNDED_HEIGHT = 1e-9, 1e-3
#: Problems told one by one.
_TOLD = 20
_NO_FEATURE = -1

#: The bytes of an address as the tileset names it. Raises LookupError where there are none.
type Read = Callable[[str], bytes]


class Found:
    """What a check has found."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()

    def problem(self, text: str) -> None:
        """Note one; beyond some they are counted only."""
        self.counts["problems"] += 1
        if len(self.problems) < _TOLD:
            self.problems.append(text)


def scene(read: Read, expected: int | None, has_parts: bool = False) -> Iterator[Found]:
    """Check a tileset of a layer of so many features, telling of it now and then and at the end.

    Its tree, that boxes hold boxes and content, errors that never grow, every feature in one node, and blocks
    that stand for each feature once a zoom. ``has_parts``: what has no node may be drawn by its parts."""
    found = Found()
    document = orjson.loads(read("tileset.json"))
    if expected is None:
        expected = document.get("extras", {}).get("features")
    seen: Counter[int] = Counter()
    far: Counter[int] = Counter()
    for node, around, error in _nodes(document["root"], document["geometricError"]):
        found.counts["nodes"] += 1
        region = node["boundingVolume"]["region"]
        if node["geometricError"] > error:
            found.problem(f"a geometric error grows to {node['geometricError']}")
        if around is not None and not _holds(around, region):
            found.problem(f"a box is not within the box around it: {region}")
        uri = node.get("content", {}).get("uri")
        if uri is None:
            continue
        content = _content(read, uri, region, found)
        if content is None:
            continue
        if uri.startswith("blocks/"):
            z = int(uri.split("/")[1])
            far[z] += int(content.numbers.get("count", np.zeros(1)).sum())
            if node.get("refine") != "REPLACE" or not node.get("children"):
                found.problem(f"{uri} is not replaced by what it stands for")
        else:
            fids = content.numbers["fid"].astype(np.int64).tolist()
            seen.update(fid for fid in fids if fid != _NO_FEATURE)
            found.counts["beyond the budget of their node"] += content.beyond
        if found.counts["nodes"] % 64 == 0:
            yield found
    has_parts = has_parts or bool(document.get("extras", {}).get("parts"))
    _count(found, seen, far, expected, has_parts=has_parts)
    yield found


def _count(
    found: Found,
    seen: Counter[int],
    far: Counter[int],
    expected: int | None,
    *,
    has_parts: bool,
) -> None:
    found.counts["features"] = len(seen)
    for fid, times in seen.items():
        if times > 1:
            found.problem(f"feature {fid} is in {times} nodes")
    if expected is None:
        return
    missing = expected - len(seen) - found.counts["beyond the budget of their node"]
    if missing < 0 or (missing > 0 and not has_parts):
        found.problem(f"{len(seen)} features are drawn, and the layer has {expected}")
    found.counts["drawn by their parts"] = max(missing, 0)
    for z, count in sorted(far.items()):
        # what is large is beside the blocks of the last zooms
        if count > expected or (z < 14 and count != expected):
            found.problem(f"the blocks of zoom {z} stand for {count} features of {expected}")


def _nodes(root: dict[str, Any], error: float) -> Iterator[tuple[dict[str, Any], list[float] | None, float]]:
    """Each node with the box around it and the error above it."""
    waiting: list[tuple[dict[str, Any], list[float] | None, float]] = [(root, None, error)]
    while waiting:
        one = waiting.pop()
        yield one
        node = one[0]
        box = node["boundingVolume"]["region"]
        waiting += [(child, box, node["geometricError"]) for child in node.get("children", [])]


def _unrolled(region: list[float], west: float) -> Floats:
    """A region with its west at or after a longitude (radians), and its east after that."""
    first, south, last, north, low, high = region
    turns = 2 * np.pi if first < west - _ROUNDED else 0.0
    width = last - first + (2 * np.pi if last < first else 0.0)
    return np.array([first + turns, south, first + turns + width, north, low, high])


def _holds(around: list[float], region: list[float]) -> bool:
    outer, inner = _unrolled(around, around[0]), _unrolled(region, around[0])
    low, high = [0, 1, 4], [2, 3, 5]
    return bool((inner[low] >= outer[low] - _ROUNDED).all() and (inner[high] <= outer[high] + _ROUNDED).all())


def _content(read: Read, uri: str, region: list[float], found: Found) -> glb.Content | None:
    try:
        data = read(uri)
    except LookupError:
        found.problem(f"{uri} is not there")
        return None
    found.counts["bytes"] += len(data)
    try:
        content = glb.read(data)
    except ValueError as error:
        found.problem(f"{uri} {error}")
        return None
    if not _inside(content.positions, region):
        found.problem(f"{uri} is not within its box")
    return content


def _inside(positions: Floats, region: list[float]) -> bool:
    lon, lat, height = geocentric.geodetic(positions)
    west, south, east, north, low, high = _unrolled(region, region[0])
    lon, lat = np.radians(lon), np.radians(lat)
    lon = np.where(lon < west - _ROUNDED, lon + 2 * np.pi, lon)
    within = lon <= east + _ROUNDED
    within &= (lat >= south - _ROUNDED) & (lat <= north + _ROUNDED)
    within &= (height >= low - _ROUNDED_HEIGHT) & (height <= high + _ROUNDED_HEIGHT)
    return bool(within.all())


# -- archives ----------------------------------------------------------------------------------


def archive(file: Path) -> Iterator[Found]:
    """Check an archive of vector tiles, telling of it now and then and at the end: its directories, its
    tiles, and that those of its last zoom hold every feature of its layers."""
    from pmtiles.reader import MmapSource, Reader, all_tiles

    found = Found()
    seen: dict[str, set[int]] = {}
    with file.open("rb") as stream:
        source = MmapSource(stream)  # type: ignore[no-untyped-call]
        reader: Any = Reader(source)  # type: ignore[no-untyped-call]
        header, metadata = reader.header(), reader.metadata()
        for (z, x, y), data in all_tiles(source):  # type: ignore[no-untyped-call]
            found.counts["tiles"] += 1
            found.counts["bytes"] += len(data)
            if not 0 <= z <= min(header["max_zoom"], DEEPEST_ZOOM):
                found.problem(f"{z}/{x}/{y} is of no zoom of the archive")
            try:
                layers = dict(_features(gzip.decompress(data)))
            except (OSError, EOFError, IndexError, UnicodeDecodeError) as error:
                found.problem(f"{z}/{x}/{y} cannot be read: {error}")
                continue
            if z == header["max_zoom"]:
                for name, fids in layers.items():
                    seen.setdefault(name, set()).update(fids)
            if found.counts["tiles"] % 256 == 0:
                yield found
    for name, count in metadata.get("features", {}).items():
        drawn = len(seen.get(name, set()))
        found.counts[f"features of {name}"] = drawn
        if drawn != count:
            found.problem(f"the last zoom has {drawn} features of {name}, and the layer has {count}")
    yield found


def _features(tile: bytes) -> Iterator[tuple[str, list[int]]]:
    """The layers of a vector tile (MVT 2.1) with the ids of their features."""
    for field, layer in _fields(tile):
        if field != 3 or isinstance(layer, int):
            continue
        name, ids = "", []
        for key, value in _fields(layer):
            if key == 1 and isinstance(value, bytes):
                name = value.decode()
            elif key == 2 and isinstance(value, bytes):
                ids += [one for of, one in _fields(value) if of == 1 and isinstance(one, int)]
        yield name, ids


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: varints as numbers, all else as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        size, at = _varint(message, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
        if at + size > len(message):
            raise EOFError("a field ends beyond its message")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at

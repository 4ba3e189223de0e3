"""Tilesets that somebody else made, as one tileset: an outer document that places them, theirs inside it.

Their documents are handed on as they are, but for regions of a set that is moved: a transform does not reach
these (OGC 22-025r4, 6.7.1.4.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from tiles import geocentric
from tiles.scene.glb import asset
from tiles.scheme import Floats

#: Metres east, north and up.
type Move = tuple[float, float, float]
#: The root's error beside the largest of the sets: it has nothing to show itself.
_ROOM = 2.0
_NOTHING = [0.0, 0.0, 1e-6, 1e-6, 0.0, 1.0]


@dataclass(frozen=True, slots=True)
class Set:
    """One tileset: its root document, where that is had, and the matrix (4, 4) that places it, None where it
    has a place of its own."""

    document: dict[str, Any]
    uri: str
    transform: Floats | None = None


def matrix(move: Move, lon: float, lat: float) -> Floats | None:
    """What moves a set about a place in degrees; None where it is not moved."""
    if not any(move):
        return None
    made = np.eye(4)
    made[:3, 3] = geocentric.axes(lon, lat) @ np.array(move)
    return made


def outer(sets: Sequence[Set], move: Move, middle: tuple[float, float], notice: str = "") -> bytes:
    """The document around some sets, moved about their ``middle`` (degrees)."""
    children = [_child(one, move, middle) for one in sets]
    volumes = [child["boundingVolume"] for child in children]
    errors = [child["geometricError"] for child in children]
    made: dict[str, Any] = {
        "boundingVolume": _around(volumes, children),
        "geometricError": max(errors, default=0.0) * _ROOM,
        "refine": "ADD",
        "children": children,
    }
    # clients of before 1.1 read what needs nothing of it
    versions = [str(one.document["asset"]["version"]) for one in sets]
    about = asset("1.1" if "1.1" in versions else "1.0", notice)
    ups = {str(one.document["asset"].get("gltfUpAxis", "Y")).upper() for one in sets}
    if len(ups) == 1 and ups != {"Y"}:
        # engines know the axis of the root document alone
        about = {**about, "gltfUpAxis": ups.pop()}
    root_error = made["geometricError"]
    return orjson.dumps({"asset": about, "geometricError": root_error, "root": made})


def _child(one: Set, move: Move, middle: tuple[float, float]) -> dict[str, Any]:
    root = one.document["root"]
    moved = matrix(move, *middle)
    frame = one.transform if moved is None else moved if one.transform is None else moved @ one.transform
    child: dict[str, Any] = {
        "boundingVolume": _volume(root, move, middle),
        "geometricError": max(float(one.document.get("geometricError", 0)), float(root["geometricError"])),
        "content": {"uri": one.uri},
    }
    if frame is not None:
        child["transform"] = frame.T.ravel().tolist()
    return child


def _volume(root: dict[str, Any], move: Move, middle: tuple[float, float]) -> dict[str, Any]:
    """The volume of a root tile in the frame around it."""
    volume = root["boundingVolume"]
    if "region" in volume:
        return {"region": _moved(volume["region"], move, middle)}
    frame = np.array(root.get("transform", np.eye(4).ravel()), float).reshape(4, 4).T
    if "sphere" in volume:
        x, y, z, radius = volume["sphere"]
        centre = frame[:3, :3] @ (x, y, z) + frame[:3, 3]
        scale = float(np.linalg.norm(frame[:3, :3], axis=0).max())
        return {"sphere": [*centre.tolist(), radius * scale]}
    numbers = np.array(volume["box"], float).reshape(4, 3)
    centre, axes = frame[:3, :3] @ numbers[0] + frame[:3, 3], numbers[1:] @ frame[:3, :3].T
    return {"box": [*centre.tolist(), *axes.ravel().tolist()]}


def _moved(region: Sequence[float], move: Move, middle: tuple[float, float]) -> list[float]:
    """A region after its content was moved."""
    if not any(move):
        return list(region)
    east, north, up = move
    lon, lat = geocentric.radians_of_metres(math.radians(middle[1]))
    west, south, end, top, low, high = region
    return [west + east * lon, south + north * lat, end + east * lon, top + north * lat, low + up, high + up]


def _around(volumes: Sequence[dict[str, Any]], children: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One volume around those of all sets."""
    if not volumes:
        return {"region": _NOTHING}
    if len(volumes) == 1 and "transform" not in children[0]:
        return volumes[0]
    spheres = [_sphere(*one) for one in zip(volumes, children, strict=True)]
    centre = np.mean([sphere[:3] for sphere in spheres], axis=0)
    radius = max(float(np.linalg.norm(sphere[:3] - centre)) + float(sphere[3]) for sphere in spheres)
    return {"sphere": [*centre.tolist(), radius]}


def _sphere(volume: dict[str, Any], child: dict[str, Any]) -> Floats:
    """A sphere around a volume, on the Earth."""
    frame = np.array(child.get("transform", np.eye(4).ravel()), float).reshape(4, 4).T
    if "region" in volume:
        west, south, east, north, low, high = volume["region"]
        if east < west:
            east += 2 * math.pi
        places = np.degrees([[x, y] for x in (west, (west + east) / 2, east) for y in (south, north)])
        ends = np.concatenate([geocentric.ecef(places[:, 0], places[:, 1], one) for one in (low, high)])
        centre = ends.mean(axis=0)
        return np.append(centre, np.linalg.norm(ends - centre, axis=1).max())
    numbers = np.array(volume.get("sphere") or volume["box"], float)
    centre = frame[:3, :3] @ numbers[:3] + frame[:3, 3]
    scale = float(np.linalg.norm(frame[:3, :3], axis=0).max())
    reach = numbers[3] if "sphere" in volume else np.linalg.norm(numbers[3:].reshape(3, 3), axis=1).sum()
    return np.append(centre, scale * float(reach))


def shifted(body: bytes, move: Move, middle: tuple[float, float]) -> bytes:
    """A document of a set that is moved: its regions follow, everything else stays as it is."""
    if not any(move) or b'"region"' not in body:
        return body
    document = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    for volume in _volumes(document.get("root")):
        volume["region"] = _moved(volume["region"], move, middle)
    return orjson.dumps(document)


def _volumes(root: object) -> Iterator[dict[str, Any]]:
    """The volumes of tiles and of their contents that have a region."""
    waiting = [root]
    while waiting:
        tile = waiting.pop()
        if not isinstance(tile, dict):
            continue
        waiting += tile.get("children", [])
        some = [tile, tile.get("content"), *(tile.get("contents") or [])]
        for one in some:
            volume = one.get("boundingVolume") if isinstance(one, dict) else None
            if isinstance(volume, dict) and isinstance(volume.get("region"), list):
                yield volume

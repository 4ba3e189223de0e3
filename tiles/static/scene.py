"""A layer's 3D tiles as a folder that any web server can serve."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from tiles.static.spread import Opened, Opener, in_order, opened

#: Nodes of one piece of work.
_PIECE = 64
_TEXTURE = re.compile(rb'"\.\./\.\./textures/([0-9a-f]{64})\.[a-z]+"')


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: files and their bytes."""

    files: int = 0
    size: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(self.files + other.files, self.size + other.size)


def build(opener: Opener, layer: str, folder: Path, executor: Executor) -> Iterator[Written]:
    """Write ``tileset.json`` of a layer and what it names below a folder, which all workers see under this
    path, telling what is written so far. The document comes last. Raises NotFound."""
    city = opened(opener)
    document = orjson.loads(city.tiles.tileset(layer).plain())
    count = len(city.tiles.far.columns.snapshot(layer).boxes)
    document["extras"] = {"features": count, "parts": city.tiles.relations.of_wholes(layer) is not None}
    folder.mkdir(parents=True, exist_ok=True)
    so_far = Written()
    pieces = itertools.batched(contents(document["root"]), _PIECE)
    for written in in_order(executor, partial(_write, opener, layer, folder), pieces):
        so_far += written
        yield so_far
    yield so_far + _put(folder / "tileset.json", orjson.dumps(document))


def contents(tile: dict[str, Any]) -> Iterator[str]:
    """The addresses of the contents of a tile and of all below it."""
    waiting = [tile]
    while waiting:
        one = waiting.pop()
        waiting += one.get("children", [])
        if "content" in one:
            yield one["content"]["uri"]


def _write(opener: Opener, layer: str, folder: Path, uris: tuple[str, ...]) -> Written:
    city, written = opened(opener), Written()
    for uri in uris:
        *far, z, x, y = uri.removesuffix(".glb").split("/")
        at = layer, int(z), int(x), int(y)
        body = (city.tiles.far.tile(*at) if far else city.tiles.glb(*at)).plain()
        written += _put(folder / uri, body)
        written += _textures(city, layer, folder, body)
    return written


def _textures(city: Opened, layer: str, folder: Path, body: bytes) -> Written:
    written = Written()
    for found in _TEXTURE.finditer(body):
        file = folder / "textures" / Path(found[0][1:-1].decode()).name
        if not file.exists():
            written += _put(file, city.texture(layer, found[1].decode()))
    return written


def _put(file: Path, body: bytes) -> Written:
    """Whole or not at all: another worker may write the same texture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    making = file.with_name(f".{file.name}.{os.getpid()}")
    making.write_bytes(body)
    making.replace(file)
    return Written(1, len(body))

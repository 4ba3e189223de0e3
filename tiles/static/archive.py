"""Vector tiles of layers as one PMTiles archive (version 3)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tiles import scheme
from tiles.freshness import BUFFER
from tiles.static.scene import Written
from tiles.static.spread import Opener, in_order, opened

#: Tiles of one piece of work.
_PIECE = 64
_E7 = 10_000_000


def build(
    opener: Opener, layers: Sequence[str], file: Path, executor: Executor, deepest: int | None = None
) -> Iterator[Written]:
    """Write the tiles of some layers down to a zoom (None: their deepest), telling what is written so far.

    Tiles come in the order of the archive, one zoom after the other: those of the next are sought where a
    feature is. Raises NotFound."""
    from pmtiles.tile import zxy_to_tileid
    from pmtiles.writer import Writer

    city = opened(opener)
    deepest = (
        city.tiles.options.maxzoom(layers)
        if deepest is None
        else min(deepest, city.tiles.options.maxzoom(layers))
    )
    document = orjson.loads(city.tiles.tilejson(layers, "").plain())
    counts = {layer: len(np.unique(city.tiles.far.columns.snapshot(layer).fids)) for layer in layers}
    making, so_far = file.with_name(f".{file.name}.making"), Written()
    with making.open("wb") as stream:
        writer: Any = Writer(stream)  # type: ignore[no-untyped-call]
        level: list[tuple[int, int, int]] = [(0, 0, 0)]
        for _ in range(deepest + 1):
            held: list[tuple[int, int, int]] = []
            pieces = itertools.batched(level, _PIECE)
            for made in in_order(executor, partial(_encode, opener, tuple(layers)), pieces):
                for tile, body in made:
                    held.append(tile)
                    if body:
                        writer.write_tile(zxy_to_tileid(*tile), body)
                        so_far += Written(1, len(body))
                yield so_far
            level = sorted(_children(held), key=lambda tile: zxy_to_tileid(*tile))
        writer.finalize(*_header(document, counts, deepest))
    making.replace(file)
    yield Written(so_far.files, file.stat().st_size)


def _children(tiles: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    for z, x, y in tiles:
        yield from ((z + 1, 2 * x + i, 2 * y + j) for j in (0, 1) for i in (0, 1))


def _encode(
    opener: Opener, layers: tuple[str, ...], at: tuple[tuple[int, int, int], ...]
) -> list[tuple[tuple[int, int, int], bytes]]:
    """Those of some tiles in which there is a feature, drawn or not, and their gzipped bodies."""
    tiles, made = opened(opener).tiles, []
    for z, x, y in at:
        box = np.array([scheme.tile_box(z, x, y, BUFFER)])
        if any(len(tiles.far.columns.snapshot(layer).meeting(box, ())) for layer in layers):
            made.append(((z, x, y), tiles.vector(layers, z, x, y).body))
    return made


def _header(
    document: dict[str, Any], counts: dict[str, int], deepest: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the metadata of an archive."""
    from pmtiles.tile import Compression, TileType

    west, south, east, north = document.get("bounds", (-180.0, -85.0, 180.0, 85.0))
    ends = {"min_lon_e7": west, "min_lat_e7": south, "max_lon_e7": east, "max_lat_e7": north}
    header = {
        "tile_type": TileType.MVT,
        "tile_compression": Compression.GZIP,
        "min_zoom": 0,
        "max_zoom": deepest,
        **{name: round(degrees * _E7) for name, degrees in ends.items()},
        "center_zoom": 0,
        "center_lon_e7": round((west + east) / 2 * _E7),
        "center_lat_e7": round((south + north) / 2 * _E7),
    }
    known = {key: document[key] for key in ("name", "attribution", "vector_layers") if key in document}
    return header, known | {"type": "overlay", "features": counts}

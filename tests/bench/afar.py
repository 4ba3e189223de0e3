"""A city of a million buildings as it is seen: its vector tiles at every zoom, and its 3D nodes.

CPU of one process, without HTTP, gzip included. Nothing of a tile is in memory when it is made; columns and
pyramids are, as they are once a server has been running for some seconds."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pyogrio

from layers.store import geopackage
from tests.bench import starts
from tests.bench.metropolis import MIDDLE, Metropolis
from tests.bench.report import Row, at_most
from tests.bench.sight import Eye
from tests.support import init, twin
from tiles import scheme
from tiles.made import Form, Tile
from tiles.scene import tree
from tiles.service import Tiles

LARGE, MIDDLING, SMALL = (
    Metropolis(),
    Metropolis(300_000, 100_000, 200_000),
    Metropolis(20_000, 100, 100, side=5_000),
)
LAYERS = {"buildings": "building", "addresses": "address", "pipes": "pipeline"}
#: Nodes of the 3D tree that are made, from the middle of the city outwards.
NODES = 60
MOST_KB = 500
#: Metres from which all of a city is looked at.
FROM = 30_000
TREES = 200_000


def rows(folder: Path) -> Iterator[Row]:
    """The figures; the cities lie in ``folder``, and what is there already is kept."""
    large = city(folder / "metropolis", LARGE)
    tiles, made = _opened(large)
    yield Row("pyramids of all layers made (CPU)", f"{made:.1f} s", "stated", _said(LARGE))
    yield from _zooms(tiles)
    yield from _bodies(tiles, LARGE)
    yield from _afar(tiles)
    yield from _trees(folder)
    small, _ = _opened(city(folder / "small", SMALL))
    yield from _bodies(small, SMALL)
    middling, made = _opened(city(folder / "middling", MIDDLING))
    yield _pyramid(middling, made)
    yield from starts.rows(large, LARGE.buildings + LARGE.addresses + LARGE.pipes, tuple(LAYERS), MIDDLE)


def _said(of: Metropolis) -> str:
    return f"{of.buildings:,} buildings, {of.addresses:,} addresses, {of.pipes:,} pipes"


def city(folder: Path, of: Metropolis) -> Path:
    """The folder of a drawn city; what is there already is kept."""
    if not folder.exists():
        making = folder.with_name(f"{folder.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        init(making)
        files = of.write(folder.with_name(f"{folder.name}-files"))
        for layer, kind in LAYERS.items():
            twin("load", str(files[kind]), "--as", layer, "--kind", kind, "--city", str(making))
        making.rename(folder)
    return folder


def _opened(folder: Path) -> tuple[Tiles, float]:
    """The tiles of a city and the seconds of CPU that its pyramids took."""
    tiles = Tiles(geopackage.open(folder / "city.gpkg"), folder / "derived")
    return tiles, sum(_spent(lambda layer=layer: tiles.prepare(layer)) for layer in LAYERS)  # type: ignore[misc]


def _spent(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _zooms(tiles: Tiles) -> Iterator[Row]:
    """The dearest and the largest tile of each zoom in the middle of the city."""
    # the first tile of a process pays for what Python reads then
    tiles.vector(tuple(LAYERS), *_middle(12), "exact")
    two, three = tuple(LAYERS)[:2], tuple(LAYERS)
    for layers, said in ((two, "2 M features"), (three, "all three layers")):
        found = {z: _dearest(tiles, layers, z) for z in range(17)}
        yield from _told(found, said, goals=layers is two)
    largest = max(size for _, size in found.values())
    yield at_most("largest tile, zooms 0 to 16, gzipped", largest / 1000, MOST_KB, "all three layers", " kB")


def _told(found: Mapping[int, tuple[float, int]], said: str, goals: bool) -> Iterator[Row]:
    low = [found[z] for z in range(9)]
    spent, size = max(one[0] for one in low), max(one[1] for one in low) / 1000
    name = f"a tile of zooms 0 to 8 of {said}"
    if goals:
        yield at_most(f"{name}: CPU", spent, 20, "", " ms")
        yield at_most(f"{name}: gzipped", size, 50, "", " kB")
    else:
        yield Row(f"{name}", f"{spent:.1f} ms", "stated", f"{size:.1f} kB")
    for z in range(9, 17):
        yield Row(f"zoom {z}, {said}", f"{found[z][0]:.1f} ms", "stated", f"{found[z][1] / 1000:.0f} kB")


def _middle(z: int) -> tuple[int, int, int]:
    x, y = (int(each[0] * 2**z) for each in scheme.world(*(np.array([v]) for v in MIDDLE)))
    return z, x, y


def _dearest(tiles: Tiles, layers: tuple[str, ...], z: int) -> tuple[float, int]:
    _, x, y = _middle(z)
    around = 1 if z > 9 else 0
    spent, size = 0.0, 0
    for i, j in product(range(-around, around + 1), repeat=2):
        at = z, x + i, y + j
        began = time.process_time()
        tile = tiles._join(layers, at, "buffer", f"{layers} {at}")
        spent = max(spent, (time.process_time() - began) * 1000)
        size = max(size, len(tile.body))
    return spent, size


def _bodies(tiles: Tiles, of: Metropolis) -> Iterator[Row]:
    """Buildings a second of CPU and bytes of each, in the nodes nearest to the middle."""
    boxes = tiles._snapshot("buildings").boxes
    nodes, counts = np.unique(tree.nodes(boxes), axis=0, return_counts=True)
    middle = [float(each[0]) for each in scheme.world(*(np.array([v]) for v in MIDDLE))]
    places = (nodes[:, 1:] + 0.5) / 2.0 ** nodes[:, :1]
    near = np.argsort(np.hypot(*(places - middle).T), kind="stable")[:NODES]
    total = int(counts[near].sum())
    for form, most in (("none", 300), ("meshopt", 130)):
        size, began = 0, time.process_time()
        for z, x, y in nodes[near].tolist():
            size += len(tiles._node("buildings", (z, x, y), "", form).body)  # type: ignore[arg-type]
        rate = total / (time.process_time() - began)
        said = "plain" if form == "none" else form
        detail = f"{total} in {len(near)} nodes"
        name = f"3D of {of.buildings:,} buildings, {said}"
        if form == "none":
            yield Row(f"{name}: a CPU-second", f"{rate:,.0f}", "≥ 40,000", detail, rate >= 40_000)
        else:
            yield Row(f"{name}: a CPU-second", f"{rate:,.0f}", "stated", detail)
        yield at_most(f"{name}: bytes of each, gzipped", size / total, most, "", " B")


def _afar(tiles: Tiles) -> Iterator[Row]:
    """What clients fetch of a city that they see from afar, gzipped."""
    document = json.loads(tiles.tileset("buildings").plain())
    for form, said in (("none", "plain"), ("gpu", "one box at many places")):
        for pitch in (90, 45, 20):
            seen = list(Eye.at(*MIDDLE, FROM, pitch).fetched(document))
            began, size = time.process_time(), 0
            for uri in seen:
                size += len(_content(tiles, uri, form).body)  # type: ignore[arg-type]
            spent = (time.process_time() - began) * 1000 / len(seen)
            name = f"{LARGE.buildings:,} buildings from 30 km, down {pitch}°, {said}"
            yield at_most(name, size / 1e6, 2, f"{len(seen)} files, {spent:.0f} ms of each", " MB")


def _trees(folder: Path) -> Iterator[Row]:
    """Points of one form, as many as addresses: bytes of each, and CPU."""
    city, file = folder / "trees", folder / "trees.fgb"
    if not city.exists():
        places = pyogrio.read_dataframe(folder / "metropolis-files" / "address.fgb", max_features=TREES)
        pyogrio.write_dataframe(places[["geometry"]].assign(**{"class": "tree"}), file)
        init(city)
        twin("load", str(file), "--as", "trees", "--kind", "component", "--city", str(city))
    tiles = Tiles(geopackage.open(city / "city.gpkg"), city / "derived")
    nodes = np.unique(tree.nodes(tiles._snapshot("trees").boxes), axis=0).tolist()
    for form, said in (("none", "plain"), ("gpu", "one tree at many places")):
        began = time.process_time()
        size = sum(len(tiles.glb("trees", *node, form).body) for node in nodes)  # type: ignore[arg-type]
        spent = time.process_time() - began
        detail = f"{len(nodes)} nodes, {TREES / spent:,.0f} a CPU-second"
        yield Row(
            f"{TREES:,} trees in 3D, {said}: bytes of each, gzipped",
            f"{size / TREES:.1f} B",
            "stated",
            detail,
        )


def _content(tiles: Tiles, uri: str, form: Form) -> Tile:
    *far, z, x, y = uri.removesuffix(".glb").split("/")
    at = "buildings", int(z), int(x), int(y), form
    return tiles.far.tile(*at) if far else tiles.glb(*at)


def _pyramid(tiles: Tiles, made: float) -> Row:
    """All tiles of zooms 0 to 16 in which there is something."""
    layers = tuple(LAYERS)
    count, spent = 0, made
    boxes = np.concatenate([tiles._snapshot(layer).boxes for layer in layers])
    for z in range(17):
        middles = ((boxes[:, :2] + boxes[:, 2:]) / 2 * 2**z).astype(np.int64)
        for x, y in np.unique(middles, axis=0).tolist():
            spent += _spent(lambda at=(z, x, y): tiles._join(layers, at, "buffer", str(at)))  # type: ignore[misc]
            count += 1
    name = f"all tiles of zooms 0 to 16, {_said(MIDDLING)} (CPU)"
    return at_most(name, spent, 10, f"{count:,} tiles, their pyramids {made:.1f} s of it", " s")

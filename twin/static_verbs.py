"""``twin tiles``: static tiles of a city are built, and tiles are checked."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson

from layers.errors import BadParameter, NotFound, shown
from layers.store.open import open_store
from tiles.service import Caches
from tiles.static import archive, check, scene
from tiles.static.check import Found
from tiles.static.spread import Opened
from twin import catalogue, settings
from twin.access.rights import ALL, EVERYBODY
from twin.verbs import out

ARCHIVE = ".pmtiles"
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class City:
    """Opens the tiles of a city folder, in any process that sees it."""

    folder: Path

    def __call__(self) -> Opened:
        """The tiles, without what static files cannot answer. Raises as :func:`twin.settings.load`."""
        conf = settings.load(self.folder)
        store = open_store(self.folder, conf.database(), crs_also=(conf.crs,))

        def made(view: Any) -> Any:
            return catalogue.tiles_of(view, conf, self.folder, Caches())

        tiles = catalogue.view_of(store, conf, made, ALL, EVERYBODY).make_tiles()
        tiles.far.lists_members = False
        return Opened(tiles, lambda layer, sha: store.texture(layer, sha).data)


def build(
    city: Path, to: Path, layers: Sequence[str], *, deepest: int | None = None, processes: int | None = None
) -> None:
    """Write an archive where the name ends so, else a folder of 3D tiles with one for each layer.

    Raises NotFound, BadParameter."""
    workers = processes or os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        spread(City(city.resolve()), to, layers, executor, deepest)


def spread(
    city: City, to: Path, layers: Sequence[str], executor: Executor, deepest: int | None = None
) -> None:
    """As :func:`build`, over any executor whose workers see the folders under the same paths."""
    if to.suffix == ARCHIVE:
        names = list(layers) or _every(city, solid=False)
        _told(to.name, lambda: archive.build(city, names, to, executor, deepest))
        return
    names = list(layers) or _every(city, solid=True)
    for name in names:
        _told(name, lambda name=name: scene.build(city, name, to / name, executor))  # type: ignore[misc]


def _every(city: City, *, solid: bool) -> list[str]:
    """The layers that have such tiles."""
    tiles = city().tiles
    known = [layer for layer in tiles.far.columns.layers().values() if layer.version_of is None]
    names = [layer.id for layer in known if not solid or tiles.has_scene(layer)]
    if not names:
        raise NotFound("the city has no layer of which such tiles are made")
    return names


def _told(what: str, work: Callable[[], Iterator[scene.Written]]) -> None:
    (written,) = deque(work(), maxlen=1)
    out.print(f"{what}: {written.files:,} files, {written.size:,} bytes", highlight=False)


def examine(of: str) -> bool:
    """Check a folder, an archive or the address of a running layer's tileset; whether nothing was found.

    Raises NotFound, BadParameter."""
    if of.startswith(("http://", "https://")):
        return _report(of, _running(of))
    path = Path(of)
    if path.suffix == ARCHIVE and path.is_file():
        return _report(of, check.archive(path))
    sets = sorted({*path.glob("tileset.json"), *path.glob("*/tileset.json")})
    if not sets:
        raise NotFound(f"{shown(of)} is no archive and holds no tileset.json")
    whole = [_report(str(file.parent), check.scene(_reader(file.parent), None)) for file in sets]
    return all(whole)


def _reader(folder: Path) -> Callable[[str], bytes]:
    def read(uri: str) -> bytes:
        try:
            return (folder / uri).read_bytes()
        except OSError as error:
            raise LookupError(uri) from error

    return read


def _running(address: str) -> Iterator[Found]:
    import httpx

    parts = urlsplit(address).path.rsplit("/", 3)
    if len(parts) != 4 or parts[1] != "3dtiles" or parts[3] != "tileset.json":
        raise BadParameter("address", address, "that of a layer: …/3dtiles/LAYER/tileset.json")
    with httpx.Client(timeout=_SECONDS) as client:

        def read(uri: str) -> bytes:
            answer = client.get(urljoin(address, uri))
            if answer.status_code != httpx.codes.OK:
                raise LookupError(uri)
            return answer.content

        root = address.removesuffix(f"3dtiles/{parts[2]}/tileset.json")
        items = f"{root}ogc/collections/{parts[2]}/items?limit=1"
        try:
            counted = orjson.loads(client.get(items).content)
            kinds = orjson.loads(client.get(f"{root}config.json").content)["layers"]
        except (httpx.HTTPError, orjson.JSONDecodeError, KeyError) as error:
            raise NotFound(f"{shown(address)} does not answer as a city: {error}") from error
        has_parts = any(layer["kind"] == "cim" for layer in kinds)
        yield from check.scene(read, counted["numberMatched"], has_parts)


def _report(what: str, work: Iterator[Found]) -> bool:
    (found,) = deque(work, maxlen=1)
    counts = ", ".join(f"{name} {count:,}" for name, count in found.counts.items() if name != "problems")
    out.print(f"{what}: {counts}", highlight=False)
    for problem in found.problems:
        out.print(f"  {problem}", highlight=False)
    total = found.counts["problems"]
    out.print(f"  {total:,} problems" if total else "  nothing is wrong", highlight=False)
    return total == 0

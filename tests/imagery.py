"""Rasters for pictures: on the grid of tiles, with colours, palettes or statistics; and cities that have
them."""

from __future__ import annotations

import asyncio
import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from rio_cogeo.cogeo import cog_translate
from rio_cogeo.profiles import cog_profiles

from layers.model import Asset
from layers.store.base import FormSpec
from layers.store.open import open_store
from layers.types import Bbox, Form
from tests import raster_sources
from tests.raster_sources import Words
from tests.support import ROOT
from tiles import scheme
from twin.access.rights import EVERYBODY, Rights
from twin.app import build, open_city
from twin.city import City

SHARED = Path(os.environ.get("TWIN_SHARED_DATA", ROOT.parent / "shared" / "data"))
#: Where the small rasters lie: west and north (EPSG:3857) of a tile of zoom 14 in Helsinki, and its cell (m).
ZOOM, COLUMN, ROW = 14, 9327, 4742
CELL = 40_075_016.68557849 / 256 / 2**ZOOM
WEST = -20_037_508.342789244 + COLUMN * 256 * CELL
NORTH = 20_037_508.342789244 - ROW * 256 * CELL
BOX: Bbox = scheme.tile_bounds(ZOOM, COLUMN, ROW)


def shared(name: str) -> Path:
    """A real raster; the test is skipped where it is not there."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"no {name} in {SHARED}")
    return path


def write(
    path: Path,
    values: NDArray[Any],
    *,
    crs: str = "EPSG:3857",
    origin: tuple[float, float] = (WEST, NORTH),
    cell: float = CELL,
    nodata: float | None = None,
    colors: Sequence[ColorInterp] = (),
    palette: Mapping[int, tuple[int, int, int, int]] | None = None,
    describe: Sequence[str] = (),
    **tags: str,
) -> Path:
    """A tiled GeoTIFF of values (bands, rows, columns)."""
    told = Words(names=describe, colors=colors, palette=palette, tags=tags)
    grid = {"crs": crs, "transform": from_origin(*origin, cell, cell), "nodata": nodata}
    return raster_sources.write(path, values, told=told, photometric=None, **grid)


def cog(source: Path, target: Path, aligned: bool = True) -> Path:
    """A Cloud-Optimized GeoTIFF of a raster, on the grid of WebMercatorQuad or on its own."""
    profile = cog_profiles.get("deflate")
    cog_translate(source, target, profile, quiet=True, web_optimized=aligned, overview_resampling="bilinear")
    return target


def ramp(width: int = 256, height: int = 256) -> NDArray[np.float32]:
    """Values that are a plane: the column plus a thousand times the row."""
    rows, columns = np.mgrid[0:height, 0:width]
    return cast(NDArray[np.float32], (columns + 1000.0 * rows).astype(np.float32)[None])


def pixels(body: bytes) -> NDArray[np.uint8]:
    """An encoded picture as RGBA (4, rows, columns)."""
    with warnings.catch_warnings(), rasterio.io.MemoryFile(io.BytesIO(body)) as file:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        picture = file.open()
        values = picture.read()
        if picture.count == 1 and picture.colorinterp[0] == ColorInterp.palette:
            table = np.array([picture.colormap(1).get(at, (0, 0, 0, 0)) for at in range(256)], np.uint8)
            return table[values[0]].transpose(2, 0, 1)
    if len(values) < 3:
        values = np.concatenate([values[:1]] * 3 + [values[1:]])
    if len(values) == 3:
        values = np.concatenate([values, np.full_like(values[:1], 255)])
    return cast(NDArray[np.uint8], values)


def record(
    folder: Path, layer: str, *assets: Asset | Path, form: Form = "coverage", box: Bbox | None = BOX
) -> None:
    """A raster layer of these files."""
    store = open_store(folder)
    files = tuple(one if isinstance(one, Asset) else Asset(href=str(one)) for one in assets)
    kind = {"coverage": "raster", "surface": "terrain"}[form]
    store.record(FormSpec(layer, form, kind, {"en": layer.title()}, "EPSG:3857", box, assets=files))
    store.close()


def city(folder: Path, more: str = "") -> Path:
    """An empty city."""
    folder.mkdir(exist_ok=True)
    (folder / "city.yml").write_text("title: {en: Pictures}\n" + more, "utf-8")
    open_store(folder).close()
    return folder


type Ask = Callable[..., httpx.Response]


@contextmanager
def asking(folder: Path, rights: Rights = EVERYBODY) -> Iterator[tuple[City, Ask]]:
    """An open city, and what asks it by path."""
    opened = open_city(folder, rights=rights)
    app = build(opened)

    async def once(method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app=cast(Any, app))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, headers=dict(headers))

    def ask(path: str, method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return asyncio.run(once(method, path, named))

    try:
        yield opened, ask
    finally:
        opened.close()


@contextmanager
def asking_with_queries(folder: Path) -> Iterator[Ask]:
    """What asks an open city by path, headers and parameters, underscores of whose names are hyphens."""
    with asking(folder) as (_, ask):

        def get(path: str, headers: Mapping[str, str] | None = None, **query: str) -> httpx.Response:
            asked = urlencode({name.replace("_", "-"): value for name, value in query.items()})
            return ask(f"{path}?{asked}" if asked else path, **(headers or {}))

        yield get

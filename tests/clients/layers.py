"""Layers that clients of other makers are to cope with: more features than one page has, and none."""

from __future__ import annotations

from pathlib import Path

import shapely

from layers.model import Asset
from layers.store.base import FormSpec, LayerSpec
from layers.store.database import Database
from layers.store.open import open_store
from layers.types import Field
from tests import rasters
from tests.storing import load, row

MANY = "many"
EMPTY = "empty"
HEIGHTS = "heights"
COUNT = 10_500
FIELDS = (
    Field("组", "string"),
    Field("n", "integer"),
    Field("ratio", "number"),
    Field("on", "boolean"),
    Field("day", "date"),
    Field("at", "datetime"),
)


def add(folder: Path, url: str | None = None) -> None:
    """Load them into a city that no server has open; ``url`` is that of its database."""
    store = open_store(folder, Database(url) if url else None)
    try:
        for name, rows in ((MANY, many()), (EMPTY, [])):
            load(store, LayerSpec(name, "feature", {"en": name}, FIELDS, "Point", "EPSG:4326", "at"), rows)
    finally:
        store.close()


def add_raster(folder: Path, url: str | None = None) -> None:
    """Record a raster in a city that no server has open, in Helsinki."""
    path = rasters.write(folder / "rasters" / f"{HEIGHTS}.tif")
    asset = Asset(href=path.relative_to(folder).as_posix(), media_type=rasters.COG)
    box = (24.937, 60.165, 24.964, 60.174)
    store = open_store(folder, Database(url) if url else None)
    try:
        title = {"en": "Heights"}
        store.record(FormSpec(HEIGHTS, "coverage", "raster", title, "EPSG:3857", box, assets=(asset,)))
    finally:
        store.close()


def many() -> list[dict[str, object]]:
    """Points in rows of a hundred near Helsinki, some of them within the box that the tests ask for."""
    return [
        row(
            f"m{n}",
            shapely.Point(24.9 + n % 100 * 0.001, 60.14 + n // 100 * 0.001),
            组=f"第{n % 7}组",
            n=n,
            ratio=n / 8,
            on=n % 2 == 0,
            day=f"2024-{n % 12 + 1:02d}-{n % 28 + 1:02d}",
            at=f"2024-{n % 12 + 1:02d}-01T00:00:{n % 60:02d}.000Z",
        )
        for n in range(COUNT)
    ]

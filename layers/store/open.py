"""Which store a city has: a GeoPackage in its folder, or a PostGIS database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from layers.store import city_file
from layers.store.counting import FEW
from layers.store.database import Database
from layers.store.history import Retention

if TYPE_CHECKING:
    from layers.store.base import Store


def open_to_read(folder: Path, *, as_reader: bool = True) -> tuple[Store, str]:
    """The store of a city folder, of which nothing is changed, and the city's own CRS: of a database the
    reading role of ``city.yml`` is taken where it names one, if ``as_reader``.

    Raises NotFound (no city there), BadConfig, Unavailable."""
    database, crs = city_file.read(folder)
    if database is None:
        from layers.store import geopackage

        return geopackage.open(folder / "city.gpkg", read_only=True, crs_also=(crs,)), crs
    from layers.store import postgis

    reading = replace(database, url=(as_reader and database.read_url) or database.url)
    return postgis.open(reading, crs_also=(crs,), read_only=True), crs


def open_store(
    folder: Path,
    database: Database | None = None,
    few: int = FEW,
    crs_also: tuple[str, ...] = (),
    history: Retention | None = None,
) -> Store:
    """Open the city's store; ``crs_also`` are CRSs (``EPSG:n``) in which every layer is offered, too. Up to
    ``few`` candidates of a query are gathered, and so counted. ``history`` says for how long what rows were
    is kept; without it, as it was said last.

    Raises Unavailable, ReadOnly."""
    if database is None:
        from layers.store import geopackage

        return geopackage.open(folder / "city.gpkg", few=few, crs_also=crs_also, history=history)
    from layers.store import postgis

    return postgis.open(database, folder / "derived" / "database.mark", few, crs_also, history)

"""Which store a city has: a GeoPackage in its folder, or a PostGIS database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from layers.store.counting import FEW
from layers.store.database import Database
from layers.store.history import Retention

if TYPE_CHECKING:
    from layers.store.base import Store


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

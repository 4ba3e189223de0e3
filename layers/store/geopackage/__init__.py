"""The embedded store: a GeoPackage 1.3 file that QGIS and GDAL open and edit unchanged."""

from __future__ import annotations

from pathlib import Path

from layers.errors import NotFound
from layers.store.counting import FEW
from layers.store.geopackage.store import GeoPackageStore, writable

__all__ = ["GeoPackageStore", "open"]


def open(
    path: Path | str,
    *,
    read_only: bool = False,
    few: int = FEW,
    crs_also: tuple[str, ...] = (),
) -> GeoPackageStore:
    """Open the store, making an empty one where there is none.

    A folder or file that cannot be written opens read-only: reads work, writes raise ReadOnly.
    Up to ``few`` candidates of a query are gathered, and so counted.
    Raises NotFound (read-only and absent), Unavailable (damaged, or not a store of ours), Busy."""
    path = Path(path).resolve()
    read_only = read_only or not writable(path)
    if read_only and not path.is_file():
        raise NotFound("the city has no store yet, and its folder cannot be written")
    return GeoPackageStore(path, read_only=read_only, few=few, crs_also=crs_also)

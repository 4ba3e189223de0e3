"""The embedded store: a GeoPackage 1.3 file that QGIS and GDAL open and edit unchanged."""

from __future__ import annotations

from pathlib import Path

from layers.errors import NotFound, Unavailable
from layers.store import mark
from layers.store.counting import FEW
from layers.store.geopackage.store import GeoPackageStore, writable
from layers.store.history import Retention

__all__ = ["GeoPackageStore", "open"]


def open(
    path: Path | str,
    *,
    read_only: bool = False,
    few: int = FEW,
    crs_also: tuple[str, ...] = (),
    history: Retention | None = None,
) -> GeoPackageStore:
    """Open the store, making an empty one where there is none.

    A folder or file that cannot be written opens read-only: reads work, writes raise ReadOnly.
    Up to ``few`` candidates of a query are gathered, and so counted. ``history``: for how long old rows are
    kept from now on; what is older goes while the store is open. Without it, as it was said last.
    Raises NotFound (read-only and absent), Unavailable (damaged, lost, or not a store of ours), Busy."""
    path = Path(path).resolve()
    _not_lost(path)
    read_only = read_only or not writable(path)
    if read_only and not path.is_file():
        raise NotFound("the city has no store yet, and its folder cannot be written")
    return GeoPackageStore(path, read_only=read_only, few=few, crs_also=crs_also, history=history)


def _not_lost(path: Path) -> None:
    """An empty file, or none where there was one, is a store that was lost, not an empty city. Raises
    Unavailable."""
    if path.is_file():
        # the first that is written of a store is a whole page
        if path.stat().st_size == 0:
            raise Unavailable(f"{path.name} is empty (0 bytes): restore it from a copy")
        return
    recorded = mark.read(path.parent / "derived" / f"{path.stem}.mark")
    if recorded is not None and recorded.seq > 0:
        raise Unavailable(
            f"{path.name} is gone: restore it from a copy, or remove derived/{path.stem}.mark, too, to begin"
            " with an empty city"
        )

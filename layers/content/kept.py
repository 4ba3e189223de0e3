"""The folders of a city's rasters and tilesets: what is new comes in one step, what no layer has any more is
removed.

Who writes there has a share of its lock (flock(2)), which the kernel gives back however a process ends; who
can have the lock alone knows that what lies there unused is nobody's any more. The lock of the city's folder
is its server's.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from layers import synced
from layers.errors import ReadOnly
from layers.model import Asset, ContentLayer, Layer

FOLDER = "rasters"
#: Tilesets, each in a folder of its own.
SCENES = "scenes"
#: What a COG is, as a media type (OGC 21-026, 10).
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
#: What a tileset is, as 3D GeoVolumes servers name it.
TILESET = "application/json+3dtiles"
_OURS = {
    FOLDER: re.compile(r"[a-z][a-z0-9_]{0,62}-[0-9a-f]{16}\.tif"),
    SCENES: re.compile(r"[a-z][a-z0-9_]{0,62}-[0-9a-f]{16}"),
}
_COMING = ".coming-"


@contextmanager
def writing(city: Path, layers: Callable[[], Iterable[Layer]]) -> Iterator[Path]:
    """The path of a folder, not there yet, into which a raster or tileset may be written; it is gone in the
    end. What was left behind is removed first, if nobody else writes: ``layers`` gives all of the city,
    and is asked when none can be recorded meanwhile."""
    folder = city / FOLDER
    coming = folder / f"{_COMING}{secrets.token_hex(8)}"
    try:
        folder.mkdir(exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield coming  # rows need no room there; who writes there is told that it cannot be
        return
    try:
        if _alone(handle):
            sweep(city, layers())
        fcntl.flock(handle, fcntl.LOCK_SH)
        try:
            yield coming
        finally:
            shutil.rmtree(coming, ignore_errors=True)
    finally:
        os.close(handle)


def _alone(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sweep(city: Path, layers: Iterable[Layer]) -> None:
    """Remove what interrupted loads left, and what is ours and no layer has."""
    assets = [asset for layer in layers if isinstance(layer, ContentLayer) for asset in layer.assets]
    used = {place for asset in assets if (place := _place(asset)) is not None}
    for folder, ours in _OURS.items():
        for each in list((city / folder).iterdir()) if (city / folder).is_dir() else ():
            if each.name.startswith(_COMING) or (
                ours.fullmatch(each.name) and (folder, each.name) not in used
            ):
                _remove(each)


def settle(city: Path, written: Path, layer_id: str) -> str:
    """Give a written file, or the folder of a tileset, its place, durably; its path below the city folder.

    Raises ReadOnly."""
    folder, ending = (SCENES, "") if written.is_dir() else (FOLDER, ".tif")
    href = f"{folder}/{layer_id}-{secrets.token_hex(8)}{ending}"
    try:
        (city / folder).mkdir(exist_ok=True)
        for each in written.rglob("*") if written.is_dir() else ():
            synced.sync(each)
        synced.sync(written)
        written.rename(city / href)
        synced.sync(city / folder)
    except OSError as error:
        raise ReadOnly(f"it cannot be kept in the folder {folder} of the city: {error.strerror}") from error
    return href


def remove(city: Path, assets: Iterable[Asset]) -> None:
    """Remove the files of assets that were ours; one that was registered where it lies stays."""
    for asset in assets:
        if (place := _place(asset)) is not None and _OURS[place[0]].fullmatch(place[1]):
            _remove(city / place[0] / place[1])


def _place(asset: Asset) -> tuple[str, str] | None:
    """The folder of ours and the name there of what an asset lies in; None for one that lies elsewhere."""
    folder, _, rest = asset.href.partition("/")
    return (folder, rest.partition("/")[0]) if folder in _OURS else None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

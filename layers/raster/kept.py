"""The folder of a city's rasters: a new file comes in one step, what no layer has any more is removed.

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
#: What a COG is, as a media type (OGC 21-026, 10).
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_OURS = re.compile(r"[a-z][a-z0-9_]{0,62}-[0-9a-f]{16}\.tif")
_COMING = ".coming-"


@contextmanager
def writing(city: Path, layers: Callable[[], Iterable[Layer]]) -> Iterator[Path]:
    """The path of a folder, not there yet, into which a raster may be written; it is gone in the end. What
    was left behind is removed first, if nobody else writes: ``layers`` gives all of the city,
    and is asked when none can be recorded meanwhile."""
    folder = city / FOLDER
    coming = folder / f"{_COMING}{secrets.token_hex(8)}"
    try:
        folder.mkdir(exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield coming  # rows need no room there; who writes a raster is told that it cannot be
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
    """Remove what interrupted loads left, and files of ours that no layer has."""
    folder = city / FOLDER
    used = {asset.href for layer in layers if isinstance(layer, ContentLayer) for asset in layer.assets}
    for each in list(folder.iterdir()) if folder.is_dir() else ():
        if each.name.startswith(_COMING):
            shutil.rmtree(each, ignore_errors=True)
        elif _OURS.fullmatch(each.name) and f"{FOLDER}/{each.name}" not in used:
            each.unlink(missing_ok=True)


def settle(city: Path, written: Path, layer_id: str) -> str:
    """Give a written file its place, durably; its path below the city folder. Raises ReadOnly."""
    href = f"{FOLDER}/{layer_id}-{secrets.token_hex(8)}.tif"
    try:
        synced.sync(written)
        written.rename(city / href)
        synced.sync(city / FOLDER)
    except OSError as error:
        raise ReadOnly(f"the raster cannot be kept: {error.strerror}") from error
    return href


def remove(city: Path, assets: Iterable[Asset]) -> None:
    """Remove the files of assets that were ours; one that was registered where it lies stays."""
    for asset in assets:
        folder, _, name = asset.href.rpartition("/")
        if folder == FOLDER and _OURS.fullmatch(name):
            (city / asset.href).unlink(missing_ok=True)

"""Folders that live as long as one job: removed when it ends, or at the next start after a crash."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layers.errors import Unavailable
from layers.lockfile import hold

#: What is left free on the disk, for the city's own files.
RESERVE_BYTES = 256 << 20
NO_ROOM = "the server has no room on its disk for this file now; ask for geojson, flatgeobuf or csv"


class Scratch:
    """A folder of short-lived folders, each locked (flock) while its process lives.

    A city folder that cannot be written has them where the system keeps temporary files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sweep()

    def _sweep(self) -> None:
        """Remove what processes that died have left: the kernel gave their locks back."""
        for lock in self._folder.glob("*.lock"):
            with contextlib.suppress(OSError):
                handle = hold(lock)
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
                os.close(handle)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder of one's own. Raises Unavailable when none can be made."""
        parent = self._folder
        try:
            parent.mkdir(parents=True, exist_ok=True)
            lock = parent / f"{secrets.token_hex(8)}.lock"
            handle = hold(lock)
        except OSError:
            with _elsewhere() as made:
                yield made
            return
        try:
            made = lock.with_suffix("")
            made.mkdir()
            yield made
        finally:
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
            os.close(handle)


@contextmanager
def _elsewhere() -> Iterator[Path]:
    try:
        made = tempfile.TemporaryDirectory(prefix="twin-", ignore_cleanup_errors=True)
    except OSError as error:
        raise Unavailable(NO_ROOM) from error
    with made as name:
        yield Path(name)


def check_room(folder: Path, reserve: int = RESERVE_BYTES) -> None:
    """Raises Unavailable when the disk has less than ``reserve`` bytes left."""
    if shutil.disk_usage(folder).free < reserve:
        raise Unavailable(NO_ROOM)

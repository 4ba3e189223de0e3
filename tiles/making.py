"""One maker of a derived file at a time, whichever process it is in."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(file: Path) -> Iterator[None]:
    """Wait until nobody else makes this file, and keep others from it meanwhile; who dies lets go.

    Where there can be no lock (a read-only folder, NFS without one) two may make it, each whole: the file is
    put in its place at once."""
    handle: int | None = None
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file.with_name(f".{file.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        if handle is not None:
            _sweep(file)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _sweep(file: Path) -> None:
    """Remove what makers left that were killed."""
    for left in file.parent.glob(f".{file.name}.*.part"):
        with contextlib.suppress(OSError):
            left.unlink()

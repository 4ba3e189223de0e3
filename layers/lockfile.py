"""Advisory locks that the kernel gives back when their process dies, however it dies (flock(2))."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def hold(path: Path, mode: int = 0o600) -> int:
    """Take the lock of a file, made where it is not there; closing the descriptor gives it back.

    Raises OSError: BlockingIOError when another process, or another descriptor of this one, has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle

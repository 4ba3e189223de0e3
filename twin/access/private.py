"""Files of a city folder that only its owner reads: written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from layers.errors import ReadOnly


def write(path: Path, value: object) -> None:
    """Put a JSON text in the place of the file, synced. Raises ReadOnly."""
    part = path.with_suffix(".part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(value, out, indent=1)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise ReadOnly(f"{path.name} cannot be written: {error.strerror}") from error

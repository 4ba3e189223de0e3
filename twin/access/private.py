"""Files of a city folder that only its owner reads: written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from layers import synced
from layers.errors import ReadOnly


def write(path: Path, value: object) -> None:
    """Put a JSON text in the place of the file, synced. Raises ReadOnly."""
    try:
        synced.replace(path, json.dumps(value, indent=1), 0o600)
    except OSError as error:
        raise ReadOnly(f"{path.name} cannot be written: {error.strerror}") from error

"""What a city is and how it is kept. ``layers.open(city)`` opens its layers for reading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layers.door import CityLayers

__all__ = ["open"]


def open(folder: str | Path) -> CityLayers:
    """The layers of a city folder by id, read-only; see :mod:`layers.door`.

    Raises NotFound (no city there), BadConfig, Unavailable."""
    from layers.door import open_city

    return open_city(folder)

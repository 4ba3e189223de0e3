"""What a city says of the vector tiles of a layer."""

from __future__ import annotations

from dataclasses import dataclass

from tiles.scheme import MAX_ZOOM


@dataclass(frozen=True, slots=True)
class Options:
    """``maxzoom``: the deepest zoom of its tiles."""

    maxzoom: int = MAX_ZOOM


#: Of a layer of which nothing is said.
DEFAULT = Options()

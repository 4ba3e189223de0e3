"""How far the vertical datum of the city lies above the ellipsoid: declared, never guessed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tiles.scheme import Floats
from tiles.terrain.places import Places
from tiles.terrain.sheet import Blocks

#: Memory for decoded blocks of a grid.
GRID_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Undulation:
    """Metres to add to a height in the vertical datum: a number, or those of a grid (GeoTIFF, GTX)."""

    metres: float = 0.0
    grid: Path | None = None
    _blocks: Blocks = field(default_factory=lambda: Blocks(GRID_BYTES))

    @property
    def key(self) -> str:
        """A short text: another undulation, another text; empty for none."""
        if self.grid is None:
            return f"{self.metres:g}" if self.metres else ""
        sheet = self._blocks.sheet(self.grid)
        return ".".join(f"{part:x}" for part in sheet.state)

    def at(self, places: Places) -> Floats | float:
        """Metres at places; beyond the grid, those at its edge. Raises Unavailable."""
        if self.grid is None:
            return self.metres
        sheet = self._blocks.sheet(self.grid)
        column, row = sheet.pixels(places)
        inside = np.nan_to_num(column), np.nan_to_num(row)
        return sheet.at(self._blocks, 0, *inside)[0].astype(float)


NONE = Undulation()

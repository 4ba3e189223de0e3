"""How far the vertical datum of the city lies above the ellipsoid: declared, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from layers.raster.files import OpenFiles, digest
from tiles.scheme import Floats
from tiles.terrain.places import Places
from tiles.terrain.sheet import Blocks, Sheet

#: Memory for decoded blocks of a grid.
GRID_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Undulation:
    """Metres to add to a height in the vertical datum: a number, or those of a grid (GeoTIFF, GTX)."""

    metres: float = 0.0
    grid: tuple[Sheet, Blocks] | None = None

    @property
    def key(self) -> str:
        """A short text: another undulation, another text; empty for none."""
        if self.grid is None:
            return f"{self.metres:g}" if self.metres else ""
        return digest([self.grid[0].file])

    def at(self, places: Places) -> Floats | float:
        """Metres at places; beyond the grid, those at its edge. Raises Unavailable."""
        if self.grid is None:
            return self.metres
        sheet, blocks = self.grid
        column, row = sheet.pixels(places)
        return sheet.at(blocks, 0, np.nan_to_num(column), np.nan_to_num(row))[0].astype(float)


NONE = Undulation()


def of_grid(path: Path, files: OpenFiles) -> Undulation:
    """The undulation of a file. Raises Unavailable, BadFile."""
    blocks = Blocks(files, GRID_BYTES)
    return Undulation(grid=(blocks.sheet(path), blocks))

"""The bands of a raster as fields: their names, titles, units and types, as the file has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rasterio import DatasetReader

_OTHER = re.compile(r"\W+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Band:
    """One band: ``index`` counts from 1, as GDAL does; ``name`` is what requests call it; ``dtype`` is the
    type of its cells in numpy's words; ``nodata`` is the value of a cell that has none, None where a mask or
    nothing tells."""

    index: int
    name: str
    title: str
    unit: str
    dtype: str
    nodata: float | None

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return "float" not in self.dtype


def bands(dataset: DatasetReader) -> tuple[Band, ...]:
    """The bands of a raster in their order, without one that is the mask of the others (alpha).

    A band is named by its description, where it has one that no other band has, else ``band1``, ``band2``
    and so on."""
    from rasterio.enums import ColorInterp

    shown = [
        number
        for number, meaning in zip(dataset.indexes, dataset.colorinterp, strict=True)
        if meaning != ColorInterp.alpha
    ] or list(dataset.indexes)
    named = {number: _name(dataset.descriptions[number - 1]) for number in shown}
    once = [name for name in named.values() if name and list(named.values()).count(name) == 1]
    return tuple(
        Band(
            number,
            named[number] if named[number] in once else f"band{number}",
            (dataset.descriptions[number - 1] or "").strip() or f"Band {number}",
            dataset.units[number - 1] or "",
            dataset.dtypes[number - 1],
            dataset.nodatavals[number - 1],
        )
        for number in shown
    )


def _name(description: str | None) -> str:
    """A description as a name that needs no quotes in a query."""
    return _OTHER.sub("_", description or "").strip("_")

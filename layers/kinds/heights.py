"""The height chain of buildings and their parts: measured → storeys × 3.2 m → default."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import shown
from layers.kinds import vector
from layers.kinds.base import STOREY_M, SourceBatch, blank, metres, storeys
from layers.kinds.codes import named
from layers.kinds.kind_table import KindTable

if TYPE_CHECKING:
    import pyarrow as pa

type Floats = NDArray[np.float64]

#: Above the tallest structure on earth; a larger figure is a unit mistake.
HIGHEST_M = 1000.0
LEAST_M = 0.1
MOST_STOREYS = 250.0
#: How far the underside of a part may lie below ground.
LOWEST_M, LOWEST_STOREY = -50.0, -10.0


def normalise(batch: SourceBatch, table: KindTable) -> dict[str, pa.Array]:
    """height_m, height_source, min_height_m, levels, as ``config/kinds/parts/heights.yml`` has them, which
    the kind's table includes; each row says which link of the chain it got."""
    import pyarrow as pa

    notes = vector.Notes(batch)
    height = _checked(notes, "height", table.column(batch, "height_m"), metres, LEAST_M, HIGHEST_M)
    levels = _checked(notes, "levels", table.column(batch, "levels"), storeys, 0.0, MOST_STOREYS)
    low = _checked(notes, "min_height", table.column(batch, "min_height_m"), metres, LOWEST_M, HIGHEST_M)
    lowest = _checked(
        notes, "min_level", table.column(batch, "min_level"), storeys, LOWEST_STOREY, MOST_STOREYS
    )
    low = np.where(np.isnan(low), np.nan_to_num(lowest) * STOREY_M, low)
    uses = vector.each(table.column(batch, "use"), lambda use: str(use or "").casefold())
    known, stacked = ~np.isnan(height), np.isnan(height) & (np.nan_to_num(levels) > 0)
    top = np.nan_to_num(levels) * STOREY_M
    for i in np.flatnonzero(known & ~(height > low)).tolist():
        reason = f"height {height[i]:g} m is not above min_height {low[i]:g} m"
        notes.add(i, "height.below_min", reason)
    for i in np.flatnonzero(stacked & ~(top > low)).tolist():
        reason = f"{levels[i]:g} storeys are taken to stand on the underside {low[i]:g} m"
        notes.add(i, "levels.above_min", reason)
    notes.tell()
    usual = np.array(vector.distinct(uses, table.figures["height_m"].of))
    made = np.where(usual > low, usual, low + STOREY_M)
    made = np.where(stacked, np.where(top > low, top, low + top), made)
    height, low = np.where(known, height, made), np.where(known & ~(height > low), 0.0, low)
    return {
        "height_m": pa.array(vector.rounded(height)),
        "height_source": _sources(batch, table, known, stacked),
        "min_height_m": pa.array(vector.rounded(low)),
        "levels": pa.array(levels, from_pandas=True),
    }


def _sources(
    batch: SourceBatch, table: KindTable, known: NDArray[np.bool_], stacked: NDArray[np.bool_]
) -> pa.Array:
    """Where the height of each row comes from: of a known one what its source says, else that it was
    measured."""
    import pyarrow as pa
    import pyarrow.compute as pc

    stated = pa.array(
        vector.each(table.column(batch, "height_source"), named("height_source").find), pa.string()
    )
    if stated.null_count and any(lost := table.lost(batch, "height_source")):
        stated = pc.if_else(pa.array(lost), "default", stated)
    made = pc.if_else(pa.array(stacked), "levels", "default")
    return pc.if_else(pa.array(known), pc.fill_null(stated, "measured"), made)


def _checked(
    notes: vector.Notes,
    what: str,
    column: pa.Array | list[Any],
    read: Callable[[Any], float | None],
    low: float,
    high: float,
) -> Floats:
    """The values as numbers within their range, NaN for the others, which are noted."""
    import pyarrow as pa

    if isinstance(column, pa.Array) and (
        pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    ):
        numbers: Floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        given = ~np.isnan(numbers)
        numbers = np.where(np.isinf(numbers), np.nan, numbers)
    else:
        values = vector.each(column, lambda value: None if blank(value) else (read(value),))
        given = np.array([value is not None for value in values], bool)
        numbers = np.array([np.nan if v is None or v[0] is None else v[0] for v in values], float)
    within = (numbers >= low) & (numbers <= high)
    for i in np.flatnonzero(given & ~within).tolist():
        value = shown(column[i].as_py() if isinstance(column, pa.Array) else column[i])
        if np.isnan(numbers[i]):
            notes.add(i, f"{what}.unreadable", f"{what} {value} is not a number with a known unit")
        else:
            notes.add(i, f"{what}.range", f"{what} {value} is outside {low:g} to {high:g}")
    return np.where(within, numbers, np.nan)

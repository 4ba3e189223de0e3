"""What is wrong with buildings."""

from __future__ import annotations

import numpy as np
import shapely

from twin.demo.lanjiang.planting import Fault, Row
from twin.demo.lanjiang.subject import SHAPE


def _bow_tie(row: Row, _random: np.random.Generator) -> tuple[Row, ...] | None:
    """Two corners in the wrong order."""
    corners = shapely.get_coordinates(row[SHAPE])[:-1]
    if len(corners) != 4:
        return None
    row[SHAPE] = shapely.Polygon(corners[[0, 2, 1, 3]])
    return (row,)


def _without_height(row: Row, _random: np.random.Generator) -> tuple[Row, ...]:
    row["建筑高度"] = row["地上层数"] = None
    return (row,)


def _absurd_height(row: Row, _random: np.random.Generator) -> tuple[Row, ...]:
    """Centimetres for metres."""
    row["建筑高度"] = round(row["建筑高度"] * 100, 1)
    return (row,)


def _overlap(row: Row, random: np.random.Generator) -> tuple[Row, ...]:
    """The same building drawn once more by another surveyor, some metres off."""
    dx, dy = (round(float(each), 3) for each in random.uniform(1.5, 4.0, 2))
    again = row | {"建筑编号": f"{row['建筑编号']}补"}
    again[SHAPE] = shapely.transform(row[SHAPE], lambda xy: np.round(np.add(xy, (dx, dy)), 3))
    return row, again


def _twice(row: Row, _random: np.random.Generator) -> tuple[Row, ...]:
    """The row once more."""
    return row, dict(row)


FAULTS = (
    Fault("building.bow_tie", "geometry.invalid", 0.004, _bow_tie),
    Fault("building.no_height", "height.missing", 0.004, _without_height),
    Fault("building.centimetres", "height.range", 0.003, _absurd_height),
    Fault("building.overlap", "building.overlap", 0.004, _overlap),
    Fault("building.twice", "id.duplicate", 0.003, _twice),
)

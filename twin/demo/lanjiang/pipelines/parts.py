"""Tables of the city as whoever makes a model of a network reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.demo.lanjiang.subject import SHAPE, City

#: Litres that a person uses in a day (GB/T 50331, not verified).
LITRES = 160.0
#: What a person uses in each hour of a day, of the mean.
HOURS = (
    *(0.45, 0.35, 0.30, 0.28, 0.36, 0.62, 1.25, 1.52, 1.35, 1.12, 1.05, 1.15),
    *(1.18, 1.10, 0.98, 1.00, 1.05, 1.35, 1.62, 1.70, 1.55, 1.30, 0.85, 0.52),
)


@dataclass(frozen=True, slots=True)
class Site:
    """A survey point: where it is on the map (m), and what is there."""

    id: str
    x: float
    y: float
    ground_m: float
    low_m: float
    fitted: str


@dataclass(frozen=True, slots=True)
class Pipe:
    """A section between two points; levels (m) as surveyed."""

    id: str
    start: str
    end: str
    first_m: float
    last_m: float
    long_m: float
    size_mm: int


def rows(city: City, table: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each row of a table and its shape."""
    for part in city.tables(table):
        shapes = shapely.from_wkb(part[SHAPE].to_pylist())
        yield from zip(part.drop_columns(SHAPE).to_pylist(), shapes, strict=True)


def sites(city: City, table: str) -> dict[str, Site]:
    """The points of a class, by their number."""
    found = {}
    for row, shape in rows(city, table):
        name = row["物探点号"]
        found[name] = Site(name, shape.x, shape.y, row["地面高程"], row["管线高程"], row["附属物"] or "")
    return found


def pipes(city: City, table: str, known: dict[str, Site]) -> list[Pipe]:
    """The sections of a class whose ends are both known."""
    return [
        Pipe(
            row["管线编号"],
            row["起点点号"],
            row["终点点号"],
            row["起点高程"],
            row["终点高程"],
            round(shape.length, 3),
            int(row["管径"].removeprefix("DN")),
        )
        for row, shape in rows(city, table)
        if row["起点点号"] in known and row["终点点号"] in known
    ]


def nearest(sites: Sequence[Site], places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which of some points is nearest to each of some places (n, 2)."""
    tree = shapely.STRtree(shapely.points([(one.x, one.y) for one in sites]))
    found: NDArray[np.int64] = tree.nearest(shapely.points(places))
    return found


def people(city: City, sites: Sequence[Site]) -> NDArray[np.int64]:
    """How many people have each of some points as the nearest to their building."""
    count = np.zeros(len(sites), np.int64)
    for part in city.tables("buildings"):
        middles = shapely.get_coordinates(shapely.centroid(shapely.from_wkb(part[SHAPE].to_pylist())))
        np.add.at(count, nearest(sites, middles), part["人数"].to_numpy())
    return count

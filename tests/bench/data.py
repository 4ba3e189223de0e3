"""Seeded buildings: the data of the figures, the same rows for every server.

Rows come street block by street block, the blocks in random order, as a city's files do: neighbours lie
near each other in the table, the city as a whole does not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from layers.batch import SOURCE_ID, WKB
from layers.store.base import LayerSpec
from layers.types import Bbox, Field

if TYPE_CHECKING:
    from layers.store.base import Store

LAYER = "buildings"
SEED = 20_261_122
#: Degrees from building to building, ≈ 22 m both ways at this latitude.
STEP = (0.0004, 0.0002)
ORIGIN = (24.0, 60.0)
BLOCK = 8  # buildings a side
BATCH_BLOCKS = 400
USES = ("residential", "office", "retail", "industrial", "school", "住宅")
FIELDS = (
    Field("name", "string"),
    Field("address", "string"),
    Field("use", "string"),
    Field("owner", "string"),
    Field("height", "number"),
    Field("area", "number"),
    Field("storeys", "integer"),
    Field("built", "date"),
)


@dataclass(frozen=True, slots=True)
class Town:
    """A square town of ``side`` × ``side`` blocks of 64 buildings."""

    side: int

    @property
    def count(self) -> int:
        """How many buildings it has."""
        return self.side * self.side * BLOCK * BLOCK

    def batches(self) -> Iterator[pa.Table]:
        """The rows in loading order: source id, WKB polygons of 5 to 9 positions, eight attributes."""
        order = np.random.default_rng(SEED).permutation(self.side * self.side)
        for start in range(0, len(order), BATCH_BLOCKS):
            yield _batch(order[start : start + BATCH_BLOCKS], start, self.side)

    def boxes(self, matches: int, count: int) -> list[Bbox]:
        """``count`` boxes anywhere in the town that each meet ≈ ``matches`` buildings."""
        rng = random.Random(SEED + matches)
        width = matches**0.5 - 0.5  # a building is half a step wide: the edges meet more than the area says
        found = []
        for _ in range(count):
            column, row = (rng.uniform(1, self.side * BLOCK - width - 1) for _ in range(2))
            west, south = ORIGIN[0] + column * STEP[0], ORIGIN[1] + row * STEP[1]
            box = (west, south, west + width * STEP[0], south + width * STEP[1])
            found.append(tuple(round(v, 7) for v in box))
        return found  # type: ignore[return-value]

    def fids(self, count: int) -> list[int]:
        """``count`` item ids; a first load numbers its rows from 1."""
        return random.Random(SEED).sample(range(1, self.count + 1), count)

    def load(self, store: Store, kind: str = "feature") -> None:
        """Make the layer in an empty store."""
        spec = LayerSpec(LAYER, kind, {"en": "Buildings", "zh-CN": "建筑物"}, FIELDS, "Polygon", "EPSG:4326")
        stage = store.stage(spec)
        for batch in self.batches():
            stage.add(batch)
        store.publish(stage, mode="create")


def _batch(blocks: NDArray[np.int64], start: int, side: int) -> pa.Table:
    rng = np.random.default_rng((SEED, start))
    number = start * BLOCK * BLOCK + np.arange(len(blocks) * BLOCK * BLOCK) + 1
    inner = np.tile(np.arange(BLOCK * BLOCK), len(blocks))
    block = np.repeat(blocks, BLOCK * BLOCK)
    column = block % side * BLOCK + inner % BLOCK
    row = block // side * BLOCK + inner // BLOCK
    columns: dict[str, Any] = {
        SOURCE_ID: [f"b{n:08}" for n in number.tolist()],
        WKB: pa.array(shapely.to_wkb(_footprints(column, row, rng)), pa.binary()),
    }
    return pa.table(columns | _attributes(number, column, row, rng))


def _footprints(column: NDArray[Any], row: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Star-shaped rings of 4 to 8 corners round the middle of each plot; positions rounded to 1 cm."""
    corners = rng.integers(4, 9, len(column))
    owner = np.repeat(np.arange(len(column)), corners)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(corners) - corners, corners)
    angle = (place + rng.uniform(0.1, 0.9, len(owner))) / corners[owner] * 2 * np.pi
    reach = rng.uniform(0.2, 0.3, len(owner))
    x = ORIGIN[0] + (column[owner] + 0.5 + reach * np.cos(angle)) * STEP[0]
    y = ORIGIN[1] + (row[owner] + 0.5 + reach * np.sin(angle)) * STEP[1]
    rings = shapely.linearrings(np.round(np.column_stack((x, y)), 7), indices=owner)
    return np.asarray(shapely.polygons(rings), dtype=object)


def _attributes(
    number: NDArray[Any], column: NDArray[Any], row: NDArray[Any], rng: np.random.Generator
) -> dict[str, Any]:
    count = len(number)
    storeys = rng.integers(1, 25, count)
    use = rng.choice(len(USES), count, p=(0.55, 0.15, 0.1, 0.1, 0.05, 0.05)).tolist()
    days = rng.integers(-25_000, 20_000, count).astype("datetime64[D]")
    return {
        "name": [f"Building {n}" if n % 3 else f"{n}号楼" for n in number.tolist()],
        "address": [f"{c % 97} Street {r}" for c, r in zip(column.tolist(), row.tolist(), strict=True)],
        "use": [USES[i] for i in use],
        "owner": [f"Owner {n}" if n % 2 else None for n in rng.integers(1, 9_000, count).tolist()],
        "height": np.round(storeys * 3.1 + rng.uniform(0, 3, count), 2),
        "area": np.round(rng.uniform(60, 900, count), 1),
        "storeys": storeys,
        "built": days.astype(str).tolist(),
    }

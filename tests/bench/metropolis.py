"""A city of a million buildings, a million addresses and 600 000 pipe sections, as files to be loaded.

It is drawn, not real: blocks between streets, as dense as they lie near the middle of the city or of one of
its towns, a river without houses, districts whose streets run in their own directions. The same numbers and
seed give the same files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio.raw
import shapely
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]

#: Longitude and latitude of the middle: land without a city.
MIDDLE = (114.3, 42.8)
#: Side (m) of the square that the whole city lies in, and of a block from street to street.
SIDE, BLOCK = 36_000.0, 100.0
#: Half the width (m) of a street, and of the river.
STREET, RIVER = 8.0, 250.0
#: East, north (m) of the middle of each centre, its weight, and the distance (m) at which it has faded.
CENTRES = (
    (0.0, 0.0, 1.0, 4_500.0),
    (9_000.0, 6_500.0, 0.5, 2_200.0),
    (-10_500.0, 4_000.0, 0.45, 1_800.0),
    (6_000.0, -11_000.0, 0.4, 1_700.0),
    (-8_000.0, -10_000.0, 0.35, 1_500.0),
)
#: Villages around, and parks within.
HAMLETS, PARKS = 60, 70
#: What runs below a street, and how often.
MEDIA = {"water": 1.0, "drainage": 1.0, "power": 0.9, "telecom": 0.8, "gas": 0.7, "heat": 0.35}
#: A medium has a main in every so many streets, each with a medium of its own, and a trunk in an eighth of
#: those.
MAINS = 8
USES = ("residential", "office", "retail", "industrial", "school")
_METRES = 111_320.0


@dataclass(frozen=True, slots=True)
class Metropolis:
    """How many there are of each, about for pipes and exactly for the others."""

    buildings: int = 1_000_000
    addresses: int = 1_000_000
    pipes: int = 600_000
    seed: int = 14
    side: float = SIDE

    def write(self, folder: Path) -> dict[str, Path]:
        """FlatGeobuf files by the kind of their layer. What is there already is kept."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {kind: folder / f"{kind}.fgb" for kind in ("building", "address", "pipeline")}
        if not all(file.exists() for file in files.values()):
            random = np.random.default_rng(self.seed)
            blocks = _blocks(random, self.side)
            houses = _houses(blocks, self.buildings, random)
            _save(files["building"], *_footprints(houses, random))
            _save(files["address"], *_doors(houses, self.addresses, random))
            _save(files["pipeline"], *_pipes(blocks, self.pipes, random))
        return files


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Blocks on the plan: middle (n, 2) in m, density (n,) 0…1, the direction (radians) of their district."""

    middle: Floats
    density: Floats
    turn: Floats


def _blocks(random: np.random.Generator, side: float) -> _Blocks:
    steps = np.arange(-side / 2 + BLOCK / 2, side / 2, BLOCK)
    middle = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    east, north = middle.T
    density = np.zeros(len(middle))
    for x, y, weight, fades in CENTRES:
        density += weight * np.exp(-np.hypot(east - x, north - y) / fades)
    hamlets = random.uniform(-SIDE / 2, SIDE / 2, (HAMLETS, 2))
    for x, y in hamlets.tolist():
        density += 0.15 * np.exp(-((np.hypot(east - x, north - y) / 350) ** 2))
    density = np.clip(density * (1 + 0.4 * np.sin(east / 1_700) * np.cos(north / 2_300)), 0, 1)
    river = 3_000 * np.sin(east / 6_000) - 1_500
    open_ = np.abs(north - river) > RIVER + BLOCK
    for x, y, long, wide in np.column_stack(
        [random.normal(0, 7_000, (PARKS, 2)), random.uniform(150, 700, (PARKS, 2))]
    ).tolist():
        open_ &= ((east - x) / long) ** 2 + ((north - y) / wide) ** 2 > 1
    turn = 0.35 * np.sin(np.floor(east / 3_000) * 2.3 + np.floor(north / 3_000) * 1.7)
    # the farther out, the fewer blocks have houses at all
    keep = open_ & (random.random(len(middle)) < 12 * density - 0.15)
    return _Blocks(middle[keep], density[keep], (turn * (density < 0.5))[keep])


@dataclass(frozen=True, slots=True)
class _Houses:
    """Lots in blocks: middle (n, 2) in m, sides (n, 2) in m, direction, density and block of each."""

    middle: Floats
    sides: Floats
    turn: Floats
    density: Floats
    block: Ints


def _houses(blocks: _Blocks, count: int, random: np.random.Generator) -> _Houses:
    share = blocks.density**0.6
    rows = np.clip(np.rint(np.sqrt(share * 40)), 1, 6).astype(np.int64)
    wanted = np.minimum(np.maximum(1, rows * rows * random.uniform(0.6, 1.0, len(rows))), rows * rows)
    wanted *= count / wanted.sum()
    filled = np.minimum(np.floor(wanted + random.random(len(wanted))), 64).astype(np.int64)
    while (missing := count - int(filled.sum())) != 0:
        chosen = random.choice(len(filled), min(abs(missing), len(filled)), replace=False)
        filled[chosen] = np.maximum(filled[chosen] + np.sign(missing), 0)
    block = np.repeat(np.arange(len(filled)), filled)
    place = np.arange(count) - np.repeat(np.cumsum(filled) - filled, filled)
    across = np.ceil(np.sqrt(filled)).astype(np.int64)[block]
    lot = (BLOCK - 2 * STREET) / across
    own = np.stack([place % across, place // across], axis=1) + 0.5
    own = own * lot[:, None] - (BLOCK / 2 - STREET)
    sides = lot[:, None] * random.uniform(0.45, 0.9, (count, 2))
    own += random.uniform(-0.5, 0.5, (count, 2)) * (lot[:, None] - sides)
    turn = blocks.turn[block]
    return _Houses(blocks.middle[block] + _turned(own, turn), sides, turn, blocks.density[block], block)


def _turned(points: Floats, by: Floats) -> Floats:
    cos, sin = np.cos(by), np.sin(by)
    return np.stack(
        [points[:, 0] * cos - points[:, 1] * sin, points[:, 0] * sin + points[:, 1] * cos], axis=1
    )


def _footprints(houses: _Houses, random: np.random.Generator) -> tuple[NDArray[Any], str, dict[str, Any]]:
    """Rectangles, of which a third lack a corner."""
    count = len(houses.middle)
    cut = np.where(random.random(count) < 0.33, random.uniform(0.3, 0.6, count), 0.0)
    shapes = np.empty(count, object)
    for chosen, x, y in (
        (np.flatnonzero(cut == 0), (-1, 1, 1, -1), (-1, -1, 1, 1)),
        # 0 stands for where the corner is drawn in to
        (np.flatnonzero(cut > 0), (-1, 1, 1, 0, 0, -1), (-1, -1, 0, 0, 1, 1)),
    ):
        corners = np.stack([x, y], axis=1) / 2
        drawn_in = 0.5 - cut[chosen, None, None]
        plan = np.where(corners == 0, drawn_in, corners) * houses.sides[chosen, None]
        around = np.repeat(chosen, len(corners))
        flat = _turned(plan.reshape(-1, 2), houses.turn[around]) + houses.middle[around]
        shapes[chosen] = shapely.polygons(_lonlat(flat).reshape(len(chosen), -1, 2))
    tall = random.gamma(2.0, 1.0, count) * (2.0 + 38.0 * houses.density**1.5)
    levels = np.clip(np.rint(tall / 3.2), 1, 70).astype(np.int32)
    known = random.random(count)
    return (
        shapes,
        "Polygon",
        {
            "code": [f"B{i:07d}" for i in range(count)],
            "name": [
                f"岚江{block % 97 + 1}号楼{i % 31 + 1}" if i % 9 == 0 else None
                for i, block in enumerate(houses.block)
            ],
            "use": pa.DictionaryArray.from_arrays(
                pa.array(random.choice(len(USES), count, p=[0.62, 0.12, 0.1, 0.12, 0.04]), pa.int8()),
                list(USES),
            ).cast(pa.string()),
            "height": pa.array(np.round(levels * 3.2, 1), mask=known > 0.4),
            "building:levels": pa.array(levels, mask=known > 0.8),
        },
    )


def _doors(
    houses: _Houses, count: int, random: np.random.Generator
) -> tuple[NDArray[Any], str, dict[str, Any]]:
    """A point at the south side of a house; some houses have two, some none."""
    at = np.sort(random.integers(0, len(houses.middle), count))
    south = np.stack(
        [random.uniform(-0.3, 0.3, count) * houses.sides[at, 0], -houses.sides[at, 1] / 2 - 1], axis=1
    )
    places = _lonlat(houses.middle[at] + _turned(south, houses.turn[at]))
    street = houses.block[at] % 2_811
    number = at % 199 + 1
    streets = [f"岚江{'东南西北中'[i % 5]}{'河山林海云'[i // 5 % 5]}{i // 25 + 1}路" for i in range(2_811)]
    named = [streets[i] for i in street.tolist()]
    return (
        shapely.points(places),
        "Point",
        {
            "street": named,
            "number": [str(n) for n in number.tolist()],
            "full_address": [f"岚江市{s}{n}号" for s, n in zip(named, number.tolist(), strict=True)],
            "postcode": [f"98{i % 100:02d}{i % 7:02d}" for i in street.tolist()],
        },
    )


def _pipes(
    blocks: _Blocks, count: int, random: np.random.Generator
) -> tuple[NDArray[Any], str, dict[str, Any]]:
    """Below the streets south and west of each block, from crossing to crossing."""
    half = BLOCK / 2
    ends = np.array([[[-half, -half], [half, -half]], [[-half, -half], [-half, half]]])
    sections = (blocks.middle[:, None, None] + ends[None]).reshape(-1, 2, 2)
    density = np.repeat(blocks.density, 2)
    often = np.array(list(MEDIA.values()))
    # the densest streets have all, the edge of the city what there is to have
    odds = often[None] * np.clip(density[:, None] * 6 + 0.25, 0, 1)
    odds *= count / odds.sum()
    street, medium = np.nonzero(random.random(odds.shape) < odds)
    lines = sections[street]
    along = lines[:, 1] - lines[:, 0]
    left = np.stack([-along[:, 1], along[:, 0]], axis=1) / BLOCK
    lines = lines + (left * ((medium - 2.5) * 2.0)[:, None])[:, None]
    n = len(lines)
    shapes = shapely.linestrings(_lonlat(lines.reshape(-1, 2)).reshape(n, 2, 2))
    # which street it is: a row of crossings or a column of them
    number = np.rint(sections[street, 0, 1 - street % 2] / BLOCK).astype(np.int64)
    wider = np.where(number % (8 * MAINS) == MAINS * medium, 4, np.where(number % MAINS == medium, 2, 1))
    sizes = np.array([200, 250, 150, 110, 160, 250])[medium] * wider
    names = np.array(list(MEDIA))
    return (
        shapes,
        "LineString",
        {
            "code": [f"P{i:07d}" for i in range(n)],
            "medium": names[medium].tolist(),
            "diameter": sizes.astype(float),
            "depth": pa.array(np.round(random.uniform(0.7, 4.0, n), 2), mask=random.random(n) > 0.7),
            "material": np.array(["PE", "铸铁", "混凝土", "钢"])[random.integers(0, 4, n)].tolist(),
        },
    )


def _lonlat(plan: Floats) -> Floats:
    east = MIDDLE[0] + plan[:, 0] / (_METRES * np.cos(np.radians(MIDDLE[1])))
    return np.stack([east, MIDDLE[1] + plan[:, 1] / _METRES], axis=1)


def _save(file: Path, shapes: NDArray[Any], type_: str, columns: dict[str, Any]) -> None:
    table = pa.table(
        {name: pa.array(column) for name, column in columns.items()} | {"geom": shapely.to_wkb(shapes)}
    )
    making = file.with_name(f"making-{file.name}")
    pyogrio.raw.write_arrow(
        table, making, driver="FlatGeobuf", geometry_name="geom", geometry_type=type_, crs="EPSG:4326"
    )
    making.rename(file)

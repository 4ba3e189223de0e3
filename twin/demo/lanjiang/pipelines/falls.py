"""How drains fall: along each road to one of its ends, or from a summit between them to both.

The level told is that of rain drains (m, invert); sewers lie below by what they measure. Where no rain drain
lies beside a sewer, the level is where one would lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from twin.demo.lanjiang.pipelines import conduits, trunks
from twin.demo.lanjiang.pipelines.conduits import Line
from twin.demo.lanjiang.pipelines.media import BELOW_RAIN, DRAIN_COVER, RAIN, SEWER, Medium
from twin.demo.lanjiang.pipelines.trunks import BANKS
from twin.demo.lanjiang.plan import Class

#: Fall at least, by class of road, and at most.
_LEAST = {Class.MAIN: 0.001, Class.COLLECTOR: 0.0015, Class.STREET: 0.002, Class.LANE: 0.002}
_MOST = 0.012
#: How much (m) a drain comes in above the one that it falls to.
_DROP = 0.06
#: Where the drains to both ends begin: metres between them, and from there to a joint; from an end of the
#: road that they do not fall to; a way shorter than this is left out.
_GAP, _CLEAR, _FREE, _SHORT = 12.0, 14.0, 20.0, 50.0


@dataclass(frozen=True, slots=True)
class Branch:
    """A drain between places along its line (shares), from where it starts to where it falls."""

    head: float
    outlet: float
    head_m: float
    outlet_m: float

    def has(self, share: float) -> bool:
        """Whether a place lies on it."""
        low, high = sorted((self.head, self.outlet))
        return low - 1e-6 <= share <= high + 1e-6

    def level(self, share: float) -> float:
        """The level there, or further on as it goes."""
        way = (share - self.outlet) / (self.head - self.outlet)
        return self.outlet_m + (self.head_m - self.outlet_m) * way


@dataclass(frozen=True, slots=True)
class Fall:
    """The drains of a road; ``pipes``: diameters (mm) of rain drain and sewer; ``sewer`` what lies otherwise
    than the rain drain."""

    branches: tuple[Branch, ...]
    pipes: tuple[int, int]
    sewer: Branch | None = None

    def of(self, medium: Medium) -> tuple[Branch, ...]:
        """The drains of a class, with its own levels."""
        if medium is RAIN:
            return self.branches
        if self.sewer:
            return (self.sewer,)
        below = self.pipes[1] / 1_000 + BELOW_RAIN
        return tuple(
            Branch(one.head, one.outlet, one.head_m - below, one.outlet_m - below) for one in self.branches
        )

    def level(self, share: float) -> float | None:
        """The level at a place, None where no drain is near."""
        found = [one for one in self.branches if one.has(share)]
        return found[0].level(share) if found else None


@lru_cache(maxsize=512)
def main(seed: int, level: bool, i: int, j: int) -> Fall | None:
    """The drains of a main road."""
    line = conduits.main(seed, RAIN, level, i, j)
    if line is None:
        return None
    a, b = (i, j), trunks.beyond(level, i, j)
    high, low = trunks.rain(seed, *a), trunks.rain(seed, *b)
    if trunks.downstream(seed, *a) == b:
        return Fall((Branch(0.0, 1.0, high, low),), trunks.size(a[1]))
    if trunks.downstream(seed, *b) == a:
        return Fall((Branch(1.0, 0.0, low, high),), trunks.size(b[1]))
    outlets = [
        level_m + _DROP if trunks.drained(seed, *one) else None for one, level_m in ((a, high), (b, low))
    ]
    joints = [
        along / each.long
        for medium in (RAIN, SEWER)
        if (each := conduits.main(seed, medium, level, i, j))
        for along in conduits.main_joints(seed, medium, level, i, j)
    ]
    branches = tuple(_branches(line, outlets, joints))
    pipes = (RAIN.size[Class.MAIN][0], SEWER.size[Class.MAIN][0])
    works = trunks.treatment(i)
    if level and j in BANKS and works == trunks.treatment(i + 1):
        first, last = trunks.sewer(seed, *a), trunks.sewer(seed, *b)
        along = Branch(0.0, 1.0, first, last) if works > i else Branch(1.0, 0.0, last, first)
        return Fall(branches, (pipes[0], trunks.INTERCEPTOR), along)
    return Fall(branches, pipes)


@lru_cache(maxsize=64)
def inside(seed: int, i: int, j: int) -> dict[int, Fall]:
    """The drains of a superblock by street, those of the main roads around it with them."""
    found: dict[int, Fall] = {}
    for number, (level, di, dj) in enumerate(conduits.SIDES):
        if fall := main(seed, level, i + di, j + dj):
            found[number] = fall
    rain, sewer = (conduits.laid(seed, medium, i, j) for medium in (RAIN, SEWER))
    for number, line in sewer.lines.items():
        if number in found or number < len(conduits.SIDES):
            continue
        outlets: list[float | None] = []
        for end in (0, 1):
            levels = []
            for laid in (rain, sewer):
                own = laid.lines.get(number)
                parent = own.parents[end] if own else None
                if own and parent is not None and parent in found:
                    on = laid.lines[parent]
                    place = own.end if end else own.start
                    levels.append(found[parent].level(on.along(place) / on.long))
            known = [one for one in levels if one is not None]
            outlets.append(max(known) + _DROP if known and len(known) == len(levels) else None)
        joints = [
            joint.along / laid.lines[number].long
            for laid in (rain, sewer)
            for joint in laid.joints.get(number, ())
        ]
        pipes = (RAIN.size[line.cls][0] if line.cls in RAIN.off else 0, SEWER.size[line.cls][0])
        found[number] = Fall(tuple(_branches(line, outlets, joints)), pipes)
    return found


def _branches(line: Line, outlets: Sequence[float | None], joints: Sequence[float]) -> Iterator[Branch]:
    """Drains of a line to those of its ends that have an outlet."""
    long, (a, b) = line.long, outlets
    least = _LEAST[line.cls]
    if a is None and b is None:
        return
    if a is None or b is None:
        summit = 0.0 if a is None else long
    else:
        summit = _summit(long, [one * long for one in joints], (long + (b - a) / least) / 2)
    first = min([_FREE, *(one * long - 4 for one in joints)])
    last = max([long - _FREE, *(one * long + 4 for one in joints)])
    if summit > 0 and a is not None:
        yield _branch(line, 0.0, last if summit == long else summit - _GAP / 2, a)
    if summit < long and b is not None:
        yield _branch(line, long, first if summit == 0 else summit + _GAP / 2, b)


def _summit(long: float, joints: Sequence[float], best: float) -> float:
    """Where both drains begin, not at a joint; an end where one of them would be short."""
    for step in range(60):
        at = round(best + (step + 1) // 2 * (8 if step % 2 else -8), 3)
        if _SHORT < at < long - _SHORT and all(abs(at - one) > _CLEAR for one in joints):
            return at
    return 0.0 if best < long / 2 else long


def _branch(line: Line, outlet: float, head: float, base: float) -> Branch:
    """From an outlet's level as steep as the ground allows."""
    way = np.linspace(0, 1, 17)[1:]
    cover = DRAIN_COVER + 0.05
    cover += RAIN.high(line.cls) if line.cls in RAIN.off else -BELOW_RAIN
    ground = trunks.ground(line.at(outlet), line.at(head), way)
    far = abs(head - outlet)
    slope = float(((ground - cover - base) / (way * far)).min())
    slope = min(max(slope, _LEAST[line.cls]), _MOST)
    return Branch(head / line.long, outlet / line.long, round(base + slope * far, 3), round(base, 3))

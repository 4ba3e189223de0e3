"""What a simulated sensor reads at a moment: daily curves, noise, and events that cross thresholds.

Every value is a function of (seed, sensor, time) alone, so a restarted simulator goes on where it
was, and a back-filled day joins the live one without a step.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on its arguments alone."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) / 2**56


def noise(seed: int, name: str, at: float, step: float) -> float:
    """Smooth noise in [-1, 1]: a new value each ``step`` seconds, cosine between them."""
    cell, part = divmod(at / step, 1)
    left, right = chance(seed, name, int(cell)), chance(seed, name, int(cell) + 1)
    blend = (1 - math.cos(part * math.pi)) / 2
    return (left + (right - left) * blend) * 2 - 1


def bump(hour: float, peak: float, width: float) -> float:
    """A bell over the hours of a day, 1 at its peak."""
    away = min(abs(hour - peak), 24 - abs(hour - peak))
    return math.exp(-((away / width) ** 2))


def event(seed: int, name: str, at: float, every: float, lasting: float) -> float:
    """0 most of the time; about once in ``every`` seconds it rises to 1 and falls within ``lasting``."""
    cell = int(at // every)
    begin = cell * every + chance(seed, name, "event", cell) * (every - lasting)
    if not begin <= at <= begin + lasting:
        return 0.0
    return math.sin((at - begin) / lasting * math.pi) ** 2


@dataclass(frozen=True, slots=True)
class Model:
    """How one observed property behaves; ``curve`` takes (seed, sensor, seconds, local hour, event)."""

    property: str
    every: float
    lasting: float
    digits: int
    curve: Callable[[int, str, float, float, float], float]

    def value(self, seed: int, name: str, at: float, zone_hours: float) -> float:
        """The reading at a moment (seconds since 1970)."""
        hour = (at / 3600 + zone_hours) % 24
        crest = event(seed, name, at, self.every, self.lasting)
        return round(self.curve(seed, name, at, hour, crest), self.digits)


def _level(seed: int, name: str, at: float, hour: float, crest: float) -> float:
    base = 0.55 + 0.25 * chance(seed, name)
    tide = 0.12 * math.sin(at / (12.42 * 3600) * 2 * math.pi)
    height = 0.7 + 0.9 * chance(seed, name, "height")
    return base + tide + height * crest + 0.02 * noise(seed, name, at, 600)


def _pressure(seed: int, name: str, at: float, hour: float, crest: float) -> float:
    base = 0.40 + 0.08 * chance(seed, name)
    use = 0.06 * bump(hour, 7.5, 2) + 0.05 * bump(hour, 19.5, 2.5)
    drop = (0.12 + 0.16 * chance(seed, name, "drop")) * crest
    return max(0.02, base - use - drop + 0.008 * noise(seed, name, at, 300))


def _dust(seed: int, name: str, at: float, hour: float, crest: float) -> float:
    base = 9 + 8 * chance(seed, name)
    traffic = 11 * bump(hour, 8, 1.8) + 9 * bump(hour, 17, 2.2)
    cloud = (60 + 130 * chance(seed, name, "cloud")) * crest
    return max(1.0, base + traffic + cloud + 4 * noise(seed, name, at, 900))


def _speed(seed: int, name: str, at: float, hour: float, crest: float) -> float:
    free = 32 + 16 * chance(seed, name)
    jam = 0.35 * bump(hour, 8.2, 1.3) + 0.4 * bump(hour, 16.8, 1.6)
    value = free * (1 - jam) * (1 - 0.85 * crest) + 2.5 * noise(seed, name, at, 240)
    return max(2.0, value)


def _gas(seed: int, name: str, at: float, hour: float, crest: float) -> float:
    leak = (6 + 24 * chance(seed, name, "leak")) * crest
    return max(0.0, 0.6 + 0.5 * noise(seed, name, at, 1200) + leak)


MODELS = {
    model.property: model
    for model in (
        Model("water_level", 3 * 3600, 1500, 3, _level),
        Model("water_pressure", 2.5 * 3600, 900, 3, _pressure),
        Model("pm2_5", 3 * 3600, 1500, 1, _dust),
        Model("traffic_speed", 1.5 * 3600, 900, 1, _speed),
        Model("gas_lel", 4 * 3600, 1200, 1, _gas),
    )
}

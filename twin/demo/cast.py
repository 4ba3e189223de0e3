"""Who plays in a simulation: sensors, each with what it reads at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from twin.demo.curves import MODELS, Model, event
from twin.demo.places import Place, Places

#: Seconds between values of a sensor, where its device list says nothing of it.
PERIOD = 20.0
SILENT_EVERY, SILENT_FOR = 7_200.0, 240.0
#: Of an event that is 1 at its crest, where it is an alarm.
_CREST = 0.85
_TITLES = {
    "water_level": ("Water level", "metre", "m", "ucum:m"),
    "water_pressure": ("Water pressure", "megapascal", "MPa", "ucum:MPa"),
    "pm2_5": ("PM2.5", "microgram per cubic metre", "µg/m³", "ucum:ug/m3"),
    "traffic_speed": ("Traffic speed", "kilometre per hour", "km/h", "ucum:km/h"),
    "gas_lel": ("Combustible gas", "percent of lower explosive limit", "%LEL", "ucum:%{LEL}"),
}


def _never(_at: float, _value: float = 0.0) -> bool:
    return False


@dataclass(slots=True)
class Role:
    """One sensor. ``values`` gives what it reads at played times (seconds since 1970), ``peaks`` whether what
    it reads at one is an alarm, ``silent`` whether nothing is sent; ``unit``: name, symbol, definition."""

    key: str
    property: str
    title: str
    name: str
    unit: tuple[str, str, str]
    place: Place
    values: Callable[[Sequence[float]], list[float]]
    peaks: Callable[[float, float], bool] = _never
    silent: Callable[[float], bool] = _never
    properties: Mapping[str, Any] = field(default_factory=dict)
    #: Of the server: the datastream, and the newest time (s) that it has.
    datastream: int = 0
    newest: float | None = None


def drawn(http: httpx.Client, seed: int, count: int) -> Iterator[Role]:
    """Sensors of the five kinds in turn, at places of the city. Raises NotFound: it has no features."""
    places = Places(http, seed)
    share = -(-count // len(MODELS))
    spots = {name: places.pick(name, share) for name in MODELS}
    for i in range(count):
        model = list(MODELS.values())[i % len(MODELS)]
        number = i // len(MODELS)
        yield _role(model, number + 1, spots[model.property][number], seed)


def _role(model: Model, number: int, place: Place, seed: int) -> Role:
    key = f"{model.property}-{number:03d}"
    title, unit, symbol, definition = _TITLES[model.property]
    zone = place.lon / 15
    return Role(
        key,
        model.property,
        title,
        f"{title} {number:03d}" + (f" · {place.name}" if place.name else ""),
        (unit, symbol, definition),
        place,
        lambda times: [model.value(seed, key, at, zone) for at in times],
        lambda at, _: event(seed, key, at, model.every, model.lasting) > _CREST,
        lambda at: event(seed, key + "/silent", at, SILENT_EVERY, SILENT_FOR) > 0,
        {"period": PERIOD},
    )

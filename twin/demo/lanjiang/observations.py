"""What a sensor of the city reads: a pure function of seed, stream and time: any window can be asked for.

Who lives there gives days and weeks their curves, the weather what is wet; nothing is kept from one time to
another, and no two streams have the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.demo.lanjiang import weather
from twin.demo.lanjiang.draws import key, uniform

type Floats = NDArray[np.float64]

#: Seconds that the clocks of the city are ahead of UTC.
ZONE = 8 * 3_600
#: Monday of the first whole week after 1970 began, on those clocks.
_MONDAY = 4 * 86_400


@dataclass(frozen=True, slots=True)
class Stream:
    """What is observed where. ``nominal`` is what the device list says of the size of it, in the unit of the
    property: the flow at midday, places of a car park, kilowatts of a pump; 0 where nothing is said."""

    code: str
    property: str
    lon: float
    lat: float
    nominal: float = 0.0


@dataclass(frozen=True, slots=True)
class Moments:
    """Times as a stream feels them."""

    seed: int
    stream: Stream
    times: Floats

    @property
    def hour(self) -> Floats:
        """Hours of the day, by the clocks of the city."""
        hour: Floats = (self.times + ZONE) % 86_400 / 3_600
        return hour

    @property
    def weekend(self) -> Floats:
        """1 on Saturdays and Sundays, else 0; from one to the other within the hour after midnight."""
        days = (self.times + ZONE - _MONDAY) / 86_400 % 7
        off: Floats = np.clip((days - 5) * 24, 0, 1) * (days >= 5) + np.clip(1 - days * 24, 0, 1) * (days < 5)
        return off

    def own(self, what: str, low: float = 0.0, high: float = 1.0) -> float:
        """A trait of the stream, the same at all times."""
        drawn = uniform(key(self.seed, self.stream.code, what), np.zeros(1, np.int64))
        return low + (high - low) * float(drawn[0])

    def noise(self, what: str, seconds: float) -> Floats:
        """In [-1, 1], smooth, another value each so many seconds."""
        of = key(self.seed, self.stream.code, what)
        steps = self.times / seconds + self.own(what + "/phase")
        cells = np.floor(steps).astype(np.int64)
        part = steps - cells
        left, right = uniform(of, cells), uniform(of, cells + 1)
        smooth: Floats = (left + (right - left) * part * part * (3 - 2 * part)) * 2 - 1
        return smooth

    def bell(self, peak: float, wide: float) -> Floats:
        """Over the hours of a day, 1 at its peak, which is a little earlier or later for each stream."""
        away = np.abs(self.hour - peak - self.own("early", -0.5, 0.5))
        bell: Floats = np.exp(-((np.minimum(away, 24 - away) / wide) ** 2))
        return bell

    def demand(self) -> Floats:
        """Water as people take it, 1 on average: mornings and evenings, later on days without work."""
        work = 0.35 + 1.1 * self.bell(7.3, 1.6) + 0.5 * self.bell(12.2, 1.8) + 1.0 * self.bell(19.3, 2.4)
        free = 0.35 + 0.9 * self.bell(9.6, 2.2) + 0.6 * self.bell(13, 2.2) + 1.0 * self.bell(19.6, 2.8)
        used: Floats = 1.25 * (work + (free - work) * self.weekend)
        return used

    def traffic(self) -> Floats:
        """0 at night to 1 at rush hours; a third less on days without work."""
        rush = 0.45 * self.bell(13, 4.5) + 0.55 * self.bell(8, 1.4) + 0.6 * self.bell(18, 1.7)
        free = 0.6 * self.bell(15, 4.8)
        moving: Floats = np.minimum(1.0, rush + (free - rush) * self.weekend)
        return moving

    def rain(self) -> Floats:
        """Millimetres an hour."""
        return weather.rain(self.seed, self.stream.lon, self.stream.lat, self.times)

    def wet(self, minutes: float) -> Floats:
        """The rain as it arrives later (mm/h)."""
        return weather.wetness(self.seed, self.stream.lon, self.stream.lat, self.times, minutes)


def observed(seed: int, stream: Stream, times: Floats) -> Floats:
    """What a stream reads at times (seconds since 1970), in the unit of its property and the digits that it
    is sent with. Raises KeyError for a property that nothing here observes."""
    curve, digits = CURVES[stream.property]
    return np.round(curve(Moments(seed, stream, np.asarray(times, np.float64))), digits)


def _pressure(m: Moments) -> Floats:
    return m.own("base", 0.345, 0.4) - 0.028 * m.demand() + 0.006 * m.noise("jitter", 400)


def _flow(m: Moments) -> Floats:
    return m.stream.nominal * m.demand() * (1 + 0.06 * m.noise("jitter", 900))


def _turbidity(m: Moments) -> Floats:
    return m.own("base", 0.15, 0.4) + 0.08 * m.noise("slow", 14_000) + 0.004 * m.wet(180)


def _level(m: Moments) -> Floats:
    """In a drain: sewage an hour after the water was taken, and rain; ``nominal`` is the level that an
    inflow of 10 mm/h makes."""
    sewage = 0.18 * m.own("sewage", 0.3, 1.3) * m.demand()
    return (
        0.06 + sewage + m.stream.nominal / 10 * m.wet(m.own("lag", 12, 30)) + 0.008 * m.noise("jitter", 500)
    )


def _gas(m: Moments) -> Floats:
    return np.maximum(0.0, 0.35 + 0.3 * m.noise("slow", 7_200) + 0.25 * m.noise("jitter", 700))


def _noise(m: Moments) -> Floats:
    heard = m.own("base", 44, 50) + m.own("busy", 9, 17) * m.traffic() + 0.12 * m.rain()
    return heard + 1.8 * m.noise("jitter", 300)


def _dust(m: Moments, base: float, busy: float) -> Floats:
    """Dust that traffic raises, still air keeps and rain washes out."""
    air = base * (1 + 0.5 * m.noise("air", 90_000)) * m.own("place", 0.85, 1.2) + busy * m.traffic()
    return np.maximum(1.0, air * (1 - 0.55 * np.tanh(m.wet(25) / 4)) + 0.06 * base * m.noise("jitter", 1_200))


def _rainfall(m: Moments) -> Floats:
    return m.rain()


def _road_water(m: Moments) -> Floats:
    return np.maximum(0.0, m.own("low", 0.15, 0.4) * m.wet(14) - 2.5)


def _tilt(m: Moments) -> Floats:
    sun = 0.012 * np.sin((m.hour - 8) / 24 * 2 * np.pi)
    return np.abs(m.own("base", 0.03, 0.22) + sun + 0.006 * m.noise("jitter", 3_000))


def _lamp(m: Moments) -> Floats:
    """Amperes of a lamp's circuit: lit from dusk to dawn, a third less bright after eleven."""
    season = np.cos(((m.times / weather.YEAR) % 1 - 0.47) * 2 * np.pi)
    dusk, dawn = 18.4 + 1.3 * season + m.own("cell", 0, 0.15), 5.9 - 1.3 * season + m.own("cell", 0, 0.15)
    lit = (m.hour >= dusk) | (m.hour < dawn)
    dim = (m.hour >= 23) | (m.hour < 4.5)
    return np.where(
        lit, m.own("lamp", 0.75, 1.15) * np.where(dim, 0.65, 1) + 0.015 * m.noise("volt", 900), 0.0
    )


def _cover(m: Moments) -> Floats:
    return np.abs(m.own("set", 0.2, 2.5) + 0.25 * m.noise("jitter", 1_500) * (0.3 + m.traffic()))


def _parking(m: Moments) -> Floats:
    """Where people work by day, where they live by night."""
    work = m.own("work")
    by_day = (m.bell(11, 3.2) + 0.7 * m.bell(15.5, 2.6)) * (1 - 0.6 * m.weekend)
    home = 0.45 + 0.5 * m.bell(1.5, 7) - 0.1 * by_day
    share = np.where(work > 0.5, 0.06 + 0.75 * by_day, home) + 0.05 * m.noise("jitter", 1_800)
    return np.round(m.stream.nominal * np.clip(share, 0, 1))


def _pump(m: Moments) -> Floats:
    """A set of three that start one after the other."""
    inflow = 0.16 * m.demand() + m.wet(25) / 6
    running = (inflow > 0.22).astype(float) + (inflow > 0.7) + (inflow > 1.6)
    return running / 3 * m.stream.nominal * (1 + 0.02 * m.noise("load", 600))


#: What each property reads, and with how many digits.
CURVES: dict[str, tuple[Callable[[Moments], Floats], int]] = {
    "water_pressure": (_pressure, 3),
    "water_flow": (_flow, 1),
    "turbidity": (_turbidity, 2),
    "water_level": (_level, 3),
    "gas_lel": (_gas, 1),
    "noise": (_noise, 1),
    "pm10": (lambda m: _dust(m, 46, 22), 1),
    "pm2_5": (lambda m: _dust(m, 24, 11), 1),
    "rainfall": (_rainfall, 1),
    "road_water": (_road_water, 1),
    "tilt": (_tilt, 3),
    "lamp_current": (_lamp, 2),
    "cover_tilt": (_cover, 1),
    "parking": (_parking, 0),
    "pump_power": (_pump, 1),
}

"""``twin simulate``: sensors and incidents played at a running server through its public API only.

Everything it makes says so: ``properties.simulated`` on Things, ``simulated`` on incidents. It
finds what it made before by ``properties.simulator``, so a restart adds nothing twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from layers.errors import NoKey, TwinError, Unavailable
from twin.demo.curves import MODELS, Model, event
from twin.demo.places import Place, Places
from twin.demo.story import Story

MARK = "onemap-twin"
BACKFILL_SECONDS = 86_400
BACKFILL_STEP = 300
PERIOD = 20.0
TICK_SECONDS = 2.0
READ_EVERY_TICKS = 5
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
GROUP = 8
SILENT_EVERY, SILENT_FOR = 7_200.0, 240.0
_TITLES = {
    "water_level": ("Water level", "metre", "m", "ucum:m"),
    "water_pressure": ("Water pressure", "megapascal", "MPa", "ucum:MPa"),
    "pm2_5": ("PM2.5", "microgram per cubic metre", "µg/m³", "ucum:ug/m3"),
    "traffic_speed": ("Traffic speed", "kilometre per hour", "km/h", "ucum:km/h"),
    "gas_lel": ("Combustible gas", "percent of lower explosive limit", "%LEL", "ucum:%{LEL}"),
}
_MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"


@dataclass(slots=True)
class Played:
    """One simulated sensor: its key, model, place, datastream id and the newest time the server has."""

    key: str
    model: Model
    place: Place
    datastream: int = 0
    newest: float | None = None


@dataclass(slots=True)
class Simulator:
    """One run. ``clock`` is wall time in seconds; the played time runs ``speed`` times as fast."""

    http: httpx.Client
    seed: int
    speed: float
    sensors: int
    played: list[Played] = field(default_factory=list)
    began: float = field(default_factory=time.time)
    ticks: int = 0
    story: Story | None = None

    def prepare(self) -> None:
        """Find or make the sensors, fill the last day, begin the incidents."""
        if not self.played:
            self.played = list(self._cast())
        have = self._existing()
        for sensor in self.played:
            if sensor.key in have:
                sensor.datastream, sensor.newest = have[sensor.key]
            else:
                sensor.datastream, sensor.newest = self._make(sensor), None
        self._backfill()
        self.story = Story(self.http, self.seed)
        self.story.begin([(s.place.lon, s.place.lat) for s in self.played])

    def tick(self) -> None:
        """A fifth of the sensors reports; now and then an incident begins or moves."""
        now = time.time()
        turn = [s for i, s in enumerate(self.played) if i % READ_EVERY_TICKS == self.ticks % READ_EVERY_TICKS]
        self.ticks += 1
        self._post({s.datastream: [(now, self._value(s, now))] for s in turn if not self._silent(s, now)})
        if self.story is not None:
            for sensor in turn:
                crest = self._crest(sensor, now)
                if crest > 0.85:
                    at = (sensor.place.lon, sensor.place.lat)
                    self.story.alarm(sensor.model.property, sensor.datastream, at, sensor.place.name)
            self.story.tick(self._time(now))

    def _time(self, now: float) -> float:
        return self.began + (now - self.began) * self.speed

    def _value(self, sensor: Played, now: float) -> float:
        zone = sensor.place.lon / 15
        return sensor.model.value(self.seed, sensor.key, self._time(now), zone)

    def _crest(self, sensor: Played, now: float) -> float:
        model = sensor.model
        return event(self.seed, sensor.key, self._time(now), model.every, model.lasting)

    def _silent(self, sensor: Played, now: float) -> bool:
        return event(self.seed, sensor.key + "/silent", self._time(now), SILENT_EVERY, SILENT_FOR) > 0

    def _cast(self) -> Iterator[Played]:
        """Who plays: the observed properties in turn, at places of the city."""
        places = Places(self.http, self.seed)
        share = -(-self.sensors // len(MODELS))
        spots = {name: places.pick(name, share) for name in MODELS}
        for i in range(self.sensors):
            model = list(MODELS.values())[i % len(MODELS)]
            number = i // len(MODELS)
            yield Played(f"{model.property}-{number + 1:03d}", model, spots[model.property][number])

    def _existing(self) -> dict[str, tuple[int, float | None]]:
        existing: dict[str, tuple[int, float | None]] = {}
        url: str | None = "/sta/v1.1/Things"
        params: dict[str, str] | None = {
            "$filter": f"properties/simulator eq '{MARK}' and properties/seed eq {self.seed}",
            "$expand": "Datastreams($top=1)",
            "$top": "500",
        }
        while url:
            page = self.http.get(url, params=params).raise_for_status().json()
            for thing in page["value"]:
                for stream in thing["Datastreams"]:
                    span = stream.get("phenomenonTime", "").rpartition("/")[2]
                    newest = datetime.fromisoformat(span).timestamp() if span else None
                    existing[thing["properties"]["key"]] = (stream["@iot.id"], newest)
            url, params = page.get("@iot.nextLink"), None
        return existing

    def _make(self, sensor: Played) -> int:
        title, unit, symbol, ucum = _TITLES[sensor.model.property]
        number = sensor.key.rpartition("-")[2]
        name = f"{title} {number}" + (f" · {sensor.place.name}" if sensor.place.name else "")
        body = {
            "name": name,
            "description": "A simulated sensor of the demonstration",
            "properties": {"simulated": True, "simulator": MARK, "seed": self.seed, "key": sensor.key},
            "Locations": [
                {
                    "name": sensor.place.name or name,
                    "description": "Position taken from a layer of the city",
                    "encodingType": "application/geo+json",
                    "location": {"type": "Point", "coordinates": [sensor.place.lon, sensor.place.lat]},
                }
            ],
            "Datastreams": [
                {
                    "name": name,
                    "description": f"{title}, simulated",
                    "observationType": _MEASUREMENT,
                    "unitOfMeasurement": {"name": unit, "symbol": symbol, "definition": ucum},
                    "properties": {"simulated": True, "period": PERIOD},
                    "Sensor": {
                        "name": "Simulator",
                        "description": "twin simulate",
                        "encodingType": "text/plain",
                        "metadata": "daily curve with noise and events",
                    },
                    "ObservedProperty": {
                        "name": sensor.model.property,
                        "definition": f"urn:onemap-twin:observed-property:{sensor.model.property}",
                        "description": title,
                    },
                }
            ],
        }
        made = self.http.post("/sta/v1.1/Things", json=body).raise_for_status()
        streams = self.http.get(f"{made.headers['location']}/Datastreams").raise_for_status()
        return int(streams.json()["value"][0]["@iot.id"])

    def _backfill(self) -> None:
        """The last 24 h in 5-minute steps, or what is missing of them."""
        now = time.time()
        for i in range(0, len(self.played), GROUP):
            rows: dict[int, list[tuple[float, float]]] = {}
            for sensor in self.played[i : i + GROUP]:
                begin = max(now - BACKFILL_SECONDS, (sensor.newest or 0) + BACKFILL_STEP)
                first = -(-begin // BACKFILL_STEP) * BACKFILL_STEP
                times = [first + k * BACKFILL_STEP for k in range(int((now - first) // BACKFILL_STEP) + 1)]
                if now > first:
                    rows[sensor.datastream] = [(at, self._value(sensor, at)) for at in times]
            self._post(rows)

    def _post(self, rows: Mapping[int, list[tuple[float, float]]]) -> None:
        if not rows:
            return
        body = [
            {
                "Datastream": {"@iot.id": datastream},
                "components": ["phenomenonTime", "result"],
                "dataArray@iot.count": len(values),
                "dataArray": [[_iso(at), value] for at, value in values],
            }
            for datastream, values in rows.items()
        ]
        answer = self.http.post("/sta/v1.1/CreateObservations", json=body).raise_for_status().json()
        refused = [line for line in answer if line.startswith("error")]
        if refused:
            raise Unavailable(f"{len(refused)} observations were refused: {refused[0]}")


def _iso(at: float) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(at, 3))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run(
    base_url: str,
    key: str,
    *,
    seed: int = 7,
    speed: float = 1.0,
    sensors: int = 64,
    duration: float | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Play until ``stop`` is set or ``duration`` seconds are over; a server that is away is waited for.

    Raises NoKey when the server refuses the key, NotFound when the city is empty."""
    stop = stop or threading.Event()
    end = None if duration is None else time.monotonic() + duration
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=base_url.rstrip("/"), headers=headers, timeout=30) as http:
        playing = Simulator(http, seed, speed, sensors)
        ready, wait = False, FIRST_WAIT
        while not stop.is_set() and (end is None or time.monotonic() < end):
            try:
                if not ready:
                    playing.prepare()
                    print(f"Simulating {len(playing.played)} sensors and incidents at {base_url}", flush=True)
                    ready = True
                playing.tick()
                wait = FIRST_WAIT
                stop.wait(TICK_SECONDS)
            except (httpx.TransportError, httpx.HTTPStatusError, Unavailable) as error:
                _judge(error)
                if ready:
                    print(f"The server is away ({_short(error)}); waiting for it", flush=True)
                ready = False
                stop.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)


def _judge(error: Exception) -> None:
    """A refused key will not be taken later either."""
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in (401, 403):
        raise NoKey("the server refuses this key for the simulator") from error


def _short(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return str(error) if isinstance(error, TwinError) else type(error).__name__

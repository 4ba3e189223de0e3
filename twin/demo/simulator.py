"""``twin simulate``: sensors and incidents played at a running server through its public API only.

Everything it makes says so: ``properties.simulated`` on Things, ``simulated`` on incidents. It
finds what it made before by ``properties.simulator``, so a restart adds nothing twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from layers.errors import BadParameter, NoKey, TwinError, Unavailable
from twin.demo import cast
from twin.demo.cast import Role
from twin.demo.lanjiang import live, scripts
from twin.demo.lanjiang.scripts import Scene
from twin.demo.story import Story

MARK = "onemap-twin"
BACKFILL_SECONDS = 86_400
BACKFILL_STEP = 300
#: Values that a day before the first one has at most, of all sensors together.
BACKFILL_MOST = 2_000_000
TICK_SECONDS = 2.0
#: Ticks in which each sensor reports once: with many it is longer, but not longer than a theme's period.
TICKS, MOST_TICKS, A_TICK = 5, 125, 100
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
GROUP = 8
_MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"


@dataclass(slots=True)
class Simulator:
    """One run. ``clock`` is wall time in seconds; the played time runs ``speed`` times as fast."""

    http: httpx.Client
    seed: int
    speed: float
    sensors: int
    played: list[Role] = field(default_factory=list)
    shared: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    began: float = field(default_factory=time.time)
    ticks: int = 0
    story: Story | None = None
    #: A script that is played, and when it begins (wall time in seconds; the start of the run if None).
    script: str = ""
    start: float | None = None
    scene: Scene | None = None
    #: Up to when (played time) the reports of the script are made.
    reported: float = 0.0

    def prepare(self) -> None:
        """Find or make the sensors, fill the last day, begin the incidents."""
        listed = live.lists(self.http)
        if not self.played:
            if self.script and not listed:
                raise BadParameter("script", self.script, "for a city with device lists")
            if listed:
                self.played, self.scene = live.cast(self.http, listed, self.seed, self.script, self._start())
            else:
                self.played = list(cast.drawn(self.http, self.seed, self.sensors))
        have = self._existing()
        for role in self.played:
            if role.key in have:
                role.datastream, role.newest = have[role.key]
            else:
                role.datastream, role.newest = self._make(role), None
        self._backfill()
        self.story = Story(self.http, self.seed, chinese=bool(listed))
        self.story.begin([(role.place.lon, role.place.lat) for role in self.played])

    def tick(self) -> None:
        """Some of the sensors report; now and then an incident begins or moves."""
        now, played = time.time(), self._time(time.time())
        ticks = min(MOST_TICKS, max(TICKS, len(self.played) // A_TICK))
        turn = self.played[self.ticks % ticks :: ticks]
        self.ticks += 1
        read = [(role, role.values([played])[0]) for role in turn]
        self._post({role.datastream: [(now, value)] for role, value in read if not role.silent(played)})
        if self.story is not None:
            for role, value in read:
                if role.peaks(played, value):
                    at = (role.place.lon, role.place.lat)
                    self.story.alarm(role.property, role.datastream, at, role.place.name)
            self._report(played)
            self.story.tick(played)

    def _report(self, played: float) -> None:
        """What the script tells by now; an earlier run has told what was before this one."""
        if self.scene is None or self.story is None:
            return
        at = self.scene.at
        for one in scripts.reports(self.scene, self.reported or self.began - 1, played):
            self.story.report(one.cls, one.level, self.scene.title(one), (at.lon, at.lat), one.source)
        self.reported = played

    def _start(self) -> float:
        return self.began if self.start is None else self._time(self.start)

    def _time(self, now: float) -> float:
        return self.began + (now - self.began) * self.speed

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

    def _make(self, role: Role) -> int:
        body = {
            "name": role.name,
            "description": "A simulated sensor of the demonstration",
            "properties": {"simulated": True, "simulator": MARK, "seed": self.seed, "key": role.key},
            "Locations": [
                {
                    "name": role.place.name or role.name,
                    "description": "Position taken from a layer of the city",
                    "encodingType": "application/geo+json",
                    "location": {"type": "Point", "coordinates": [role.place.lon, role.place.lat]},
                }
            ],
            "Datastreams": [
                {
                    "name": role.name,
                    "description": f"{role.title}, simulated",
                    "observationType": _MEASUREMENT,
                    "unitOfMeasurement": dict(zip(("name", "symbol", "definition"), role.unit, strict=True)),
                    "properties": {"simulated": True, **role.properties},
                    **self._shared(role),
                }
            ],
        }
        made = self.http.post("/sta/v1.1/Things", json=body).raise_for_status()
        streams = self.http.get(f"{made.headers['location']}/Datastreams").raise_for_status()
        return int(streams.json()["value"][0]["@iot.id"])

    def _shared(self, role: Role) -> dict[str, dict[str, int]]:
        """Links to the sensor and the observed property that all streams of a property share."""
        if role.property not in self.shared:
            bodies = {
                "Sensors": {
                    "name": f"Simulator of {role.property}",
                    "description": "twin simulate",
                    "encodingType": "text/plain",
                    "metadata": "daily curve with noise and events",
                },
                "ObservedProperties": {
                    "name": role.property,
                    "definition": f"urn:onemap-twin:observed-property:{role.property}",
                    "description": role.title,
                },
            }
            links = {}
            for name, single in (("Sensors", "Sensor"), ("ObservedProperties", "ObservedProperty")):
                links[single] = {"@iot.id": self._named(name, bodies[name])}
            self.shared[role.property] = links
        return self.shared[role.property]

    def _named(self, entities: str, body: Mapping[str, str]) -> int:
        """The id of the one of that name, which is made where there is none."""
        wanted = {"$filter": f"name eq '{body['name']}'", "$top": "1", "$select": "id"}
        found = self.http.get(f"/sta/v1.1/{entities}", params=wanted).raise_for_status().json()["value"]
        if found:
            return int(found[0]["@iot.id"])
        made = self.http.post(f"/sta/v1.1/{entities}", json=body).raise_for_status()
        return int(made.headers["location"].rpartition("(")[2].rstrip(")"))

    def _backfill(self) -> None:
        """The last 24 h in steps of 5 minutes (longer ones of many sensors), or what is missing of them."""
        now = time.time()
        step = BACKFILL_STEP * -(-len(self.played) * BACKFILL_SECONDS // (BACKFILL_STEP * BACKFILL_MOST))
        for i in range(0, len(self.played), GROUP):
            rows: dict[int, list[tuple[float, float]]] = {}
            for role in self.played[i : i + GROUP]:
                begin = max(now - BACKFILL_SECONDS, (role.newest or 0) + step)
                first = -(-begin // step) * step
                times = [first + k * step for k in range(int((now - first) // step) + 1)]
                if now > first:
                    values = role.values([self._time(at) for at in times])
                    rows[role.datastream] = list(zip(times, values, strict=True))
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
    seed: int = 1,
    speed: float = 1.0,
    sensors: int = 64,
    duration: float | None = None,
    stop: threading.Event | None = None,
    script: str = "",
    start: float | None = None,
) -> None:
    """Play until ``stop`` is set or ``duration`` seconds are over; a server that is away is waited for.

    Raises NoKey when the server refuses the key, NotFound when the city is empty, BadParameter for a script
    that it cannot play."""
    stop = stop or threading.Event()
    end = None if duration is None else time.monotonic() + duration
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=base_url.rstrip("/"), headers=headers, timeout=30) as http:
        playing = Simulator(http, seed, speed, sensors, script=script, start=start)
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

"""A live room without the map: the real callables over a real live.gpkg in a temporary folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx

from twin import settings
from twin.access.caller import Callers
from twin.access.keys import Keys
from twin.access.rights import EVERYBODY
from twin.access.sessions import Sessions
from twin.app import build
from twin.audit import Auditor
from twin.city import City
from twin.http import incidents, sensorthings, stream
from twin.incidents import Incidents
from twin.jobs import Jobs
from twin.live import Live
from twin.live.bus import Bus
from twin.live.feed import Feed
from twin.webhooks import Webhooks

ROOT = "/sta/v1.1"
#: What says in an Observation that it is of the first Datastream.
STREAM = {"Datastream": {"@iot.id": 1}}
THEMES = "themes: [water, gas, air, traffic]\n"


class Room:
    """The three live rooms behind one in-process HTTP client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = Keys(folder)
        self.key = self.keys.add("tester") if not self.keys.names() else ""
        self.sessions = Sessions(folder)
        self.bus = Bus()
        conf = settings.parse(THEMES)
        self.live = Live(folder, conf, self.bus)
        none = cast(Any, SimpleNamespace(epoch="none", seq=lambda: 0, local=True, rights=EVERYBODY))
        zone = ZoneInfo(conf.time_zone)
        self.incidents = Incidents(self.live.ingest, self.live.file, self.bus, zone)
        self.callers = Callers(self.keys, self.sessions, EVERYBODY)
        self.jobs = Jobs(folder, EVERYBODY)
        feed = Feed()
        hooks = Webhooks((), folder, none, feed, none, self.callers)
        access = self.keys, self.sessions, self.callers, self.jobs, Auditor(none, None), hooks
        self.city = City(folder, conf, none, none, self.live, self.incidents, self.bus, feed, *access)
        self.front = build(self.city, rooms=[sensorthings.make, incidents.make, stream.make])

    def run[T](self, scenario: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
        """Run a scenario against the started rooms."""

        async def main() -> T:
            self.bus.bind(asyncio.get_running_loop())
            transport = httpx.ASGITransport(app=cast(Any, self.front))
            auth = {"authorization": f"Bearer {self.key}"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1", headers=auth, timeout=20
            ) as client:
                return await scenario(client)

        return asyncio.run(main())

    def close(self) -> None:
        self.live.stop()
        self.city.pool.close()
        self.jobs.close()


def thing(name: str = "gauge", prop: str = "water_level", **properties: Any) -> dict[str, Any]:
    """A Thing with a Location and one Datastream, as a deep insert sends it."""
    return {
        "name": name,
        "description": "a gauge",
        "properties": properties,
        "Locations": [
            {
                "name": "quay",
                "description": "north quay",
                "encodingType": "application/geo+json",
                "location": {"type": "Point", "coordinates": [24.95, 60.17]},
            }
        ],
        "Datastreams": [
            {
                "name": f"{name} {prop}",
                "description": prop,
                "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
                "unitOfMeasurement": {"name": "metre", "symbol": "m", "definition": "ucum:m"},
                "properties": {"period": 300},
                "Sensor": {
                    "name": "probe",
                    "description": "pressure probe",
                    "encodingType": "text/html",
                    "metadata": "none",
                },
                "ObservedProperty": {"name": prop, "definition": f"urn:x:{prop}", "description": prop},
            }
        ],
    }


async def made(client: httpx.AsyncClient, **properties: Any) -> httpx.Response:
    """The answer to the insert of a Thing."""
    answer = await client.post(f"{ROOT}/Things", json=thing(**properties))
    assert answer.status_code == 201, answer.text
    return answer

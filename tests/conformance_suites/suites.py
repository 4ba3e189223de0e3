"""The official suites: which jar, what it must be told, and what the city needs before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from tests.mercator import cell
from tests.support import Server

RESULTS = "testng-results.xml"
CENTRE = (24.9443, 60.1716)  # of Helsinki, where every layer has features
ZOOM = 15


@dataclass(frozen=True, slots=True)
class Suite:
    """One executable test suite of the OGC.

    ``jar`` is a glob; the last match by name is taken. ``arguments`` gives the properties for a running
    server; ``home`` says that the suite has no option for its output folder and writes below ``user.home``.
    """

    name: str
    standard: str
    jar: str
    arguments: Callable[[Server], Mapping[str, str]]
    home: bool = False

    def found(self, folder: Path) -> Path | None:
        """The suite's jar in a folder, the newest by name; None when it is absent."""
        return max(folder.glob(self.jar), default=None)

    def command(self, java: str, jar: Path, properties: Path, out: Path) -> list[str]:
        """How to run it without its user interface."""
        where = [f"-Duser.home={out}"] if self.home else []
        options = [] if self.home else ["-o", str(out)]
        return [java, "-Xmx1g", *where, "-jar", str(jar), *options, str(properties)]


def properties(arguments: Mapping[str, str]) -> str:
    """The arguments as a Java properties document, without the DOCTYPE that a suite would fetch."""
    entries = "".join(f'<entry key="{escape(k)}">{escape(v)}</entry>' for k, v in arguments.items())
    return f'<properties version="1.0">{entries}</properties>'


def _features(server: Server) -> Mapping[str, str]:
    return {"iut": f"{server.url}/ogc", "noofcollections": "-1"}


def _tiles(server: Server) -> Mapping[str, str]:
    z, x, y = cell(ZOOM, *CENTRE)
    tiles = f"{server.url}/ogc/collections/buildings/tiles/WebMercatorQuad"
    return {
        "iut": f"{server.url}/ogc",
        "tilematrixsetdefinitionuri": "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad",
        "urltemplatefortiles": tiles + "/{tileMatrix}/{tileRow}/{tileCol}",
        "tilematrix": str(z),
        "mintilerow": str(y),
        "maxtilerow": str(y),
        "mintilecol": str(x),
        "maxtilecol": str(x),
        "noofcollections": "-1",
    }


def _sensorthings(server: Server) -> Mapping[str, str]:
    _one_thing(server)
    # Levels 2 and 3 begin by deleting every entity; this server has no DELETE in SensorThings.
    return {"iut": f"{server.url}/sta/v1.1", "ics": "1"}


def _one_thing(server: Server) -> None:
    """Level 1 reads one entity of each set, and asks every property of it, so none may be null."""
    made = server.http.post("/sta/v1.1/Things", json=_THING, headers=server.auth)
    made.raise_for_status()
    stream = server.http.get(f"{made.headers['location']}/Datastreams").json()["value"][0]["@iot.id"]
    body = {
        "phenomenonTime": "2026-01-01T00:00:00Z",
        "resultTime": "2026-01-01T00:00:00Z",
        "result": 1.5,
        "Datastream": {"@iot.id": stream},
    }
    server.http.post("/sta/v1.1/Observations", json=body, headers=server.auth).raise_for_status()


_THING = {
    "name": "station",
    "description": "a station of the conformance run",
    "properties": {"owner": "nobody"},
    "Locations": [
        {
            "name": "place",
            "description": "where the station stands",
            "encodingType": "application/geo+json",
            "location": {"type": "Point", "coordinates": list(CENTRE)},
        }
    ],
    "Datastreams": [
        {
            "name": "air temperature",
            "description": "air temperature at the station",
            "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
            "unitOfMeasurement": {
                "name": "degree Celsius",
                "symbol": "°C",
                "definition": "http://qudt.org/vocab/unit/DEG_C",
            },
            "Sensor": {
                "name": "thermometer",
                "description": "a thermometer",
                "encodingType": "text/plain",
                "metadata": "none",
            },
            "ObservedProperty": {
                "name": "air temperature",
                "definition": "http://vocab.nerc.ac.uk/standard_name/air_temperature/",
                "description": "temperature of the bulk air",
            },
        }
    ],
}

SUITES = (
    Suite("features10", "OGC API Features 1.0 Parts 1 and 2", "ets-ogcapi-features10-*aio.jar", _features),
    Suite("tiles10", "OGC API Tiles 1.0", "ets-ogcapi-tiles10-*aio.jar", _tiles),
    Suite("sta10", "OGC SensorThings", "ets-sta10-*aio.jar", _sensorthings, home=True),
)

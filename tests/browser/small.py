"""A small city for the page: few features whose places are known, each layer there for one thing."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.browser.places import METRES
from tests.support import Server, twin

LON, LAT = 24.95, 60.17
#: µg/m³ for PM2.5 of the built-in theme: clear, and above each of its thresholds.
CLEAN, LEVELS = 12.0, (90.0, 130.0, 180.0, 400.0)


def at(east: float, north: float) -> tuple[float, float]:
    """Degrees of a place so many metres from the middle of the city."""
    return LON + east / METRES / math.cos(math.radians(LAT)), LAT + north / METRES


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A rectangle in metres from the middle."""
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return {"type": "Polygon", "coordinates": [[list(at(*one)) for one in corners]]}


def line(*ends: tuple[float, float]) -> dict[str, Any]:
    """A line in metres from the middle."""
    return {"type": "LineString", "coordinates": [list(at(*one)) for one in ends]}


def point(east: float, north: float) -> dict[str, Any]:
    """A point in metres from the middle."""
    return {"type": "Point", "coordinates": list(at(east, north))}


#: Layer → its kind and its rows.
LAYERS: dict[str, tuple[str, list[tuple[dict[str, Any], dict[str, Any]]]]] = {
    # the water lies in the green, which the file tells of after it
    "areas": (
        "cover",
        [
            (box(-60, -60, 60, 60), {"class": "water"}),
            (box(-200, -200, 200, 200), {"class": "green"}),
        ],
    ),
    # nobody knows the height of the second; the third hides what lies north of it
    "houses": (
        "building",
        [
            (box(100, 100, 140, 140), {"height_m": 20}),
            (box(-340, -40, -260, 40), {"name": "of no known height"}),
            (box(230, -30, 350, 0), {"height_m": 60}),
        ],
    ),
    "roads": (
        "road",
        [
            (line((230, 12), (350, 12)), {"class": "street", "name": "Shade Street"}),
            (line((230, -60), (350, -60)), {"class": "street", "name": "Open Street"}),
        ],
    ),
    "pipes": ("pipeline", [(line((-150, -150), (150, -150)), {"medium": "water", "diameter_mm": 600})]),
    "spare": ("feature", [(point(0, 150), {"name": "spare"})]),
    "far": ("feature", [(point(4000, 0), {"name": "far"})]),
    # no body of it is asked for before the server is away
    "tower": ("building", [(box(-20, 250, 20, 290), {"height_m": 40})]),
    "hollow": ("feature", [(point(0, 0), {"name": "the only one"})]),
}


def file_of(folder: Path, layer: str) -> Path:
    """The layer as a GeoJSON file."""
    rows = LAYERS[layer][1]
    features = [{"type": "Feature", "geometry": shape, "properties": words} for shape, words in rows]
    path = folder / f"{layer}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return path


def load(city: Path, files: Path, *layers: str) -> None:
    """Load them, beside a running server too."""
    entries = [
        {"id": layer, "file": str(file_of(files, layer)), "kind": LAYERS[layer][0]} for layer in layers
    ]
    manifest = files / "load.yml"
    manifest.write_text(json.dumps({"layers": entries}), "utf-8")
    twin("load", "--manifest", str(manifest), "--city", str(city))


def sensor(server: Server, name: str, lon: float, lat: float, *, simulated: bool = False) -> int:
    """A thing with one PM2.5 datastream, as a device would make it; its datastream's id."""
    theme = server.http.get("/config.json").json()["thresholds"]
    key = next(name for name, prop in theme.items() if prop["unit"] == "µg/m³")
    place = {
        "name": name,
        "description": "test",
        "encodingType": "application/geo+json",
        "location": {"type": "Point", "coordinates": [lon, lat]},
    }
    stream = {
        "name": name,
        "description": "test",
        "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        "unitOfMeasurement": {"name": "µg/m³", "symbol": "µg/m³", "definition": "ucum:ug/m3"},
        "ObservedProperty": {
            "name": key,
            "definition": f"urn:onemap-twin:observed-property:{key}",
            "description": "test",
        },
        "Sensor": {"name": "meter", "description": "test", "encodingType": "text/html", "metadata": "none"},
    }
    body = {
        "name": name,
        "description": "test",
        "properties": {"simulated": simulated},
        "Locations": [place],
        "Datastreams": [stream],
    }
    made = server.http.post("/sta/v1.1/Things", json=body, headers=server.auth)
    assert made.status_code == 201, made.text
    streams = server.http.get(made.headers["location"] + "/Datastreams").json()["value"]
    return int(streams[0]["@iot.id"])


def observe(server: Server, datastream: int, value: float, when: datetime | None = None) -> None:
    """One observation, of now where no time is said."""
    body = {
        "phenomenonTime": (when or datetime.now(UTC)).isoformat(),
        "result": value,
        "Datastream": {"@iot.id": datastream},
    }
    made = server.http.post("/sta/v1.1/Observations", json=body, headers=server.auth)
    assert made.status_code == 201, made.text

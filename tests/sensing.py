"""Many sensors, written into ``live.gpkg`` before a server serves it."""

from __future__ import annotations

import json
import random
from pathlib import Path

from layers.observations.livefile import LiveFile
from twin.live.clock import now_ms
from twin.live.registry import MEASUREMENT

LON, LAT = 24.95, 60.17
#: What one in so many shows of each level (water_level of the built-in theme: 1.5 and 2.0 raise).
HIGH = {2: 2.5, 7: 1.7}
_UNIT = json.dumps({"name": "metre", "symbol": "m", "definition": "m"})
_GEOJSON = "application/geo+json"


def place(i: int, side: float = 0.3) -> tuple[float, float]:
    """Where the i-th sensor stands: the same in every run."""
    chance = random.Random(i)
    return round(LON + (chance.random() - 0.5) * side, 6), round(LAT + (chance.random() - 0.5) * side / 2, 6)


def fill(folder: Path, count: int, side: float = 0.3) -> None:
    """Things with a place, one datastream and a newest value each: the ids of all are 1 to ``count``."""
    file, now = LiveFile(folder), now_ms()
    conn = file.writer()
    numbers = range(1, count + 1)
    texts = {i: json.dumps({"type": "Point", "coordinates": place(i, side)}) for i in numbers}
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("INSERT INTO sensor VALUES (1, 'radar', '', 'text/plain', '\"\"', NULL)")
    conn.execute("INSERT INTO observed_property VALUES (1, 'water_level', 'water_level', '', NULL)")
    rows = {
        "thing (id, name, description)": [(i, f"Gauge {i}", "") for i in numbers],
        "location (id, name, description, encodingType, location, foi)": [
            (i, f"Place {i}", "", _GEOJSON, texts[i], i) for i in numbers
        ],
        "thing_location": [(i, i) for i in numbers],
        "feature_of_interest (id, name, description, encodingType, feature)": [
            (i, f"Place {i}", "", _GEOJSON, texts[i]) for i in numbers
        ],
        "datastream (id, name, description, observationType, unitOfMeasurement, thing, sensor, "
        "observed_property)": [(i, f"Level {i}", "", MEASUREMENT, _UNIT, i, 1, 1) for i in numbers],
        "observation (ds, t, n, id, num, foi)": [(i, now, 0, i, value(i), i) for i in numbers],
        "latest (ds, id, t, num, first, count, raised)": [(i, i, now, value(i), now, 1, 0) for i in numbers],
    }
    for table, some in rows.items():
        marks = ", ".join("?" * len(some[0]))
        conn.executemany(f"INSERT INTO {table} VALUES ({marks})", some)
    conn.execute("COMMIT")
    file.close()


def value(i: int) -> float:
    """What it shows at first."""
    chance = random.Random(i + 10_000_000).randrange(50)
    return HIGH.get(chance, 0.5 + i % 9 / 10)


def older(folder: Path, count: int, each: int) -> None:
    """So many more observations, a minute apart, of each of the first ``count`` sensors."""
    file = LiveFile(folder)
    conn = file.writer()
    first = conn.execute("SELECT max(id) + 1 FROM observation").fetchone()[0]
    conn.execute("BEGIN IMMEDIATE")
    for i in range(1, count + 1):
        now, level = conn.execute("SELECT t, num FROM latest WHERE ds=?", (i,)).fetchone()
        conn.executemany(
            "INSERT INTO observation (ds, t, n, id, num, foi) VALUES (?, ?, 0, ?, ?, ?)",
            ((i, now - 60_000 * (each - k), first + (i - 1) * each + k, level, i) for k in range(each)),
        )
        conn.execute("UPDATE latest SET first=?, count=count+? WHERE ds=?", (now - 60_000 * each, each, i))
    conn.execute("COMMIT")
    file.close()

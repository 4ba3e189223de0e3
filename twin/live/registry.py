"""Every datastream as the map and the ingest need it, held in memory."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from layers.errors import BadBody
from layers.kinds.base import text
from layers.observations.series import Latest
from twin.live.rules import Rule, override
from twin.live.themes import Themes

log = logging.getLogger("twin")

MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
COUNT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_CountObservation"

_READ = """
SELECT d.id, d.name, d.observationType, d.unitOfMeasurement, d.properties, d.thing, p.name, p.definition,
  t.properties, l.location, l.foi
FROM datastream d JOIN observed_property p ON p.id = d.observed_property JOIN thing t ON t.id = d.thing
LEFT JOIN location l ON l.id = (SELECT max(location) FROM thing_location WHERE thing = d.thing)
"""


@dataclass(slots=True)
class Datastream:
    """One datastream: what it is called, where it stands, its rule and newest value."""

    id: int
    name: str
    property: str
    unit: str
    numeric: bool
    integer: bool
    forecast: bool
    simulated: bool
    lon: float | None
    lat: float | None
    rule: Rule
    feature: int | None
    thing: int = 0
    #: The code of the building that its thing is in, as the thing's properties say.
    building: str | None = None
    value: float | int | None = None
    time: int | None = None
    raised: int = 0
    state: str = field(default="stale")
    #: Whether somebody waits for it to fall silent.
    timed: bool = False

    def take(self, last: Latest | None) -> None:
        """The newest value as kept."""
        if last is None:
            return
        time = last.time if last.id else None
        self.value, self.time, self.raised = last.number, time, last.raised

    def judge(self, now: int) -> bool:
        """Work out the state at a moment (ms); whether it changed."""
        before = self.state
        self.state = "stale" if self.rule.stale(self.time, now) else self.rule.state(self.raised)
        return self.state != before

    def until(self) -> int | None:
        """Up to when (ms) its newest value holds; None for one that is stale already, or for ever."""
        return self.rule.until(self.time)


def first_position(location: object) -> tuple[float, float] | None:
    """The first longitude, latitude of a GeoJSON geometry or feature, or None."""
    if not isinstance(location, dict):
        return None
    if location.get("type") == "Feature":
        return first_position(location.get("geometry"))
    at: Any = location.get("coordinates")
    while isinstance(at, list) and at and isinstance(at[0], list):
        at = at[0]
    if isinstance(at, list) and len(at) >= 2 and all(type(v) in (int, float) for v in at[:2]):
        return float(at[0]), float(at[1])
    return None


def read(conn: sqlite3.Connection, themes: Themes, ids: Collection[int] | None = None) -> list[Datastream]:
    """The datastreams (all, or those of ``ids``) as they are kept."""
    if ids is None:
        return list(_readable(conn.execute(_READ), themes))
    streams: list[Datastream] = []
    for part in _parts(sorted(ids)):
        marks = ",".join("?" * len(part))
        streams += _readable(conn.execute(f"{_READ} WHERE d.id IN ({marks})", part), themes)
    return streams


def _readable(rows: Iterable[tuple[Any, ...]], themes: Themes) -> Iterable[Datastream]:
    for row in rows:
        try:
            yield _stream(row, themes)
        except (ValueError, TypeError, AttributeError):
            log.warning("datastream %s cannot be read: its row in live.gpkg is damaged", row[0])


def _parts(ids: list[int], size: int = 500) -> Iterable[list[int]]:
    for i in range(0, len(ids), size):
        yield ids[i : i + size]


def _stream(row: tuple[Any, ...], themes: Themes) -> Datastream:
    id_, name, kind, unit, properties, thing_id, prop, definition, thing_properties, location, foi = row
    own: dict[str, Any] = orjson.loads(properties) if properties else {}
    thing: dict[str, Any] = orjson.loads(thing_properties) if thing_properties else {}
    key = themes.property_of(prop, definition)
    at = first_position(orjson.loads(location)) if location else None
    try:
        rule = override(own, themes.rule(key))
    except BadBody:
        # checked when written; a theme's rule is the safe one for what another program wrote
        rule = themes.rule(key)
    return Datastream(
        id=id_,
        name=name,
        property=key,
        unit=str((orjson.loads(unit) or {}).get("symbol") or ""),
        numeric=kind in (MEASUREMENT, COUNT),
        integer=kind == COUNT,
        forecast=own.get("forecast") is True,
        simulated=own.get("simulated") is True or thing.get("simulated") is True,
        lon=at[0] if at else None,
        lat=at[1] if at else None,
        rule=rule,
        feature=foi,
        thing=thing_id,
        building=text(thing.get("building_id")),
    )

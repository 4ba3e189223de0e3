"""Creating and changing entities, with everything nested in them, inside one transaction."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from layers.errors import BadBody, NotFound, shown
from twin.access.caller import Caller
from twin.live import Live, clock, registry
from twin.live.ingest import Transaction
from twin.live.registry import first_position
from twin.live.rules import Rule, override
from twin.things.geometries import Located, geometry_of
from twin.things.model import DATASTREAMS, OBSERVATIONS, SETS, Entity, Nav, Prop
from twin.things.observe import decode, reference
from twin.things.paths import ResourcePath

MAX_TEXT = 10_000
MAX_JSON = 100_000
MAX_DEPTH = 6
GEOJSON = frozenset({"application/geo+json", "application/vnd.geo+json", "application/geojson"})
_ANNOTATIONS = ("@iot.navigationLink", "@iot.selfLink", "@iot.nextLink", "@iot.count")
#: What must be told anew when an entity of a set changes: datastreams with …
_AFFECTED = {
    "Things": "thing = ?",
    "Datastreams": "id = ?",
    "ObservedProperties": "observed_property = ?",
    "Locations": "thing IN (SELECT thing FROM thing_location WHERE location = ?)",
}


@dataclass(slots=True)
class Writer:
    """One request's writing. Used inside the writer thread's transaction."""

    live: Live
    tx: Transaction
    who: Caller
    located: Located | None = None
    told: set[int] = field(default_factory=set)
    #: Nested observations: body, what its place says of it, depth. They are made once everything else is
    #: linked, as the feature of an observation is where its thing stands by then.
    later: list[tuple[object, Mapping[str, int], int]] = field(default_factory=list)
    #: Entities that have a place, by set.
    placed: dict[str, set[int]] = field(default_factory=dict)

    @property
    def conn(self) -> sqlite3.Connection:
        """The transaction's connection."""
        return self.tx.conn

    def create(self, target: ResourcePath, body: object) -> int:
        """POST to a set, or to a set below an entity. Raises BadBody, NotFound, NotAllowed."""
        if target.entity is not OBSERVATIONS:
            self._configures(*((target.parent.entity, target.parent.id) if target.parent else (None, 0)))
        preset: dict[str, int] = {}
        linked: ResourcePath | None = None
        if target.parent is not None:
            nav = target.parent.nav
            if nav.back:
                preset[nav.back] = target.parent.id
            else:
                linked = target
        new = self._create(target.entity, body, preset, 0)
        if linked is not None and linked.parent is not None:
            self._attach(linked.parent.entity, linked.parent.id, linked.parent.nav, [new])
        for nested, place, depth in self.later:
            self._create(OBSERVATIONS, nested, place, depth)
        self._tell()
        return new

    def patch(self, entity: Entity, id_: int, body: object) -> None:
        """PATCH: the properties named replace those kept. Raises BadBody, NotAllowed."""
        self._configures(entity, id_)
        if not isinstance(body, dict) or not body:
            raise BadBody("an object with the properties to change is required")
        columns: dict[str, object] = {}
        for name, value in body.items():
            prop = entity.prop(name)
            if prop is None or prop.derived:
                raise BadBody(f"{shown(name)}: cannot be changed here")
            columns[prop.name] = _column(prop, value)
        self._check(entity, self._placed(entity, id_) | body)
        names = ", ".join(f"{name} = ?" for name in columns)
        self.conn.execute(f"UPDATE {entity.table} SET {names} WHERE id = ?", (*columns.values(), id_))  # noqa: S608
        if geometry_of(entity) is not None:
            self.placed.setdefault(entity.set, set()).add(id_)
        self._affect(entity, id_)
        self._tell()

    def _configures(self, entity: Entity | None, id_: int) -> None:
        """Whether the caller may say what this, or what is made below it, is. Raises NotAllowed."""
        thing, stream = (id_ if entity is SETS[name] else None for name in ("Things", "Datastreams"))
        if stream is not None:
            row = self.conn.execute("SELECT thing FROM datastream WHERE id = ?", (stream,)).fetchone()
            thing = row[0] if row else None
        self.who.check("configure", thing, stream)

    def _create(self, entity: Entity, body: object, preset: Mapping[str, int], depth: int) -> int:
        if not isinstance(body, dict):
            raise BadBody(f"{entity.single}: an object is required")
        if depth > MAX_DEPTH:
            raise BadBody(f"{entity.single}: nested deeper than {MAX_DEPTH}")
        if entity is OBSERVATIONS:
            return self._observation(body, preset, depth)
        self._known(entity, body)
        columns = {prop.name: _column(prop, body.get(prop.name)) for prop in entity.props if not prop.derived}
        self._check(entity, body)
        for nav in entity.navs:
            if not nav.many:
                columns[nav.column] = self._one(entity, nav, body, preset, depth)
        marks = ", ".join("?" * len(columns))
        cursor = self.conn.execute(
            f"INSERT INTO {entity.table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
            tuple(columns.values()),
        )
        new = int(cursor.lastrowid or 0)
        self._born(entity, new, body)
        for nav in entity.navs:
            if nav.many and body.get(nav.name) is not None:
                self._many(entity, new, nav, body[nav.name], depth)
        return new

    def _known(self, entity: Entity, body: Mapping[str, Any]) -> None:
        for name in body:
            if name in ("@iot.id", "id"):
                raise BadBody(f"{entity.single}.{name}: ids are given by the server")
            known = entity.prop(name) is not None or entity.nav(name) is not None
            if not known and not name.endswith(_ANNOTATIONS):
                raise BadBody(f"{shown(name)}: not a member of {entity.single}")
        missing = [p.name for p in entity.props if p.required and body.get(p.name) is None]
        if missing:
            raise BadBody(f"{entity.single}: {', '.join(missing)} is required")

    def _placed(self, entity: Entity, id_: int) -> dict[str, Any]:
        """What is kept of where an entity lies: a part that is changed must fit the rest."""
        place = {"Locations": "location", "FeaturesOfInterest": "feature"}.get(entity.set)
        if place is None:
            return {}
        select = f"SELECT encodingType, {place} FROM {entity.table} WHERE id = ?"  # noqa: S608
        media, text = self.conn.execute(select, (id_,)).fetchone()
        return {"encodingType": media, place: orjson.loads(text)}

    def _check(self, entity: Entity, body: Mapping[str, Any]) -> None:
        """Rules beyond the type of one property, which was checked before."""
        if entity is DATASTREAMS and isinstance(body.get("properties"), dict):
            override(body["properties"], Rule())
        media = body.get("encodingType")
        geometry = body.get("location", body.get("feature"))
        if entity.set in ("Locations", "FeaturesOfInterest") and media in GEOJSON:
            _check_geometry(geometry, "location" if "location" in body else "feature")

    def _one(
        self, entity: Entity, nav: Nav, body: Mapping[str, Any], preset: Mapping[str, int], depth: int
    ) -> int | None:
        """A to-one navigation: given by the path, linked, or made."""
        value, outer = body.get(nav.name), _outer(nav.name, body, preset)
        if outer is not None:
            return outer
        if value is None:
            if nav.required:
                raise BadBody(f"{entity.single}: {nav.name} is required")
            return None
        return self._link_or_create(SETS[nav.target], value, nav.name, {}, depth)

    def _link_or_create(
        self, target: Entity, value: object, name: str, preset: Mapping[str, int], depth: int
    ) -> int:
        if isinstance(value, dict) and set(value) & {"@iot.id", "id"} and len(value) == 1:
            id_ = reference(value, name)
            if not self.conn.execute(f"SELECT 1 FROM {target.table} WHERE id = ?", (id_,)).fetchone():  # noqa: S608
                raise BadBody(f"{name}: no {target.single} {id_}")
            return id_
        return self._create(target, value, preset, depth + 1)

    def _many(self, entity: Entity, id_: int, nav: Nav, links: object, depth: int) -> None:
        if not isinstance(links, list):
            raise BadBody(f"{nav.name}: a list is required")
        target = SETS[nav.target]
        preset = {nav.back: id_} if nav.back else {}
        if nav.back:
            if target is OBSERVATIONS:
                self.later += [(value, preset, depth + 1) for value in links]
                return
            for value in links:
                self._create(target, value, preset, depth + 1)
            return
        made = [self._link_or_create(target, value, nav.name, {}, depth) for value in links]
        self._attach(entity, id_, nav, made)

    def _attach(self, entity: Entity, id_: int, nav: Nav, others: list[int]) -> None:
        """Write many-to-many links. New Locations of a Thing replace those it had (clause 8.2.1)."""
        if nav.link is None:
            raise BadBody(f"{nav.name}: cannot be added to {entity.single} here")
        table, own, their = nav.link
        for other in others:
            if table == "thing_location":
                thing, location = (id_, other) if own == "thing" else (other, id_)
                if own == "location" or other == others[0]:
                    self.conn.execute("DELETE FROM thing_location WHERE thing = ?", (thing,))
                self._history(
                    thing, [location] if own == "location" else others if other == others[0] else []
                )
            self.conn.execute(f"INSERT OR IGNORE INTO {table} ({own}, {their}) VALUES (?, ?)", (id_, other))  # noqa: S608
            if table == "thing_location":
                self._affect(SETS["Things"], thing)

    def _history(self, thing: int, locations: list[int]) -> None:
        """A HistoricalLocation is made by the server when a Thing's Locations change."""
        if not locations:
            return
        made = self.conn.execute(
            "INSERT INTO historical_location (time, thing) VALUES (?, ?)", (clock.now_ms(), thing)
        ).lastrowid
        self.conn.executemany(
            "INSERT INTO historical_location_location VALUES (?, ?)", [(made, x) for x in locations]
        )

    def _born(self, entity: Entity, new: int, body: Mapping[str, Any]) -> None:
        if geometry_of(entity) is not None:
            self.placed.setdefault(entity.set, set()).add(new)
        if entity is DATASTREAMS:
            self.told.add(new)
        elif entity.set == "Locations":
            # the feature that observations of things standing here are of, unless they say otherwise
            made = self.conn.execute(
                "INSERT INTO feature_of_interest (name, description, encodingType, feature) VALUES (?,?,?,?)",
                (
                    body["name"],
                    body["description"],
                    body["encodingType"],
                    orjson.dumps(body["location"]).decode(),
                ),
            ).lastrowid
            self.conn.execute("UPDATE location SET foi = ? WHERE id = ?", (made, new))
            self.placed.setdefault("FeaturesOfInterest", set()).add(int(made or 0))

    def _observation(self, body: Mapping[str, Any], preset: Mapping[str, int], depth: int) -> int:
        ds = _outer("Datastream", body, preset)
        if ds is None:
            ds = reference(body.get("Datastream"), "Datastream")
        streams = registry.read(self.conn, self.live.themes, [ds])
        if not streams:
            raise NotFound(f"no Datastream {ds}")
        self.who.check("observe", streams[0].thing, ds)
        feature = _outer("FeatureOfInterest", body, preset)
        if feature is None and body.get("FeatureOfInterest") is not None:
            target = SETS["FeaturesOfInterest"]
            feature = self._link_or_create(target, body["FeatureOfInterest"], "FeatureOfInterest", {}, depth)
        return self.tx.append([decode(body, streams[0], clock.now_ms(), feature)])[0]

    def _affect(self, entity: Entity, id_: int) -> None:
        where = _AFFECTED.get(entity.set)
        if where:
            rows = self.conn.execute(f"SELECT id FROM datastream WHERE {where}", (id_,))  # noqa: S608
            self.told.update(row[0] for row in rows)

    def _locate(self) -> None:
        """Have the index know what was placed, once it is committed."""
        if self.located is None:
            return
        for name, ids in self.placed.items():
            select = f"SELECT {geometry_of(SETS[name])} FROM {SETS[name].table} WHERE id = ?"  # noqa: S608
            rows = [(id_, *self.conn.execute(select, (id_,)).fetchone()) for id_ in sorted(ids)]
            self.tx.settle.append(partial(self.located.put, name, rows))

    def _tell(self) -> None:
        self._locate()
        if self.told:
            self.live.changed(self.tx, self.told)


def _outer(name: str, body: Mapping[str, Any], preset: Mapping[str, int]) -> int | None:
    """What the path or the entity around says of a navigation. Raises BadBody where the body says another."""
    value, outer = body.get(name), preset.get(name)
    if value is not None and outer is not None and reference(value, name) != outer:
        raise BadBody(f"{name}: differs from the one that the request nests this in")
    return outer


def _column(prop: Prop, value: object) -> object:
    """A property as its column. Raises BadBody naming it."""
    if value is None:
        if prop.required:
            raise BadBody(f"{prop.name}: required")
        return None
    if prop.kind == "time":
        return clock.parse(value, prop.name)
    if prop.kind == "text":
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise BadBody(f"{prop.name}: a text of at most {MAX_TEXT} characters is required")
        if "\0" in value:
            raise BadBody(f"{prop.name}: text must not contain a null character")
        return value
    if prop.name in ("properties", "unitOfMeasurement", "observedArea") and not isinstance(value, dict):
        raise BadBody(f"{prop.name}: an object is required")
    text = orjson.dumps(value).decode()
    if len(text) > MAX_JSON:
        raise BadBody(f"{prop.name}: at most {MAX_JSON} characters of JSON")
    return text


def _check_geometry(value: object, name: str) -> None:
    at = first_position(value)
    if at is None or not all(map(math.isfinite, at)):
        raise BadBody(f"{name}: a GeoJSON geometry or feature with coordinates is required")
    if abs(at[0]) > 180 or abs(at[1]) > 90:
        raise BadBody(f"{name}: {at[0]:g}, {at[1]:g} is not longitude, latitude in degrees")

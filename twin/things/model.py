"""The eight entity sets as one table: properties, navigation, and where they are kept.

OGC 18-088 clause 8. In SQL texts ``{a}`` stands for the alias of the entity itself and ``{b}``
for that of the navigation's target. Names here are constants: no client text ever reaches them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

type Kind = Literal["text", "json", "time", "interval", "result", "extra"]


@dataclass(frozen=True, slots=True)
class Prop:
    """One property: its kind, the SQL of its columns, and whether a new entity must have it.

    ``parts`` tells what has no order and no value of its own: an object, of which some member may have, or
    a geometry, none of whose coordinates have."""

    name: str
    kind: Kind = "text"
    columns: tuple[str, ...] = ()
    required: bool = False
    derived: bool = False
    parts: Literal["", "object", "geometry"] = ""

    def sql(self, alias: str) -> tuple[str, ...]:
        """The columns under an alias."""
        return tuple(c.replace("{a}", alias) for c in self.columns or (f"{alias}.{self.name}",))


@dataclass(frozen=True, slots=True)
class Nav:
    """A navigation: target set, one or many, how rows join, and the column or table that links.

    ``column`` is the foreign key of a to-one, ``far`` that by which the targets of a to-many name the entity;
    ``link`` is (table, own column, their column)."""

    name: str
    target: str
    many: bool
    join: str
    back: str = ""
    column: str = ""
    link: tuple[str, str, str] | None = None
    required: bool = False
    far: str = ""


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity set."""

    set: str
    single: str
    table: str
    props: tuple[Prop, ...]
    navs: tuple[Nav, ...] = field(default=())

    def prop(self, name: str) -> Prop | None:
        """The property of that name, or None."""
        return next((p for p in self.props if p.name == name), None)

    def nav(self, name: str) -> Nav | None:
        """The navigation of that name, or None."""
        return next((n for n in self.navs if n.name == name), None)


# an observation that came late says so among its parameters
_PARAMETERS = (
    "CASE WHEN {a}.n < 4294967296 THEN json_extract({a}.extra, '$.parameters') "
    "ELSE json_set(coalesce(json_extract({a}.extra, '$.parameters'), '{}'), '$.late', json('true')) END"
)
_WITH_LATE = (
    "CASE WHEN {a}.n < 4294967296 THEN {a}.extra ELSE json_set(coalesce({a}.extra, '{}'), '$.parameters', "
    "json_set(coalesce(json_extract({a}.extra, '$.parameters'), '{}'), '$.late', json('true'))) END"
)


def _text(name: str, required: bool = True) -> Prop:
    return Prop(name, required=required)


def _object(name: str, required: bool = False) -> Prop:
    return Prop(name, "json", required=required, parts="object")


def _geometry(name: str, required: bool = False) -> Prop:
    return Prop(name, "json", required=required, parts="geometry")


def _one(name: str, target: str, column: str, required: bool = True, back: str = "") -> Nav:
    join = f"{{b}}.id = {{a}}.{column}"
    return Nav(name, target, many=False, join=join, column=column, required=required, back=back)


def _many(name: str, column: str, back: str) -> Nav:
    return Nav(name, name, many=True, join=f"{{b}}.{column} = {{a}}.id", back=back, far=column)


def _linked(name: str, table: str, own: str, their: str) -> Nav:
    join = f"{{b}}.id IN (SELECT {their} FROM {table} WHERE {own} = {{a}}.id)"  # noqa: S608
    return Nav(name, name, many=True, join=join, link=(table, own, their))


_THINGS = "thing_location"
_HISTORY = "historical_location_location"
_SPAN = (
    "(SELECT first FROM latest WHERE ds = {a}.id)",
    "(SELECT t FROM latest WHERE ds = {a}.id)",
)

_ALL = (
    Entity(
        "Things",
        "Thing",
        "thing",
        (_text("name"), _text("description"), _object("properties")),
        (
            _linked("Locations", _THINGS, "thing", "location"),
            _many("HistoricalLocations", "thing", "Thing"),
            _many("Datastreams", "thing", "Thing"),
        ),
    ),
    Entity(
        "Locations",
        "Location",
        "location",
        (
            _text("name"),
            _text("description"),
            _text("encodingType"),
            _geometry("location", True),
            _object("properties"),
        ),
        (
            _linked("Things", _THINGS, "location", "thing"),
            _linked("HistoricalLocations", _HISTORY, "location", "historical"),
        ),
    ),
    Entity(
        "HistoricalLocations",
        "HistoricalLocation",
        "historical_location",
        (Prop("time", "time", required=True),),
        (_one("Thing", "Things", "thing"), _linked("Locations", _HISTORY, "historical", "location")),
    ),
    Entity(
        "Datastreams",
        "Datastream",
        "datastream",
        (
            _text("name"),
            _text("description"),
            _text("observationType"),
            _object("unitOfMeasurement", True),
            _geometry("observedArea"),
            Prop("phenomenonTime", "interval", _SPAN, derived=True),
            _object("properties"),
        ),
        (
            _one("Thing", "Things", "thing"),
            _one("Sensor", "Sensors", "sensor"),
            _one("ObservedProperty", "ObservedProperties", "observed_property"),
            _many("Observations", "ds", "Datastream"),
        ),
    ),
    Entity(
        "Sensors",
        "Sensor",
        "sensor",
        (
            _text("name"),
            _text("description"),
            _text("encodingType"),
            Prop("metadata", "json", required=True),
            _object("properties"),
        ),
        (_many("Datastreams", "sensor", "Sensor"),),
    ),
    Entity(
        "ObservedProperties",
        "ObservedProperty",
        "observed_property",
        (_text("name"), _text("definition"), _text("description"), _object("properties")),
        (_many("Datastreams", "observed_property", "ObservedProperty"),),
    ),
    Entity(
        "Observations",
        "Observation",
        "observation",
        (
            Prop("phenomenonTime", "interval", ("{a}.t", "{a}.t_end")),
            Prop("resultTime", "time", ("{a}.rt",)),
            Prop("result", "result", ("{a}.num", "{a}.txt"), required=True),
            Prop("resultQuality", "extra", ("json_extract({a}.extra, '$.resultQuality')", "{a}.extra")),
            Prop("validTime", "extra", ("json_extract({a}.extra, '$.validTime')", "{a}.extra")),
            Prop("parameters", "extra", (_PARAMETERS, _WITH_LATE), parts="object"),
        ),
        (
            _one("Datastream", "Datastreams", "ds"),
            _one("FeatureOfInterest", "FeaturesOfInterest", "foi", required=False),
        ),
    ),
    Entity(
        "FeaturesOfInterest",
        "FeatureOfInterest",
        "feature_of_interest",
        (
            _text("name"),
            _text("description"),
            _text("encodingType"),
            _geometry("feature", True),
            _object("properties"),
        ),
        (_many("Observations", "foi", "FeatureOfInterest"),),
    ),
)

SETS: dict[str, Entity] = {entity.set: entity for entity in _ALL}
OBSERVATIONS = SETS["Observations"]
DATASTREAMS = SETS["Datastreams"]

_SPEC = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
#: Requirements met as a whole (OGC 18-088 clause 9.2.1.1); deleting and JSON Patch are not here.
CONFORMANCE = [
    _SPEC + name
    for name in (
        "datamodel",
        "resource-path/resource-path-to-entities",
        "request-data/order",
        "request-data/expand",
        "request-data/select",
        "request-data/orderby",
        "request-data/top",
        "request-data/skip",
        "request-data/count",
        "request-data/filter",
        "request-data/built-in-filter-operations",
        "request-data/built-in-query-functions",
        "request-data/pagination",
        "create-update-delete/create-entity",
        "create-update-delete/link-to-existing-entities",
        "create-update-delete/deep-insert",
        "create-update-delete/deep-insert-status-code",
        "create-update-delete/update-entity",
        "create-update-delete/historical-location-auto-creation",
        "data-array/data-array",
    )
]

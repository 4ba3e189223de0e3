"""A PostGIS database as a city's settings describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from layers.types import Titles


@dataclass(frozen=True, slots=True)
class Registered:
    """An existing table or view of the database, published as a layer where it lies, in its own CRS.

    ``table`` may be qualified by a schema. ``fid`` names a unique integer column, ``geometry`` the
    geometry column, ``time_field`` the one of the features' time; None takes the primary key, the only
    geometry column, and the only column of dates or times if there is one."""

    table: str
    kind: str = "feature"
    title: Titles = field(default_factory=dict)
    fid: str | None = None
    geometry: str | None = None
    time_field: str | None = None


@dataclass(frozen=True, slots=True)
class Database:
    """A PostGIS database: how to reach it and within which limits. Times are in seconds.

    ``url`` reads and writes; ``read_url``, where given, is the login of a role that can only read, and
    every read goes through it. ``schema`` holds the city's tables, so that several cities can share a
    database."""

    url: str
    read_url: str | None = None
    schema: str = "city"
    readers: int = 8
    writers: int = 4
    read_seconds: float = 5.0
    write_seconds: float = 30.0
    wait_seconds: float = 1.5
    tables: Mapping[str, Registered] = field(default_factory=dict)

"""A PostGIS database, and the tables of it that are layers where they lie, as ``city.yml`` writes them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, ClassVar
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from layers import kinds
from layers.errors import BadConfig
from layers.strict import CONFIG
from layers.types import Titles

#: What the environment fills in: ``${VAR}``.
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,39}")


def is_url(url: str) -> bool:
    """Whether libpq can read it; it takes several hosts, sockets and options that no URL parser knows."""
    if not url.startswith(("postgresql://", "postgres://")):
        return False
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError:
        return False
    return all(port.isdigit() or not port for port in str(parts.get("port", "")).split(","))


def _url(text: str) -> str:
    """The address of a database as it is written, ``${VAR}`` and all."""
    if VARIABLE.fullmatch(text) is None and not is_url(VARIABLE.sub("1", text)):
        raise ValueError("not an address such as postgresql://user:${PASSWORD}@host/database")
    return text


def _schema(name: str) -> str:
    if not _SCHEMA.fullmatch(name):
        raise ValueError("a schema is named by up to 40 lower-case letters, digits and _, and not pg_…")
    return name


def _kind(name: str) -> str:
    if name not in kinds.KINDS:
        raise ValueError("not a kind: one of " + ", ".join(sorted(kinds.KINDS)))
    return name


type Url = Annotated[str, AfterValidator(_url)]


@dataclass(frozen=True, slots=True)
class Registered:
    """An existing table or view of the database, published as a layer where it lies, in its own CRS.

    ``table`` may be qualified by a schema. ``fid`` names a unique integer column, ``geometry`` the
    geometry column, ``time_field`` the one of the features' time; None takes the primary key, the only
    geometry column, and the only column of dates or times if there is one. What no trigger of ours follows
    is copied, and compared with the copy every ``refresh`` seconds."""

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    table: Annotated[str, Field(min_length=1, max_length=200)]
    kind: Annotated[str, AfterValidator(_kind)] = "feature"
    title: Titles = field(default_factory=dict)
    fid: str | None = None
    geometry: str | None = None
    time_field: str | None = None
    refresh: Annotated[float, Field(ge=1, le=86_400)] = 10.0


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How to reach a PostGIS database and within which limits, as a city says it. Times are in seconds.

    ``url`` reads and writes; ``read_url``, where given, is the login of a role that can only read, and
    every read goes through it. ``schema`` holds the city's tables, so that several cities can share a
    database."""

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    url: Url = field(repr=False)
    read_url: Url | None = field(default=None, repr=False)
    schema: Annotated[str, AfterValidator(_schema)] = "city"
    readers: Annotated[int, Field(ge=1, le=100)] = 8
    writers: Annotated[int, Field(ge=1, le=50)] = 4
    read_seconds: Annotated[float, Field(gt=0, le=600)] = 5.0
    write_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0


@dataclass(frozen=True, slots=True)
class Database(DatabaseSettings):
    """A PostGIS database whose addresses are whole, and the tables that are layers where they lie.

    ``wait_seconds`` is how long a request waits for a connection."""

    wait_seconds: float = 1.5
    tables: Mapping[str, Registered] = field(default_factory=dict)


def _settings(value: object) -> object:
    if not isinstance(value, str | dict | None):
        raise ValueError("not an address such as postgresql://user@host/database, nor keys and values")
    return {"url": value} if isinstance(value, str) else value


#: ``store`` of ``city.yml``: an address, or keys and values.
type StoreSettings = Annotated[DatabaseSettings | None, BeforeValidator(_settings)]


def resolved(settings: DatabaseSettings | None, layers: Mapping[str, Registered]) -> Database | None:
    """The database that a city names, with those of its layers that are tables of it; None for a city that
    keeps its features in its folder.

    Raises BadConfig when the environment lacks what the address takes from it."""
    if settings is None:
        return None
    url = _resolved("url", settings.url)
    read_url = settings.read_url and _resolved("read_url", settings.read_url)
    tables = {layer_id: layer for layer_id, layer in layers.items() if layer.table}
    return Database(**asdict(settings) | {"url": url, "read_url": read_url}, tables=tables)


def _resolved(name: str, url: str) -> str:
    try:
        return from_environment(url)
    except ValueError as error:
        raise BadConfig(f"city.yml: store.{name}: {error}") from None


def from_environment(text: str) -> str:
    """The address of a database with every ``${VAR}`` replaced, so that passwords stay out of the file.
    Inside an address a value is percent-encoded: a password may hold any character. Raises ValueError."""

    def value(variable: re.Match[str]) -> str:
        content = os.environ.get(variable[1])
        if content is None:
            raise ValueError(f"the environment variable {variable[1]} is not set")
        return content if variable[0] == text else quote(content, safe="")

    url = VARIABLE.sub(value, text)
    if not is_url(url):
        raise ValueError("what the environment gives is no address such as postgresql://user@host/database")
    return url

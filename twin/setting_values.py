"""Single values of ``city.yml``: each is checked; ValueError says what is allowed."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from layers import crs as crs_
from layers import kinds
from layers.errors import BadFile, BadParameter

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,39}")


def zone(name: str) -> str:
    """The name of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("not a time zone name such as Asia/Shanghai") from error
    return name


def crs(text: str) -> str:
    """The city's own CRS, as ``EPSG:n``."""
    try:
        return crs_.horizontal(text)
    except BadParameter as error:
        raise ValueError("not the code of a coordinate system such as EPSG:4547") from error
    except BadFile as error:
        raise ValueError(error.reason) from error


def address(url: str | None) -> str | None:
    """A public address of this server."""
    try:
        parts = urlsplit(url or "http://none")
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise ValueError("not an address such as https://map.example.org")
    return url


def database_url(text: str) -> str:
    """The address of a database as it is written, ``${VAR}`` and all."""
    whole = VARIABLE.fullmatch(text) is not None
    if not whole and not _is_database_url(VARIABLE.sub("1", text)):
        raise ValueError("not an address such as postgresql://user:${PASSWORD}@host/database")
    return text


def from_environment(text: str) -> str:
    """The address with every ``${VAR}`` replaced, so that passwords stay out of the file. Inside an
    address a value is percent-encoded: a password may hold any character. Raises ValueError."""

    def value(found: re.Match[str]) -> str:
        given = os.environ.get(found[1])
        if given is None:
            raise ValueError(f"the environment variable {found[1]} is not set")
        return given if found[0] == text else quote(given, safe="")

    url = VARIABLE.sub(value, text)
    if not _is_database_url(url):
        raise ValueError("what the environment gives is no address such as postgresql://user@host/database")
    return url


def _is_database_url(url: str) -> bool:
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


def schema(name: str) -> str:
    """The name of a database schema."""
    if not _SCHEMA.fullmatch(name):
        raise ValueError("a schema is named by up to 40 lower-case letters, digits and _, and not pg_…")
    return name


def kind(name: str) -> str:
    """The name of a kind of layer."""
    if name not in kinds.KINDS:
        raise ValueError("not a kind: one of " + ", ".join(sorted(kinds.KINDS)))
    return name

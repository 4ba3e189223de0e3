"""Values as they come from PostgreSQL, turned into what every store gives: see :mod:`layers.values`.

Dates and instants come as the server's binary integers and become texts in one step; those that no
RFC 3339 text can say (infinity, years beyond 1 to 9999) are null.
"""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

from layers import wkb
from layers.store.postgis.connection import Connection

_DAYS = struct.Struct("!i")
_MICROS = struct.Struct("!q")
_DAY_ZERO = date(2000, 1, 1).toordinal()
_ZERO = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_FIRST = (datetime(1, 1, 1) - _ZERO) // timedelta(microseconds=1)
_LAST = (datetime(9999, 12, 31, 23, 59, 59, 999999) - _ZERO) // timedelta(microseconds=1)


class DateLoader(Loader):
    """``YYYY-MM-DD``."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str | None:
        ordinal = _DAYS.unpack(data)[0] + _DAY_ZERO
        return date.fromordinal(ordinal).isoformat() if 1 <= ordinal <= 3652059 else None


class InstantLoader(Loader):
    """``YYYY-MM-DDThh:mm:ss.sssZ``."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str | None:
        micros = _MICROS.unpack(data)[0]
        if not _FIRST <= micros <= _LAST:
            return None
        return (_ZERO + timedelta(microseconds=micros)).isoformat(timespec="milliseconds") + "Z"


class ArrayLoader(Loader):
    """JSON text as :func:`layers.values.stored` writes arrays."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        text = bytes(data)[1:]  # the first byte is jsonb's version
        try:
            return orjson.dumps(orjson.loads(text)).decode()
        except orjson.JSONDecodeError:  # a number that no double holds
            return text.decode()


class Ewkb(bytes):
    """A geometry as a parameter. As the type itself: a function that made one of bytes would do so a row."""


class EwkbDumper(Dumper):
    """Sent as it is."""

    format = Format.BINARY

    def dump(self, obj: Ewkb) -> bytes:
        return bytes(obj)


def prepare(con: Connection, geometry: int) -> None:
    """Make a connection read and send values so; ``geometry`` is the oid of that type."""
    con.adapters.register_dumper(Ewkb, type("GeometryDumper", (EwkbDumper,), {"oid": geometry}))
    con.adapters.register_loader("date", DateLoader)
    con.adapters.register_loader("timestamptz", InstantLoader)
    con.adapters.register_loader("timestamp", InstantLoader)
    con.adapters.register_loader("jsonb", ArrayLoader)


def geometries(ewkb: list[bytes | None]) -> Any:
    """EWKB as an object array of shapely geometries; None for null, or for one that cannot be read."""
    return wkb.shapes(ewkb)

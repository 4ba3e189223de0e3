"""The first and the last time of a layer."""

from __future__ import annotations

import sqlite3

from layers.store.geopackage.catalog import Table
from layers.store.geopackage.connection import quoted
from layers.store.geopackage.filter import INSTANT, shifted
from layers.types import Interval

#: Texts of one moment in different zones are at most a day apart from it, in either direction.
_APART = 3


def interval(con: sqlite3.Connection, table: Table) -> Interval:
    """The least and the greatest value of the time field; None twice without such a field or value."""
    field = table.field(table.time_field or "")
    if field is None:
        return None, None
    column = quoted(field.name)
    value = f"date({column})" if field.type == "date" else f"strftime('{INSTANT}', {column})"
    first = _end(con, table, column, f"min({value})", "min", "<=", _APART)
    return first, _end(con, table, column, f"max({value})", "max", ">=", -_APART)


def _end(
    con: sqlite3.Connection, table: Table, column: str, wanted: str, end: str, operator: str, days: int
) -> str | None:
    """One end: by the index of the texts, among those whose text is near its end.

    Another program may have written what is no time: then all are looked at."""
    rough = con.execute(f"SELECT {end}({column}) FROM {table.name}").fetchone()[0]
    bound = shifted(rough[:10], days) if isinstance(rough, str) else None
    found: str | None = None
    if bound is not None:
        near = f"SELECT {wanted} FROM {table.name} WHERE {column} {operator} ?"
        found = con.execute(near, (bound,)).fetchone()[0]
    if found is None and rough is not None:
        found = con.execute(f"SELECT {wanted} FROM {table.name}").fetchone()[0]
    return found

"""Why the database refused an edit, for whoever sent it: the constraint or the column, never values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import errors

from layers.errors import BadBody, Conflict, Exists, NotAllowed, TwinError
from layers.store.postgis.connection import Connection
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.values import Ewkb


def integrity(table: LayerTable, error: psycopg.IntegrityError) -> TwinError:
    """What a broken constraint means: 409 where another row is in the way, else the body's fault."""
    column, name = error.diag.column_name, error.diag.constraint_name
    which = f" ({name})" if name else ""
    if isinstance(error, errors.NotNullViolation):
        return BadBody(f"properties: {_property(table, column)}: must not be null")
    if isinstance(error, errors.UniqueViolation):
        return Exists(f"properties: another feature has a value that must be unique{which}")
    if isinstance(error, errors.ExclusionViolation):
        return Conflict(f"another feature excludes this one{which}")
    if isinstance(error, errors.ForeignKeyViolation | errors.RestrictViolation):
        if _is_referred(table, error):
            return Conflict(f"other rows of the database refer to the feature{which}")
        return BadBody(f"properties: a value refers to nothing that is there{which}")
    return BadBody(f"properties: the table's constraints do not permit this{which}")


def _is_referred(table: LayerTable, error: psycopg.Error) -> bool:
    """Whether rows of another table refer to the feature: the diagnostics then name that table."""
    return (error.diag.schema_name, error.diag.table_name) != (table.rows.schema, table.rows.table)


def _property(table: LayerTable, column: str | None) -> str:
    if column == table.rows.geometry:
        return "geometry"
    return next((name for name, one in table.columns.items() if one.name == column), column or "a value")


def right(table: LayerTable) -> TwinError:
    """A right that is lacking, or a policy of rows that forbids it."""
    return NotAllowed(
        f"the database does not let this server change layer {table.id} so: its role lacks a right there,"
        " or a row-level security policy forbids it"
    )


def value(
    con: Connection, table: LayerTable, columns: Mapping[str, tuple[str, Any]], error: psycopg.DataError
) -> TwinError:
    """A value that its column cannot take. PostgreSQL rarely says which, so each is tried by itself."""
    named = error.diag.column_name
    faults = [named] if named else [c for c, (mark, sent) in columns.items() if not _accepts(con, mark, sent)]
    if not faults and table.rows.geometry in columns:
        faults = [table.rows.geometry]
    which = "".join(f"{_property(table, one)}: " for one in faults[:1])
    where = "" if which == "geometry: " else "properties: "
    return BadBody(f"{where}{which}a value does not fit the table's column")


def _accepts(con: Connection, mark: str, sent: Any) -> bool:
    if isinstance(sent, Ewkb):
        return True
    try:
        with con.transaction():  # where the edit is one of several, what fails must not end theirs
            con.execute(f"SELECT {mark}", (sent,))
    except psycopg.DataError:
        return False
    return True

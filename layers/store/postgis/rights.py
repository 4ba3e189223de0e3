"""What the database lets this server do to the rows of each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from layers.store.postgis.connection import bound
from layers.types import EDITS, EditKind

#: What the writing role may do to a table's rows.
type Rights = tuple[EditKind, ...]

_RIGHT: Mapping[EditKind, str] = {"create": "INSERT", "update": "UPDATE", "delete": "DELETE"}

# An edit locks its row first, which takes UPDATE on some column.
_RIGHTS = """
SELECT l.id, has_any_column_privilege(%s, c.oid, 'INSERT'), has_any_column_privilege(%s, c.oid, 'UPDATE'),
  has_any_column_privilege(%s, c.oid, 'UPDATE') AND has_table_privilege(%s, c.oid, 'DELETE')
FROM {s}.twin_layers l
LEFT JOIN LATERAL (SELECT l.source::json AS j) o ON true
JOIN pg_namespace n ON n.nspname = coalesce(o.j->>'schema', %s)
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = coalesce(o.j->>'table', l.id)
  AND c.relkind IN ('r', 'p', 'v')
"""


def lacking(rights: Rights) -> str:
    """What the operator must grant so that everything may be done; empty when all may."""
    lacks = ", ".join(_RIGHT[kind] for kind in EDITS if kind not in rights)
    return f"this server's role in the database has no right to {lacks} its rows; grant it" if lacks else ""


def rights(con: Any, schema: str, writer: str) -> dict[str, Rights]:
    """The rights on every layer that has a table, by id; ``con`` is one of the reading role."""
    rows = con.execute(_RIGHTS.format(s=bound(schema)), (writer,) * 4 + (schema,)).fetchall()
    return {row[0]: tuple(kind for kind, may in zip(EDITS, row[1:], strict=True) if may) for row in rows}

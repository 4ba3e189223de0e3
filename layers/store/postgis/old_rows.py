"""Old rows made whole, which leave out what the next version of their feature has, too.

``lent`` of an old row tells what it has from there: its ``PROPERTIES``, of which its JSON then has those
alone that are others in the next version, its ``GEOMETRY``, its ``BODY``. What a row does not have itself is
that of the first later row of its feature that has it, or of the present row. Only later rows lend, so the
oldest may go. A row has all where its next version has other columns, or there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from layers.store.postgis.connection import Connection, bound, literal
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.schema import mesh_table

PROPERTIES, GEOMETRY, BODY = 1, 2, 4
#: The setting by which a transaction lets triggers keep rows whole, for it takes columns away or adds some.
ENTIRE_SETTING = "twin.entire"
ENTIRE = f"coalesce(current_setting('{ENTIRE_SETTING}', true) = 'on', false)"
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class OldRows:
    """The old rows of a layer: the table of them, the present ``table`` (None where that is of another layer,
    or gone), and those ``columns`` (bound) of it whose values old rows may lend. SQL is for a statement with
    parameters."""

    past: str
    table: LayerTable | None
    columns: tuple[str, ...]

    def whole(self, rows: str | None = None) -> str:
        """A relation of old rows, or of those that a query selects, with all that they were: fid, until,
        there, old, geom, mesh."""
        shown = "r.fid, r.until, r.there"
        values = f"{self.properties('r')} AS old, {self.geometry('r')} AS geom, {self.body('r')} AS mesh"
        return f"(SELECT {shown}, {values} FROM {rows or self.past} r)"

    def properties(self, row: str) -> str:
        """The JSON of an old row. Of a name that it has twice the last value holds."""
        later = f"{self.past} q WHERE q.fid = {row}.fid"
        end = (
            f"SELECT q.until FROM {later} AND q.until > {row}.until AND q.lent & {PROPERTIES} = 0"
            " ORDER BY q.until LIMIT 1"
        )
        inside = _inside("q.old::text")
        chain = (
            f"SELECT string_agg({inside}, ',' ORDER BY q.until DESC) AS said FROM {later}"
            f" AND q.until >= {row}.until AND q.until <= coalesce(e.until, {_LAST})"
        )
        now = "NULL"
        if self.table is not None and self.columns:
            named = ", ".join(f"t.{column}" for column in self.columns)
            present = f"SELECT {named} FROM {self._present(row)}"
            said = _inside("row_to_json(x)::text")
            now = f"CASE WHEN e.until IS NULL THEN (SELECT {said} FROM ({present}) x) END"
        joined = f"'{{' || concat_ws(',', {now}, c.said) || '}}'"
        source = f"(SELECT ({end}) AS until OFFSET 0) e CROSS JOIN LATERAL ({chain}) c"
        return (
            f"CASE WHEN {row}.lent & {PROPERTIES} = 0 THEN {row}.old"
            f" WHEN {row}.there THEN (SELECT ({joined})::json FROM {source}) END"
        )

    def value(self, row: str, name: str, *, beside: bool = False) -> str:
        """The text of one property (its name not quoted) of an old row; ``beside``: the present row is at
        hand, as ``t``."""
        key = literal(name).replace("%", "%%")
        own, later = (f"({r}.lent & {PROPERTIES} = 0 OR {r}.old -> {key} IS NOT NULL)" for r in (row, "q"))
        found = (
            f"(SELECT json_build_array(q.old -> {key}) FROM {self.past} q WHERE q.fid = {row}.fid"
            f" AND q.until > {row}.until AND {later} ORDER BY q.until LIMIT 1)"
        )
        if self.table is not None and bound(name) in self.columns:
            now = f"json_build_array(t.{bound(name)})"
            now = now if beside else f"(SELECT {now} FROM {self._present(row)})"
            found = f"coalesce({found}, {now})"
        return f"(CASE WHEN {own} THEN {row}.old ->> {key} ELSE {found} ->> 0 END)"

    def geometry(self, row: str) -> str:
        """The geometry of an old row. None that is lent is null."""
        now = None if self.table is None else f"SELECT {self.table.geom} FROM {self._present(row)}"
        return self._of(row, GEOMETRY, "geom", now)

    def body(self, row: str) -> str:
        """The body of an old row. None that is lent is null."""
        now = None
        if self.table is not None and self.table.source is None:
            now = f"SELECT m.body FROM {self.table.mesh.replace('%', '%%')} m WHERE m.fid = {row}.fid"
        return self._of(row, BODY, "mesh", now)

    def _of(self, row: str, what: int, column: str, now: str | None) -> str:
        later = (
            f"(SELECT q.{column} FROM {self.past} q WHERE q.fid = {row}.fid AND q.until > {row}.until"
            f" AND q.lent & {what} = 0 ORDER BY q.until LIMIT 1)"
        )
        whole = later if now is None else f"coalesce({later}, ({now}))"
        return f"CASE WHEN {row}.lent & {what} = 0 THEN {row}.{column} ELSE {whole} END"

    def _present(self, row: str) -> str:
        assert self.table is not None
        return f"{self.table.relation} t WHERE {self.table.fid} = {row}.fid"


def _inside(text: str) -> str:
    """What stands between the braces of an object, null for nothing."""
    return f"nullif(substr({text}, 2, length({text}) - 2), '')"


def keep_bodies(con: Connection, schema: str, layer: str, bodies: str, values: Any = ()) -> None:
    """Before bodies are written: give those old rows of the present transaction theirs that have it from the
    present ones. ``bodies`` is a query of what comes, a fid and a body or null, with ``values``."""
    s, mesh = bound(schema), f"{bound(schema)}.{bound(mesh_table(layer))}"
    con.execute(
        f"UPDATE {s}.twin_pending p SET mesh = m.body, lent = p.lent & ~{BODY}"
        f" FROM ({bodies}) n(fid, body) JOIN {mesh} m ON m.fid = n.fid"
        f" WHERE p.xid = pg_current_xact_id() AND p.layer = {literal(layer).replace('%', '%%')}"
        f" AND p.fid = m.fid AND p.lent & {BODY} <> 0 AND n.body IS DISTINCT FROM m.body",
        values,
    )


def put_bodies(con: Connection, schema: str, layer: str, bodies: str, values: Any = ()) -> None:
    """Write bodies, of which ``bodies`` is a query as for :func:`keep_bodies`."""
    keep_bodies(con, schema, layer, bodies, values)
    mesh = f"{bound(schema)}.{bound(mesh_table(layer))}"
    source = f"({bodies}) n(fid, body)"
    con.execute(f"DELETE FROM {mesh} m USING {source} WHERE m.fid = n.fid AND n.body IS NULL", values)
    con.execute(
        f"INSERT INTO {mesh} AS m (fid, body) SELECT n.fid, n.body FROM {source} WHERE n.body IS NOT NULL"
        " ON CONFLICT (fid) DO UPDATE SET body = excluded.body WHERE m.body <> excluded.body",
        values,
    )

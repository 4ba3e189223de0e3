"""Which tables must be watched to know when a registered table or view changes, and what cannot be watched.

A trigger tells of a change of rows. Nothing tells that a view would answer otherwise because time went by, or
because a function of it reads another table, so such a view is refused: its ETags would be lies.
"""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from layers.store.layer_record import OK
from layers.store.postgis import schema
from layers.store.postgis.connection import quoted
from layers.store.postgis.ddl import Place
from layers.store.postgis.layer_table import Table

NO_SELECT = "this server may not read it; grant it SELECT"
_NOT_ALWAYS = (
    "logical replication writes {0}, where this server's triggers are not enabled always; let its owner run"
    " ALTER TABLE {0} ENABLE ALWAYS TRIGGER for those that begin with twin_"
)
_NO_TRIGGER = "this server may not put its triggers on {}; grant it TRIGGER and SELECT"
#: The relations behind a table or view: itself, what views read, partitions and heirs; and how each is read.
_BEHIND = """
WITH RECURSIVE d(oid) AS (SELECT %s::regclass::oid UNION SELECT s.oid FROM d, LATERAL (
    SELECT p.refobjid AS oid FROM pg_rewrite w JOIN pg_depend p ON p.classid = 'pg_rewrite'::regclass
      AND p.objid = w.oid AND p.refclassid = 'pg_class'::regclass WHERE w.ev_class = d.oid
    UNION ALL SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = d.oid) s)
SELECT n.nspname, c.relname, c.relkind::text, c.oid::bigint FROM d JOIN pg_class c ON c.oid = d.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind NOT IN ('c', 'i', 'I')
  ORDER BY c.relkind = 'v' DESC, 1, 2
"""
# The trees of views and of policies, as PostgreSQL keeps them (nodes/outfuncs.c). What is built in is in no
# pg_depend, so the numbers are read from the text.
_TREES = """
SELECT ev_action::text FROM pg_rewrite WHERE ev_class = ANY(%(oids)s) AND ev_type = '1'
UNION ALL SELECT concat_ws(' ', polqual::text, polwithcheck::text) FROM pg_policy p
  JOIN pg_class c ON c.oid = p.polrelid WHERE c.relrowsecurity AND p.polrelid = ANY(%(oids)s)
"""
#: Functions whose answer changes without an edit: not of the system and not IMMUTABLE, VOLATILE, or of the
#: system and about the time or the database itself. Others that are STABLE depend on settings alone.
_MOVING = """
WITH t AS MATERIALIZED (SELECT unnest(%(trees)s::text[]) AS tree), f AS (
  SELECT DISTINCT m[1]::oid AS oid FROM t,
    regexp_matches(tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid|tsmhandler) (\\d+)', 'g') m)
SELECT proname || '()' FROM f JOIN pg_proc p USING (oid) WHERE provolatile = 'v' OR (provolatile = 's' AND (
    pronamespace <> 'pg_catalog'::regnamespace OR (proname = 'age' AND pronargs = 1)
    OR proname ~ ('^(now|(transaction|statement)_timestamp|mxid_age|pg_(?!typeof$).*|has_.*|txid_.*'
      || '|inet_(client|server)_.*|(query|table|cursor|schema|database)_to_xml.*|.*_description)$')))
UNION ALL SELECT 'the current time' FROM t WHERE tree ~ 'SQLVALUEFUNCTION :op [0-8] '
UNION ALL SELECT 'a system table' FROM t, regexp_matches(tree, ':relid (\\d+)', 'g') m
  WHERE m[1] <> '0' AND m[1]::bigint < 16384
LIMIT 1
"""
_POLICY_READS = """
SELECT DISTINCT c.relname FROM pg_policy y JOIN pg_class o ON o.oid = y.polrelid AND o.relrowsecurity
  JOIN pg_depend p ON p.classid = 'pg_policy'::regclass AND p.objid = y.oid
  AND p.refclassid = 'pg_class'::regclass AND p.refobjid <> y.polrelid JOIN pg_class c ON c.oid = p.refobjid
WHERE y.polrelid = ANY(%s) LIMIT 1
"""


def behind(place: Place, table: Table) -> tuple[list[str], str]:
    """The tables that hold the rows of a registered table or view, quoted; why they cannot be watched,
    empty where they can."""
    rows = place.con.execute(_BEHIND, (table.raw,)).fetchall()
    oids = [oid for _, _, _, oid in rows]
    holding = [row for row in rows if row[2] != "v"]
    odd = [name for _, name, kind, _ in holding if kind not in ("r", "p")]
    if odd:
        return [], f"it reads {odd[0]}, which is no table that a trigger can follow"
    if not holding:
        return [], "it reads no table"
    trees = [tree for (tree,) in place.con.execute(_TREES, {"oids": oids}).fetchall()]
    moving = place.con.execute(_MOVING, {"trees": trees}).fetchone()
    if moving is not None:
        return [], f"it uses {moving[0]}, whose answer can change without an edit"
    read = place.con.execute(_POLICY_READS, (oids,)).fetchone()
    if read is not None:
        return [], f"a policy of its rows reads {read[0]}, which is not watched for it"
    return [f"{quoted(namespace)}.{quoted(name)}" for namespace, name, _, _ in holding], ""


def in_place(place: Place, table: Table, relations: Sequence[str], function: str) -> bool:
    """Whether the triggers that this function's DDL is for are all there and on; an owner may have enabled
    them always, which this server cannot do."""
    found = place.con.execute(
        "SELECT p.prosrc, count(t.oid) FROM pg_proc p JOIN pg_trigger t ON t.tgfoid = p.oid"
        " WHERE p.oid = to_regprocedure(%s) AND t.tgenabled IN ('O', 'A')"
        " AND t.tgrelid = ANY(%s::text[]::regclass[]) GROUP BY p.prosrc",
        (f"{place.s}.{quoted(schema.log_function(table.id))}()", list(relations)),
    ).fetchone()
    body = function.split("$body$")[1]
    return found == (body, len(relations) * len(schema.OPERATIONS))


def replicated(place: Place, table: Table, relations: Sequence[str]) -> str:
    """A table that a subscription writes without our triggers seeing it; empty where there is none."""
    row = place.con.execute(
        "SELECT t.tgrelid::regclass::text FROM pg_trigger t"
        " JOIN pg_subscription_rel s ON s.srrelid = t.tgrelid"
        " WHERE t.tgfoid = to_regprocedure(%s) AND t.tgenabled <> 'A'"
        " AND t.tgrelid = ANY(%s::text[]::regclass[]) LIMIT 1",
        (f"{place.s}.{quoted(schema.log_function(table.id))}()", list(relations)),
    ).fetchone()
    return "" if row is None else str(row[0])


def ambiguous(place: Place, table: Table) -> str:
    """Why the rows of a view, or of a table with heirs, cannot be told apart; empty where they can."""
    assert table.source is not None
    fid = quoted(table.source.fid)
    row = place.con.execute(
        f"SELECT {fid} IS NULL FROM {table.raw} GROUP BY {fid} HAVING {fid} IS NULL OR count(*) > 1 LIMIT 1"
    ).fetchone()
    if row is None:
        return ""
    return f"its column {table.source.fid} is " + ("null in some rows" if row[0] else "not unique")


def untriggered(place: Place, relations: Sequence[str], *, counted: bool) -> str:
    """Those tables on which this server may not put triggers, for a message; empty where it may.

    ``counted``: the triggers count the rows that a TRUNCATE takes, which asks for SELECT."""
    lacks = "NOT has_table_privilege(r, 'TRIGGER')"
    if counted:
        lacks += " OR NOT has_table_privilege(r, 'SELECT')"
    rows = place.con.execute(
        f"SELECT r::regclass::text FROM unnest(%s::text[]) r WHERE {lacks}", (list(relations),)
    ).fetchall()
    return ", ".join(name for (name,) in rows)


def watch(place: Place, table: Table, heirs: bool) -> str:
    """Put the triggers on the table, its partitions and heirs, or on all that a view reads; the layer's
    state."""
    source = table.source
    assert source is not None
    try:
        with place.con.transaction():
            relations, problem = behind(place, table)
            if not problem and (source.view or heirs):
                problem = ambiguous(place, table)
    except psycopg.errors.InsufficientPrivilege:
        problem = NO_SELECT
    if problem:
        place.con.execute(schema.drop_logging(place.schema, table.id))
        return problem
    if source.view:
        made = schema.whole_logging(place.schema, table.id, relations)
    else:
        made = schema.logging(
            place.schema, place.postgis, table.id, relations, source.fid, source.geometry, source.srid, False
        )
    try:
        with place.con.transaction():
            return _put(place, table, relations, made)
    except psycopg.errors.InsufficientPrivilege:  # of a schema
        return _NO_TRIGGER.format("the tables that it reads")


def _put(place: Place, table: Table, relations: Sequence[str], made: Sequence[str]) -> str:
    """Run the DDL of the log function and its triggers where they are not in place; the layer's state."""
    if lacking := untriggered(place, relations, counted=not table.is_view):
        return _NO_TRIGGER.format(lacking)
    if not in_place(place, table, relations, made[0]):
        for sql in (schema.drop_logging(place.schema, table.id), *made):
            place.con.execute(sql)
    for relation in relations:
        if _owned(place, relation):
            for sql in schema.always(place.schema, table.id, relation):
                place.con.execute(sql)
    written = replicated(place, table, relations)
    return _NOT_ALWAYS.format(written) if written else OK


def _owned(place: Place, relation: str) -> bool:
    sql = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %s::regclass"
    return bool(place.one(sql, (relation,)))

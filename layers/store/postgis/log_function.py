"""The function and triggers by which a table tells of its changes, and keeps what its rows were.

Statement triggers: they write to ``twin_pending`` one row for each feature that changed, or one for all of a
large statement, and with it the old row: its columns as JSON, its geometry, its mesh. Of a row that an
UPDATE changes, what is the same afterwards is not kept, but for one in about 16: see ``old_rows``, and
``numbering``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from layers.store.postgis.connection import literal, quoted
from layers.store.postgis.layer_table import EXACT
from layers.store.postgis.old_rows import BODY, ENTIRE, GEOMETRY, PROPERTIES
from layers.store.postgis.schema import BOXES, log_function, mesh_table, past_table, short
from layers.store.staged import LOGGED_EACH

OPERATIONS = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
_TRANSITION = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
    "TRUNCATE": "",
}
# extra_float_digits, bytea_output: what a session of another program has there must not change what is kept
_FUNCTION = (
    "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"
    " SET extra_float_digits = 1 SET bytea_output = hex AS $body$\n"
)


@dataclass(frozen=True, slots=True)
class Logged:
    """A table whose changes are logged: ``relation`` is quoted, ``fid`` and ``geom`` are column names,
    ``mesh`` tells whether bodies lie beside it. Of old rows all is kept but the columns ``blank``, or nothing
    unless ``keeps``; the columns ``inexact`` as text, too, where that has their pattern."""

    schema: str
    postgis: str
    layer: str
    relation: str
    fid: str
    geom: str
    srid: int
    mesh: bool
    blank: tuple[str, ...] = ()
    inexact: tuple[tuple[str, str], ...] = ()
    keeps: bool = True


def function(table: Logged) -> str:
    """The log function of a table, in place of the one that there may be."""
    name = f"{quoted(table.schema)}.{quoted(log_function(table.layer))}()"
    return f"CREATE OR REPLACE FUNCTION {name} {_FUNCTION}{_Body(table).text()}$body$"


def triggers(table: Logged) -> list[str]:
    """The four triggers on a table that call its log function."""
    return [_trigger(table.schema, table.layer, table.relation, o, _TRANSITION[o]) for o in OPERATIONS]


def log_trigger(schema: str, layer: str, operation: str) -> str:
    """Name of a layer's trigger for INSERT, UPDATE, DELETE or TRUNCATE."""
    return short(f"twin_{schema}_{layer}_{operation.lower()}")


def _trigger(schema: str, layer: str, relation: str, operation: str, tables: str) -> str:
    when = "BEFORE" if operation == "TRUNCATE" else "AFTER"
    return (
        f"CREATE TRIGGER {quoted(log_trigger(schema, layer, operation))} {when} {operation} ON {relation}"
        f" {tables} FOR EACH STATEMENT EXECUTE FUNCTION {quoted(schema)}.{quoted(log_function(layer))}()"
    )


def always(table: Logged) -> list[str]:
    """Let the triggers fire for every session, also one that replicates; for the table's owner only."""
    names = (quoted(log_trigger(table.schema, table.layer, operation)) for operation in OPERATIONS)
    return [f"ALTER TABLE {table.relation} ENABLE ALWAYS TRIGGER {name}" for name in names]


def keep(table: Logged, whole: int, chosen: str = "true") -> str:
    """Keep the ``chosen`` rows (``r``) of a table as old rows of the pending change ``whole``."""
    body = _Body(table)
    rows = body.rows(table.relation, old=True, boxed=False)
    return body.carried(f"{rows} WHERE {chosen}", old=True, mine="pg_current_xact_id()", whole=str(whole))


#: Variables of the function.
_OWN = frozenset({"mine", "gone", "made", "whole", "nested", "nested_from", "own_from"})
#: Per depth of triggers, from which row of ``twin_pending`` on statements have logged that triggers of other
#: ones made, since a statement that no such trigger made.
_NESTED = "twin.nested_"


def old_row(table: Logged) -> str:
    """SQL of the properties of a row (``r.*``: a column may have the name ``r``) as JSON.

    Not jsonb, which knows no -0, and not without the geometry having been blanked: PostGIS has a cast of it
    to JSON, which fails on curves."""
    blank = json.dumps(dict.fromkeys((table.fid, table.geom, *table.blank)), ensure_ascii=False)
    said = f"row_to_json(json_populate_record(r.*, {literal(blank)}))"
    named = [(literal(name), quoted(name), literal(odd)) for name, odd in table.inexact if name not in _OWN]
    if not named:
        return said
    # other programs drop and rename columns: what is not there is looked for further out, where it is null
    none = ", ".join(f"NULL::text AS {column}" for _, column, _ in named)
    values = ", ".join(
        f"({n}, (SELECT {column}::text FROM (SELECT r.*) w), {odd})" for n, column, odd in named
    )
    each = f"(SELECT {none}) z CROSS JOIN LATERAL (VALUES {values}) e(n, v, odd)"
    texts = f"SELECT json_object_agg(e.n, e.v) AS j FROM {each} WHERE e.v ~ e.odd"
    whole = f"""(left(a.j::text, -1) || ',"{EXACT}":' || b.j::text || '}}')::json"""
    return (
        f"(SELECT CASE WHEN b.j IS NULL THEN a.j ELSE {whole} END FROM (SELECT {said} AS j) a, ({texts}) b)"
    )


#: Columns of ``twin_pending`` that go to ``twin_past``.
KEPT = "there, old, geom, mesh, lent"
#: Of a feature that has been changed as often, one old row of so many is kept whole: of a million versions
#: each is then read as quickly.
_OFTEN, _EACH = 8, 16
_NONE = "NULL, NULL, NULL, NULL"
_TABLE = "<table>"  # where the name of the table stands in a statement that is made when it runs


@dataclass(frozen=True, slots=True)
class _Body:
    table: Logged

    @property
    def name(self) -> str:
        return literal(self.table.layer)

    @property
    def pending(self) -> str:
        return f"{quoted(self.table.schema)}.twin_pending"

    @property
    def _numbers(self) -> str:
        """The sequence of the ids of ``twin_pending``."""
        return f"{literal(f'{quoted(self.table.schema)}.twin_pending_id_seq')}::regclass"

    @property
    def meshes(self) -> str:
        return f"{quoted(self.table.schema)}.{quoted(mesh_table(self.table.layer))}"

    @property
    def guarded(self) -> bool:
        return self.table.srid != 4326

    def rows(self, source: str, *, old: bool = False, said: bool = False, boxed: bool = True) -> str:
        """Each row of a table as its fid, its box in lon/lat (x1, y1, x2, y2), and what is kept of it as an
        old one, or ``said`` of it to be compared with that."""
        table, fid, geom = self.table, quoted(self.table.fid), quoted(self.table.geom)
        columns = [f"r.{fid} AS fid"]
        if boxed:
            shape, p = f"r.{geom}", table.postgis
            if self.guarded:
                shape = f"{p}.st_envelope({p}.st_transform({shape}, 4326))"
            sides = (("xmin", "x1"), ("ymin", "y1"), ("xmax", "x2"), ("ymax", "y2"))
            columns += [f"{p}.st_{side}({shape}) AS {name}" for side, name in sides]
        beside = ""
        if (old or said) and table.keeps:
            columns += [f"{old_row(table)} AS old", f"r.{geom} AS geom"]
        if old and table.keeps:
            columns.append("m.body AS mesh" if table.mesh else "NULL::bytea AS mesh")
            beside = f" LEFT JOIN {self.meshes} m ON m.fid = r.{fid}" if table.mesh else ""
        return f"SELECT {', '.join(columns)} FROM {source} r{beside}"

    def put(self, *, kept: bool = True) -> str:
        keeps = f", {KEPT}" if kept and self.table.keeps else ""
        return f"INSERT INTO {self.pending} (xid, first, layer, fid, delta, {BOXES}{keeps}) "

    def was(self, row: str | None) -> str:
        """What is kept of a row that was there, or (None) that there was none."""
        if not self.table.keeps:
            return ""
        if row is None:
            return ", false, NULL, NULL, NULL, 0"
        return f", true, {row}.old, {row}.geom, {row}.mesh, 0"

    def altered(self, there: str = "true") -> str:
        """What is kept of a row (o) that became another (n), see :meth:`lent`."""
        if not self.table.keeps:
            return ""
        own = "CASE WHEN l.lent & {} = 0 THEN {} END"
        pairs = "ROWS FROM (json_each(o.old), json_each(n.old)) AS e(k, was, k2, now)"
        text = "string_agg(to_json(e.k)::text || ':' || e.was::text, ',')"
        other = f"SELECT ('{{' || {text} || '}}')::json FROM {pairs} WHERE e.was::text <> e.now::text"
        old = f"CASE WHEN l.lent & {PROPERTIES} = 0 THEN o.old ELSE ({other}) END"
        # without the box that PostGIS has beside it, of 16 bytes
        geom = own.format(GEOMETRY, f"{self.table.postgis}.postgis_dropbbox(o.geom)")
        return f", {there}, {old}, {geom}, {own.format(BODY, 'o.mesh')}, l.lent"

    def lent(self) -> str:
        """What of an old row (o) the next one (n) has, too: nothing where there is none, where a trigger of
        another program may have changed that again, or where values are kept as text beside the JSON."""
        if not self.table.keeps:
            return ""
        whole = "n.fid IS NULL OR o.fid IS NULL OR nested_from IS NOT NULL"
        whole += f" OR {ENTIRE} OR (random() < {1 / _EACH} AND {self._often()})"
        if self.table.inexact:
            whole += "".join(f" OR {row}.old -> '{EXACT}' IS NOT NULL" for row in "on")
        same = "o.geom IS NOT NULL AND o.geom::bytea IS NOT DISTINCT FROM n.geom::bytea"
        shared = f"CASE WHEN o.mesh IS NULL THEN {GEOMETRY} ELSE {GEOMETRY | BODY} END"
        lent = f"CASE WHEN {whole} THEN 0 WHEN {same} THEN {PROPERTIES} + {shared} ELSE {PROPERTIES} END"
        return f" CROSS JOIN LATERAL (SELECT {lent} AS lent OFFSET 0) l"

    def _often(self) -> str:
        past = f"{quoted(self.table.schema)}.{quoted(past_table(self.table.layer))}"
        return (
            f"(SELECT count(*) = {_OFTEN} FROM (SELECT FROM {past} p WHERE p.fid = o.fid LIMIT {_OFTEN}) c)"
        )

    def carried(self, source: str, *, old: bool, mine: str = "mine", whole: str = "whole") -> str:
        """The old rows of what one log row, numbered ``whole``, tells of all."""
        return (
            f"{self._part(mine, whole)}, r.fid, 0, {whole}{self.was('r' if old else None)} FROM ({source}) r"
        )

    def _part(self, mine: str, whole: str) -> str:
        put = f"INSERT INTO {self.pending} (xid, first, layer, fid, delta, part, {KEPT})"
        return f"{put} SELECT {mine}, false, {self.name}"

    def text(self) -> str:
        old, new = self.rows("old_rows", old=True), self.rows("new_rows", said=True)
        return f"""DECLARE
 mine xid8 := pg_current_xact_id();
 gone bigint := 0;
 made bigint := 0;
 whole bigint;
 nested_from bigint := nullif(current_setting('{_NESTED}' || pg_trigger_depth() + 1, true), '');
 own_from bigint;
 nested boolean;
BEGIN
 IF TG_OP = 'TRUNCATE' THEN
  {self._truncated()}
  RETURN NULL;
 END IF;
 IF TG_OP <> 'INSERT' THEN SELECT count(*) INTO gone FROM old_rows; END IF;
 IF TG_OP <> 'DELETE' THEN SELECT count(*) INTO made FROM new_rows; END IF;
 IF gone = 0 AND made = 0 THEN RETURN NULL; END IF;
 {self._begun()}
 IF current_setting('twin.whole', true) <> '' THEN
  SELECT id INTO whole FROM {self.pending} WHERE xid = mine AND layer = {self.name}
   AND id::text = current_setting('twin.whole', true);
 END IF;
 IF whole IS NULL THEN
  {"BEGIN" if self.guarded else ""}
  IF greatest(gone, made) > {LOGGED_EACH} THEN
   {self._whole()}
  ELSE
   {self._each(old, new)}
  END IF;
  {self._guard() if self.guarded else ""}
 END IF;
 {self._carry() if self.table.keeps else ""}
 IF nested_from IS NOT NULL THEN
  {self._ordered()}
 END IF;
 {self._forget() if self.table.mesh else ""}
 RETURN NULL;
END """

    def _begun(self) -> str:
        """Where this statement's rows of ``twin_pending`` begin, if others may have to be told from them."""
        depth = "pg_trigger_depth()"
        return f"""IF {depth} > 1 OR nested_from IS NOT NULL THEN
  own_from := nextval({self._numbers});
  IF {depth} > 1 AND coalesce(current_setting('{_NESTED}' || {depth}, true), '') = '' THEN
   PERFORM set_config('{_NESTED}' || {depth}, coalesce(nested_from, own_from)::text, true);
  END IF;
  IF nested_from IS NOT NULL THEN PERFORM set_config('{_NESTED}' || {depth} + 1, '', true); END IF;
 END IF;"""

    def _ordered(self) -> str:
        """What triggers of this statement did to its rows comes after it, though it was logged before: this
        trigger is of the whole statement, theirs are of its rows.

        Which of the two was first the commands tell that wrote: a row of ``twin_pending`` whose feature was
        written by no later command is of such a trigger. Under one log row for all the first old row of a
        feature is that of them all."""
        p, table = self.pending, self.table
        nested = "p.xid = $1 AND p.id >= $2 AND p.id < $3"
        own = f"SELECT q.fid FROM {p} q WHERE q.xid = $1 AND q.id > $3 AND q.layer = {self.name}"
        row = f"SELECT FROM {_TABLE} t WHERE t.{quoted(table.fid)} = p.fid"
        later = f"{row} AND t.cmin::text::bigint > p.cmin::text::bigint"
        asked = (
            f"SELECT EXISTS (SELECT FROM {p} p WHERE {nested} AND p.layer = {self.name} AND p.fid IN ({own})"
            f" AND NOT EXISTS ({later}) AND ($4 <> 'DELETE' OR EXISTS ({row})))"
        )
        again = f"(SELECT q.fid FROM {p} q WHERE q.xid = mine AND q.id > own_from AND q.part = p.part)"
        known = "p.xid = mine AND p.id >= nested_from AND p.id < own_from"
        new = f"SELECT g.id, nextval({self._numbers}) AS new FROM (SELECT id FROM gone ORDER BY id) g"
        columns = f"layer, fid, delta, {BOXES}, {KEPT}"
        same = ", ".join(f"g.{column}" for column in columns.split(", "))
        part = "coalesce((SELECT w.new FROM moved w WHERE w.id = g.part), g.part)"
        return f"""EXECUTE replace({literal(asked)}, {literal(_TABLE)}, TG_RELID::regclass::text)
   INTO nested USING mine, nested_from, own_from, TG_OP;
  IF nested THEN
   DELETE FROM {p} p WHERE {known} AND p.layer = {self.name} AND p.fid IN {again};
   WITH gone AS (DELETE FROM {p} p WHERE {known} RETURNING p.*), moved AS MATERIALIZED ({new})
   INSERT INTO {p} (id, xid, first, part, {columns}) OVERRIDING SYSTEM VALUE
    SELECT m.new, mine, false, {part}, {same} FROM gone g JOIN moved m USING (id);
  END IF;"""

    def _truncated(self) -> str:
        # no transition tables tell what was there, nor what the table is called by now
        rows = self.rows(_TABLE, old=True, boxed=False)
        count = literal(f"SELECT count(*) FROM {_TABLE}")
        keep = literal(self.carried(rows, old=True, mine="$1", whole="$2"))
        table = f"{literal(_TABLE)}, TG_RELID::regclass::text"
        values = f"mine, true, {self.name}, NULL, -gone, {_NONE}, {_NONE}"
        return f"""EXECUTE replace({count}, {table}) INTO gone;
  {self.put(kept=False)}VALUES ({values}) RETURNING id INTO whole;
  {f"EXECUTE replace({keep}, {table}) USING mine, whole;" if self.table.keeps else ""}
  {f"DELETE FROM {self.meshes};" if self.table.mesh else ""}"""

    def _whole(self) -> str:
        """One row for all of a large statement."""
        old, new = self.rows("old_rows"), self.rows("new_rows")
        put, told = self.put(kept=False), "RETURNING id INTO whole"
        return f"""IF TG_OP = 'INSERT' THEN
    {put}SELECT mine, true, {self.name}, NULL, made, {_NONE}, {_extent("n")} FROM ({new}) n {told};
   ELSIF TG_OP = 'DELETE' THEN
    {put}SELECT mine, true, {self.name}, NULL, -gone, {_extent("o")}, {_NONE} FROM ({old}) o {told};
   ELSE
    {put}SELECT mine, true, {self.name}, NULL, 0, o.*, n.* FROM (SELECT {_extent("o")} FROM ({old}) o) o,
     (SELECT {_extent("n")} FROM ({new}) n) n {told};
   END IF;"""

    def _each(self, old: str, new: str) -> str:
        """One row for each feature."""
        put, fid = self.put(), quoted(self.table.fid)
        # what a transaction changed is numbered once when it commits, however many statements there were
        first = f"row_number() OVER () = 1 AND NOT EXISTS (SELECT FROM {self.pending} WHERE xid = mine)"
        head = f"SELECT mine, {first}, {self.name}"
        o, n = "o.x1, o.y1, o.x2, o.y2", "n.x1, n.y1, n.x2, n.y2"
        delta = "CASE WHEN o.fid IS NULL THEN 1 WHEN n.fid IS NULL THEN -1 ELSE 0 END"
        either = "coalesce(n.fid, o.fid)"
        return f"""IF TG_OP = 'INSERT' THEN
    {put}{head}, n.fid, 1, {_NONE}, {n}{self.was(None)} FROM ({self.rows("new_rows")}) n ORDER BY n.fid;
   ELSIF TG_OP = 'DELETE' THEN
    {put}{head}, o.fid, -1, {o}, {_NONE}{self.was("o")} FROM ({old}) o ORDER BY o.fid;
   ELSIF made = 1 AND (SELECT o.{fid} = n.{fid} FROM old_rows o, new_rows n) THEN
    {put}{head}, n.fid, 0, {o}, {n}{self.altered()} FROM ({old}) o CROSS JOIN ({new}) n{self.lent()};
   ELSE
    {put}{head}, {either}, {delta}, {o}, {n}{self.altered("o.fid IS NOT NULL")}
     FROM ({old}) o FULL JOIN ({new}) n ON n.fid = o.fid{self.lent()} ORDER BY {either};
   END IF;"""

    def _guard(self) -> str:
        """A coordinate that cannot be brought to longitude and latitude keeps nobody from editing."""
        values = f"mine, true, {self.name}, NULL, made - gone, {_NONE}, {_NONE}"
        return f"""EXCEPTION WHEN data_exception OR internal_error THEN
   {self.put(kept=False)}VALUES ({values}) RETURNING id INTO whole;
  END;"""

    def _carry(self) -> str:
        old, new = self.rows("old_rows", old=True, boxed=False), self.rows("new_rows", said=True, boxed=False)
        born = self.carried(self.rows("new_rows", boxed=False), old=False)
        # a full join, for which no plan is made that is quadratic: how many rows there are it is not told
        both = f"({old}) o FULL JOIN ({new}) n ON n.fid = o.fid{self.lent()}"
        altered = f"{self._part('mine', 'whole')}, coalesce(o.fid, n.fid), 0, whole"
        return f"""IF whole IS NOT NULL THEN
  IF TG_OP = 'DELETE' THEN {self.carried(old, old=True)};
  ELSIF TG_OP = 'INSERT' THEN {born};
  ELSE {altered}{self.altered("o.fid IS NOT NULL")} FROM {both};
  END IF;
 END IF;"""

    def _forget(self) -> str:
        """A body made for a geometry that changed is no longer its body."""
        fid, geom = quoted(self.table.fid), quoted(self.table.geom)
        return f"""IF TG_OP = 'DELETE' THEN
  DELETE FROM {self.meshes} m USING old_rows o WHERE m.fid = o.{fid};
 ELSIF TG_OP = 'UPDATE' AND EXISTS (SELECT FROM {self.meshes}) THEN
  DELETE FROM {self.meshes} m USING old_rows o WHERE m.fid = o.{fid} AND NOT EXISTS (SELECT FROM new_rows n
   WHERE n.{fid} = o.{fid} AND n.{geom}::bytea IS NOT DISTINCT FROM o.{geom}::bytea);
 END IF;"""


def _extent(row: str) -> str:
    columns = (f"min({row}.x1)", f"min({row}.y1)", f"max({row}.x2)", f"max({row}.y2)")
    return ", ".join(columns)

"""What the database says of the layers' tables: compared, to see what other programs did to them."""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layers.store.layer_record import MISSING, OK
from layers.store.postgis.connection import bound, quoted
from layers.store.postgis.layer_table import Column, Source, field_type
from layers.store.postgis.schema import HIDDEN
from layers.types import GeometryType

#: Of each layer: table oid, kind of relation, key, geometry column, property columns, checks, our triggers,
#: what was done to those triggers, to views, policies and heirs; which files and labels hold the rows, and
#: who was granted what of another program's.
#: ``d`` is every relation whose rows the layer shows: what a view reads, partitions, and heirs.
_FACTS = """
SELECT l.id, l.source IS NULL, c.oid::bigint, c.relkind::text, k.attnum IS NOT NULL, g.atttypmod, a.columns,
  x.checks, r.triggers, concat_ws('/', r.touched, d.touched), concat_ws('/', d.files, e.labels), d.heirs
FROM {s}.twin_layers l
LEFT JOIN LATERAL (SELECT l.source::json AS j) o ON true
LEFT JOIN pg_namespace n ON n.nspname = coalesce(o.j->>'schema', %(schema)s)
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = coalesce(o.j->>'table', l.id)
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
LEFT JOIN pg_attribute k ON k.attrelid = c.oid AND NOT k.attisdropped AND k.attnum > 0
  AND k.attname = coalesce(o.j->>'fid', 'fid')
  AND k.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
  AND (c.relkind = 'v' OR (k.attnotnull AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
    AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1
    AND i.indkey[0] = k.attnum)))
LEFT JOIN pg_attribute g ON g.attrelid = c.oid AND NOT g.attisdropped
  AND g.attname = coalesce(o.j->>'geometry', 'geom') AND g.atttypid = '{p}.geometry'::regtype
LEFT JOIN LATERAL (SELECT json_agg(json_build_array(attname, format_type(atttypid, NULL),
    attgenerated <> '' OR attidentity = 'a') ORDER BY attnum)::text AS columns FROM pg_attribute
  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND left(attname, %(long)s) <> %(hidden)s
    AND attname NOT IN (coalesce(o.j->>'fid', 'fid'), coalesce(o.j->>'geometry', 'geom'))) a ON true
LEFT JOIN LATERAL (SELECT string_agg(oid::text, ',' ORDER BY oid) AS checks FROM pg_constraint
  WHERE conrelid = c.oid AND contype = 'c') x ON true
LEFT JOIN LATERAL (SELECT string_agg(CASE WHEN tgrelid = c.oid THEN '' ELSE tgrelid::text END
    || ':' || tgtype || ':' || tgenabled::text, ',' ORDER BY tgrelid, tgtype) AS triggers,
    string_agg(xmin::text, ',' ORDER BY tgrelid, tgtype) AS touched
  FROM pg_trigger WHERE NOT tgisinternal
    AND tgfoid = to_regprocedure(quote_ident(%(schema)s) || '.' || quote_ident(l.logger) || '()')) r ON true
LEFT JOIN LATERAL (WITH RECURSIVE d(oid) AS (SELECT c.oid UNION SELECT s.oid FROM d, LATERAL (
      SELECT p.refobjid AS oid FROM pg_rewrite w JOIN pg_depend p ON p.classid = 'pg_rewrite'::regclass
        AND p.objid = w.oid AND p.refclassid = 'pg_class'::regclass WHERE w.ev_class = d.oid
      UNION ALL SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = d.oid) s)
  SELECT string_agg(d.oid || ':' || b.relrowsecurity || coalesce((SELECT string_agg(w.xmin::text, '+'
        ORDER BY w.oid) FROM pg_rewrite w WHERE w.ev_class = d.oid), '')
      || coalesce((SELECT string_agg(f.xmin::text, '+' ORDER BY f.oid) FROM pg_rewrite w JOIN pg_depend p
          ON p.classid = 'pg_rewrite'::regclass AND p.objid = w.oid AND p.refclassid = 'pg_proc'::regclass
        JOIN pg_proc f ON f.oid = p.refobjid WHERE w.ev_class = d.oid), '')
      || coalesce((SELECT string_agg(y.xmin::text, '+' ORDER BY y.oid) FROM pg_policy y
        WHERE y.polrelid = d.oid), ''), ',' ORDER BY d.oid) AS touched,
    string_agg(b.relfilenode || CASE WHEN l.source IS NULL THEN '' ELSE coalesce(b.relacl::text, '') END,
      ',' ORDER BY d.oid) AS files,
    bool_or(b.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = d.oid)) AS heirs
  FROM d JOIN pg_class b ON b.oid = d.oid) d ON true
LEFT JOIN LATERAL (SELECT string_agg(m.oid || ':' || m.enumlabel, ',' ORDER BY m.oid) AS labels
  FROM pg_attribute f JOIN pg_type t ON t.oid = f.atttypid JOIN pg_enum m ON m.enumtypid IN (t.oid, t.typelem)
  WHERE f.attrelid = c.oid AND NOT f.attisdropped) e ON true
ORDER BY l.id
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database says of one layer's table now."""

    layer: str
    oid: int | None
    relkind: str | None
    keyed: bool
    typmod: int | None  # of the geometry column; None when there is none
    columns: tuple[Column, ...]
    checks: str | None
    triggers: str | None  # those that call the layer's log function, on whatever table
    touched: str = (
        ""  # moves when those triggers, a view, a policy or an heir may have let rows change unseen
    )
    rewritten: str = ""  # moves when the rows were written anew, or a label of theirs renamed
    heirs: bool = False  # rows of other tables are read, too, which its own key does not count

    @property
    def signature(self) -> str:
        """Words that move when a program alters the table or its triggers: see :class:`Signature`."""
        columns = ",".join(f"{c.name}:{c.pg}:{c.fixed:d}" for c in self.columns)
        heirs = "heirs" if self.heirs else "-"
        words = (self.oid or 0, self.relkind, self.typmod, heirs, _digest(self.triggers))
        rest = _digest(f"{self.keyed} {self.checks} {self.rewritten} {columns}")
        return " ".join(map(str, (*words, _digest(self.touched), rest)))


def _digest(text: str | None) -> str:
    return "-" if text is None else hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def replaced(now: str, before: str) -> bool:
    """Whether the table is another one, or our triggers were off."""
    new, old = now.split(" "), before.split(" ")
    return len(old) != len(new) or (new[0], new[4]) != (old[0], old[4])


def restored(now: str, before: str) -> bool:
    """Whether the table is another one that came with our triggers: of a dump that was put back.

    Whatever else makes a table anew leaves it without them."""
    new, old = now.split(" "), before.split(" ")
    return len(old) == len(new) and new[0] != old[0] and new[4] == old[4] != _digest(None)


def unseen(now: str, before: str) -> bool:
    """Whether rows may have come or gone without a trigger that told it."""
    return replaced(now, before) or now.split(" ")[5] != before.split(" ")[5]


def facts(con: Any, schema: str, postgis: str) -> dict[str, Facts]:
    """The facts of every layer, by id."""
    sql = _FACTS.format(s=bound(schema), p=postgis.replace("%", "%%"))
    rows = con.execute(sql, {"schema": schema, "hidden": HIDDEN, "long": len(HIDDEN)}).fetchall()
    return {row[0]: _facts(row) for row in rows}


def _facts(row: tuple[Any, ...]) -> Facts:
    layer, own, oid, relkind, keyed, typmod, columns, checks, triggers = row[:9]
    touched, rewritten, heirs = row[9:]
    found = [
        Column(name, pg, kind, fixed)
        for name, pg, fixed in json.loads(columns or "[]")
        if (kind := field_type(pg, own))
    ]
    ordered = tuple(sorted(found, key=lambda c: c.name != "source_id"))
    return Facts(
        layer, oid, relkind, bool(keyed), typmod, ordered, checks, triggers, touched, rewritten, bool(heirs)
    )


def geometry(
    con: Any, postgis: str, oid: int | None, relation: str, column: str, known: int = 0
) -> tuple[GeometryType, int]:
    """The type and SRID of a geometry column, from its declaration, its checks, or its rows: ``known``
    where one of them still has it, else that of the first."""
    row = con.execute(
        f"SELECT type, srid FROM {postgis}.geometry_columns WHERE f_geometry_column = %s AND"
        " (f_table_schema, f_table_name) = (SELECT nspname, relname FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE c.oid = %s)",
        (column, oid),
    ).fetchone()
    kind, srid = row or ("GEOMETRY", 0)
    if not srid:
        shape = quoted(column)
        sql = f"SELECT {postgis}.st_srid({shape}) FROM {relation} WHERE {shape} IS NOT NULL"
        of_known = f"{sql} AND {postgis}.st_srid({shape}) = %s LIMIT 1"
        first = con.execute(of_known, (known,)).fetchone() if known else None
        first = first or con.execute(f"{sql} LIMIT 1").fetchone()
        srid = first[0] if first else 0
    return geometry_type(kind), srid


def state(found: Facts, srid: int, source: Source | None) -> str:
    """OK, MISSING, or what keeps the layer from being read."""
    if found.oid is None:
        return MISSING if source is None else "the table or view is not there"
    if source is None and found.relkind != "r":
        return "it is no plain table"
    if found.relkind not in ("r", "p", "v"):
        return "only tables and views can be registered: no trigger follows another kind"
    if not found.keyed:
        name = "fid" if source is None else source.fid
        return f"it has no unique integer column {name} without nulls"
    if found.typmod is None:
        return "it has no geometry column " + ("geom" if source is None else source.geometry)
    if source is None and srid != 4326:
        return "its coordinates are not longitude and latitude (EPSG:4326)"
    if source is not None and srid != source.srid:
        return "the CRS of its geometry changed"
    return OK


_GEOMETRIES: Mapping[str, GeometryType] = {
    "POINT": "Point",
    "LINESTRING": "LineString",
    "POLYGON": "Polygon",
    "MULTIPOINT": "MultiPoint",
    "MULTILINESTRING": "MultiLineString",
    "MULTIPOLYGON": "MultiPolygon",
}


def geometry_type(name: str) -> GeometryType:
    """The geometry type that PostGIS names so; Geometry for any other."""
    return _GEOMETRIES.get(name.upper().removesuffix("ZM").removesuffix("Z").removesuffix("M"), "Geometry")

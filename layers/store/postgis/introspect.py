"""What the database says of the layers' tables: compared, to see what other programs did to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layers.store.layer_record import MISSING, OK
from layers.store.postgis.connection import bound, quoted
from layers.store.postgis.layer_table import TableColumn, TableSource, field_type
from layers.store.postgis.log_function import OPERATIONS
from layers.store.postgis.schema import HIDDEN
from layers.types import GeometryType

#: Of each layer: table oid, whether it has a whole number as its id, whether our triggers can follow it, its
#: geometry column, property columns, checks, our triggers and what was done to them, which file and labels
#: hold the rows. A trigger is put on a plain table with a key: a statement on a table's parent or child would
#: not fire it, a subscription does not, and under row-level security clients see other rows than it does.
_FACTS = """
SELECT l.id, l.source IS NULL, c.oid::bigint, k.attnum IS NOT NULL, c.relkind = 'r' AND k.attnotnull
    AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate
      AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = k.attnum)
    AND (l.source IS NULL OR (NOT c.relrowsecurity AND has_table_privilege(c.oid, 'TRIGGER')
      AND has_table_privilege(c.oid, 'SELECT')
      AND NOT EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid))
      AND NOT EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid))),
  g.atttypmod, a.columns, x.checks, r.triggers, r.touched, concat_ws('/', c.relfilenode, e.labels)
FROM {s}.twin_layers l
LEFT JOIN LATERAL (SELECT l.source::json AS j) o ON true
LEFT JOIN pg_namespace n ON n.nspname = coalesce(o.j->>'schema', %(schema)s)
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = coalesce(o.j->>'table', l.id)
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
LEFT JOIN pg_attribute k ON k.attrelid = c.oid AND NOT k.attisdropped AND k.attnum > 0
  AND k.attname = coalesce(o.j->>'fid', 'fid')
  AND k.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
LEFT JOIN pg_attribute g ON g.attrelid = c.oid AND NOT g.attisdropped
  AND g.attname = coalesce(o.j->>'geometry', 'geom') AND g.atttypid = '{p}.geometry'::regtype
LEFT JOIN LATERAL (SELECT json_agg(json_build_array(attname, format_type(atttypid, NULL),
    attgenerated <> '' OR attidentity = 'a') ORDER BY attnum)::text AS columns FROM pg_attribute
  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND left(attname, %(long)s) <> %(hidden)s
    AND attname NOT IN (coalesce(o.j->>'fid', 'fid'), coalesce(o.j->>'geometry', 'geom'))) a ON true
LEFT JOIN LATERAL (SELECT string_agg(oid::text, ',' ORDER BY oid) AS checks FROM pg_constraint
  WHERE conrelid = c.oid AND contype = 'c') x ON true
LEFT JOIN LATERAL (SELECT string_agg(tgtype || ':' || tgenabled::text, ',' ORDER BY tgtype) AS triggers,
    string_agg(xmin::text, ',' ORDER BY tgtype) AS touched
  FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = c.oid
    AND tgfoid = to_regprocedure(quote_ident(%(schema)s) || '.' || quote_ident(l.logger) || '()')) r ON true
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
    numbered: bool  # it has a column of whole numbers where the key is looked for
    followed: bool  # that is a key, and triggers of ours can tell of every change
    typmod: int | None  # of the geometry column; None when there is none
    columns: tuple[TableColumn, ...]
    checks: str | None
    triggers: str | None  # those of the table that call the layer's log function
    touched: str | None  # moves when those triggers may have been off for a while
    rewritten: str = ""  # moves when the rows were written anew, or a label of theirs renamed

    @property
    def signature(self) -> str:
        """Words that move when a program alters the table or its triggers."""
        columns = ",".join(f"{c.name}:{c.pg}:{c.fixed:d}" for c in self.columns)
        rest = _digest(f"{self.numbered} {self.checks} {self.rewritten if self.followed else ''} {columns}")
        words = (self.oid or 0, self.typmod, "followed" if self.followed else "copied")
        return " ".join(map(str, (*words, _digest(self.triggers), _digest(self.touched), rest)))

    @property
    def triggered(self) -> bool:
        """Whether all our triggers are there and on; an owner may have enabled them always."""
        names = [one.split(":")[1] for one in (self.triggers or "").split(",") if one]
        return len(names) == len(OPERATIONS) and set(names) <= {"O", "A"}


def _digest(text: str | None) -> str:
    return "-" if text is None else hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def replaced(now: str, before: str) -> bool:
    """Whether the table is another one, or our triggers were off."""
    new, old = now.split(" "), before.split(" ")
    return len(old) != len(new) or (new[0], new[3]) != (old[0], old[3])


def restored(now: str, before: str) -> bool:
    """Whether the table is another one that came with our triggers: of a dump that was put back.

    Whatever else makes a table anew leaves it without them."""
    new, old = now.split(" "), before.split(" ")
    return len(old) == len(new) and new[0] != old[0] and new[3] == old[3] != _digest(None)


def unseen(now: str, before: str) -> bool:
    """Whether rows may have come or gone without a trigger that told it."""
    return replaced(now, before) or now.split(" ")[4] != before.split(" ")[4]


def facts(con: Any, schema: str, postgis: str) -> dict[str, Facts]:
    """The facts of every layer, by id."""
    sql = _FACTS.format(s=bound(schema), p=postgis.replace("%", "%%"))
    rows = con.execute(sql, {"schema": schema, "hidden": HIDDEN, "long": len(HIDDEN)}).fetchall()
    return {row[0]: _facts(row) for row in rows}


def _facts(row: tuple[Any, ...]) -> Facts:
    layer, own, oid, numbered, followed, typmod, columns, *rest = row
    table_columns = [
        TableColumn(name, pg, kind, fixed)
        for name, pg, fixed in json.loads(columns or "[]")
        if (kind := field_type(pg, own))
    ]
    ordered = tuple(sorted(table_columns, key=lambda c: c.name != "source_id"))
    return Facts(layer, oid, numbered, bool(followed), typmod, ordered, *rest)


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


def state(relation: Facts, srid: int, source: TableSource | None) -> str:
    """OK, MISSING, or what keeps the layer from being read."""
    if relation.oid is None:
        return "the table or view is not there" if source else MISSING
    if source and not relation.numbered:
        return f"it has no column of whole numbers {source.fid}"
    if not source and not relation.followed:
        return "it is no plain table with a unique integer column fid without nulls"
    if relation.typmod is None:
        return f"it has no geometry column {source.geometry if source else 'geom'}"
    if source and srid != source.srid:
        return "the CRS of its geometry changed"
    if not source and srid != 4326:
        return "its coordinates are not longitude and latitude (EPSG:4326)"
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

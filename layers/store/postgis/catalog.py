"""What the database says of its layers, and whether that is still true after other programs changed it."""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from layers.errors import NotFound, Unavailable
from layers.model import Bbox, Field, FieldType, GeometryType, Titles
from layers.store.postgis.connection import bound, quoted
from layers.store.postgis.schema import COLUMN_TYPES, HIDDEN, mesh_table, short
from layers.store.recorded import LOAD_AGAIN, MISSING, OK


@dataclass(frozen=True, slots=True)
class Column:
    """A property column: its name, its PostgreSQL type, and the field type that clients see."""

    name: str
    pg: str
    type: FieldType

    @property
    def read(self) -> str:
        """SQL of the value of alias ``t``, in the type that ``schema.COLUMN_TYPES`` gives its field type."""
        raw = f"t.{bound(self.name)}"
        if self.pg == COLUMN_TYPES[self.type]:
            return raw
        if self.pg == "timestamp without time zone":
            return f"({raw} AT TIME ZONE 'UTC')"
        if self.pg.endswith("[]"):
            return f"to_jsonb({raw})"
        return f"{raw}::{COLUMN_TYPES[self.type]}"

    @property
    def write(self) -> str:
        """SQL with one parameter, a value as :mod:`layers.store.values` stores it, for an assignment."""
        if self.pg == "timestamp without time zone":
            return "(%s::text::timestamptz AT TIME ZONE 'UTC')"
        if self.pg.endswith("[]"):
            inner = (
                "CASE jsonb_typeof(a.j) WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(a.j)) END"
            )
            return f"(SELECT ({inner})::{self.pg} FROM (SELECT %s::text::jsonb AS j) a)"
        return f"%s::text::{self.pg}"


@dataclass(frozen=True)
class Source:
    """Where a registered layer lies: a table or view of another program, and its own CRS."""

    schema: str
    table: str
    fid: str
    geometry: str
    srid: int
    view: bool = False


@dataclass(frozen=True)
class Table:
    """One layer as it lies in the database.

    ``relation``, ``fid``, ``geom`` and what :meth:`column` gives are SQL for a statement with
    parameters, whose ``FROM`` names the relation ``t``. Geometries are in ``srid``, x first;
    ``crs`` is the CRS that clients are told."""

    id: str
    schema: str
    kind: str
    title: Titles
    fields: tuple[Field, ...]
    columns: Mapping[str, Column]
    geometry_type: GeometryType
    crs: str
    time_field: str | None
    key: tuple[str, ...]
    locking: str
    generation: int
    state: str
    base_seq: int
    base_count: int
    oid: int
    source: Source | None = None

    @property
    def srid(self) -> int:
        """EPSG code of the stored geometries."""
        return 4326 if self.source is None else self.source.srid

    @cached_property
    def raw(self) -> str:
        """The relation for a statement without parameters."""
        if self.source is not None:
            return f"{quoted(self.source.schema)}.{quoted(self.source.table)}"
        return f"{quoted(self.schema)}.{quoted(self.id)}"

    @cached_property
    def relation(self) -> str:
        """The table or view, quoted."""
        return self.raw.replace("%", "%%")

    @property
    def fid_column(self) -> str:
        """Name of the key column."""
        return "fid" if self.source is None else self.source.fid

    @property
    def geom_column(self) -> str:
        """Name of the geometry column."""
        return "geom" if self.source is None else self.source.geometry

    @cached_property
    def fid(self) -> str:
        """SQL of the feature id."""
        return f"t.{bound(self.fid_column)}"

    @cached_property
    def geom(self) -> str:
        """SQL of the geometry, in ``srid``."""
        return f"t.{bound(self.geom_column)}"

    @cached_property
    def mesh(self) -> str:
        """The table of meshes, quoted; only of layers of our own."""
        return f"{quoted(self.schema)}.{quoted(mesh_table(self.id))}"

    @cached_property
    def memo(self) -> dict[Any, str]:
        """SQL texts that were made for this table; they cost more than running some of them."""
        return {}

    def column(self, field: Field | str) -> str:
        """SQL of a field's value: text, bigint, double precision, boolean, date, timestamptz or jsonb;
        NULL of type text for the source id of a table that has none."""
        name = field if isinstance(field, str) else field.name
        found = self.columns.get(name)
        return "NULL::text" if found is None else found.read

    def field(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((f for f in self.fields if f.name == name), None)

    def usable(self) -> Table:
        """Itself. Raises NotFound when the table is gone, Unavailable when it is half replaced."""
        if self.state == MISSING:
            raise NotFound(f"layer {self.id} was removed from the store by another program; {LOAD_AGAIN}")
        if self.state != OK:
            again = LOAD_AGAIN if self.source is None else "see the settings of the layer"
            raise Unavailable(f"layer {self.id} cannot be read: {self.state}; {again}")
        return self


def void_sql(geom: str, postgis: str = "") -> str:
    """SQL of whether a feature has no place: the condition of the index of those.

    Written so that the planner takes it for rare, and cannot look for it in the spatial index, all of which
    it would read."""
    return f"(CASE WHEN {geom} IS NULL OR {postgis}st_isempty({geom}) THEN 1 END) = 1"


_SELECT = (
    "SELECT id, kind, title, fields, columns, geometry_type, crs, time_field, key, locking, generation,"
    " state, source, base_seq, base_count, signature FROM {s}.twin_layers ORDER BY id"
)


def tables(con: Any, schema: str) -> dict[str, Table]:
    """Every layer the store knows, by id, usable or not."""
    rows = con.execute(_SELECT.format(s=quoted(schema))).fetchall()
    return {row[0]: _table(schema, row) for row in rows}


def _table(schema: str, row: tuple[Any, ...]) -> Table:
    (layer, kind, title, fields, columns, geometry, crs, time_field, key, locking, generation) = row[:11]
    state, source, base_seq, base_count, signature = row[11:]
    found = [Column(*c) for c in json.loads(columns)]
    merged, named = merge(json.loads(fields), found)
    return Table(
        id=layer,
        schema=schema,
        kind=kind,
        title=json.loads(title),
        fields=merged,
        columns=named,
        geometry_type=cast(GeometryType, geometry),
        crs=crs,
        time_field=time_field,
        key=tuple(json.loads(key)),
        locking=locking,
        generation=generation,
        state=state,
        base_seq=base_seq,
        base_count=base_count,
        oid=int(signature.split(" ", 1)[0] or 0),
        source=None if source is None else Source(**json.loads(source)),
    )


def merge(
    stored: Sequence[Mapping[str, Any]], columns: Sequence[Column]
) -> tuple[tuple[Field, ...], dict[str, Column]]:
    """The fields of the load that are still columns, in its order, then columns added by other programs."""
    by_name = {c.name: c for c in columns}
    known = [Field(**f) for f in stored if short(f["name"]) in by_name or f["name"] == "source_id"]
    named = {f.name: by_name.pop(short(f.name)) for f in known if short(f.name) in by_name}
    fields = [_retyped(f, named.get(f.name)) for f in known]
    fields += [Field(c.name, c.type) for c in columns if c.name in by_name]
    return tuple(fields), named | by_name


def _retyped(field: Field, column: Column | None) -> Field:
    if column is None or column.type == field.type:
        return field
    return Field(field.name, column.type, field.title, field.unit)


def dump_columns(columns: Sequence[Column]) -> str:
    """Columns as the text that ``tables`` reads."""
    return json.dumps([[c.name, c.pg, c.type] for c in columns], ensure_ascii=False)


_TYPES: Mapping[str, FieldType] = {
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "real": "number",
    "double precision": "number",
    "numeric": "number",
    "boolean": "boolean",
    "date": "date",
    "timestamp with time zone": "datetime",
    "timestamp without time zone": "datetime",
}
_LEFT_OUT = frozenset({"bytea", "geometry", "geography", "raster", "tsvector", "tsquery", "xml", "record"})


def field_type(pg: str, own: bool) -> FieldType | None:
    """The field type of a PostgreSQL type (as format_type without modifier); None where it is left out.

    ``own``: in a layer of ours jsonb holds arrays; in another program's table it is given as JSON text."""
    base = pg.rsplit(".", 1)[-1]
    if base.removesuffix("[]") in _LEFT_OUT:
        return None
    if pg.endswith("[]") or (own and pg == "jsonb"):
        return "array"
    return _TYPES.get(pg, "string")


#: Of each layer: table oid, kind of relation, key, geometry column, property columns, checks, our triggers.
_FACTS = """
SELECT l.id, l.source IS NULL, c.oid::bigint, c.relkind::text, k.attnum IS NOT NULL, g.atttypmod, a.columns,
  x.checks, r.triggers
FROM {s}.twin_layers l
LEFT JOIN LATERAL (SELECT l.source::json AS j) o ON true
LEFT JOIN pg_namespace n ON n.nspname = coalesce(o.j->>'schema', %(schema)s)
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = coalesce(o.j->>'table', l.id)
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
LEFT JOIN pg_attribute k ON k.attrelid = c.oid AND NOT k.attisdropped AND k.attnum > 0
  AND k.attname = coalesce(o.j->>'fid', 'fid')
  AND k.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
  AND (c.relkind = 'v' OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique
    AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = k.attnum))
LEFT JOIN pg_attribute g ON g.attrelid = c.oid AND NOT g.attisdropped
  AND g.attname = coalesce(o.j->>'geometry', 'geom') AND g.atttypid = '{p}.geometry'::regtype
LEFT JOIN LATERAL (SELECT json_agg(json_build_array(attname, format_type(atttypid, NULL))
    ORDER BY attnum)::text AS columns FROM pg_attribute
  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND left(attname, %(long)s) <> %(hidden)s
    AND attname NOT IN (coalesce(o.j->>'fid', 'fid'), coalesce(o.j->>'geometry', 'geom'))) a ON true
LEFT JOIN LATERAL (SELECT string_agg(oid::text, ',' ORDER BY oid) AS checks FROM pg_constraint
  WHERE conrelid = c.oid AND contype = 'c') x ON true
LEFT JOIN LATERAL (SELECT string_agg(tgrelid || ':' || tgtype || ':' || tgenabled::text, ','
    ORDER BY tgrelid, tgtype) AS triggers FROM pg_trigger WHERE NOT tgisinternal
    AND tgfoid = to_regprocedure(quote_ident(%(schema)s) || '.' || quote_ident(l.logger) || '()')) r ON true
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

    @property
    def signature(self) -> str:
        """The table's oid, then what moves when a program alters it or its triggers: compared, never read."""
        columns = ",".join(f"{c.name}:{c.pg}" for c in self.columns)
        words = (self.oid or 0, self.relkind, self.keyed, self.typmod, self.checks, self.triggers, columns)
        return " ".join(map(str, words))


def facts(con: Any, schema: str, postgis: str) -> dict[str, Facts]:
    """The facts of every layer, by id."""
    sql = _FACTS.format(s=bound(schema), p=postgis.replace("%", "%%"))
    rows = con.execute(sql, {"schema": schema, "hidden": HIDDEN, "long": len(HIDDEN)}).fetchall()
    return {row[0]: _facts(row) for row in rows}


def _facts(row: tuple[Any, ...]) -> Facts:
    layer, own, oid, relkind, keyed, typmod, columns, checks, triggers = row
    found = [
        Column(name, pg, kind) for name, pg in json.loads(columns or "[]") if (kind := field_type(pg, own))
    ]
    ordered = tuple(sorted(found, key=lambda c: c.name != "source_id"))
    return Facts(layer, oid, relkind, bool(keyed), typmod, ordered, checks, triggers)


def geometry(con: Any, postgis: str, facts: Facts, relation: str, column: str) -> tuple[GeometryType, int]:
    """The type and SRID of a geometry column, from its declaration, its checks, or its first row."""
    row = con.execute(
        f"SELECT type, srid FROM {postgis}.geometry_columns WHERE f_geometry_column = %s AND"
        " (f_table_schema, f_table_name) = (SELECT nspname, relname FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE c.oid = %s)",
        (column, facts.oid),
    ).fetchone()
    kind, srid = row or ("GEOMETRY", 0)
    if not srid:
        shape = quoted(column)
        first = con.execute(
            f"SELECT {postgis}.st_srid({shape}) FROM {relation} WHERE {shape} IS NOT NULL LIMIT 1"
        ).fetchone()
        srid = first[0] if first else 0
    return geometry_type(kind), srid


def state(found: Facts, srid: int, source: Source | None) -> str:
    """OK, MISSING, or what keeps the layer from being read."""
    if found.oid is None:
        return MISSING if source is None else "the table or view is not there"
    if source is None and found.relkind != "r":
        return "it is no plain table"
    if found.relkind not in ("r", "v"):
        return "only plain tables and views can be registered"
    if not found.keyed:
        return "it has no unique integer column " + ("fid" if source is None else source.fid)
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


def index_box_sql(postgis: str) -> str:
    """SQL with two parameters, table and column: the box of the root of its spatial index, as an array.

    Exact to 32-bit floats, rounded outward; a removed feature counts until the index is vacuumed. One page
    instead of a scan. Null for no geometry, or no index."""
    return _box_sql(postgis, f"{postgis}._postgis_index_extent(%s::regclass, %s::text)")


def index_extent(con: Any, relation: str, column: str, postgis: str) -> Bbox | None:
    """What :func:`index_box_sql` says."""
    return box(con.execute(f"SELECT {index_box_sql(postgis)}", (relation, column)).fetchone()[0])


def exact_extent(con: Any, table: Table, postgis: str) -> Bbox | None:
    """The box of all geometries, by a scan; in the table's CRS."""
    found = f"SELECT {postgis}.st_extent({table.geom}) FROM {table.relation} t"
    return box(con.execute(f"SELECT {_box_sql(postgis, f'({found})')}", ()).fetchone()[0])


def _box_sql(postgis: str, value: str) -> str:
    sides = ", ".join(f"{postgis}.st_{side}(e)" for side in ("xmin", "ymin", "xmax", "ymax"))
    return f"(SELECT ARRAY[{sides}] FROM (SELECT {value} AS e) x)"


def box(sides: Sequence[float | None] | None) -> Bbox | None:
    """An array of :func:`index_box_sql` as a box."""
    if sides is None or sides[0] is None:
        return None
    west, south, east, north = sides
    return west, south, east, north  # type: ignore[return-value]

"""What the database says of its layers, and whether that is still true after other programs changed it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

from layers.store.layer_record import LOAD_AGAIN, LayerRecord, read_mark
from layers.store.postgis import shape
from layers.store.postgis.connection import Connection, bound, literal, quoted
from layers.store.postgis.rights import Rights, lacking
from layers.store.postgis.schema import COLUMN_TYPES, HIDDEN, copy_table, mesh_table, short
from layers.types import EDITS, Bbox, EditKind, Field, FieldType, GeometryType, only_time

#: What a value is cast to before its column judges its length: these names alone mean a length of 1.
_OF_ANY_LENGTH = {"character": "bpchar", "bit": "bit varying"}
#: Where an old row has the texts of values that its JSON does not say, by column.
EXACT = f"{HIDDEN}exact"
JSON = frozenset({"json", "jsonb"})
#: Types that no field has, and of which an old row keeps the values nevertheless.
BESIDE = frozenset({"bytea", "xml"})
COPY_FID, COPY_GEOMETRY = "twin_fid", "twin_geom"  # columns of a copy, beside those of its source
_INSTANTS = ("timestamp with time zone[]", "timestamp without time zone[]")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A property column: its name, its PostgreSQL type, and the field type that clients see."""

    name: str
    pg: str
    type: FieldType
    fixed: bool = False  # the database computes it

    @property
    def read(self) -> str:
        """SQL of the value of alias ``t``, in the type that ``schema.COLUMN_TYPES`` gives its field type."""
        return self.value("t")

    def value(self, alias: str) -> str:
        """The same of another alias."""
        raw = f"{alias}.{bound(self.name)}"
        if self.pg == COLUMN_TYPES[self.type]:
            return raw
        if self.pg == "timestamp without time zone":
            return f"({raw} AT TIME ZONE 'UTC')"
        if self.pg in _INSTANTS:
            return _instants(f"{raw}::timestamptz[]")
        if self.pg.endswith("[]"):
            return f"to_jsonb({raw})"
        if self.pg == "numeric":
            return _double(raw)
        return f"{raw}::{COLUMN_TYPES[self.type]}"

    @property
    def write(self) -> str:
        """SQL with one parameter, a value as :mod:`layers.values` stores it, for an assignment."""
        if self.pg == "timestamp without time zone":
            return "(%s::text::timestamptz AT TIME ZONE 'UTC')"
        pg = of_any_length(self.pg)
        if self.pg.endswith("[]"):
            inner = (
                "CASE jsonb_typeof(a.j) WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(a.j)) END"
            )
            return f"(SELECT ({inner})::{pg} FROM (SELECT %s::text::jsonb AS j) a)"
        return f"%s::text::{pg}"


def of_any_length(pg: str) -> str:
    """The type that takes any value of a type whose length is not known."""
    base = pg.removesuffix("[]")
    return _OF_ANY_LENGTH.get(base, base) + pg[len(base) :]


def is_hstore(pg: str) -> bool:
    """Whether a type is the extension's, in whatever schema that is."""
    return pg.rsplit(".", 1)[-1] == "hstore"


def json_type(pg: str) -> str:
    """The type as which the JSON of a column of an old row is taken out of it, for :func:`restored`."""
    return "json" if is_hstore(pg.removesuffix("[]")) else of_any_length(pg)


def beside(con: Connection, oid: int) -> dict[str, str]:
    """The columns of a table that are no fields, and that old rows have nevertheless: name, and type."""
    rows = con.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s AND attnum > 0"
        " AND NOT attisdropped AND attgenerated = ''",
        (oid,),
    ).fetchall()
    return {name: pg for name, pg in rows if pg in BESIDE}


def defaults(con: Connection, oid: int) -> dict[str, str]:
    """SQL of what those of :func:`beside` have anew that cannot be null: early old rows have no values of
    them."""
    rows = con.execute(
        "SELECT attname, format_type(atttypid, NULL), pg_get_expr(adbin, adrelid) FROM pg_attribute"
        " JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid = %s AND attnotnull AND NOT attisdropped AND attgenerated = ''",
        (oid,),
    ).fetchall()
    return {name: default.replace("%", "%%") for name, pg, default in rows if pg in BESIDE}


def restored(name: str, pg: str) -> str:
    """SQL of the value of a column (its name quoted) of an old row ``p``, of what :func:`json_type` took out
    of its JSON as ``o``."""
    value, many = f"o.{name}", pg.endswith("[]")
    if is_hstore(pg):
        return f"{hstore_text(value)}::{pg}"
    if is_hstore(pg.removesuffix("[]")):
        each = f"json_array_elements({value}) WITH ORDINALITY a(one, i)"
        text = f"{hstore_text('a.one')}::{pg.removesuffix('[]')}"
        value = f"(CASE WHEN {value} IS NOT NULL THEN ARRAY(SELECT {text} FROM {each} ORDER BY a.i) END)"
    if not (many or pg in JSON):
        return value
    return f"coalesce(({exact(name, 'p')})::{of_any_length(pg)}, {value})"


def exact(name: str, row: str) -> str:
    """SQL of the text that an old row has of the value of a column (its name quoted), where it has."""
    own = literal(name[1:-1].replace('""', '"'))
    return f"{row}.old -> '{EXACT}' ->> {own}"


def inexact(pg: str) -> str | None:
    """The pattern of those texts of a type's values that their JSON does not say: a null of JSON itself, an
    array that does not begin with 1, one of hstores of more than one dimension. None of other types."""
    if pg in JSON:
        return r"^\s*null\s*$"
    if not pg.endswith("[]"):
        return None
    return r"^[\[]|^\{\{" if is_hstore(pg.removesuffix("[]")) else r"^[\[]"


def hstore_text(raw: str) -> str:
    """SQL of an hstore as it is written as text, of its JSON: an old row keeps it as an object, which is
    hstore's own cast, and which no hstore is read from. Pairs stay in their order."""
    key, value = (
        rf"""'"' || regexp_replace({of}, '(["\\])', '\\\1', 'g') || '"'""" for of in ("e.key", "e.value")
    )
    pairs = f"string_agg({key} || '=>' || coalesce({value}, 'NULL'), ', ' ORDER BY e.n)"
    each = f"json_each_text({raw}) WITH ORDINALITY e(key, value, n)"
    text = f"(SELECT coalesce({pairs}, '') FROM {each})"
    return f"(CASE json_typeof({raw}) WHEN 'object' THEN {text} ELSE {raw} #>> '{{}}' END)"


def _instants(raw: str) -> str:
    """SQL of an array of instants, of any dimension, as JSON in the spelling of single ones: to_jsonb writes
    ``…:00+00:00`` and fractions of any length, cut here after three digits."""
    padded = rf"""regexp_replace(to_jsonb({raw})::text, '(:\d\d)(\.(\d+))?\+00:00"', '\1.\3000Z"', 'g')"""
    return rf"""regexp_replace({padded}, '(\.\d\d\d)\d*Z"', '\1Z"', 'g')::jsonb"""


def _double(raw: str) -> str:
    """SQL of a number of any size as a double: null beyond its range, as infinity and NaN are, 0 below it."""
    whole = f"abs({raw}) <= 1.7e308 AND (abs({raw}) >= 1e-307 OR {raw} = 0)"
    small = f"abs({raw}) < 1e-307"
    return f"(CASE WHEN {whole} THEN {raw}::double precision WHEN {small} THEN 0::double precision END)"


@dataclass(frozen=True)
class TableSource:
    """Where rows lie, in which CRS: of a registered layer a table or view of another program."""

    schema: str
    table: str
    fid: str
    geometry: str
    srid: int
    refresh: float = 10.0

    @property
    def relation(self) -> str:
        """The table or view, quoted."""
        return f"{quoted(self.schema)}.{quoted(self.table)}"


@dataclass(frozen=True, kw_only=True)
class LayerTable(LayerRecord):
    """One layer as it lies in the database.

    ``relation``, ``fid``, ``geom`` and what :meth:`column` gives are SQL for a statement with
    parameters, whose ``FROM`` names the relation ``t``. Geometries are in ``srid``, x first;
    ``crs`` is the CRS that clients are told."""

    schema: str
    columns: Mapping[str, TableColumn]
    oid: int
    source: TableSource | None = None
    copied: bool = False  # the rows are a copy of what the source shows: see ``copied``
    untyped: bool = False  # the geometry column takes more than the API can say: see ``shape``
    rights: Rights = EDITS

    @cached_property
    def rows(self) -> TableSource:
        """Where the rows lie: in a table of our own, in another program's, or in the copy of that."""
        if self.source is None:
            return TableSource(self.schema, self.id, "fid", "geom", 4326)
        if self.copied:
            return TableSource(self.schema, copy_table(self.id), COPY_FID, COPY_GEOMETRY, self.source.srid)
        return self.source

    @cached_property
    def srid(self) -> int:
        """EPSG code of the stored geometries."""
        return self.rows.srid

    @cached_property
    def raw(self) -> str:
        """The relation for a statement without parameters."""
        return self.rows.relation

    @property
    def copy(self) -> str:
        """The copy of a registered relation, quoted, where there is one."""
        return f"{quoted(self.schema)}.{quoted(copy_table(self.id))}"

    @property
    def live(self) -> bool:
        """Whether the rows lie in a table of another program, which our triggers follow."""
        return self.source is not None and not self.copied

    @cached_property
    def relation(self) -> str:
        """The table or view, quoted."""
        return self.raw.replace("%", "%%")

    @property
    def upto(self) -> int | None:
        """The number of the log up to which it is read; None for now."""
        return None

    def branches(self, names: Collection[str], *, boxed: bool, walked: bool) -> tuple[str, ...]:
        """What the keys of a page are looked for in: ids and geometries, with the fields of these names;
        ``boxed`` where a box is asked for, ``walked`` where it is read in the order of the ids."""
        return (self.relation,)

    def settled(self, names: Collection[str]) -> tuple[str, str, str] | None:
        """What is sorted where present rows and old ones are: see ``past_table``. None for now."""
        return None

    @property
    def mark(self) -> str:
        """What is kept of a row (t) beside its id, ``v``, to find it again."""
        return ""

    @cached_property
    def joined(self) -> str:
        """What joins the rows (t) to their keys (k: id, v)."""
        return f"JOIN {self.relation} t ON {self.fid} = k.id"

    @property
    def placed(self) -> str:
        """The relation of no more than ids and geometries, to be read whole."""
        return self.relation

    @cached_property
    def fid(self) -> str:
        """SQL of the feature id."""
        return f"t.{bound(self.rows.fid)}"

    @cached_property
    def geom(self) -> str:
        """SQL of the geometry, in ``srid``."""
        return f"t.{bound(self.rows.geometry)}"

    @cached_property
    def shape(self) -> str:
        """SQL of the geometry that clients see, in ``srid``. Of an untyped column: lines for arcs, polygons
        for surfaces, nothing of M, and null for what lies in another CRS: it would be taken for a guess."""
        return shape.plain(self.geom, self.srid) if self.untyped else self.geom

    @cached_property
    def null_geometry(self) -> str:
        """SQL of whether a feature has no place."""
        return shape.null_geometry_sql(self.shape)

    @property
    def edits(self) -> tuple[EditKind, ...]:
        return () if self.copied else self.rights

    @property
    def fixed_because(self) -> str:
        if self.copied and self.source is not None:
            return (
                f"what it shows is read again every {self.source.refresh:g} s; only a table with a whole"
                " number as its key is edited, where this server may put its triggers"
            )
        return lacking(self.rights)

    @cached_property
    def mesh(self) -> str:
        """The table of meshes, quoted; only of layers of our own."""
        return f"{quoted(self.schema)}.{quoted(mesh_table(self.id))}"

    @property
    def meshes(self) -> str:
        """The meshes (fid, body) for a statement with parameters; only of layers of our own."""
        return self.mesh.replace("%", "%%")

    @cached_property
    def memo(self) -> dict[Any, str]:
        """SQL texts that were made for this table; they cost more than running some of them."""
        return {}

    def column(self, field: Field | str) -> str:
        """SQL of a field's value: text, bigint, double precision, boolean, date, timestamptz or jsonb;
        NULL of type text for the source id of a table that has none."""
        name = field if isinstance(field, str) else field.name
        column = self.columns.get(name)
        return "NULL::text" if column is None else column.read

    @property
    def storage_crs(self) -> str:
        return super().storage_crs if self.source is None else self.crs

    @property
    def remedy(self) -> str:
        return LOAD_AGAIN if self.source is None else "see the settings of the layer"


#: Columns of ``twin_layers`` that :func:`of_record` takes.
RECORD = (
    *("id", "kind", "title", "fields", "columns", "geometry_type", "crs", "time_field", "key", "generation"),
    *("state", "source", "signature", "vertical_datum"),
)
#: That of ``l`` which cities of before, only read, and records of before have not.
_VERSION = "to_jsonb(l) ->> 'model_version'"


def tables(con: Any, schema: str, known: Mapping[str, Rights] | None = None) -> dict[str, LayerTable]:
    """Every layer the store knows, by id, usable or not; with the rights on it, where they are known."""
    said = f"{', '.join(RECORD)}, {_VERSION}"
    rows = con.execute(f"SELECT {said} FROM {quoted(schema)}.twin_layers l ORDER BY id").fetchall()
    copies = "SELECT relname, oid::bigint FROM pg_class WHERE relnamespace = to_regnamespace(%s)"
    oids = dict(con.execute(f"{copies} AND left(relname, 10) = 'twin_copy_'", (quoted(schema),)).fetchall())
    return {row[0]: of_record(schema, row, (known or {}).get(row[0], EDITS), oids) for row in rows}


def of_record(schema: str, row: Sequence[Any], rights: Rights, copies: Mapping[str, int]) -> LayerTable:
    """The table of a layer, of what is recorded of it: the columns :data:`RECORD`, and ``model_version``."""
    (layer, kind, title, fields, columns, geometry, crs, time_field, key, generation) = row[:10]
    state, source, signature, datum, version = row[10:]
    present = [TableColumn(*c) for c in json.loads(columns)]
    oid, typmod, follows = [*signature.split(" "), "", ""][:3]
    copied = source is not None and follows == "copied"
    if copied:
        present = [replace(c, pg=COLUMN_TYPES[c.type]) for c in present]
        oid = str(copies.get(copy_table(layer), 0))
    merged, named = merge(json.loads(fields), present)
    return LayerTable(
        id=layer,
        schema=schema,
        kind=kind,
        title=json.loads(title),
        fields=merged,
        columns=named,
        geometry_type=cast(GeometryType, geometry),
        crs=crs,
        time_field=time_field or (only_time(merged) if source is not None else None),
        key=tuple(json.loads(key)),
        generation=generation,
        state=state,
        oid=int(oid or 0),
        source=None if source is None else TableSource(**json.loads(source)),
        copied=copied,
        untyped=source is not None and not copied and shape.is_untyped(typmod),
        rights=rights,
        vertical_datum=datum,
        model_version=read_mark(version),
    )


def merge(
    stored: Sequence[Mapping[str, Any]], columns: Sequence[TableColumn]
) -> tuple[tuple[Field, ...], dict[str, TableColumn]]:
    """The fields of the load that are still columns, in its order, then columns added by other programs."""
    by_name = {c.name: c for c in columns}
    known = [Field(**f) for f in stored if short(f["name"]) in by_name or f["name"] == "source_id"]
    named = {f.name: by_name.pop(short(f.name)) for f in known if short(f.name) in by_name}
    fields = [_retyped(f, named.get(f.name)) for f in known]
    fields += [Field(c.name, c.type, read_only=c.fixed) for c in columns if c.name in by_name]
    return tuple(fields), named | by_name


def _retyped(field: Field, column: TableColumn | None) -> Field:
    if column is None or (column.type == field.type and not column.fixed):
        return field
    codes = field.codes if column.type == field.type else None
    return Field(field.name, column.type, field.title, field.unit, codes, column.fixed)


def dump_columns(columns: Sequence[TableColumn]) -> str:
    """Columns as the text that ``tables`` reads."""
    return json.dumps([[c.name, c.pg, c.type, c.fixed] for c in columns], ensure_ascii=False)


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


def index_box_sql(postgis: str) -> str:
    """SQL with two parameters, table and column: the box of the root of its spatial index, as an array.

    Exact to 32-bit floats, rounded outward; a removed feature counts until the index is vacuumed. One page
    instead of a scan. Null for no geometry, or no index."""
    return _box_sql(postgis, f"{postgis}._postgis_index_extent(%s::regclass, %s::text)")


def index_extent(con: Any, relation: str, column: str, postgis: str) -> Bbox | None:
    """What :func:`index_box_sql` says."""
    return box(con.execute(f"SELECT {index_box_sql(postgis)}", (relation, column)).fetchone()[0])


def exact_extent(con: Any, table: LayerTable, postgis: str) -> Bbox | None:
    """The box of all geometries, by a scan; in the table's CRS."""
    sql = f"SELECT {postgis}.st_extent({table.shape}) FROM {table.placed} t"
    return box(con.execute(f"SELECT {_box_sql(postgis, f'({sql})')}", ()).fetchone()[0])


def _box_sql(postgis: str, value: str) -> str:
    sides = ", ".join(f"{postgis}.st_{side}(e)" for side in ("xmin", "ymin", "xmax", "ymax"))
    return f"(SELECT ARRAY[{sides}] FROM (SELECT {value} AS e) x)"


def box(sides: Sequence[float | None] | None) -> Bbox | None:
    """An array of :func:`index_box_sql` as a box."""
    if sides is None or sides[0] is None:
        return None
    west, south, east, north = sides
    return west, south, east, north  # type: ignore[return-value]

"""A layer as it was after a change of the log: what was said of it then, and the relation of its rows then.

The rows are the present ones that did not change since, and the first old row of each feature that did. Both
are a relation with the columns of that time, so a query of what was is the query of what is. A layer that was
dropped since, and perhaps made anew, has old rows alone: those of before the next layer of its id.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from layers.model import ContentLayer
from layers.store import forms
from layers.store.postgis import layer_table
from layers.store.postgis.connection import bound, literal, quoted
from layers.store.postgis.layer_table import JSON, LayerTable, TableColumn, exact, hstore_text, is_hstore
from layers.store.postgis.old_rows import GEOMETRY, PROPERTIES, OldRows
from layers.store.postgis.schema import COLUMN_TYPES, HIDDEN, past_table
from layers.types import EDITS, EditKind, FieldType

#: Two ways to seek an old row that must not be there: as the planner thinks best, mostly of all rows at once,
#: or of each by the index, which keeps the order in which they are read and costs nothing for those that
#: nobody asks for. The first old rows of all features are taken in the order of the index (``_firsts``): a
#: join of the versions of one feature with each other would be quadratic in their number.
_JOINED, _PROBED = "NOT EXISTS (SELECT {})", "coalesce((SELECT false {} LIMIT 1), true)"
_UNTIL = f"{HIDDEN}until"  # beside the columns of a layer, none of which is called so
_COLLATED = ' COLLATE "C"'  # as texts are in a layer of our own
_SINGLE = 2  # properties up to which each is taken out of an old row by itself, for half of what all cost


@dataclass(frozen=True, kw_only=True)
class PastTable(LayerTable):
    """A layer after change ``seq``; ``present`` is its table, where that is still of the same layer, and
    ``before`` the number with which the next layer of its id was made. ``kept`` are the columns as they were,
    of which ``columns`` are the values, ``altered`` tells whether they may be other ones by now. ``fid_type``
    is the type of the feature id in ``present``."""

    seq: int
    present: LayerTable | None
    before: int | None
    kept: Mapping[str, TableColumn]
    altered: bool
    fid_type: str

    @property
    def upto(self) -> int | None:
        return self.seq

    @property
    def edits(self) -> tuple[EditKind, ...]:
        return ()

    @property
    def fixed_because(self) -> str:
        return ""

    @property
    def live(self) -> bool:
        return False

    @cached_property
    def raw(self) -> str:
        """A table that is there as long as this one is true: the present one, else that of the old rows."""
        if self.present is not None:
            return self.present.raw
        return f"{quoted(self.schema)}.{quoted(past_table(self.id))}"

    @cached_property
    def relation(self) -> str:
        return f"({' UNION ALL '.join(self._halves(_JOINED, self.kept))})"

    @cached_property
    def placed(self) -> str:
        return f"({' UNION ALL '.join(self._halves(_JOINED, ()))})"

    def branches(self, names: Collection[str], *, boxed: bool, walked: bool) -> tuple[str, ...]:
        halves = self._near(names) if boxed else self._halves(_PROBED if walked else _JOINED, names)
        return tuple(f"({half})" for half in halves)

    @property
    def mark(self) -> str:
        return f", t.{quoted(_UNTIL)} AS v"

    @cached_property
    def joined(self) -> str:
        old = f"{self._old_row(self._past, self.kept)} WHERE r.fid = k.id AND r.until = k.v"
        if self.present is None:
            return f"CROSS JOIN LATERAL ({old}) t"
        now = f"{self._present_row(self.kept)} WHERE {self.present.fid} = k.id AND k.v IS NULL"
        return f"CROSS JOIN LATERAL ({now} UNION ALL {old}) t"

    def settled(self, names: Collection[str]) -> tuple[str, str, str] | None:
        """For who sorts all: the present rows; a query of those of them (``n``) of which nothing that is
        asked has changed since; and the old rows of the others. None where there are old ones alone."""
        if self.present is None:
            return None
        kept = self._kept(names).values()
        keys = (literal(column.name).replace("%", "%%") for column in kept)
        both = PROPERTIES | GEOMETRY
        other = " OR ".join([f"q.lent & {both} <> {both}", *(f"q.old -> {key} IS NOT NULL" for key in keys)])
        later = f"{self._past} q WHERE q.until > {self.seq}"
        fid, geom = self._names
        values = "".join(f", t.{bound(column.name)}" for column in kept)
        until = f"(SELECT min(q.until) FROM {later} AND q.fid = t.{fid})"
        own = (
            f"SELECT t.{fid}, t.{geom}, {until} AS {quoted(_UNTIL)}{values} FROM n t"
            f" WHERE NOT EXISTS (SELECT FROM {later} AND q.fid = t.{fid} AND ({other}))"
        )
        others = f"SELECT q.fid FROM {later} AND ({other})"
        rows = f"SELECT DISTINCT ON (q.fid) q.* FROM {later} AND q.fid IN ({others}) ORDER BY q.fid, q.until"
        old = self._old_row(f"({rows})", names)
        return f"({self._present_row(names)})", own, f"({old} WHERE {self._not_of_next} AND r.there)"

    def _halves(self, none: str, names: Collection[str]) -> list[str]:
        """The present rows that are as they were, and those that were otherwise, with properties of these
        names. ``none`` is how a row is sought that must not be there."""
        old = f"{self._old_row(self._firsts, names)} WHERE {self._not_of_next} AND r.there"
        if none is _PROBED:
            old = f"{self._old_row(self._past, names)} WHERE {self._is_first()} AND r.there"
        if self.present is None:
            return [old]
        return [f"{self._present_row(names)} WHERE {self._none(self.present.fid, none)}", old]

    def _near(self, names: Collection[str]) -> list[str]:
        """The same for who asks by a place: the rows whose geometry is the present one, and those that have
        an old one, each with its first old row (r) after the moment. Old ones are found by their place alone,
        not by all that changed as well."""
        later = f"{self._past} o WHERE o.until > {self.seq}"
        own = f"o.lent & {GEOMETRY} = 0"
        then, read = self._then(names)
        values = "".join(f", {value} AS {bound(self.kept[name].name)}" for name, value in then.items())
        first = f"SELECT * FROM {later} AND o.fid = q.fid ORDER BY o.until LIMIT 1"
        earlier = f"FROM {later} AND o.fid = q.fid AND o.until < q.until AND {own}"
        old = (
            f"SELECT {self._key('q.fid', 'q.geom')}{values} FROM {self._past} q"
            f" CROSS JOIN LATERAL ({first}) r{read}"
            f" WHERE q.until + 0 > {self.seq} AND {self._ends('q')} AND q.there"
            f" AND q.lent & {GEOMETRY} = 0 AND {_PROBED.format(earlier)}"
        )
        if self.present is None:
            return [old]
        fid, values = self.present.fid, ""
        then, read = self._then(names, beside=True)
        for name, value in self._unchanged(names).items():
            either = f"CASE WHEN r.until IS NULL THEN {value} ELSE {then[name]} END"
            values += f", {either} AS {bound(self.kept[name].name)}"
        first = f"SELECT * FROM {later} AND o.fid = {fid} ORDER BY o.until LIMIT 1"
        none = _PROBED.format(f"FROM {later} AND o.fid = {fid} AND {own}")
        now = (
            f"SELECT {self._key(fid, self.present.geom)}{values} FROM {self.present.relation} t"
            f" LEFT JOIN LATERAL ({first}) r ON true{read} WHERE CASE WHEN r.until IS NULL THEN true"
            f" WHEN r.lent & {GEOMETRY} = 0 THEN false ELSE {none} END"
        )
        return [now, old]

    def _key(self, fid: str, geom: str, until: str = "r.until") -> str:
        own, place = self._names
        return f"{fid}::{self.fid_type} AS {own}, {geom} AS {place}, {until} AS {quoted(_UNTIL)}"

    def _old_row(self, rows: str, names: Collection[str]) -> str:
        """SQL of old rows (r) with columns of then, and ``until`` when they were true."""
        then, read = self._then(names)
        values = "".join(f", {value} AS {bound(self.kept[name].name)}" for name, value in then.items())
        return f"SELECT {self._key('r.fid', self._old.geometry('r'))}{values} FROM {rows} r{read}"

    def _present_row(self, names: Collection[str]) -> str:
        """The same of present rows (t), which are true still."""
        table = self.present
        assert table is not None
        values = "".join(f", {v} AS {bound(self.kept[n].name)}" for n, v in self._unchanged(names).items())
        key = self._key(table.fid, table.geom, "NULL::bigint")
        return f"SELECT {key}{values} FROM {table.relation} t"

    def _kept(self, names: Collection[str]) -> dict[str, TableColumn]:
        """The columns of then of those of the names that there were."""
        return {name: column for name, column in self.kept.items() if name in names}

    @property
    def _names(self) -> tuple[str, str]:
        return bound(self.rows.fid), bound(self.rows.geometry)

    @property
    def meshes(self) -> str:
        body = self._old.body("r")
        old = f"SELECT r.fid, {body} AS body FROM {self._firsts} r WHERE {self._not_of_next}"
        old = f"SELECT b.fid, b.body FROM ({old} OFFSET 0) b WHERE b.body IS NOT NULL"
        if self.present is None:
            return f"({old})"
        now = f"SELECT m.fid, m.body FROM {self.present.mesh.replace('%', '%%')} m"
        return f"({now} WHERE {self._none('m.fid')} UNION ALL {old})"

    @cached_property
    def counted(self) -> str:
        """The statement of how many features there were: so many as now, but for those that changed."""
        if self.present is None:
            return f"SELECT count(*) FROM {self._firsts} r WHERE {self._not_of_next} AND r.there"
        s, layer = bound(self.schema), literal(self.id).replace("%", "%%")
        now = (
            f"SELECT l.base_count + coalesce((SELECT sum(delta) FROM {s}.twin_changes c WHERE c.layer = l.id"
            f" AND c.seq > l.base_seq), 0) FROM {s}.twin_layers l WHERE l.id = {layer}"
        )
        there = f"EXISTS (SELECT FROM {self.present.relation} t WHERE {self.present.fid} = r.fid)"
        changed = f"SELECT sum(r.there::int - {there}::int) FROM {self._firsts} r WHERE {self._not_of_next}"
        return f"SELECT (({now}) + coalesce(({changed}), 0))::bigint"

    @property
    def _past(self) -> str:
        return f"{bound(self.schema)}.{bound(past_table(self.id))}"

    @property
    def _firsts(self) -> str:
        """The first old row of each feature after the moment, of this layer or the next one of its id."""
        rows = f"SELECT DISTINCT ON (q.fid) q.* FROM {self._past} q WHERE q.until > {self.seq}"
        return f"({rows} ORDER BY q.fid, q.until)"

    @property
    def _not_of_next(self) -> str:
        """Whether an old row (r) is of this layer, not of the next one of its id."""
        return self._ends("r")

    def _ends(self, row: str) -> str:
        return "true" if self.before is None else f"{row}.until < {self.before}"

    @cached_property
    def _old(self) -> OldRows:
        """The old rows, which lend from those columns that are still what they were."""
        now = self.present
        same = () if now is None else (name for name in self.kept if self._is_same(name))
        return OldRows(self._past, now, tuple(bound(self.kept[name].name) for name in same))

    def _none(self, fid: str, none: str = _JOINED) -> str:
        """Whether a feature has no old row that was true after the moment."""
        end = "" if self.before is None else f" AND q.until < {self.before}"
        return none.format(f"FROM {self._past} q WHERE q.fid = {fid} AND q.until > {self.seq}{end}")

    def _is_first(self) -> str:
        """Whether an old row (r) is what was true at the moment."""
        earlier = f"q.fid = r.fid AND q.until < r.until AND q.until > {self.seq}"
        first = _PROBED.format(f"FROM {self._past} q WHERE {earlier}")
        return f"r.until > {self.seq} AND {self._not_of_next} AND {first}"

    def _is_same(self, name: str) -> bool:
        now = None if self.present is None else self.present.columns.get(name)
        column = self.kept[name]
        return now is not None and now.name == column.name and now.type == column.type

    def _unchanged(self, names: Collection[str]) -> dict[str, str]:
        """SQL of the values of columns of then of the present rows."""
        table = self.present
        assert table is not None
        return {
            name: table.column(name) if self._is_same(name) else self._null(column.type)
            for name, column in self._kept(names).items()
        }

    def _null(self, kind: FieldType) -> str:
        return f"NULL::{COLUMN_TYPES[kind]}{self._collation(kind)}"

    def _collation(self, kind: FieldType) -> str:
        return _COLLATED if kind == "string" and self.source is None else ""

    def _then(self, names: Collection[str], *, beside: bool = False) -> tuple[dict[str, str], str]:
        """SQL of the properties of an old row (r), ``beside`` the present one (t), by name, and of what is
        joined for that, ``j``. Nowhere else are they read for what was."""
        kept = self._kept(names)
        if not kept:
            return {}, ""
        values = {name: _old_value(column) for name, column in kept.items()}
        typed = [(c.name, _as_json(c).pg, self._collation(c.type)) for c in kept.values()]
        # what is read of the others, before they are sifted out, may be of other types
        old = "CASE WHEN " + self._is_first() + " THEN {} END" if self.altered else "{}"
        if len(typed) <= _SINGLE and not any("json" in pg or pg.endswith("[]") for _, pg, _ in typed):
            each = (
                f"({old.replace('{}', self._old.value('r', name, beside=beside))})::{pg}{collation}"
                f" AS {bound(name)}"
                for name, pg, collation in typed
            )
            return values, f" CROSS JOIN LATERAL (SELECT {', '.join(each)}) AS j"
        defined = ", ".join(f"{bound(name)} {pg}{collation}" for name, pg, collation in typed)
        said = old.replace("{}", self._old.properties("r"))
        return values, f" CROSS JOIN LATERAL json_to_record({said}) AS j({defined})"


def _old_value(column: TableColumn) -> str:
    """SQL of the value of a column of an old row (r), of what was read of that (j), as that of a present one
    is read."""
    value = f"j.{bound(column.name)}"
    if is_hstore(column.pg):
        return hstore_text(value)
    if column.type == "string" and column.pg in JSON:
        return f"coalesce({exact(bound(column.name), 'r')}, {value})"
    return _as_json(column).value("j")


def _as_json(column: TableColumn) -> TableColumn:
    """A column as its JSON is read: of a type that is there whatever became of the column's own."""
    base = column.pg.removesuffix("[]")
    if column.type == "array":
        instants = base in ("timestamp with time zone", "timestamp without time zone")
        return replace(column, pg=column.pg if instants else "jsonb")
    if is_hstore(column.pg):
        return replace(column, pg="json")
    if column.type == "string":
        return replace(column, pg="bpchar" if base == "character" else "text")
    return column


@dataclass(frozen=True, slots=True)
class PastLayers:
    """Every layer of a city after a change, as it is known under a stamp of the catalogue: those of features,
    and others, but for the ``gone`` whose records are no longer kept."""

    stamp: int
    tables: Mapping[str, PastTable]
    contents: Mapping[str, ContentLayer]
    gone: frozenset[str]


def past_layers(con: Any, schema: str, seq: int, stamp: int) -> PastLayers:
    """The layers after change ``seq``, within the caller's transaction, which is of one moment."""
    s = bound(schema)
    present = layer_table.tables(con, schema)
    said = con.execute(
        f"SELECT DISTINCT ON (layer) layer, record::text FROM {s}.twin_records WHERE until > %s"
        " ORDER BY layer, until",
        (seq,),
    ).fetchall()
    made = (
        f"SELECT layer, min(until) FROM {s}.twin_records WHERE until > %s AND record IS NULL GROUP BY layer"
    )
    before = dict(con.execute(made, (seq,)).fetchall())
    records = {layer: None if text is None else json.loads(text) for layer, text in said}
    copies = dict.fromkeys(records, 0)
    tables: dict[str, PastTable] = {}
    contents: dict[str, ContentLayer] = {}
    for layer, record in records.items():
        if record is not None and "form" in record:
            row = [record[name] for name in forms.COLUMNS.split(", ")]
            contents[layer] = forms.layer(row, newest(con, schema, layer, seq))
        elif record is not None:
            said = [*(record[name] for name in layer_table.RECORD), record.get("model_version")]
            then = layer_table.of_record(schema, said, EDITS, copies)
            now = None if layer in before else present.get(layer)
            tables[layer] = _past(con, then, now, seq, before.get(layer), altered=True)
    for layer, table in present.items():
        if layer not in records:
            tables[layer] = _past(con, table, table, seq, None, altered=False)
    names = ", ".join(f"f.{name}" for name in forms.COLUMNS.split(", "))
    for row in con.execute(f"SELECT {names} FROM {s}.twin_forms f", ()).fetchall():
        if row[0] not in records:
            contents[row[0]] = forms.layer(row, newest(con, schema, row[0], seq))
    cut = con.execute(f"SELECT layer FROM {s}.twin_kept WHERE seq > %s", (seq,)).fetchall()
    gone = frozenset(row[0] for row in cut if row[0] in contents)
    kept = {layer: content for layer, content in contents.items() if layer not in gone}
    return PastLayers(stamp, tables, kept, gone)


def around(con: Any, table: PastTable) -> tuple[int, int]:
    """The numbers of the changes before and after the moment that made, moved or removed a feature, or 0."""
    old = f"FROM {bound(table.schema)}.{bound(past_table(table.id))} WHERE lent & {GEOMETRY} = 0 AND until"
    before = f"coalesce((SELECT max(until) {old} <= {table.seq}), 0)"
    after = f"coalesce((SELECT min(until) {old} > {table.seq}), 0)"
    row = con.execute(f"SELECT {before}, {after}", ()).fetchone()
    return int(row[0]), int(row[1])


def newest(con: Any, schema: str, layer: str, seq: int) -> int:
    """The newest change of a layer up to a number, of the log or, where that is pruned, of the history."""
    s = bound(schema)
    parts = (
        f"SELECT max(seq) FROM {s}.twin_changes WHERE layer = %(layer)s AND seq <= %(seq)s",
        f"SELECT max(until) FROM {s}.twin_past WHERE layer = %(layer)s AND until <= %(seq)s",
        # the record of a load that changed nothing has the number of another layer's change
        f"SELECT max(until) FROM {s}.twin_records r WHERE layer = %(layer)s AND until <= %(seq)s"
        f" AND (SELECT %(layer)s = ANY (c.layers) FROM {s}.twin_sets c WHERE c.last >= r.until"
        " ORDER BY c.last LIMIT 1)",
    )
    sql = f"SELECT greatest({', '.join(f'({part})' for part in parts)}, 0)"
    return int(con.execute(sql, {"layer": layer, "seq": seq}).fetchone()[0])


def _past(
    con: Any, then: LayerTable, now: LayerTable | None, seq: int, before: int | None, *, altered: bool
) -> PastTable:
    values = {
        name: TableColumn(column.name, COLUMN_TYPES[column.type], column.type, column.fixed)
        for name, column in then.columns.items()
    }
    known = {f.name: getattr(then, f.name) for f in fields(LayerTable)} | {"columns": values}
    table = PastTable(
        **known,
        seq=seq,
        present=now,
        before=before,
        kept=then.columns,
        altered=altered,
        fid_type=_fid_type(con, now),
    )
    return replace(table, oid=_oid(con, table) if now is None else now.oid)


def _fid_type(con: Any, now: LayerTable | None) -> str:
    if now is None or now.source is None or now.copied:
        return "bigint"
    return str(_one(con, _FID, (now.oid, now.rows.fid)) or "bigint")


_FID = "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s AND attname = %s"


def _oid(con: Any, table: PastTable) -> int:
    return int(_one(con, "SELECT coalesce(to_regclass(%s)::oid, 0)", (table.raw,)))


def _one(con: Any, sql: str, values: Sequence[Any]) -> Any:
    row = con.execute(sql, values).fetchone()
    return None if row is None else row[0]

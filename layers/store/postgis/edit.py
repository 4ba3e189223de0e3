"""What an edit of a feature says to PostgreSQL; see :mod:`layers.store.edit`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Any

import psycopg
from numpy.typing import NDArray
from psycopg.types.numeric import Int8

from layers.errors import BadBody, Conflict, Exists, Gone, NotEditable
from layers.model import NOBODY, Author, Former
from layers.store import drafts
from layers.store.drafts import KEEP, Draft
from layers.store.edit import Editor, OldRow, taken
from layers.store.postgis import constraint_errors, history, moments, old_rows, project
from layers.store.postgis import past_table as past_table_
from layers.store.postgis.connection import Connection, bound, literal
from layers.store.postgis.done import PostgisDone
from layers.store.postgis.layer_table import LayerTable, beside, defaults, json_type, restored
from layers.store.postgis.old_rows import OldRows
from layers.store.postgis.read import revision_sql
from layers.store.postgis.schema import past_table
from layers.store.postgis.values import geometries

type Columns = dict[str, tuple[str, Any]]  # column name → SQL with one parameter, and its value

_TRIES = 3


def _text(value: str) -> str:
    return literal(value).replace("%", "%%")


#: Features that are restored by one statement: far fewer than are logged as a whole.
_TOGETHER = 1_000


class PostgisEditor(Editor):
    """Implements :class:`layers.store.edit.Editor`."""

    def __init__(self, con: Connection, table: LayerTable) -> None:
        super().__init__()
        self._con, self._table = con, table
        self.table = table
        self._past: dict[int, dict[str, str]] = {}
        self._columns: Columns = {}  # what the edit writes, to name the fault of a value

    def create(self, body: Mapping[str, Any], by: Author) -> tuple[int, int]:
        return self._again(lambda: super(PostgisEditor, self).create(body, by))

    def make(self, draft: Draft) -> int:
        return self._again(lambda: super(PostgisEditor, self).make(draft))

    def _again[T](self, create: Callable[[], T]) -> T:
        """Try again where two took the same number, as other programs that choose their own may."""
        for _ in range(_TRIES - 1):
            try:
                return create()
            except Exists as error:
                if self._table.source is not None or error.__cause__ is None:
                    raise
        return create()

    @property
    def done(self) -> PostgisDone:
        return PostgisDone(self._con, self._table.schema)

    def step(self) -> AbstractContextManager[None]:
        return self.changing(NOBODY)  # within a transaction it is a savepoint

    def hold(self, fids: Sequence[int]) -> None:
        table = self._table
        with self.step():
            self._con.execute(
                f"SELECT {table.fid} FROM {table.relation} t WHERE {table.fid} = ANY(%s::bigint[])"
                f" ORDER BY {table.fid} FOR UPDATE",
                (list(fids),),
            )
            logged = f"{bound(table.schema)}.twin_changes WHERE layer = {literal(table.id)}"
            rows = self._con.execute(
                f"SELECT f, greatest((SELECT coalesce(max(seq), 0) FROM {logged} AND fid IS NULL),"
                f" (SELECT max(seq) FROM {logged} AND fid = f)) FROM unnest(%s::bigint[]) f",
                (list(fids),),
            )
            self._before.update((int(fid), int(seq)) for fid, seq in rows)

    def with_source(self, source: str) -> int | None:
        table = self._table
        if "source_id" not in table.columns:
            raise BadBody("source_id: the layer keeps none")
        row = self._con.execute(
            f"SELECT {table.fid} FROM {table.relation} t WHERE {table.column('source_id')} = %s LIMIT 1",
            (source,),
        ).fetchone()
        return None if row is None else int(row[0])

    @contextmanager
    def changing(self, by: Author) -> Iterator[None]:
        table = self._table
        try:
            with self._con.transaction():
                yield
        except psycopg.errors.NotNullViolation as error:
            if error.diag.column_name == table.rows.fid:
                raise self._no_number() from error
            raise constraint_errors.integrity(table, error) from error
        except psycopg.IntegrityError as error:
            raise constraint_errors.integrity(table, error) from error
        except psycopg.DataError as error:
            raise constraint_errors.value(self._con, table, self._columns, error) from error
        except psycopg.errors.RaiseException as error:
            raise BadBody("the table's own rules do not permit this") from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise constraint_errors.right(table) from error

    def _no_number(self) -> NotEditable:
        table = self._table
        return NotEditable(
            f"layer {table.id} takes no new features: its column {table.rows.fid} numbers none by itself"
        )

    def lock(self, fid: int) -> tuple[bytes | None, str | None] | None:
        table = self._table
        row: tuple[bytes | None, str | None] | None = self._con.execute(
            f"SELECT {table.shape}, {table.column('source_id')} FROM {table.relation} t"
            f" WHERE {table.fid} = %s FOR UPDATE",
            (Int8(fid),),
            binary=True,
        ).fetchone()
        return row

    def row(self, fid: int) -> dict[str, Any]:
        table = self._table
        names = [field.name for field in table.fields]
        columns = ", ".join(map(table.column, names))
        sql = f"SELECT {columns} FROM {table.relation} t WHERE {table.fid} = %s"
        row = self._con.execute(sql, (Int8(fid),)).fetchone()
        assert row is not None
        return {name: _plain(value) for name, value in zip(names, row, strict=True)}

    def shapes(self, stored: bytes | None) -> NDArray[Any]:
        return project.to_lonlat(self._table, geometries([stored]))

    def is_taken(self, source: str, fid: int | None) -> bool:
        table = self._table
        if "source_id" not in table.columns:
            raise BadBody("properties: source_id: the layer keeps none")
        row = self._con.execute(
            f"SELECT 1 FROM {table.relation} t WHERE {table.column('source_id')} = %s"
            f" AND {table.fid} IS DISTINCT FROM %s LIMIT 1",
            (source, None if fid is None else Int8(fid)),
        ).fetchone()
        return row is not None

    def insert(self, shape: Any, values: Mapping[str, Any]) -> int:
        table = self._table
        columns = self._named(shape, {k: v for k, v in values.items() if v is not None})
        if table.source is None:
            columns["fid"] = ("%s", Int8(self._next_fid()))
        names = ", ".join(bound(name) for name in columns)
        marks = ", ".join(mark for mark, _ in columns.values())
        row = self._con.execute(
            f"INSERT INTO {table.relation} AS t ({names}) VALUES ({marks}) RETURNING {table.fid}",
            [value for _, value in columns.values()],
        ).fetchone()
        if row is None or row[0] is None:
            raise self._no_number()
        return int(row[0])

    def _next_fid(self) -> int:
        """A number that no feature of the layer has or had, also where other programs chose their own."""
        con, table = self._con, self._table
        relation = literal(table.raw).replace("%", "%%")
        serial = f"pg_get_serial_sequence({relation}, 'fid')::regclass"
        row = con.execute(
            f"SELECT nextval({serial}), coalesce((SELECT max(fid) FROM {bound(table.schema)}.twin_changes"
            f" WHERE layer = {literal(table.id)}), 0)",
            (),
        ).fetchone()
        assert row is not None
        fid, high = row
        if high >= fid:
            fid = high + 1
            con.execute(f"SELECT setval({serial}, %s)", (Int8(fid),))
        return int(fid)

    def update(self, fid: int, shape: Any, values: Mapping[str, Any]) -> None:
        table, columns = self._table, self._named(shape, values)
        # An edit that names nothing still counts as one: the triggers fire for an assignment to itself.
        own = f"{bound(table.rows.fid)} = {table.fid}"
        assignments = ", ".join(f"{bound(name)} = {mark}" for name, (mark, _) in columns.items()) or own
        self._con.execute(
            f"UPDATE {table.relation} AS t SET {assignments} WHERE {table.fid} = %s",
            (*(value for _, value in columns.values()), Int8(fid)),
        )

    def _named(self, shape: Any, values: Mapping[str, Any]) -> Columns:
        columns = self._columns = {}
        for name, value in values.items():
            column = self._table.columns.get(name)
            if column is not None and not column.fixed:
                text = None if value is None else value if isinstance(value, str) else repr(value)
                columns[column.name] = (column.write, text)
        if shape is not KEEP:
            columns[self._table.rows.geometry] = ("%s", project.ewkb(self._table, shape))
        return columns

    def former(self, fid: int, seq: int) -> OldRow | None:
        return self.formers([Former(self._table.id, fid, seq)]).get(fid)

    def formers(self, wanted: Sequence[Former]) -> dict[int, OldRow]:
        found: dict[int, OldRow] = {}
        for seq in sorted({one.seq for one in wanted}):
            found |= self._formers([one.fid for one in wanted if one.seq == seq], seq)
        return found

    def _formers(self, fids: list[int], seq: int) -> dict[int, OldRow]:
        con, table = self._con, self._table
        if seq not in self._past:
            if moments.kept(con, table.schema, table.id).seq > seq:
                raise Gone(f"what layer {table.id} was after change @{seq} is not kept")
            self._past[seq] = self._lasting(seq)
        columns = self._past[seq]
        source = "source_id" in table.columns and columns.get(bound(table.columns["source_id"].name))
        of_source = "NULL" if not source else f"p.old ->> {_text(table.columns['source_id'].name)}"
        old = self._old(columns)
        first = f"SELECT * FROM {old.past} r WHERE r.fid = f.fid AND r.until > %s ORDER BY r.until LIMIT 1"
        rows = con.execute(
            f"SELECT f.fid, p.until, p.there, {of_source}"
            f" FROM unnest(%s::bigint[]) f(fid) CROSS JOIN LATERAL {old.whole(f'({first})')} p",
            (fids, Int8(seq)),
        ).fetchall()
        return {row[0]: OldRow(row[1], row[2], row[3], columns) for row in rows}

    def _old(self, columns: Iterable[str]) -> OldRows:
        """The old rows, of which these columns of now are asked."""
        past = f"{bound(self._table.schema)}.{bound(past_table(self._table.id))}"
        return OldRows(past, self._table, tuple(columns))

    def _lasting(self, seq: int) -> dict[str, str]:
        """The columns that are the same as after a change: name, and type."""
        table = self._table
        then = past_table_.past_layers(self._con, table.schema, seq, 0).tables.get(table.id)
        if then is None or then.present is None:
            raise Conflict(f"layer {table.id} was made after change @{seq}, or dropped since")
        same = [
            column
            for name, column in table.columns.items()
            if not column.fixed
            and (was := then.kept.get(name)) is not None
            and (was.name, was.type) == (column.name, column.type)
        ]
        return {bound(column.name): column.pg for column in same}

    def put_back_all(self, rows: Sequence[tuple[int, OldRow]]) -> None:
        """By a few statements, unless source ids move from one feature to another."""
        table = self._table
        sql = f"SELECT {table.fid}, {table.column('source_id')} FROM {table.relation} t"
        sql += f" WHERE {table.fid} = ANY(%s::bigint[])"
        present: dict[int, str | None] = dict(self._con.execute(sql, ([fid for fid, _ in rows],)).fetchall())
        if any(row.there and fid in present and row.source != present[fid] for fid, row in rows):
            super().put_back_all(rows)
            return
        gone = [fid for fid, row in rows if not row.there and fid in present]
        if gone:
            drafts.permit(table, "delete")
            self._con.execute(
                f"DELETE FROM {table.relation} t WHERE {table.fid} = ANY(%s::bigint[])", (gone,)
            )
        kept = [(fid, row) for fid, row in rows if row.there]
        self._check_free(
            {row.source: fid for fid, row in kept if fid not in present and row.source is not None}
        )
        for columns in {id(row.columns): row.columns for _, row in kept}.values():
            alike = [(fid, row.key) for fid, row in kept if row.columns is columns]
            for some in itertools.batched(alike, _TOGETHER):
                now = [pair for pair in some if pair[0] in present]
                if now:
                    drafts.permit(table, "update")
                    self._restore(now, columns, present=True)
                if len(now) < len(some):
                    drafts.permit(table, "create")
                    self._restore([pair for pair in some if pair[0] not in present], columns, present=False)

    def _check_free(self, sources: Mapping[str, int]) -> None:
        """Raises Conflict: another feature has one of the source ids that are to be given."""
        table = self._table
        if not sources:
            return
        column = table.column("source_id")
        sql = f"SELECT {column} FROM {table.relation} t WHERE {column} = ANY(%s::text[]) LIMIT 1"
        row = self._con.execute(sql, (list(sources),)).fetchone()
        if row is not None:
            raise taken(table.id, sources[row[0]])

    def restore(self, fid: int, former: OldRow, present: bool) -> None:
        self._restore([(fid, former.key)], former.columns, present=present)

    def _restore(self, rows: Sequence[tuple[int, int]], columns: Mapping[str, str], *, present: bool) -> None:
        """Write old rows, each a feature and its key."""
        con, table = self._con, self._table
        if not present:
            columns = {**columns, **{bound(name): pg for name, pg in beside(con, table.oid).items()}}
        read = {name: restored(name, pg) for name, pg in columns.items()}
        if not present:
            for name, default in defaults(con, table.oid).items():
                read[bound(name)] = f"coalesce({read[bound(name)]}, {default})"
        names, values = [bound(table.rows.geometry), *read], ["p.geom", *read.values()]
        old = self._old(columns).whole()
        source = f"unnest(%s::bigint[], %s::bigint[]) w(fid, until) JOIN {old} p USING (fid, until)"
        chosen = [list(numbers) for numbers in zip(*rows, strict=True)]
        properties = ""
        if columns:
            defined = ", ".join(f"{name} {json_type(pg)}" for name, pg in columns.items())
            properties = f" CROSS JOIN LATERAL json_to_record(p.old) o({defined})"
        if present:
            assigned = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
            con.execute(
                f"UPDATE {table.relation} AS t SET {assigned} FROM {source}{properties}"
                f" WHERE {table.fid} = p.fid",
                chosen,
            )
        else:
            con.execute(
                f"INSERT INTO {table.relation} ({bound(table.rows.fid)}, {', '.join(names)})"
                f" OVERRIDING SYSTEM VALUE SELECT p.fid, {', '.join(values)} FROM {source}{properties}",
                chosen,
            )
        if table.source is None:
            old_rows.put_bodies(con, table.schema, table.id, f"SELECT p.fid, p.mesh FROM {source}", chosen)

    def remove(self, fid: int) -> None:
        table = self._table
        self._con.execute(f"DELETE FROM {table.relation} t WHERE {table.fid} = %s", (Int8(fid),))

    def revision(self, fid: int) -> int:
        row = self._con.execute(f"SELECT {revision_sql(self._table)}", (Int8(fid),)).fetchone()
        assert row is not None
        return int(row[0])

    def number(self, fid: int, by: Author) -> int:
        # what this transaction changed gets its numbers now instead of at commit
        history.number(self._con, self._table.schema, by)
        return self.revision(fid)

    def numbers(self, fids: Collection[int], by: Author) -> dict[int, int]:
        con, table = self._con, self._table
        history.number(con, table.schema, by)
        rows = con.execute(
            f"SELECT fid, max(seq) FROM {bound(table.schema)}.twin_changes"
            f" WHERE layer = {literal(table.id)} AND fid = ANY(%s::bigint[]) GROUP BY fid",
            (list(fids),),
        ).fetchall()
        return {fid: self.revision(fid) for fid in fids} if len(rows) < len(fids) else dict(rows)


def _plain(value: Any) -> Any:
    """A value of a column as a kind's chain reads it."""
    return float(value) if isinstance(value, Decimal) else value

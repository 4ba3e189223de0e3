"""The store of a city in PostGIS: several servers, loads, QGIS and psql work on it at once."""

from __future__ import annotations

import json
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from layers.errors import Busy, Conflict, NotFound, Unreadable, shown
from layers.model import (
    NOBODY,
    Author,
    Change,
    ChangeSet,
    FeatureLayer,
    FeaturePage,
    Item,
    Layer,
    Moment,
    Rows,
    Selection,
    Touch,
    Version,
)
from layers.query import Query
from layers.store import forms as other_forms
from layers.store import layer_record, unreadable
from layers.store.base import FormSpec, LayerSpec, Published, Stage
from layers.store.database import Database
from layers.store.edit import EditedStore
from layers.store.history import Retention
from layers.store.postgis import (
    ddl,
    edit,
    forms,
    history,
    layer_table,
    log,
    moments,
    page,
    publish,
    read,
    revert,
    schema,
    textures,
    touched,
)
from layers.store.postgis.audit import PostgisAudit
from layers.store.postgis.catalogue import CHANGED, MOVED, TRIES, DatabaseCatalogue
from layers.store.postgis.connection import Connection, bound
from layers.store.postgis.cursors import DatabaseCursors
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.page import PageRequest
from layers.store.postgis.past import PostgisPast
from layers.store.postgis.read import SnapshotState
from layers.store.postgis.scan import Scans
from layers.store.postgis.stage import PostgisStage
from layers.store.postgis.summary import Summary
from layers.store.texture import known
from layers.textures import Texture
from layers.types import CRS84, Interval
from layers.wkb import fault

#: Moments whose layers are kept known.
_PASTS = 16
#: Features that are read in one statement, which has the time of a query.
_AT_ONCE = 1_000


class PostgisStore(EditedStore):
    """Implements :class:`layers.store.base.Store`. Made by :func:`layers.store.postgis.open`."""

    def __init__(
        self,
        database: Database,
        mark: Path | None,
        few: int,
        crs_also: tuple[str, ...],
        history: Retention | None,
        *,
        read_only: bool = False,
    ) -> None:
        self._s = bound(database.schema)
        self._schema = database.schema
        self.transaction_seconds = database.write_seconds / 2
        self._closed = False
        self._few = few
        self._stages: weakref.WeakSet[PostgisStage] = weakref.WeakSet()
        self._crs_also = crs_also
        self._pasts: OrderedDict[int, PostgisPast] = OrderedDict()
        self._lock = threading.Lock()
        self._catalogue = DatabaseCatalogue(database, mark, read_only=read_only, history=history)
        self._scans = Scans(self._catalogue)
        self._sessions = self._catalogue.sessions
        self._summary = Summary(database.schema, self._sessions, crs_also)

    def cursors(self) -> DatabaseCursors:
        return DatabaseCursors(self._sessions, self._schema)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._catalogue.close()
        for stage in list(self._stages):
            stage.con.close()
        self._scans.close()

    # What is true now

    @property
    def epoch(self) -> str:
        """Random id of this store's history, renewed by a restore; the first half of every ETag.

        As of this store's last look at the database: every read looks, so an ETag is made after one."""
        return self._catalogue.epoch

    @property
    def read_only(self) -> bool:
        """Whether it was opened so; else False: whether a role may write is known when it does."""
        return self._catalogue.read_only

    @property
    def local(self) -> bool:
        return False

    def seq(self) -> int:
        return self._catalogue.state().seq

    def wait(self, since: int, seconds: float) -> int:
        return self._catalogue.listener.wait(since, seconds)

    # Reading

    def nonce(self, seq: int) -> int | None:
        return self._catalogue.call(lambda con: log.nonce(con, self._schema, seq))

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        return self._catalogue.call(lambda con: log.changes(con, self._schema, since, limit))

    def feature_layers(self) -> list[FeatureLayer]:
        self._catalogue.state()
        usable = [t.id for t in self._catalogue.known().tables.values() if t.state == layer_record.OK]
        summaries = []
        for layer_id in usable:
            with suppress(NotFound, Unreadable):
                summaries.append(self.feature_layer(layer_id))
        return summaries

    def layers(self) -> list[Layer]:
        every: list[Layer] = [*self.feature_layers()]
        every += self._catalogue.call(lambda con: forms.layers(con, self._schema))
        return sorted(every, key=lambda layer: layer.id)

    def layer(self, layer_id: str) -> Layer:
        self._catalogue.state()
        if layer_id not in self._catalogue.known().tables:
            others = self._catalogue.call(lambda con: forms.layers(con, self._schema, layer_id))
            if others:
                return others[0]
        return self.feature_layer(layer_id)

    def feature_layer(self, layer_id: str) -> FeatureLayer:
        return self._of_moment(layer_id, self._summary.layer)

    def interval(self, layer_id: str) -> Interval:
        return self._of_moment(layer_id, self._summary.interval)

    def _of_moment[T](self, layer_id: str, ask: Callable[[Connection, LayerTable, SnapshotState], T]) -> T:
        def of_moment(con: Connection, table: LayerTable) -> tuple[SnapshotState, T]:
            moment = read.moment(con, table.schema, table)
            return moment, ask(con, table, moment)

        return self._catalogue.of(layer_id, of_moment)[1]

    def items(self, layer_id: str, query: Query) -> FeaturePage:
        table, (rows, matched) = self._page(layer_id, query, wkb=False)
        bodies = read.bodies(table, rows, query.crs)
        return FeaturePage(b",".join(bodies), len(bodies), matched, rows.next_after)

    def select(self, layer_id: str, query: Query) -> Selection:
        table, (rows, matched) = self._page(layer_id, query, wkb=True)
        return Selection(read.as_columns(table, rows.fields, rows.rows), matched, rows.next_after)

    def _page(
        self, layer_id: str, query: Query, *, wkb: bool
    ) -> tuple[LayerTable, tuple[read.RowPage, int | None]]:
        def ask(con: Connection, table: LayerTable) -> tuple[SnapshotState, tuple[read.RowPage, int | None]]:
            rows, matched = self._summary.page(con, table, query, wkb, self._few)
            return rows.state, (rows, matched)

        return self._catalogue.of(layer_id, ask)

    def count(self, layer_id: str, query: Query, most: int) -> int | None:
        matched = self._catalogue.of(
            layer_id, lambda con, t: page.count(con, PageRequest(t, query, wkb=False), most)
        )[1]
        return matched if matched <= most else None

    def scan(self, layer_id: str, query: Query, size: int = 5_000) -> Generator[Rows]:
        self.feature_layer(layer_id)

        def find(con: Connection) -> LayerTable:
            table = layer_table.tables(con, self._schema).get(layer_id)
            if table is None:
                raise NotFound(f"there is no layer {shown(layer_id)}")
            return table.usable()

        yield from self._scans.scan(self._catalogue.table(layer_id).raw, find, query, size)

    def item(self, layer_id: str, fid: int, crs: str = CRS84) -> Item:
        known = fid if abs(fid) < 2**63 else -1
        table, (number, row) = self._catalogue.of(layer_id, lambda con, t: read.item(con, t, known))
        bodies = read.bodies(table, row, crs)
        if not bodies or abs(fid) >= 2**63:
            raise NotFound(f"layer {layer_id} has no feature {shown(fid)}")
        geometry = row.rows[0][1]
        if geometry is not None and (why := fault(geometry)):
            raise unreadable.refusal(layer_id, fid, why)
        return Item(bodies[0], fid, number)

    def revision(self, layer_id: str, fid: int) -> int:
        known = fid if abs(fid) < 2**63 else -1
        _, (number, there) = self._catalogue.of(layer_id, lambda con, t: read.revision(con, t, known))
        if not there or abs(fid) >= 2**63:
            raise NotFound(f"layer {layer_id} has no feature {shown(fid)}")
        return number

    def rows(self, layer_id: str, fids: Sequence[int] | None = None, *, meshes: bool = False) -> Rows:
        if fids is not None and len(fids) <= _AT_ONCE and not meshes:
            return self._catalogue.of(layer_id, lambda con, table: read.some(con, table, fids))[1]
        for attempt in range(TRIES):
            table = self._catalogue.table(layer_id)
            try:
                with self._sessions.reading_long() as con:
                    moment, columns = read.everything(con, table, fids, meshes)
            except MOVED:
                if attempt == TRIES - 1:
                    raise
                self._catalogue.repair()
                continue
            if moment.oid != table.oid:
                self._catalogue.repair()
            elif self._catalogue.is_current(moment):
                return columns
        raise Busy(f"layer {layer_id} is being replaced; try again")

    def texture(self, layer_id: str, sha: str) -> Texture:
        self._catalogue.table(layer_id)
        found = self._catalogue.call(lambda con: textures.one(con, self._schema, layer_id, sha))
        return known(found, layer_id, sha)

    def texture_types(self, layer_id: str, wanted: Collection[str]) -> Mapping[str, str]:
        return self._catalogue.call(lambda con: textures.types(con, self._schema, layer_id, wanted))

    def sweep_textures(self) -> int:
        return self._catalogue.sweep_textures()

    # What was

    def moment(self, at: str) -> Moment:
        self._catalogue.state()
        return self._catalogue.history(lambda con: moments.moment(con, self._schema, at))

    def as_of(self, seq: int) -> PostgisPast:
        with self._lock:
            past = self._pasts.pop(seq, None)
            if past is None:
                past = PostgisPast(self._catalogue, self._scans, seq, self._few, self._crs_also)
            self._pasts[seq] = past
            if len(self._pasts) > _PASTS:
                self._pasts.popitem(last=False)
            return past

    def kept(self, layer_id: str | None = None) -> Moment:
        self._catalogue.state()
        return self._catalogue.history(lambda con: moments.kept(con, self._schema, layer_id))

    def change_sets(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        actor: str | None = None,
        layer: str | None = None,
        limit: int = 100,
    ) -> list[ChangeSet]:
        self._catalogue.state()
        return self._catalogue.history(
            lambda con: moments.change_sets(con, self._schema, after, before, actor, layer, limit)
        )

    def versions(
        self, layer_id: str, fid: int, *, before: int | None = None, limit: int = 100
    ) -> list[Version]:
        return self._at_once(lambda con: moments.versions(con, self._schema, layer_id, fid, before, limit))

    def earliest(self, layer_id: str, fid: int) -> Version | None:
        return self._at_once(lambda con: moments.earliest(con, self._schema, layer_id, fid))

    def _at_once[T](self, ask: Callable[[Connection], T]) -> T:
        """What is asked of the history in several statements, all of one state of it."""
        self._catalogue.state()

        def asked(con: Connection) -> T:
            with con.transaction():
                con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                return ask(con)

        return self._catalogue.history(asked)

    def touched(
        self,
        layer_id: str,
        after: int,
        until: int,
        *,
        actor: str | None = None,
        beyond: int | None = None,
        limit: int = 1_000,
    ) -> list[Touch]:
        self._catalogue.state()

        def ask(con: Connection) -> list[Touch]:
            with con.transaction():
                con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                return touched.touched(con, self._schema, layer_id, after, until, actor, beyond, limit)

        return self._catalogue.history(ask)

    def reshaped(self, layer_id: str, after: int, until: int) -> list[int]:
        return self._catalogue.history(
            lambda con: touched.reshaped(con, self._schema, layer_id, after, until)
        )

    # Writing

    @contextmanager
    def _editor(self, layer_id: str) -> Iterator[edit.PostgisEditor]:
        """With the table as the catalogue of this moment describes it."""
        self._catalogue.state()
        table = self._catalogue.table(layer_id)
        try:
            with self._sessions.writing() as con:
                yield edit.PostgisEditor(con, table)
        except CHANGED as error:
            self._catalogue.repair()
            raise Busy(f"layer {layer_id} is being replaced; try again") from error

    def described(self, layer_id: str) -> LayerTable:
        self._catalogue.state()
        return self._catalogue.table(layer_id)

    @contextmanager
    def joined(self, layers: Sequence[str], by: Author) -> Iterator[Mapping[str, edit.PostgisEditor]]:
        """One at a time in a city, so that no two that add the same source ids wait for each other."""
        tables = [self.described(layer_id) for layer_id in layers]
        try:
            with self._sessions.writing() as con, con.transaction():
                con.execute("SELECT pg_advisory_xact_lock(%s)", (schema.key(self._schema, "transact"),))
                yield {table.id: edit.PostgisEditor(con, table) for table in tables}
        except CHANGED as error:
            self._catalogue.repair()
            raise Busy("a layer of the transaction is being replaced; try again") from error

    @cached_property
    def audit(self) -> PostgisAudit:
        return PostgisAudit(self._schema, self._catalogue.history, self._sessions.writing)

    def stage(self, spec: LayerSpec) -> Stage:
        self._catalogue.state()
        con = self._sessions.single(write=True)
        try:
            made = PostgisStage(con, self._schema, spec, lambda: self._sessions.watched(con, None))
        except BaseException:
            con.close()
            raise
        self._stages.add(made)
        return made

    def publish(
        self,
        stage: Stage,
        *,
        mode: str = "replace",
        by: Author = NOBODY,
        unchanged_since: int | None = None,
    ) -> Published:
        if not isinstance(stage, PostgisStage):
            raise TypeError("not a stage of this store")
        try:
            with stage.watched():
                return publish.publish(stage.con, stage, mode, self._sessions.postgis, by, unchanged_since)
        finally:
            stage.drop()

    def revert(self, layer_id: str, seq: int, by: Author = NOBODY, *, unchanged_since: int) -> int:
        self._catalogue.state()
        con = self._sessions.single(write=True)
        try:
            with self._sessions.watched(con, None), con.transaction():
                return revert.revert(self._catalogue.place(con), layer_id, seq, unchanged_since, by)
        finally:
            con.close()

    def record(self, spec: FormSpec, by: Author = NOBODY) -> int:
        other_forms.check(spec)
        self._catalogue.state()
        with self._sessions.writing() as con, con.transaction():
            return forms.record(self._catalogue.place(con), spec, by)

    def drop(self, layer_id: str, by: Author = NOBODY) -> None:
        self._catalogue.state()
        table = self._catalogue.learn().tables.get(layer_id)
        with self._sessions.writing() as con, con.transaction():
            place = self._catalogue.place(con)
            history.sign(con, by)
            if table is not None and table.source is not None:
                raise Conflict(f"layer {layer_id} is a table that city.yml names: take it out there")
            if table is not None:
                ddl.drop(place, table)
                ddl.touch(place)
            elif not forms.drop(place, layer_id):
                raise NotFound(f"there is no layer {shown(layer_id)}")

    def report(self, layer_id: str) -> Mapping[str, Any] | None:
        sql = f"SELECT report FROM {self._s}.twin_reports WHERE layer = %s"
        row = self._catalogue.call(lambda con: con.execute(sql, (layer_id,)).fetchone())
        document: Mapping[str, Any] | None = json.loads(row[0]) if row else None
        return document

    def save_report(self, layer_id: str, report: Mapping[str, Any]) -> None:
        text = json.dumps(report, ensure_ascii=False, default=str).replace("\\u0000", "\ufffd")
        sql = (
            f"INSERT INTO {self._s}.twin_reports VALUES (%s, %s)"
            " ON CONFLICT (layer) DO UPDATE SET report = excluded.report"
        )
        with self._sessions.writing() as con:
            con.execute(sql, (layer_id, text))

"""The store of an embedded city: one GeoPackage file, edited by us, QGIS and GDAL alike."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakSet

from layers.errors import Busy, Gone, NotFound, ReadOnly, TwinError, Unavailable, shown
from layers.model import (
    NOBODY,
    Author,
    Change,
    ChangeSet,
    ContentLayer,
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
from layers.store.base import SWEEP_S, FormSpec, LayerSpec, Past, Published, Stage
from layers.store.cursors import FileCursors
from layers.store.edit import EditedStore
from layers.store.geopackage import (
    catalog,
    edit,
    epoch,
    forms,
    historic,
    keeping,
    log,
    prepare,
    pruning,
    publish,
    read,
    revert,
    scan,
    selection,
    sets,
    textures,
    touched,
)
from layers.store.geopackage.audit import GeoPackageAudit
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.connection import WRITE_WAIT_S, connect, sqlite_errors, transaction, waiting
from layers.store.geopackage.moments import Moments
from layers.store.geopackage.past_store import GeoPackagePast
from layers.store.geopackage.read_view import ReadView
from layers.store.geopackage.scan import Cursor
from layers.store.geopackage.snapshot import LOOK_S, REPAIR_WAIT_S, Snapshots
from layers.store.geopackage.stage import GeoPackageStage, sweep
from layers.store.history import Retention
from layers.store.texture import known
from layers.textures import Texture
from layers.types import CRS84, Interval

KEPT_REVISIONS = 20_000  # a thread, asked since the last change
NO_HISTORY = Gone("no history of this city is kept: its store is of an earlier format, and only read")


class GeoPackageStore(EditedStore):
    """Implements :class:`layers.store.base.Store`. Made by :func:`layers.store.geopackage.open`."""

    transaction_seconds = WRITE_WAIT_S / 2

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool,
        few: int,
        crs_also: tuple[str, ...],
        history: Retention | None,
    ) -> None:
        self._path = path
        self._read_only = read_only
        self._derived = path.parent / "derived"
        self._lock = threading.RLock()  # the two writing connections; held as long as a write waits or runs
        self._scans: WeakSet[Cursor] = WeakSet()
        self._scans_lock = threading.Lock()
        self._summaries: dict[str, tuple[tuple[int, str], FeatureLayer]] = {}
        self._contents: dict[str, tuple[tuple[int, str], ContentLayer]] = {}
        self._few = few
        self._pruned = 0  # see log.pruned
        self._sweep_at = 0.0  # when textures that nothing names go, on the monotonic clock
        self._closed = False
        self._writer: sqlite3.Connection | None = None
        self._filler: sqlite3.Connection | None = None
        if not read_only:
            self._writer = connect(path, "rwc")
        mark = self._derived / f"{path.stem}.mark"
        self._now = Snapshots(path, crs_also, mark, None if read_only else self._repair)
        self._moments = Moments(self._now, crs_also, few)
        con = self._writer or self._now.view().con
        self._historic = prepare.prepare(con, read_only=read_only)
        if not read_only:
            sweep(self._derived / "stage")
        self._now.start(epoch.begin(con, path, mark, read_only=read_only))
        self._wanted = None if read_only else history  # what is not yet noted in the file
        if self._wanted is not None:
            with waiting(con, REPAIR_WAIT_S):
                self._keep_for(con)
        self._pruner = pruning.Pruner(self._upkeep, soon=self._wanted is not None)
        if history is not None and not read_only:
            self._pruner.start()

    def cursors(self) -> FileCursors:
        return FileCursors(self._path.parent / "cursors.json")

    def close(self) -> None:
        self._pruner.stop()
        with self._lock, self._scans_lock:
            self._closed = True
            self._moments.close()
            self._now.close()
            for con in (self._filler, self._writer):
                if con is not None:
                    con.close()
            for cursor in list(self._scans):
                cursor.close()
            self._writer = self._filler = None

    # What is true now

    @property
    def epoch(self) -> str:
        """Random id of this store's history, renewed by a restore; the first half of every ETag.

        As of this store's last look at the file: every read looks, so an ETag is made after one."""
        return self._now.epoch

    @property
    def read_only(self) -> bool:
        return self._read_only

    @property
    def local(self) -> bool:
        return True

    def seq(self) -> int:
        return self._now.current().seq

    def wait(self, since: int, seconds: float) -> int:
        until = time.monotonic() + seconds
        while (newest := self.seq()) <= since and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_S))
        return newest

    # Reading

    def nonce(self, seq: int) -> int | None:
        with self._now.reading() as view:
            return log.nonce(view.con, seq)

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        with self._now.reading() as view:
            return log.changes(view.con, since, limit)

    def feature_layers(self) -> list[FeatureLayer]:
        with self._now.reading(None) as view:
            usable = [t for t in view.tables.values() if t.state == layer_record.OK]
            return [view.summary(table, self._summaries) for table in usable]

    def layers(self) -> list[Layer]:
        with self._now.reading(None) as view:
            usable = [t for t in view.tables.values() if t.state == layer_record.OK]
            summaries: list[Layer] = [view.summary(table, self._summaries) for table in usable]
            summaries += [other_forms.layer(row, view.layer_seq(row[0])) for row in view.forms.values()]
            return sorted(summaries, key=lambda layer: layer.id)

    def layer(self, layer_id: str) -> Layer:
        view = self._now.current()
        if layer_id not in view.forms:
            return self.feature_layer(layer_id)
        cached = self._contents.get(layer_id)
        if cached is not None and cached[0] == (view.layer_seq(layer_id), view.stamp):
            return cached[1]
        with self._now.reading(None) as view:
            row = view.forms.get(layer_id)
            if row is None:
                return view.summary(_table(view, layer_id), self._summaries)
            seq = view.layer_seq(layer_id)
            layer = other_forms.layer(row, seq)
            self._contents[layer_id] = (seq, view.stamp), layer
            return layer

    def feature_layer(self, layer_id: str) -> FeatureLayer:
        view = self._now.current()
        table = _table(view, layer_id)
        cached = self._summaries.get(layer_id)
        if cached is not None and cached[0] == (view.layer_seq(layer_id), view.stamp):
            return cached[1]
        with self._now.reading(None) as view:
            table = _table(view, layer_id)
            return view.summary(table, self._summaries)

    def interval(self, layer_id: str) -> Interval:
        with self._now.reading() as view:
            return read.interval(view.con, _table(view, layer_id))

    def items(self, layer_id: str, query: Query) -> FeaturePage:
        with self._now.reading() as view:
            table = _table(view, layer_id)
            page, made = read.page(view, table, query, view.summary(table, self._summaries), self._few)
            seq = view.seq
        self._fill(table, made, seq)
        return page

    def select(self, layer_id: str, query: Query) -> Selection:
        with self._now.reading() as view:
            table = _table(view, layer_id)
            return read.select(view, table, query, view.summary(table, self._summaries), self._few)

    def count(self, layer_id: str, query: Query, most: int) -> int | None:
        with self._now.reading() as view:
            table = _table(view, layer_id)
            return selection.count(view, table, query, view.summary(table, self._summaries), most)

    def scan(self, layer_id: str, query: Query, size: int = 5_000) -> Generator[Rows]:
        self._now.same_file()
        view = self._now.fresh()
        try:
            with sqlite_errors():
                self._now.begin(view)
                table = _table(view, layer_id)
                cursor = scan.open(view, table, query, view.summary(table, self._summaries))
        except BaseException:
            view.con.close()
            raise
        with self._scans_lock:
            if self._closed:
                cursor.close()
                raise Unavailable("the store is closed")
            self._scans.add(cursor)
        yield from scan.batches(cursor, table, query, size)

    def item(self, layer_id: str, fid: int, crs: str = CRS84) -> Item:
        stored = self._stored_item(layer_id, fid) if crs == CRS84 else None
        if stored is not None:
            return stored
        made: dict[int, bytes] = {}
        with self._now.reading() as view:
            table = _table(view, layer_id)
            number = edit.revision(view.con, layer_id, fid) if abs(fid) < 2**63 else 0
            if abs(fid) >= 2**63:
                bodies: list[bytes] = []
            elif crs == CRS84:
                bodies, made = read.texts(view, table, [fid])
            else:
                bodies = read.projected(view, table, [fid], crs, table.fields)
            fault = read.fault(view, table, fid) if bodies else None
            seq = view.seq
        if not bodies:
            raise NotFound(f"layer {layer_id} has no feature {shown(fid)}")
        if fault:
            raise unreadable.refusal(layer_id, fid, fault)
        self._fill(table, made, seq)
        return Item(bodies[0], fid, number)

    def _stored_item(self, layer_id: str, fid: int) -> Item | None:
        """A feature whose text is kept, read without a transaction; None where that cannot be done.

        Statements between two looks at a WAL index that did not move are of one moment."""
        view = self._now.current()
        header, table = view.header, _table(view, layer_id)
        if not header or not table.trusted or abs(fid) >= 2**63:
            return None
        with sqlite_errors():
            sql = f"SELECT body, {edit.REVISION} FROM {table.json} WHERE fid=:fid"
            row = view.con.execute(sql, {"layer": layer_id, "fid": fid}).fetchone()
        if row is None or self._now.header() != header:
            return None
        return Item(row[0], fid, row[1])

    def revision(self, layer_id: str, fid: int) -> int:
        view = self._now.current()
        known = view.revisions.get((layer_id, fid))
        if known is not None:
            return known
        with self._now.reading() as view:
            table = _table(view, layer_id)
            sql = f"SELECT 1 FROM {table.name} WHERE fid=?"
            if abs(fid) >= 2**63 or view.con.execute(sql, (fid,)).fetchone() is None:
                raise NotFound(f"layer {layer_id} has no feature {shown(fid)}")
            number = edit.revision(view.con, layer_id, fid)
            if len(view.revisions) >= KEPT_REVISIONS:
                view.revisions.clear()
            view.revisions[layer_id, fid] = number
        return number

    def rows(self, layer_id: str, fids: Sequence[int] | None = None, *, meshes: bool = False) -> Rows:
        with self._now.reading(None) as view:
            return read.rows(view, _table(view, layer_id), fids, meshes)

    def _fill(self, table: FeatureTable, made: Mapping[int, bytes], seq: int) -> None:
        """Keep GeoJSON that a read had to make, if nothing was written since; never waits."""
        if not made or self._read_only or not self._lock.acquire(blocking=False):
            return
        try:
            if self._closed:
                return
            if self._filler is None:
                # Losing these rows costs nothing, so this connection does not wait for the disk.
                self._filler = connect(self._path, "rw", wait_s=0)
                self._filler.execute("PRAGMA synchronous=OFF")
                self._filler.execute("PRAGMA wal_autocheckpoint=0")
            with suppress(Busy), transaction(self._filler):
                if log.last_seq(self._filler) == seq:
                    edit.keep(self._filler, table, made)
        finally:
            self._lock.release()

    # The past

    def as_of(self, seq: int) -> Past:
        if not self._historic:
            raise NO_HISTORY
        return GeoPackagePast(self._moments, seq)

    def texture(self, layer_id: str, sha: str) -> Texture:
        _table(self._now.current(), layer_id)
        with self._now.reading() as view:
            return known(textures.one(view.con, layer_id, sha), layer_id, sha)

    def texture_types(self, layer_id: str, wanted: Collection[str]) -> Mapping[str, str]:
        with self._now.reading() as view:
            return textures.types(view.con, layer_id, wanted)

    def moment(self, at: str) -> Moment:
        with self._looking() as con:
            return historic.moment(con, at)

    def kept(self, layer_id: str | None = None) -> Moment:
        with self._looking() as con:
            return historic.kept(con, layer_id)

    def change_sets(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        actor: str | None = None,
        layer: str | None = None,
        limit: int = 100,
    ) -> list[ChangeSet]:
        with self._looking() as con:
            return sets.chosen(con, after, before, actor, layer, limit)

    def versions(
        self, layer_id: str, fid: int, *, before: int | None = None, limit: int = 100
    ) -> list[Version]:
        with self._looking() as con:
            return historic.versions(con, layer_id, fid, before, limit)

    def earliest(self, layer_id: str, fid: int) -> Version | None:
        with self._looking() as con:
            return historic.earliest(con, layer_id, fid)

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
        with self._looking() as con:
            return touched.touched(con, layer_id, after, until, actor, beyond, limit)

    def reshaped(self, layer_id: str, after: int, until: int) -> list[int]:
        with self._looking() as con:
            return touched.reshaped(con, layer_id, after, until)

    @contextmanager
    def _looking(self) -> Iterator[sqlite3.Connection]:
        """One read transaction, in which what other programs logged is in change sets where it can be."""
        if not self._historic:
            raise NO_HISTORY
        with self._now.reading() as view:
            behind = bool(sets.pending(view.con))
        if behind and not self._read_only:
            self._adopt()
        with self._now.reading() as view:
            yield view.con

    def _adopt(self) -> None:
        """Take what other programs logged into sets, unless somebody writes: a look never waits for that, and
        answers with the sets that these will be."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            con = self._writer
            if con is not None and not con.in_transaction:
                with waiting(con, 0), suppress(TwinError), transaction(con):
                    sets.adopt(con)
        finally:
            self._lock.release()

    # Writing

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._read_only:
            raise ReadOnly("the city folder cannot be written; this server only reads")
        if not self._lock.acquire(timeout=WRITE_WAIT_S):
            raise Busy("other edits or a load are being written; try again")
        try:
            if self._writer is None:
                raise Unavailable("the store is closed")
            self._now.current()  # verified, so that the triggers are there
            with sqlite_errors():
                yield self._writer
                self._prune(self._writer)
        finally:
            self._lock.release()

    def _repair(self) -> tuple[int, str] | None:
        """Put in order what other programs did to the tables; None where another writer is at work."""
        if not self._lock.acquire(timeout=REPAIR_WAIT_S):
            return None
        try:
            con = self._writer
            if con is None:
                return None
            shape = None
            with waiting(con, REPAIR_WAIT_S), suppress(Busy), sets.writing(con, Author(via="repair")):
                catalog.repair(con, catalog.examine(con))
                shape = catalog.shape(con)
            return shape
        finally:
            self._lock.release()

    def _prune(self, con: sqlite3.Connection) -> None:
        if log.is_prune_due(con, self._pruned):
            with suppress(TwinError), transaction(con):  # the edit before it is done, whatever happens
                self._pruned = log.prune(con)

    def prune_history(self) -> bool:
        """Remove some of the old rows that are no longer to be kept; whether there may be more."""
        if not self._historic or self._read_only:
            return False
        with self._writing() as con, waiting(con, REPAIR_WAIT_S):
            self._keep_for(con)
            with transaction(con):
                return pruning.step(con, keeping.retention(con), pruning.now())

    def sweep_textures(self) -> int:
        if self._read_only:
            return 0
        with self._now.reading(None) as view:
            numbers = textures.unnamed(view.con, self._pruner.stopping)
        if numbers:
            with self._writing() as con, waiting(con, REPAIR_WAIT_S), transaction(con):
                textures.remove(con, numbers)
        return len(numbers)

    def _upkeep(self) -> bool:
        """What the pruner does at a look; whether there may be more."""
        if self.prune_history():
            return True
        if time.monotonic() >= self._sweep_at:
            self.sweep_textures()
            self._sweep_at = time.monotonic() + SWEEP_S
        return False

    def _keep_for(self, con: sqlite3.Connection) -> None:
        """Note how long old rows are to be kept; later, where another program writes: what was noted before
        holds as long."""
        if self._wanted is not None:
            with suppress(Busy):
                prepare.keep_for(con, self._wanted)
                self._wanted = None

    @cached_property
    def audit(self) -> GeoPackageAudit:
        return GeoPackageAudit(self._seen, self._writing, read_only=self._read_only)

    @contextmanager
    def _seen(self) -> Iterator[sqlite3.Connection]:
        """One read transaction of what is there."""
        if not self._historic:
            raise NO_HISTORY
        with self._now.reading() as view:
            yield view.con

    def stage(self, spec: LayerSpec) -> Stage:
        if self._read_only:
            raise ReadOnly("the city folder cannot be written")
        with self._now.reading(None) as view:
            base = publish.high_fid(view.con, spec.id)
        return GeoPackageStage(self._derived / "stage", spec, base)

    def publish(
        self,
        stage: Stage,
        *,
        mode: str = "replace",
        by: Author = NOBODY,
        unchanged_since: int | None = None,
    ) -> Published:
        if not isinstance(stage, GeoPackageStage):
            raise TypeError("not a stage of this store")
        try:
            with self._writing() as con:
                return publish.publish(con, stage, mode, by, unchanged_since)
        finally:
            stage.drop()

    @contextmanager
    def _editor(self, layer_id: str) -> Iterator[edit.GeoPackageEditor]:
        with self._writing() as con:
            yield edit.GeoPackageEditor(con, _table(self._now.current(), layer_id))

    def described(self, layer_id: str) -> FeatureTable:
        return _table(self._now.current(), layer_id)

    @contextmanager
    def joined(self, layers: Sequence[str], by: Author) -> Iterator[Mapping[str, edit.GeoPackageEditor]]:
        only = layers[0] if len(layers) == 1 else None
        with self._writing() as con:
            tables = [_table(self._now.current(), layer_id) for layer_id in layers]
            with sets.writing(con, by, only):
                yield {table.id: edit.GeoPackageEditor(con, table) for table in tables}

    def revert(self, layer_id: str, seq: int, by: Author = NOBODY, *, unchanged_since: int) -> int:
        with self._writing() as con:
            with sets.writing(con, by, layer_id) as draft:
                draft.generation = revert.revert(con, layer_id, seq, unchanged_since)
            return log.last_seq(con)

    def record(self, spec: FormSpec, by: Author = NOBODY) -> int:
        other_forms.check(spec)
        with self._writing() as con, sets.writing(con, by, spec.id) as draft:
            draft.generation = forms.record(con, spec)
            return draft.generation

    def drop(self, layer_id: str, by: Author = NOBODY) -> None:
        with self._writing() as con, sets.writing(con, by, layer_id):
            if con.execute("SELECT 1 FROM twin_layers WHERE id=?", (layer_id,)).fetchone() is not None:
                publish.drop(con, layer_id)
            elif not forms.drop(con, layer_id):
                raise NotFound(f"there is no layer {shown(layer_id)}")

    def report(self, layer_id: str) -> Mapping[str, Any] | None:
        with self._now.reading() as view:
            row = view.con.execute("SELECT report FROM twin_reports WHERE layer=?", (layer_id,)).fetchone()
        document: Mapping[str, Any] | None = json.loads(row[0]) if row else None
        return document

    def save_report(self, layer_id: str, report: Mapping[str, Any]) -> None:
        text = json.dumps(report, ensure_ascii=False, default=str)
        with self._writing() as con, transaction(con):
            con.execute("INSERT OR REPLACE INTO twin_reports VALUES (?,?)", (layer_id, text))


def _table(view: ReadView, layer_id: str) -> FeatureTable:
    table = view.tables.get(layer_id)
    if table is None:
        if layer_id in view.forms:
            raise other_forms.no_features(layer_id, view.forms[layer_id][1])
        raise NotFound(f"there is no layer {shown(layer_id)}")
    return table.usable()


def writable(path: Path) -> bool:
    """Whether the file (if it exists) and its folder can be written by this process."""
    return os.access(path.parent, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))

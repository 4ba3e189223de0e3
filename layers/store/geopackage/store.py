"""The store of an embedded city: one GeoPackage file, edited by us, QGIS and GDAL alike."""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from layers.errors import Busy, NotFound, ReadOnly, TwinError, Unavailable, shown
from layers.model import AnyLayer, Change, Item, Layer, Page, Rows, Selection
from layers.query import Query
from layers.store import forms as other_forms
from layers.store import layer_record
from layers.store.base import FormSpec, LayerSpec, Published, Stage
from layers.store.geopackage import (
    catalog,
    edit,
    epoch,
    forms,
    interval,
    log,
    opening,
    publish,
    read,
    scan,
    schema,
    selection,
    walindex,
)
from layers.store.geopackage.catalog import Table
from layers.store.geopackage.connection import WRITE_WAIT_S, Mode, connect, sqlite_errors, transaction
from layers.store.geopackage.stage import GeoPackageStage, sweep
from layers.store.geopackage.view import View
from layers.types import CRS84, Interval

READ_SECONDS = 5.0
REPAIR_WAIT_S = 0.25
KEPT_REVISIONS = 20_000  # a thread, asked since the last change
LOOK_S = 0.05  # between two looks whether the file is still at its place


class GeoPackageStore:
    """Implements :class:`layers.store.base.Store`. Made by :func:`layers.store.geopackage.open`."""

    def __init__(self, path: Path, *, read_only: bool, few: int, crs_also: tuple[str, ...]) -> None:
        self._path = path
        self._crs_also = crs_also
        self._read_only = read_only
        self._mode: Mode = _reading_mode(path) if read_only else "rw"
        self._derived = path.parent / "derived"
        self._mark = self._derived / f"{path.stem}.mark"
        self._keeper = epoch.Keeper(self._mark)
        self._local = threading.local()
        self._lock = threading.RLock()  # the two writing connections; held as long as a write waits or runs
        self._views_lock = threading.Lock()
        self._mark_lock = threading.Lock()
        self._views: list[tuple[threading.Thread, View]] = []
        self._scans: WeakSet[scan.Cursor] = WeakSet()
        self._summaries: dict[str, tuple[tuple[int, str], Layer]] = {}
        self._few = few
        self._verified: tuple[int, str] = (-1, "")  # the shape in which every layer was found in order
        self._pruned = 0  # see log.pruned
        self._busy_until = 0.0
        self._marked = -1
        self._looked = 0.0
        self._epoch = ""
        self._wal: walindex.WalIndex | None = None
        self._closed = False
        self._writer: sqlite3.Connection | None = None
        self._filler: sqlite3.Connection | None = None
        if not read_only:
            self._writer = connect(path, "rwc")
        self._inode = path.stat().st_ino
        con = self._writer or self._view().con
        opening.prepare(con)
        if not read_only:
            sweep(self._derived / "stage")
        self._private_epoch = opening.begin_epoch(con, path, self._mark, read_only=read_only)
        self._view().con.execute("SELECT 1 FROM twin_meta").fetchone()
        self._wal = None if read_only else walindex.find(path)
        self._renewed(self._view())

    def close(self) -> None:
        """Close every connection; a call of another thread that still runs ends with Unavailable."""
        with self._lock, self._views_lock:
            self._closed = True
            for con in (*(view.con for _, view in self._views), self._filler, self._writer):
                if con is not None:
                    con.close()
            for cursor in list(self._scans):
                cursor.close()
            self._views.clear()
            self._writer = self._filler = None
        with self._mark_lock:
            self._keeper.close()

    # What is true now

    @property
    def epoch(self) -> str:
        """Random id of this store's history, renewed by a restore; the first half of every ETag.

        As of this store's last look at the file: every read looks, so an ETag is made after one."""
        return self._private_epoch or self._epoch

    @property
    def read_only(self) -> bool:
        """True when the city folder cannot be written; writes then raise ReadOnly."""
        return self._read_only

    @property
    def local(self) -> bool:
        """True: a plain read costs microseconds."""
        return True

    def seq(self) -> int:
        """The newest number of the change log, exact at the moment of the call."""
        return self._current().seq

    def wait(self, since: int, seconds: float) -> int:
        """Wait until the log goes beyond ``since``, or the time is over; its newest number."""
        until = time.monotonic() + seconds
        while (newest := self.seq()) <= since and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_S))
        return newest

    def _view(self) -> View:
        if self._closed:
            raise Unavailable("the store is closed")
        view: View | None = getattr(self._local, "view", None)
        if view is None:
            with self._views_lock:
                for thread, old in self._views:
                    if not thread.is_alive():
                        old.con.close()
                view = self._local.view = View(connect(self._path, self._mode), self._crs_also)
                alive = [(thread, v) for thread, v in self._views if thread.is_alive()]
                self._views = [*alive, (threading.current_thread(), view)]
        return view

    def _same_file(self) -> None:
        """Refuse to go on with a file that is no longer at its place: its answers would be another city's."""
        now = time.monotonic()
        if now < self._looked + LOOK_S:
            return
        self._looked = now
        try:
            same = os.stat(self._path).st_ino == self._inode
        except OSError:
            same = False
        if not same:
            self._looked = 0.0
            raise Unavailable("the city's store was replaced while it was open; restart the server")

    def _current(self) -> View:
        self._same_file()
        view = self._view()
        header = self._wal.header() if self._wal is not None else b""
        if header and view.header == header and view.shape == self._verified:
            return view
        with sqlite_errors():
            stale = view.data_version() != view.version
        if stale or self._unsettled(view):
            self._renewed(view)
        else:
            view.header = header
        return view

    def _unsettled(self, view: View) -> bool:
        return view.shape != self._verified and time.monotonic() > self._busy_until

    def _renewed(self, view: View) -> None:
        """Bring a view up to the file, verifying the layers when the schema moved."""
        with sqlite_errors():
            for _ in range(3):
                # taken before the snapshot: a commit between the two is then seen at the next look
                view.header = self._wal.header() if self._wal is not None else b""
                with _snapshot(view):
                    view.renew(view.data_version())
                if not self._unsettled(view):
                    break
                self._verify(view)
        self._epoch = view.epoch
        self._remember(view)

    def _verify(self, view: View) -> None:
        """Find out what other programs did to the tables, and repair it where that is ours to do."""
        with _snapshot(view):
            shape = catalog.shape(view.con)
            findings = catalog.examine(view.con)
        if not any(f.changed for f in findings):
            self._verified = shape
        elif self._read_only:
            view.distrust(findings)
            self._verified = shape
        else:
            self._repair()

    def _repair(self) -> None:
        """Repair, or look again soon when another writer, of this process or not, is at work."""
        self._busy_until = time.monotonic() + REPAIR_WAIT_S
        if not self._lock.acquire(timeout=REPAIR_WAIT_S):
            return
        try:
            con = self._writer
            if con is None:
                return
            con.execute(f"PRAGMA busy_timeout={int(REPAIR_WAIT_S * 1000)}")
            with suppress(Busy), transaction(con):
                catalog.repair(con, catalog.examine(con))
                self._verified = catalog.shape(con)
            con.execute(f"PRAGMA busy_timeout={int(WRITE_WAIT_S * 1000)}")
        finally:
            self._lock.release()

    def _remember(self, view: View) -> None:
        """Keep the mark before the number is shown, so that no later restore can show it again."""
        if view.seq <= self._marked or self._read_only:
            return
        with self._mark_lock:
            try:
                self._keeper.keep(epoch.Mark(view.epoch, view.seq, view.nonce, self._inode))
            except OSError:
                # No mark can be kept: ETags of this process then hold for this process only.
                self._private_epoch = self._private_epoch or epoch.fresh()
            self._marked = max(self._marked, view.seq)

    @contextmanager
    def _reading(self, seconds: float | None = READ_SECONDS) -> Iterator[View]:
        """One read transaction: every answer is of one moment, the old generation whole or the new."""
        self._same_file()
        view = self._view()
        with sqlite_errors():
            self._begin(view)
            view.limit(seconds)
            try:
                yield view
            finally:
                view.limit(None)
                view.con.execute("COMMIT")

    def _begin(self, view: View) -> None:
        """Begin a read transaction in which the view's knowledge is the snapshot's."""
        for _ in range(3):
            view.con.execute("BEGIN")
            if view.data_version() == view.version and not self._unsettled(view):
                return
            view.con.execute("COMMIT")
            self._renewed(view)
        view.con.execute("BEGIN")  # written to without pause: what the snapshot holds is good enough
        view.renew(view.data_version())

    # Reading

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        """Log rows with seq > since, ascending; see :mod:`layers.store.geopackage.log`."""
        with self._reading() as view:
            return log.changes(view.con, since, limit)

    def layers(self) -> list[Layer]:
        """Every published layer that can be read, by id."""
        with self._reading(None) as view:
            usable = [t for t in view.tables.values() if t.state == layer_record.OK]
            return [view.summary(table, self._summaries) for table in usable]

    def all_layers(self) -> list[AnyLayer]:
        """Every layer of every form that can be read, by id."""
        with self._reading(None) as view:
            usable = [t for t in view.tables.values() if t.state == layer_record.OK]
            found: list[AnyLayer] = [view.summary(table, self._summaries) for table in usable]
            found += [other_forms.layer(row, view.layer_seq(row[0])) for row in view.forms.values()]
            return sorted(found, key=lambda layer: layer.id)

    def any_layer(self, layer_id: str) -> AnyLayer:
        """One layer of any form. Raises NotFound; Unavailable when another program left it half replaced."""
        row = self._current().forms.get(layer_id)
        if row is None:
            return self.layer(layer_id)
        with self._reading(None) as view:
            row = view.forms.get(layer_id)
            if row is not None:
                return other_forms.layer(row, view.layer_seq(layer_id))
            return view.summary(_table(view, layer_id), self._summaries)

    def layer(self, layer_id: str) -> Layer:
        """One layer. Raises NotFound; Unavailable when another program left it half replaced."""
        view = self._current()
        table = _table(view, layer_id)
        kept = self._summaries.get(layer_id)
        if kept is not None and kept[0] == (view.layer_seq(layer_id), view.stamp):
            return kept[1]
        with self._reading(None) as view:
            table = _table(view, layer_id)
            return view.summary(table, self._summaries)

    def interval(self, layer_id: str) -> Interval:
        """The first and the last value of the layer's time field. Raises NotFound."""
        with self._reading() as view:
            return interval.interval(view.con, _table(view, layer_id))

    def items(self, layer_id: str, query: Query) -> Page:
        """A page of features. Raises NotFound, BadParameter (unknown property), Busy (time limit)."""
        with self._reading() as view:
            table = _table(view, layer_id)
            page, made = read.page(view, table, query, view.summary(table, self._summaries), self._few)
            seq = view.seq
        self._fill(table, made, seq)
        return page

    def select(self, layer_id: str, query: Query) -> Selection:
        """The same page as columns; ``query.crs`` is not applied (WKB is lon/lat)."""
        with self._reading() as view:
            table = _table(view, layer_id)
            return read.select(view, table, query, view.summary(table, self._summaries), self._few)

    def count(self, layer_id: str, query: Query, most: int) -> int | None:
        """How many features a query selects; None when they are more than ``most``. Raises as ``items``."""
        with self._reading() as view:
            table = _table(view, layer_id)
            return selection.count(view, table, query, view.summary(table, self._summaries), most)

    def scan(self, layer_id: str, query: Query, size: int = 5_000) -> Generator[Rows]:
        """Everything a query selects, of one moment, in batches; see :mod:`layers.store.geopackage.scan`.

        Raises as ``items`` when the first batch is asked for."""
        self._same_file()
        view = View(connect(self._path, self._mode), self._crs_also)
        try:
            with sqlite_errors():
                self._begin(view)
                table = _table(view, layer_id)
                cursor = scan.open(view, table, query, view.summary(table, self._summaries))
        except BaseException:
            view.con.close()
            raise
        with self._views_lock:
            if self._closed:
                cursor.close()
                raise Unavailable("the store is closed")
            self._scans.add(cursor)
        yield from scan.batches(cursor, table, query, size)

    def item(self, layer_id: str, fid: int, crs: str = CRS84) -> Item:
        """One feature. Raises NotFound."""
        kept = self._kept(layer_id, fid) if crs == CRS84 else None
        if kept is not None:
            return kept
        made: dict[int, bytes] = {}
        with self._reading() as view:
            table = _table(view, layer_id)
            number = edit.revision(view.con, layer_id, fid) if abs(fid) < 2**63 else 0
            if abs(fid) >= 2**63:
                bodies: list[bytes] = []
            elif crs == CRS84:
                bodies, made = read.texts(view, table, [fid])
            else:
                bodies = read.projected(view, table, [fid], crs, table.fields)
            seq = view.seq
        if not bodies:
            raise NotFound(f"layer {layer_id} has no feature {shown(fid)}")
        self._fill(table, made, seq)
        return Item(bodies[0], fid, number)

    def _kept(self, layer_id: str, fid: int) -> Item | None:
        """A feature whose text is kept, read without a transaction; None where that cannot be done.

        Statements between two looks at a WAL index that did not move are of one moment."""
        view = self._current()
        header, table = view.header, _table(view, layer_id)
        if not header or self._wal is None or not table.trusted or abs(fid) >= 2**63:
            return None
        with sqlite_errors():
            sql = f"SELECT body, {edit.REVISION} FROM {table.json} WHERE fid=:fid"
            row = view.con.execute(sql, {"layer": layer_id, "fid": fid}).fetchone()
        if row is None or self._wal.header() != header:
            return None
        return Item(row[0], fid, row[1])

    def revision(self, layer_id: str, fid: int) -> int:
        """The revision of one feature. Raises NotFound."""
        view = self._current()
        known = view.revisions.get((layer_id, fid))
        if known is not None:
            return known
        with self._reading() as view:
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
        """Features that have a geometry, as columns, for the tilers. No time limit."""
        with self._reading(None) as view:
            return read.rows(view, _table(view, layer_id), fids, meshes)

    def _fill(self, table: Table, made: Mapping[int, bytes], seq: int) -> None:
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
                if catalog.last_seq(self._filler) == seq:
                    edit.keep(self._filler, table, made)
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
            self._current()  # verified, so that the triggers are there
            with sqlite_errors():
                yield self._writer
                self._prune(self._writer)
        finally:
            self._lock.release()

    def _prune(self, con: sqlite3.Connection) -> None:
        if log.is_prune_due(con, self._pruned):
            with suppress(TwinError), transaction(con):  # the edit before it is done, whatever happens
                self._pruned = log.prune(con)

    def stage(self, spec: LayerSpec) -> Stage:
        """Begin a load. Raises ReadOnly, BadFile (an id or field name a table cannot have)."""
        if self._read_only:
            raise ReadOnly("the city folder cannot be written")
        return GeoPackageStage(self._derived / "stage", spec)

    def publish(self, stage: Stage, *, mode: str = "replace") -> Published:
        """Make a stage the layer's new generation in one transaction; the stage is used up."""
        if not isinstance(stage, GeoPackageStage):
            raise TypeError("not a stage of this store")
        try:
            with self._writing() as con:
                return publish.publish(con, stage, mode)
        finally:
            stage.drop()

    def create(self, layer_id: str, feature: Mapping[str, Any], actor: str | None = None) -> tuple[int, int]:
        """POST: a new feature. Returns its fid and revision. Raises BadBody, Exists."""
        with self._writing() as con:
            return edit.create(con, self._table(layer_id), feature, actor)

    def delete(self, layer_id: str, fid: int, if_match: int | None = None, actor: str | None = None) -> int:
        """DELETE: the feature and its mesh. Returns the log number. Raises NotFound, Stale."""
        with self._writing() as con:
            return edit.delete(con, self._table(layer_id), fid, if_match, actor)

    def replace(
        self,
        layer_id: str,
        fid: int,
        feature: Mapping[str, Any],
        if_match: int | None = None,
        actor: str | None = None,
    ) -> int:
        """PUT: the whole feature (GeoJSON). Returns the new revision."""
        with self._writing() as con:
            return edit.replace(con, self._table(layer_id), fid, feature, if_match, actor)

    def patch(
        self,
        layer_id: str,
        fid: int,
        patch: Mapping[str, Any],
        if_match: int | None = None,
        actor: str | None = None,
    ) -> int:
        """PATCH: RFC 7396 merge-patch of ``properties`` and/or ``geometry``; as ``replace``."""
        with self._writing() as con:
            return edit.patch(con, self._table(layer_id), fid, patch, if_match, actor)

    def actors(self, layer_id: str, fid: int) -> list[tuple[int, str, str]]:
        """Who edited a feature through this program: (revision, name, UTC instant), newest first."""
        with self._reading() as view:
            return log.actors(view.con, layer_id, fid)

    def set_values(self, layer_id: str, values: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """Set properties of several features in one transaction. Raises NotFound, BadBody, ReadOnly."""
        with self._writing() as con:
            edit.set_values(con, self._table(layer_id), values)

    def record(self, spec: FormSpec) -> int:
        """Record a layer of another form than features; its generation. Raises BadFile, Exists, ReadOnly."""
        other_forms.check(spec)
        with self._writing() as con, transaction(con):
            return forms.record(con, spec)

    def drop(self, layer_id: str) -> None:
        """Remove a layer. Raises NotFound, ReadOnly."""
        with self._writing() as con:
            if layer_id not in self._current().tables:
                with transaction(con):
                    if not forms.drop(con, layer_id):
                        raise NotFound(f"there is no layer {shown(layer_id)}")
                return
            with transaction(con):
                known = con.execute("SELECT state FROM twin_layers WHERE id=?", (layer_id,)).fetchone()
                box = catalog.extent(con, layer_id) if known == (layer_record.OK,) else None
                publish.retire(con, layer_id)
                schema.drop_layer(con, layer_id)
                catalog.log_whole(con, layer_id, box, None)
                catalog.touch(con)

    def report(self, layer_id: str) -> Mapping[str, Any] | None:
        """The report of the layer's last load, as stored by ``save_report``."""
        with self._reading() as view:
            row = view.con.execute("SELECT report FROM twin_reports WHERE layer=?", (layer_id,)).fetchone()
        found: Mapping[str, Any] | None = json.loads(row[0]) if row else None
        return found

    def save_report(self, layer_id: str, report: Mapping[str, Any]) -> None:
        """Keep the report of a load."""
        text = json.dumps(report, ensure_ascii=False, default=str)
        with self._writing() as con, transaction(con):
            con.execute("INSERT OR REPLACE INTO twin_reports VALUES (?,?)", (layer_id, text))

    def _table(self, layer_id: str) -> Table:
        return _table(self._current(), layer_id)


def _table(view: View, layer_id: str) -> Table:
    table = view.tables.get(layer_id)
    if table is None:
        if layer_id in view.forms:
            raise other_forms.no_features(layer_id, view.forms[layer_id][1])
        raise NotFound(f"there is no layer {shown(layer_id)}")
    return table.usable()


@contextmanager
def _snapshot(view: View) -> Iterator[None]:
    view.con.execute("BEGIN")
    try:
        yield
    finally:
        view.con.execute("COMMIT")


def _reading_mode(path: Path) -> Mode:
    """``immutable`` needs no side files; a WAL that still holds commits must be read, if it can be."""
    wal = path.with_name(path.name + "-wal")
    with suppress(OSError):
        if wal.stat().st_size > 0:
            return "ro"
    return "immutable"


def writable(path: Path) -> bool:
    """Whether the file (if it exists) and its folder can be written by this process."""
    return os.access(path.parent, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))

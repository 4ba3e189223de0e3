"""What a process knows of a city in PostGIS, and how it stays true while others work on it.

Every answer comes with the moment it was made at (:class:`layers.store.postgis.read.SnapshotState`). One made
with an outdated catalogue, or in a history that is not the one shown before, is not given: what is known is
brought up to date, and the question asked again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from layers.errors import BadParameter, Busy, Gone, NotFound, ReadOnly, TwinError, Unavailable, shown
from layers.store import layer_record
from layers.store.base import SWEEP_S
from layers.store.database import Database
from layers.store.forms import no_features
from layers.store.history import Retention
from layers.store.mark import fresh_epoch
from layers.store.mark import read as read_mark
from layers.store.postgis import (
    ddl,
    epoch,
    forms,
    history,
    layer_table,
    log,
    migrate,
    numbering,
    pruning,
    read,
    refresh,
    registered,
    repair,
    rights,
    schema,
    textures,
)
from layers.store.postgis.connection import (
    GIVE_WAY_S,
    Connection,
    ConnectionLost,
    connect,
    postgres_errors,
    quoted,
)
from layers.store.postgis.ddl import DdlTarget
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.listen import Listener
from layers.store.postgis.pool import Use
from layers.store.postgis.read import SnapshotState
from layers.store.postgis.session import DatabaseSessions
from layers.store.postgis.stage import sweep
from layers.types import EDITS, Bbox

TRIES = 4
_MARK_S = 0.5  # between two writings of the mark
CHANGED = (
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.DatatypeMismatch,
)
#: What a read fails with where the table is no longer what is known of it, or no longer to be read.
MOVED = (*CHANGED, ReadOnly)


@dataclass(frozen=True, slots=True)
class CatalogueSnapshot:
    """What a process knows of the layers, and the stamp under which it is true."""

    meta: int
    stamp: int
    tables: Mapping[str, LayerTable]


@contextmanager
def own_tables() -> Iterator[None]:
    try:
        yield
    except CHANGED as error:
        raise Unavailable("the city's tables are not in the database") from error


class DatabaseCatalogue:
    """The connections of a city, its catalogue, its epoch, and the thread that watches for changes."""

    def __init__(
        self,
        database: Database,
        mark: Path | None,
        *,
        read_only: bool = False,
        history: Retention | None = None,
    ) -> None:
        self.database = database
        self.read_only = read_only
        self._retention = history
        #: Extents of layers as they were, see ``past``.
        self.past_extents: dict[Hashable, Bbox | None] = {}
        self._prune_at = time.monotonic() + pruning.EVERY_S
        self._sweep_at = 0.0
        self.schema = database.schema
        self.epoch = ""
        self._mark_path = mark
        self._marked_at = 0.0
        self._shown = read_mark(mark)
        self._known: CatalogueSnapshot | None = None
        self._doubted = False
        self._lock = threading.Lock()
        self.sessions = DatabaseSessions(database, self._check, read_only=read_only)
        self.listener = Listener(self._listen, self._look)
        self._refresher = refresh.Refresher(self.sessions, self.place)
        try:
            with postgres_errors():
                if read_only:
                    self._find()
                else:
                    self._prepare()
            self.state()
        except BaseException:
            self.sessions.close()
            raise
        if read_only:
            return  # nothing is put in order here, and nobody waits for changes
        self.listener.start()
        if database.tables:
            self._refresher.start()

    # Opening

    def _find(self) -> None:
        """Raises NotFound where no server has made a city yet."""
        con = self.sessions.bootstrap()
        try:
            if not schema.exists(con, self.schema):
                raise NotFound("the city has no store yet: its database holds no such schema")
        finally:
            con.close()

    def _prepare(self) -> None:
        con = self.sessions.bootstrap()
        try:
            with con.transaction():
                con.execute("SELECT pg_advisory_xact_lock(%s)", (schema.key(self.schema, "open"),))
                if not schema.exists(con, self.schema):
                    schema.create(con, self.schema, fresh_epoch(), "")
                    numbering.make(con, self.schema, self.sessions.postgis)
                    con.execute(
                        f"UPDATE {quoted(self.schema)}.twin_meta SET origin = %s",
                        (epoch.origin(con, self.schema),),
                    )
                schema.make_restorable(con, self.schema)
            self._migrate(con)
            epoch.renew(con, self.schema, self._shown)
            sweep(con, self.schema)
            with con.transaction():
                con.execute("SELECT pg_advisory_xact_lock(%s)", (schema.key(self.schema, "open"),))
                history.sign(con, history.REPAIR)
                repair.repair(self.place(con), ddl.moved(self.place(con)))
                ddl.rebase(self.place(con))
                if self._retention is not None:
                    pruning.keep_for(self.place(con), self._retention)
                registered.sync(self.place(con), self.database.tables)
                self.grant(con)
            refresh.refresh_due(self.place(con))
            self._compare(con)
        finally:
            con.close()

    def _migrate(self, con: Connection) -> None:
        """Bring a city of the format before to this one: at the start, or where an old dump was restored."""
        with con.transaction():
            con.execute("SELECT pg_advisory_xact_lock(%s)", (schema.key(self.schema, "open"),))
            migrate.migrate(DdlTarget(con, self.schema, self.sessions.postgis))

    def _compare(self, con: Connection) -> None:
        """Raises BadParameter where reads would go to another database than writes, or to a replica of it:
        the log is read there, too, so an edit would be answered with what was before it."""
        if self.database.read_url is None:
            return
        other = connect(self.database.read_url, lambda _: None)
        try:
            if epoch.is_standby(other):
                wrong = "leads to a standby, which lags behind; name the server that store.url names"
            elif epoch.is_same(con, other, self.schema):
                return
            else:
                wrong = "leads to another database than store.url"
        finally:
            other.close()
        raise BadParameter("store.read_url", "…", wrong)

    def grant(self, con: Connection) -> None:
        """Let the reading role read every table of the city."""
        role = self.sessions.reader_role()
        if role is None:
            return
        s = quoted(self.schema)
        con.execute(f"GRANT USAGE ON SCHEMA {s} TO {role}")
        con.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {role}")
        con.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {role}")
        registered.grant(self.place(con), role)

    def place(self, con: Connection) -> DdlTarget:
        """Where DDL happens. Raises Unavailable while the city is half restored: what its owner did not put
        back yet is not ours to make."""
        schema.refuse_half_restored(con, self.schema)
        return DdlTarget(con, self.schema, self.sessions.postgis)

    def close(self) -> None:
        """Close every connection."""
        self._keep_mark(at_once=True)
        self._refresher.close()
        self.listener.close()
        self.sessions.close()

    def state(self) -> SnapshotState:
        """The present moment. Raises Unavailable, Busy."""
        for _ in range(TRIES):
            moment = self.call(lambda con: read.moment(con, self.schema))
            if self.is_current(moment):
                return moment
        raise Busy("the city's database is being restored, or the address for reading leads to another one")

    def is_current(self, moment: SnapshotState) -> bool:
        """Whether an answer of this moment may be shown; what is newer is remembered, what is known goes."""
        known = self._known
        if self._doubted or (known is not None and moment.meta != known.meta):
            self._begin_again(moment)
            return False
        if known is None or known.stamp != moment.stamp:
            self.learn()
            return False
        self.epoch = moment.epoch
        shown_ = self._shown
        if shown_ is None or moment.seq > shown_.seq or moment.epoch != shown_.epoch:
            self._shown = epoch.mark(moment)
            self._keep_mark()
            self.listener.tell(moment.seq)
        return True

    def _keep_mark(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._shown is not None and not self.read_only and (at_once or now > self._marked_at + _MARK_S):
            self._marked_at = now
            epoch.write(self._mark_path, self._shown)

    def _check(self, con: Connection) -> None:
        """Of each new connection: does it lead to the history that was shown before?

        Of a store for reading nobody keeps ETags, and it could not give the city a new epoch."""
        if self.read_only:
            return
        with suppress(psycopg.errors.UndefinedTable):
            if epoch.continues(con, self.schema, self._shown):
                return
        self._doubted = True

    def _begin_again(self, moment: SnapshotState) -> None:
        """Give a database that was restored its new epoch, unless it is only read, and forget what was known
        of the old one.

        Raises Unavailable while it is half restored, at first by a pooled connection: a restore may last."""
        self.call(lambda con: schema.exists(con, self.schema))
        with self._lock:
            if not self._doubted and (self._known is None or self._known.meta == moment.meta):
                return  # another thread has just done it
            con = self.sessions.bootstrap()
            try:
                with postgres_errors():
                    if not schema.exists(con, self.schema):
                        raise Unavailable("the city's database is empty; restart the server")
                    if not self.read_only:
                        self._migrate(con)
                        epoch.renew(con, self.schema, self._shown)
            finally:
                con.close()
            self.sessions.forget()
            self._shown, self._known = None, None
            self._doubted = False
            self.listener.reset(0)

    def known(self) -> CatalogueSnapshot:
        """What is known of the layers; as of the last look, so ask for the state before."""
        return self._known or self.learn()

    def learn(self) -> CatalogueSnapshot:
        """Read the catalogue, of one moment."""

        def ask(con: Connection) -> CatalogueSnapshot:
            with con.transaction():
                con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                moment = read.moment(con, self.schema)
                return CatalogueSnapshot(
                    moment.meta, moment.stamp, layer_table.tables(con, self.schema, self._rights(con))
                )

        known = self.call(ask)
        if self._known is not None and self._known.meta != known.meta:
            self._doubted = True  # the tables are other ones
        self._known = known
        return known

    def _rights(self, con: Connection) -> dict[str, rights.Rights]:
        return rights.rights(con, self.schema, self.sessions.writer)

    def call[T](self, ask: Callable[[Connection], T]) -> T:
        """A read of the store's own tables."""
        with own_tables():
            return self.read(ask)

    def history[T](self, ask: Callable[[Connection], T]) -> T:
        """A read of the history. Raises Gone in a city that an earlier version made, and that is only
        read."""
        if self.read_only and not self.call(lambda con: schema.has_history(con, self.schema)):
            raise Gone("the city's history is read once a server of this version has opened the city")
        return self.call(ask)

    def read[T](self, ask: Callable[[Connection], T]) -> T:
        """A read on a pooled connection, tried again where a connection turns out to be dead."""
        return self._twice(self.sessions.reading, ask)

    def _twice[T](self, use: Callable[[], Use], ask: Callable[[Connection], T]) -> T:
        """What may be done again, on a connection that may turn out to be dead."""
        try:
            with use() as con:
                return ask(con)
        except ConnectionLost:
            self.sessions.forget()
        with use() as con:
            return ask(con)

    def of[T](
        self, layer_id: str, ask: Callable[[Connection, LayerTable], tuple[SnapshotState, T]]
    ) -> tuple[LayerTable, T]:
        """A read of one layer, made with a catalogue that was true at the moment of the answer.

        Raises NotFound, Unavailable, Busy."""
        for attempt in range(TRIES):
            table = self.table(layer_id)
            try:
                moment, answer = self.read(lambda con, t=table: ask(con, t))  # type: ignore[misc]
            except MOVED as error:
                if attempt == TRIES - 1 and isinstance(error, ReadOnly):
                    raise
                if attempt == TRIES - 1:  # nobody has told the city yet what became of its table
                    raise Unavailable(f"layer {layer_id} is not as it was in the city's database") from error
                self.repair()
                continue
            if moment.oid != table.oid:
                self.repair()
            elif self.is_current(moment):
                return table, answer
        raise Busy(f"layer {layer_id} is being replaced; try again")

    def table(self, layer_id: str) -> LayerTable:
        """The layer as it is known; what is not known, or broken, is looked for first."""
        known = self._known
        table = None if known is None else known.tables.get(layer_id)
        if table is None or table.state != layer_record.OK:
            self.state()
            table = self.learn().tables.get(layer_id)
        if table is None:
            others = self.call(lambda con: forms.layers(con, self.schema, layer_id))
            if others:
                raise no_features(layer_id, others[0].form)
            raise NotFound(f"there is no layer {shown(layer_id)}")
        return table.usable()

    # Other programs' changes of tables

    def _listen(self) -> Connection:
        con = self.sessions.single(write=True)
        con.execute(f"LISTEN {quoted(schema.channel(self.schema))}")
        return con

    def _look(self, con: Connection) -> None:
        """Of the listening thread: what was missed, and what no notification tells."""
        with self.sessions.watched(con, 2.0):
            newest = read.moment(con, self.schema).seq
            self.listener.tell(newest)
            log.prune(self.place(con), newest)
            self._repair_moved(con)
            self._prune(con)
        self._check_rights()
        self._keep_mark()

    def _prune(self, con: Connection) -> None:
        """A step, where it is time; without settings nothing goes by itself."""
        if self._retention is None or time.monotonic() < self._prune_at:
            return
        if pruning.prune(self.place(con)):
            return
        self._prune_at = time.monotonic() + pruning.EVERY_S
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_S
            # it reads all bodies that have any: who listens for changes has no time for that
            threading.Thread(target=self._sweep, name="texture-sweeper", daemon=True).start()

    def sweep_textures(self) -> int:
        """Remove the textures that nothing names; how many."""
        if self.read_only:
            return 0
        con = self.sessions.single(write=True)
        try:
            with self.sessions.watched(con, None):
                return textures.sweep(self.place(con))
        finally:
            con.close()

    def _sweep(self) -> None:
        with suppress(TwinError):  # tomorrow, then
            self.sweep_textures()

    def _check_rights(self) -> None:
        """Notice rights that were granted or taken."""
        known = self._known
        if known is not None:
            now = self.call(self._rights)
            if any(table.rights != now.get(layer, EDITS) for layer, table in known.tables.items()):
                self.learn()

    def _repair_moved(self, con: Connection) -> None:
        place = self.place(con)
        if layers := ddl.moved(place):
            with con.transaction():
                con.execute(f"SET LOCAL lock_timeout = '{GIVE_WAY_S}s'")
                history.sign(con, history.REPAIR)
                repair.repair(place, layers)

    def repair(self) -> None:
        """Look what another program did to the tables, put them in order unless they are only read, and read
        the catalogue again."""
        if not self.read_only:
            with own_tables():
                self._twice(self.sessions.writing, self._repair_moved)
        self.sessions.forget()  # their prepared statements were planned for other tables
        self.learn()

"""Everything a query selects, in batches, for as long as its reader takes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from layers.errors import Busy
from layers.model import Rows
from layers.query import Query
from layers.store.postgis import read
from layers.store.postgis.catalogue import CHANGED, DatabaseCatalogue
from layers.store.postgis.connection import Connection, shut
from layers.store.postgis.layer_table import LayerTable

type Find = Callable[[Connection], LayerTable]


class Scans:
    """The scans of a store; each has a connection of its own."""

    def __init__(self, catalogue: DatabaseCatalogue) -> None:
        self._catalogue = catalogue
        self._open: set[Connection] = set()

    def scan(self, raw: str, find: Find, query: Query, size: int) -> Generator[Rows]:
        """The rows of the table that ``find`` finds once ``raw``, where they lie, cannot be rewritten."""
        sessions = self._catalogue.sessions
        con = sessions.single(write=False)
        self._open.add(con)
        try:
            with sessions.watched(con, None):
                batches = self._batches(con, raw, find, query, size)
                rows = next(batches, None)
            while rows is not None:
                yield rows
                with sessions.watched(con, None):
                    rows = next(batches, None)
        except CHANGED as error:
            self._catalogue.repair()
            raise Busy("the layer is being replaced; try again") from error
        finally:
            self._open.discard(con)
            con.close()

    def _batches(self, con: Connection, raw: str, find: Find, query: Query, size: int) -> Iterator[Rows]:
        """The cursor of a scan, in a transaction of its connection that lasts as long as that."""
        con.autocommit = False
        con.execute(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0;"
            " SET LOCAL idle_in_transaction_session_timeout = 0"
        )
        read.hold(con, raw)
        return read.batches(con, find(con), query, size)

    def close(self) -> None:
        """End those that still go on."""
        for con in list(self._open):
            shut(con)

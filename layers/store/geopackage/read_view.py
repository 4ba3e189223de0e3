"""One thread's reading connection, and what it knows of the store at its present snapshot."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layers.model import FeatureLayer
from layers.store import geojson, layer_record, unreadable
from layers.store.cancellation import is_stopped
from layers.store.geopackage import blob, catalog, forms
from layers.store.geopackage.catalog import FeatureTable, Finding
from layers.store.geopackage.connection import sqlite_errors
from layers.types import Bbox

_PROGRESS_STEPS = 2_000  # virtual machine steps between two looks at the clock; a step may call us


@dataclass(frozen=True, slots=True)
class RowSource:
    """Relations in which rows of a layer lie, ``name``, and their boxes, ``rtree``; ``others`` are features
    in them that are none of the layer's, ascending (n,)."""

    name: str
    rtree: str
    others: NDArray[np.int64] | None = None

    def own(self, fids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some features that are the layer's."""
        return fids if self.others is None or not len(self.others) else fids[~among(self.others, fids)]


def among(those: NDArray[np.int64], fids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of some features are among others, of which there are some, ascending."""
    found: NDArray[np.bool_] = those[np.minimum(np.searchsorted(those, fids), len(those) - 1)] == fids
    return found


class ReadView:
    """A connection for reading, used by one thread; its knowledge is renewed when the file changed."""

    def __init__(self, con: sqlite3.Connection, crs_also: tuple[str, ...]) -> None:
        self.con = con
        self._crs_also = crs_also
        self.version = -1  # PRAGMA data_version, of this connection only
        self.header = b""  # of the WAL index, before this snapshot
        self.shape: tuple[int, str] = (-1, "")  # see catalog.shape
        self.stamp = ""
        self.epoch = ""
        self.seq = 0
        self.nonce = 0
        self.tables: dict[str, FeatureTable] = {}
        self.forms: dict[str, Sequence[Any]] = {}  # records of layers of other forms
        self.revisions: dict[tuple[str, int], int] = {}  # asked for at this snapshot
        self._seqs: dict[str, int] = {}
        self._unplaced: dict[str, bool] = {}
        self._deadline = float("inf")
        con.set_progress_handler(self._expired, _PROGRESS_STEPS)

    def _expired(self) -> int:
        return int(time.monotonic() > self._deadline or is_stopped())

    def limit(self, seconds: float | None) -> None:
        """Interrupt statements of this connection that run longer; None for no limit."""
        self._deadline = float("inf") if seconds is None else time.monotonic() + seconds

    def data_version(self) -> int:
        """Moves whenever another connection, of any process, committed; begins the snapshot."""
        return int(self.con.execute("PRAGMA data_version").fetchone()[0])

    def renew(self, version: int) -> None:
        """Read what changed, within the caller's read transaction."""
        con = self.con
        self.shape = catalog.shape(con)
        meta = dict(con.execute("SELECT key, value FROM twin_meta WHERE key IN ('epoch','stamp')"))
        row = con.execute("SELECT seq, nonce FROM twin_changes ORDER BY seq DESC LIMIT 1").fetchone()
        self.seq, self.nonce = row or (0, 0)
        self.epoch = meta["epoch"]
        if meta["stamp"] != self.stamp:
            self.tables = catalog.tables(con)
            self.forms = forms.records(con)
            self.stamp = meta["stamp"]
        self._seqs = {}
        self._unplaced = {}
        self.revisions = {}
        self.version = version

    def distrust(self, findings: Sequence[Finding]) -> None:
        """In a file that cannot be repaired: say so of broken layers, and make GeoJSON from the rows."""
        for finding in findings:
            if finding.changed:
                self.tables[finding.layer] = replace(
                    self.tables[finding.layer], state=finding.state, trusted=False
                )

    def layer_seq(self, layer: str) -> int:
        """The newest log number of one layer."""
        seq = self._seqs.get(layer)
        if seq is None:
            with sqlite_errors():
                row = self.con.execute("SELECT max(seq) FROM twin_changes WHERE layer=?", (layer,)).fetchone()
            seq = self._seqs[layer] = row[0] or 0
        return seq

    def summary(
        self, table: FeatureTable, cache: dict[str, tuple[tuple[int, str], FeatureLayer]]
    ) -> FeatureLayer:
        """The layer's public words; the cache, shared by all threads, is keyed by what they depend on."""
        key = (self.layer_seq(table.id), self.stamp)
        cached = cache.get(table.id)
        if cached is None or cached[0] != key:
            cached = cache[table.id] = (key, self._summary(table, key[0]))
        return cached[1]

    def _summary(self, table: FeatureTable, seq: int) -> FeatureLayer:
        return layer_record.layer(
            table, extent=self.extent(table), count=self.count(table), seq=seq, crs_also=self._crs_also
        )

    def extent(self, table: FeatureTable) -> Bbox | None:
        """The box of a layer's features."""
        return catalog.extent(self.con, table.id)

    def count(self, table: FeatureTable) -> int:
        """How many features a layer has."""
        return catalog.count(self.con, table)

    def sources(self, table: FeatureTable) -> tuple[RowSource, ...]:
        """Where the rows of a layer lie, each in one of these."""
        return (RowSource(table.name, table.rtree),)

    def texts_of(self, table: FeatureTable, fids: list[int]) -> tuple[str, str]:
        """SQL of the stored GeoJSON ``body`` of features in their order, null or no row where none is stored,
        and its parameter."""
        sql = f"SELECT j.body AS body FROM json_each(?) e CROSS JOIN {table.json} j ON j.fid = e.value"
        return sql, listed(fids)

    def unplaced(self, table: FeatureTable) -> bool:
        """Whether a layer has features without a place."""
        known = self._unplaced.get(table.id)
        if known is None:
            sql = f"SELECT EXISTS(SELECT 1 FROM {table.unplaced} WHERE layer=?)"
            known = self._unplaced[table.id] = bool(self.con.execute(sql, (table.id,)).fetchone()[0])
        return known


def fetch(con: sqlite3.Connection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
    """All rows. Text that is not UTF-8, written by another program, is read with replacements."""
    try:
        return con.execute(sql, parameters).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
        lenient: Callable[[bytes], str] = lambda raw: raw.decode("utf-8", "replace")  # noqa: E731
        con.text_factory = lenient
        try:
            return con.execute(sql, parameters).fetchall()
        finally:
            con.text_factory = str


def listed(fids: Iterable[int]) -> str:
    """Integers as the JSON array that ``json_each(?)`` reads."""
    return orjson.dumps(list(fids)).decode()


def encode(
    con: sqlite3.Connection, table: FeatureTable, fids: Iterable[int]
) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """GeoJSON of features made from their rows, fid → Feature; and that part of it which may be kept: a
    feature whose geometry cannot be read is looked at anew each time, so that who asks for it is told."""
    rows = fetch(
        con,
        f"SELECT t.fid, t.geom{table.columns} FROM {table.name} t"
        " WHERE t.fid IN (SELECT value FROM json_each(?))",
        (listed(fids),),
    )
    if not rows:
        return {}, {}
    sound = unreadable.sound(table.id, (row[0] for row in rows), [row[1] for row in rows], blob.faults)
    tails = geojson.tails(blob.shapes(sound), table.fields, (row[2:] for row in rows))
    made = {row[0]: geojson.feature(row[0], tail) for row, tail in zip(rows, tails, strict=True)}
    lost = {row[0] for row, one in zip(rows, sound, strict=True) if one is None and row[1] is not None}
    return made, {fid: text for fid, text in made.items() if fid not in lost} if lost else made

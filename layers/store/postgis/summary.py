"""What is known of a layer as a whole, kept from one change of it to the next: count, extent, gaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from psycopg.types.numeric import Int8

from layers.model import FeatureLayer
from layers.query import Query
from layers.store import layer_record
from layers.store.counting import holds
from layers.store.postgis import layer_table, page, project, read
from layers.store.postgis.connection import Connection, ReadingErrors, bound
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.page import PageRequest
from layers.store.postgis.read import SnapshotState
from layers.store.postgis.session import DatabaseSessions
from layers.types import Bbox, Interval

_FEW = 10_000  # changes that are added up onto a count that is kept; from more on it begins at its base


class Summary:
    """Counts, extents and public words of the layers of a city; used by all threads.

    Each is kept with the table as it is known: another catalogue brings other tables."""

    def __init__(self, schema: str, sessions: DatabaseSessions, crs_also: tuple[str, ...]) -> None:
        self._s = bound(schema)
        self._sessions = sessions
        self._crs_also = crs_also
        self._layers: dict[str, tuple[LayerTable, FeatureLayer]] = {}
        self._counts: dict[str, tuple[LayerTable, int, int]] = {}
        self._intervals: dict[str, tuple[LayerTable, int, Interval]] = {}
        self._null_geometries: dict[str, tuple[LayerTable, int, bool]] = {}

    def layer(self, con: Connection, table: LayerTable, moment: SnapshotState) -> FeatureLayer:
        """The public words of a layer at a moment."""
        cached = self._layers.get(table.id)
        if cached is None or cached[0] is not table or cached[1].seq != moment.layer_seq:
            with ReadingErrors():
                cached = self._layers[table.id] = (table, self._summary(con, table, moment))
        return cached[1]

    def _summary(self, con: Connection, table: LayerTable, moment: SnapshotState) -> FeatureLayer:
        count = self.count(con, table, moment.layer_seq)
        box = self._extent(con, table)
        extent = within_world(box) if count and box is not None else None
        return layer_record.layer(
            table,
            extent=extent,
            count=count,
            seq=moment.layer_seq,
            crs_also=self._crs_also,
        )

    def _extent(self, con: Connection, table: LayerTable) -> Bbox | None:
        postgis = self._sessions.postgis
        extent = None
        if not table.untyped:
            extent = layer_table.index_extent(con, table.raw, table.rows.geometry, postgis)
        if extent is None and table.live:
            extent = layer_table.exact_extent(con, table, postgis)
        return None if extent is None else project.box_to_lonlat(table, extent)

    def count(self, con: Connection, table: LayerTable, seq: int) -> int:
        """How many features the layer had at a log number: the log keeps by how many each change grew it."""
        cached = self._counts.get(table.id)
        if cached is not None and cached[0] is table and cached[1] == seq:
            return cached[2]
        if cached is not None and cached[0] is table and 0 < seq - cached[1] < _FEW:
            sql = f"SELECT coalesce(sum(delta), 0)::bigint FROM {self._s}.twin_changes"
            values = (table.id, Int8(cached[1]), Int8(seq))
            count = cached[2] + self._one(con, f"{sql} WHERE layer = %s AND seq > %s AND seq <= %s", values)
        else:
            sql = (
                f"SELECT (l.base_count + coalesce((SELECT sum(delta) FROM {self._s}.twin_changes c"
                " WHERE c.layer = l.id AND c.seq > l.base_seq AND c.seq <= %s), 0))::bigint"
                f" FROM {self._s}.twin_layers l WHERE l.id = %s"
            )
            count = self._one(con, sql, (Int8(seq), table.id))
        if cached is None or cached[0] is not table or seq > cached[1]:
            self._counts[table.id] = (table, seq, count)
        return count

    def interval(self, con: Connection, table: LayerTable, moment: SnapshotState) -> Interval:
        """The first and the last time of a layer at a moment; infinity is an open end."""
        cached, seq = self._intervals.get(table.id), moment.layer_seq
        if cached is None or cached[0] is not table or cached[1] != seq:
            cached = self._intervals[table.id] = (table, seq, interval(con, table))
        return cached[2]

    def _one(self, con: Connection, sql: str, values: tuple[Any, ...]) -> int:
        row = con.execute(sql, values, binary=True).fetchone()
        return 0 if row is None else int(row[0])

    def page(
        self, con: Connection, table: LayerTable, query: Query, wkb: bool, few: int
    ) -> tuple[read.RowPage, int | None]:
        """A page, and how many features match, where that was counted.

        The spatial index of a registered table is asked for missing geometries once a change."""
        about = self._about(con, table)
        if query.bbox is not None and table.srid == 4326 and holds(query.bbox, about.extent):
            rows = self._page(con, table, replace(query, bbox=None), wkb, few, about)
            if rows.state.layer_seq == about.seq:
                return rows, self._matched(con, table, rows)
        rows = self._page(con, table, query, wkb, few, about)
        return rows, self._matched(con, table, rows)

    def _page(
        self, con: Connection, table: LayerTable, query: Query, wkb: bool, few: int, about: FeatureLayer
    ) -> read.RowPage:
        seconds = self._sessions.database.read_seconds
        if not table.live or query.bbox is None:
            return page.page(con, PageRequest(table, query, wkb), few, about, seconds)
        cached = self._null_geometries.get(table.id)
        seq, unplaced = cached[1:] if cached is not None and cached[0] is table else (-1, True)
        rows = page.page(con, PageRequest(table, query, wkb, unplaced), few, about, seconds)
        if rows.state.layer_seq != seq:
            moment, now = read.placeless(con, table)
            self._null_geometries[table.id] = (table, moment.layer_seq, now)
            if now and not unplaced:
                return page.page(con, PageRequest(table, query, wkb), few, about, seconds)
        return rows

    def _about(self, con: Connection, table: LayerTable) -> FeatureLayer:
        """The words of a layer as they were when it was last looked at."""
        cached = self._layers.get(table.id)
        if cached is not None and cached[0] is table:
            return cached[1]
        return self.layer(con, table, read.moment(con, table.schema, table))

    def _matched(self, con: Connection, table: LayerTable, rows: read.RowPage) -> int | None:
        return self.count(con, table, rows.state.layer_seq) if rows.whole else rows.matched


def interval(con: Connection, table: LayerTable) -> Interval:
    """The first and the last time of a layer's rows."""
    column = table.columns.get(table.time_field or "")
    if column is None or column.type not in ("date", "datetime"):
        return None, None
    name = f"t.{bound(column.name)}"  # bare, so that an index serves
    row = con.execute(f"SELECT min({name}), max({name}) FROM {table.relation} t", (), binary=True).fetchone()
    assert row is not None
    return row[0], row[1]


def within_world(box: Bbox) -> Bbox:
    """A box within the bounds of longitude and latitude."""
    # a box of 32-bit floats, rounded outward, may reach beyond the antimeridian by a metre
    return max(-180.0, box[0]), max(-90.0, box[1]), min(180.0, box[2]), min(90.0, box[3])

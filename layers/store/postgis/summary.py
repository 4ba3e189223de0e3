"""What is known of a layer as a whole, kept from one change of it to the next: count, extent, gaps."""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

from typing import Any

from psycopg.types.numeric import Int8

from layers.model import Bbox, Layer, Query
from layers.store import recorded
from layers.store.postgis import catalog, project, read
from layers.store.postgis.catalog import Table
from layers.store.postgis.connection import Connection, quoted
from layers.store.postgis.read import State
from layers.store.postgis.session import Sessions

_FEW = 10_000  # changes that are added up onto a count that is kept; from more on it begins at its base


class Summary:
    """Counts, extents and public words of the layers of a city; used by all threads.

    Each is kept with the table as it is known: another catalogue brings other tables."""

    def __init__(self, schema: str, sessions: Sessions) -> None:
        self._s = quoted(schema).replace("%", "%%")
        self._sessions = sessions
        self._layers: dict[str, tuple[Table, Layer]] = {}
        self._counts: dict[str, tuple[Table, int, int]] = {}
        self._voids: dict[str, tuple[Table, int, bool]] = {}

    def layer(self, con: Connection, table: Table, moment: State) -> Layer:
        """The public words of a layer at a moment."""
        kept = self._layers.get(table.id)
        if kept is None or kept[0] is not table or kept[1].seq != moment.layer_seq:
            kept = self._layers[table.id] = (table, self._made(con, table, moment))
        return kept[1]

    def _made(self, con: Connection, table: Table, moment: State) -> Layer:
        count = self.count(con, table, moment.layer_seq)
        box, meshes = self._extent(con, table) if table.source is not None else self._own(con, table)
        extent = _within_world(box) if count and box is not None else None
        return recorded.layer(table, extent=extent, count=count, seq=moment.layer_seq, meshes=meshes)

    def _own(self, con: Connection, table: Table) -> tuple[Bbox | None, bool]:
        """Extent, and whether there are bodies, of a layer of our own."""
        box = catalog.index_box_sql(self._sessions.postgis)
        mesh = table.mesh.replace("%", "%%")
        row = con.execute(
            f"SELECT {box}, EXISTS (SELECT FROM {mesh})", (table.raw, table.geom_column), binary=True
        ).fetchone()
        assert row is not None
        return catalog.box(row[0]), row[1]

    def _extent(self, con: Connection, table: Table) -> tuple[Bbox | None, bool]:
        postgis = self._sessions.postgis
        found = None
        if table.source is not None and not table.source.view:
            found = catalog.index_extent(con, table.raw, table.geom_column, postgis)
        if found is None:
            found = catalog.exact_extent(con, table, postgis)
        return None if found is None else project.box_to_lonlat(table, found), False

    def count(self, con: Connection, table: Table, seq: int) -> int:
        """How many features the layer had at a log number: the log keeps by how many each change grew it."""
        kept = self._counts.get(table.id)
        if kept is not None and kept[0] is table and kept[1] == seq:
            return kept[2]
        if table.source is not None and table.source.view:
            count = self._one(con, f"SELECT count(*) FROM {table.relation} t", ())
        elif kept is not None and kept[0] is table and 0 < seq - kept[1] < _FEW:
            sql = f"SELECT coalesce(sum(delta), 0)::bigint FROM {self._s}.twin_changes"
            values = (table.id, Int8(kept[1]), Int8(seq))
            count = kept[2] + self._one(con, f"{sql} WHERE layer = %s AND seq > %s AND seq <= %s", values)
        else:
            sql = (
                f"SELECT (l.base_count + coalesce((SELECT sum(delta) FROM {self._s}.twin_changes c"
                " WHERE c.layer = l.id AND c.seq > l.base_seq AND c.seq <= %s), 0))::bigint"
                f" FROM {self._s}.twin_layers l WHERE l.id = %s"
            )
            count = self._one(con, sql, (Int8(seq), table.id))
        if kept is None or kept[0] is not table or seq > kept[1]:
            self._counts[table.id] = (table, seq, count)
        return count

    def _one(self, con: Connection, sql: str, values: tuple[Any, ...]) -> int:
        row = con.execute(sql, values, binary=True).fetchone()
        return 0 if row is None else int(row[0])

    def page(self, con: Connection, table: Table, query: Query, wkb: bool) -> read.Found:
        """A page; the spatial index of a registered table is asked for missing geometries once a change."""
        if table.source is None or query.bbox is None:
            return read.page(con, table, query, wkb=wkb)
        kept = self._voids.get(table.id)
        seq, void = kept[1:] if kept is not None and kept[0] is table else (-1, True)
        found = read.page(con, table, query, wkb=wkb, void=void)
        if found.state.layer_seq != seq:
            moment, now = read.placeless(con, table)
            self._voids[table.id] = (table, moment.layer_seq, now)
            if now and not void:
                return read.page(con, table, query, wkb=wkb)
        return found


def _within_world(box: Bbox) -> Bbox:
    # a box of 32-bit floats, rounded outward, may reach beyond the antimeridian by a metre
    return max(-180.0, box[0]), max(-90.0, box[1]), min(180.0, box[2]), min(90.0, box[3])

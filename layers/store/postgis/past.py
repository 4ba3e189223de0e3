"""A city in PostGIS as it was after a change of the log.

What is said of its layers then is read once, and again when the catalogue has another stamp: the answers stay
the same, what they are read from does not. Each answer also tells whether the history still reaches back so
far at its own moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from layers.errors import Busy, Gone, NotFound, Unreadable, shown
from layers.model import Change, FeatureLayer, FeaturePage, Item, Layer, Rows, Selection
from layers.query import Query
from layers.store import layer_record, unreadable
from layers.store.base import Past
from layers.store.counting import holds
from layers.store.forms import no_features
from layers.store.postgis import layer_table, log, moments, page, past_table, project, read, summary, textures
from layers.store.postgis.catalogue import MOVED, TRIES, DatabaseCatalogue
from layers.store.postgis.connection import Connection, ReadingErrors, bound
from layers.store.postgis.page import PageRequest
from layers.store.postgis.past_table import PastLayers, PastTable
from layers.store.postgis.read import SnapshotState
from layers.store.postgis.scan import Scans
from layers.store.texture import known
from layers.textures import Texture
from layers.types import CRS84, Bbox, Interval
from layers.wkb import fault

_EXTENTS = 1_000  # that are remembered


class PostgisPast(Past):
    """Implements :class:`layers.store.base.Past`. Made by ``PostgisStore.as_of``."""

    def __init__(
        self, catalogue: DatabaseCatalogue, scans: Scans, seq: int, few: int, crs_also: tuple[str, ...]
    ) -> None:
        self._catalogue, self._scans, self._few, self._crs_also = catalogue, scans, few, crs_also
        self._seq, self._schema = seq, catalogue.schema
        self._known: PastLayers | None = None
        self._counts: dict[str, tuple[PastTable, int]] = {}
        self._words: dict[str, tuple[PastTable, FeatureLayer]] = {}
        self._intervals: dict[str, tuple[PastTable, Interval]] = {}

    @property
    def epoch(self) -> str:
        return self._catalogue.epoch

    @property
    def read_only(self) -> bool:
        return True

    @property
    def local(self) -> bool:
        return False

    def seq(self) -> int:
        return self._seq

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        return self._catalogue.call(lambda con: log.changes(con, self._schema, since, limit, upto=self._seq))

    # What was there

    def _layers(self, state: SnapshotState) -> PastLayers:
        """What is known of the layers under the stamp of a moment, or a newer one."""
        known = self._known
        if known is None or known.stamp != state.stamp:
            known = self._known = self._catalogue.history(self._learn)
        return known

    def _learn(self, con: Connection) -> PastLayers:
        with con.transaction():
            con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            stamp = read.moment(con, self._schema).stamp
            return past_table.past_layers(con, self._schema, self._seq, stamp)

    def _begin(self) -> PastLayers:
        """The layers. Raises Gone where the history of the city begins later."""
        kept = self._catalogue.history(lambda con: moments.kept(con, self._schema))
        if kept.seq > self._seq:
            raise self._gone()
        return self._layers(self._catalogue.state())

    def _gone(self, layer_id: str | None = None) -> Gone:
        kept = self._catalogue.history(lambda con: moments.kept(con, self._schema, layer_id))
        return moments.gone(kept, layer_id)

    def _table(self, layer_id: str) -> PastTable:
        """A layer of features. Raises NotFound, Gone, Unreadable."""
        known = self._known or self._begin()
        table = known.tables.get(layer_id)
        if table is None:
            self._begin()
            if layer_id in known.contents:
                raise no_features(layer_id, known.contents[layer_id].form)
            raise NotFound(f"layer {shown(layer_id)} did not exist then")
        if table.present is not None and table.present.state != layer_record.OK:
            raise self._gone(layer_id)
        return table.usable()

    def _of[T](
        self, layer_id: str, ask: Callable[[Connection, PastTable], tuple[SnapshotState, T]]
    ) -> tuple[PastTable, T]:
        """A read of one layer, made with what was true of the tables at the moment of the answer."""
        for attempt in range(TRIES):
            table = self._table(layer_id)
            try:
                state, answer = self._catalogue.read(lambda con, t=table: ask(con, t))  # type: ignore[misc]
            except MOVED:
                if attempt == TRIES - 1:
                    raise
                self._catalogue.repair()
                self._known = None
                continue
            if self._holds(table, state):
                return table, answer
        raise Busy(f"layer {layer_id} is being replaced; try again")

    def _holds(self, table: PastTable, state: SnapshotState) -> bool:
        """Whether an answer of this moment may be shown. Raises Gone."""
        known = self._known
        if not self._catalogue.is_current(state) or known is None or known.stamp != state.stamp:
            self._known = None
            return False
        if state.oid != table.oid:
            self._catalogue.repair()
            self._known = None
            return False
        if state.since > self._seq:
            raise self._gone(table.id)
        return True

    def feature_layers(self) -> list[FeatureLayer]:
        found = []
        for layer_id in sorted(self._begin().tables):
            with suppress(NotFound, Unreadable, Gone):
                found.append(self.feature_layer(layer_id))
        return found

    def layers(self) -> list[Layer]:
        every: list[Layer] = [*self.feature_layers(), *self._begin().contents.values()]
        return sorted(every, key=lambda layer: layer.id)

    def layer(self, layer_id: str) -> Layer:
        known = self._begin()
        if layer_id in known.gone:
            raise self._gone(layer_id)
        content = known.contents.get(layer_id)
        return self.feature_layer(layer_id) if content is None else content

    def feature_layer(self, layer_id: str) -> FeatureLayer:
        return self._once(layer_id, self._about)

    def interval(self, layer_id: str) -> Interval:
        def ask(con: Connection, table: PastTable) -> Interval:
            cached = self._intervals.get(table.id)
            if cached is None or cached[0] is not table:
                cached = self._intervals[table.id] = (table, summary.interval(con, table))
            return cached[1]

        return self._once(layer_id, ask)

    def _once[T](self, layer_id: str, ask: Callable[[Connection, PastTable], T]) -> T:
        def of_moment(con: Connection, table: PastTable) -> tuple[SnapshotState, T]:
            answer = ask(con, table)
            return read.moment(con, table.schema, table), answer

        return self._of(layer_id, of_moment)[1]

    def _count(self, con: Connection, table: PastTable) -> int:
        cached = self._counts.get(table.id)
        if cached is None or cached[0] is not table:
            row = con.execute(table.counted, (), binary=True).fetchone()
            assert row is not None
            cached = self._counts[table.id] = (table, int(row[0]))
        return cached[1]

    def _extent(self, con: Connection, table: PastTable) -> Bbox | None:
        """Exact: by a scan, one for all moments between two changes of a place."""
        now, known = read.moment(con, self._schema, table), self._catalogue.past_extents
        kept = (now.epoch, now.meta, now.since, now.oid)
        key = (*kept, table.id, table.generation, table.before, past_table.around(con, table))
        if key not in known:
            box = layer_table.exact_extent(con, table, self._catalogue.sessions.postgis)
            if len(known) >= _EXTENTS:
                known.clear()
            known[key] = box
        return known[key]

    def _about(self, con: Connection, table: PastTable) -> FeatureLayer:
        """The words of a layer, its exact extent among them: a scan, once."""
        cached = self._words.get(table.id)
        if cached is None or cached[0] is not table:
            count = self._count(con, table)
            with ReadingErrors():
                box = self._extent(con, table) if count else None
            lonlat = None if box is None else project.box_to_lonlat(table, box)
            words = layer_record.layer(
                table,
                extent=None if lonlat is None else summary.within_world(lonlat),
                count=count,
                seq=past_table.newest(con, self._schema, table.id, self._seq),
                crs_also=self._crs_also,
            )
            cached = self._words[table.id] = (table, words)
        return cached[1]

    # Rows

    def items(self, layer_id: str, query: Query) -> FeaturePage:
        table, (rows, matched) = self._page(layer_id, query, wkb=False)
        bodies = read.bodies(table, rows, query.crs)
        return FeaturePage(b",".join(bodies), len(bodies), matched, rows.next_after)

    def select(self, layer_id: str, query: Query) -> Selection:
        table, (rows, matched) = self._page(layer_id, query, wkb=True)
        return Selection(read.as_columns(table, rows.fields, rows.rows), matched, rows.next_after)

    def _page(
        self, layer_id: str, query: Query, *, wkb: bool
    ) -> tuple[PastTable, tuple[read.RowPage, int | None]]:
        seconds = self._catalogue.sessions.database.read_seconds

        def ask(con: Connection, table: PastTable) -> tuple[SnapshotState, tuple[read.RowPage, int | None]]:
            asked, count = query, self._count(con, table)
            about = layer_record.layer(table, extent=None, count=count, seq=0, crs_also=())
            if query.bbox is not None and count > self._few:  # only then it matters where they lie
                about = self._about(con, table)
                if table.srid == 4326 and holds(query.bbox, about.extent):
                    asked = replace(query, bbox=None)
            rows = page.page(con, PageRequest(table, asked, wkb), self._few, about, seconds)
            return rows.state, (rows, count if rows.whole else rows.matched)

        return self._of(layer_id, ask)

    def count(self, layer_id: str, query: Query, most: int) -> int | None:
        matched = self._of(layer_id, lambda con, t: page.count(con, PageRequest(t, query, wkb=False), most))[
            1
        ]
        return matched if matched <= most else None

    def scan(self, layer_id: str, query: Query, size: int = 5_000) -> Generator[Rows]:
        self._once(layer_id, lambda con, table: None)

        def find(con: Connection) -> PastTable:
            stamp = read.moment(con, self._schema).stamp
            known = past_table.past_layers(con, self._schema, self._seq, stamp)
            if moments.kept(con, self._schema, layer_id).seq > self._seq:
                raise self._gone(layer_id)
            return known.tables[layer_id]

        yield from self._scans.scan(self._table(layer_id).raw, find, query, size)

    def item(self, layer_id: str, fid: int, crs: str = CRS84) -> Item:
        known = fid if abs(fid) < 2**63 else -1
        table, (number, row) = self._of(layer_id, lambda con, t: read.item(con, t, known))
        bodies = read.bodies(table, row, crs)
        if not bodies or abs(fid) >= 2**63:
            raise NotFound(f"layer {layer_id} had no feature {shown(fid)} then")
        geometry = row.rows[0][1]
        if geometry is not None and (why := fault(geometry)):
            raise unreadable.refusal(layer_id, fid, why)
        return Item(bodies[0], fid, number)

    def revision(self, layer_id: str, fid: int) -> int:
        known = fid if abs(fid) < 2**63 else -1
        _, (number, there) = self._of(layer_id, lambda con, t: read.revision(con, t, known))
        if not there or abs(fid) >= 2**63:
            raise NotFound(f"layer {layer_id} had no feature {shown(fid)} then")
        return number

    def rows(self, layer_id: str, fids: Sequence[int] | None = None, *, meshes: bool = False) -> Rows:
        return self._everything(layer_id, fids, meshes=meshes, placed=True)

    def _everything(self, layer_id: str, fids: Sequence[int] | None, *, meshes: bool, placed: bool) -> Rows:
        for attempt in range(TRIES):
            table = self._table(layer_id)
            try:
                with self._catalogue.sessions.reading_long() as con:
                    state, columns = read.everything(con, table, fids, meshes, placed=placed)
            except MOVED:
                if attempt == TRIES - 1:
                    raise
                self._catalogue.repair()
                self._known = None
                continue
            if self._holds(table, state):
                return columns
        raise Busy(f"layer {layer_id} is being replaced; try again")

    def chosen(self, layer_id: str, fids: Sequence[int]) -> Rows:
        return self._everything(layer_id, fids, meshes=True, placed=False)

    def texture(self, layer_id: str, sha: str) -> Texture:
        self.layer(layer_id)
        found = self._catalogue.call(lambda con: textures.one(con, self._schema, layer_id, sha))
        return known(found, layer_id, sha)

    def texture_types(self, layer_id: str, wanted: Collection[str]) -> Mapping[str, str]:
        return self._catalogue.call(lambda con: textures.types(con, self._schema, layer_id, wanted))

    def report(self, layer_id: str) -> Mapping[str, Any] | None:
        """Of the load of then, which is known of the last load alone."""
        layer = self.layer(layer_id)
        sql = f"SELECT report FROM {bound(self._schema)}.twin_reports WHERE layer = %s"
        row = self._catalogue.call(lambda con: con.execute(sql, (layer_id,)).fetchone())
        document: Mapping[str, Any] | None = json.loads(row[0]) if row else None
        return document if document and document.get("generation") == layer.generation else None

"""The city as it was: what :class:`layers.store.base.Past` asks, of one moment of a GeoPackage."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from layers.errors import NotFound, shown
from layers.model import Change, FeatureLayer, FeaturePage, Item, Layer, Rows, Selection
from layers.query import Query
from layers.store import forms as other_forms
from layers.store import unreadable
from layers.store.base import Past
from layers.store.geopackage import log, past_table, read, selection, textures
from layers.store.geopackage.moments import Moments
from layers.store.geopackage.past_table import PastTable
from layers.store.geopackage.past_view import PastView
from layers.store.geopackage.snapshot import READ_SECONDS
from layers.store.layer_record import chosen_fields
from layers.store.texture import known
from layers.textures import Texture
from layers.types import CRS84, Interval

_BATCH = 1_000  # rows that are read at a time


class GeoPackagePast(Past):
    """Made by :meth:`layers.store.geopackage.GeoPackageStore.as_of`; holds nothing by itself."""

    def __init__(self, moments: Moments, moment: int) -> None:
        self._moments, self._moment = moments, moment

    @property
    def epoch(self) -> str:
        return self._moments.now.epoch

    @property
    def read_only(self) -> bool:
        return True

    @property
    def local(self) -> bool:
        """Reads of the past may have to gather what has changed since."""
        return False

    def at_once[T](self, layer_id: str, read: Callable[[], T]) -> T | None:
        return self._moments.at_once(self._moment, layer_id, read)

    def seq(self) -> int:
        return self._moment

    def _reading(self, seconds: float | None = READ_SECONDS) -> AbstractContextManager[PastView]:
        return self._moments.reading(self._moment, seconds)

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        with self._reading() as view:
            return [one for one in log.changes(view.con, since, limit) if one.seq <= self._moment]

    def feature_layers(self) -> list[FeatureLayer]:
        with self._reading() as view:
            listed = [layer for layer in _listed(view) if not _form(view, layer)]
        return [self.feature_layer(layer) for layer in listed]

    def layers(self) -> list[Layer]:
        """Each in a transaction of its own, which holds a connection no longer than one layer takes: what was
        does not change meanwhile."""
        with self._reading() as view:
            listed = _listed(view)
        return [self.layer(layer) for layer in listed]

    def layer(self, layer_id: str) -> Layer:
        with self._reading(None) as view:
            return self._layer(view, layer_id)

    def _layer(self, view: PastView, layer_id: str) -> Layer:
        record = _form(view, layer_id)
        if record is None:
            return self._summary(view, layer_id)
        view.known(layer_id)
        row = [record[name] for name in other_forms.COLUMNS.split(", ")]
        return other_forms.layer(row, view.layer_seq(layer_id))

    def feature_layer(self, layer_id: str) -> FeatureLayer:
        with self._reading(None) as view:
            return self._summary(view, layer_id)

    def _summary(self, view: PastView, layer_id: str) -> FeatureLayer:
        return view.summary(view.ready(layer_id), view.summaries)

    def interval(self, layer_id: str) -> Interval:
        with self._reading(None) as view:
            return read.interval(view.con, view.ready(layer_id))

    def items(self, layer_id: str, query: Query) -> FeaturePage:
        with self._reading(None) as view:
            table, layer = self._asked(view, layer_id)
            page, made = read.page(view, table, query, layer, self._moments.few)
            view.keep(table, made)
            return page

    def select(self, layer_id: str, query: Query) -> Selection:
        with self._reading(None) as view:
            table, layer = self._asked(view, layer_id)
            return read.select(view, table, query, layer, self._moments.few)

    def count(self, layer_id: str, query: Query, most: int) -> int | None:
        with self._reading(None) as view:
            table, layer = self._asked(view, layer_id)
            return selection.count(view, table, query, layer, most)

    def _asked(self, view: PastView, layer_id: str) -> tuple[PastTable, FeatureLayer]:
        """A layer that is ready, and its words; from now on the transaction has the time of a read."""
        table = view.ready(layer_id)
        layer = view.summary(table, view.summaries)
        view.limit(READ_SECONDS)
        return table, layer

    def scan(self, layer_id: str, query: Query, size: int = 5_000) -> Generator[Rows]:
        """Which features these are is found out first, 8 bytes each; then each batch is read by itself: what
        was does not change meanwhile, so no snapshot need be held."""
        with self._reading(None) as view:
            table, layer = self._asked(view, layer_id)
            view.limit(None)
            chosen_fields(table, query)
            fids = array("q", selection.every(view, table, query, layer))
        return self._batches(layer_id, query, fids, min(size, _BATCH))

    def _batches(self, layer_id: str, query: Query, fids: Sequence[int], size: int) -> Generator[Rows]:
        for start in range(0, len(fids), size):
            with self._reading(None) as view:
                rows = read.of(view, view.ready(layer_id), query, list(fids[start : start + size]))
            yield rows

    def stored_item(self, layer_id: str, fid: int) -> Item | None:
        if abs(fid) >= 2**63:
            return None
        return self._moments.glance(self._moment, lambda view: view.stored(layer_id, fid))

    def item(self, layer_id: str, fid: int, crs: str = CRS84) -> Item:
        with self._reading() as view:
            table = self._one(view, layer_id, fid)
            made: Mapping[int, bytes] = {}
            if crs == CRS84:
                bodies, made = read.texts(view, table, [fid])
            else:
                bodies = read.projected(view, table, [fid], crs, table.fields)
            if not bodies:
                raise NotFound(f"layer {layer_id} had no feature {shown(fid)} then")
            if fault := read.fault(view, table, fid):
                raise unreadable.refusal(layer_id, fid, fault)
            view.keep(table, made)
            return Item(bodies[0], fid, view.revision(table, fid))

    def revision(self, layer_id: str, fid: int) -> int:
        with self._reading() as view:
            table = self._one(view, layer_id, fid)
            sql = f"SELECT t.fid FROM {table.name} t WHERE t.fid = ?"
            if view.con.execute(sql, (fid,)).fetchone() is None:
                raise NotFound(f"layer {layer_id} had no feature {shown(fid)} then")
            return view.revision(table, fid)

    def _one(self, view: PastView, layer_id: str, fid: int) -> PastTable:
        """A layer of which one feature is read: what else has changed of it need not be known for that."""
        table = view.table(layer_id)
        if abs(fid) >= 2**63:
            raise NotFound(f"layer {layer_id} had no feature {shown(fid)} then")
        return view.ready(layer_id) if view.is_ready(layer_id) else table.alone(fid)

    def rows(self, layer_id: str, fids: Sequence[int] | None = None, *, meshes: bool = False) -> Rows:
        with self._reading(None) as view:
            return read.rows(view, view.ready(layer_id), fids, meshes)

    def chosen(self, layer_id: str, fids: Sequence[int]) -> Rows:
        with self._moments.now.reading(None) as view:
            return read.chosen(view, past_table.find(view.con, layer_id, self._moment), fids)

    def texture(self, layer_id: str, sha: str) -> Texture:
        self.layer(layer_id)
        with self._moments.now.reading() as view:
            return known(textures.one(view.con, layer_id, sha), layer_id, sha)

    def texture_types(self, layer_id: str, wanted: Collection[str]) -> Mapping[str, str]:
        with self._moments.now.reading() as view:
            return textures.types(view.con, layer_id, wanted)

    def report(self, layer_id: str) -> Mapping[str, Any] | None:
        """As long as no later load has put another in its place."""
        with self._reading() as view:
            record = view.record(layer_id)
            sql = (
                "SELECT r.report FROM twin_reports r LEFT JOIN twin_layers l ON l.id = r.layer"
                " LEFT JOIN twin_forms f ON f.id = r.layer WHERE r.layer = ?"
                " AND coalesce(l.generation, f.generation) = ?"
            )
            row = record and view.con.execute(sql, (layer_id, record["generation"])).fetchone()
        document: Mapping[str, Any] | None = json.loads(row[0]) if row else None
        return document


def _listed(view: PastView) -> list[str]:
    return [layer for layer in view.layer_ids() if view.is_listed(layer)]


def _form(view: PastView, layer_id: str) -> Mapping[str, Any] | None:
    """The record of a layer of another form than features."""
    record = view.record(layer_id)
    return record if record is not None and record["table"] == "twin_forms" else None

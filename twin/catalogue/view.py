"""The city's features as one class of callers sees them: all that the rooms ask, and where they write.

The verbs are those of :class:`layers.store.base.Store`, with its errors and threads; the titles of a layer
are those that the city gives it. This is the view of those who see all; see :mod:`twin.catalogue.narrow`.
A view is of the city as it is; :meth:`View.at` gives the same view of it as it was.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layers import undo
from layers.bulk import within
from layers.errors import Gone, NotEditable, NotFound, TwinError, shown
from layers.model import (
    Author,
    Change,
    ChangeSet,
    FeatureLayer,
    FeaturePage,
    Item,
    Layer,
    Moment,
    Once,
    Operation,
    Outcome,
    Rows,
    Selection,
    Touch,
    Version,
    has_features,
)
from layers.query import Query
from layers.store.base import Readable, Store
from layers.textures import Texture
from layers.types import CRS84, Bbox, Interval
from layers.undo import UndoPlan
from tiles.service import Tiles
from twin.access.rights import ALL
from twin.catalogue.pasts import Pasts
from twin.catalogue.published import PublishedLayer, published
from twin.settings import CitySettings

#: Moments whose number is remembered.
MOMENTS = 64
type Feature = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _CachedLayer:
    """A layer as the store gave it, and what was made of that."""

    source: FeatureLayer
    published: PublishedLayer[FeatureLayer]


class View:
    """One a class of rights, kept as long as the server runs. Safe to use from several threads."""

    rights = ALL
    #: What moment it is of; None of the view of what is now.
    moment: Moment | None = None

    def __init__(
        self,
        store: Store,
        settings: CitySettings,
        tiles: Callable[[View], Tiles],
        pasts: Pasts[View] | None = None,
    ) -> None:
        """``tiles`` makes its tiles when they are asked for; ``pasts`` keeps the views of what was."""
        self._store: Readable = store
        self._editable: Store | None = store
        self._settings, self._build = settings, tiles
        self._pasts: Pasts[View] = Pasts() if pasts is None else pasts
        self._present: View | None = None
        self._begin()

    def _begin(self) -> None:
        """Nothing is known yet."""
        self._known: dict[str, _CachedLayer] = {}
        self._bulks: dict[tuple[str, int], Bbox | None] = {}
        self._moments: dict[str, tuple[str, int, Moment]] = {}
        self._lock = threading.Lock()
        self.tiles: Tiles | None = None

    # -- what was ----------------------------------------------------------------------------

    @property
    def present(self) -> View:
        """The same view of what is now."""
        return self._present or self

    @property
    def key(self) -> tuple[str, int | None]:
        """What tells it from other views of the same city: rights and moment."""
        return self.rights, None if self.moment is None else self.moment.seq

    def which(self, at: str) -> Moment:
        """As :meth:`Store.moment`. What is Gone says what is kept.

        A moment that is fixed is looked up once a second: a map asks for a hundred tiles of it at a time."""
        known = self._moments.get(at)
        if known is not None and known[:2] == (self._store.epoch, int(time.monotonic())):
            return known[2]
        try:
            moment = self._store_now.moment(at)
        except Gone as error:
            with contextlib.suppress(Gone):
                first = self._store_now.kept()
                error.kept = first.seq, first.at
            raise
        if moment.fixed:
            if len(self._moments) >= MOMENTS:
                self._moments.clear()
            self._moments[at] = self._store.epoch, int(time.monotonic()), moment
        return moment

    def at(self, moment: Moment) -> View:
        """The same view of the city as it was at a moment. It is read, and not written."""
        key = self._store.epoch, self.rights, moment.seq
        return self.present._pasts.of(key, lambda: self.present._of(moment))

    def then(self, at: str) -> View:
        """The same view at what a text names, see :meth:`which`; of nothing, itself."""
        return self.at(self.which(at)) if at else self

    def versions(
        self, layer_id: str, fid: int, *, before: int | None = None, limit: int = 100
    ) -> list[Version]:
        """As :meth:`Store.versions`."""
        return self._store_now.versions(layer_id, fid, before=before, limit=limit)

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
        """As :meth:`Store.touched`, of what is not seen, too: which features these were, reading tells."""
        return self._store_now.touched(layer_id, after, until, actor=actor, beyond=beyond, limit=limit)

    def tells_sets(self, layer_id: str) -> bool:
        """Whether it may be told which change sets changed a layer."""
        return True

    def change_sets(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        actor: str | None = None,
        layer: str | None = None,
        limit: int = 100,
    ) -> list[ChangeSet]:
        """As :meth:`Store.change_sets`, of what is seen."""
        return self._store_now.change_sets(after=after, before=before, actor=actor, layer=layer, limit=limit)

    def change_set(self, number: int) -> ChangeSet:
        """One change set by its id. Raises NotFound."""
        found = self.change_sets(after=number - 1, before=number + 1, limit=1)
        if not found:
            raise NotFound(f"there is no change set {number}")
        return found[0]

    def earliest(self, layer_id: str, fid: int) -> Version | None:
        """As :meth:`Store.earliest`."""
        return self._store_now.earliest(layer_id, fid)

    def kept(self, layer_id: str | None = None) -> Moment:
        """As :meth:`Store.kept`."""
        return self._store_now.kept(layer_id)

    @property
    def _store_now(self) -> Store:
        store = self.present._editable
        assert store is not None
        return store

    def _of(self, moment: Moment) -> View:
        past = copy.copy(self)
        past.moment, past._present, past._editable = moment, self, None
        past._store = self._store_now.as_of(moment.seq)
        past._begin()
        return past

    @property
    def epoch(self) -> str:
        """The first half of every ETag: of the store's history and of the class of rights."""
        return self._store.epoch

    @property
    def read_only(self) -> bool:
        """As :attr:`Store.read_only`."""
        return self._store.read_only

    @property
    def local(self) -> bool:
        """As :attr:`Store.local`; False of what was, which takes work."""
        return self.moment is None and self._store.local

    def at_once[T](self, layer_id: str, read: Callable[[], T]) -> T | None:
        """As :meth:`Readable.at_once`."""
        return self._store.at_once(layer_id, read)

    def stored_item(self, layer_id: str, fid: int) -> Item | None:
        """As :meth:`Readable.stored_item`."""
        return self._store.stored_item(layer_id, fid)

    def make_tiles(self) -> Tiles:
        """The tiles of what is seen (``tiles`` once they are made). Reads the whole change log."""
        with self._lock:
            if self.tiles is None:
                self.tiles = self._build(self)
            return self.tiles

    # -- layers ------------------------------------------------------------------------------

    def bulk(self, layer: Layer) -> Bbox | None:
        """Where most features of a layer lie, as its last load found it, within its extent; see
        :mod:`layers.bulk`."""
        key = layer.id, layer.generation
        if key not in self._bulks:
            bulk = (self._store.report(layer.id) or {}).get("bulk")
            self._bulks[key] = (bulk[0], bulk[1], bulk[2], bulk[3]) if bulk else None
        return within(self._bulks[key], layer.extent)

    def seq(self) -> int:
        """As :meth:`Store.seq`."""
        return self._store.seq()

    def nonce(self, seq: int) -> int | None:
        """As :meth:`Store.nonce`; None where not all is seen."""
        return self._store.nonce(seq)

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        """As :meth:`Store.changes`."""
        return self._store.changes(since, limit)

    def seen(self, changes: list[Change]) -> list[Change]:
        """Those of some changes that are of what is seen."""
        return changes

    def log(self, since: int, limit: int = 10_000) -> list[Change]:
        """As :meth:`Store.changes`, of what is not seen, too: see :meth:`may_see`."""
        return self._store_now.changes(since, limit)

    def may_see(self, change: Change) -> bool:
        """Whether a change is one of what is seen, as far as its layer and its boxes tell."""
        return True

    def sees_all(self, layer_id: str) -> bool:
        """Whether every feature and field of a layer is seen."""
        return True

    def feature_layers(self) -> list[FeatureLayer]:
        """Every layer of features that is seen, by id."""
        return [one.layer for one in self._all()]

    def feature_layer(self, layer_id: str) -> FeatureLayer:
        """One layer of features. Raises NotFound, alike where there is none and where it is not seen."""
        return self.published(layer_id).layer

    def layers(self) -> list[Layer]:
        """Every layer of every form that is seen, by id."""
        return [one.layer for one in self._all_published()]

    def layer(self, layer_id: str) -> Layer:
        """One layer of any form. Raises NotFound, as :meth:`feature_layer`."""
        result = self._of_any_form(self._store.layer(layer_id))
        if result is None:
            raise NotFound(f"there is no layer {shown(layer_id)}")
        return result.layer

    def published(self, layer_id: str) -> PublishedLayer[FeatureLayer]:
        """One layer of features with what the city says of it. Raises NotFound."""
        result = self._published(self._source(layer_id))
        if result is None:
            raise NotFound(f"there is no layer {shown(layer_id)}")
        return result

    def all_published(self) -> list[PublishedLayer[Layer]]:
        """The layers of every form as the city lists them."""
        return sorted(self._all_published(), key=lambda one: one.order)

    def _all_published(self) -> list[PublishedLayer[Layer]]:
        sources = self._store.layers()
        return [one for layer in sources if (one := self._of_any_form(layer)) is not None]

    def _of_any_form(self, source: Layer) -> PublishedLayer[Layer] | None:
        return self._published(source) if has_features(source) else self._record(source)

    def _record(self, source: Layer) -> PublishedLayer[Layer] | None:
        """What is seen of a layer of another form than features."""
        return published(source, self._settings)

    def _source(self, layer_id: str) -> FeatureLayer:
        """The layer as the store has it. Raises NotFound."""
        return self._store.feature_layer(layer_id)

    def _all(self) -> list[PublishedLayer[FeatureLayer]]:
        return [one for layer in self._store.feature_layers() if (one := self._published(layer)) is not None]

    def _published(self, source: FeatureLayer) -> PublishedLayer[FeatureLayer] | None:
        known = self._known.get(source.id)
        if known is not None and (known.source is source or known.source == source):
            return known.published
        result = self._seen(source)
        if result is not None:
            self._known[source.id] = _CachedLayer(source, result)
        return result

    def _seen(self, source: FeatureLayer) -> PublishedLayer[FeatureLayer] | None:
        return published(source, self._settings)

    def interval(self, layer_id: str) -> Interval:
        """As :meth:`Store.interval`."""
        return self._store.interval(layer_id)

    # -- reading -----------------------------------------------------------------------------

    def items(self, layer_id: str, query: Query) -> FeaturePage:
        """As :meth:`Store.items`."""
        return self._store.items(layer_id, query)

    def select(self, layer_id: str, query: Query) -> Selection:
        """As :meth:`Store.select`."""
        return self._store.select(layer_id, query)

    def count(self, layer_id: str, query: Query, most: int) -> int | None:
        """As :meth:`Store.count`."""
        return self._store.count(layer_id, query, most)

    def scan(self, layer_id: str, query: Query, size: int = 5_000) -> Generator[Rows]:
        """As :meth:`Store.scan`."""
        return self._store.scan(layer_id, query, size)

    def item(self, layer_id: str, fid: int, crs: str = CRS84) -> Item:
        """As :meth:`Store.item`."""
        return self._store.item(layer_id, fid, crs)

    def revision(self, layer_id: str, fid: int) -> int:
        """As :meth:`Store.revision`."""
        return self._store.revision(layer_id, fid)

    def rows(self, layer_id: str, fids: Sequence[int] | None = None, *, meshes: bool = False) -> Rows:
        """As :meth:`Store.rows`."""
        return self._store.rows(layer_id, fids, meshes=meshes)

    def texture(self, layer_id: str, sha: str) -> Texture:
        """As :meth:`Store.texture`."""
        return self._store.texture(layer_id, sha)

    def texture_types(self, layer_id: str, wanted: Collection[str]) -> Mapping[str, str]:
        """As :meth:`Store.texture_types`."""
        return self._store.texture_types(layer_id, wanted)

    def report(self, layer_id: str) -> Mapping[str, Any] | None:
        """As :meth:`Store.report`, of a layer that is seen. Raises NotFound."""
        self.layer(layer_id)
        return self._store.report(layer_id)

    # -- writing -----------------------------------------------------------------------------

    def _edited(self) -> Store:
        """The store to be written. Raises NotEditable."""
        if self._editable is None:
            raise NotEditable("what was is read, and not changed")
        return self._editable

    def make_current(self, layer_id: str, name: str, by: Author, unchanged_since: int | None = None) -> None:
        """As :func:`layers.models.check_in.make_current`. Raises NotEditable, too: not all of it is seen."""
        from layers.models import check_in

        if not self.sees_all(layer_id):
            raise NotEditable("only a part of the layer is seen with these rights")
        check_in.make_current(self._edited(), layer_id, name, by, unchanged_since)

    def create(self, layer_id: str, feature: Feature, by: Author) -> tuple[int, int]:
        """As :meth:`Store.create`."""
        return self._edited().create(layer_id, feature, by)

    def replace(self, layer_id: str, fid: int, feature: Feature, if_match: int | None, by: Author) -> int:
        """As :meth:`Store.replace`."""
        return self._edited().replace(layer_id, fid, feature, if_match, by)

    def patch(self, layer_id: str, fid: int, patch: Feature, if_match: int | None, by: Author) -> int:
        """As :meth:`Store.patch`."""
        return self._edited().patch(layer_id, fid, patch, if_match, by)

    def delete(self, layer_id: str, fid: int, if_match: int | None, by: Author) -> int:
        """As :meth:`Store.delete`."""
        return self._edited().delete(layer_id, fid, if_match, by)

    def transact(
        self,
        operations: Sequence[Operation | TwinError],
        by: Author,
        *,
        atomic: bool,
        once: Once | None = None,
    ) -> list[Outcome]:
        """As :meth:`Store.transact`."""
        return self._edited().transact(operations, by, atomic=atomic, once=once)

    # -- taking back -------------------------------------------------------------------------

    def sees(self, layer: Layer) -> bool:
        """As :meth:`layers.undo.Rights.sees`."""
        return True

    def edits(self, layer: Layer) -> bool:
        """As :meth:`layers.undo.Rights.edits`."""
        return True

    def undo_of_set(self, number: int) -> UndoPlan:
        """As :func:`layers.undo.of_set`, of what is seen."""
        self.change_set(number)
        return undo.of_set(self._edited(), number, self)

    def undo_of_feature(self, layer_id: str, fid: int, seq: int) -> UndoPlan:
        """As :func:`layers.undo.of_feature`."""
        return undo.of_feature(self._edited(), layer_id, fid, seq, self)

    def undo_of_actor(self, actor: str, after: int, until: int, bbox: Bbox | None = None) -> UndoPlan:
        """As :func:`layers.undo.of_actor`, of what is seen."""
        return undo.of_actor(self._edited(), actor, after, until, bbox, self)

    def undo_of_area(
        self, bbox: Bbox, after: int, until: int, layers: Sequence[str] | None = None
    ) -> UndoPlan:
        """As :func:`layers.undo.of_area`, of what is seen."""
        return undo.of_area(self._edited(), bbox, after, until, layers, self)

    def undo(
        self, plan: UndoPlan, by: Author, *, leave_out_conflicts: bool, agreed: int | None = None
    ) -> ChangeSet | None:
        """As :func:`layers.undo.apply`; the change set that it made, None where there was nothing to do."""
        store = self._edited()
        before = store.seq()
        seq = undo.apply(store, plan, by, leave_out_conflicts=leave_out_conflicts, agreed=agreed)
        return undo.made_by(store, seq) if seq > before else None

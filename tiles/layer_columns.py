"""The columns of every layer of a store, and how new its tiles are: in step with the change log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from layers.errors import NotFound, shown
from layers.model import Change, FeatureLayer
from tiles.feature_source import FeatureSource
from tiles.freshness import Freshness, by_layer
from tiles.snapshots import Columns, Snapshot


class LayerColumns:
    """Layers, snapshots of their columns and the versions of their tiles. Safe to use from several
    threads."""

    def __init__(
        self, store: FeatureSource, folder: Path, take_in: Callable[[list[Change]], None] | None = None
    ) -> None:
        """``folder`` is where columns are kept; ``take_in`` hears of changes before a version shows them."""
        self.store, self._folder, self._tell = store, folder, take_in
        self._lock = threading.Lock()
        self._columns: dict[str, Columns] = {}
        self._layers: Mapping[str, FeatureLayer] | None = None
        self._taken_in = 0
        self.freshness = Freshness(store, self._take_in)

    def _take_in(self, changes: list[Change]) -> None:
        """Runs inside ``freshness.update`` before any new version can be seen."""
        if self._tell is not None:
            self._tell(changes)
        with self._lock:
            self._layers = None
            self._taken_in += 1
            for layer_id, layer_changes in by_layer(changes).items():
                if layer_id in self._columns:
                    self._columns[layer_id].mark(layer_changes)

    def layer(self, layer_id: str) -> FeatureLayer:
        """The layer as listed at the last change. Raises NotFound."""
        known = self._layers
        if known is None or layer_id not in known:
            known = self._listed()
        if layer_id not in known:
            raise NotFound(f"there is no layer {shown(layer_id)}")
        return known[layer_id]

    def layers(self) -> Mapping[str, FeatureLayer]:
        """All of them, by id."""
        return self._layers or self._listed()

    def _listed(self) -> Mapping[str, FeatureLayer]:
        taken_in = self._taken_in
        known = {layer.id: layer for layer in self.store.feature_layers()}
        with self._lock:
            # a list read before a change must not outlive it
            self._layers = known if taken_in == self._taken_in else None
        return known

    def snapshot(self, layer_id: str) -> Snapshot:
        """The layer as it is now. Raises NotFound."""
        return self._of(layer_id).snapshot()

    def prepare(self, layer_id: str) -> str | None:
        """Have the columns of a layer at hand and in their file; why they could not be kept there. Raises
        NotFound."""
        columns = self._of(layer_id)
        columns.prepare()
        return columns.problem

    def behind(self) -> list[str]:
        """The layers whose columns are not at hand; the files of those that are gone are removed."""
        there = self.layers()
        with self._lock:
            gone = [self._columns.pop(id_) for id_ in list(self._columns) if id_ not in there]
        for columns in gone:
            columns.forget()
        return [layer_id for layer_id, layer in there.items() if self._of(layer_id).is_behind(layer)]

    def problems(self) -> dict[str, str]:
        """Why the columns of some layers could not be kept, by layer."""
        with self._lock:
            return {id_: one.problem for id_, one in self._columns.items() if one.problem is not None}

    def known(self, layer_id: str) -> Snapshot | None:
        """The newest snapshot that was made, without a look at the store."""
        return self._of(layer_id).known

    def _of(self, layer_id: str) -> Columns:
        with self._lock:
            if layer_id not in self._columns:
                self._columns[layer_id] = Columns(self.store, layer_id, self._folder / f"{layer_id}.cols")
            return self._columns[layer_id]

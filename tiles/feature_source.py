"""What tiles are made from: a store, or a view of one that is narrowed to what somebody may see."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Protocol

from layers.model import Change, FeatureLayer, Rows
from layers.query import Query


class FeatureSource(Protocol):
    """The verbs of :class:`layers.store.base.Store` that tiles are made with, with its errors."""

    @property
    def epoch(self) -> str:
        """Of the history and of what is seen of it: other features, another epoch."""

    def seq(self) -> int:
        """The newest number of the change log."""

    def nonce(self, seq: int) -> int | None:
        """The random number of a row of the change log: who has that row has the history up to it. None
        where the row is not there, or what is seen is not all there is."""

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        """Log rows with seq > since, ascending."""

    def feature_layers(self) -> list[FeatureLayer]:
        """Every layer, by id."""

    def feature_layer(self, layer_id: str) -> FeatureLayer:
        """One layer. Raises NotFound."""

    def rows(self, layer_id: str, fids: Sequence[int] | None = None, *, meshes: bool = False) -> Rows:
        """All features (or those of ``fids`` that exist) as columns."""

    def scan(self, layer_id: str, query: Query, size: int = 5_000) -> Generator[Rows]:
        """Everything a query selects, of one moment, in batches of up to ``size`` rows."""

    def texture_types(self, layer_id: str, wanted: Collection[str]) -> Mapping[str, str]:
        """The media types of those of some textures that the layer has."""

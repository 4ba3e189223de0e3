"""Edits of single features, alike in every store: one transaction each, logged by the layer's triggers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from numpy.typing import NDArray

from layers import kinds
from layers.errors import BadBody, Exists, NotEditable, NotFound, Stale, shown
from layers.kinds import edited
from layers.model import NOBODY, Author
from layers.store import feature
from layers.store.base import Store
from layers.store.layer_record import LayerRecord
from layers.types import EditKind
from layers.values import stored

#: In place of a geometry that stays as it is.
KEEP = object()


class Editor(ABC):
    """One edit of a layer, through a connection that writes; what is abstract is a store's own SQL."""

    table: LayerRecord

    def create(self, body: Mapping[str, Any], by: Author) -> tuple[int, int]:
        """POST. Returns the fid, never used before, and the revision."""
        self._permit("create", 0)
        shape, values = feature.new(self.table, body)
        values = self._settled(values, None, shape)
        with self.changing(by):
            self._free_source(None, None, values)
            fid = self.insert(shape, values)
            return fid, self.number(fid, by)

    def delete(self, fid: int, if_match: int | None, by: Author) -> int:
        """DELETE. Returns the log number; the triggers take what is kept beside the feature along."""
        self._permit("delete", fid)
        with self.changing(by):
            self._present(fid, if_match)
            self.remove(fid)
            return self.number(fid, by)

    def replace(self, fid: int, body: Mapping[str, Any], if_match: int | None, by: Author) -> int:
        """PUT. Returns the new revision."""
        shape, values = feature.whole(self.table, fid, body)
        return self._write(fid, shape, values, if_match, by)

    def patch(self, fid: int, body: Mapping[str, Any], if_match: int | None, by: Author) -> int:
        """PATCH (RFC 7396). Returns the new revision."""
        named, shape, values = feature.partial(self.table, fid, body)
        if computed := [f.name for f in self.table.fields if f.read_only and f.name in values]:
            raise BadBody(f"properties: {', '.join(computed)}: computed by the database")
        return self._write(fid, shape if named else KEEP, values, if_match, by)

    def _write(self, fid: int, shape: Any, values: dict[str, Any], if_match: int | None, by: Author) -> int:
        self._permit("update", fid)
        with self.changing(by):
            present, source = self._present(fid, if_match)
            self._free_source(fid, source, values)
            if kinds.known(self.table.kind).provenance:
                placed = self.shapes(present)[0] if shape is KEEP else shape
                values = self._settled(values, self.row(fid), placed)
            if shape is not KEEP and feature.same(self.table, self.shapes(present), shape):
                shape = KEEP
            self.update(fid, shape, values)
            return self.number(fid, by)

    def _settled(
        self, values: dict[str, Any], present: Mapping[str, Any] | None, shape: Any
    ) -> dict[str, Any]:
        """The values of an edit with what follows from them by the layer's kind."""
        fields = {f.name: f for f in self.table.fields if not f.read_only}
        settled = edited.settled(kinds.known(self.table.kind), fields, values, present, shape)
        for name, value in settled.items():
            if name not in values or value != values[name]:
                with suppress(ValueError):  # a column of another type than the kind's keeps what was sent
                    values[name] = None if value is None else stored(fields[name].type, value)
        return values

    def _permit(self, kind: EditKind, fid: int) -> None:
        if kind not in self.table.edits:
            raise NotEditable(f"layer {self.table.id} is not edited so: {self.table.fixed_because}")
        if abs(fid) >= 2**63:
            raise NotFound(f"layer {self.table.id} has no feature {shown(fid)}")

    def _present(self, fid: int, if_match: int | None) -> tuple[bytes | None, str | None]:
        """Geometry and source id of a feature that may be written. Raises NotFound, Stale."""
        row = self.lock(fid)
        if row is None:
            raise NotFound(f"layer {self.table.id} has no feature {fid}")
        # A statement of its own: one that waited for the lock would still see the log as it was before.
        current = self.revision(fid)
        if if_match is not None and if_match != current:
            raise Stale(f"the feature is at revision {current}, not {if_match}; read it again")
        return row

    def _free_source(self, fid: int | None, present: str | None, values: Mapping[str, Any]) -> None:
        """Raises BadBody, Exists: a source id is not taken from a feature that has one, nor given twice."""
        source = values.get("source_id")
        if source is None and "source_id" in values and present is not None:
            raise BadBody("properties: source_id: cannot be removed")
        if source is not None and self.is_taken(source, fid):
            raise Exists("properties: source_id: another feature has it")

    def number(self, fid: int, by: Author) -> int:
        """The revision that the edit made."""
        return self.revision(fid)

    @abstractmethod
    def changing(self, by: Author) -> AbstractContextManager[object]:
        """One transaction; what the table does not permit is the client's fault, and named."""

    @abstractmethod
    def lock(self, fid: int) -> tuple[bytes | None, str | None] | None:
        """Stored geometry and source id of a feature that no other may write now; None for no feature."""

    @abstractmethod
    def row(self, fid: int) -> dict[str, Any]:
        """The values of a feature by field: numbers, texts, times as text."""

    @abstractmethod
    def shapes(self, stored: bytes | None) -> NDArray[Any]:
        """An array of one: a stored geometry in lon/lat."""

    @abstractmethod
    def is_taken(self, source: str, fid: int | None) -> bool:
        """Whether a feature but ``fid`` has the source id. Raises BadBody where the layer keeps none."""

    @abstractmethod
    def insert(self, shape: Any, values: Mapping[str, Any]) -> int:
        """Write a new feature; its fid."""

    @abstractmethod
    def update(self, fid: int, shape: Any, values: Mapping[str, Any]) -> None:
        """Write what is named; the triggers fire also where nothing is."""

    @abstractmethod
    def remove(self, fid: int) -> None:
        """Take a feature away."""

    @abstractmethod
    def revision(self, fid: int) -> int:
        """The highest log number of a feature, or of its layer as a whole; 0 when neither was logged."""


class EditedStore(Store):
    """The edits of a store, each by an :class:`Editor` of its own."""

    @abstractmethod
    def _editor(self, layer_id: str) -> AbstractContextManager[Editor]:
        """For one edit of a layer."""

    def create(self, layer_id: str, feature: Mapping[str, Any], by: Author = NOBODY) -> tuple[int, int]:
        with self._editor(layer_id) as editor:
            return editor.create(feature, by)

    def delete(self, layer_id: str, fid: int, if_match: int | None = None, by: Author = NOBODY) -> int:
        with self._editor(layer_id) as editor:
            return editor.delete(fid, if_match, by)

    def replace(
        self,
        layer_id: str,
        fid: int,
        feature: Mapping[str, Any],
        if_match: int | None = None,
        by: Author = NOBODY,
    ) -> int:
        with self._editor(layer_id) as editor:
            return editor.replace(fid, feature, if_match, by)

    def patch(
        self,
        layer_id: str,
        fid: int,
        patch: Mapping[str, Any],
        if_match: int | None = None,
        by: Author = NOBODY,
    ) -> int:
        with self._editor(layer_id) as editor:
            return editor.patch(fid, patch, if_match, by)

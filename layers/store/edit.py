"""Edits of features, alike in every store, logged by the layer's triggers: one, or many in a transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from layers import kinds
from layers.errors import Conflict, Exists, NotFound, Stale, TwinError
from layers.model import NOBODY, Author, Former, Once, Operation, Outcome
from layers.store import drafts, feature, transact
from layers.store.base import Store
from layers.store.drafts import KEEP, Draft
from layers.store.layer_record import LayerRecord
from layers.store.once import Done


@dataclass(frozen=True, slots=True)
class OldRow:
    """What a feature was: ``key`` is that of its old row, ``columns`` are those that there still are, by
    their name in SQL, with how they are read of the old row."""

    key: int
    there: bool
    source: str | None
    columns: Mapping[str, str]


def taken(layer: str, fid: int) -> Conflict:
    """Why a feature is not made what it was."""
    return Conflict(f"feature {fid} of layer {layer}: another one has its source id by now")


class Editor(ABC):
    """Edits of a layer, through a connection that writes; what is abstract is a store's own SQL.

    One lives for one transaction: ``If-Match`` compares with a feature as it was before that."""

    table: LayerRecord

    def __init__(self) -> None:
        self._before: dict[int, int] = {}  # revisions of the features touched, 0 of those made

    def create(self, body: Mapping[str, Any], by: Author) -> tuple[int, int]:
        """POST. Returns the fid, never used before, and the revision."""
        draft = drafts.new(self.table, body)
        with self.changing(by):
            fid = self.add(draft)
            return fid, self.number(fid, by)

    def delete(self, fid: int, if_match: int | None, by: Author) -> int:
        """DELETE. Returns the log number; the triggers take what is kept beside the feature along."""
        drafts.permit(self.table, "delete", fid)
        with self.changing(by):
            self.take(fid, if_match)
            return self.number(fid, by)

    def replace(self, fid: int, body: Mapping[str, Any], if_match: int | None, by: Author) -> int:
        """PUT. Returns the new revision."""
        return self._change(fid, drafts.whole(self.table, fid, body), if_match, by)

    def patch(self, fid: int, body: Mapping[str, Any], if_match: int | None, by: Author) -> int:
        """PATCH (RFC 7396). Returns the new revision."""
        return self._change(fid, drafts.part(self.table, fid, body), if_match, by)

    def _change(self, fid: int, draft: Draft, if_match: int | None, by: Author) -> int:
        with self.changing(by):
            self.put(fid, draft, if_match)
            return self.number(fid, by)

    def add(self, draft: Draft) -> int:
        """A new feature, within a transaction; its fid. Raises Exists, and what the store finds wrong."""
        self._free_source(None, None, draft.values)
        fid = self.insert(draft.shape, draft.values)
        self._before[fid] = 0
        return fid

    def take(self, fid: int, if_match: int | None) -> None:
        """Remove a feature, within a transaction. Raises NotFound, Stale."""
        self._present(fid, if_match)
        self.remove(fid)

    def put(self, fid: int, draft: Draft, if_match: int | None) -> None:
        """Write a feature anew, within a transaction. Raises NotFound, Stale, Exists, and as :meth:`add`."""
        shape, values = draft.shape, dict(draft.values)
        present, source = self._present(fid, if_match)
        self._free_source(fid, source, values)
        if kinds.known(self.table.kind).provenance:
            placed = self.shapes(present)[0] if shape is KEEP else shape
            values = drafts.settled(self.table, values, self.row(fid), placed)
        if shape is not KEEP and feature.same(self.table, self.shapes(present), shape):
            shape = KEEP
        self.update(fid, shape, values)

    def _present(self, fid: int, if_match: int | None) -> tuple[bytes | None, str | None]:
        """Geometry and source id of a feature that may be written. Raises NotFound, Stale."""
        row = self.lock(fid)
        if row is None:
            raise NotFound(f"layer {self.table.id} has no feature {fid}")
        # A statement of its own: one that waited for the lock would still see the log as it was before.
        current = self.before(fid)
        if if_match is not None and if_match != current:
            raise Stale(f"the feature is at revision {current}, not {if_match}; read it again")
        return row

    def _free_source(self, fid: int | None, present: str | None, values: Mapping[str, Any]) -> None:
        """Raises BadBody, Exists: a source id is not taken from a feature that has one, nor given twice."""
        source = values.get("source_id")
        if source is None and "source_id" in values and present is not None:
            raise feature.wrong_properties([("source_id", "cannot be removed")])
        if source is not None and self.is_taken(source, fid):
            raise Exists("properties: source_id: another feature has it")

    def before(self, fid: int) -> int:
        """The revision of a feature before the transaction, which holds it."""
        current = self._before.get(fid)
        if current is None:
            current = self._before[fid] = self.revision(fid)
        return current

    def number(self, fid: int, by: Author) -> int:
        """The revision that the edit made."""
        return self.revision(fid)

    def put_back(self, fid: int, former: OldRow) -> None:
        """Make a feature what it was, within a transaction. Raises NotEditable, Conflict."""
        present = self.lock(fid)
        if not former.there:
            if present is not None:
                drafts.permit(self.table, "delete", fid)
                self.remove(fid)
            return
        drafts.permit(self.table, "create" if present is None else "update", fid)
        if former.source is not None and self.is_taken(former.source, fid):
            raise taken(self.table.id, fid)
        self.restore(fid, former, present is not None)

    def put_back_all(self, rows: Sequence[tuple[int, OldRow]]) -> None:
        """Make features what they were, as :meth:`put_back` does."""
        for fid, row in sorted(rows, key=lambda pair: pair[1].there):  # what goes gives its source id free
            self.put_back(fid, row)

    @abstractmethod
    def former(self, fid: int, seq: int) -> OldRow | None:
        """What a feature was after a change of the log; None where that is what it is.

        Raises Gone, Conflict (the layer was dropped since)."""

    def formers(self, wanted: Sequence[Former]) -> dict[int, OldRow]:
        """What features were, by id: those that are not that still. Raises as :meth:`former`."""
        found = {one.fid: self.former(one.fid, one.seq) for one in wanted}
        return {fid: row for fid, row in found.items() if row is not None}

    @abstractmethod
    def restore(self, fid: int, former: OldRow, present: bool) -> None:
        """Write an old row over the present one, or as a new one with its old id."""

    def make(self, draft: Draft) -> int:
        """A new feature, as a step of a transaction; its fid. Raises as :meth:`add`."""
        with self.step():
            return self.add(draft)

    def numbers(self, fids: Collection[int], by: Author) -> dict[int, int]:
        """The revisions that a transaction made, by feature; asked once all its edits are written."""
        return {fid: self.number(fid, by) for fid in fids}

    @property
    @abstractmethod
    def done(self) -> Done:
        """What was done once, as the transaction sees it."""

    @abstractmethod
    def step(self) -> AbstractContextManager[object]:
        """One of the edits of a transaction that is under way: undone by itself where it fails."""

    @abstractmethod
    def hold(self, fids: Sequence[int]) -> None:
        """Let no other write these features, taken in this order; those that are not there are left out.

        Raises NotAllowed where a right for it lacks."""

    @abstractmethod
    def with_source(self, source: str) -> int | None:
        """The feature that has a source id. Raises BadBody where the layer keeps none."""

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
    """The edits of a store: each by an :class:`Editor` of its own, or many by those of one transaction."""

    #: How long a transaction may write, in seconds: less than others wait for their turn.
    transaction_seconds: float

    @abstractmethod
    def _editor(self, layer_id: str) -> AbstractContextManager[Editor]:
        """For one edit of a layer."""

    @abstractmethod
    def described(self, layer_id: str) -> LayerRecord:
        """A layer that may be edited, as the store has it now. Raises NotFound, Unreadable."""

    @abstractmethod
    def joined(self, layers: Sequence[str], by: Author) -> AbstractContextManager[Mapping[str, Editor]]:
        """One transaction, one change set, and an editor for each of these layers."""

    def transact(
        self,
        operations: Sequence[Operation | TwinError],
        by: Author = NOBODY,
        *,
        atomic: bool = True,
        once: Once | None = None,
    ) -> list[Outcome]:
        return transact.transact(self, operations, by, atomic=atomic, once=once)

    def put_back(self, former: Sequence[Former], by: Author = NOBODY, *, unchanged_since: int) -> int:
        ordered = sorted(former)
        with self.joined(sorted({one.layer for one in ordered}), by) as editors:
            for layer, editor in editors.items():
                editor.hold([one.fid for one in ordered if one.layer == layer])
            found: dict[str, dict[int, OldRow]] = {}
            for layer, editor in editors.items():
                wanted = [one for one in ordered if one.layer == layer]
                for one in wanted:
                    current = editor.before(one.fid)
                    if current > unchanged_since:
                        raise Conflict(
                            f"feature {one.fid} of layer {layer} was changed meanwhile, by change @{current}"
                        )
                found[layer] = editor.formers(wanted)
            for layer, editor in editors.items():
                with editor.step():
                    editor.put_back_all(list(found[layer].items()))
            numbers = [
                number
                for layer, editor in editors.items()
                for number in editor.numbers(list(found[layer]), by).values()
            ]
        return max(numbers, default=unchanged_since)

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

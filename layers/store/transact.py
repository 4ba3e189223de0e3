"""Many edits in one transaction and one change set.

What can be told of an edit without the store is told before the transaction begins, so that it holds up
other writers for as short as can be. In it every edit is a step of its own: one that is refused leaves
nothing behind and those after it are tried all the same, so that every fault is told at once.

Features that are edited are held first, in the order of layer and fid: two transactions never wait for each
other. A step may name a feature by the source id that an earlier step gave it; one that a later step gives is
not there yet, so there are no circles.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from layers.errors import (
    BadInput,
    Busy,
    Conflict,
    NotAllowed,
    NotFound,
    TooLarge,
    TwinError,
    Unreadable,
    shown,
)
from layers.model import MOST_OPERATIONS, Author, Once, Operation, Outcome
from layers.store import drafts
from layers.store import once as once_
from layers.store.drafts import Draft
from layers.store.layer_record import LayerRecord
from layers.store.once import Done

#: What is the fault of an operation; other errors end the transaction.
_FAULTS = (BadInput, NotFound, NotAllowed, Conflict, Unreadable)
_REPLACED = "a layer of the transaction is being replaced; try again"


class Joined(Protocol):
    """What a transaction needs of :class:`layers.store.edit.Editor`."""

    table: LayerRecord

    def make(self, draft: Draft) -> int: ...
    def put(self, fid: int, draft: Draft, if_match: int | None) -> None: ...
    def take(self, fid: int, if_match: int | None) -> None: ...
    def step(self) -> AbstractContextManager[object]: ...
    def hold(self, fids: Sequence[int]) -> None: ...
    def with_source(self, source: str) -> int | None: ...
    def numbers(self, fids: Sequence[int], by: Author) -> dict[int, int]: ...
    @property
    def done(self) -> Done: ...


class Joining(Protocol):
    """What a transaction needs of :class:`layers.store.edit.EditedStore`."""

    @property
    def transaction_seconds(self) -> float: ...
    def described(self, layer_id: str) -> LayerRecord: ...
    def joined(self, layers: Sequence[str], by: Author) -> AbstractContextManager[Mapping[str, Joined]]: ...


@dataclass(frozen=True, slots=True)
class _Step:
    operation: Operation
    draft: Draft | None  # None of a deletion


class _Undone(Exception):
    """An atomic transaction is rolled back."""


def transact(
    store: Joining,
    operations: Sequence[Operation | TwinError],
    by: Author,
    *,
    atomic: bool,
    once: Once | None = None,
) -> list[Outcome]:
    """See :meth:`layers.store.base.Store.transact`."""
    if len(operations) > MOST_OPERATIONS:
        number = len(operations)
        raise TooLarge(f"the transaction has {number} operations; at most {MOST_OPERATIONS} are taken")
    run = _Transaction(store, by, atomic, once)
    steps = [run.prepared(one) for one in operations]
    if any(isinstance(step, _Step) for step in steps):
        with suppress(_Undone):
            run.write(steps)
        return run.outcomes
    return [Outcome(error=step) for step in steps if isinstance(step, TwinError)]


@dataclass(slots=True)
class _Transaction:
    store: Joining
    by: Author
    atomic: bool
    once: Once | None
    tables: dict[str, LayerRecord | TwinError] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    def prepared(self, operation: Operation | TwinError) -> _Step | TwinError:
        """An operation with what it writes, or why it is refused."""
        if isinstance(operation, TwinError):
            return operation
        table = self._table(operation.layer)
        if isinstance(table, TwinError):
            return table
        try:
            return _Step(operation, _draft(table, operation))
        except _FAULTS as error:
            return error

    def _table(self, layer_id: str) -> LayerRecord | TwinError:
        if layer_id not in self.tables:
            try:
                self.tables[layer_id] = self.store.described(layer_id)
            except (NotFound, Unreadable) as error:
                self.tables[layer_id] = error
        return self.tables[layer_id]

    def write(self, steps: Sequence[_Step | TwinError]) -> None:
        """Do it. Raises _Undone, and what ends the transaction."""
        layers = sorted({step.operation.layer for step in steps if isinstance(step, _Step)})
        with _still_there(), self.store.joined(layers, self.by) as editors:
            seconds = self.store.transaction_seconds
            until = time.monotonic() + seconds
            if any(editors[layer].table != self.tables[layer] for layer in layers):
                raise Busy(_REPLACED)
            if self.once is not None:
                before = once_.known(editors[layers[0]].done, self.once)
                if before is not None:
                    self.outcomes = before
                    return
            _hold(editors, steps)
            done = []
            for step in steps:
                if time.monotonic() > until:
                    raise Busy(
                        f"the transaction takes longer than the {seconds:g} s for which it may hold up"
                        " other writers; send it in parts"
                    )
                done.append(_done(editors, step))
            self._settle(editors, steps, done)

    def _settle(
        self, editors: Mapping[str, Joined], steps: Sequence[_Step | TwinError], done: list[int | TwinError]
    ) -> None:
        """Number what was written, or undo it."""
        if self.atomic and any(isinstance(one, TwinError) for one in done):
            self.outcomes = [Outcome(error=one if isinstance(one, TwinError) else None) for one in done]
            raise _Undone
        written: dict[str, set[int]] = {}
        for step, one in zip(steps, done, strict=True):
            if isinstance(step, _Step) and not isinstance(one, TwinError):
                written.setdefault(step.operation.layer, set()).add(one)
        revisions = {
            (layer, fid): revision
            for layer, fids in written.items()
            for fid, revision in editors[layer].numbers(sorted(fids), self.by).items()
        }
        for step, one in zip(steps, done, strict=True):
            if isinstance(step, _Step) and not isinstance(one, TwinError):
                self.outcomes.append(Outcome(one, revisions[step.operation.layer, one]))
            else:
                assert isinstance(one, TwinError)
                self.outcomes.append(Outcome(error=one))
        if self.once is not None:
            once_.keep(editors[min(editors)].done, self.once, self.outcomes)


@contextmanager
def _still_there() -> Iterator[None]:
    """A layer that was there a moment ago and is not now is being replaced."""
    try:
        yield
    except NotFound as error:
        raise Busy(_REPLACED) from error


def _draft(table: LayerRecord, operation: Operation) -> Draft | None:
    if operation.kind == "create":
        return drafts.new(table, operation.body)
    if operation.fid is None and (operation.source_id is None or "\0" in operation.source_id):
        raise NotFound(f"layer {table.id} has no feature of source_id {shown(operation.source_id)}")
    if operation.kind == "delete":
        drafts.permit(table, "delete", operation.fid or 0)
        return None
    body, fid = operation.body, operation.fid
    if fid is None:  # which feature it is, is known by then
        fid, body = 0, {name: value for name, value in body.items() if name != "id"}
    return drafts.whole(table, fid, body) if operation.kind == "replace" else drafts.part(table, fid, body)


def _hold(editors: Mapping[str, Joined], steps: Sequence[_Step | TwinError]) -> None:
    """Hold what there is of the features to be edited, by layer and fid."""
    fids: dict[str, set[int]] = {layer: set() for layer in editors}
    for step in steps:
        if isinstance(step, _Step) and step.operation.kind != "create":
            operation, fid = step.operation, step.operation.fid
            if fid is None and operation.source_id is not None:
                with suppress(*_FAULTS):
                    fid = editors[operation.layer].with_source(operation.source_id)
            if fid is not None:
                fids[operation.layer].add(fid)
    for layer in sorted(editors):
        if fids[layer]:
            with suppress(NotAllowed):  # each step that lacks the right is refused by itself
                editors[layer].hold(sorted(fids[layer]))


def _done(editors: Mapping[str, Joined], step: _Step | TwinError) -> int | TwinError:
    """The feature that a step wrote, or why it did not."""
    if isinstance(step, TwinError):
        return step
    operation, draft, editor = step.operation, step.draft, editors[step.operation.layer]
    try:
        if operation.kind == "create":
            assert draft is not None
            return editor.make(draft)
        fid = _named(editor, operation)
        with editor.step():
            if draft is None:
                editor.take(fid, operation.if_match)
            else:
                editor.put(fid, draft, operation.if_match)
        return fid
    except _FAULTS as error:
        return error


def _named(editor: Joined, operation: Operation) -> int:
    if operation.fid is not None:
        return operation.fid
    assert operation.source_id is not None
    fid = editor.with_source(operation.source_id)
    if fid is None:
        raise NotFound(f"layer {operation.layer} has no feature of source_id {shown(operation.source_id)}")
    return fid

"""The files of a manifest, read and cleaned side by side, published one after the other in its order.

Whoever looks sees what loads one by one would have left: layers appear in the manifest's order, and where
a file is refused, those before it are there and none behind it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from layers import kinds, load
from layers import manifest as manifests
from layers.errors import BadFile, shown
from layers.guard import ReadLimits
from layers.manifest import ManifestEntry
from layers.model import NOBODY, Author, Problem, Report
from layers.source import UTC
from layers.store.base import Store

#: Loads at a time, each with a reader's process and up to some hundred MB.
WORKERS = min(4, os.cpu_count() or 1)
#: Seconds that an interrupted load waits for those beside it: they stop at their next batch.
_LAST = 5.0

type Loads = Callable[[ManifestEntry, load.Progress, Callable[[], None]], Report]


def run(
    store: Store,
    path: Path,
    *,
    mode: str = "create",
    time_zone: str = UTC,
    limits: ReadLimits | None = None,
    progress: load.Progress | None = None,
    aside: Path | None = None,
    city: Path | None = None,
    by: Author = NOBODY,
    workers: int = WORKERS,
) -> list[Report]:
    """Load every file a manifest names; with ``mode`` create, no file is read when one id is taken.

    ``time_zone`` is that of entries that say none; ``aside`` is a folder for the rows that are set aside.
    Rasters and tilesets are kept in the folder of the ``city``. ``progress`` is called by several threads.
    Raises what :func:`layers.load.run` raises for the first file that is refused, and NotFound or BadConfig
    for a manifest that cannot be used.
    """
    wanted = manifests.read(path)
    for entry in wanted.layers:
        if not _unknown(entry):
            load.permitted(store, entry.id, mode)

    def one(entry: ManifestEntry, told: load.Progress, turn: Callable[[], None]) -> Report:
        if refusal := _unknown(entry):
            return _skipped(entry, refusal, turn)
        try:
            return loaded(entry, told, turn)
        except BadFile as error:
            if not entry.optional:
                raise
            return _skipped(entry, error, turn)

    def loaded(entry: ManifestEntry, told: load.Progress, turn: Callable[[], None]) -> Report:
        return load.run(
            store,
            entry.file,
            entry.declared.in_zone(time_zone),
            layer_id=entry.id,
            mode=mode,
            title=entry.title,
            limits=limits,
            progress=told,
            aside=None if aside is None else aside / f"{entry.id}.csv",
            city=city,
            by=by,
            turn=turn,
        )

    return _SideBySide(wanted.layers, one, progress or _silent).run(workers)


def _unknown(entry: ManifestEntry) -> BadFile | None:
    """Why an optional entry is of no kind that there is."""
    if not entry.optional or entry.kind is None or entry.kind in kinds.KINDS:
        return None
    return BadFile("kind.unknown", f"there is no kind {shown(entry.kind)} of layers here")


def _skipped(entry: ManifestEntry, refusal: BadFile, turn: Callable[[], None]) -> Report:
    turn()
    report = Report(entry.id, entry.kind or "", entry.file.name, skipped=refusal.reason)
    report.add(Problem(refusal.rule, 0, refusal.reason, "quarantined"))
    return report


def _silent(_what: str, _done: int, _all: int) -> None:
    """No progress."""


class _Ended(BaseException):
    """A load before this one was refused, or all of them were interrupted."""


class _SideBySide:
    """Entries in the hands of some threads; ``turn`` is the number of the one that may be published."""

    def __init__(self, entries: tuple[ManifestEntry, ...], one: Loads, progress: load.Progress) -> None:
        self._entries, self._one, self._progress = entries, one, progress
        self._waiting: Iterator[tuple[int, ManifestEntry]] = iter(enumerate(entries))
        self._changed = threading.Condition()
        self._turn = 0
        self._ended = False
        self._publishing: threading.Thread | None = None
        self._refusal: BaseException | None = None
        self._reports: list[Report] = []

    def run(self, workers: int) -> list[Report]:
        """Their reports, in order. Raises what the first that failed has raised."""
        # an interrupted program does not wait for a reader that is in the middle of a file
        names = [f"load-{number}" for number in range(min(workers, len(self._entries)))]
        threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in threads:
            thread.start()
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._turn == len(self._entries))
        finally:
            self._end(None)
            for thread in threads:
                thread.join(None if thread is self._publishing else _LAST)
        if self._refusal is not None:
            raise self._refusal
        return self._reports

    def _work(self) -> None:
        while True:
            with self._changed:
                number, entry = next(self._waiting, (-1, None))
            if entry is None:
                return
            try:
                report = self._one(entry, self._told, partial(self._await, number))
            except _Ended:
                return
            except BaseException as error:
                self._refused(number, error)
                return
            with self._changed:
                self._reports.append(report)
                self._turn += 1
                self._changed.notify_all()

    def _told(self, what: str, done: int, count: int) -> None:
        if self._ended:
            raise _Ended
        self._progress(what, done, count)

    def _await(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._turn == number)
            if self._ended:
                raise _Ended
            self._publishing = threading.current_thread()

    def _refused(self, number: int, error: BaseException) -> None:
        """What was raised is told when all before it are published."""
        try:
            self._await(number)
        except _Ended:
            return
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            if not self._ended:
                self._ended, self._refusal = True, error
                self._changed.notify_all()

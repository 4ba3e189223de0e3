"""Reading beside a writer: a process of its own that edits features over HTTP at a steady rate."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.data import Town
from tests.bench.features import ITEMS, Question
from tests.bench.measure import Case, Connection, Target, per_request, usage
from tests.bench.report import Row, at_most
from tests.support import until

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized
    from multiprocessing.synchronize import Event

RATE = 100  # edits a second
HANDS = 4  # connections that share them: one slow commit must not lower the rate
ROUNDS = 3
READS = 3000
ALONE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Writer:
    """The running writer: how many edits it has made, and how many were refused."""

    done: Synchronized[int]
    failed: Synchronized[int]


@contextmanager
def writing(target: Target, key: str, town: Town) -> Iterator[Writer]:
    """Edit at :data:`RATE` until the block ends."""
    context = multiprocessing.get_context("spawn")
    stop: Event = context.Event()
    writer = Writer(context.Value("q", 0), context.Value("q", 0))
    paths = [f"{ITEMS[target.name]}/{fid}" for fid in town.fids(5000)]
    process = context.Process(target=_edit, args=(target.url, key, paths, writer.done, writer.failed, stop))
    process.start()
    try:
        until(lambda: writer.done.value > RATE // 4, 60, "the writer's first edits")
        yield writer
    finally:
        stop.set()
        process.join(30)
        if process.is_alive():
            process.kill()


def _edit(
    url: str, key: str, paths: list[str], done: Synchronized[int], failed: Synchronized[int], stop: Event
) -> None:
    hands = [
        threading.Thread(target=_hand, args=(url, key, paths[hand::HANDS], done, failed, stop))
        for hand in range(HANDS)
    ]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()


def _hand(
    url: str, key: str, paths: list[str], done: Synchronized[int], failed: Synchronized[int], stop: Event
) -> None:
    connection = Connection(url)
    headers = [("authorization", f"Bearer {key}"), ("content-type", "application/merge-patch+json")]
    started, number = time.monotonic(), 0
    while not stop.is_set():
        body = json.dumps({"properties": {"storeys": 1 + number % 40}}).encode()
        status, _, _ = connection.request(paths[number % len(paths)], headers, "PATCH", body)
        number += 1
        counter = done if status in (200, 204) else failed
        with counter.get_lock():
            counter.value += 1
        # the pace is kept over the whole run: a slow edit is made up for by the next ones
        time.sleep(max(0.0, started + number * HANDS / RATE - time.monotonic()))


def beside(target: Target, key: str, town: Town, question: Question) -> list[Row]:
    """A read's CPU beside the writer to the same read alone; every read must be answered."""
    case = Case(target, [ITEMS[target.name] + path for path in question.paths])
    reads = READS if target.name == "GeoPackage" else READS // 3
    ratios, costs, edits, rates, failed = [], [], [], [], 0
    for _ in range(ROUNDS):
        alone = per_request(case, reads // 2)
        with writing(target, key, town) as writer:
            edit = _cost_of_an_edit(target, writer)
            started, before, made = time.monotonic(), usage(target.pids), writer.done.value
            _read(case, reads)
            spent = usage(target.pids).since(before) / 1000
            made = writer.done.value - made
            rates.append(made / (time.monotonic() - started))
            costs.append((spent - made * edit) / reads)
            ratios.append(costs[-1] / alone)
            edits.append(edit)
        failed += writer.failed.value
    name = f"{question.name}, beside {RATE} edits/s, {target.name}"
    cost, edit, rate = (statistics.median(v) for v in (costs, edits, rates))
    detail = f"{cost:.0f} µs a read, {edit:.0f} µs an edit, {rate:.0f} edits/s"
    ratio = statistics.median(ratios)
    return [
        at_most(f"{name}: CPU a read to alone", ratio, 1.5, detail),
        Row(f"{name}: edits a second", f"{rate:.0f}", f"≥ {0.95 * RATE:.0f}", "", rate >= 0.95 * RATE),
        Row(f"{name}: edits refused, reads not answered", str(failed), "0", "", failed == 0),
    ]


def _cost_of_an_edit(target: Target, writer: Writer) -> float:
    """µs of an edit while nobody reads."""
    before, made = usage(target.pids), writer.done.value
    until_time = time.monotonic() + ALONE_SECONDS
    until(lambda: time.monotonic() > until_time, 2 * ALONE_SECONDS, "the window")
    return usage(target.pids).since(before) / 1000 / (writer.done.value - made)


def _read(case: Case, count: int) -> None:
    connection = Connection(case.target.url)
    for index in range(count):
        case.ask(connection, index)
    connection.close()

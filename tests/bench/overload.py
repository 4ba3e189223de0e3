"""Five times what a server can do, asked by the clock whatever was answered: what it still does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.bench.crowd import Answers, Crowd
from tests.bench.helsinki import TILE
from tests.bench.measure import Connection, Target, usage
from tests.bench.report import Row

TIMES, SECONDS = 5, 3.0
#: The load, of what the server can do, at which nobody waits and nobody is refused.
EASY = 0.7
_GZIP = ("accept-encoding", "gzip")


def figures(us: Target) -> Iterator[Row]:
    """Light paths: what is answered a CPU-second of the server to what it answers as many connections that
    ask for less than it can do, and how soon the rest is refused. Connections cost by themselves, refused or
    not, so the ratio to sixteen of them is said beside it. The server has one core, the clients another."""
    _, headers, _ = Connection(us.url).request(TILE, [_GZIP])
    cases: Sequence[tuple[str, str, Sequence[tuple[str, str]]]] = (
        ("pages of 10 items", "/ogc/collections/addresses/items?limit=10", ()),
        ("pages of 100 items", "/ogc/collections/addresses/items?limit=100", ()),
        ("cached vector tile", TILE, [_GZIP]),
        ("304 of a vector tile", TILE, [_GZIP, ("if-none-match", headers["etag"])]),
    )
    with _two_cores(us.pids):
        for name, path, sent in cases:
            rated, sixteen = _asked(us, 16, path, sent, None)
            most = _done(rated) / SECONDS
            for size in (250, 1000):
                easy, alone = _asked(us, size, path, sent, EASY * most)
                found, each = _asked(us, size, path, sent, TIMES * most)
                kept = alone / each
                detail = (
                    f"{found.sent / _done(rated):.1f} × asked; {found.statuses[503]} refused, p99"
                    f" {found.wait(503) * 1000:.0f} ms; to 16 connections {sixteen / each:.2f} ×"
                )
                told = f"{name}, open loop over {size} connections: answers to those without overload"
                met = kept >= 0.9 and not found.mute and not easy.statuses[503]
                yield Row(told, f"{kept:.2f} ×", "≥ 0.9 ×", detail, met)


def _done(found: Answers) -> int:
    return found.statuses[200] + found.statuses[304]


def _asked(
    us: Target, size: int, path: str, headers: Sequence[tuple[str, str]], rate: float | None
) -> tuple[Answers, float]:
    """What came back, and the CPU (ns) of the server for one answer that is no refusal."""
    crowd = Crowd(us.url, size)
    try:
        crowd.ask(["/health/live"], 0.3)
        before = usage(us.pids)
        found = crowd.ask([path], SECONDS, rate, headers)
        return found, usage(us.pids).since(before) / max(1, _done(found))
    finally:
        crowd.close()


@contextmanager
def _two_cores(pids: Sequence[int]) -> Iterator[None]:
    """The server on one core and this process on another, where there are two."""
    before = os.sched_getaffinity(0)
    threads = [int(task) for pid in pids for task in os.listdir(f"/proc/{pid}/task")]
    for thread in threads:
        os.sched_setaffinity(thread, {min(before)})
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        for thread in (0, *threads):
            os.sched_setaffinity(thread, before)

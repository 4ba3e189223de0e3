"""Helper servers in processes of their own, and what is measured of each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.bench.measure import Target
from tests.support import ROOT, Server


@contextmanager
def running(name: str, command: Sequence[str], others: tuple[int, ...] = ()) -> Iterator[Target]:
    """A server that prints ``… at URL`` when it is ready; ``others`` are processes that work for it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " at " not in line:
            raise RuntimeError(f"{name} did not start")
        yield Target(name, line.split(" at ")[1].strip().rstrip("/"), (process.pid, *others))
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def one_core(*running: int) -> Iterator[None]:
    """Bind this process, processes that are running, and all they start in the block to one core.

    What wakes a process on another core counts as CPU of either, by what the machine does just then:
    the same 304 takes 20 or 60 µs. On one core the sender has stopped before the receiver begins."""
    before = os.sched_getaffinity(0)
    core = {max(before)}
    for pid in (0, *running):
        os.sched_setaffinity(pid, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def module(name: str, *arguments: str) -> list[str]:
    """How to run a module of the bench."""
    return [sys.executable, "-m", name, *arguments]


def target(name: str, server: Server, others: tuple[int, ...] = ()) -> Target:
    """One of our own servers; ``others`` are processes that work for it."""
    return Target(name, server.url, (server.process.pid, *others))

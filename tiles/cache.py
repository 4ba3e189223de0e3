"""Made tiles in memory, bounded by bytes, each made once however many ask at the same time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Protocol


class Sized(Protocol):
    """Something that knows its weight in bytes."""

    @property
    def weight(self) -> int:
        """Bytes."""


class Cache[T: Sized]:
    """Least recently used first out. Safe to use from several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, T] = OrderedDict()
        self._making: dict[Hashable, Future[T]] = {}
        self.weight = 0

    def get(self, key: Hashable) -> T | None:
        """What is held under the key."""
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                self._held.move_to_end(key)
            return held

    def make(self, key: Hashable, build: Callable[[], T]) -> T:
        """What is held under the key, else what ``build`` gives; concurrent callers share one build.

        What ``build`` raises is raised to all of them and not kept."""
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                return held
            waiting = self._making.get(key)
            mine: Future[T] = Future()
            if waiting is None:
                self._making[key] = mine
        if waiting is not None:
            return waiting.result()
        try:
            made = build()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            self._put(key, made)
            mine.set_result(made)
            return made
        finally:
            with self._lock:
                self._making.pop(key, None)

    def _put(self, key: Hashable, made: T) -> None:
        with self._lock:
            self._held[key] = made
            self.weight += made.weight
            while self.weight > self._limit and len(self._held) > 1:
                self.weight -= self._held.popitem(last=False)[1].weight

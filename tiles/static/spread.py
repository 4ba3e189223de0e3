"""Work in pieces over any ``concurrent.futures.Executor``: processes here, or dask.distributed on a cluster.

A piece is a function of this package, an :data:`Opener` and what to make; workers open the city themselves,
so that neither geometries nor connections travel."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from tiles.service import Tiles

#: Pieces that are under way or wait to be taken: what bounds the memory of results.
AHEAD = 8


@dataclass(frozen=True, slots=True)
class Opened:
    """A city's tiles, and the bytes of a texture by layer and SHA-256."""

    tiles: Tiles
    texture: Callable[[str, str], bytes]


#: Opens the city; to be pickled, and equal where it opens the same.
type Opener = Callable[[], Opened]


@functools.lru_cache(maxsize=1)
def opened(opener: Opener) -> Opened:
    """The city, opened once a process."""
    return opener()


def in_order[T, R](executor: Executor, function: Callable[[T], R], pieces: Iterable[T]) -> Iterator[R]:
    """The results of pieces in their order, a few of them at a time."""
    waiting: deque[Future[R]] = deque()
    try:
        for piece in pieces:
            waiting.append(executor.submit(function, piece))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for left in waiting:
            left.cancel()

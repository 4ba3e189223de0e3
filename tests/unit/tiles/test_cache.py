"""The tile cache and the versions from the log."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.model import Change
from layers.store.base import Store
from layers.types import Bbox
from tiles import freshness, scheme
from tiles.cache import Cache
from tiles.freshness import BUFFER, Freshness
from tiles.scene import tree


@dataclass(frozen=True)
class Thing:
    """Something of a given weight."""

    weight: int


def test_one_build_for_all_who_ask_at_once() -> None:
    cache: Cache[Thing] = Cache(100)
    begun, go, built = threading.Event(), threading.Event(), []

    def build() -> Thing:
        built.append(1)
        begun.set()
        assert go.wait(5)
        return Thing(1)

    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(cache.make, "k", build)
        assert begun.wait(5)
        others = [pool.submit(cache.make, "k", build) for _ in range(5)]
        go.set()
        found = {id(f.result(5)) for f in [first, *others]}
    assert len(found) == len(built) == 1


def test_a_failed_build_is_raised_and_not_kept() -> None:
    cache: Cache[Thing] = Cache(100)

    def fail() -> Thing:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.make("k", fail)
    assert cache.get("k") is None
    assert cache.make("k", lambda: Thing(2)) == Thing(2)


def test_the_least_recently_used_goes_first() -> None:
    cache: Cache[Thing] = Cache(100)
    for key in "abc":
        cache.make(key, lambda: Thing(40))
        cache.get("a")
    assert [key for key in "abc" if cache.get(key)] == ["a", "c"]
    assert cache.weight == 80


class Log:
    """The change log of a store, and nothing else."""

    def __init__(self) -> None:
        self.rows: list[Change] = []
        self.epoch = "e"

    def seq(self) -> int:
        return self.rows[-1].seq if self.rows else 0

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        return [row for row in self.rows if row.seq > since][:limit]


def freshness_of(log: Log) -> Freshness:
    """Freshness over a bare log."""
    found = Freshness(cast(Store, log))
    found.update()
    return found


corner = st.tuples(st.floats(24.90, 24.98), st.floats(60.15, 60.19), st.floats(0, 0.01), st.floats(0, 0.01))
boxes = st.none() | corner.map(lambda c: (c[0], c[1], c[0] + c[2], c[1] + c[3]))
rows = st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(1, 9), boxes, boxes), max_size=25)


def touches(box: Bbox, tile: tuple[int, int, int]) -> bool:
    """Whether a lon/lat box meets a tile with its buffer, from the definition."""
    z, x, y = tile
    ((x0, y0, x1, y1),) = scheme.world_boxes(np.array([box])).tolist()
    n = 2.0**z
    across = x0 * n <= x + 1 + BUFFER and x1 * n >= x - BUFFER
    return bool(across and y0 * n <= y + 1 + BUFFER and y1 * n >= y - BUFFER)


@given(rows, st.integers(10, 16), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_versions_follow_from_the_log(given_rows: list[Any], z: int, dx: int, dy: int) -> None:
    x, y = scheme.world(np.array(24.94), np.array(60.17))
    tile = (z, int(x * 2**z) + dx - 1, int(y * 2**z) + dy - 1)
    log = Log()
    live = freshness_of(log)
    expected = {"a": 0, "b": 0}
    nodes: dict[str, dict[tree.Node, int]] = {"a": {}, "b": {}}
    for seq, (layer, fid, old, new) in enumerate(given_rows, 1):
        change = Change(seq, layer, fid, old, new)
        log.rows.append(change)
        live.update()
        present = [box for box in (old, new) if box is not None]
        if any(touches(box, tile) for box in present) or (fid is None and not present):
            expected[layer] = seq
        if fid is not None:
            nodes[layer] |= dict.fromkeys(freshness.touched_nodes(change), seq)
            assert (tile in set(freshness.touched(change))) == any(touches(box, tile) for box in present)
        elif not present:
            nodes[layer] = dict.fromkeys(nodes[layer], seq)
    again = freshness_of(log)
    for layer in "ab":
        assert live.vector([layer], *tile) == again.vector([layer], *tile) == expected[layer]
        for node, seq in nodes[layer].items():
            assert live.scene(layer, *node) == again.scene(layer, *node) >= seq
    assert live.vector(["a", "b"], *tile) == max(expected.values())


def test_memory_stays_bounded_and_equal_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "REMEMBERED", 40)
    log = Log()
    live = freshness_of(log)
    for seq in range(1, 200):
        west = 24.9 + 0.001 * (seq % 50)
        log.rows.append(Change(seq, "a", seq % 50, None, (west, 60.17, west + 1e-4, 60.1701)))
        live.update()
    again = freshness_of(log)
    tiles = list(scheme.cells((0.5692, 0.2890, 0.5694, 0.2895), 16))
    assert [live.vector(["a"], *t) for t in tiles] == [again.vector(["a"], *t) for t in tiles]
    assert len(live._layers["a"].boxes) <= 40


def test_another_history_under_the_same_store_starts_over() -> None:
    log = Log()
    log.rows = [Change(seq, "a", 1, None, (24.9, 60.1, 24.91, 60.11)) for seq in range(1, 6)]
    live = freshness_of(log)
    log.epoch, log.rows = "f", log.rows[:2]
    told = live.update()
    assert told[0] == Change(0, "a", None, None, None)
    assert live.vector(["a"], 0, 0, 0) == 2


def test_a_region_as_large_as_the_world_is_taken_in_at_once() -> None:
    log = Log()
    log.rows = [
        Change(1, "a", 1, None, (24.9, 60.1, 24.91, 60.11)),
        Change(2, "a", None, None, (-180.0, -85.0, 180.0, 85.0)),
        Change(3, "a", 1, (24.9, 60.1, 24.91, 60.11), None),
    ]
    live = freshness_of(log)
    assert live.layer("a") == 3
    for z in (0, 10, 16):
        assert live.vector(["a"], z, 0, 2**z // 2) >= 2
    assert live.scene("a", 16, 0, 2**15) == 2
    assert live.scene("a", 16, 0, 0) == 0, "north of it"
    assert len(live._layers["a"].nodes) <= freshness.REMEMBERED

"""The newest number in a box is that which a look through all rows finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.types import Bbox
from tiles import log_index, scheme
from tiles.log_index import LogIndex

small = st.floats(0, 0.02)
boxes = st.tuples(st.floats(0.5, 0.6), st.floats(0.5, 0.6), small, small).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@pytest.fixture(autouse=True, scope="module")
def few() -> object:
    patch = pytest.MonkeyPatch()
    patch.setattr(log_index, "_TAIL", 7)
    patch.setattr(log_index, "_BLOCK", 3)
    yield
    patch.undo()


@given(st.lists(boxes, max_size=60), st.lists(boxes, min_size=1, max_size=5), st.sampled_from([5, 20, 1000]))
@settings(max_examples=300, deadline=None)
def test_the_newest_is_found(given_: list[Bbox], asked: list[Bbox], most: int) -> None:
    index, kept, floor = LogIndex(), [], 0
    for seq, box in enumerate(given_, 1):
        index.add(seq, box)
        kept.append((seq, box))
        if len(kept) > most:
            gone = len(kept) - most // 2
            floor = kept[gone - 1][0]
            assert index.forget(most // 2) == floor
            kept = kept[gone:]
        assert len(index) == len(kept)
    everything: Bbox = (0.0, 0.0, 1.0, 1.0)
    for box in [*asked, everything, (0.52, 0.52, 0.58, 0.58)]:
        met = [seq for seq, own in kept if scheme.meets(np.array([own]), box)[0]]
        assert index.newest(box) == max(met, default=0)

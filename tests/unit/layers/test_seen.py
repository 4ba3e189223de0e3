"""Texts that were there before are found again, whichever batch they were in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from layers.seen import Seen

TEXTS = st.lists(st.one_of(st.none(), st.sampled_from("abcdefgh"), st.text(max_size=3)), max_size=20)


@given(st.lists(TEXTS, max_size=12))
def test_finds_what_a_set_finds(batches: list[list[str | None]]) -> None:
    seen, known = Seen(), set[str]()
    for batch in batches:
        wanted = []
        for at, text in enumerate(batch):
            if text is None:
                continue
            if text in known:
                wanted.append(at)
            known.add(text)
        assert seen.add(batch).tolist() == wanted

"""Which moments can be asked for: numbers and instants, and what is none; whatever the clock did."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta

import pytest

from layers.errors import BadParameter, Gone, NotFound
from layers.model import Author
from layers.store.base import Store
from tests.histories.foreign import Hand
from tests.storing import features, grid, load, one, spec

VERSIONS = int(os.environ.get("TWIN_HISTORY_VERSIONS", "1000"))


@pytest.fixture
def city(store: Store) -> Store:
    """Five squares, loaded and then edited twice: change sets 1 to 3."""
    load(store, spec(), grid(5))
    store.patch("buildings", 1, {"properties": {"name": "second"}}, by=Author(actor="anna", message="why"))
    store.delete("buildings", 2)
    return store


MALFORMED = (
    *(
        "",
        " ",
        "@",
        "@x",
        "@-1",
        "@+1",
        "@1.5",
        "@1e3",
        "@ 1",
        "@1 ",
        "@٣",
        "@0x10",
        "@1_0",
        "@@1",
        "1",
        "now",
    ),
    *("now", "@" + "9" * 18, "@" + "9" * 30, "@" + "9" * 5000, "@1\n", "@1\x00", "@\ud800"),
    # no zone
    *("2026-11-29", "2026-11-29T12:00", "2026-11-29T12:00:00", "2026-11-29T12:00:00.5", "20261129T120000"),
    # no instant
    *("2026-02-30T12:00:00Z", "2026-11-29T24:00:01Z", "2026-11-29T12:60:00Z", "2026-13-01T00:00:00Z"),
    *("2026-11-29T12:00:00+25:00", "2026-11-29T12:00:00+0100Z", "2026-11-29T12:00:00 Z", "x" * 10_000),
    *(
        "-2026-11-29T12:00:00Z",
        "2026-11-29T12:00:00Z/..",
        "../2026-11-29T12:00:00Z",
        "２０２６-11-29T12:00:00Z",
    ),
    # not yet
    *("9999-12-31T23:59:59Z", "2099-01-01T00:00:00+08:00", "@1000000"),
)


def test_what_is_no_moment(city: Store) -> None:
    for text in MALFORMED:
        with pytest.raises(BadParameter, match=r"^at=") as refused:
            pytest.fail(f"{text!a} is {city.moment(text)}")
        assert len(str(refused.value)) < 400


def test_the_future_is_said_to_be_one(city: Store) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=10)
    with pytest.raises(BadParameter, match=r"future|has been"):
        city.moment(soon.isoformat())


def test_before_the_beginning_it_is_said_what_is_kept(city: Store) -> None:
    kept = city.kept()
    for text in ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00+14:00", "2020-06-15T12:00:00.123456-08:00"):
        with pytest.raises(Gone, match=kept.at[:10]):
            city.moment(text)
    with pytest.raises(NotFound):
        city.kept("never")


def test_numbers_and_instants_of_a_set(city: Store) -> None:
    sets = city.change_sets()[::-1]
    assert [(s.first, s.last) for s in sets] == [(1, 1), (2, 2), (3, 3)]
    assert [(s.actor, s.via, s.message) for s in sets][1] == ("anna", "api", "why")
    for number, one_set in enumerate(sets, 1):
        assert city.moment(f"@{number}").seq == number
        zoned = datetime.fromisoformat(one_set.at).astimezone(tz=None).isoformat()
        assert city.moment(zoned).at == one_set.at
    assert [city.moment(f"@{number}").fixed for number in (1, 2, 3)] == [True, True, False]
    assert city.moment(f"@{3:09}").seq == 3  # leading zeros are a number, too
    now = city.moment(datetime.now(UTC).isoformat())
    assert (now.seq, now.fixed) == (3, False)


def test_what_is_kept_can_be_asked_for(city: Store) -> None:
    kept = city.kept()
    assert city.moment(f"@{kept.seq}").seq == kept.seq
    assert city.as_of(kept.seq).layers() == []
    with pytest.raises(NotFound):
        city.as_of(kept.seq).rows("buildings")
    assert city.kept("buildings").seq <= 1


def test_the_newest_moment_is_told_of_a_load_that_changes_nothing(store: Store) -> None:
    load(store, spec(), grid(5))
    seq = store.seq()
    past = store.as_of(seq)
    assert past.feature_layer("buildings").generation == 1
    assert load(store, spec(), grid(5)).generation == 2
    assert store.seq() == seq
    for then in (past, store.as_of(seq)):
        assert then.feature_layer("buildings").generation == 2


def test_a_layer_that_was_not_there_yet_and_one_that_is_gone(city: Store) -> None:
    load(city, spec("other"), grid(2))
    city.drop("buildings")
    with pytest.raises(NotFound, match="other"):
        city.as_of(3).items("other", _all())
    assert [layer.id for layer in city.as_of(3).layers()] == ["buildings"]
    assert [layer.id for layer in city.as_of(4).layers()] == ["buildings", "other"]
    assert [layer.id for layer in city.as_of(5).layers()] == ["other"]
    assert len(city.as_of(3).rows("buildings").fids) == 4


def _all():  # type: ignore[no-untyped-def]
    from layers.query import Query

    return Query(limit=100)


def test_a_clock_that_was_ahead(city: Store, hand: Hand) -> None:
    """A set that a wrong clock dated into the future: what follows is not before it; order is by number."""
    ahead = "2099-01-01T00:00:00.000Z"
    with hand.transaction():
        hand.run(f"UPDATE {hand.table('twin_sets')} SET at = ? WHERE last = 3", [ahead])
    city.patch("buildings", 1, {"properties": {"name": "third"}})
    sets = city.change_sets()
    assert [s.last for s in sets] == [4, 3, 2, 1]
    assert sets[0].at >= sets[1].at == ahead
    assert city.moment("@4").seq == 4
    assert city.moment(datetime.now(UTC).isoformat()).seq == 2  # of 3 it is said to be later
    assert one_name(city, 4) == "third"
    assert one_name(city, 3) == one_name(city, 2) == "second"


def one_name(city: Store, seq: int) -> str:
    """The name of feature 1 after a change."""
    return str(city.as_of(seq).rows("buildings", [1]).properties["name"][0])


def test_a_feature_that_changed_very_often(city: Store, hand: Hand) -> None:
    """By another program, a thousand to a transaction (a row that changes often in one is slow in PostgreSQL,
    with us or without), and the rest in ours."""
    for some in itertools.batched(range(VERSIONS), 1_000):
        with hand.transaction():
            for number in some:
                hand.update("buildings", [1], "levels", "integer", number)
    first = 4
    last = city.seq()
    assert last == 3 + VERSIONS
    for number in range(20):
        city.patch("buildings", 1, {"properties": {"levels": -number}})
    newest = city.versions("buildings", 1, limit=10)
    assert [v.since for v in newest] == list(range(last + 20, last + 10, -1))
    seen, before = 0, None
    while page := city.versions("buildings", 1, before=before, limit=5000):
        seen, before = seen + len(page), page[-1].since
    assert seen == 2 + VERSIONS + 20
    for seq in (last, first + VERSIONS // 2, first, 3, 2):
        then = city.as_of(seq)
        level = then.rows("buildings", [1]).properties["levels"][0]
        assert level == (0 if seq < first else seq - first)
        assert len(then.rows("buildings").fids) == (5 if seq < 3 else 4)
        assert then.revision("buildings", 1) == (seq if seq != 3 else 2)
    assert one(city, 1)["properties"]["levels"] == -19
    assert len(features(city)) == 4

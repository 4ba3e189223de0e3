"""Loads and statements above the size at which the log gets one row for all of them keep each old row."""

from __future__ import annotations

from typing import Any

import pytest
import shapely

from layers.errors import NotFound
from layers.query import Query
from layers.store.base import Readable, Store
from layers.store.staged import LOGGED_EACH
from tests.histories.foreign import Hand
from tests.storing import load, row, spec

COUNT = LOGGED_EACH + 500
POINTS = spec("dots", geometry_type="Point")


def points(count: int, level: int, first: int = 0) -> list[dict[str, Any]]:
    """Rows of which every third moves with the level; a tenth stays as it is."""
    return [
        row(
            f"p{i}",
            shapely.Point(25 + i * 1e-5, 60 + (level * 1e-3 if i % 3 == 0 else 0)),
            name=f"p{i}",
            levels=0 if i % 10 == 1 else level,
        )
        for i in range(first, first + count)
    ]


def seen(city: Readable) -> dict[str, Any] | None:
    """All there is of the layer, and a page of it."""
    try:
        layer = city.feature_layer("dots")
    except NotFound:
        return None
    rows = city.rows("dots")
    box = (25.01, 59.9995, 25.02, 60.0005)
    return {
        "words": (layer.generation, layer.count, layer.seq, layer.fields),
        "rows": (rows.fids.tolist(), list(rows.wkb), rows.properties),
        "page": city.items("dots", Query(bbox=box, limit=50)),
        "counts": [city.count("dots", Query(equals=(("levels", n),)), 100_000) for n in range(4)],
    }


def test_each_row_of_large_loads_is_kept(store: Store, hand: Hand) -> None:
    states = {store.seq(): seen(store)}
    # a load of many changes, and one of few: both are logged, as a whole and each
    for rows, mode in (
        (points(COUNT, 1), "create"),
        (points(COUNT, 2), "replace"),
        (points(COUNT, 2)[:-5] + points(5, 3, COUNT), "replace"),
        (points(COUNT, 3, COUNT + 5), "append"),
    ):
        load(store, POINTS, rows, mode)
        states[store.seq()] = seen(store)
    with hand.transaction():
        hand.run(f"UPDATE {hand.table('dots')} SET levels = 0 WHERE levels > 1")
    states[store.seq()] = seen(store)
    load(store, POINTS, points(400, 0))  # the others are removed
    states[store.seq()] = seen(store)
    store.drop("dots")
    states[store.seq()] = seen(store)
    load(store, POINTS, points(10, 1))
    states[store.seq()] = seen(store)
    assert len(states) == 9
    for seq, then in reversed(states.items()):
        past = store.as_of(seq)
        assert seen(past) == then, seq
        if then is None:
            with pytest.raises(NotFound):
                past.rows("dots")

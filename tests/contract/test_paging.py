"""Following the links of a sorted page while others write: what did not move comes exactly once."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest

from layers import query as queries_
from layers.query import Query
from layers.store.base import Store
from layers.types import CRS84, Sort
from tests import queries
from tests.storing import load

SORTS = (
    (),
    (Sort("levels"),),
    (Sort("name", True), Sort("height_m")),
    (Sort("listed"), Sort("seen", True), Sort("名称")),
    (Sort("id", True),),
)


@pytest.mark.parametrize("sort", SORTS, ids=lambda s: ",".join(k.field for k in s) or "id")
def test_pages_beside_a_writer(store: Store, sort: tuple[Sort, ...]) -> None:
    rng = Random(5)
    load(store, queries.SPEC, queries.rows(rng, 120))
    alive, moved, seen = set(range(1, 121)), set[int](), list[int]()
    query: Query | None = Query(sort=sort, limit=9, crs=CRS84)
    while query is not None:
        page = store.items("everything", query)
        seen += [f["id"] for f in json.loads(b"[" + page.features + b"]")]
        for _ in range(2):
            fid = rng.choice(sorted(alive - moved))
            moved.add(fid)
            if rng.random() < 0.5:
                alive.discard(fid)
                store.delete("everything", fid)
            else:
                values = queries.rows(rng, 1)[0]
                changed = {n: values[n] for n in ("name", "levels", "height_m", "listed", "seen", "名称")}
                store.patch("everything", fid, {"properties": changed})
        feature = {"type": "Feature", "geometry": None, "properties": {"levels": rng.randrange(9)}}
        moved.add(store.create("everything", feature)[0])
        query = _next(store, query, page.next_after)
    assert sorted(f for f in seen if f not in moved) == sorted(alive - moved)


def _next(store: Store, query: Query, after: tuple[object, ...] | None) -> Query | None:
    """The query of the next page, through the text of its link."""
    if after is None:
        return None
    text = queries_.cursor_text(query, after)  # type: ignore[arg-type]
    sortby = ",".join(("-" if k.descending else "+") + k.field for k in query.sort)
    pairs = [("after", text), *([("sortby", sortby)] if sortby else [])]
    return replace(query, after=queries_.parse(store.layer("everything"), pairs).after)

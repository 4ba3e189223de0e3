"""Filter, sort, words, a choice of properties, and pages that stay stable: what every store must do."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import shapely

from layers.cql.parse import parse
from layers.errors import BadParameter
from layers.query import Query
from layers.store.base import Store
from layers.types import Cursor, Sort
from tests.storing import features, fids, grid, load, one, row, spec, square

HEIGHTS = (3.5, None, 20.0, 3.5, None, 1.0)


def mixed(store: Store) -> None:
    names = ("b", "a", "B", None, "é", "z")
    rows = [
        row(
            f"s{i}",
            square(25 + i * 0.01, 60),
            name=names[i],
            height_m=HEIGHTS[i],
            levels=i % 3,
            listed=i % 2 == 0,
        )
        for i in range(6)
    ]
    load(store, spec(), rows)


def walk(store: Store, limit: int, **query: Any) -> list[int]:
    """Every page, by its cursor."""
    seen: list[int] = []
    after: Cursor | None = None
    while True:
        page = store.items("buildings", Query(limit=limit, after=after, **query))
        seen += [f["id"] for f in json.loads(b"[" + page.features + b"]")]
        after = page.next_after
        if after is None:
            return seen


def test_sort(store: Store) -> None:
    mixed(store)
    assert fids(store, sort=(Sort("height_m"),)) == [6, 1, 4, 3, 2, 5]
    assert fids(store, sort=(Sort("height_m", descending=True),)) == [3, 1, 4, 6, 2, 5]
    assert fids(store, sort=(Sort("name"),)) == [3, 2, 1, 6, 5, 4]
    assert fids(store, sort=(Sort("listed", True), Sort("levels"))) == [1, 5, 3, 4, 2, 6]
    with pytest.raises(BadParameter, match="nosuch"):
        store.items("buildings", Query(sort=(Sort("nosuch"),)))


@pytest.mark.parametrize("limit", [1, 2, 4, 6])
def test_sorted_pages(store: Store, limit: int) -> None:
    mixed(store)
    for sort in (
        (Sort("height_m"),),
        (Sort("height_m", True),),
        (Sort("name", True),),
        (Sort("listed"), Sort("height_m", True), Sort("name")),
    ):
        assert walk(store, limit, sort=sort) == fids(store, sort=sort)
        box = (24.9, 59.9, 25.045, 60.1)
        assert walk(store, limit, sort=sort, bbox=box) == [f for f in fids(store, sort=sort) if f < 6]
    after = store.items("buildings", Query(limit=1, sort=(Sort("listed"), Sort("height_m")))).next_after
    assert after == (False, 1.0, 6)
    assert type(after[0]) is bool


def test_sorted_pages_stay_stable_under_edits(store: Store) -> None:
    load(store, spec(), grid(20))
    sort = (Sort("levels", descending=True),)
    first = store.items("buildings", Query(limit=8, sort=sort))
    assert first.next_after == (12, 13)
    store.delete("buildings", 13)
    store.patch("buildings", 1, {"properties": {"levels": 99}})
    store.create("buildings", {"type": "Feature", "geometry": None, "properties": {"levels": 50}})
    rest = fids(store, sort=sort, after=first.next_after)
    assert rest == list(range(12, 1, -1))


def test_filter(store: Store) -> None:
    mixed(store)
    layer = store.layer("buildings")

    def found(text: str, **query: Any) -> list[int]:
        chosen = parse(text, "cql2-text", layer)
        page = store.items("buildings", Query(filter=chosen, **query))
        assert page.matched == len(fids(store, filter=chosen, **query))
        return fids(store, filter=chosen, **query)

    assert found("height_m > 3") == [1, 3, 4]
    assert found("NOT height_m > 3") == [6]
    assert found("height_m IS NULL OR levels = 0") == [1, 2, 4, 5]
    assert found("CASEI(name) = CASEI('B')") == [1, 3]
    assert found("listed = true AND levels = 2", bbox=(25, 60, 25.03, 60.1)) == [3]
    inside = "S_INTERSECTS(geometry, POLYGON((25.005 60, 25.025 60, 25.025 60.1, 25.005 60.1, 25.005 60)))"
    assert found(inside) == [2, 3]
    assert found(f"{inside} AND height_m > 3") == [3]
    assert found(inside, bbox=(25.02, 59, 26, 61)) == [3]
    assert found(inside, sort=(Sort("height_m", descending=True),)) == [3, 2]
    assert found("S_DISJOINT(geometry, POINT(0 0))") == [1, 2, 3, 4, 5, 6]


def test_words(store: Store) -> None:
    rows = [row(f"way/{i}", square(25, 60), name=n) for i, n in enumerate(("Café Ülm", "STRASSE 5", "楼房"))]
    load(store, spec(), rows)
    assert fids(store, words=("cafe",)) == [1]
    assert fids(store, words=("straße", "房")) == [2, 3]
    assert fids(store, words=("way/1",)) == [2]
    assert fids(store, words=("%",)) == []


def test_a_choice_of_properties(store: Store) -> None:
    mixed(store)
    whole = features(store)
    some = features(store, properties=("levels", "name"))
    for before, after in zip(whole, some, strict=True):
        kept = {k: v for k, v in before["properties"].items() if k in ("levels", "name")}
        assert after == before | {"properties": kept}
    assert list(some[0]["properties"]) == ["name", "levels"]
    assert features(store, properties=())[0]["properties"] == {}
    gk25 = "http://www.opengis.net/def/crs/EPSG/0/3879"
    there = features(store, properties=("name",), crs=gk25)
    assert [f["properties"] for f in there] == [{"name": f["properties"]["name"]} for f in whole]
    assert there[0]["geometry"]["coordinates"][0][0][0] > 1_000_000
    with pytest.raises(BadParameter, match="nosuch"):
        store.items("buildings", Query(properties=("name", "nosuch")))


def test_what_has_no_place_meets_every_box(store: Store) -> None:
    load(store, spec(), grid(12))
    world, corner = (-180.0, -90.0, 180.0, 90.0), (25.0, 60.0, 25.012, 60.001)
    assert fids(store, bbox=world) == list(range(1, 13))
    store.patch("buildings", 3, {"geometry": None})
    fid, _ = store.create("buildings", {"type": "Feature", "geometry": None, "properties": {"levels": 1}})
    page = store.items("buildings", Query(bbox=world, limit=4))
    assert (page.matched, page.next_after) == (13, (4,))
    assert fids(store, bbox=corner) == [1, 2, 3, fid]
    assert fids(store, bbox=(179, -90, -179, 90)) == [3, fid]
    assert fids(store, bbox=corner, equals=(("levels", 1),)) == [2, fid]
    assert fids(store, bbox=corner, sort=(Sort("levels", True),)) == [3, 2, fid, 1]
    inside = parse(
        "S_INTERSECTS(geometry, BBOX(25, 60, 25.012, 60.001))", "cql2-text", store.layer("buildings")
    )
    assert fids(store, filter=inside) == [1, 2]
    store.patch("buildings", 3, {"geometry": one(store, 4)["geometry"]})
    store.delete("buildings", fid)
    assert fids(store, bbox=corner) == [1, 2]


def test_bbox_of_shapes_that_reach_across(store: Store) -> None:
    shapes = [
        shapely.LineString([(0, 0), (10, 10)]),
        shapely.LineString([(0, 5), (10, 5)]),
        shapely.LineString([(0, 0), (0, 10), (10, 10)]),
        shapely.MultiPoint([(0, 5), (10, 5)]),
        shapely.Point(5, 5),
        shapely.LineString([(4.5, 0), (4.5, 4.4), (9, 4.4)]),
    ]
    load(store, spec(geometry_type="Geometry"), [row(f"s{i}", s) for i, s in enumerate(shapes)])
    assert fids(store, bbox=(4, 4.5, 6, 5.5)) == [1, 2, 5]
    assert fids(store, bbox=(5, 5, 5, 5)) == [1, 2, 5]
    assert fids(store, bbox=(4, 4, 5, 4.4)) == [1, 6]
    assert fids(store, bbox=(1, 2, 9, 3)) == [1, 6]


@pytest.mark.parametrize(
    "text",
    [
        "CASEI(" * 31 + "name" + ")" * 31 + " = 'a'",
        "levels" + " + 1" * 30 + " = 30",
        "height_m" + " ^ 2" * 30 + " > 1",
    ],
    ids=lambda text: text[:20],
)
def test_a_deep_nest_is_answered_or_refused(store: Store, text: str) -> None:
    """The parser of SQLite has a stack of its own, which is smaller than what a filter may nest."""
    mixed(store)
    deep = parse(text, "cql2-text", store.layer("buildings"))
    with contextlib.suppress(BadParameter):
        assert set(fids(store, filter=deep)) < set(range(1, 7))
    assert len(fids(store)) == 6

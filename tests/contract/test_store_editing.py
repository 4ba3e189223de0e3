"""PUT, PATCH, revisions and their refusals: what every store must do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import shapely

from layers import kinds
from layers.errors import (
    BadBody,
    Exists,
    NotFound,
    Stale,
)
from layers.model import Author
from layers.store.base import Store
from tests.storing import FIELDS, fids, grid, load, one, row, signed, spec, square


def polygon(lon: float, lat: float, size: float = 0.002) -> dict[str, Any]:
    return dict(shapely.geometry.mapping(square(lon, lat, size)))


def test_put(store: Store) -> None:
    load(store, spec(), grid(3))
    before = store.revision("buildings", 2)
    body = {
        "type": "Feature",
        "id": 2,
        "geometry": polygon(24, 59),
        "properties": {"levels": 9, "seen": None},
    }
    revision = store.replace("buildings", 2, body, before)
    assert revision == store.revision("buildings", 2) == store.seq() == store.item("buildings", 2).revision
    changed = one(store, 2)
    assert changed["properties"] == dict.fromkeys((f.name for f in FIELDS), None) | {
        "levels": 9,
        "source_id": "b1",
    }
    change = store.changes(before)[-1]
    assert (change.fid, change.old) == (2, pytest.approx((25.01, 60, 25.011, 60.001)))
    assert change.new == pytest.approx((24, 59, 24.002, 59.002))
    assert fids(store, bbox=(23.9, 58.9, 24.1, 59.1)) == [2]
    assert fids(store, bbox=(25.01, 60, 25.011, 60.001)) == []
    assert store.revision("buildings", 1) == before


def test_patch(store: Store) -> None:
    load(store, spec(), grid(3))
    shape = one(store, 2)["geometry"]
    store.patch("buildings", 2, {"properties": {"name": None, "height_m": 4}})
    changed = one(store, 2)
    assert (changed["properties"]["name"], changed["properties"]["height_m"]) == (None, 4)
    assert (changed["properties"]["levels"], changed["geometry"]) == (1, shape)
    store.patch("buildings", 2, {"geometry": polygon(20, 50)})
    assert one(store, 2)["properties"]["levels"] == 1
    store.patch("buildings", 2, {"geometry": None})
    assert one(store, 2)["geometry"] is None
    assert 2 not in store.rows("buildings").fids
    assert fids(store, bbox=(0, 0, 1, 1)) == [2]  # 17-069r4, /req/core/fc-bbox-response C
    assert fids(store) == [1, 2, 3]


def test_who_edited_is_kept_with_the_revision(store: Store, opener: Callable[[], Store]) -> None:
    load(store, spec(), grid(4), "create")
    first = store.patch("buildings", 2, {"properties": {"name": "a"}}, by=Author(actor="duty"))
    store.patch("buildings", 2, {"properties": {"name": "b"}})
    third = store.patch("buildings", 2, {"properties": {"name": "c"}}, by=Author(actor="planner"))
    with pytest.raises(Stale):
        store.patch("buildings", 2, {"properties": {"name": "d"}}, first, by=Author(actor="late"))
    for reading in (store, opener()):
        assert signed(reading, "buildings", 2) == [(third, "planner"), (first, "duty")]
        assert signed(reading, "buildings", 1) == []


def test_if_match(store: Store) -> None:
    load(store, spec(), grid(2))
    first = store.revision("buildings", 1)
    second = store.patch("buildings", 1, {"properties": {"levels": 5}}, first)
    with pytest.raises(Stale):
        store.patch("buildings", 1, {"properties": {"levels": 6}}, first)
    assert one(store, 1)["properties"]["levels"] == 5
    store.patch("buildings", 1, {"properties": {"levels": 6}}, second)
    store.patch("buildings", 1, {"properties": {"levels": 7}})


def test_of_two_writers_one_is_stale(store: Store) -> None:
    load(store, spec(), grid(1))
    revision = store.revision("buildings", 1)
    results: list[str] = []
    start = threading.Barrier(8)

    def write(level: int) -> None:
        start.wait(10)
        try:
            store.patch("buildings", 1, {"properties": {"levels": level}}, revision)
            results.append("written")
        except Stale:
            results.append("stale")

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(results) == ["stale"] * 7 + ["written"]


RING = [[0, 0], [1, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        ({"type": "Point", "coordinates": [1, 1]}, "does not fit"),
        ({"type": "Circle", "coordinates": [1, 1]}, "Circle"),
        ({"type": "GeometryCollection", "geometries": []}, "GeometryCollection"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}, "[Ii]ntersection"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 2]]]}, "ends where it began"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 0]]]}, "four positions"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 91], [0, 0]]]}, "latitude"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [float("nan"), 1], [0, 0]]]}, "finite"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [10**400, 0], [1, 1], [0, 0]]]}, "finite"),
        ({"type": "Polygon", "coordinates": [[[0, 0], ["1", 0], [1, 1], [0, 0]]]}, "not a number"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [True, 0], [1, 1], [0, 0]]]}, "not a number"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0, 5], [1, 1], [0, 0]]]}, "height"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1], [0, 0]]]}, "position"),
        ({"type": "Polygon", "coordinates": [RING, []]}, "nested"),
        ({"type": "Polygon", "coordinates": "none"}, "nested"),
        ({"type": "Polygon"}, "missing"),
        ([], "GeoJSON geometry"),
        ({"type": ["Polygon"], "coordinates": [RING]}, "type"),
    ],
)
def test_bad_geometry(unchanged: Store, geometry: Any, reason: str) -> None:
    seq = unchanged.seq()
    with pytest.raises(BadBody, match=reason):
        unchanged.patch("buildings", 1, {"geometry": geometry})
    assert unchanged.seq() == seq


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        ({"properties": {"nosuch": 1, "levels": "x", "name": "ok"}}, ["nosuch", "levels"]),
        ({"properties": {"levels": 1.5}}, ["levels"]),
        ({"properties": {"levels": 2**63}}, ["levels"]),
        ({"properties": {"levels": True}}, ["levels"]),
        ({"properties": {"height_m": "high"}}, ["height_m"]),
        ({"properties": {"height_m": float("inf")}}, ["height_m"]),
        ({"properties": {"listed": 1}}, ["listed"]),
        ({"properties": {"built": "2024-02-30"}}, ["built"]),
        ({"properties": {"seen": "2024-02-03T10:00:00"}}, ["seen", "zone"]),
        ({"properties": {"name": 5}}, ["name"]),
        ({"properties": {"name": "a\x00b"}}, ["name"]),
        ({"properties": {"name": {"a": 1}}}, ["name"]),
        ({"properties": []}, ["object"]),
        ({"properties": None}, ["properties"]),
        ({"properties": {"source_id": None}}, ["source_id"]),
        ({"id": 2, "properties": {}}, ["id"]),
        ({"type": "Point"}, ["type"]),
        ({"levels": 3}, ["levels"]),
    ],
)
def test_bad_patch(unchanged: Store, body: dict[str, Any], reasons: list[str]) -> None:
    seq = unchanged.seq()
    with pytest.raises(BadBody) as raised:
        unchanged.patch("buildings", 1, body)
    assert all(reason in str(raised.value) for reason in reasons)
    assert unchanged.seq() == seq


def test_bad_put(store: Store) -> None:
    load(store, spec(), grid(2))
    whole = {"type": "Feature", "geometry": polygon(1, 1), "properties": {}}
    for change in ({"type": "Thing"}, {"id": 7}, {"properties": {"x": 1}}, {"properties": 5}):
        with pytest.raises(BadBody):
            store.replace("buildings", 1, {**whole, **change})
    for missing in whole:
        with pytest.raises(BadBody, match=missing):
            store.replace("buildings", 1, {k: v for k, v in whole.items() if k != missing})
    with pytest.raises(NotFound):
        store.replace("buildings", 99, whole)
    with pytest.raises(Exists):
        store.patch("buildings", 1, {"properties": {"source_id": "b1"}})


def test_what_was_read_can_be_put_back(store: Store) -> None:
    load(store, spec(), [row(None, square(25, 60), name="a"), row("b", square(26, 60))])
    for fid in (1, 2):
        store.replace("buildings", fid, one(store, fid))
    assert [one(store, fid)["properties"]["source_id"] for fid in (1, 2)] == [None, "b"]
    store.patch("buildings", 1, {"properties": {"source_id": "new"}})
    with pytest.raises(BadBody, match="source_id"):
        store.patch("buildings", 1, {"properties": {"source_id": None}})


def test_singles_become_multi_where_the_layer_is_multi(store: Store) -> None:
    load(store, spec(geometry_type="MultiPolygon"), [row("a", square(1, 1))])
    assert one(store, 1)["geometry"]["type"] == "MultiPolygon"
    store.patch("buildings", 1, {"geometry": polygon(2, 2)})
    assert one(store, 1)["geometry"]["type"] == "MultiPolygon"


def test_how_a_value_is_known_goes_with_the_value(store: Store) -> None:
    """A height given by hand is measured by hand; one that nobody gives comes from the kind's chain."""
    fields = tuple(f for f in kinds.get("building").fields if f.name != "use")
    load(
        store,
        spec(fields=fields),
        [row("b1", square(25, 60), height_m=9.6, height_source="default", min_height_m=0.0)],
    )

    def known() -> tuple[Any, ...]:
        found = one(store, 1)["properties"]
        return tuple(found[name] for name in ("height_m", "height_source", "levels"))

    store.patch("buildings", 1, {"properties": {"levels": 5}})
    assert known() == (16.0, "levels", 5)
    store.patch("buildings", 1, {"properties": {"height_m": 21.5}})
    assert known() == (21.5, "measured", 5)
    store.patch("buildings", 1, {"properties": {"name": "x"}})
    assert known() == (21.5, "measured", 5)
    store.patch("buildings", 1, {"properties": {"height_m": None}})
    assert known() == (16.0, "levels", 5)
    whole = one(store, 1)
    store.replace("buildings", 1, whole | {"properties": whole["properties"] | {"height_m": 17}})
    assert known() == (17, "measured", 5)
    made, _ = store.create("buildings", {"type": "Feature", "geometry": polygon(24, 59), "properties": {}})
    new = one(store, made)["properties"]
    assert (new["height_m"], new["height_source"], new["min_height_m"]) == (9.6, "default", 0)

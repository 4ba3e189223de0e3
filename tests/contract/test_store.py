"""What every store must do; written once, run on each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import shapely

from layers.batch import MESH
from layers.errors import (
    BadFile,
    BadParameter,
    Exists,
    NotFound,
)
from layers.mesh import Mesh
from layers.query import Query
from layers.store.base import Store
from layers.types import Field
from tests.storing import FIELDS, batch, features, fids, grid, load, one, row, spec, square, tetrahedron


def polygon(lon: float, lat: float, size: float = 0.002) -> dict[str, Any]:
    return dict(shapely.geometry.mapping(square(lon, lat, size)))


def test_an_empty_store(store: Store) -> None:
    assert store.seq() == 0
    assert store.layers() == []
    assert store.changes(0) == []
    for call in (
        lambda: store.layer("x"),
        lambda: store.items("x", Query()),
        lambda: store.item("x", 1),
        lambda: store.revision("x", 1),
        lambda: store.rows("x"),
        lambda: store.drop("x"),
        lambda: store.replace("x", 1, {}),
    ):
        with pytest.raises(NotFound):
            call()


def test_first_load(store: Store) -> None:
    done = load(store, spec(time_field="seen"), grid(25), "create")
    assert (done.generation, done.created, done.updated, done.deleted) == (1, 25, 0, 0)
    layer = store.layer("buildings")
    assert store.layers() == [layer]
    assert (layer.count, layer.generation, layer.seq, layer.time_field) == (25, 1, done.seq, "seen")
    assert [f.name for f in layer.fields] == ["source_id", *(f.name for f in FIELDS)]
    assert layer.field("height_m") == FIELDS[1]
    assert layer.extent == pytest.approx((25, 60, 25.091, 60.021), abs=1e-5)
    assert [(c.layer, c.fid) for c in store.changes(0)] == [("buildings", None)]
    assert store.seq() == done.seq


def test_feature_is_whole(store: Store) -> None:
    load(
        store,
        spec(),
        [
            row(
                "a",
                square(25, 60),
                name='Ä "quoted" 楼',
                height_m=3.5,
                levels=2,
                listed=True,
                built="2001-02-03",
                seen="2024-01-02T03:04:05+02:00",
            ),
            row("b", square(26, 61)),
        ],
    )
    first = one(store, 1)
    assert first["properties"] == {
        "source_id": "a",
        "name": 'Ä "quoted" 楼',
        "height_m": 3.5,
        "levels": 2,
        "listed": True,
        "built": "2001-02-03",
        "seen": "2024-01-02T01:04:05.000Z",
    }
    assert shapely.geometry.shape(first["geometry"]).equals(square(25, 60))
    assert set(one(store, 2)["properties"].values()) == {"b", None}


def test_coordinates_have_nine_decimals(store: Store) -> None:
    shape = shapely.Point(25.12345678949, 60.98765432151)
    load(store, spec(geometry_type="Point"), [row("a", shape), row("z", shapely.Point(1, 2, 3.25))])
    assert one(store, 1)["geometry"]["coordinates"] == [25.123456789, 60.987654322]
    assert one(store, 2)["geometry"]["coordinates"] == [1, 2, 3.25]


def test_pages_by_key(store: Store) -> None:
    load(store, spec(), grid(23))
    seen, after = [], None
    while True:
        page = store.items("buildings", Query(limit=10, after=after))
        assert page.matched == 23
        seen += fids(store, limit=10, after=after)
        if page.next_after is None:
            break
        after = page.next_after
    assert seen == list(range(1, 24))
    assert fids(store, limit=5, offset=20) == [21, 22, 23]
    assert store.items("buildings", Query(limit=23)).next_after is None
    assert store.items("buildings", Query(offset=1000)).returned == 0


def test_key_pages_stay_stable_under_edits(store: Store) -> None:
    load(store, spec(), grid(30))
    first = store.items("buildings", Query(limit=10))
    load(store, spec(), [r for r in grid(30) if r["__source_id"] not in ("b2", "b15")])
    assert fids(store, limit=10, after=first.next_after) == [11, 12, 13, 14, 15, 17, 18, 19, 20, 21]


def test_bbox(store: Store) -> None:
    load(store, spec(), grid(30))
    assert fids(store, bbox=(25.0, 60.0, 25.012, 60.002)) == [1, 2]
    page = store.items("buildings", Query(bbox=(25.0, 60.0, 25.05, 60.05), limit=4))
    assert (page.returned, page.matched) == (4, 18)
    assert fids(store, bbox=(25.0, 60.0, 25.05, 60.05), limit=4, after=page.next_after) == [5, 6, 11, 12]
    assert fids(store, bbox=(25.0005, 60.0005, 25.0005, 60.0005)) == [1]
    assert fids(store, bbox=(0, 0, 1, 1)) == []


def test_bbox_is_exact_not_by_boxes(store: Store) -> None:
    triangle = shapely.Polygon([(25, 60), (26, 60), (25, 61)])
    load(store, spec(), [row("t", triangle)])
    assert fids(store, bbox=(25.8, 60.8, 26, 61)) == []
    assert fids(store, bbox=(25.1, 60.1, 25.2, 60.2)) == [1]


def test_bbox_across_the_antimeridian(store: Store) -> None:
    load(
        store, spec(), [row("e", square(179.5, 10)), row("w", square(-179.9, 10)), row("far", square(0, 10))]
    )
    assert fids(store, bbox=(179, 9, -179, 11)) == [1, 2]


def test_filters(store: Store) -> None:
    rows = [
        row(f"s{i}", square(25 + i * 0.01, 60), name="a" if i % 2 else "b", levels=i, listed=i == 3)
        for i in range(6)
    ]
    load(store, spec(), rows)
    assert fids(store, equals=(("name", "a"),)) == [2, 4, 6]
    assert fids(store, equals=(("name", "a"), ("levels", 3))) == [4]
    assert fids(store, equals=(("listed", True),)) == [4]
    assert fids(store, equals=(("source_id", "s0"),)) == [1]
    assert fids(store, equals=(("name", "a"),), bbox=(25.0, 60, 25.021, 60.1)) == [2]
    assert store.items("buildings", Query(equals=(("name", "a"),), limit=1)).matched == 3
    assert fids(store, equals=(("name", "a' OR 1=1 --"),)) == []
    with pytest.raises(BadParameter, match="nosuch"):
        store.items("buildings", Query(equals=(("nosuch", "x"),)))


def test_time(store: Store) -> None:
    rows = [row(f"s{i}", square(25, 60), seen=f"2024-01-0{i}T12:00:00Z") for i in range(1, 5)]
    rows.append(row("never", square(25, 60)))
    load(store, spec(time_field="seen"), rows)
    load(store, spec("untimed"), grid(2))
    assert fids(store, datetime=("2024-01-02T12:00:00.000Z", "2024-01-03T12:00:00.000Z")) == [2, 3, 5]
    assert fids(store, datetime=(None, "2024-01-01T23:00:00.000Z")) == [1, 5]
    assert fids(store, datetime=("2024-01-03T12:00:00.001Z", None)) == [4, 5]  # 5 has no time
    assert fids(store, "untimed", datetime=("1999-01-01T00:00:00.000Z", None)) == [1, 2]


def test_other_crs(store: Store) -> None:
    load(store, spec(geometry_type="Point"), [row("a", shapely.Point(24.94, 60.17))])
    gk25 = "http://www.opengis.net/def/crs/EPSG/0/3879"
    assert features(store, crs=gk25)[0]["geometry"]["coordinates"] == pytest.approx(
        [6673014.67, 25496669.22], abs=0.1
    )  # northing first: the order of the authority
    wgs84 = "http://www.opengis.net/def/crs/EPSG/0/4326"
    assert features(store, crs=wgs84)[0]["geometry"]["coordinates"] == [60.17, 24.94]


def test_reload_keeps_fids_and_logs_what_changed(store: Store) -> None:
    load(store, spec(), grid(20))
    since = store.seq()
    rows = grid(20)
    rows[3]["name"] = "renamed"
    del rows[7]
    rows.append(row("new", square(24, 59)))
    done = load(store, spec(), rows)
    assert (done.created, done.updated, done.unchanged, done.deleted) == (1, 1, 18, 1)
    assert done.generation == 2
    assert sorted(c.fid or 0 for c in store.changes(since)) == [4, 8, 21]
    by_fid = {c.fid: c for c in store.changes(since)}
    assert by_fid[8].new is None
    assert by_fid[21].old is None
    assert by_fid[4].old == by_fid[4].new
    assert one(store, 4)["properties"]["name"] == "renamed"
    assert store.revision("buildings", 4) > since >= store.revision("buildings", 5)
    with pytest.raises(NotFound):
        store.item("buildings", 8)


def test_reload_of_the_same_rows_logs_nothing(store: Store) -> None:
    load(store, spec(), grid(20))
    since = store.seq()
    done = load(store, spec(), list(reversed(grid(20))))
    assert (done.unchanged, done.generation, store.seq()) == (20, 2, since)
    assert store.layer("buildings").generation == 2


def test_new_words_without_new_rows_are_logged(store: Store) -> None:
    load(store, spec(), grid(3))
    since = store.seq()
    done = load(store, spec(title={"en": "Houses"}), grid(3))
    assert (done.unchanged, done.seq) == (3, since + 1)
    assert [c.fid for c in store.changes(since)] == [None]
    assert store.layer("buildings").title == {"en": "Houses"}


def test_fids_are_never_used_again(store: Store) -> None:
    load(store, spec(), grid(5))
    load(store, spec(), grid(3))
    load(store, spec(), [*grid(3), row("new", square(24, 59))])
    assert fids(store) == [1, 2, 3, 6]
    store.drop("buildings")
    assert load(store, spec(), grid(1), "create").generation == 4
    assert fids(store) == [7]


def test_rows_without_source_id_match_by_key_and_geometry(store: Store) -> None:
    words = spec(key=("name",))
    old = [row(None, square(25 + i * 0.01, 60), name=n) for i, n in enumerate("abcc")]
    load(store, words, old)
    moved = [dict(r) for r in old]
    moved[1] = row(None, square(27, 60), name="b")
    done = load(store, words, [moved[i] for i in (3, 1, 0, 2)])
    assert (done.unchanged, done.updated, done.created, done.deleted) == (3, 1, 0, 0)
    assert one(store, 2)["geometry"]["coordinates"] == polygon(27, 60, 0.001)[
        "coordinates"
    ] or shapely.equals(shapely.geometry.shape(one(store, 2)["geometry"]), square(27, 60))


def test_a_key_that_others_have_hands_no_fid_on(store: Store) -> None:
    words = spec(key=("name",))

    def at(lon: float, name: str | None, levels: int | None = None) -> dict[str, Any]:
        return row(None, square(lon, 60), name=name, levels=levels)

    load(store, words, [at(25, "twin", 1), at(25.1, "twin", 2), at(25.2, "alone", 3), at(25.3, None, 4)])
    # a twin as it was, one moved, one alone that moved; and a row whose lack of a name is no key
    done = load(store, words, [at(25, "twin", 1), at(26, "twin", 2), at(26.2, "alone", 3), at(26.3, None, 4)])
    assert (done.unchanged, done.updated, done.created, done.deleted) == (1, 1, 2, 2)
    assert done.vague == 1
    assert {f["id"]: f["properties"]["levels"] for f in features(store)} == {1: 1, 3: 3, 5: 2, 6: 4}


def test_of_rows_alike_each_finds_its_own_feature_or_none(store: Store) -> None:
    same = square(25, 60)
    first = [row(None, same, name=name) for name in ("a", "b", "b", "c")]
    load(store, spec(), first)
    done = load(store, spec(), [first[2], first[3], first[1]])  # a is gone, the others are who they were
    assert (done.unchanged, done.deleted, done.vague) == (3, 1, 0)
    assert {f["id"]: f["properties"]["name"] for f in features(store)} == {2: "b", 3: "b", 4: "c"}
    done = load(store, spec(), [first[1], row(None, same, name="d"), row(None, same, name="e")])
    assert (done.unchanged, done.created, done.deleted, done.vague) == (1, 2, 2, 2)
    assert [f["properties"]["name"] for f in features(store)] == ["b", "d", "e"]


def test_create_and_append(store: Store) -> None:
    load(store, spec(), grid(3), "create")
    with pytest.raises(Exists):
        load(store, spec(), grid(3), "create")
    assert store.layer("buildings").generation == 1
    done = load(store, spec(), [row("b1", square(1, 1), name="x"), row("n", square(2, 2))], "append")
    assert (done.created, done.updated, done.unchanged, done.deleted) == (1, 1, 0, 0)
    assert fids(store) == [1, 2, 3, 4]
    extra = spec(fields=(Field("extra", "string"),))
    load(store, extra, [row("n2", square(3, 3), extra="e")], "append")
    assert [f["properties"]["extra"] for f in features(store)] == [None] * 4 + ["e"]
    assert features(store)[1]["properties"]["name"] == "x"


def test_new_generation_may_have_other_fields(store: Store) -> None:
    load(store, spec(), grid(3))
    since = store.seq()
    load(
        store,
        spec(fields=(Field("name", "string"), Field("levels", "string"))),
        [{**r, "levels": "many"} for r in grid(3)],
    )
    assert set(features(store)[0]["properties"]) == {"source_id", "name", "levels"}
    assert features(store)[0]["properties"]["levels"] == "many"
    assert [c.fid for c in store.changes(since)] == [None]
    assert fids(store) == [1, 2, 3]


def test_many_changes_are_one_log_row(store: Store) -> None:
    rows = [row(f"b{i}", shapely.Point(25 + i * 1e-5, 60), levels=0) for i in range(10_050)]
    words = spec(geometry_type="Point")
    load(store, words, rows)
    since = store.seq()
    done = load(store, words, [{**r, "levels": 1} for r in rows[:-1]])
    assert (done.updated, done.deleted) == (10_049, 1)
    assert [(c.fid, c.seq) for c in store.changes(since)] == [(None, done.seq)]
    assert one(store, 5000, "buildings")["properties"]["levels"] == 1
    assert store.items("buildings", Query(bbox=(25, 59, 25.0001, 61))).matched == 11
    fid = store.layer("buildings").count
    store.patch("buildings", fid, {"properties": {"levels": 2}})  # the triggers are back
    assert [c.fid for c in store.changes(done.seq)] == [fid]


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        ([row("a", square(1, 1)), row("a", square(2, 2))], "store.duplicate-source-id"),
        ([row("a", shapely.Point(1, 1))], "store.geometry-type"),
        ([row("a", square(1, 1), levels="three")], "store.value"),
        ([{**row("a", square(1, 1)), "__wkb": b"\x01\x03"}], "store.geometry"),
    ],
)
def test_a_row_that_does_not_fit_ends_the_load(store: Store, rows: list[dict[str, Any]], rule: str) -> None:
    load(store, spec(), grid(3))
    stage = store.stage(spec())
    with pytest.raises(BadFile) as raised:
        stage.add(batch(rows))
    assert raised.value.rule == rule
    stage.drop()
    assert fids(store) == [1, 2, 3]


@pytest.mark.parametrize("name", ["fid", "GEOM", "Name", ""])
def test_field_names_a_table_cannot_have(store: Store, name: str) -> None:
    with pytest.raises(BadFile, match=r"store\.field-name"):
        store.stage(spec(fields=(Field("name", "string"), Field(name, "string"))))


@pytest.mark.parametrize(
    "layer", ["twin_x", "gpkg_contents", "rtree_a", "sqlite_master", "Ä", "a b", "1a", ""]
)
def test_ids_a_layer_cannot_have(store: Store, layer: str) -> None:
    with pytest.raises(BadFile, match=r"store\.layer-id"):
        store.stage(spec(layer))


def test_meshes(store: Store) -> None:
    body = tetrahedron(25, 60)
    rows = [row("a", square(25, 60)), row("b", square(26, 60))]
    rows[0][MESH] = body.to_bytes()
    load(store, spec(), rows)
    found = store.rows("buildings", meshes=True).meshes
    assert list(found) == [1]
    assert isinstance(found[1], Mesh)
    assert found[1].to_bytes() == body.to_bytes()
    assert store.rows("buildings").meshes == {}
    store.patch("buildings", 1, {"properties": {"name": "still there"}})
    store.replace(
        "buildings", 1, {"type": "Feature", **{k: one(store, 1)[k] for k in ("geometry", "properties")}}
    )
    assert list(store.rows("buildings", meshes=True).meshes) == [1]
    store.patch("buildings", 1, {"geometry": polygon(25, 60)})
    assert store.rows("buildings", meshes=True).meshes == {}
    assert load(store, spec(), rows).updated == 1
    assert list(store.rows("buildings", meshes=True).meshes) == [1]


def test_rows_as_columns(store: Store) -> None:
    load(store, spec(), [row("a", square(25, 60), listed=True, levels=4), row("b", square(26, 60))])
    rows = store.rows("buildings")
    assert rows.fids.tolist() == [1, 2]
    assert shapely.from_wkb(rows.wkb[0]).equals(square(25, 60))
    assert rows.properties["listed"] == [True, None]
    assert rows.properties["source_id"] == ["a", "b"]
    assert store.rows("buildings", [2, 99]).fids.tolist() == [2]
    assert store.rows("buildings", []).fids.tolist() == []


def test_reports(store: Store) -> None:
    assert store.report("buildings") is None
    store.save_report("buildings", {"kept": 3, "problems": [{"rule": "x", "reason": "理由"}]})
    assert store.report("buildings") == {"kept": 3, "problems": [{"rule": "x", "reason": "理由"}]}


def test_drop(store: Store) -> None:
    load(store, spec(), grid(3))
    load(store, spec("other"), grid(2))
    since = store.seq()
    store.drop("buildings")
    assert [layer.id for layer in store.layers()] == ["other"]
    with pytest.raises(NotFound):
        store.items("buildings", Query())
    assert [(c.layer, c.fid, c.new) for c in store.changes(since)] == [("buildings", None, None)]


def test_reopened_it_is_the_same(opener: Callable[[], Store]) -> None:
    store = opener()
    load(store, spec(), grid(3))
    store.patch("buildings", 2, {"properties": {"levels": 50}})
    known = store.epoch, store.seq(), store.layers(), store.item("buildings", 2)
    store.close()
    again = opener()
    assert (again.epoch, again.seq(), again.layers(), again.item("buildings", 2)) == known
    again.close()


def test_two_open_stores_see_each_other(opener: Callable[[], Store]) -> None:
    one_, two = opener(), opener()
    load(one_, spec(), grid(3))
    assert two.layer("buildings").count == 3
    seq = two.seq()
    one_.patch("buildings", 1, {"properties": {"levels": 77}})
    assert two.seq() == seq + 1
    assert one(two, 1)["properties"]["levels"] == 77
    one_.close()
    two.close()


def test_huge_ids_are_simply_absent(store: Store) -> None:
    load(store, spec(), grid(1))
    for fid in (2**63, -(2**70), 0, -1):
        with pytest.raises(NotFound):
            store.item("buildings", fid)
        with pytest.raises(NotFound):
            store.revision("buildings", fid)
        with pytest.raises(NotFound):
            store.patch("buildings", fid, {"properties": {}})


def test_a_layer_that_came_and_went_while_one_is_staged_leaves_its_fids_alone(store: Store) -> None:
    stage = store.stage(spec())
    stage.add(batch(grid(3)))
    load(store, spec(), grid(2))
    store.drop("buildings")
    store.publish(stage, mode="create")
    assert fids(store) == [3, 4, 5]
    assert [f["properties"]["source_id"] for f in features(store)] == ["b0", "b1", "b2"]
    assert fids(store, bbox=(25.005, 59, 25.015, 61)) == [4]


def test_a_layer_that_came_while_one_is_staged_is_renewed(store: Store) -> None:
    stage = store.stage(spec())
    stage.add(batch(grid(3)))
    load(store, spec(), grid(5)[1:])
    done = store.publish(stage)
    assert (done.created, done.updated, done.unchanged, done.deleted) == (1, 0, 2, 2)
    assert fids(store) == [1, 2, 5]
    assert [f["properties"]["source_id"] for f in features(store)] == ["b1", "b2", "b0"]


@pytest.mark.parametrize("key", [(), ("name",), ("levels", "name")])
def test_few_rows_find_their_features_among_many(store: Store, key: tuple[str, ...]) -> None:
    many = [{**r, "__source_id": None} for r in grid(300)]
    many[7]["levels"] = many[8]["levels"] = None
    words = spec(key=key)
    load(store, words, many, "create")
    moved = {**many[8], "__wkb": shapely.to_wkb(square(26, 61))}
    rows = [many[7], {**many[5], "height_m": 3.0}, moved, {**row("new", square(30, 60)), "name": "new"}]
    done = load(store, words, rows, "append")
    found = 0 if not key else 1  # what has moved is known by its key alone
    assert (done.created, done.updated, done.unchanged) == (2 - found, 1 + found, 1)
    assert one(store, 6)["properties"]["height_m"] == 3.0

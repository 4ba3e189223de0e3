"""Model versions: checked in beside a layer, compared with it by element, made current; both stores."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from layers import load as loads
from layers import undo
from layers.batch import MESH
from layers.diff import State
from layers.errors import BadParameter, Exists, NotFound, Stale
from layers.mesh import Material, Mesh
from layers.model import Author
from layers.models import check_in, versions
from layers.models import diff as model_diff
from layers.models.diff import ElementChange, ModelCounts
from layers.source import Declared
from layers.store.base import Store
from layers.textures import Texture
from layers.types import Field, VersionMark
from tests.contract.registering import Foreign, foreign, point  # noqa: F401
from tests.histories.foreign import Hand
from tests.storing import features, load, row, spec, square, tetrahedron
from tests.textured import image
from twin import clashes
from twin.access.rights import WHOLE, Share
from twin.catalogue.narrow import NarrowedView
from twin.catalogue.view import View
from twin.clashes import Question
from twin.settings import parse

GEOD = Geod(ellps="WGS84")
ANNA = Author(actor="anna", message="as built")
FIELDS = (
    Field("name", "string", {"en": "Name"}),
    Field("levels", "integer", unit="1"),
    Field("listed", "boolean"),
    Field("height_m", "number"),
    Field("built", "date"),
    Field("seen", "datetime"),
    Field("tags", "array"),
)
MODEL = spec("model", kind="cim", fields=FIELDS, title={"en": "Model", "zh-CN": "模型"}, time_field="built")
VALUES: dict[str, Any] = {
    "levels": 3,
    "listed": True,
    "height_m": 0.1 + 0.2,
    "built": "1999-03-02",
    "seen": "2026-11-29T12:00:00.123Z",
    "tags": '["a",1]',
}


class Guests:
    """Who sees neither the layer beside the model nor one of its elements."""

    def class_of(self, name: str | None, may: object) -> str:
        return "guest"

    def share(self, rights: str, layer: Any) -> Share | None:
        one = Share(frozenset({"name", "category"}), "name <> 'e1'")
        return {"beside": None, "model": one}.get(layer.id, WHOLE)


def body(lon: float, lat: float, up: float = 0.0) -> bytes:
    mesh = tetrahedron(lon, lat)
    return Mesh(mesh.positions + np.array([0, 0, up]), mesh.triangles, mesh.surfaces).to_bytes()


def element(name: str, lon: float, lat: float, up: float = 0.0, **more: Any) -> dict[str, Any]:
    return row(name, square(lon, lat), name=name, **{MESH: body(lon, lat, up)}, **(VALUES | more))


@pytest.fixture
def city(store: Store) -> Store:
    load(store, MODEL, [element(f"e{i}", 25 + i * 0.01, 60) for i in range(5)])
    return store


def moved(lon: float, lat: float, east: float, north: float) -> tuple[float, float]:
    """A place so many metres away, on the ellipsoid."""
    lon, lat, _ = GEOD.fwd(lon, lat, 90 if east >= 0 else 270, abs(east))
    lon, lat, _ = GEOD.fwd(lon, lat, 0 if north >= 0 else 180, abs(north))
    return lon, lat


def changes(store: Store, old: str, new: str) -> tuple[dict[str, ElementChange], ModelCounts]:
    counts = ModelCounts()
    return {one.id: one for one in model_diff.changes(store, old, store, new, counts)}, counts


def test_what_is_there_is_kept_as_a_version_to_the_last_digit(city: Store) -> None:
    report = check_in.check_in(city, "model", " as  built ", by=ANNA)
    assert (report.version, report.created) == ("as built", 5)
    (one,) = versions.versions(city, "model")
    assert (one.number, one.name, one.layer.id) == (1, "as built", "model__1")
    assert one.layer.title == {"en": "Model · as built", "zh-CN": "模型 · as built"}
    assert one.layer.model_version == VersionMark("as built", "model", 1)
    a, b = (city.rows(layer, meshes=True) for layer in ("model", "model__1"))
    assert dict(a.properties) == dict(b.properties)
    assert [bytes(x or b"") for x in a.wkb] == [bytes(x or b"") for x in b.wkb]
    assert [m.to_bytes() for m in a.meshes.values()] == [m.to_bytes() for m in b.meshes.values()]
    found, counts = changes(city, "model", "model__1")
    assert (found, counts.same) == ({}, 5)


def test_what_differs_is_told_element_by_element(city: Store) -> None:
    check_in.check_in(city, "model", "v1")
    place = moved(25.01, 60, 3, 4)
    fresh = [
        element("e0", 25, 60),
        element("e1", *place),  # 5 m away
        element("e2", 25.02, 60, up=2.5),
        element("e3", 25.03, 60, levels=4, tags='["b"]'),
        element("new", 25.07, 60),
    ]
    load(city, MODEL, fresh)
    found, counts = changes(city, "model__1", "model")
    assert {name: one.kind for name, one in found.items()} == {
        "e1": "moved",
        "e2": "moved",
        "e3": "changed",
        "e4": "removed",
        "new": "added",
    }
    assert found["e1"].distance == pytest.approx(5, abs=0.002)
    assert found["e1"].shift == pytest.approx((3, 4, 0), abs=0.002)
    assert found["e2"].shift == pytest.approx((0, 0, 2.5), abs=1e-9)
    assert found["e3"].fields == {"levels": (3, 4), "tags": (["a", 1], ["b"])}
    assert not found["e3"].shape_changed
    numbers = counts.added, counts.removed, counts.moved, counts.changed, counts.same
    assert numbers == (1, 1, 2, 1, 1)
    assert counts.fields == {"levels": 1, "tags": 1}
    back, _ = changes(city, "model", "model__1")
    assert (back["new"].kind, back["e4"].kind) == ("removed", "added")
    assert back["e1"].shift == pytest.approx((-3, -4, 0), abs=0.002)


def test_another_shape_and_another_order_of_corners(city: Store) -> None:
    """A program that writes the corners in another order has not changed the body; one that turns it has."""
    check_in.check_in(city, "model", "v1")
    mesh = Mesh.from_bytes(body(25, 60))
    order = np.array([2, 0, 3, 1])
    shuffled = Mesh(mesh.positions[order], np.argsort(order)[mesh.triangles].astype(np.uint32), mesh.surfaces)
    taller = tetrahedron(25.01, 60, 11.0)
    rows = [
        element("e0", 25, 60) | {MESH: shuffled.to_bytes()},
        element("e1", 25.01, 60) | {MESH: taller.to_bytes()},
        *(element(f"e{i}", 25 + i * 0.01, 60) for i in (2, 3)),
        {name: value for name, value in element("e4", 25.04, 60).items() if name != MESH},
    ]
    load(city, MODEL, rows)
    found, counts = changes(city, "model__1", "model")
    assert {name: (one.kind, one.shape_changed) for name, one in found.items()} == {
        "e1": ("changed", True),
        "e4": ("changed", True),
    }
    assert counts.shape == 2


def test_made_current_it_is_a_load_that_keeps_the_numbers(city: Store) -> None:
    before = city.seq()
    kept = {one["properties"]["name"]: one["id"] for one in features(city, "model")}
    check_in.check_in(city, "model", "v1")
    load(city, MODEL, [element("e0", 25, 60, levels=9), element("more", 25.2, 60)])
    check_in.check_in(city, "model", "v2")
    report = check_in.make_current(city, "model", "v1", ANNA)
    assert (report.updated, report.created, report.deleted, report.version) == (1, 4, 1, "v1")
    now = {one["properties"]["name"]: one["id"] for one in features(city, "model")}
    assert now.keys() == kept.keys()
    assert now["e0"] == kept["e0"]  # what both have keeps its number
    assert versions.current(city.feature_layer("model")) == "v1"
    assert changes(city, "model__1", "model")[0] == {}
    assert city.feature_layer("model").title == MODEL.title
    made = city.change_sets(layer="model", limit=1)[0]
    assert (made.actor, made.message, made.via) == ("anna", "as built", "load")
    was = city.as_of(before).rows("model", meshes=True)
    assert dict(was.properties) == dict(city.rows("model").properties)
    # a plain load comes after it: none is current then
    check_in.make_current(city, "model", "v2")
    assert [one["properties"]["levels"] for one in features(city, "model")] == [9, 3]
    check_in.remove(city, "model", "v1")
    assert [one.name for one in versions.versions(city, "model")] == ["v2"]
    assert check_in.check_in(city, "model", "v3").layer == "model__3"
    # what the layer was made is called v2, and no other model is
    check_in.remove(city, "model", "v2")
    with pytest.raises(Exists, match="another name"):
        check_in.check_in(city, "model", "v2")


def test_textures_come_along(store: Store) -> None:
    one = Texture.of(image(), "image/png")
    mesh = tetrahedron(25, 60)
    uv = np.zeros((4, 3, 2), np.float32)
    textured = Mesh(
        mesh.positions,
        mesh.triangles,
        mesh.surfaces,
        materials=np.zeros(4, np.uint16),
        material_table=(Material(None, one.sha),),
        uv=uv,
    )
    load(store, MODEL, [element("e0", 25, 60) | {MESH: textured.to_bytes()}], textures=[one])
    check_in.check_in(store, "model", "v1")
    assert store.texture("model__1", one.sha).data == one.data
    store.drop("model__1")
    assert store.texture("model", one.sha).data == one.data


def test_a_file_is_checked_in_as_the_layer_was_read(store: Store, tmp_path: Path) -> None:
    def file(name: str, *numbers: int) -> Path:
        rows = [
            {
                "type": "Feature",
                "properties": {"code": f"c{n}", "n": n, "height_m": 5},
                "geometry": shapely.geometry.mapping(square(25 + n * 0.01, 60)),
            }
            for n in numbers
        ]
        path = tmp_path / name
        path.write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
        return path

    loads.run(store, file("a.geojson", 1, 2), Declared(kind="cim", id_field="code"), layer_id="model")
    report = check_in.check_in(store, "model", "v2", file("b.geojson", 2, 3))
    assert (report.kind, report.identity, report.version) == ("cim", "code", "v2")
    found, counts = changes(store, "model", "model__1")
    assert {name: one.kind for name, one in found.items()} == {"c1": "removed", "c3": "added"}
    assert counts.nameless == (0, 0)
    path = file("c.geojson", 4, 5)
    document = json.loads(path.read_text())
    document["features"][0]["geometry"] = None
    path.write_text(json.dumps(document))
    aside = tmp_path / "aside"
    name = "版" * 80  # longer than the name of a file may be
    report = check_in.check_in(store, "model", name, path, aside=aside)
    assert (report.kept, report.quarantined) == (1, 1)
    assert [one.name for one in aside.iterdir()] == ["model__2.csv"]


def test_what_is_refused(city: Store, tmp_path: Path) -> None:
    check_in.check_in(city, "model", "v1")
    with pytest.raises(Exists, match="v1"):
        check_in.check_in(city, "model", "v1")
    with pytest.raises(NotFound, match="there are: v1"):
        check_in.make_current(city, "model", "v9")
    with pytest.raises(NotFound):
        check_in.check_in(city, "nothing", "v1")
    with pytest.raises(BadParameter, match="itself"):
        check_in.check_in(city, "model__1", "v1 of v1")
    for name in ("", "  ", "x" * 81, "a\x07b"):
        with pytest.raises(BadParameter):
            check_in.check_in(city, "model", name)
    path = tmp_path / "a.geojson"
    path.write_text("{}")
    for mode in ("replace", "append"):
        with pytest.raises(BadParameter, match="model version of model"):
            loads.run(city, path, layer_id="model__1", mode=mode)


def test_a_layer_that_is_called_like_a_version_is_none(city: Store) -> None:
    load(city, replace(MODEL, id="model__1"), [element("own", 25, 60)])
    assert versions.versions(city, "model") == []
    assert city.feature_layer("model__1").version_of is None
    assert check_in.check_in(city, "model", "v1").layer == "model__2"
    assert check_in.check_in(city, "model__1", "its own").layer == "model__1__1"
    assert [one.layer.id for one in versions.versions(city, "model__1")] == ["model__1__1"]
    load(city, replace(MODEL, id="model__1"), [element("other", 25, 60)])
    check_in.drop(city, "model", ANNA)
    # its versions go with a layer, and nothing else does
    assert [layer.id for layer in city.feature_layers()] == ["model__1", "model__1__1"]


def test_a_city_of_before_knows_its_versions_by_their_loads(
    opener: Callable[[], Store], hand: Hand, city: Store
) -> None:
    load(city, replace(MODEL, id="model__7"), [element("own", 25, 60)])
    check_in.check_in(city, "model", "v1")
    check_in.check_in(city, "model", "v2")
    check_in.make_current(city, "model", "v2")
    known = [(layer.id, layer.model_version) for layer in city.feature_layers()]
    seq = city.seq()
    city.close()
    with hand.transaction():
        hand.run(f"ALTER TABLE {hand.table('twin_layers')} DROP COLUMN model_version")
    again = opener()
    assert [(layer.id, layer.model_version) for layer in again.feature_layers()] == known
    assert [one.name for one in versions.versions(again, "model")] == ["v1", "v2"]
    assert again.feature_layer("model__7").model_version is None
    assert again.seq() == seq  # nothing has changed
    check_in.make_current(again, "model", "v1")
    assert versions.current(again.as_of(seq).feature_layer("model")) == "v2"


def test_what_is_current_is_taken_back_with_the_load(city: Store) -> None:
    def current() -> str:
        return versions.current(city.feature_layer("model"))

    check_in.check_in(city, "model", "v1")
    load(city, MODEL, [element("e0", 25, 60, levels=9)])
    check_in.check_in(city, "model", "v2")
    for name in ("v1", "v2"):
        check_in.make_current(city, "model", name)
        assert current() == name
    for before in ("v1", "v2"):  # an undo, and what takes that back
        number = city.change_sets(layer="model", limit=1)[0].id
        undo.apply(city, undo.of_set(city, number), ANNA)
        assert current() == before
    assert len(features(city, "model")) == 1
    now = city.as_of(city.seq())
    load(city, MODEL, [element("e0", 25, 60, levels=8)])
    assert current() == ""
    assert versions.current(now.feature_layer("model")) == "v2"  # as it was


def test_made_current_of_what_was_looked_at(city: Store) -> None:
    check_in.check_in(city, "model", "v1")
    seen, state = city.feature_layer("model").seq, versions.state(city, "model")
    city.delete("model", 1)
    assert versions.state(city, "model") != state
    with pytest.raises(Stale, match="changed meanwhile"):
        check_in.make_current(city, "model", "v1", ANNA, seen)
    assert len(features(city, "model")) == 4
    check_in.make_current(city, "model", "v1", ANNA, city.feature_layer("model").seq)
    assert len(features(city, "model")) == 5


def test_elements_without_an_id_are_told_and_not_compared(city: Store) -> None:
    check_in.check_in(city, "model", "v1")
    load(city, MODEL, [element("e0", 25, 60), row(None, square(25.3, 60), name="who")])
    found, counts = changes(city, "model__1", "model")
    assert counts.nameless == (0, 1)
    assert {one.kind for one in found.values()} == {"removed"}


def test_of_elements_with_one_id_the_first_is_compared(city: Store, hand: Hand) -> None:
    """Another program has copied an element, id and all."""
    check_in.check_in(city, "model", "v1")
    ids = {one["properties"]["name"]: one["id"] for one in features(city, "model")}
    with hand.transaction():
        hand.update("model", [ids["e4"]], "source_id", "string", "e1")
    found, counts = changes(city, "model__1", "model")
    assert {name: one.kind for name, one in found.items()} == {"e4": "removed"}
    assert (counts.nameless, counts.same) == ((0, 1), 4)
    found, counts = changes(city, "model", "model__1")
    assert found["e4"].fids[0] is None
    assert model_diff._ids(city, city.feature_layer("model"))[0]["e1"] == ids["e1"]


def test_of_a_table_without_ids_no_element_is_known(foreign: Foreign) -> None:  # noqa: F811
    foreign.run("CREATE TABLE pumps (id serial PRIMARY KEY, geom geometry(Point, 4326))")
    foreign.run(f"INSERT INTO pumps (geom) VALUES ({point()}), ({point()})")
    found, counts = changes(foreign.open("pumps"), "pumps", "pumps")
    assert (found, counts.nameless) == ({}, (2, 2))


def test_what_lies_nowhere_is_told_to_be_left_out(city: Store) -> None:
    city.create("model", {"type": "Feature", "geometry": None, "properties": {"name": "an idea"}})
    report = check_in.check_in(city, "model", "v1")
    assert report.kept == 5
    told = [one for one in report.problems if one.rule == "geometry.missing"]
    assert [one.reason[:10] for one in told] == ["1 features"]


@given(
    shift=st.tuples(*[st.floats(-300, 300)] * 2, st.floats(-50, 50)),
    lat=st.floats(-70, 70),
    order=st.permutations(range(8)),
    noise=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_how_far_a_body_was_moved_agrees_with_the_ellipsoid(
    shift: tuple[float, float, float], lat: float, order: list[int], noise: int
) -> None:
    """Whatever the order of its corners, and when their last digits were written anew."""
    corners = [(e, n, u) for e in (0.0, 3.0) for n in (0.0, 7.0) for u in (0.0, 2.0)]
    triangles = np.array([[0, 1, 2], [3, 5, 7]])

    def state(by: tuple[float, float, float], order: list[int], jitter: Any = 0) -> State:
        places = [corners[i] for i in order]
        at = [(*moved(20, lat, e + by[0], n + by[1]), u + by[2]) for e, n, u in places]
        mesh = Mesh(np.array(at) + jitter, np.argsort(order)[triangles], np.zeros(2, np.uint8))
        return State(values={}, wkb=b"", mesh=mesh.to_bytes())

    old = state((0, 0, 0), [*range(8)])
    new = state(shift, order, np.random.default_rng(noise).uniform(-1e-10, 1e-10, (8, 3)))
    found = model_diff._shift(old, new)
    # degrees of longitude grow shorter on the way north: by 0.1 % over 300 m at 70 degrees
    assert found == pytest.approx(shift, abs=0.01 + 0.0005 * abs(shift[0]))


def test_what_is_new_is_held_against_its_own_parts_and_the_models_beside_it(
    city: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Degrees of the fixtures are large: a body of 0.001 degrees is a tetrahedron of about 56 m by 111 m."""
    beside = spec("beside", kind="cim", fields=FIELDS)
    load(city, beside, [element("near", 25.0703, 60), element("far", 25.2, 60)])
    load(
        city,
        spec("datum", kind="cim", fields=FIELDS, vertical_datum="EVRF2007"),
        [element("near", 25.07, 60)],
    )
    rows = [element(f"e{i}", 25 + i * 0.01, 60) for i in range(5)]
    versions_of = [
        *rows[:4],
        element("e4", 25.0102, 60),  # into e1
        element("room", 25.01, 60.0001, category="space"),
        element("new", 25.07, 60),
    ]
    words = spec("model", kind="cim", fields=(*FIELDS, Field("category", "string")))
    load(city, words, rows)
    check_in.check_in(city, "model", "as built")
    load(city, words, versions_of)
    check_in.check_in(city, "model", "v2")
    check_in.make_current(city, "model", "as built")
    found = clashes.look(cast(View, city), "model", "v2")
    told = {(one["new"]["element"], one["other"]["layer"], one["other"]["element"]) for one in found.pairs}
    assert told == {("e4", "model__2", "e1"), ("new", "beside", "near")}
    assert found.count == 2
    assert found.left_out == {"datum": "its heights count from EVRF2007"}
    volumes = [one["volume_m3"] for one in found.pairs]
    assert volumes == sorted(volumes, reverse=True)
    # what two equal tetrahedra have in common that are a share apart along an edge: (1 - share)^3 of one
    one = 56 * 111.4 * 10 / 6 * 55_800 / 56_000
    assert found.pairs[1]["volume_m3"] == pytest.approx(one * 0.7**3, rel=0.02)
    assert found.pairs[0]["volume_m3"] == pytest.approx(one * 0.8**3, rel=0.02)
    assert clashes.look(cast(View, city), "model", "v2", Question(beside=["beside", "beside"])).count == 2
    assert clashes.look(cast(View, city), "model", "as built").count == 0
    with pytest.raises(BadParameter):
        clashes.look(cast(View, city), "model", "v2", Question(beside=["model"]))
    guest = NarrowedView(city, parse(""), cast(Any, None), "guest", Guests())
    seen = clashes.look(guest, "model", "v2")
    assert (seen.count, seen.looked) == (0, 2)
    with pytest.raises(NotFound):
        clashes.look(guest, "model", "v2", Question(beside=["beside"]))
    for name in ("_PAGE", "_BATCH", "MOST"):  # of many, a few are read at a time and the largest are told
        monkeypatch.setattr(clashes, name, 1)
    few = clashes.look(cast(View, city), "model", "v2")
    assert (few.count, few.others, few.pairs) == (2, found.others, found.pairs[:1])

"""Random queries and edits, against shapely and a dict."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from layers.errors import NotFound, Stale
from layers.query import Query
from layers.store import geopackage
from layers.store.counting import FEW
from layers.store.geopackage import boxes, read, selection
from layers.types import Cursor, Sort
from tests.storing import batch, fids, load, row, spec

LON = st.floats(-180, 180, allow_subnormal=False)
LAT = st.floats(-90, 90, allow_subnormal=False)
SMALL = st.integers(0, 8)


@pytest.fixture(scope="module")
def shapes() -> list[Any]:
    """Triangles, lines and points on a lattice, so that edges and corners meet the boxes exactly."""
    out: list[Any] = []
    for i in range(9):
        for j in range(9):
            kind = (i + 3 * j) % 3
            if kind == 0:
                out.append(shapely.Polygon([(i, j), (i + 2, j), (i, j + 2)]))
            elif kind == 1:
                out.append(shapely.LineString([(i, j), (i + 1.5, j + 0.7)]))
            else:
                out.append(shapely.Point(i + 0.1, j + 0.1))
    return out


@pytest.fixture(scope="module", params=["few", "many", "many, without a walk"])
def store(
    request: pytest.FixtureRequest, shapes: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[geopackage.GeoPackageStore]:
    """Once as it is, then with every bound so low that nearly every answer is beyond it."""
    few = FEW if request.param == "few" else 2
    made = geopackage.open(tmp_path_factory.mktemp("model") / "city.gpkg", few=few)
    with pytest.MonkeyPatch.context() as patched:
        if request.param != "few":
            patched.setattr(boxes, "_HANDFUL", 0)
            patched.setattr(boxes, "_GEOMETRIES", 3)
            patched.setattr(read, "_CHUNK", 2)
        if request.param == "many, without a walk":
            patched.setattr(selection, "WALK", 1)
            patched.setattr(selection, "_EACH", 0)
        yield _loaded(made, shapes)
    made.close()


def _loaded(made: geopackage.GeoPackageStore, shapes: list[Any]) -> geopackage.GeoPackageStore:
    load(made, spec(geometry_type="Geometry"), [row(f"s{i}", s, levels=i % 5) for i, s in enumerate(shapes)])
    return made


@given(
    x=SMALL,
    y=SMALL,
    w=SMALL,
    h=SMALL,
    dx=st.sampled_from([0, 0.1, 1e-7]),
    level=st.none() | st.integers(0, 5),
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_bbox_equals_brute_force(
    store: geopackage.GeoPackageStore,
    shapes: list[Any],
    x: int,
    y: int,
    w: int,
    h: int,
    dx: float,
    level: int | None,
    request: pytest.FixtureRequest,
) -> None:
    box = (x + dx, y + dx, x + w + dx, y + h + dx)
    if w == 0 or h == 0:
        area: Any = shapely.LineString([box[:2], box[2:]]) if w or h else shapely.Point(box[:2])
    else:
        area = shapely.box(*box)
    expected = [
        i + 1 for i, s in enumerate(shapes) if s.intersects(area) and (level is None or i % 5 == level)
    ]
    equals = () if level is None else (("levels", level),)
    assert fids(store, bbox=box, equals=equals) == expected
    matched = store.items("buildings", Query(bbox=box, equals=equals, limit=1)).matched
    assert matched == len(expected) or (matched is None and "[few]" not in request.node.name)
    paged: list[int] = []
    after: Cursor | None = None
    while after is not None or not paged:
        page = store.items("buildings", Query(bbox=box, equals=equals, limit=3, after=after))
        if not page.returned:
            break
        paged += [f["id"] for f in json.loads(b"[" + page.features + b"]")]
        after = page.next_after
        if after is None:
            break
    assert paged == expected
    scanned = [f for b in store.scan("buildings", Query(bbox=box, equals=equals)) for f in b.fids.tolist()]
    assert scanned == expected
    sort = (Sort("levels", descending=True),)
    by_level = sorted(expected, key=lambda fid: (-((fid - 1) % 5), fid))
    assert fids(store, bbox=box, equals=equals, sort=sort) == by_level


@given(west=LON, east=LON, south=LAT, north=LAT)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_box_equals_brute_force(
    store: geopackage.GeoPackageStore, shapes: list[Any], west: float, east: float, south: float, north: float
) -> None:
    south, north = min(south, north), max(south, north)
    if south == north or west == east:
        return
    parts = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
    areas = [
        shapely.box(a, south, b, north) if a < b else shapely.LineString([(a, south), (b, north)])
        for a, b in parts
    ]
    expected = [i + 1 for i, s in enumerate(shapes) if any(s.intersects(a) for a in areas)]
    assert fids(store, bbox=(west, south, east, north)) == expected


class Edits(RuleBasedStateMachine):
    """The store after any sequence of loads and edits is what a dict says."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "city.gpkg"
        self.store = geopackage.open(self.path)
        self.model: dict[int, tuple[str, float | None, int | None]] = {}
        self.used = 0
        self.revisions: dict[int, int] = {}
        load(self.store, spec(geometry_type="Point"), [])

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(
        sources=st.lists(st.integers(0, 6), unique=True, max_size=5),
        x=st.integers(0, 50),
        append=st.booleans(),
    )
    def load(self, sources: list[int], x: int, append: bool) -> None:
        stage = self.store.stage(spec(geometry_type="Point"))
        if sources:
            stage.add(batch([row(f"s{s}", shapely.Point(x + s, 1), levels=x) for s in sources]))
        self.store.publish(stage, mode="append" if append else "replace")
        known = {source: fid for fid, (source, _, _) in self.model.items()}
        fresh = {} if not append else dict(self.model)
        for s in sources:
            fid = known.get(f"s{s}")
            if fid is None:
                self.used += 1
                fid = self.used
            fresh[fid] = (f"s{s}", float(x + s), x)
        self.model = fresh

    @precondition(lambda self: self.model)
    @rule(data=st.data(), level=st.none() | st.integers(0, 9))
    def patch(self, data: st.DataObject, level: int | None) -> None:
        fid = data.draw(st.sampled_from(sorted(self.model)))
        source, x, _ = self.model[fid]
        revision = self.store.revision("buildings", fid)
        with pytest.raises(Stale):
            self.store.patch("buildings", fid, {"properties": {"levels": level}}, revision + 1)
        new = self.store.patch("buildings", fid, {"properties": {"levels": level}}, revision)
        assert new > revision
        self.model[fid] = (source, x, level)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), x=st.integers(60, 90))
    def move(self, data: st.DataObject, x: int) -> None:
        fid = data.draw(st.sampled_from(sorted(self.model)))
        source, _, level = self.model[fid]
        self.store.patch("buildings", fid, {"geometry": {"type": "Point", "coordinates": [x, 1]}})
        self.model[fid] = (source, float(x), level)

    @rule(x=st.none() | st.integers(100, 120))
    def create(self, x: int | None) -> None:
        place = None if x is None else {"type": "Point", "coordinates": [x, 1]}
        source = f"new{self.used}"
        body = {"type": "Feature", "geometry": place, "properties": {"source_id": source}}
        fid, _ = self.store.create("buildings", body)
        self.used += 1
        assert fid == self.used
        self.model[fid] = (source, None if x is None else float(x), None)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        fid = data.draw(st.sampled_from(sorted(self.model)))
        assert self.store.delete("buildings", fid, self.store.revision("buildings", fid)) == self.store.seq()
        del self.model[fid]

    @rule()
    def reopen(self) -> None:
        known = self.store.epoch, self.store.seq()
        self.store.close()
        self.store = geopackage.open(self.path)
        assert (self.store.epoch, self.store.seq()) == known

    @invariant()
    def same(self) -> None:
        page = self.store.items("buildings", Query(limit=100))
        found = {
            f["id"]: (
                f["properties"]["source_id"],
                f["geometry"] and f["geometry"]["coordinates"][0],
                f["properties"]["levels"],
            )
            for f in json.loads(b"[" + page.features + b"]")
        }
        assert found == self.model
        assert page.matched == len(self.model) == self.store.layer("buildings").count
        unplaced = sorted(fid for fid, (_, x, _) in self.model.items() if x is None)
        assert fids(self.store, bbox=(-1, 0, 180, 2)) == sorted(self.model)
        assert fids(self.store, bbox=(-50, -50, -40, -40)) == unplaced
        for fid, revision in self.revisions.items():
            if fid in self.model:
                assert self.store.revision("buildings", fid) >= revision
            else:
                with pytest.raises(NotFound):
                    self.store.item("buildings", fid)
        self.revisions = {fid: self.store.revision("buildings", fid) for fid in self.model}


Edits.TestCase.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
TestEdits = Edits.TestCase

"""Inputs that went wrong: a check and a load say the same of each, and what is right.

Rows count from 1. ``rules`` are those of rows that are set aside, with the row; ``notes`` are the other rules
that must be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers import load
from layers.bulk import Bulk, most
from layers.crs import supported
from layers.errors import BadFile
from layers.model import Report
from layers.place import crs_name
from layers.query import Query
from layers.source import NOTHING, Declared
from layers.store import geopackage
from layers.store.base import Store
from layers.write import write
from tests.storing import features
from twin.catalogue.view import View
from twin.settings import CitySettings

FOUND = Path(__file__).resolve().parents[1] / "found"


@dataclass(frozen=True)
class Case:
    file: str
    kept: int
    aside: tuple[tuple[str, int], ...] = ()
    notes: frozenset[str] = field(default_factory=frozenset)
    declared: Declared = NOTHING


CASES = [
    Case("load/05-geometrycollection.geojson", 3, (("geometry.collection", 4), ("geometry.missing", 5))),
    Case("serve/07-one-collection-in-a-mixed-layer.geojson", 2, (("geometry.collection", 3),)),
    Case("load/06-zero-zero.csv", 8, (("geometry.zero", 9), ("geometry.zero", 10))),
    Case("load/08-local-meridian.shp", 3, notes=frozenset({"crs.own"})),
    Case("load/14-templates.city.json", 3),
    Case("load/14b-geographic.city.json", 1),
    Case("load/15-tin.gpkg", 3),
    Case("load/19-polyline-zm.shp", 2),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = geopackage.open(tmp_path / "city.gpkg")
    yield made
    made.close()


def aside(report: Report) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((p.rule, p.row) for p in report.problems if p.action == "quarantined"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_check_and_load_say_the_same(case: Case, store: Store) -> None:
    checked = load.check(FOUND / case.file, case.declared)
    loaded = load.run(store, FOUND / case.file, case.declared, layer_id="found")
    for report in (checked, loaded):
        assert report.kept == case.kept
        assert aside(report) == case.aside
        assert report.quarantined == len(case.aside)
        assert case.notes <= {p.rule for p in report.problems}
    assert [(p.rule, p.row) for p in checked.problems] == [(p.rule, p.row) for p in loaded.problems]
    assert store.feature_layer("found").count == case.kept


def test_heights_of_positions_with_measures_stay(store: Store) -> None:
    load.run(store, FOUND / "load/19-polyline-zm.shp", layer_id="pipes")
    shapes = [shapely.from_wkb(blob) for blob in store.rows("pipes").wkb]
    assert [shapely.get_coordinates(s, include_z=True)[:, 2].tolist() for s in shapes] == [
        [22.5, 21.5],
        [20.5, 19.5],
    ]
    assert not any(s.has_m for s in shapes)


@pytest.mark.parametrize(("file", "spans"), [
    ("load/15-tin.gpkg", None),
    ("load/14b-geographic.city.json", [10.0]),
    ("load/14-templates.city.json", [10.0, 5.0, 5.0]),
])  # fmt: skip
def test_bodies_stand_on_their_footprints(file: str, spans: list[float] | None, store: Store) -> None:
    load.run(store, FOUND / file, layer_id="bodies")
    rows = store.rows("bodies", meshes=True)
    assert sorted(rows.meshes) == sorted(rows.fids)
    for fid, blob in zip(rows.fids.tolist(), rows.wkb, strict=True):
        base, mesh = shapely.from_wkb(blob), rows.meshes[fid]
        low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
        assert base.bounds == pytest.approx((*low[:2], *high[:2]), abs=2e-8)
        assert base.area > 0
    assert rows.properties["height_m"] == (spans or rows.properties["height_m"])
    assert set(rows.properties["height_source"]) == {"measured"}


def test_our_own_shapefile_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    source = FOUND / "load/04-own-shapefile-download.shp"
    assert load.check(source, Declared(kind="pipeline")).sources["depth_source"] == {"default": 3}
    load.run(store, source, Declared(kind="pipeline"), layer_id="pipes")
    write("shp", store.feature_layer("pipes"), store.scan("pipes", Query()), tmp_path / "pipes.shp.zip")
    (tmp_path / "pipes.shp.zip").rename(tmp_path / "pipes.zip")
    load.run(store, tmp_path / "pipes.zip", Declared(kind="pipeline"), layer_id="again")
    first, again = store.rows("pipes").properties, store.rows("again").properties
    assert first["depth_source"] == again["depth_source"] == ["default"] * 3
    assert {k: v for k, v in again.items() if any(v)} == {k: v for k, v in first.items() if any(v)}


def test_a_source_that_a_row_has_lost_is_not_measured(tmp_path: Path) -> None:
    table = tmp_path / "pipes.csv"
    table.write_text(
        "wkt,depth_m,depth_source,diameter_mm\n"
        '"LINESTRING (25 60, 25.1 60)",1.5,measured,200\n"LINESTRING (25 60, 25.2 60)",1.5,,300\n'
    )
    report = load.check(table, Declared(kind="pipeline", crs="EPSG:4326"))
    assert report.sources == {
        "depth_source": {"measured": 1, "default": 1},
        "diameter_source": {"measured": 2},
    }


def test_a_plane_of_its_own_asks_for_the_crs() -> None:
    with pytest.raises(BadFile, match=r"Undefined Cartesian SRS.* declare it, for example --crs") as caught:
        load.check(FOUND / "load/08c-undefined-cartesian.gpkg")
    assert caught.value.rule == "crs.missing"
    report = load.check(FOUND / "load/08c-undefined-cartesian.gpkg", Declared(crs="EPSG:4547"))
    assert report.kept == report.read


def test_a_grid_without_a_code_is_placed_by_its_own_definition(store: Store) -> None:
    load.run(store, FOUND / "load/08-local-meridian.shp", layer_id="pipes")
    layer = store.feature_layer("pipes")
    assert layer.extent == pytest.approx((114.3, 30.6, 114.35, 30.61), abs=0.05)
    assert crs_name(layer.crs) == "Wuhan_Local_CM_114_20"
    assert supported(layer)[0].endswith("CRS84")


def test_a_city_opens_where_most_of_it_lies(tmp_path: Path, store: Store) -> None:
    table = tmp_path / "lamps.csv"
    rows = [f"{114.3 + i % 30 / 1000},{30.59 + i // 30 / 1000}" for i in range(900)]
    table.write_text("lon,lat\n" + "\n".join([*rows, "0,0", "-170.5,12.25"]))
    report = load.run(store, table, layer_id="lamps")
    assert (report.kept, aside(report)) == (901, (("geometry.zero", 901),))
    layer = store.feature_layer("lamps")
    assert layer.extent is not None
    assert layer.extent[0] == pytest.approx(-170.5)
    view = View(store, CitySettings(), lambda _: pytest.fail("no tiles are needed"))
    assert view.bulk(layer) == pytest.approx((114.3, 30.59, 114.329, 30.619))
    store.delete("lamps", 1)
    (kept,) = [f for f in features(store, "lamps") if f["geometry"]["coordinates"][0] < 0]
    store.delete("lamps", kept["id"])
    assert view.bulk(store.feature_layer("lamps")) == pytest.approx((114.3, 30.59, 114.329, 30.619))


@given(st.integers(0, 3), st.integers(20, 200), st.floats(-170, 170), st.floats(-80, 80))
def test_the_bulk_holds_all_but_outliers(outliers: int, count: int, lon: float, lat: float) -> None:
    spread = np.random.default_rng(count).random((count, 2)) * 0.1 + (lon, lat)
    far = np.array([[lon + 9, lat - 9]] * outliers).reshape(-1, 2)
    found = Bulk()
    points = shapely.points(np.concatenate([spread, far]))
    found.add(points, np.zeros(len(points), bool), np.arange(len(points)))
    box = found.box()
    few = outliers and outliers / (count + outliers) < 0.025
    if not outliers:
        assert box is None
    if few:
        assert box == pytest.approx((*spread.min(axis=0), *spread.max(axis=0)))


def test_rows_that_nothing_tells_apart_are_new_and_counted(store: Store, tmp_path: Path) -> None:
    table = tmp_path / "lamps.csv"
    table.write_text("name,lon,lat\n" + "a,25,60\nb,25,60\nc,25.1,60\n")
    load.run(store, table, layer_id="lamps")
    table.write_text("name,lon,lat\n" + "d,25,60\nb,25,60\nc,25.1,60\n")
    again = load.run(store, table, layer_id="lamps", mode="replace")
    assert (again.unchanged, again.created, again.deleted) == (2, 1, 1)
    assert [p.reason[:11] for p in again.problems if p.rule == "match.vague"] == ["1 rows are "]
    table.write_text("name,lon,lat\n" + "e,25,60\nf,25,60\nc,25.1,60\n")
    again = load.run(store, table, layer_id="lamps", mode="replace")
    assert (again.unchanged, again.created, again.deleted) == (1, 2, 2)
    (vague,) = [p.reason for p in again.problems if p.rule == "match.vague"]
    assert vague.startswith("2 rows are new")


def test_a_layer_far_away_does_not_move_the_page() -> None:
    city, near, far = (114.2, 30.5, 114.4, 30.7), (114.5, 30.6, 114.6, 30.8), (-3.0, 40.0, -2.9, 40.1)
    around = (114.2, 30.5, 114.6, 30.8)
    assert most([(near, 10), (far, 3), (city, 5000)]) == around
    assert most([(near, 10), (city, 5000)]) == around
    assert most([(far, 400), (city, 5000)]) == (-3.0, 30.5, 114.4, 40.1)
    assert most([(far, 3)]) == far
    assert most([]) is None

"""The road in: from a file to a published layer, with what is kept, repaired and quarantined."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely

from layers import load, load_manifest
from layers.errors import BadConfig, BadFile, BadParameter, Exists, NotFound
from layers.query import Query
from layers.source import Declared
from layers.store import geopackage
from layers.store.base import FormSpec

HELSINKI = Path(__file__).parents[4] / "config/demo/helsinki"
SQUARE = [[[24.9, 60.1], [24.91, 60.1], [24.91, 60.11], [24.9, 60.11], [24.9, 60.1]]]
BOW_TIE = [[[24.9, 60.1], [24.91, 60.11], [24.91, 60.1], [24.9, 60.11], [24.9, 60.1]]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    opened = geopackage.open(tmp_path / "city.gpkg")
    yield opened
    opened.close()


def feature(geometry: Any, source_id: str | None = None, **properties: Any) -> dict[str, Any]:
    out = {"type": "Feature", "properties": properties, "geometry": geometry}
    return out if source_id is None else {**out, "id": source_id}


def polygon(rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": rings}


def point(*at: Any) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(at)}


def collection(path: Path, *features: dict[str, Any], **members: Any) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", **members, "features": features}), "utf-8")
    return path


def test_all_of_helsinki(store: Any) -> None:
    reports = {r.layer: r for r in load_manifest.run(store, HELSINKI / "load.yml")}
    assert {name: (r.read, r.kept) for name, r in reports.items()} == {
        "buildings": (446, 446),
        "building_parts": (126, 126),
        "pipelines": (78, 78),
        "addresses": (1462, 1462),
        "street_assets": (1074, 1074),
        "roads": (2577, 2577),
        "land_cover": (270, 270),
        "places": (7, 7),
    }
    assert reports["buildings"].sources["height_source"] == {"measured": 16, "levels": 138, "default": 292}
    assert reports["pipelines"].sources["diameter_source"] == {"measured": 38, "default": 40}
    rules = Counter(p.rule for p in reports["pipelines"].problems)
    assert rules == {"diameter.converted": 2, "diameter.unreadable": 1, "column.folded": 1}
    media = Counter(store.rows("pipelines").properties["medium"])
    assert media == {"water": 42, "heat": 20, "gas": 10, "cooling": 5, "unknown": 1}
    classes = Counter(store.rows("street_assets").properties["class"])
    assert (classes["hydrant"], classes["lamp"], classes["traffic_signal"]) == (37, 586, 135)
    for layer in store.layers():
        assert len(layer.fields) <= 40
        assert store.report(layer.id)["kept"] == layer.count
    parts = store.rows("building_parts", meshes=True)
    assert len(parts.meshes) == 126
    page = store.items("pipelines", Query(equals=(("source_id", "way/81238736"),)))
    (item,) = json.loads(b"[" + page.features + b"]")
    assert item["properties"]["diameter"] == '4"'
    assert item["properties"]["diameter_mm"] == 101.6


def test_a_second_load_changes_nothing(store: Any) -> None:
    load_manifest.run(store, HELSINKI / "load.yml")
    before = {layer.id: store.rows(layer.id).fids.tolist() for layer in store.layers()}
    first = {layer.id: layer.generation for layer in store.layers()}
    seq = store.seq()
    for report in load_manifest.run(store, HELSINKI / "load.yml", mode="replace"):
        assert (report.created, report.updated, report.deleted) == (0, 0, 0)
        assert report.unchanged == report.kept
        assert report.generation > first[report.layer]
    assert {layer.id: store.rows(layer.id).fids.tolist() for layer in store.layers()} == before
    assert store.seq() == seq


def test_a_load_of_parts_leaves_the_buildings_as_they_are(store: Any) -> None:
    load.run(store, HELSINKI / "buildings.geojson", Declared(kind="building"), layer_id="houses")
    before = store.layer("houses"), store.rows("houses", meshes=True).meshes
    since = store.seq()
    load.run(store, HELSINKI / "building_parts.geojson", Declared(kind="cim"), layer_id="parts")
    assert (store.layer("houses"), store.rows("houses", meshes=True).meshes) == before
    assert {change.layer for change in store.changes(since)} == {"parts"}
    # what the source does not say stays empty
    assert set(store.rows("parts").properties["building_id"]) == {None}


def test_fids_survive_and_are_never_used_again(store: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.geojson"
    collection(file, feature(point(1, 1), "a", n=1), feature(point(2, 2), "b", n=1))
    load.run(store, file, layer_id="things")
    first = dict(
        zip(store.rows("things").properties["source_id"], store.rows("things").fids.tolist(), strict=True)
    )
    collection(file, feature(point(3, 3), "c", n=1), feature(point(1, 5), "a", n=2))
    report = load.run(store, file, layer_id="things", mode="replace")
    assert (report.created, report.updated, report.deleted) == (1, 1, 1)
    second = dict(
        zip(store.rows("things").properties["source_id"], store.rows("things").fids.tolist(), strict=True)
    )
    assert second["a"] == first["a"]
    assert second["c"] not in first.values()


def test_an_id_that_is_taken(store: Any, tmp_path: Path) -> None:
    file = collection(tmp_path / "a.geojson", feature(point(1, 1), "a"))
    load.run(store, file, layer_id="things")
    with pytest.raises(Exists, match="things exists already; use --replace"):
        load.run(store, file, layer_id="things")
    with pytest.raises(NotFound):
        load.run(store, file, layer_id="others", mode="append")
    collection(file, feature(point(2, 2), "b"))
    assert load.run(store, file, layer_id="things", mode="append").created == 1
    assert store.layer("things").count == 2


@pytest.mark.parametrize("layer_id", ["Things", "1a", "a-b", "", "a" * 64, "../x"])
def test_layer_ids(store: Any, tmp_path: Path, layer_id: str) -> None:
    with pytest.raises(BadParameter, match="as="):
        load.run(store, tmp_path / "a.geojson", layer_id=layer_id)


def test_a_bad_file_leaves_the_last_good_generation(store: Any, tmp_path: Path) -> None:
    file = collection(tmp_path / "a.geojson", feature(point(1, 1), "a", n=1))
    load.run(store, file, layer_id="things")
    good, seq = store.item("things", 1).body, store.seq()
    file.write_text(file.read_text()[:-9])
    with pytest.raises(BadFile, match=r"json\.truncated"):
        load.run(store, file, layer_id="things", mode="replace")
    collection(file, feature(None, "a"), feature(point(1e9, 1), "b"))
    with pytest.raises(BadFile):
        load.run(store, file, layer_id="things", mode="replace")
    assert (store.item("things", 1).body, store.seq()) == (good, seq)
    assert store.layer("things").generation == 1


def test_bad_rows_are_quarantined_with_rule_row_and_reason(store: Any, tmp_path: Path) -> None:
    nan = float("nan")
    file = collection(
        tmp_path / "a.geojson",
        feature(polygon(SQUARE), "good"),
        feature(polygon(BOW_TIE), "crossed"),
        feature(None, "bare"),
        feature(polygon([[[nan, 60], [24.9, 60], [24.9, 60.1], [nan, 60]]]), "nan"),
        feature(polygon(SQUARE), "equal"),
        feature(point(24.9, 60.1), "dot"),
        feature(polygon([[[24.9, 60.1], [24.91, 60.1], [24.9, 60.1], [24.9, 60.1]]]), "flat"),
        feature(polygon([[[200, 60], [201, 60], [201, 61], [200, 60]]]), "far"),
        feature(polygon([[[24.9, 60.1], [24.91, 60.1], [24.91, 60.11], [24.9, 60.11]]]), "open"),
    )
    report = load.run(store, file, Declared(kind="building"), layer_id="houses")
    assert (report.read, report.kept, report.repaired, report.quarantined) == (9, 4, 1, 5)
    told = {(p.source_id, p.row, p.rule, p.action) for p in report.problems}
    assert told >= {
        ("crossed", 2, "geometry.invalid", "repaired"),
        ("bare", 3, "geometry.missing", "quarantined"),
        ("nan", 4, "geometry.nan", "quarantined"),
        ("dot", 6, "geometry.type", "quarantined"),
        ("flat", 7, "geometry.degenerate", "quarantined"),
        ("far", 8, "geometry.range", "quarantined"),
    }
    assert all(p.reason for p in report.problems)
    rows = store.rows("houses")
    crossed = shapely.from_wkb(rows.wkb[rows.properties["source_id"].index("crossed")])
    assert crossed.is_valid
    assert crossed.area == pytest.approx(shapely.from_wkb(rows.wkb[0]).area / 2)
    assert store.layer("houses").geometry_type == "MultiPolygon"


def test_longitudes_to_360_are_told_what_to_do(tmp_path: Path) -> None:
    east = feature(polygon([[[179, 60], [181, 60], [181, 61], [179, 60]]]), "over")
    far = feature(point(500, 60), "far")
    near = [feature(point(179, 60 + at), f"p{at}") for at in range(3)]
    report = load.check(collection(tmp_path / "a.geojson", east, far, *near))
    told = {p.source_id: p.reason for p in report.problems if p.rule == "geometry.range"}
    assert told.keys() == {"over", "far"}
    assert "take 360 from those beyond 180 and split at 180" in told["over"]
    assert "360" not in told["far"]
    with pytest.raises(BadFile, match=r"declare the CRS, or, .* take 360 from those"):
        load.check(collection(tmp_path / "b.geojson", east))
    with pytest.raises(BadFile, match=r"declare the CRS$"):
        load.check(collection(tmp_path / "c.geojson", east, far))


def test_a_nan_point_is_not_an_empty_one_in_silence(tmp_path: Path) -> None:
    file = collection(tmp_path / "a.geojson", feature(point(float("nan"), 2), "n"), feature(point(1, 2), "p"))
    report = load.check(file)
    assert [(p.rule, p.source_id) for p in report.problems if p.action == "quarantined"] == [
        ("geometry.nan", "n")
    ]


def test_features_without_any_geometry(tmp_path: Path) -> None:
    file = collection(tmp_path / "a.geojson", feature(None, "a"), feature(None, "b"))
    with pytest.raises(BadFile, match=r"file\.nothing_kept.*geometry\.missing"):
        load.check(file)
    with pytest.raises(BadFile, match=r"file\.no_features"):
        load.check(collection(tmp_path / "b.geojson"))


def test_plane_coordinates_called_geojson(tmp_path: Path) -> None:
    file = collection(tmp_path / "a.geojson", feature(point(25496500, 6672500), "a"))
    with pytest.raises(BadFile, match=r"crs\.implausible.*declare the CRS"):
        load.check(file)
    report = load.check(file, Declared(crs="EPSG:3879"))
    assert (report.kept, report.crs) == (1, "EPSG:3879")
    assert "crs.declared" in {p.rule for p in report.problems}
    with pytest.raises(BadFile, match=r"crs\.unknown"):
        load.check(file, Declared(crs="EPSG:999999"))


def test_a_layer_knows_what_its_heights_count_from(store: Any, tmp_path: Path) -> None:
    one = collection(tmp_path / "one.geojson", feature(point(385000, 6672000, 12.5), "a"))
    two = collection(tmp_path / "two.geojson", feature(point(385010, 6672000, 13.5), "b"))

    def loaded(file: Path, crs: str, mode: str) -> tuple[str, list[str]]:
        report = load.run(store, file, Declared(crs=crs), layer_id="wells", mode=mode)
        rules = [p.rule for p in report.problems if p.rule.startswith("datum.")]
        return store.layer("wells").vertical_datum, rules

    n2000, n60, none = "EPSG:3903", "EPSG:3902", "EPSG:5048"
    assert loaded(one, n2000, "create") == ("N2000 height", ["datum.vertical"])
    assert loaded(two, none, "append") == ("N2000 height", [])
    assert loaded(two, n60, "append") == ("N2000 height", ["datum.vertical", "datum.mixed"])
    assert loaded(one, n60, "replace") == ("N60 height", ["datum.vertical"])
    assert loaded(one, none, "replace") == ("", [])


def test_nothing_is_loaded_into_a_layer_of_another_form(store: Any, tmp_path: Path) -> None:
    store.record(FormSpec("ortho", "coverage", "raster", {}, "EPSG:3879"))
    file = collection(tmp_path / "a.geojson", feature(point(25, 60), "a"))
    for mode in load.MODES:
        with pytest.raises(Exists, match="of the form coverage"):
            load.run(store, file, layer_id="ortho", mode=mode)


def test_mixed_geometry_and_heights(store: Any, tmp_path: Path) -> None:
    line = {"type": "LineString", "coordinates": [[1, 1], [2, 2]]}
    file = collection(
        tmp_path / "a.geojson",
        feature(point(1, 1, 5), "p"),
        feature(line, "l"),
        feature(polygon(SQUARE), "q"),
    )
    load.run(store, file, layer_id="mixed")
    assert store.layer("mixed").geometry_type == "Geometry"
    item = json.loads(store.item("mixed", 1).body)
    assert item["geometry"] == {"type": "Point", "coordinates": [1, 1, 5]}


def test_rare_columns_are_folded_and_nothing_is_lost(store: Any, tmp_path: Path) -> None:
    features = [
        feature(point(i / 100, 1), f"f{i}", common=i, **({"rare": "yes"} if i == 3 else {}))
        for i in range(40)
    ]
    features[5]["properties"].update(
        {"Name": "A", "fid": 7, "geom": "x", "COMMON": "shout", "nested": {"a": [1]}}
    )
    load.run(store, collection(tmp_path / "a.geojson", *features), layer_id="things")
    names = [f.name for f in store.layer("things").fields]
    assert names == ["source_id", "name", "common", "other"]
    rows = store.rows("things").properties
    assert json.loads(rows["other"][3]) == {"rare": "yes"}
    folded = json.loads(rows["other"][5])
    assert {k: folded[k] for k in ("COMMON", "fid", "geom")} == {"COMMON": "shout", "fid": 7, "geom": "x"}
    assert json.loads(folded["nested"]) == {"a": [1]}
    assert rows["name"][5] == "A"
    assert rows["other"][0] is None


def test_names_that_collide_are_kept_apart(store: Any, tmp_path: Path) -> None:
    file = collection(
        tmp_path / "a.geojson", feature(polygon(SQUARE), "a", fid=9, levels="3;4", Use="x", rowid=1)
    )
    load.run(store, file, Declared(kind="building"), layer_id="houses")
    (item,) = json.loads(b"[" + store.items("houses", Query()).features + b"]")
    found = item["properties"]
    assert (found["levels"], found["levels_src"], found["fid_src"], found["rowid_src"]) == (4, "3;4", 9, 1)
    assert found["use"] == "x"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"gml_id": "g1", "id": 5}, "g1"),
        ({"标准编码": "510422", "name": "x"}, "510422"),
        ({"osm_type": "way", "osm_id": 12}, "way/12"),
        ({"uuid": " u "}, "u"),
        ({"name": "x"}, None),
    ],
)
def test_which_column_is_the_source_id(
    store: Any, tmp_path: Path, properties: dict[str, Any], expected: str | None
) -> None:
    load.run(store, collection(tmp_path / "a.geojson", feature(point(1, 1), **properties)), layer_id="things")
    assert store.rows("things").properties["source_id"] == [expected]


def test_integer_feature_ids_are_source_ids_and_invented_ones_are_not(store: Any, tmp_path: Path) -> None:
    with_ids = [{**feature(point(i, 1)), "id": 100 + i} for i in range(3)]
    load.run(store, collection(tmp_path / "a.geojson", *with_ids), layer_id="numbered")
    assert store.rows("numbered").properties["source_id"] == ["100", "101", "102"]
    load.run(
        store, collection(tmp_path / "b.geojson", feature(point(1, 1)), feature(point(2, 1))), layer_id="bare"
    )
    assert store.rows("bare").properties["source_id"] == [None, None]


def test_the_stores_own_file_reads_back_alike(store: Any, tmp_path: Path) -> None:
    load.run(store, HELSINKI / "pipelines.geojson", Declared(kind="pipeline"), layer_id="pipes")
    before = json.loads(b"[" + store.items("pipes", Query(limit=100)).features + b"]")
    store.close()
    again = geopackage.open(tmp_path / "again.gpkg")
    report = load.run(
        again, tmp_path / "city.gpkg", Declared(layer="pipes", kind="pipeline"), layer_id="pipes"
    )
    assert report.sources["diameter_source"] == {"measured": 38, "default": 40}
    after = json.loads(b"[" + again.items("pipes", Query(limit=100)).features + b"]")
    assert after == before
    again.close()


def test_many_problems_stay_readable(tmp_path: Path) -> None:
    bad = [feature(None, f"b{i}") for i in range(500)]
    report = load.check(collection(tmp_path / "a.geojson", feature(point(1, 1), "a"), *bad))
    missing = [p for p in report.problems if p.rule == "geometry.missing"]
    assert report.quarantined == 500
    assert len(missing) == 101
    assert missing[-1].reason == "and 400 more rows of this rule"


def test_a_file_of_several_layers_asks_which(tmp_path: Path, store: Any) -> None:
    for name in ("one", "two"):
        load.run(store, collection(tmp_path / "a.geojson", feature(point(1, 1), "a")), layer_id=name)
    store.close()
    with pytest.raises(BadFile, match=r"layer\.choose.*one, two"):
        load.check(tmp_path / "city.gpkg")
    with pytest.raises(BadFile, match=r"layer\.unknown.*three"):
        load.check(tmp_path / "city.gpkg", Declared(layer="three"))
    assert load.check(tmp_path / "city.gpkg", Declared(layer="two")).kept == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layers: [{id: a, file: ../../etc/passwd}]", r"line 1: layers\.0\.file: must name a file in"),
        ("layers: [{id: a, file: out/a.geojson}]", r"line 1: layers\.0\.file: must name a file in"),
        ("layers: [{id: A, file: a.geojson}]", r"line 1: layers\.0\.id: must match"),
        ("layers:\n- id: a\n  file: a.geojson\n  knd: x", r"line 4: layers\.0\.knd: .* mean `kind`"),
        ("layers: [{id: a, file: a.geojson},\n {id: a, file: b}]", r"line 2: layers\.1\.id: .* named twice"),
        ("layers: {a: b}", r"line 1: layers: "),
        ("layers: [", r"line 1: "),
        ("- 1", "line 1: the file: expected keys"),
        ("layers: []\nvisible: no", r"line 2: visible: unknown key"),
    ],
)
def test_manifests_that_are_wrong(store: Any, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "load.yml").write_text(text)
    (tmp_path / "out").symlink_to("/etc")
    with pytest.raises(BadConfig, match=rf"load\.yml {words}"):
        load_manifest.run(store, tmp_path / "load.yml")
    assert store.layers() == []


def test_layers_without_a_title_are_told_apart(store: Any, tmp_path: Path) -> None:
    file = collection(tmp_path / "a.geojson", feature(polygon(SQUARE)))
    declared = Declared(kind="building")
    for name, title in (("a", None), ("b", None), ("c", {"en": "Town hall"})):
        load.run(store, file, declared, layer_id=name, title=title)
    titles = {layer.id: layer.title for layer in store.layers()}
    kind = titles["a"]
    assert titles["b"] == {lang: f"{text} · b" for lang, text in kind.items()}
    assert titles["c"] == {"en": "Town hall"}
    for name in ("a", "b"):
        load.run(store, file, declared, layer_id=name, mode="replace")
    assert {layer.id: layer.title for layer in store.layers()} == titles

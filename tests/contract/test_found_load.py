"""Files of ``tests/found`` that once went wrong: each with what is right."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from layers import load
from layers.cql.parse import parse
from layers.errors import BadParameter
from layers.model import Report
from layers.query import Query, parse_download
from layers.source import NOTHING, Declared
from layers.store import geopackage
from layers.store.base import Store
from layers.write import FORMATS, stream, write
from tests.contract.test_reader import differs, points
from twin.jobs.works.download import localized

FOUND = Path(__file__).parents[1] / "found"


@dataclass(frozen=True)
class Right:
    """What a load of a file gives: rows kept, identity, rules that it tells (at least), and values of some
    properties, by name, in the order of the rows."""

    file: str
    kept: int
    identity: str = "none"
    declared: Declared = NOTHING
    told: tuple[str, ...] = ()
    values: Mapping[str, list[Any]] = field(default_factory=dict)
    silent: tuple[str, ...] = ()  # rules that it does not tell
    kind: str = "feature"


FID = "the file's own number of the row"
PIPES = ((2, 1.5), (3, ""))
DAYS = {"检测": ["2020-01-01", None, "2020-01-03"]}

RIGHT = (
    Right(
        "load/01-arcgis-id-zero.shp",
        5,
        told=("id.chosen", "encoding.sniffed"),
        values={"Id": [0] * 5, "name": [f"井{i}" for i in range(5)]},
    ),
    Right("load/01c-property-id-text.geojson", 4, told=("id.chosen",), values={"id": ["路灯"] * 4}),
    Right("load/01e-dup-feature-ids.geojson", 4, told=("id.chosen",), values={"source_id": [None] * 4}),
    Right(
        "load/07-sixty-columns.csv",
        30,
        values={f"属性{i + 1}": [f"v{r}_{i}" for r in range(30)] for i in range(60)},
    ),
    Right(
        "load/10-long-codes.csv",
        4,
        values={"地址编码": [f"42010600100100012{i}" for i in range(4)]},
    ),
    Right("load/02-views.gpkg", 3, declared=Declared(layer="v"), told=("time.unreadable",), values=DAYS),
    Right("load/02-views.gpkg", 3, FID, Declared(layer="v2"), told=("time.unreadable",), values=DAYS),
    Right("load/02-views.gpkg", 3, FID, Declared(layer="wells"), told=("time.unreadable",), values=DAYS),
    Right(
        "load/03-gbk-names-only.shp",
        3,
        told=("encoding.sniffed",),
        values={
            "管径": [300, 400, 200],
            "起点埋深": [1.5, 2.0, 1.1],
            "终点埋深": [1.7, 2.2, 1.1],
            "建设年代": [2001, 2005, 1999],
            "depth_source": ["measured"] * 3,
        },
        kind="pipeline",
    ),
    Right(
        "load/03b-utf8-names-cut.shp",
        3,
        silent=("encoding.sniffed",),
        values={
            "管线类": ["给水", "污水", "燃气"],
            "起点埋": [1.5, 2.0, 1.1],
            "终点埋": [1.7, 2.2, 1.1],
            "权属单": ["自来水公司", "排水公司", "燃气公司"],
        },
    ),
    Right(
        "load/03d-cpg-oem.shp",
        2,
        told=("encoding.sniffed",),
        values={"管线类别": ["给水", "污水"], "name": ["自来水", "排水"]},
    ),
    Right("load/13-newline.geojson", 4, values={"n": [0, 1, 2, 3]}),
    Right("load/13c-newline.ndjson", 4, values={"n": [0, 1, 2, 3]}),
    Right("load/03g-gbk.geojson", 4, told=("encoding.sniffed",)),
    Right("load/03g-gbk.geojson", 4, declared=Declared(encoding="GBK"), silent=("encoding.sniffed",)),
    Right(
        "load/16-name-Name.geojson",
        1,
        identity="ID",
        told=("column.renamed",),
        values={"name": ["解放大道"], "Name_src": ["folder-1"], "ID": [5], "Id_": [6]},
    ),
    Right(
        "serve/06-integer-property-id.geojson",
        3,
        identity="id",
        values={"id": [11, 22, 33], "source_id": ["11", "22", "33"]},
    ),
    Right(
        "serve/06-case-twins.geojson",
        2,
        identity="the feature's own id",
        told=("column.renamed",),
        values={
            "name": ["Rautatientori", "Kaisaniemi"],
            "NAME_src": ["RAUTATIENTORI", "KAISANIEMI"],
            "fixme": ["check", None],
            "FIXME_": ["survey 2026", "survey 2027"],
            "ID": ["A-1", "A-2"],
        },
    ),
    Right(
        "serve/14-names.geojson",
        30,
        identity="the feature's own id",
        values={"id": [f"S/{i}" for i in range(30)], "fid_src": list(range(900, 930))},
    ),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    opened = geopackage.open(tmp_path / "city.gpkg")
    yield opened
    opened.close()


def rows(store: Any, layer_id: str = "found") -> list[dict[str, Any]]:
    """The properties of all features as a client gets them."""
    page = store.items(layer_id, Query(limit=1000)).features
    return [feature["properties"] for feature in json.loads(b"[" + page + b"]")]


@pytest.mark.parametrize("right", RIGHT, ids=lambda right: right.file)
def test_what_went_wrong_is_right(store: Any, right: Right) -> None:
    checked = load.check(FOUND / right.file, right.declared, layer_id="found")
    report = load.run(store, FOUND / right.file, right.declared, layer_id="found")
    for each in (checked, report):
        assert (each.kept, each.quarantined, each.identity) == (
            right.kept,
            each.read - right.kept,
            right.identity,
        )
        assert each.kind == right.kind
        rules = [problem.rule for problem in each.problems]
        assert set(right.told) <= set(rules)
        assert not set(right.silent) & set(rules)
    found = rows(store)
    assert {name: [row[name] for row in found] for name in right.values} == dict(right.values)
    assert_all_is_told(store, report)


def assert_all_is_told(store: Any, report: Report) -> None:
    """No two columns differ in case alone, and each is one that a filter takes."""
    names = [f.name for f in store.layer(report.layer).fields]
    assert len({name.casefold() for name in names}) == len(names)


def test_the_property_id_finds_its_features_next_year(store: Any) -> None:
    load.run(store, FOUND / "serve/06-integer-property-id.geojson", layer_id="found")
    again = FOUND / "serve/06-integer-property-id-next-year.geojson"
    report = load.run(store, again, layer_id="found", mode="replace")
    assert (report.created, report.updated, report.unchanged, report.deleted) == (0, 3, 0, 0)
    assert [row["name"] for row in rows(store)] == ["t1 moved", "t2 moved", "t3 moved"]


def test_heights_of_a_line_with_measures(store: Any) -> None:
    report = load.run(store, FOUND / "load/19-polyline-zm.shp", layer_id="found")
    page = store.items("found", Query()).features
    first = json.loads(b"[" + page + b"]")[0]["geometry"]["coordinates"]
    assert [position[2] for position in first] == [22.5, 21.5]
    assert (report.kept, report.crs) == (2, "EPSG:4547")


def test_a_column_that_is_named_identifies_rows_or_none_does(store: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("lon,lat,id,code\n1,2,1,a\n1,3,2,b\n1,4,3,a\n1,5,4,\n", "utf-8")
    guessed = load.check(file)
    assert (guessed.identity, guessed.kept) == ("id", 4)
    none = load.check(file, Declared(id_field="none"))
    assert (none.identity, none.kept) == ("none", 4)
    named = load.run(store, file, Declared(id_field="code"), layer_id="found")
    assert (named.identity, named.kept, named.quarantined) == ("code", 3, 1)
    assert [(p.rule, p.row) for p in named.problems if p.action == "quarantined"] == [("id.duplicate", 3)]
    assert [(row["source_id"], row["id"]) for row in rows(store)] == [("a", 1), ("b", 2), (None, 4)]
    with pytest.raises(BadParameter, match="id_field"):
        load.check(file, Declared(id_field="nothing"))


def test_what_was_proven_before_comes_first(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    header = "lon,lat,uuid,id"
    load.run(store, points(file, header, "1,2,u,1", "1,3,u,2"), layer_id="found")
    again = load.run(store, points(file, header, "5,2,u,1", "5,3,v,2"), layer_id="found", mode="replace")
    assert (again.identity, again.updated, differs(again)) == ("id", 2, [])
    other = load.run(store, points(file, header, "5,2,u,1", "5,3,v,1"), layer_id="found", mode="replace")
    assert (other.identity, len(differs(other))) == ("uuid", 1)


def test_a_column_fid_is_data_but_where_a_store_has_it(store: Store, tmp_path: Path) -> None:
    file = points(tmp_path / "a.csv", "lon,lat,source_id,fid", "1,2,a,901", "1,3,b,902")
    load.run(store, file, layer_id="found")
    assert [(row["source_id"], row["fid_src"]) for row in rows(store)] == [("a", 901), ("b", 902)]
    layer = store.feature_layer("found")
    download = tmp_path / "b.csv"
    download.write_bytes(b"".join(stream("csv", layer, store.scan("found", Query()))))
    for mode in ("create", "replace"):  # as another layer, and as this one
        report = load.run(store, download, layer_id="again", mode=mode)
        assert [f.name for f in store.feature_layer("again").fields] == [f.name for f in layer.fields]
        assert "column.own" in [p.rule for p in report.problems]


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_value_goes_with_where_it_came_from(store: Store, tmp_path: Path, form: str) -> None:
    """Downloaded with that property alone, and loaded again."""
    file = points(tmp_path / "a.csv", "wkt,depth_m", *(f'"LINESTRING (1 {i}, 2 {i})",{d}' for i, d in PIPES))
    pipes = Declared(kind="pipeline", crs="EPSG:4326")
    first = load.run(store, file, pipes, layer_id="pipes")
    assert first.sources["depth_source"] == {"default": 1, "measured": 1}
    layer = store.feature_layer("pipes")
    query = parse_download(layer, [("properties", "depth_m")])
    made = tmp_path / f"b.{FORMATS[form].extension.removeprefix('shp.')}"
    shown, batches = localized(layer, query, "en", "Pipes"), store.scan("pipes", query)
    if FORMATS[form].streamed:
        made.write_bytes(b"".join(stream(form, shown, batches)))
    else:
        write(form, shown, batches, made)
    again = load.check(made, pipes)
    assert again.sources["depth_source"] == first.sources["depth_source"]


def test_a_file_of_a_store_that_lost_a_source_measured_nothing(tmp_path: Path) -> None:
    lines = ('1,1.5,"LINESTRING (1 2, 2 2)"', '2,1.8,"LINESTRING (1 3, 2 3)"')
    for header, lost in (
        ("fid,depth_m,wkt", True),
        ("fid,depth,wkt", False),  # another's name
        ("depth_m,n,wkt", False),
        ("depth_m,source_id,wkt", True),
    ):
        report = load.check(
            points(tmp_path / "a.csv", header, *lines), Declared(kind="pipeline", crs="EPSG:4326")
        )
        assert (report.sources["depth_source"] == {"default": 2}) == lost
        assert ("provenance.lost" in [p.rule for p in report.problems]) == lost


def test_what_is_folded_is_told_and_a_filter_reaches_it(store: Any, tmp_path: Path) -> None:
    tags: list[dict[str, Any]] = [{"highway": "lamp", "n": i} for i in range(40)]
    tags[7]["fixme"] = "check"
    features = [
        {"type": "Feature", "properties": t, "geometry": {"type": "Point", "coordinates": [25, 60]}}
        for t in tags
    ]
    file = tmp_path / "a.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    report = load.run(store, file, layer_id="found")
    (told,) = [p.reason for p in report.problems if p.rule == "column.folded"]
    assert "fixme" in told
    layer = store.layer("found")
    where = parse('other LIKE \'%"fixme":"check"%\'', "cql2-text", layer)
    page = store.items("found", Query(filter=where))
    assert json.loads(page.features)["properties"]["n"] == 7
    # the same column of a table stays one, however rarely it is filled
    table = tmp_path / "a.csv"
    lines = [f"25,60,{i},{'check' if i == 7 else ''}" for i in range(40)]
    table.write_text("\n".join(["lon,lat,n,fixme", *lines]), "utf-8")
    load.run(store, table, layer_id="table")
    assert store.layer("table").field("fixme") is not None


def test_a_view_that_repeats_numbers_and_dates_keeps_all_rows(tmp_path: Path) -> None:
    """A join gives one number to several rows: it identifies none, and each has its own date."""
    file = tmp_path / "a.gpkg"
    shutil.copy(FOUND / "load/02-views.gpkg", file)
    with closing(sqlite3.connect(file)) as con, con:
        con.execute("CREATE VIEW j AS SELECT w.fid, w.名称, x.检测, w.geom FROM wells w, wells x")
        con.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)"
            " SELECT 'j', 'features', 'j', srs_id FROM gpkg_contents WHERE table_name = 'wells'"
        )
        con.execute(
            "INSERT INTO gpkg_geometry_columns SELECT 'j', column_name, geometry_type_name, srs_id, z, m"
            " FROM gpkg_geometry_columns WHERE table_name = 'wells'"
        )
    report = load.check(file, Declared(layer="j"))
    assert (report.kept, report.identity) == (9, "none")
    assert [p.row for p in report.problems if p.rule == "time.unreadable"] == [2, 5, 8]


def test_names_of_twins_stay_what_they_were(store: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"

    def loaded(header: str, mode: str) -> dict[str, Any]:
        cells = ",".join(f"<{name}>" for name in header.split(","))
        file.write_text(f"lon,lat,{header}\n1,2,{cells}\n", "utf-8")
        load.run(store, file, layer_id="found", mode=mode)
        found = rows(store)[-1]
        return {name: value for name, value in found.items() if value and name != "source_id"}

    first = {"code": "<code>", "CODE_": "<CODE>"}
    assert loaded("code,CODE", "create") == first
    assert loaded("CODE,code", "replace") == first
    assert loaded("CODE", "append") == first  # the feature of that place
    assert loaded("Code", "replace") == {"code": "<Code>"}

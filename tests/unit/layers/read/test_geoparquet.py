"""GeoParquet as programs write it: where its geometries are, in which CRS, what becomes of its columns."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from layers import guard, load
from layers.errors import BadFile
from layers.guard import ReadLimits
from layers.source import Declared
from tests.parquets import described_as, geoparquet
from tests.unit.layers.write import samples

POINTS = shapely.points([(114.3, 30.5), (114.31, 30.51)])
WKB = shapely.to_wkb(POINTS)
DUTCH = shapely.to_wkb(shapely.points([(121_000, 487_000), (121_010, 487_020)]))


def table(geometry: Any = WKB, **columns: Any) -> pa.Table:
    return pa.table({"name": ["a", "b"], **columns, "geometry": geometry})


def reasons(report: Any, rule: str) -> list[str]:
    return [p.reason for p in report.problems if p.rule == rule]


def test_the_buildings_of_andorra(shared_data: Path) -> None:
    report = load.check(shared_data / "andorra/building.geoparquet", Declared(kind="building"))
    assert (report.kept, report.driver, report.crs) == (731, "GeoParquet", "EPSG:32631")
    assert report.sources["height_source"]["measured"] == 198


@pytest.mark.parametrize(
    ("says", "crs"),
    [
        ({}, "OGC:CRS84"),
        ({"crs": pyproj.CRS("EPSG:4490").to_json_dict()}, "EPSG:4490"),
        ({"crs": pyproj.CRS("OGC:CRS84").to_json_dict()}, "OGC:CRS84"),
        ({"crs": pyproj.CRS("EPSG:4326").to_wkt()}, "EPSG:4326"),  # GeoParquet 0.1 to 0.3
    ],
)
def test_the_crs_is_what_the_metadata_says(tmp_path: Path, says: dict[str, Any], crs: str) -> None:
    report = load.check(geoparquet(tmp_path / "a.parquet", table(), **says))
    assert (report.crs, report.kept) == (crs, 2)


def test_a_definition_without_a_code_is_used(tmp_path: Path) -> None:
    own = pyproj.CRS("EPSG:4547").to_json_dict()
    del own["id"]
    own["name"] = "a grid of its own"
    own["conversion"]["parameters"][1]["value"] = 114.3
    own["conversion"]["parameters"][3]["value"] = 30_000
    places = shapely.to_wkb(shapely.points([(30_000, 3_375_000), (30_100, 3_375_100)]))
    report = load.check(geoparquet(tmp_path / "a.parquet", table(places), crs=own), Declared(kind="feature"))
    assert reasons(report, "crs.own")
    assert report.kept == 2


def test_a_compound_crs_tells_what_heights_count_from(tmp_path: Path) -> None:
    compound = pyproj.CRS("EPSG:7415").to_json_dict()
    del compound["id"]
    report = load.check(geoparquet(tmp_path / "a.parquet", table(DUTCH), crs=compound))
    assert report.crs == "EPSG:28992"
    assert reasons(report, "datum.vertical") == ["heights are kept in their datum, NAP height"]


@pytest.mark.parametrize("crs", [None, {}])
def test_a_crs_that_is_not_known_has_to_be_declared(tmp_path: Path, crs: Any) -> None:
    file = geoparquet(tmp_path / "a.parquet", table(DUTCH), crs=crs)
    with pytest.raises(BadFile, match=r"crs\.missing"):
        load.check(file)
    assert load.check(file, Declared(crs="EPSG:28992")).kept == 2


def test_a_crs_that_is_none_is_a_reason(tmp_path: Path) -> None:
    file = geoparquet(tmp_path / "a.parquet", table(), crs={"type": "GeographicCRS", "name": "nowhere"})
    with pytest.raises(BadFile, match=r"crs\.unknown.*--crs"):
        load.check(file)
    assert load.check(file, Declared(crs="EPSG:4326")).kept == 2


def test_one_of_several_geometries_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    both = table(centre=shapely.to_wkb(shapely.points([(1, 2), (3, 4)])))
    wkb = {"encoding": "WKB", "geometry_types": ["Point"]}
    geo = {"primary_column": "geometry", "columns": {"centre": wkb, "geometry": wkb}}
    file = described_as(tmp_path / "a.parquet", both, geo)
    with guard.read(file) as reading:
        (batch,) = reading.batches()
        assert batch["__wkb"].to_pylist() == list(WKB)
        assert "centre" not in batch.column_names
    assert reasons(load.check(file), "column.geometry")
    with guard.read(file, Declared(layer="centre")) as reading:
        (batch,) = reading.batches()
        assert batch["__wkb"].to_pylist() != list(WKB)
        assert "geometry" not in batch.column_names
    with pytest.raises(BadFile, match=r"layer\.unknown.*geometry, centre"):
        load.check(file, Declared(layer="other"))


def test_the_box_of_each_geometry_is_no_property(tmp_path: Path) -> None:
    sides = ("xmin", "ymin", "xmax", "ymax")
    boxes = [dict.fromkeys(sides, 1.0)] * 2
    file = geoparquet(
        tmp_path / "a.parquet",
        table(extent=boxes, bbox=boxes),
        covering={"bbox": {side: ["extent", side] for side in sides}},
    )
    with guard.read(file) as reading:
        assert reasons(reading, "column.box") == ["bbox is the box of each geometry; it is left out"]
        assert [name for name in reading.columns() if not name.startswith("__")] == ["name"]


def test_edges_on_a_sphere_are_told(tmp_path: Path) -> None:
    report = load.check(geoparquet(tmp_path / "a.parquet", table(), edges="spherical"))
    assert reasons(report, "geometry.edges")


def test_a_download_of_ours_has_its_lists_back(tmp_path: Path) -> None:
    path = samples.file("parquet", samples.layer(), [samples.rows(list(POINTS))], tmp_path)
    with guard.read(path) as reading:
        (batch,) = reading.batches()
        assert pa.types.is_list(batch.schema.field("标签").type)
        assert "bbox" not in batch.column_names
        assert not reading.problems


#: Column of two rows → what the reader makes of it.
COLUMNS: dict[str, tuple[pa.Array, list[Any]]] = {
    "decimal": (pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)), [1.5, None]),
    "code": (pa.array([Decimal(42), Decimal(10**30)], pa.decimal128(38, 0)), ["42", str(10**30)]),
    "day": (pa.array([dt.date(999, 12, 31), None]), ["0999-12-31", None]),
    "far": (pa.array([2**31 - 1, None], pa.int32()).cast(pa.date32()), ["5881580-07-11", None]),
    "local": (pa.array([0, None], pa.timestamp("s")), ["1970-01-01T00:00:00.000", None]),
    "instant": (pa.array([1500, None], pa.timestamp("ms", "Asia/Tokyo")), ["1970-01-01T00:00:01.500Z", None]),
    "fine": (pa.array([-1, None], pa.timestamp("ns", "UTC")), ["1969-12-31T23:59:59.999999999Z", None]),
    "clock": (pa.array([30_600 * 10**9 + 1, None], pa.time64("ns")), ["08:30:00", None]),
    "lasted": (pa.array([1500, -90_000], pa.duration("ms")), ["PT1.5S", "-PT90S"]),
    "word": (pa.array(["x", None]).dictionary_encode(), ["x", None]),
    "large": (pa.array(["x", None], pa.large_string()), ["x", None]),
    "half": (pa.array([1.5, None], pa.float16()), [1.5, None]),
    "unsigned": (pa.array([2**64 - 1, 3], pa.uint64()), [str(2**64 - 1), "3"]),
    "short": (pa.array([3, None], pa.uint64()), [3, None]),
    "uuid": (pa.array([bytes(16), None], pa.uuid()), ["00000000-0000-0000-0000-000000000000", None]),
    "json": (pa.array(['[1,"a"]', None], pa.json_()), [["1", '"a"'], None]),
    "list": (pa.array([[1, None], None], pa.list_(pa.int32())), [["1", "null"], None]),
    "sizes": (pa.array([[1.5, 2], None], pa.list_(pa.float32(), 2)), [["1.5", "2.0"], None]),
    "lists": (pa.array([[["a"], []], None], pa.large_list(pa.list_(pa.string()))), ['[["a"],[]]', None]),
    "struct": (pa.array([{"a": 1, "b": dt.date(2020, 1, 1)}, None]), ['{"a":1,"b":"2020-01-01"}', None]),
    "map": (pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())), ['{"k":1}', "{}"]),
    "numbered": (
        pa.array([[(1, ["x"])], None], pa.map_(pa.int8(), pa.list_(pa.string()))),
        ['{"1":["x"]}', None],
    ),
    "null": (pa.nulls(2), [None, None]),
    "a.b": (pa.array(["1", "2"]), ["1", "2"]),
    "Name": (pa.array(["A", "B"]), ["A", "B"]),
}


def test_every_type_of_column(tmp_path: Path) -> None:
    columns = {name: array for name, (array, _) in COLUMNS.items()}
    columns |= {"bytes": pa.array([b"x", None]), "inside": pa.array([[b"x"], None])}
    file = geoparquet(tmp_path / "a.parquet", table(**columns))
    with guard.read(file) as reading:
        (batch,) = reading.batches()
        for name, (_, wanted) in COLUMNS.items():
            assert batch[name].to_pylist() == wanted, name
        assert "bytes" not in batch.column_names
        days, moments = ("day", "far"), ("local", "instant", "fine")
        assert reading.meta["times"] == dict.fromkeys(days, "date") | dict.fromkeys(moments, "datetime")
        told = reasons(reading, "column.binary")
        assert [reason.split()[0] for reason in told] == ["bytes", "inside"]


def test_columns_of_one_name_are_both_read(tmp_path: Path) -> None:
    twins = table(other=["c", "d"]).rename_columns(["name", "name", "geometry"])
    with guard.read(geoparquet(tmp_path / "a.parquet", twins)) as reading:
        (batch,) = reading.batches()
        assert (batch["name"].to_pylist(), batch["name_"].to_pylist()) == (["a", "b"], ["c", "d"])


class _GeoArrowWkb(pa.ExtensionType):
    """As pyarrow writes the types of Parquet from it."""

    def __init__(self, says: bytes = b"{}") -> None:
        self.says = says
        super().__init__(pa.binary(), "geoarrow.wkb")

    def __arrow_ext_serialize__(self) -> bytes:
        return self.says

    @classmethod
    def __arrow_ext_deserialize__(cls, _storage: pa.DataType, says: bytes) -> _GeoArrowWkb:
        return cls(says)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("says", "crs"),
    [
        ({}, "OGC:CRS84"),
        ({"crs": "EPSG:4490"}, "EPSG:4490"),
        ({"crs": "4490", "crs_type": "srid"}, "EPSG:4490"),
        ({"crs": "srid:0"}, None),
        ({"crs": pyproj.CRS("EPSG:4490").to_json_dict(), "crs_type": "projjson"}, "EPSG:4490"),
        ({"crs": "OGC:CRS84", "edges": "spherical"}, "OGC:CRS84"),
    ],
)
def test_parquet_with_types_of_geometry(tmp_path: Path, says: Any, crs: str | None, stored: bool) -> None:
    path = tmp_path / "a.parquet"
    typed = pa.ExtensionArray.from_storage(_GeoArrowWkb(json.dumps(says).encode()), pa.array(WKB))
    pa.register_extension_type(_GeoArrowWkb())
    try:
        pq.write_table(pa.table({"shape": typed}), path, store_schema=stored)
    finally:
        pa.unregister_extension_type("geoarrow.wkb")
    with guard.read(path) as reading:
        (batch,) = reading.batches()
        assert batch["__wkb"].to_pylist() == list(WKB)
        assert (reading.meta["driver"], reading.meta["crs"]) == ("Parquet", crs)
        assert bool(reasons(reading, "geometry.edges")) == ("edges" in says)


def test_parquet_that_says_nothing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1, 2], "Geom": WKB}), path := tmp_path / "a.parquet")
    with pytest.raises(BadFile, match=r"crs\.missing"):
        load.check(path)
    assert load.check(path, Declared(crs="EPSG:4326")).kept == 2
    pq.write_table(pa.table({"n": [1, 2], "geom": [b"no", b"wkb"]}), path)
    with pytest.raises(BadFile, match=r"nothing_kept.*geometry\.missing"):
        load.check(path)


@pytest.mark.parametrize(
    ("geo", "says"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ([], "describes no columns"),
        ({}, "describes no columns"),
        ({"columns": {"geometry": 1}, "primary_column": "geometry"}, "describes no columns"),
        ({"columns": {"geometry": {}}, "primary_column": ["geometry"]}, "which the file does not have"),
        ({"columns": {"gone": {}}, "primary_column": "gone"}, "column gone, which the file does not have"),
        ({"columns": {"geometry": {"encoding": "WKT"}}, "primary_column": "geometry"}, "encoded as wkt"),
        (
            {"columns": {"name": {"encoding": "WKB"}}, "primary_column": "name"},
            "said to hold WKB, but is string",
        ),
    ],
)
def test_metadata_that_is_wrong_is_a_reason(tmp_path: Path, geo: Any, says: str) -> None:
    with pytest.raises(BadFile, match=says):
        load.check(described_as(tmp_path / "a.parquet", table(), geo))


def test_few_bytes_that_stand_for_many_are_refused(tmp_path: Path) -> None:
    same = {"name": pa.array(["x" * 300_000] * 400), "geometry": [WKB[0]] * 400}
    for name, column in (("plain", same["name"]), ("coded", same["name"].dictionary_encode())):
        file = geoparquet(tmp_path / f"{name}.parquet", pa.table({**same, "name": column}))
        with pytest.raises(BadFile, match=r"limit\.ratio"):
            load.check(file)
        with pytest.raises(BadFile, match=r"limit\.bytes"):
            load.check(file, limits=ReadLimits(size=30 << 20))
    rows = geoparquet(tmp_path / "rows.parquet", pa.table({"geometry": pa.nulls(9_000_000, pa.binary())}))
    with pytest.raises(BadFile, match=r"limit\.ratio"):
        load.check(rows, rows=None)


def test_what_cannot_be_read_is_a_reason(tmp_path: Path) -> None:
    encrypted = tmp_path / "a.parquet"
    encrypted.write_bytes(b"PARE" + bytes(50) + b"PARE")
    with pytest.raises(BadFile, match=r"parquet\.encrypted"):
        load.check(encrypted)
    deep: pa.DataType = pa.int8()
    for _ in range(300):
        deep = pa.struct([("a", deep)])
    with pytest.raises(BadFile, match=r"file\.damaged.*nested"):
        load.check(geoparquet(tmp_path / "b.parquet", table(deep=pa.nulls(2, deep))))
    wide = {f"c{number}": pa.nulls(2, pa.int8()) for number in range(2001)}
    with pytest.raises(BadFile, match=r"limit\.columns"):
        load.check(geoparquet(tmp_path / "c.parquet", table(**wide)))

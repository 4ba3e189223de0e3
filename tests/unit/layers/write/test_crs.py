"""Files in another CRS: where things lie and what the file says of it, judged by GDAL and pyarrow."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from layers import crs, guard
from layers.batch import WKB
from layers.write import FORMATS, page, stream, write
from tests.gdal_read import Gdal
from tests.unit.layers.write.samples import GEOMETRIES, layer, rows, shapes_of

#: Code → a place, and where it is in that CRS, x (east) first: of the axis orders of these
#: authorities only those of 3067, 3857, 28992 and 7415 are that one.
PLACES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    code: (place, pyproj.Transformer.from_crs(base, code, always_xy=True).transform(*place))
    for code, base, place in (
        ("EPSG:3879", "EPSG:4258", (24.94, 60.17)),
        ("EPSG:3067", "EPSG:4258", (24.94, 60.17)),
        ("EPSG:4549", "EPSG:4490", (120.2, 30.25)),
        ("EPSG:28992", "EPSG:4326", (4.9, 52.37)),
        ("EPSG:7415", "EPSG:9518", (4.9, 52.37)),
        ("EPSG:3857", "EPSG:4326", (24.94, 60.17)),
        ("EPSG:4490", "EPSG:4490", (120.2, 30.25)),
        ("EPSG:4326", "EPSG:4326", (24.94, 60.17)),
        ("EPSG:4979", "EPSG:4326", (24.94, 60.17)),
    )
}
HEIGHT = 7.25


def file(name: str, text: str, shapes: list[Any], folder: Path, kind: Any = "Point") -> Path:
    form = FORMATS[name]
    path = folder / f"places.{form.extension}"
    path.unlink(missing_ok=True)
    if form.streamed:
        path.write_bytes(b"".join(stream(name, layer(kind), [rows(shapes)], crs=crs.uri(text))))
    else:
        write(name, layer(kind), [rows(shapes)], path, crs.uri(text))
    return path


def cells(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))


@pytest.mark.parametrize("code", PLACES)
@pytest.mark.parametrize("name", ["geojson", "flatgeobuf", "gpkg", "shp"])
def test_gdal_finds_the_place_and_the_crs(name: str, code: str, tmp_path: Path, gdal: Gdal) -> None:
    lonlat, wanted = PLACES[code]
    path = file(name, code, [shapely.Point(*lonlat, HEIGHT)], tmp_path)
    (read,) = gdal.read(f"/vsizip/{path}" if name == "shp" else path)
    (found,) = shapes_of(read.features)
    assert np.allclose((found.x, found.y, found.z), (*wanted, HEIGHT), rtol=0, atol=2e-4)
    if (name, code) != ("shp", "EPSG:4979"):  # the WKT of a Shapefile has no codes; GDAL knows the others
        assert read.epsg == code[5:]


@pytest.mark.parametrize("code", PLACES)
def test_parquet(code: str, tmp_path: Path) -> None:
    lonlat, wanted = PLACES[code]
    read = pq.ParquetFile(file("parquet", code, [shapely.Point(*lonlat, HEIGHT)], tmp_path))
    found = shapely.from_wkb(read.read()["geometry"][0].as_py())
    assert np.allclose((found.x, found.y, found.z), (*wanted, HEIGHT), rtol=0, atol=2e-4)
    told = json.loads(read.metadata.metadata[b"geo"])["columns"]["geometry"]["crs"]
    assert pyproj.CRS.from_json_dict(told) == pyproj.CRS(code)


@pytest.mark.parametrize("code", PLACES)
def test_csv_tells_it_in_a_column(code: str, tmp_path: Path) -> None:
    lonlat, wanted = PLACES[code]
    (row,) = cells(file("csv", code, [shapely.Point(*lonlat, HEIGHT)], tmp_path))
    pair = ["lon", "lat"] if pyproj.CRS(code).is_geographic else ["x", "y"]
    assert list(row)[-4:] == [*pair, "geometry", "crs"]
    assert row["crs"] == code
    assert np.allclose([float(row[one]) for one in pair], wanted, rtol=0, atol=2e-4)
    found = shapely.from_wkt(row["geometry"])
    assert np.allclose((found.x, found.y, found.z), (*wanted, HEIGHT), rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", ["geojson", "flatgeobuf", "gpkg", "parquet", "csv"])
@pytest.mark.parametrize("case", GEOMETRIES)
def test_every_geometry_keeps_its_type_and_heights(name: str, case: str, tmp_path: Path, gdal: Gdal) -> None:
    kind, shapes = GEOMETRIES[case]
    project = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)

    def plane(xyz: Any) -> Any:
        x, y = project.transform(xyz[:, 0], xyz[:, 1])
        return np.column_stack((x, y, *xyz.T[2:]))

    wanted = [s if s is None else shapely.transform(s, plane, include_z=s.has_z) for s in shapes]
    path = file(name, "EPSG:3857", shapes, tmp_path, kind)
    if name == "parquet":
        found = shapely.from_wkb(pq.read_table(path)["geometry"].to_pylist()).tolist()
    elif name == "csv":
        found = [shapely.from_wkt(row["geometry"] or None) for row in cells(path)]
    else:
        (read,) = gdal.read(path)
        found = shapes_of(read.features)
    if case.startswith("heights on some") and name == "flatgeobuf":
        wanted = shapely.force_3d(wanted, 0).tolist()
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.geom_type == other.geom_type
            coordinates = [shapely.get_coordinates(s, include_z=s.has_z) for s in (one, other)]
            assert np.allclose(*coordinates, rtol=0, atol=2e-4, equal_nan=True)


@pytest.mark.parametrize("name", FORMATS)
def test_what_lies_beyond_the_crs_has_no_geometry(name: str, tmp_path: Path, gdal: Gdal) -> None:
    """A quarter of the globe from a transverse Mercator's meridian: the row stays, without a geometry."""
    lines = [shapely.LineString([(25, 0), (115, 0)]), shapely.LineString([(25, 60), (25, 61)])]
    path = file(name, "EPSG:3879", lines, tmp_path, "LineString")
    if name == "csv":
        assert [bool(row["geometry"]) for row in cells(path)] == [False, True]
    elif name == "parquet":
        assert [one is None for one in pq.read_table(path)["geometry"].to_pylist()] == [True, False]
    else:
        (read,) = gdal.read(f"/vsizip/{path}" if name == "shp" else path)
        assert [one is None for one in shapes_of(read.features)] == [True, False]


def test_geopackage_registers_the_crs(tmp_path: Path) -> None:
    path = file("gpkg", "EPSG:4549", [shapely.Point(120.2, 30.25)], tmp_path)
    con = sqlite3.connect(path)
    (organization, code, text) = con.execute(
        "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys"
        " WHERE srs_id=4549"
    ).fetchone()
    assert (organization, code) == ("EPSG", 4549)
    assert text.startswith('PROJCS["CGCS2000 / 3-degree Gauss-Kruger CM 120E"')
    for table in ("gpkg_contents", "gpkg_geometry_columns"):
        assert con.execute(f"SELECT srs_id FROM {table}").fetchall() == [(4549,)]
    (blob,) = con.execute("SELECT geom FROM places").fetchone()
    assert int.from_bytes(blob[4:8], "little") == 4549
    x, y = PLACES["EPSG:4549"][1]
    assert con.execute("SELECT min_x, min_y FROM gpkg_contents").fetchone() == pytest.approx((x, y))
    near = con.execute("SELECT id FROM rtree_places_geom WHERE minx <= ? AND maxx >= ?", (x, x))
    assert near.fetchall() == [(1,)]
    con.close()


def test_the_prj_is_that_of_esri(tmp_path: Path) -> None:
    path = file("shp", "EPSG:4549", [shapely.Point(120.2, 30.25)], tmp_path)
    with zipfile.ZipFile(path) as archive:
        text = archive.read("places.prj").decode()
    assert text.startswith('PROJCS["CGCS2000_3_Degree_GK_CM_120E",GEOGCS["GCS_China_Geodetic_')
    assert "AUTHORITY" not in text


def test_geojson_of_2008_names_its_crs_and_that_of_2016_has_none(tmp_path: Path) -> None:
    point = [shapely.Point(120.2, 30.25)]
    found = json.loads(file("geojson", "EPSG:4549", point, tmp_path).read_bytes())
    assert found["crs"] == {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4549"}}
    assert "crs" not in json.loads(file("geojson", "CRS84", point, tmp_path).read_bytes())


@pytest.mark.parametrize("name", ["geojson", "flatgeobuf", "gpkg", "shp"])
def test_it_can_be_loaded_again(name: str, tmp_path: Path) -> None:
    path = file(name, "EPSG:4549", [shapely.Point(120.2, 30.25)], tmp_path)
    if name == "shp":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
        path = tmp_path / "places.shp"
    with guard.read(path) as reading:
        (batch,) = reading.batches()
        code = reading.meta["crs"]
    found = shapely.from_wkb(batch[WKB].to_pylist())
    (back,) = crs.shapes_to_lonlat(found, code)
    assert (back.x, back.y) == pytest.approx((120.2, 30.25), abs=2e-9)
    assert pyproj.CRS(code) == pyproj.CRS("EPSG:4549")


@pytest.mark.parametrize("name", ["flatgeobuf", "csv"])
def test_a_page_is_the_same_file(name: str, tmp_path: Path) -> None:
    point = [shapely.Point(120.2, 30.25)]
    body = page(name, layer(), rows(point), crs.uri("EPSG:4549"))
    whole = file(name, "EPSG:4549", point, tmp_path).read_bytes()
    if name == "csv":
        assert body == whole
    else:  # but for the number of features, which a page tells
        assert body[-200:] == whole[-200:]
        assert len(body) == len(whole)

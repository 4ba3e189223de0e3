"""OGC API Coverages (19-087, Annex A of the draft of 2026): one test an abstract test of each class that is
declared, seen from outside. Each docstring begins with the identifier of its abstract test."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pyproj import Transformer

from tests.conformance.rasters.outside import (
    BOX,
    CRS84,
    Site,
    declared,
    grid,
    linked,
    ported,
)

#: The abstract tests of the classes that are declared, but those of a third dimension, of data without a
#: grid, of fields of several resolutions and of the preference of an interpolation, which nothing here has.
COVERAGES = {
    "core": "conformance-success collection-description coverage-fields-schema get-coverage response-headers "
    "preference-handling-resolution",
    "subsetting-spatial": "subset subset-invalid-axis out-of-bounds wrap-around subset-bbox-exclusivity "
    "wildcard-limits multiple-subset subset-scaling-exclusivity subset-crs bbox-definition bbox-crs",
    "subsetting-temporal": "subset subset-invalid-axis out-of-bounds subset-datetime-exclusivity "
    "wildcard-limits multiple-subset datetime",
    "scaling-spatial": "resolution native-resolution resolution-invalid-axis width-and-height",
    "field-selection": "properties exclude-properties",
    "crs": "crs-definition",
    "geotiff": "coverage raster-type",
    "coveragejson": "coverage",
}


def test_coverages_conformance(site: Site) -> None:
    """cov/conf/core/conformance-success: the classes are declared, and are those that are tested here."""
    assert declared(site, "ogcapi-coverages-1") == {*COVERAGES, "oas30"}


def test_coverages_description(site: Site) -> None:
    """cov/conf/core/collection-description: link, storageCrs and its box."""
    document = site.get("/collections/dem").json()
    assert linked(site, "dem", "coverage")
    assert document["storageCrs"].endswith("/EPSG/0/3857")
    assert document["extent"]["spatial"]["storageCrsBbox"] == [[2_776_000, 8_436_000, 2_779_000, 8_438_000]]


def test_coverages_schema(site: Site) -> None:
    """cov/conf/core/coverage-fields-schema: title, type and place of each field."""
    (link,) = linked(site, "photo", "schema")
    fields = site.get(link["href"]).json()["properties"]
    assert [one["x-ogc-propertySeq"] for one in fields.values()] == [1, 2, 3]
    assert all(one["title"] and one["type"] == "integer" for one in fields.values())


def test_coverages_get(site: Site) -> None:
    """cov/conf/core/get-coverage: by link, in the form of its type, in the storage CRS, fields in order."""
    for link in linked(site, "photo", "coverage"):
        answer = site.get(link["href"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, link["type"])
    with grid(site.photo()) as got:
        assert got.crs.to_epsg() == 3857
        assert got.descriptions == ("red", "green", "blue")


def test_coverages_headers(site: Site) -> None:
    """cov/conf/core/response-headers: Content-Crs, Content-Bbox in its axis order, Content-Datetime."""
    headers = site.photo(crs="EPSG:4326").headers
    assert headers["content-crs"] == "<http://www.opengis.net/def/crs/EPSG/0/4326>"
    south, west, north, east = map(float, headers["content-bbox"].split(","))
    assert 60 < south < north < 61
    assert 24 < west < east < 25
    assert headers["content-datetime"] == "2024-06-01"


def test_coverages_native_resolution(site: Site) -> None:
    """cov/conf/core/preference-handling-resolution: native resolution or 413, whatever is preferred."""
    answer = httpx.get(f"{site.root}/collections/dem/coverage", headers={"Prefer": "handling=strict"})
    with grid(answer) as got:
        assert got.shape == (200, 300)


def test_subset(site: Site) -> None:
    """cov/conf/subsetting-spatial/subset: intervals and single coordinates; cells whose inside is met."""
    with grid(site.coverage(subset="Lat(60.163:60.165),Lon(24.94:24.95)")) as got:
        to_metres = Transformer.from_crs(4326, 3857, always_xy=True)
        west, south, east, north = to_metres.transform_bounds(24.94, 60.163, 24.95, 60.165)
        assert 0 <= west - got.bounds.left < 10
        assert 0 <= got.bounds.right - east < 10
        assert 0 <= south - got.bounds.bottom < 10
        assert 0 <= got.bounds.top - north < 10
    with grid(site.coverage(subset="Lat(60.165)")) as got:
        assert got.shape == (1, 300)
    with grid(site.coverage(subset="E(2776000:2776100),N(8437000:8437100)", subset_crs="EPSG:3857")) as got:
        assert got.shape == (10, 10)


def test_subset_axis(site: Site) -> None:
    """cov/conf/subsetting-spatial/subset-invalid-axis: 400."""
    assert site.coverage(subset="depth(0:1)").status_code == 400


def test_subset_outside(site: Site) -> None:
    """cov/conf/subsetting-spatial/out-of-bounds: 404."""
    assert site.coverage(subset="Lat(10:11)").status_code == 404
    assert site.coverage(bbox="0,0,1,1").status_code == 404


def test_subset_around(site: Site) -> None:
    """cov/conf/subsetting-spatial/wrap-around: low above high crosses the antimeridian."""
    with grid(site.coverage(subset="Lon(20:-170)")) as got:
        assert got.shape == (200, 300)
    assert site.coverage(subset="Lon(170:-170)").status_code == 404


def test_subset_or_bbox(site: Site) -> None:
    """cov/conf/subsetting-spatial/subset-bbox-exclusivity: 400."""
    assert site.coverage(subset="Lat(60:61)", bbox=BOX).status_code == 400


def test_subset_open(site: Site) -> None:
    """cov/conf/subsetting-spatial/wildcard-limits: an asterisk is the end of the coverage."""
    with grid(site.coverage(subset="Lat(*:60.165),Lon(24.95:*)")) as got:
        assert (got.bounds.bottom, got.bounds.right) == (8_436_000, 2_779_000)


def test_subset_twice(site: Site) -> None:
    """cov/conf/subsetting-spatial/multiple-subset: as if in one."""
    one = site.coverage(subset="Lat(60.163:60.165),Lon(24.94:24.95)")
    assert site.coverage(subset=["Lat(60.163:60.165)", "Lon(24.94:24.95)"]).content == one.content


def test_subset_slice_and_scale(site: Site) -> None:
    """cov/conf/subsetting-spatial/subset-scaling-exclusivity: a slice has no resolution."""
    assert site.coverage(subset="N(8437005)", resolution="N(10)").status_code == 400


def test_subset_crs(site: Site) -> None:
    """cov/conf/subsetting-spatial/subset-crs: URIs and CURIEs; CRS84 without it; storageCrs; else ignored."""
    subset = "Lat(60.163:60.165),Lon(24.94:24.95)"
    plain = site.coverage(subset=subset).content
    for crs in (CRS84, "[OGC:CRS84]"):
        assert site.coverage(subset=subset, subset_crs=crs).content == plain
    box = {"subset": "E(2776000:2776100)", "subset_crs": "http://www.opengis.net/def/crs/EPSG/0/3857"}
    with grid(site.coverage(**box)) as got:
        assert got.shape == (200, 10)
    assert site.coverage(subset_crs=CRS84).status_code == 200
    assert site.coverage(subset=subset, subset_crs="EPSG:2154").status_code == 400


def test_bbox(site: Site) -> None:
    """cov/conf/subsetting-spatial/bbox-definition: four or six numbers, trims, crosses the antimeridian."""
    with (
        grid(site.coverage(bbox=BOX)) as four,
        grid(site.coverage(bbox="24.94,60.163,0,24.95,60.165,9")) as six,
    ):
        assert four.bounds == six.bounds
    assert site.coverage(bbox="20,60,-170,61").status_code == 200
    assert site.coverage(bbox="-180,-90,180,90").content == site.coverage().content
    for wrong in ("1,2,3", "a,b,c,d", "24.94,60.165,24.95,60.163"):
        assert site.coverage(bbox=wrong).status_code == 400


def test_bbox_crs(site: Site) -> None:
    """cov/conf/subsetting-spatial/bbox-crs: CRS84 without it, storageCrs, CURIEs; ignored without bbox."""
    plain = site.coverage(bbox=BOX).content
    assert site.coverage(bbox=BOX, bbox_crs="[OGC:CRS84]").content == plain
    assert site.coverage(bbox="60.163,24.94,60.165,24.95", bbox_crs="[EPSG:4326]").content == plain
    assert site.coverage(bbox_crs=CRS84).status_code == 200
    assert site.coverage(bbox=BOX, bbox_crs="EPSG:2154").status_code == 400


def test_time_subset(site: Site) -> None:
    """cov/conf/subsetting-temporal/subset: an instant and an interval of time."""
    for subset in ('time("2020-06-01")', 'time("2020-01-01":"2021-01-01")'):
        assert site.photo(subset=subset).headers["content-datetime"] == "2020-06-01"


def test_time_axis(site: Site) -> None:
    """cov/conf/subsetting-temporal/subset-invalid-axis: 400."""
    assert site.photo(subset='era("2020")').status_code == 400


def test_time_outside(site: Site) -> None:
    """cov/conf/subsetting-temporal/out-of-bounds: 404."""
    assert site.photo(subset='time("1999-01-01")').status_code == 404
    assert site.photo(subset='time("2021-01-01":"2022-01-01")').status_code == 404


def test_time_once(site: Site) -> None:
    """cov/conf/subsetting-temporal/subset-datetime-exclusivity: 400."""
    assert site.photo(subset='time("2020-06-01")', datetime="2020-06-01").status_code == 400


def test_time_open(site: Site) -> None:
    """cov/conf/subsetting-temporal/wildcard-limits: an asterisk is the first or last, alone the latest."""
    for subset, time in (
        ("time(*)", "2024-06-01"),
        ('time("2021-01-01":*)', "2024-06-01"),
        ('time(*:"2021-01-01")', "2020-06-01"),
    ):
        assert site.photo(subset=subset).headers["content-datetime"] == time


def test_time_and_place(site: Site) -> None:
    """cov/conf/subsetting-temporal/multiple-subset: as if in one."""
    one = site.photo(subset='time("2020-06-01"),Lat(60.163:60.165)')
    assert site.photo(subset=["Lat(60.163:60.165)", 'time("2020-06-01")']).content == one.content


def test_datetime(site: Site) -> None:
    """cov/conf/subsetting-temporal/datetime: instants, intervals, open ends; ignored without times."""
    for asked, time in (
        ("2020-06-01", "2020-06-01"),
        ("2020-06-01T12:00:00Z", "2020-06-01"),
        ("../2021-01-01", "2020-06-01"),
        ("2021-01-01/..", "2024-06-01"),
        ("../..", "2024-06-01"),
    ):
        assert site.photo(datetime=asked).headers["content-datetime"] == time, asked
    assert site.photo(datetime="soon").status_code == 400
    assert site.coverage(datetime="1999-01-01").status_code == 200


def test_resolution(site: Site) -> None:
    """cov/conf/scaling-spatial/resolution: the distance between samples is what is asked for."""
    with grid(site.coverage(resolution="E(50),N(20)")) as got:
        assert got.res == (50, 20)
    with grid(site.coverage(resolution="Lat(0.001),Lon(0.002)", crs=CRS84)) as got:
        assert got.res == pytest.approx((0.002, 0.001), rel=0.12)


def test_resolution_native(site: Site) -> None:
    """cov/conf/scaling-spatial/native-resolution: empty is native."""
    whole = site.coverage().content
    assert site.coverage(resolution="").content == whole
    assert site.coverage(resolution="E(),N()").content == whole


def test_resolution_axis(site: Site) -> None:
    """cov/conf/scaling-spatial/resolution-invalid-axis: 400."""
    assert site.coverage(resolution="depth(5)").status_code == 400


def test_width_and_height(site: Site) -> None:
    """cov/conf/scaling-spatial/width-and-height: exactly so many samples, of exactly the part."""
    with grid(site.coverage(width="30", height="20")) as got:
        assert got.shape == (20, 30)
    with grid(site.coverage(width="30")) as got:
        assert got.shape == (200, 30)
    beyond = site.coverage(bbox="24.93,60.16,24.95,60.17", crs=CRS84, width="40", height="20")
    with grid(beyond) as got:
        assert got.bounds == pytest.approx((24.93, 60.16, 24.95, 60.17))
    assert site.coverage(width="60000", height="60000").status_code == 413


def test_properties(site: Site) -> None:
    """cov/conf/field-selection/properties: these fields in this order; 400 for others."""
    with grid(site.photo(properties="blue,red")) as got:
        assert got.descriptions == ("blue", "red")
    assert list(site.photo(properties="green", f="covjson").json()["parameters"]) == ["green"]
    assert site.photo(properties="ultraviolet").status_code == 400


def test_exclude_properties(site: Site) -> None:
    """cov/conf/field-selection/exclude-properties: all others in their order; empty is all."""
    with grid(site.photo(exclude_properties="green")) as got:
        assert got.descriptions == ("red", "blue")
    with grid(site.photo(exclude_properties="")) as got:
        assert got.count == 3
    assert site.photo(exclude_properties="ultraviolet").status_code == 400
    assert site.photo(properties="red", exclude_properties="green").status_code == 400


def test_crs(site: Site) -> None:
    """cov/conf/crs/crs-definition: every CRS that is listed; 400 for another."""
    document = site.get("/collections/dem").json()
    assert document["storageCrs"] in document["crs"]
    for crs in document["crs"]:
        answer = site.coverage(bbox=BOX, crs=crs)
        assert answer.headers["content-crs"] == f"<{crs}>"
        with grid(answer) as got:
            assert got.crs.to_epsg() == (4326 if crs == CRS84 else int(crs.rpartition("/")[2]))
    assert site.coverage(crs="EPSG:2154").status_code == 400
    assert site.coverage(crs="nonsense").status_code == 400


def test_geotiff(site: Site) -> None:
    """cov/conf/geotiff/coverage: by its media type; bands in the order of the schema."""
    answer = site.coverage("image/tiff; application=geotiff")
    assert answer.headers["content-type"] == "image/tiff; application=geotiff"
    with grid(answer) as got:
        assert got.driver == "GTiff"


def test_geotiff_raster_type(site: Site) -> None:
    """cov/conf/geotiff/raster-type: cells are areas."""
    with grid(site.coverage()) as got:
        assert got.tags()["AREA_OR_POINT"] == "Area"


def test_coveragejson(site: Site) -> None:
    """cov/conf/coveragejson/coverage: by its media types; a Coverage with a domain, parameters and ranges."""
    for media in ("application/vnd.cov+json", "application/prs.coverage+json"):
        document = site.coverage(media, bbox=BOX).json()
        assert document["type"] == "Coverage"
        axes = document["domain"]["axes"]
        shape = [axes["y"]["num"], axes["x"]["num"]]
        values = document["ranges"]["height"]
        assert (values["type"], values["axisNames"], values["shape"]) == ("NdArray", ["y", "x"], shape)
        assert len(values["values"]) == shape[0] * shape[1]


def test_each_abstract_test_is_ported_once() -> None:
    assert sorted(ported(Path(__file__), "cov")) == sorted(
        f"{name}/{one}" for name, ids in COVERAGES.items() for one in ids.split()
    )

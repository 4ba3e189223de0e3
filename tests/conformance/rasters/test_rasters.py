"""OGC API Coverages (19-087, Annex A of the draft of 2026) and Maps (20-058, Annex A): one test an abstract
test of each class that is declared, seen from outside; and clients of other makers: OWSLib, GDAL.

Each docstring of the former begins with the identifier of its abstract test."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from owslib.ogcapi.coverages import Coverages
from owslib.ogcapi.maps import Maps
from pyproj import Transformer
from rasterio.io import MemoryFile

from tests import imagery, rasters
from tests.support import Server

SPEC = "http://www.opengis.net/spec"
REL = "http://www.opengis.net/def/rel/ogc/1.0"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
BOX = "24.94,60.163,24.95,60.165"
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
MAPS = {
    "core": "conformance-success map-op map-success",
    "collection-map": "desc-links map-operation",
    "scaling": "width-definition height-definition scale-denominator-definition",
    "display-resolution": "mm-per-pixel-definition",
    "spatial-subsetting": "bbox-definition bbox-crs subset-definition subset-crs center-definition "
    "center-crs",
    "datetime": "datetime-definition",
    "crs": "crs-parameter",
    "png": "content",
    "jpeg": "content",
    "cors": "cors",
}


class Site:
    """A server with rasters, seen from outside."""

    def __init__(self, server: Server) -> None:
        self.root = f"{server.url}/ogc"
        self.url = server.url
        self._client = httpx.Client(timeout=60)

    def get(self, path: str, accept: str = "*/*", **query: str | list[str]) -> httpx.Response:
        """An answer; underscores of names stand for hyphens."""
        asked = {name.replace("_", "-"): value for name, value in query.items()}
        address = path if path.startswith("http") else self.root + path
        return self._client.get(address, params=asked or None, headers={"Accept": accept})

    def close(self) -> None:
        self._client.close()

    def coverage(self, accept: str = "*/*", **query: str | list[str]) -> httpx.Response:
        return self.get("/collections/dem/coverage", accept, **query)

    def photo(self, **query: str | list[str]) -> httpx.Response:
        return self.get("/collections/photo/coverage", **query)

    def map(self, accept: str = "*/*", **query: str | list[str]) -> httpx.Response:
        return self.get("/collections/photo/map", accept, **query)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    city = tmp_path_factory.mktemp("rasters")
    (city / "city.yml").write_text("title: {en: Rasters}\n")
    rasters.write(city / "rasters/dem.tif")
    rasters.record(city, "dem", "rasters/dem.tif", form="surface")
    for year in (2020, 2024):
        bands = [np.full((200, 300), year % 100 + n, np.uint8) for n in (0, 50, 100)]
        names = ("red", "green", "blue")
        rasters.write(city / f"rasters/{year}.tif", bands, nodata=None, names=names, units=[""] * 3)
    rasters.record(city, "photo", ("rasters/2020.tif", "2020-06-01"), ("rasters/2024.tif", "2024-06-01"))
    return city


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    running = Server.start(folder)
    seen = Site(running)
    yield seen
    seen.close()
    running.stop()


def grid(answer: httpx.Response) -> Any:
    """The GeoTIFF of an answer, open."""
    assert answer.status_code == 200, answer.text
    return MemoryFile(answer.content).open()


def size(answer: httpx.Response) -> tuple[int, int]:
    """Columns and rows of a picture."""
    assert answer.status_code == 200, answer.text
    _, height, width = imagery.pixels(answer.content).shape
    return width, height


def declared(site: Site, standard: str) -> set[str]:
    classes = site.get("/conformance", f="json").json()["conformsTo"]
    return {one.rpartition("/conf/")[2] for one in classes if one.startswith(f"{SPEC}/{standard}/1.0/conf/")}


def linked(site: Site, layer: str, rel: str) -> list[dict[str, Any]]:
    return [one for one in site.get(f"/collections/{layer}").json()["links"] if one["rel"] == f"{REL}/{rel}"]


# -- Coverages -----------------------------------------------------------------------------------


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


# -- Maps ----------------------------------------------------------------------------------------


def test_maps_conformance(site: Site) -> None:
    """map/conf/core/conformance-success: the classes are declared, and are those that are tested here."""
    # tilesets have tests of their own
    assert declared(site, "ogcapi-maps-1") - {"tilesets"} == {*MAPS, "oas30"}


def test_map_operation(site: Site) -> None:
    """map/conf/core/map-op: GET of the link gives a map."""
    for link in linked(site, "photo", "map"):
        assert site.get(link["href"], "image/png,image/jpeg,image/*").status_code == 200


def test_map_success(site: Site) -> None:
    """map/conf/core/map-success: a picture of the whole, with its CRS and box."""
    answer = site.map()
    assert answer.headers["content-type"].startswith("image/")
    assert answer.headers["content-bbox"] == "2776000,8436000,2779000,8438000"
    assert answer.headers["content-crs"].endswith("/3857>")


def test_map_links(site: Site) -> None:
    """map/conf/collection-map/desc-links: from the collection, with their types."""
    assert [one["type"] for one in linked(site, "photo", "map")][:2] == ["image/png", "image/jpeg"]


def test_map_of_a_collection(site: Site) -> None:
    """map/conf/collection-map/map-operation: at /collections/{id}/map."""
    for layer in ("dem", "photo"):
        assert linked(site, layer, "map")[0]["href"] == f"{site.root}/collections/{layer}/map"
        assert site.get(f"/collections/{layer}/map").status_code == 200


def test_map_width(site: Site) -> None:
    """map/conf/scaling/width-definition: columns; 4xx for what is none, too many, or in conflict."""
    assert size(site.map(width="200", height="100")) == (200, 100)
    assert size(site.map(width="150")) == (150, 100)
    for wrong in ("0", "-1", "abc", "1.5", "100000000"):
        assert site.map(width=wrong).status_code == 400
    assert site.map(width="16384", height="16384").status_code == 413
    assert site.map(width="800", bbox=BOX, scale_denominator="40000").status_code == 400


def test_map_height(site: Site) -> None:
    """map/conf/scaling/height-definition: as width."""
    assert size(site.map(height="100")) == (150, 100)
    for wrong in ("0", "-1", "abc"):
        assert site.map(height=wrong).status_code == 400


def test_map_scale(site: Site) -> None:
    """map/conf/scaling/scale-denominator-definition: 3 000 m at 1 : 100 000 are 30 mm."""
    assert size(site.map(scale_denominator="100000")) == (107, 71)
    assert site.map(scale_denominator="-5").status_code == 400


def test_map_pixel(site: Site) -> None:
    """map/conf/display-resolution/mm-per-pixel-definition: 0.28 mm without it."""
    whole = size(site.map(scale_denominator="100000"))
    assert size(site.map(scale_denominator="100000", mm_per_pixel="0.28")) == whole
    assert size(site.map(scale_denominator="100000", mm_per_pixel="0.56")) == (54, 36)


def test_map_bbox(site: Site) -> None:
    """map/conf/spatial-subsetting/bbox-definition: exactly the box; the whole world, too."""
    answer = site.map(bbox=BOX, crs=CRS84, width="40")
    assert answer.headers["content-bbox"] == BOX
    assert size(site.map(bbox="-180,-90,180,90", width="400", height="400")) == (400, 400)
    assert site.map(bbox="1,2,3").status_code == 400


def test_map_bbox_crs(site: Site) -> None:
    """map/conf/spatial-subsetting/bbox-crs: CRS84 without it, else in the order of its authority."""
    one = site.map(bbox=BOX, crs=CRS84, width="40").content
    turned = site.map(bbox="60.163,24.94,60.165,24.95", bbox_crs="[EPSG:4326]", crs=CRS84, width="40")
    assert turned.content == one


def test_map_subset(site: Site) -> None:
    """map/conf/spatial-subsetting/subset-definition: one or several; 4xx for unknown axes and conflicts."""
    one = site.map(subset="Lat(60.163:60.165),Lon(24.94:24.95)", crs=CRS84)
    assert one.headers["content-bbox"] == BOX
    two = site.map(subset=["Lat(60.163:60.165)", "Lon(24.94:24.95)"], crs=CRS84)
    assert two.content == one.content
    assert site.map(subset=["Lat(-90:90)", "Lon(-180:180)"]).status_code == 200
    assert site.map(subset="Lon(170:-170)", width="20").status_code == 200
    assert site.map(subset="InvalidAxis(0:1)").status_code == 400
    assert site.map(subset="Lat(200:300)").status_code == 404
    assert site.map(subset="Lat(-90:90)", bbox="-180,-90,180,90").status_code == 400
    assert site.map(subset="Lat(-90:90)", center="0,0").status_code == 400


def test_map_subset_crs(site: Site) -> None:
    """map/conf/spatial-subsetting/subset-crs: a URI, also of https; the storage CRS."""
    here = {"subset": "Lat(60.163:60.165),Lon(24.94:24.95)", "crs": CRS84}
    plain = site.map(**here).content
    assert site.map(**here, subset_crs=CRS84.replace("http:", "https:")).content == plain
    answer = site.map(subset="E(2776000:2777000),N(8436000:8437000)", subset_crs="EPSG:3857")
    assert answer.headers["content-bbox"] == "2776000,8436000,2777000,8437000"


def test_map_center(site: Site) -> None:
    """map/conf/spatial-subsetting/center-definition: so many pixels around a place."""
    answer = site.map(center="24.95,60.166", width="100", height="50")
    assert size(answer) == (100, 50)
    west, south, east, north = map(float, answer.headers["content-bbox"].split(","))
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(24.95, 60.166)
    assert ((west + east) / 2, (south + north) / 2) == pytest.approx((x, y))
    assert (east - west, north - south) == pytest.approx((1000, 500))


def test_map_center_crs(site: Site) -> None:
    """map/conf/spatial-subsetting/center-crs: in the order of its authority."""
    plain = site.map(center="24.95,60.166", width="100").content
    assert site.map(center="60.166,24.95", center_crs="[EPSG:4326]", width="100").content == plain


def test_map_datetime(site: Site) -> None:
    """map/conf/datetime/datetime-definition: the files of that time."""
    assert site.map(datetime="2021-01-01").headers["content-datetime"] == "2020-06-01"
    assert site.map(datetime="1999-01-01").status_code == 404
    assert site.map(datetime="soon").status_code == 400


def test_map_crs(site: Site) -> None:
    """map/conf/crs/crs-parameter: every CRS of the collection; 400 for another."""
    for crs in site.get("/collections/photo").json()["crs"]:
        answer = site.map(bbox=BOX, crs=crs, width="40")
        assert answer.headers["content-crs"] == f"<{crs}>"
    assert site.map(crs="EPSG:2154").status_code == 400


def test_map_png(site: Site) -> None:
    """map/conf/png/content: by its media type."""
    answer = site.map("image/png", width="40")
    assert (answer.headers["content-type"], answer.content[:4]) == ("image/png", b"\x89PNG")


def test_map_jpeg(site: Site) -> None:
    """map/conf/jpeg/content: by its media type."""
    answer = site.map("image/jpeg", width="40")
    assert (answer.headers["content-type"], answer.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")


def test_map_cors(site: Site) -> None:
    """map/conf/cors/cors: any page may read it."""
    assert site.map(width="40").headers["access-control-allow-origin"] == "*"


def test_each_abstract_test_is_ported_once() -> None:
    tree = ast.parse(Path(__file__).read_text("utf-8"))
    words = [ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)]
    for mark, classes in (("cov", COVERAGES), ("map", MAPS)):
        found = [one for text in words for one in re.findall(rf"^{mark}/conf/([\w-]+/[\w-]+):", text)]
        assert sorted(found) == sorted(
            f"{name}/{one}" for name, ids in classes.items() for one in ids.split()
        )


# -- clients -------------------------------------------------------------------------------------


def test_owslib_reads_coverages(site: Site, folder: Path) -> None:
    client = Coverages(f"{site.root}/")
    assert client.coverages() == ["dem", "photo"]
    asked = client.coverage("dem", subset=[("Lat", 60.163, 60.165), ("Lon", 24.94, 24.95)])
    with MemoryFile(asked.read()).open() as got, rasterio.open(folder / "rasters/dem.tif") as own:
        window = rasterio.windows.from_bounds(*got.bounds, own.transform)
        assert np.array_equal(got.read(1), own.read(1, window=window))
    smaller = client.coverage("photo", properties=["red"], scale_factor=2, datetime="2020-06-01")
    with MemoryFile(smaller.read()).open() as got:
        assert (got.shape, got.read(1)[0, 0]) == ((100, 150), 20)
    sized = client.coverage("dem", scale_size={"E": 30, "N": 20})
    with MemoryFile(sized.read()).open() as got:
        assert got.shape == (20, 30)


def test_owslib_reads_maps(site: Site) -> None:
    client = Maps(f"{site.root}/")
    assert client.maps() == ["dem", "photo"]
    picture = client.map("photo", bbox=[24.94, 60.163, 24.95, 60.165], width=80, height=40)
    assert imagery.pixels(picture.read()).shape == (4, 40, 80)


def gdal(*words: str) -> str:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed (make deps)")
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    return done.stdout


def test_gdal_reads_a_coverage(site: Site, tmp_path: Path) -> None:
    here = f"OGCAPI:{site.root}/collections/dem"
    told = gdal("gdalinfo", "-oo", "CACHE=NO", here)
    assert "Size is 342, 113" in told
    assert "Type=Float32" in told
    gdal("gdal_translate", "-q", "-oo", "CACHE=NO", here, str(tmp_path / "got.tif"))
    to_metres = Transformer.from_crs(4326, 3857, always_xy=True)
    with rasterio.open(tmp_path / "got.tif") as got:
        values = got.read(1)
        for row, column in ((20, 30), (60, 200), (100, 300)):
            x, y = to_metres.transform(*got.xy(row, column))
            expected = (x - rasters.WEST) / 10 - 0.5 + 1000 * ((rasters.NORTH - y) / 10 - 0.5)
            # a cell of degrees is two of the file high: bilinear, to a fifth of a row
            assert abs(values[row, column] - expected) < 200


def test_gdal_draws_a_map(site: Site, tmp_path: Path) -> None:
    here = f"OGCAPI:{site.root}/collections/photo"
    target = str(tmp_path / "map.png")
    words = ("-q", "-oo", "API=MAP", "-oo", "CACHE=NO", "-of", "PNG", "-outsize", "90", "30")
    gdal("gdal_translate", *words, here, target)
    assert imagery.pixels(Path(target).read_bytes()).shape == (4, 30, 90)


def test_gdal_opens_the_files_of_stac_where_they_lie(site: Site, folder: Path) -> None:
    item = site.get(f"{site.url}/stac/dem/dem-1").json()
    told = gdal("gdalinfo", "-checksum", f"/vsicurl/{item['assets']['data']['href']}")
    with rasterio.open(folder / "rasters/dem.tif") as own:
        assert f"Checksum={own.checksum(1)}" in told
    assert "LAYOUT=COG" in told

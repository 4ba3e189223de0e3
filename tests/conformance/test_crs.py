"""OGC API Features Part 2 (OGC 18-058r1), Annex A: coordinate reference systems by reference."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import numpy as np
import pyproj
import pytest
import shapely

from tests.conformance.crs import known, offered
from tests.conformance.outside import (
    CRS,
    CRS84,
    CRS84H,
    GEOJSON,
    boxes,
    extent,
    geometry,
    shifted,
    text,
    told,
)

#: OGC Name Type Specification 09-048r5: authority, version, code.
OGC_URI = re.compile(r"http://www\.opengis\.net/def/crs/[A-Za-z0-9]+/[0-9.]+/[A-Za-z0-9]+")
OGC_URN = re.compile(r"urn:ogc:def:crs:[A-Za-z0-9]+:[0-9.]*:[A-Za-z0-9]+")
UNKNOWN = "http://www.opengis.net/def/crs/0/unsupported"


@pytest.fixture(autouse=True)
def _declared(api):
    if f"{CRS}/crs" not in api.classes:
        if api.ours:
            pytest.fail("Part 2 is not declared")
        pytest.skip("Part 2 is not declared")


def lonlat(shape, uri):
    """A geometry of a CRS in longitude and latitude."""
    moved = pyproj.Transformer.from_crs(known(uri), pyproj.CRS("OGC:CRS84"))

    def move(points):
        return np.column_stack(moved.transform(points[:, 0], points[:, 1]))

    return shapely.transform(shapely.force_2d(shape), move)


def distance(one, other):
    """The greatest difference between the coordinates of two geometries, in degrees; 180 is -180."""
    a = shapely.get_coordinates(one)
    b = shapely.get_coordinates(other)
    assert a.shape == b.shape
    apart = np.abs(a - b)
    apart[:, 0] = np.minimum(apart[:, 0], np.abs(360 - apart[:, 0]))
    return float(apart.max())


def test_crs_crs_uri(api):
    """/conf/crs/crs-uri: every identifier is a URI of the form that OGC gives it."""
    for collection in api.collections:
        own = [collection["storageCrs"]] if "storageCrs" in collection else []
        for uri in offered(api, collection) + own:
            parts = urlsplit(uri)
            assert parts.scheme in ("http", "https", "urn"), uri
            if uri.startswith("http://www.opengis.net/def/crs/"):
                assert OGC_URI.fullmatch(uri), uri
            elif uri.startswith("urn:ogc:def:crs:"):
                assert OGC_URN.fullmatch(uri), uri


def test_crs_default_crs(api):
    """/conf/crs/default-crs: WGS 84 longitude and latitude is offered everywhere."""
    for collection in api.collections:
        assert {CRS84, CRS84H} & set(offered(api, collection)), collection["id"]


def test_crs_storage_crs(api):
    """/conf/crs/storageCrs: the CRS of storage is one of those offered."""
    for collection in api.collections:
        if "storageCrs" in collection:
            assert collection["storageCrs"] in offered(api, collection)


def test_crs_crs_parameter(api):
    """/conf/crs/crs-parameter: crs is described and taken, and the answer names what it is in."""
    for collection in api.collections:
        assert api.described(collection, "crs")["type"] == "string"
        fid = api.features(collection)[0]["id"]
        for uri in offered(api, collection):
            for href in (api.items(collection), api.feature(collection, fid)):
                answer = api.ask(href, GEOJSON, crs=uri)
                assert answer.status_code == 200, told(answer)
                assert answer.headers["content-crs"] == f"<{uri}>"


def test_crs_crs_parameter_default(api):
    """/conf/crs/crs-parameter-default: without crs it is WGS 84 longitude and latitude."""
    for collection in api.collections:
        fid = api.features(collection)[0]["id"]
        for href in (api.items(collection), api.feature(collection, fid)):
            answer = api.ask(href, GEOJSON)
            assert answer.headers["content-crs"] in (f"<{CRS84}>", f"<{CRS84H}>")
            named = api.ask(href, GEOJSON, crs=CRS84)
            for key in ("features", "geometry"):
                assert named.json().get(key) == answer.json().get(key)


def test_crs_crs_parameter_invalid(api):
    """/conf/crs/crs-parameter-invalid: a CRS that the collection does not list is refused."""
    for collection in api.collections:
        fid = api.features(collection)[0]["id"]
        assert "http://www.opengis.net/def/crs/EPSG/0/2193" not in offered(api, collection)
        for wrong in (UNKNOWN, "http://www.opengis.net/def/crs/EPSG/0/2193", "rubbish"):
            for href in (api.items(collection), api.feature(collection, fid)):
                assert api.ask(href, GEOJSON, crs=wrong).status_code == 400


def test_crs_crs_parameter_transform(api):
    """/conf/crs/crs-parameter-transform: geometries are in the CRS asked for, in its axis order."""
    moved = 0
    for collection in api.collections:
        plain = {one["id"]: geometry(one) for one in api.features(collection)[:40]}
        for uri in offered(api, collection):
            crs = known(uri)
            if crs is None:
                continue
            area = crs.area_of_use
            page = api.get(api.items(collection), GEOJSON, crs=uri, limit=40)
            for feature in page["features"]:
                shape = plain[feature["id"]]
                if shape is None or (area and not inside(shape, area)):
                    continue
                found = lonlat(geometry(feature), uri)
                # a metre or its degrees: two libraries may take different pipelines between datums
                assert distance(found, shapely.force_2d(shape)) < 2e-5, (collection["id"], feature["id"], uri)
                moved += uri != CRS84
            one = page["features"][0]
            alone = api.get(api.feature(collection, one["id"]), GEOJSON, crs=uri)
            assert alone["geometry"] == one["geometry"]
    assert moved


def inside(shape, area):
    """Whether a geometry lies where a CRS is defined, and away from the poles."""
    west, south, east, north = shape.bounds
    return area.west <= west <= east <= area.east and max(area.south, -85) <= south <= north <= min(
        area.north, 85
    )


def test_crs_bbox_crs_parameter(api):
    """/conf/crs/bbox-crs-parameter: the same box in another CRS selects the same features."""
    for collection in api.collections:
        parameter = api.parameters(collection)["bbox-crs"]
        assert parameter.get("required", False) is False
        assert parameter["style"] == "form"
        assert api.resolve(parameter["schema"])["type"] == "string"
        whole = extent(api.features(collection))
        for uri in offered(api, collection):
            crs = known(uri)
            if crs is None:
                continue
            for west, south, east, north in list(boxes(*whole))[:4]:
                if crs.area_of_use and not inside(shapely.box(west, south, east, north), crs.area_of_use):
                    continue
                to = pyproj.Transformer.from_crs(pyproj.CRS("OGC:CRS84"), crs)
                if crs.is_geographic:
                    (x0, y0), (x1, y1) = to.transform(west, south), to.transform(east, north)
                    box = (x0, y0, x1, y1)
                    right = api.matching(collection, bbox=text((west, south, east, north)))
                    found = api.matching(collection, bbox=text(box), bbox_crs=uri)
                    assert found == right, (collection["id"], uri, box)
                else:
                    box = to.transform_bounds(west, south, east, north, densify_pts=21)
                    inner = api.matching(collection, bbox=text(shifted((west, south, east, north), -1e-6)))
                    found = api.matching(collection, bbox=text(box), bbox_crs=uri)
                    assert inner <= found, (collection["id"], uri, box)


def test_crs_bbox_crs_parameter_default(api):
    """/conf/crs/bbox-crs-parameter-default: without bbox-crs the box is longitude and latitude."""
    for collection in api.collections:
        for box in list(boxes(*extent(api.features(collection))))[:3]:
            plain = api.matching(collection, bbox=text(box))
            assert plain == api.matching(collection, bbox=text(box), bbox_crs=CRS84)


def test_crs_bbox_crs_parameter_invalid(api):
    """/conf/crs/bbox-crs-parameter-invalid: a CRS that the collection does not list is refused."""
    for collection in api.collections:
        for wrong in (UNKNOWN, "http://www.opengis.net/def/crs/EPSG/0/2193", "rubbish"):
            answer = api.ask(api.items(collection), GEOJSON, bbox="0,0,1,1", bbox_crs=wrong)
            assert answer.status_code == 400, told(answer)

"""OGC API Maps (20-058, Annex A): one test an abstract test of each class that is declared, from outside.
Each docstring begins with the identifier of its abstract test."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyproj import Transformer

from tests.conformance.rasters.outside import (
    BOX,
    CRS84,
    Site,
    declared,
    linked,
    ported,
    size,
)

#: The abstract tests of the classes that are declared.
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
    assert sorted(ported(Path(__file__), "map")) == sorted(
        f"{name}/{one}" for name, ids in MAPS.items() for one in ids.split()
    )

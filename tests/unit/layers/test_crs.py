"""Names, axis order and honest transformations, against points published by the grids' owners."""

from __future__ import annotations

import contextlib
import re
import time

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers import crs, place
from layers.errors import BadFile, BadParameter
from layers.model import FeatureLayer
from layers.types import CRS84


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (CRS84, "OGC:CRS84"),
        ("CRS84", "OGC:CRS84"),
        ("OGC:CRS84", "OGC:CRS84"),
        ("[OGC:CRS84]", "OGC:CRS84"),
        ("EPSG:3879", "EPSG:3879"),
        ("epsg:3879", "EPSG:3879"),
        ("[EPSG:3879]", "EPSG:3879"),
        ("http://www.opengis.net/def/crs/EPSG/0/3879", "EPSG:3879"),
        ("https://www.opengis.net/def/crs/EPSG/9.9.1/3879", "EPSG:3879"),
        ("urn:ogc:def:crs:EPSG::3879", "EPSG:3879"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "OGC:CRS84"),
    ],
)
def test_names(text: str, label: str) -> None:
    assert crs.label(text) == label
    assert crs.label(crs.uri(text)) == label


@pytest.mark.parametrize(
    "text", ["", "4326", "EPSG", "EPSG:x", "EPSG:99999999", "WGS84", "ESRI:102100", "[EPSG:4326"]
)
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(BadParameter, match="bbox-crs"):
        crs.label(text, "bbox-crs")


@pytest.mark.parametrize(
    ("code", "x", "y", "lon", "lat", "metres"),
    [
        # RD: Onze-Lieve-Vrouwetoren, Amersfoort (Kadaster, RDNAPTRANS); Helmert only, so decimetres
        ("EPSG:28992", 155000.0, 463000.0, 5.38720621, 52.15517440, 0.5),
        # Central meridian and equator of a transverse Mercator zone
        ("EPSG:3879", 25500000.0, 0.0, 25.0, 0.0, 0.001),
        ("EPSG:4547", 500000.0, 0.0, 114.0, 0.0, 0.001),
        ("EPSG:25832", 500000.0, 0.0, 9.0, 0.0, 0.001),
        ("EPSG:3857", 20037508.342789244, 0.0, 180.0, 0.0, 0.001),
        ("EPSG:4490", 114.3, 30.5, 114.3, 30.5, 0.0),
        ("EPSG:4326", 114.3, 30.5, 114.3, 30.5, 0.0),
        ("EPSG:4979", 114.3, 30.5, 114.3, 30.5, 0.0),
        ("EPSG:6697", 139.7, 35.6, 139.7, 35.6, 0.001),
    ],
)
def test_known_points(code: str, x: float, y: float, lon: float, lat: float, metres: float) -> None:
    if lat == 0 and code not in ("EPSG:4547", "EPSG:3857"):
        # on the equator the national operation is outside its area: only its projection is tested
        with pytest.raises(BadFile, match=r"crs\.area"):
            crs.to_lonlat(np.array([[x, y]]), code)
        return
    found = crs.to_lonlat(np.array([[x, y, 7.5]]), code)[0]
    east, north = (found[0] - lon) * 111_320 * np.cos(np.radians(lat)), (found[1] - lat) * 110_574
    assert np.hypot(east, north) <= metres + 1e-9
    assert found[2] == 7.5


@pytest.mark.parametrize(
    "code", ["EPSG:3879", "EPSG:28992", "EPSG:4547", "EPSG:3857", "EPSG:4326", "EPSG:2326"]
)
def test_there_and_back(code: str) -> None:
    middle = {"EPSG:3879": (25, 60.2), "EPSG:28992": (5.4, 52.1), "EPSG:2326": (114.2, 22.3)}.get(
        code, (114, 30)
    )
    there = np.array([[middle[0] + 0.01, middle[1], 1.0], [middle[0], middle[1] + 0.01, 2.0]])
    out = crs.from_lonlat(there, code)
    assert crs.swaps(code) == (code in ("EPSG:3879", "EPSG:4547", "EPSG:4326", "EPSG:2326"))
    xy = out[:, [1, 0, 2]] if crs.swaps(code) else out
    assert np.allclose(crs.to_lonlat(xy, code), there, atol=1e-9)


def test_geographic_order_of_the_authority() -> None:
    assert crs.from_lonlat(np.array([[24.9, 60.1]]), "EPSG:4326").tolist() == [[60.1, 24.9]]
    assert crs.from_lonlat(np.array([[24.9, 60.1]]), CRS84).tolist() == [[24.9, 60.1]]
    assert not crs.swaps(CRS84)
    assert crs.is_geographic(CRS84)
    assert not crs.is_geographic("EPSG:3879")


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("EPSG:4610", "crs.inaccurate"),  # Xian 1980: no published operation, a ballpark would be 100 m off
        ("EPSG:2414", "crs.inaccurate"),  # Beijing 1954: 15 m
        ("EPSG:4978", "crs.kind"),
        ("EPSG:5703", "crs.kind"),
        ("EPSG:999999", "crs.unknown"),
        ("LOCAL_CS[oops", "crs.unknown"),
        ("x" * 100_000, "crs.unknown"),
    ],
)
def test_refused_not_guessed(code: str, rule: str) -> None:
    with pytest.raises(BadFile) as raised:
        crs.to_lonlat(np.array([[500000.0, 3000000.0]]), code)
    assert raised.value.rule == rule


def test_wrongly_declared_crs_is_refused() -> None:
    with pytest.raises(BadFile, match=r"crs\.area"):
        crs.to_lonlat(np.array([[25.0, 60.0]] * 3), "EPSG:28992")


def test_one_stray_row_does_not_condemn_the_rest() -> None:
    out = crs.to_lonlat(np.array([[155000.0, 463000.0]] * 5 + [[1e30, 1e30]]), "EPSG:28992")
    assert out[:5, 0] == pytest.approx([5.3872] * 5, abs=1e-4)
    assert not np.isfinite(out[5]).all()


def test_accuracy_is_told() -> None:
    assert crs.accuracy("EPSG:4490") == crs.accuracy("EPSG:3857") == 0
    assert 0 < crs.accuracy("EPSG:28992") <= 2
    assert 2 < crs.accuracy("EPSG:26910") <= 5


def test_shapes_keep_heights_and_mix() -> None:
    shapes = np.array(
        [shapely.Point(155000, 463000), shapely.LineString([(155000, 463000, 5), (155100, 463000, 6)])]
    )
    out = crs.shapes_to_lonlat(shapes, "EPSG:28992")
    assert not out[0].has_z
    assert [z for _, _, z in out[1].coords] == [5, 6]


def offered(source: str, *also: str) -> list[str]:
    layer = FeatureLayer(
        id="a",
        kind="road",
        title={},
        fields=(),
        geometry_type="Point",
        extent=None,
        crs=source,
        count=0,
        generation=1,
        seq=0,
        crs_also=also,
    )
    return [crs.label(uri) for uri in crs.supported(layer)]


def test_a_layer_is_offered_in_its_source_s_and_the_city_s_crs() -> None:
    web = ["EPSG:4326", "EPSG:3857"]
    assert offered("EPSG:4326") == offered("EPSG:4326", "EPSG:4326") == ["OGC:CRS84", *web]
    assert offered("EPSG:28992", "EPSG:3879") == ["OGC:CRS84", "EPSG:28992", "EPSG:3879", *web]
    assert offered("EPSG:3879", "EPSG:3879") == ["OGC:CRS84", "EPSG:3879", *web]
    assert offered("EPSG:3857", "OGC:CRS84") == ["OGC:CRS84", *web]
    assert offered("LOCAL_CS[secret]", "EPSG:3879") == ["OGC:CRS84", "EPSG:3879", *web]
    assert offered("EPSG:4610", "EPSG:3879") == ["OGC:CRS84", "EPSG:3879", *web]  # no accurate way


@pytest.mark.parametrize("text", ["EPSG:3879", "urn:ogc:def:crs:EPSG::3879", crs.uri("EPSG:3879")])
def test_a_horizontal_crs_by_any_name(text: str) -> None:
    assert crs.horizontal(text) == "EPSG:3879"


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("EPSG:4610", "crs.inaccurate"),
        ("EPSG:5703", "crs.kind"),
        ("EPSG:4978", "crs.kind"),
        ("EPSG:4979", "crs.kind"),  # latitude, longitude and height
        ("EPSG:7415", "crs.kind"),  # a grid and a height
        ("EPSG:999999", "crs.unknown"),
    ],
)
def test_what_is_not_horizontal_is_refused(code: str, rule: str) -> None:
    with pytest.raises(BadFile) as raised:
        crs.horizontal(code)
    assert raised.value.rule == rule


@given(st.text(max_size=60))
def test_any_name_is_a_crs_or_a_named_mistake(text: str) -> None:
    with contextlib.suppress(BadParameter):
        assert crs.label(text).split(":")[0] in ("EPSG", "OGC")


def test_box_is_enclosed() -> None:
    west, south, east, north = crs.bbox_to_lonlat((6672000, 25496000, 6673000, 25497000), "EPSG:3879")
    corners = [[x, y] for x in (25496000, 25497000) for y in (6672000, 6673000)]
    for lon, lat in crs.to_lonlat(np.array(corners, float), "EPSG:3879"):
        assert west - 1e-9 <= lon <= east + 1e-9
        assert south - 1e-9 <= lat <= north + 1e-9
    with pytest.raises(BadParameter, match="bbox"):
        crs.bbox_to_lonlat((1e30, 1e30, 1e31, 1e31), "EPSG:3879")


def test_a_polygon_that_ends_at_the_antimeridian_stays_on_its_side():
    sent = shapely.box(20037508.0, -1800000.0, 20037508.3428, -1700000.0)  # the last digit is beyond 180°
    lonlat = crs.shapes_to_lonlat(np.array([sent], object), "EPSG:3857")
    assert lonlat[0].bounds[0] < -179
    mended = crs.on_its_side(lonlat, np.array([sent], object), "EPSG:3857", 1e-3)
    assert mended[0].bounds[0] > 179
    assert mended[0].bounds[2] == 180


OWN = (
    'PROJCS["own grid",GEOGCS["GCS",DATUM["{}",SPHEROID["CGCS2000",6378137.0,298.257222101]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Gauss_Kruger"],'
    'PARAMETER["False_Easting",800000.0],PARAMETER["False_Northing",-3000000.0],'
    'PARAMETER["Central_Meridian",114.333333333333],PARAMETER["Scale_Factor",1.0],'
    'PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)


DATUMS = ["D_China_2000", "CGCS2000", "China_Geodetic_Coordinate_System_2000", "WGS_1984"]


@pytest.mark.parametrize("datum", DATUMS)
def test_a_grid_of_ones_own_is_placed_as_it_says(datum: str) -> None:
    label, at, vertical = place.source(OWN.format(datum))
    assert (place.crs_name(label), vertical) == ("own grid", None)
    assert at is not None
    found = at(np.array([[797_000.0, 386_000.0]]))
    assert found[0] == pytest.approx([114.30205276, 30.59433239], abs=1e-8)


def test_a_base_without_a_name_of_its_own_is_quickly_found_nowhere() -> None:
    """Or found: a name is no part of what is compared."""
    before = time.process_time()
    place.source(OWN.format("WGS_1984"))
    assert time.process_time() - before < 3
    registered = re.sub('"GCS[^"]*"', '"GCS"', pyproj.CRS.from_epsg(4547).to_wkt("WKT1_ESRI"))
    assert place.source(registered)[0] == "EPSG:4547"


@pytest.mark.parametrize("version", ["WKT1_ESRI", "WKT1_GDAL", "WKT2_2019"])
@pytest.mark.parametrize("code", [2193, 2326, 3067, 3857, 3879, 4490, 4547, 25832, 27700, 32650])
def test_a_definition_without_its_code_is_known_again(code: int, version: str) -> None:
    text = pyproj.CRS.from_epsg(code).to_wkt(version)
    text = re.sub(r',\s*(AUTHORITY\["EPSG",\s*"\d+"\]|ID\["EPSG",\s*\d+\])', "", text)
    assert place.source(text)[0] == f"EPSG:{code}"


def test_a_grid_on_an_unknown_datum_is_refused_by_its_name() -> None:
    with pytest.raises(BadFile, match="no accurate way from own grid"):
        place.source(OWN.format("Local_1931"))

"""QGIS itself reads the demo city: OGC API Features by its own provider, and vector tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import shapely
from pyproj import Transformer

from tests import imagery
from tests.qgis import Qgis
from tests.support import Server

BOX = (24.94, 60.165, 24.945, 60.168)
#: What QGIS 3.22 makes of numbers; it reads no schema, and guesses from the first ten features.
TYPES = {"number": "Real", "integer": "Integer"}
#: Of these it guesses wrong, and loses values (docs/conformance.md).
GUESSED = ("osm_id", "last_open_pit")


@pytest.fixture(scope="module")
def features(qgis: Qgis, server: Server) -> Callable[..., Any]:
    """Opens a layer of OGC API Features; what QGIS makes of it."""

    def opened(layer: str, more: str = "") -> Any:
        return qgis.open(layer, f"{more} typename='{layer}' url='{server.url}/ogc'", "OAPIF")

    return opened


def asked(server: Server, layer: str, **params: Any) -> list[dict[str, Any]]:
    page = server.http.get(f"/ogc/collections/{layer}/items", params={"limit": 10000, **params}).json()
    assert page["numberMatched"] == len(page["features"]) > 0
    return list(page["features"])


def same(found: list[dict[str, Any]], items: list[dict[str, Any]]) -> None:
    """Each feature of QGIS is that of the server, by its source id: values and geometry, digit for digit."""
    seen = {one["values"]["source_id"]: one for one in found}
    assert len(found) == len(seen) == len(items)
    for item in items:
        one = seen[item["properties"]["source_id"]]
        told = {name: value for name, value in item["properties"].items() if name not in GUESSED}
        assert {name: one["values"][name] for name in told} == told
        shape = shapely.from_wkb(bytes.fromhex(one["wkb"]))
        assert shapely.equals_identical(shape, shapely.geometry.shape(item["geometry"]))


@pytest.mark.parametrize("layer", ["buildings", "pipelines", "addresses"])
def test_every_feature_and_field(qgis: Qgis, server: Server, features: Any, layer: str) -> None:
    about = features(layer)
    items = asked(server, layer)
    schema = server.http.get(f"/ogc/collections/{layer}/schema").json()["properties"]
    fields = {n: one for n, one in schema.items() if one.get("x-ogc-role") not in ("id", "primary-geometry")}
    names = [name for name, _ in about["fields"]]
    assert set(names) == set(fields) == set(items[0]["properties"])
    assert about["count"] == len(items)
    types = dict(about["fields"])
    for name in names:
        if any(one["properties"][name] is not None for one in items[:10]):
            assert types[name] == TYPES.get(fields[name]["type"], types[name]), name
    same(qgis.features(layer), items)


def test_a_view_asks_for_what_it_shows(qgis: Qgis, server: Server, features: Any) -> None:
    """As QGIS does it by default: only what lies in the map's extent is asked for."""
    features("buildings", "restrictToRequestBBOX='1'")
    inside = asked(server, "buildings", bbox=",".join(map(str, BOX)))
    assert 10 < len(inside) < 400
    same(qgis.features("buildings", box=BOX), inside)


def test_a_filter_of_the_layer_and_one_of_a_request(qgis: Qgis, server: Server, features: Any) -> None:
    items = asked(server, "buildings")
    levels = [one for one in items if one["properties"]["height_source"] == "levels"]
    high = [one for one in levels if one["properties"]["height_m"] > 20]
    assert 0 < len(high) < len(levels) < len(items)
    features("buildings")
    qgis.subset("buildings", "\"height_source\" = 'levels'")
    same(qgis.features("buildings"), levels)
    same(qgis.features("buildings", expression='"height_m" > 20'), high)
    assert qgis.about("buildings")["count"] == len(levels)


def test_vector_tiles_are_drawn_by_their_values(qgis: Qgis, server: Server) -> None:
    """Each building in the colour of how its height came about, and the streets between them."""
    url = f"{server.url}/tiles/buildings,roads/{{z}}/{{x}}/{{y}}.mvt".replace("{", "%7B").replace("}", "%7D")
    qgis.open("tiles", f"type=xyz&url={url}&zmin=0&zmax=16", "vectortile")
    red, blue, green = (255, 0, 0), (0, 0, 255), (0, 128, 0)
    for_levels = "\"height_source\" {} 'levels'"
    qgis.paint(
        "tiles",
        [
            ["buildings", "polygon", for_levels.format("="), "#ff0000"],
            ["buildings", "polygon", for_levels.format("<>"), "#0000ff"],
            ["roads", "line", "true", "#008000"],
        ],
    )
    metres = Transformer.from_crs(4326, 3857, always_xy=True).transform
    west, south, east, north = (*metres(*BOX[:2]), *metres(*BOX[2:]))
    width = 1000
    height = round(width * (north - south) / (east - west))
    drawn = bytes.fromhex(qgis.draw("tiles", [west, south, east, north], width, height))
    picture = imagery.pixels(drawn)[:3]

    def pixel(lon: float, lat: float) -> tuple[int, ...]:
        x, y = metres(lon, lat)
        row, column = (north - y) / (north - south) * height, (x - west) / (east - west) * width
        return tuple(int(value) for value in picture[:, int(row), int(column)])

    looked: dict[tuple[int, ...], int] = {red: 0, blue: 0}
    for item in asked(server, "buildings", bbox=",".join(map(str, BOX))):
        shape = shapely.geometry.shape(item["geometry"])
        middle = shapely.maximum_inscribed_circle(shape).coords
        place = shapely.Point(middle[0])
        if shape.exterior.distance(place) < 5e-5 or not shapely.box(*BOX).contains(place):
            continue
        wanted = red if item["properties"]["height_source"] == "levels" else blue
        assert pixel(place.x, place.y) == wanted, item["id"]
        looked[wanted] += 1
    assert min(looked.values()) > 5
    assert (picture.transpose(1, 2, 0) == green).all(axis=2).sum() > 1000

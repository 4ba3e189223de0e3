"""The dossier of a building: what belongs to it by name and by place, for whom, as it was; both stores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from pyproj import Geod

from layers import load
from layers.source import Declared
from layers.store.base import Store
from tests.guests import KeyOrGuest
from tests.unit.twin.live.rooms import thing
from twin import app
from twin.access.rights import WHOLE, Share

BASE = "http://127.0.0.1"
GEOD = Geod(ellps="WGS84")
#: The south-west corner of the house of 20 m by 10 m.
CORNER = (114.3, 30.6)
MERGE = "application/merge-patch+json"
type Ask = Callable[..., httpx.Response]


class Guests(KeyOrGuest):
    """Whoever has no key sees no pipes, and of parts neither rooms nor which building they name."""

    def share(self, rights: str, layer: Any) -> Share | None:
        if layer.kind == "pipeline":
            return None
        if layer.id == "parts":
            return Share(frozenset({"name", "storey", "storey_no"}), "category <> 'space'")
        return WHOLE


def at(east: float, north: float) -> list[float]:
    """The place so many metres from the corner, on the ellipsoid."""
    lon, lat, _ = GEOD.fwd(*CORNER, 90 if east >= 0 else 270, abs(east))
    lon, lat, _ = GEOD.fwd(lon, lat, 0 if north >= 0 else 180, abs(north))
    return [lon, lat]


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [at(west, south), at(east, south), at(east, north), at(west, north), at(west, south)]
    return {"type": "Polygon", "coordinates": [ring]}


def point(east: float, north: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": at(east, north)}


def line(*places: tuple[float, float]) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": [at(*one) for one in places]}


LAYERS: dict[str, tuple[str, list[tuple[dict[str, Any], dict[str, Any]]]]] = {
    "houses": (
        "building",
        [
            (box(0, 0, 20, 10), {"source_id": "B1", "name": "Town hall", "height_m": 7}),
            (box(100, 0, 120, 10), {"source_id": "B2", "name": "Depot", "height_m": 5}),
        ],
    ),
    "parts": (
        "cim",
        [
            (box(0, 0, 9, 10), part | {"building_id": "B1", "height_m": 3})
            for part in (
                {"source_id": "p1", "name": "Hall", "storey": "Ground", "storey_no": 1, "category": "wall"},
                {"source_id": "p2", "name": "101", "storey": "Ground", "storey_no": 1, "category": "space"},
                {"source_id": "p3", "name": "201", "storey": "First", "storey_no": 2, "category": "space"},
            )
        ],
    ),
    "model": (  # of no layer of buildings
        "cim",
        [
            (box(300, 0, 310, 10), {"source_id": "m1", "name": "North", "building_id": "C7", "height_m": 4}),
            (box(310, 0, 320, 10), {"source_id": "m2", "name": "South", "building_id": "C7", "height_m": 4}),
            (box(330, 0, 340, 10), {"source_id": "m3", "name": "Other", "building_id": "C8", "height_m": 4}),
        ],
    ),
    "city": (  # buildings with bodies of their own, as PLATEAU and CityJSON have them
        "cim",
        [
            (
                box(600, 0, 610, 10),
                {
                    "source_id": "b1",
                    "name": "Museum",
                    "object_type": "Building",
                    "height_m": 6,
                    "buildingIDAttribute_buildingID": "14201-bldg-110968",
                },
            ),
            (
                box(600, 0, 605, 10),
                {
                    "source_id": "b2",
                    "object_type": "BuildingPart",
                    "building_id": "b1",
                    "name": "Wing",
                    "height_m": 4,
                },
            ),
            (box(630, 0, 640, 10), {"source_id": "road", "object_type": "Road", "height_m": 0.1}),
        ],
    ),
    "addresses": (
        "address",
        [
            (point(5, 5), {"full_address": "Inside 1"}),
            (point(5, -1.5), {"full_address": "At the door 2"}),
            (point(5, -9), {"full_address": "Across 3"}),
            (point(500, 500), {"full_address": "Elsewhere, yet of it", "building_id": "B1"}),
            (point(320 + 12, 5), {"full_address": "Near the model"}),
            (point(607, 5), {"full_address": "Museum 1"}),
        ],
    ),
    "pipes": (
        "pipeline",
        [
            (line((10, -30), (10, -1)), {"name": "service", "medium": "water", "diameter_mm": 32}),
            (line((-40, 5), (60, 5)), {"name": "passes under", "medium": "gas"}),
            (line((-40, -2), (60, -2)), {"name": "passes beside", "medium": "water"}),
        ],
    ),
}


def write(folder: Path, name: str) -> Path:
    rows = LAYERS[name][1]
    features = [{"type": "Feature", "properties": values, "geometry": shape} for shape, values in rows]
    path = folder / f"{name}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return path


def fill(store: Store, folder: Path) -> None:
    for name, (kind, _) in LAYERS.items():
        load.run(store, write(folder, name), Declared(kind=kind), layer_id=name)


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Requests to a city with a house and what belongs to it; ``chief=False`` are those of a guest."""
    folder = tmp_path_factory.mktemp("city")
    kept = (
        "" if request.param == "geopackage" else f"store: {request.getfixturevalue('postgres').database()}\n"
    )
    (folder / "city.yml").write_text(f"themes: []\n{kept}", "utf-8")
    city = app.open_city(folder, rights=Guests())
    fill(city.store, folder)
    front = app.build(city)
    auth = {"authorization": f"Bearer {city.keys.add('chief')}"}
    city.live.start()
    with asyncio.Runner() as runner:

        def call(method: str, path: str, *, chief: bool = True, **more: Any) -> httpx.Response:
            async def main() -> httpx.Response:
                city.bus.bind(asyncio.get_running_loop())
                transport = httpx.ASGITransport(app=cast(Any, front))
                headers = {**(auth if chief else {}), **more.pop("headers", {})}
                async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
                    return await client.request(method, path, **more)

            return runner.run(main())

        for name, place, of in (("near", point(22, 5), {}), ("far", point(60, 60), {"building_id": "B1"})):
            body = thing(name, **of)
            body["Locations"][0]["location"] = place
            assert call("POST", "/sta/v1.1/Things", json=body).status_code == 201
        for number in (1, 2):
            path = f"/sta/v1.1/Datastreams({number})/Observations"
            assert call("POST", path, json={"result": 1.5}).status_code == 201
        for title, (lon, lat) in (("smoke", at(30, 5)), ("far away", at(200, 5))):
            body = {"title": title, "level": 2, "lon": lon, "lat": lat}
            assert call("POST", "/incidents", json=body).status_code == 201
        yield call
    city.live.stop()
    city.close()


def fid_of(ask: Ask, layer: str, source: str) -> int:
    answer = ask("GET", f"/ogc/collections/{layer}/items", params={"source_id": source})
    (one,) = answer.json()["features"]
    return int(one["id"])


def dossier(ask: Ask, layer: str, source: str, **more: Any) -> dict[str, Any]:
    path = f"/ogc/collections/{layer}/items/{fid_of(ask, layer, source)}/related"
    answer = ask("GET", path, **more)
    assert answer.status_code == 200, answer.text
    return cast(dict[str, Any], answer.json().get("dossier"))


def titles(one: dict[str, Any], group: str) -> list[str]:
    return [member["title"] for member in one["groups"].get(group, {"members": []})["members"]]


def test_what_belongs_to_a_building_is_listed(ask: Ask) -> None:
    one = dossier(ask, "houses", "B1")
    assert one["code"] == "B1"
    assert sorted(titles(one, "parts")) == ["101", "201", "Hall"]
    assert titles(one, "rooms") == ["101", "201"]
    assert one["storeys"] == [
        {"number": 1, "name": "Ground", "elevation_m": None, "parts": 2},
        {"number": 2, "name": "First", "elevation_m": None, "parts": 1},
    ]
    assert sorted(titles(one, "addresses")) == ["At the door 2", "Elsewhere, yet of it", "Inside 1"]
    assert titles(one, "pipelines") == ["service"]
    assert sorted(titles(one, "sensors")) == ["far water_level", "near water_level"]
    assert titles(one, "incidents") == ["smoke"]
    named = {member["title"]: member for group in one["groups"].values() for member in group["members"]}
    assert named["service"]["properties"] == {"medium": "water", "diameter_mm": 32}
    assert named["Elsewhere, yet of it"]["belongs"] == named["far water_level"]["belongs"] == "named"
    # metres on the ellipsoid, within what a plane of degrees is off by there
    for title, metres in (
        ("service", 1.0),
        ("At the door 2", 1.5),
        ("smoke", 10.0),
        ("near water_level", 2.0),
    ):
        assert named[title]["distance_m"] == pytest.approx(metres, rel=0.01), title
    for member in named.values():
        assert ask("GET", member["href"]).status_code == 200, member


def test_where_nothing_is_close_the_nearest_address_counts(ask: Ask) -> None:
    one = dossier(ask, "model", "m1")
    assert titles(one, "addresses") == ["Near the model"]
    (member,) = one["groups"]["addresses"]["members"]
    assert (member["belongs"], member["distance_m"]) == ("nearest", pytest.approx(12, rel=0.01))
    assert "addresses" not in dossier(ask, "houses", "B2")["groups"]


@pytest.mark.parametrize("chief", [True, False])
def test_a_building_has_its_own_facts_in_it_as_its_item_has_them(ask: Ask, chief: bool) -> None:
    path = f"/ogc/collections/houses/items/{fid_of(ask, 'houses', 'B1')}"
    item = ask("GET", path, chief=chief).json()["properties"]
    facts = dossier(ask, "houses", "B1", chief=chief)["properties"]
    assert facts == {name: value for name, value in item.items() if value is not None}
    assert facts["source_id"] == "B1"
    assert "properties" not in dossier(ask, "model", "m1")  # which no layer has as a whole


def test_a_model_of_no_layer_of_buildings_has_one_by_what_its_parts_name(ask: Ask) -> None:
    for source in ("m1", "m2"):
        one = dossier(ask, "model", source)
        assert (one["code"], titles(one, "parts")) == ("C7", ["North", "South"])
    # a part of a building that is there leads to that
    assert dossier(ask, "parts", "p1") is None


def test_a_building_of_a_model_has_one_and_is_found_by_its_official_code(ask: Ask) -> None:
    for code in ("14201-bldg-110968", "b1"):
        links = ask("GET", "/ogc/dossiers", params={"code": code}).json()["links"]
        items = [one["href"] for one in links if one["rel"] == "item"]
        assert f"{BASE}/ogc/collections/city/items/1" in items
    told = ask("GET", "/ogc/collections/city/items/1/related").json()["dossier"]
    assert told["code"] == "14201-bldg-110968"
    groups = {name: [one["title"] for one in group["members"]] for name, group in told["groups"].items()}
    assert (groups["parts"], groups["addresses"]) == (["Wing"], ["Museum 1"])
    assert "dossier" not in ask("GET", "/ogc/collections/city/items/3/related").json()


def test_it_is_found_by_code(ask: Ask) -> None:
    house = f"/ogc/collections/houses/items/{fid_of(ask, 'houses', 'B1')}"
    model = f"/ogc/collections/model/items/{fid_of(ask, 'model', 'm1')}"
    for code, path in (("B1", house), ("C7", model)):
        answer = ask("GET", "/ogc/dossiers", params={"code": code})
        assert answer.status_code == 200, answer.text
        links = [(one["rel"], one["href"].removeprefix(BASE)) for one in answer.json()["links"]]
        assert links[1:] == [("item", path), ("related", f"{path}/related")]
    assert len(ask("GET", "/ogc/dossiers", params={"code": "B9"}).json()["links"]) == 1
    for query in ("", "?code=", "?code=B1&code=B2", "?kode=B1", f"?code={'x' * 201}"):
        assert ask("GET", f"/ogc/dossiers{query}").status_code == 400


def test_a_caller_is_told_what_he_sees(ask: Ask) -> None:
    one = dossier(ask, "houses", "B1", chief=False)
    assert titles(one, "parts") == ["Hall"]
    assert "rooms" not in one["groups"]
    assert "pipelines" not in one["groups"]
    assert len(one["storeys"]) == 1


def test_it_is_told_as_it_was(ask: Ask) -> None:
    etag = ask("GET", f"/ogc/collections/addresses/items/{fid_of_address(ask)}").headers["etag"]
    seq = int(etag.strip('"').rpartition("-")[2])
    path = f"/ogc/collections/addresses/items/{fid_of_address(ask)}"
    moved = ask("PATCH", path, json={"geometry": point(400, 400)}, headers={"content-type": MERGE})
    assert moved.status_code == 204, moved.text
    assert "Inside 1" not in titles(dossier(ask, "houses", "B1"), "addresses")
    was = dossier(ask, "houses", "B1", params={"at": f"@{seq}"})
    assert "Inside 1" in titles(was, "addresses")
    assert all("at=" in member["href"] for member in was["groups"]["addresses"]["members"])


def fid_of_address(ask: Ask) -> int:
    answer = ask("GET", "/ogc/collections/addresses/items", params={"full_address": "Inside 1"})
    return int(answer.json()["features"][0]["id"])

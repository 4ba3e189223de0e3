"""QGIS itself edits the city's own tables by its editing API, beside the server and while that is down: what
it did is served, told as the work of another program, and the city before it can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import shapely

from tests.e2e.edits import item, patch
from tests.qgis import Qgis
from tests.support import Server, city_at, until
from twin import settings

SHED = "POLYGON ((24.9401 60.1651, 24.9402 60.1651, 24.9402 60.1652, 24.9401 60.1652, 24.9401 60.1651))"


@dataclass
class City:
    """A city with its server, and QGIS at its tables."""

    server: Server
    qgis: Qgis

    @property
    def url(self) -> str | None:
        database = settings.load(self.server.folder).database()
        return database and database.url

    def open(self, layer: str, geometry: str = "Polygon") -> Any:
        """Open a layer's table in QGIS, under the name of the layer."""
        if self.url is None:
            return self.qgis.open(layer, f"{self.server.folder}/city.gpkg|layername={layer}", "ogr")
        parts = urlsplit(self.url)
        source = (
            f"host={parts.hostname} port={parts.port} user={parts.username} dbname='{parts.path[1:]}'"
            f' key=\'fid\' srid=4326 type={geometry} table="city"."{layer}" (geom)'
        )
        return self.qgis.open(layer, source, "postgres")

    def get(self, path: str, at: int | None = None, **params: Any) -> Any:
        params = params if at is None else {**params, "at": f"@{at}"}
        return self.server.http.get(path, params=params, headers=self.server.auth)

    def feature(self, fid: int, at: int | None = None, layer: str = "buildings") -> Any:
        """A feature now or at a moment, without its links; None where there is none."""
        answer = self.get(item(layer, fid), at)
        assert answer.status_code in (200, 404), answer.text
        if answer.status_code == 404:
            return None
        return {key: value for key, value in answer.json().items() if key != "links"}

    def all(self, at: int | None = None, layer: str = "buildings") -> Any:
        answer = self.get(f"/ogc/collections/{layer}/items", at, limit=10000)
        return answer.json()["features"] if answer.status_code == 200 else answer.status_code

    def sets(self) -> Any:
        """Change sets, newest first."""
        return self.get("/ogc/change-sets").json()["changeSets"]

    def seq(self) -> int:
        return int(self.sets()[0]["last"])


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def city(
    request: pytest.FixtureRequest, qgis: Qgis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[City]:
    """Helsinki over each store; the log of each server is clean at its end."""
    if request.param == "postgis":
        url = request.getfixturevalue("helsinki_url")
        folder = city_at(tmp_path_factory.mktemp("edited") / "helsinki", url)
    else:
        folder = request.getfixturevalue("helsinki_module")
    made = City(Server.start(folder), qgis)
    yield made
    made.server.stop()


def edit(city: City, fids: list[int], name: str) -> int:
    """What a person does in an afternoon, saved at once: names one, moves one, takes one away, adds one."""
    named, moved, gone = fids
    steps = [
        ["set", named, "name", name],
        ["set", named, "height_m", 33.5],
        ["move", moved, 0.0002, 0.0001],
        ["delete", gone],
        ["add", SHED, {"name": name, "use": "shed"}],
    ]
    (made,) = city.qgis.edit("buildings", steps)
    return int(made)


def check(
    city: City, begin: int, before: dict[int, Any], page: Any, fids: list[int], made: int, name: str
) -> None:
    """All of it is there, in one change set, and the moment before is what it was."""
    named, moved, gone = fids
    until(lambda: (city.feature(named) or {})["properties"]["name"] == name, 5, "the edit")
    now = city.feature(named)
    assert now["properties"] == before[named]["properties"] | {"name": name, "height_m": 33.5}
    old, new = (shapely.geometry.shape(one["geometry"]) for one in (before[moved], city.feature(moved)))
    assert shapely.affinity.translate(old, 0.0002, 0.0001).equals_exact(new, 1e-9)
    assert city.feature(gone) is None
    assert city.feature(made)["properties"]["use"] == "shed"
    # who: of another program, as far as it can be told; QGIS saves changes, removals and additions apart
    done = [one for one in city.sets() if one["first"] > begin]
    told = [one for one in done if one["via"] == "other"]
    assert {one["via"] for one in done} <= {"other", "repair"}
    assert sum(one["last"] - one["first"] + 1 for one in told) >= len(fids) + 1
    for one in told:
        assert one["layer"] == "buildings"
        if city.url is not None:
            assert (one["actor"], one["message"]) == ("twin", "QGIS")
    # what: old and new values, and nothing else
    span = {"from": f"@{begin}", "to": f"@{done[0]['last']}"}
    changes = {one["id"]: one for one in city.get("/ogc/changes", **span).json()["changes"]}
    assert {fid: one["change"] for fid, one in changes.items()} == {
        named: "changed",
        moved: "changed",
        gone: "removed",
        made: "added",
    }
    assert changes[named]["fields"]["name"] == {"old": before[named]["properties"]["name"], "new": name}
    assert (changes[named]["geometryChanged"], changes[moved]["geometryChanged"]) == (False, True)
    assert changes[moved]["fields"] == {}
    # the moment before, feature by feature and as a page
    for fid, was in before.items():
        assert city.feature(fid, begin) == was
    assert city.feature(made, begin) is None
    assert city.all(begin) == page
    for fid in (named, moved):
        versions = city.get(f"{item('buildings', fid)}/versions").json()["versions"]
        assert versions[0]["set"]["id"] in {one["id"] for one in told}
        assert versions[1]["until"] == versions[0]["since"]


def some(city: City, first: int) -> list[int]:
    """Three buildings that nothing was done to yet."""
    return [one["id"] for one in city.all()[first : first + 3]]


def test_beside_the_server(city: City) -> None:
    about = city.open("buildings")
    page = city.all()
    assert about["count"] == len(page)
    fids, begin = some(city, 20), city.seq()
    before = {fid: city.feature(fid) for fid in fids}
    made = edit(city, fids, "muokattu")
    check(city, begin, before, page, fids, made, "muokattu")
    # and QGIS sees what the API does, in the layer that it has open
    answer = patch(city.server, item("buildings", fids[0]), {"properties": {"name": "rajapinta"}})
    assert answer.status_code == 204
    (seen,) = city.qgis.features("buildings", expression=f'"fid" = {fids[0]}')
    assert seen["values"]["name"] == "rajapinta"
    assert seen["values"]["height_m"] == 33.5
    city.qgis.close("buildings")


def test_while_the_server_is_down(city: City) -> None:
    page, fids, begin = city.all(), some(city, 40), city.seq()
    before = {fid: city.feature(fid) for fid in fids}
    city.server.stop()
    city.open("buildings")
    made = edit(city, fids, "yöllä")
    city.qgis.close("buildings")
    city.server = Server.start(city.server.folder)
    check(city, begin, before, page, fids, made, "yöllä")


def test_a_building_is_cut_in_two(city: City) -> None:
    page, begin = city.all(), city.seq()
    big = max(page, key=lambda one: shapely.geometry.shape(one["geometry"]).area)
    shape = shapely.geometry.shape(big["geometry"])
    _, south, _, north = shape.bounds
    middle = shape.centroid.x
    city.open("buildings")
    line = [[middle, south - 0.001], [middle, north + 0.001]]
    made = city.qgis.edit("buildings", [["split", big["id"], line]])
    assert made
    city.qgis.close("buildings")
    until(lambda: city.feature(made[0]), 5, "the other half")
    parts = [shapely.geometry.shape(city.feature(fid)["geometry"]) for fid in (big["id"], *made)]
    assert sum(part.area for part in parts) == pytest.approx(shape.area, rel=1e-6)
    assert city.all(begin) == page


def test_fields_come_and_go(city: City) -> None:
    """Never is a moment answered with something else than it was: with what was, or that it is gone."""
    told: dict[int, Any] = {}

    def hold() -> None:
        told[city.seq()] = city.all()

    def does(*steps: list[Any], seen: Callable[[dict[str, Any]], bool]) -> None:
        hold()
        city.qgis.edit("buildings", list(steps))
        until(lambda: seen(city.feature(first)["properties"]), 5, f"{steps}")
        hold()

    city.open("buildings")
    first = some(city, 60)[0]
    does(["field", "inspected", "string"], seen=lambda has: "inspected" in has)
    does(["set", first, "inspected", "kyllä"], seen=lambda has: has["inspected"] == "kyllä")
    does(["rename", "inspected", "looked_at"], seen=lambda has: has.get("looked_at") == "kyllä")
    does(["set", first, "looked_at", "ei"], seen=lambda has: has["looked_at"] == "ei")
    does(["unfield", "looked_at"], seen=lambda has: "looked_at" not in has)
    does(["set", first, "name", "lopussa"], seen=lambda has: has["name"] == "lopussa")
    city.qgis.close("buildings")
    known = 0
    for seq, page in told.items():
        was = city.all(seq)
        assert was in (page, 410), seq
        known += was == page
    assert known >= 2
    assert city.all(max(told)) == told[max(told)]


def test_a_style_that_qgis_saves_is_no_layer(city: City) -> None:
    layers = [one["id"] for one in city.get("/ogc/collections").json()["collections"]]
    city.open("buildings")
    city.qgis.style("buildings", "red")
    city.qgis.edit("buildings", [["set", some(city, 80)[0], "name", "tyylikäs"]])
    city.qgis.close("buildings")
    until(lambda: city.feature(some(city, 80)[0])["properties"]["name"] == "tyylikäs", 5, "the edit")
    assert [one["id"] for one in city.get("/ogc/collections").json()["collections"]] == layers
    if (
        city.url is None
    ):  # what a person picks layers from: those, and the table that says what others there are
        tables = set(city.qgis.tables(f"{city.server.folder}/city.gpkg"))
        assert tables - set(layers) == {"twin_about", "layer_styles"}


def test_several_layers_in_the_transaction_of_a_project(city: City) -> None:
    if city.url is None:
        pytest.skip("QGIS does it in databases alone")
    begin = city.seq()
    house, address = some(city, 100)[0], city.all(layer="addresses")[0]["id"]
    city.qgis.together()
    city.open("buildings")
    city.open("addresses", "Point")
    city.qgis.edit("buildings", [["set", house, "name", "projekti"]], commit=False)
    city.qgis.edit("addresses", [["set", address, "street", "Projektikatu"]], commit=False)
    assert city.seq() == begin  # nothing of it is so before it is saved
    city.qgis.save_together("buildings")
    for layer in ("buildings", "addresses"):
        city.qgis.close(layer)
    until(lambda: city.feature(house)["properties"]["name"] == "projekti", 5, "the transaction")
    told = [one for one in city.sets() if one["first"] > begin]
    assert [(one["first"], one["last"], one["layer"]) for one in told] == [(begin + 1, begin + 2, None)]
    changes = city.get("/ogc/changes", set=told[0]["id"]).json()["changes"]
    assert {(one["layer"], one["id"]) for one in changes} == {("buildings", house), ("addresses", address)}

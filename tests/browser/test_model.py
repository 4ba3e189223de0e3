"""A building model on the page: its storeys and categories, in 3D and in 2D, and in the link.

The small one is made here; the real one is looked at where the shared data has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyproj
import pytest
import trimesh
from numpy.typing import NDArray

from layers.store.geopackage.connection import connect
from tests.browser.conftest import SIZE, Tab
from tests.browser.pixels import colour, pixels
from tests.ifcs import AXIS, EAST, MAP, NORTH, house
from tests.support import Server, init, twin, until
from tests.unit.tiles import gltf

DUPLEX = "ifc/Duplex_A_20110907_georeferenced.ifc"


def at(x: float, y: float) -> tuple[float, float]:
    """Degrees of a place in the small model (m)."""
    east, north = EAST + x * AXIS[0] - y * AXIS[1], NORTH + x * AXIS[1] + y * AXIS[0]
    lon, lat = pyproj.Transformer.from_crs(MAP, "EPSG:4326", always_xy=True).transform(east, north)
    return float(lon), float(lat)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("model")
    city = init(folder / "city")
    twin("load", str(house().write(folder / "house.ifc")), "--as", "house", "--city", str(city))
    running = Server.start(city)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def opening() -> str:
    return "lang=en&p=layers"


def chosen(tab: Tab, **look: Any) -> None:
    """Choose in the state, as the panel does, and wait for the picture."""
    layers = tab.js("window.twin.state().layers")
    layers["house"]["model"] = look
    tab.js("layers => window.twin.set({ layers })", layers)
    tab.ready()


def name_at(tab: Tab, x: float, y: float, height: float = 0) -> Any:
    found = tab.attributes(*at(x, y), height)
    return found and found.get("name")


def test_the_panel_lists_the_storeys_and_a_key_goes_down_one(tab: Tab) -> None:
    config = tab.server.http.get("/config.json").json()["layers"][0]
    assert [(one["no"], one["title"], one["elevation"]) for one in config["storeys"]] == [
        (-1, "Cellar", -2.8),
        (1, "Ground", 0.0),
        (2, "Upper", 3.0),
    ]
    assert config["categories"] == ["door", "equipment", "foundation", "roof", "slab", "space", "wall"]
    slider = tab.page.locator("[data-layer=house] [data-model=storey]")
    assert slider.get_attribute("aria-valuetext") == "All storeys"
    slider.focus()
    tab.page.keyboard.press("ArrowLeft")
    until(lambda: slider.get_attribute("aria-valuetext") == "Upper (3 m)", 10, "the storey")
    tab.page.keyboard.press("ArrowLeft")
    until(lambda: "b=house;storey=1" in tab.page.url, 10, "the link")
    tab.page.locator("[data-layer=house] [data-model=below]").check()
    until(lambda: "storey=1;below=true" in tab.page.url, 10, "the link")


@pytest.mark.parametrize("mode", ["3d", "2d"])
def test_a_storey_shows_what_is_on_it(tab: Tab, mode: str) -> None:
    tab.look(*at(5, 4), 40, -89, mode=mode)
    chosen(tab)
    assert name_at(tab, 5, 6, 6) == "lid"
    chosen(tab, storey=1)
    assert name_at(tab, 5, 6) == "floor"
    chosen(tab, storey=1, hidden=[])
    assert name_at(tab, 5, 6, 2.8 if mode == "3d" else 0) == "A101 Hall"
    chosen(tab, storey=1, hidden=["slab", "space"])
    assert name_at(tab, 5, 6) is None
    chosen(tab, storey=2, below=True, hidden=["roof", "space"])
    assert name_at(tab, 5, 6) in ("floor", "footing")


def test_a_link_opens_the_storey_in_chinese(tab: Tab) -> None:
    lon, lat = at(5, 4)
    tab.open(f"v={lon},{lat},40,0,-60&m=3d&b=house;storey=2&p=layers&lang=zh-CN")
    slider = tab.page.locator("[data-layer=house] [data-model=storey]")
    assert slider.get_attribute("aria-valuetext") == "Upper(3 m)"
    assert "含以下楼层" in tab.page.locator("[data-layer=house]").inner_text()
    assert name_at(tab, 5, 6, 6) == "lid"


def test_storeys_have_colours_of_their_own_and_lose_them_again(tab: Tab, tmp_path: Path) -> None:
    """Blue is the lowest above the ground, violet the highest; the legend has them as they stand."""

    def roof(height: float) -> list[int]:
        return _seen(tab, 5, 6, height)

    tab.look(*at(5, 4), 40, -89, mode="3d", left="layers")
    chosen(tab)
    usual = roof(6)
    tab.page.locator("[data-layer=house] [data-model=by-storey]").check()
    tab.ready()
    assert "b=house;by=storey" in tab.page.url
    legend = tab.page.locator("[data-layer=house] [data-storey]")
    assert [one.get_attribute("data-storey") for one in legend.all()] == ["2", "1", "-1"]
    tab.page.screenshot(path=tmp_path / "storeys.png")
    red, green, blue = roof(6)
    assert red > green + 20
    assert blue > green + 20
    chosen(tab, byStorey=True, storey=1)
    red, green, blue = roof(0)
    assert blue > red + 20
    chosen(tab, byStorey=True)
    tab.page.locator("[data-layer=house] [data-model=by-storey]").uncheck()
    tab.ready()
    assert np.abs(np.subtract(roof(6), usual)).max() < 6
    assert "by=storey" not in tab.page.url


@pytest.fixture
def attic(server: Server) -> Iterator[int]:
    """Another program gives the upper storey another number and name; the number of the log before that."""
    with closing(connect(server.folder / "city.gpkg", "rw")) as con:
        then = con.execute("SELECT max(seq) FROM twin_changes").fetchone()[0]
        con.execute("UPDATE house SET storey_no = 7, storey = 'Attic' WHERE storey_no = 2")
        yield then
        con.execute("UPDATE house SET storey_no = 2, storey = 'Upper' WHERE storey_no = 7")


def test_at_a_moment_the_storeys_are_those_of_then(tab: Tab, attic: int) -> None:
    config = tab.server.http.get("/config.json").json()
    known = next(one for one in config["layers"] if one["id"] == "house")["storeys"]
    was = tab.server.http.get(f"/models.json?at=@{attic}").json()["layers"]
    assert [one["no"] for one in known][-1] == 7
    assert [(one["id"], [storey["no"] for storey in one["storeys"]][-1]) for one in was] == [("house", 2)]
    assert tab.server.http.get("/ogc/collections", params={"at": config["kept"]}).status_code == 200
    lon, lat = at(5, 4)
    slider = tab.page.locator("[data-layer=house] [data-model=storey]")
    tab.open(f"v={lon},{lat},40,0,-89&m=3d&l=house&b=house;storey=2&p=layers&lang=en&at=@{attic}")
    until(lambda: slider.get_attribute("aria-valuetext") == "Upper (3 m)", 20, "the storey of then")
    assert name_at(tab, 5, 6, 6) == "lid"
    tab.page.locator("[data-past=now]").click()
    until(lambda: slider.get_attribute("aria-valuetext") == "All storeys", 20, "the storeys of now")
    slider.press("ArrowLeft")
    until(lambda: slider.get_attribute("aria-valuetext") == "Attic (3 m)", 20, "the storey of now")
    tab.ready()
    assert name_at(tab, 5, 6, 6) == "lid"


def test_the_duplex_stands_on_the_ground_storey_by_storey(
    tab: Tab, shared_data: Path, tmp_path: Path
) -> None:
    """Seen from above each storey lies over those below it, and nothing is far from the rest."""
    if not (shared_data / DUPLEX).exists():
        pytest.skip("the Duplex is not among the shared data")
    twin("load", str(shared_data / DUPLEX), "--as", "duplex", "--city", str(tab.server.folder))
    tab.open("l=duplex&lang=en")
    storeys = tab.server.http.get("/config.json").json()["layers"]
    of_duplex = next(one for one in storeys if one["id"] == "duplex")["storeys"]
    assert [(one["no"], one["title"]) for one in of_duplex] == [
        (-1, "T/FDN"),
        (1, "Level 1"),
        (2, "Level 2"),
        (3, "Roof"),
    ]
    lon, lat = 6.12219, 49.62922
    for no in (1, 2, 3):
        tab.open(f"v={lon},{lat},45,0,-89&m=3d&l=duplex&b=duplex;storey={no};below=true&lang=en")
        # a ceiling, a ceiling, the roof
        assert tab.attributes(lon, lat, 3.0 * no)["storey_no"] == no
    tab.open(f"v={lon},{lat},60,0,-89&m=3d&l=duplex&lang=en")
    drawn = _drawn(pixels(tab, 160, 60, 320, 300))
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))
    assert rows.min() > 0
    assert rows.max() < len(drawn) - 1
    assert columns.min() > 0
    assert columns.max() < drawn.shape[1] - 1


def test_bodies_that_are_drawn_from_one_are_picked_each(tab: Tab, tmp_path: Path) -> None:
    """The page asks for nodes that hold once what is the same but for its place (EXT_mesh_gpu_instancing)."""
    ball, lines, count = trimesh.creation.icosphere(2, radius=1.5), [], 0
    for number in range(5):
        turned = trimesh.transformations.rotation_matrix(0.5 * number, (0, 0, 1))
        one = ball.copy().apply_transform(turned).apply_translation((6.0 * number, 0, 2))
        lines += [f"o ball{number}", *(f"v {x} {y} {z}" for x, y, z in one.vertices.tolist())]
        lines += [f"f {a} {b} {c}" for a, b, c in (one.faces + 1 + count).tolist()]
        count += len(one.vertices)
    (tmp_path / "balls.obj").write_text("\n".join(lines))
    lon, lat = 6.2, 49.7
    anchor = ("--anchor", f"{lon},{lat},0", "--up", "z", "--unit", "m")
    twin("load", str(tmp_path / "balls.obj"), "--as", "balls", *anchor, "--city", str(tab.server.folder))
    tab.open(f"v={lon + 1.6e-4},{lat},40,0,-89&m=3d&l=balls&lang=en")
    fetched = tab.js("performance.getEntriesByType('resource').map(one => one.name)")
    nodes = [gltf.read(tab.server.http.get(url).content) for url in fetched if "/3dtiles/balls/16/" in url]
    (file,) = (node for node in nodes if node.table["fid"] != [-1])
    assert file.document["extensionsRequired"] == ["EXT_mesh_gpu_instancing"]
    assert len(file.document["meshes"]) == 1
    across = 1 / (111_320 * np.cos(np.radians(lat)))
    names = [tab.attributes(lon + 6 * number * across, lat, 3.5)["name"] for number in range(5)]
    assert names == [f"ball{number}" for number in range(5)]


def _drawn(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a picture has not the colour of its upper corner."""
    numbers = picture.astype(int)
    return np.asarray(np.abs(numbers - numbers[0, 0]).max(axis=2) > 12)


def test_the_card_of_an_element_has_the_dossier_of_its_building(tab: Tab) -> None:
    """No layer has the building itself: its elements name it."""
    found = tab.server.http.get("/ogc/collections/house/items", params={"name": "lid"}).json()["features"][0]
    tab.open(f"s=house:{found['id']}&lang=zh-CN")
    section = tab.page.locator("twin-feature [data-dossier]")
    assert section.get_attribute("data-dossier") == found["properties"]["building_id"]
    storeys = section.locator("[data-group=storeys]")
    storeys.locator("summary").click()
    assert storeys.locator("dt").all_inner_texts() == ["Cellar", "Ground", "Upper"]
    rooms = section.locator("[data-group=rooms]")
    assert "房间" in rooms.locator("summary").inner_text()
    rooms.locator("[data-feature]").first.click()
    until(lambda: "A101 Hall" in tab.page.locator("twin-feature h2").inner_text(), 10, "the room's card")
    tab.page.locator("twin-feature [data-dossier]").wait_for()


def test_a_model_version_is_drawn_with_what_is_different(tab: Tab) -> None:
    """The bodies in the colour of their change, the rest seen through; what is gone stands where it was."""
    city, server = str(tab.server.folder), tab.server
    items = server.http.get("/ogc/collections/house/items?limit=50").json()["features"]
    by_name = {one["properties"]["name"]: one["id"] for one in items}
    twin("model", "check-in", "house", "--name", "as built", "--city", city)
    path = "/ogc/collections/house/items/{}"
    assert server.http.delete(path.format(by_name["lid"]), headers=server.auth).status_code == 204
    merge = server.auth | {"content-type": "application/merge-patch+json"}
    patch = {"properties": {"system": "Heating 9"}}
    assert server.http.patch(path.format(by_name["door"]), json=patch, headers=merge).status_code == 204
    lon, lat = at(5, 4)
    tab.open(f"v={lon},{lat},40,0,-89&m=3d&l=house&p=history&lang=zh-CN")
    row = tab.page.locator("twin-model-list [data-version='as built']")
    row.locator("[data-model=compare]").click()
    until(lambda: "mv=house;to=as+built" in tab.page.url, 10, "the link")
    listed = tab.page.locator("twin-change-list .change")
    until(lambda: listed.count() == 2, 10, "the changes")
    told = [(one.get_attribute("data-change"), one.inner_text()) for one in listed.all()]
    assert sorted(kind for kind, _ in told) == ["added", "changed"]
    assert any("Heating 9" in text for _, text in told)
    tab.ready()
    # the roof that the version still has is green, and opaque where the rest is seen through
    assert tab.js("window.twin.state().layers.house__1.visible") is True
    found = tab.attributes(*at(5, 6), 6)
    assert found
    assert found["name"] == "lid"
    clashes = "/ogc/collections/house/model-versions/clashes"
    assert server.http.post(clashes, json={"version": "as built"}).status_code == 401
    begun = server.http.post(clashes, json={"version": "as built"}, headers=server.auth)
    assert begun.status_code == 201, begun.text
    job = begun.headers["location"]
    asked = {"headers": server.auth}  # it is told to those who have a key
    until(lambda: server.http.get(job, **asked).json()["status"] == "successful", 60, "the job")
    result = server.http.get(job, **asked).json()["result"]
    assert (result["looked"], result["count"]) == (1, 0)  # the roof lies on the walls and is in nothing
    for wrong, status in (
        ({"version": "no"}, 404),
        ({}, 400),
        ({"version": "as built", "tolerance_m": 0}, 400),
    ):
        assert server.http.post(clashes, json=wrong, headers=server.auth).status_code == status
    tab.page.locator("[data-history=back]").click()
    until(lambda: "mv=" not in tab.page.url, 10, "the link")
    assert tab.js("window.twin.state().layers.house__1.visible") is False


def test_xray_shows_a_chosen_room_within_its_walls(tab: Tab) -> None:
    items = tab.server.http.get("/ogc/collections/house/items", params={"category": "space"}).json()[
        "features"
    ]
    lon, lat = at(5, 4)
    tab.open(f"v={lon},{lat},40,0,-60&m=3d&l=house&s=house:{items[0]['id']}&lang=zh-CN")
    button = tab.page.locator("[data-tool=xray]")
    before = tab.page.screenshot()
    tab.page.keyboard.press("x")
    until(lambda: button.get_attribute("aria-pressed") == "true", 10, "the tool")
    tab.ready()
    assert "xr=1" in tab.page.url
    # what is in front is picked, seen through or not; the room itself is drawn now
    assert tab.page.screenshot() != before
    tab.open(f"v={lon},{lat},40,0,-60&m=3d&l=house&xr=1&s=house:{items[0]['id']}&lang=zh-CN")
    assert tab.js("window.twin.state().xray") is True


def _seen(tab: Tab, x: float, y: float, height: float) -> list[int]:
    """The colour of a place of the small model (m) in the picture."""
    found = tab.js("([lon, lat, h]) => window.twin.window(lon, lat, h)", [*at(x, y), height])
    return colour(tab, found["x"], found["y"])


def test_a_section_box_cuts_bodies_and_what_is_picked(tab: Tab, tmp_path: Path) -> None:
    """The lid of the box goes through the wall: the roof is away, the floor below it is seen and picked."""
    lon, lat = at(5, 4)
    view = f"v={lon},{lat},40,0,-89&m=3d&l=house&lang=zh-CN"
    tab.open(view)
    tab.open(f"{view}&sb={lon},{lat},14,14,0,-4,2.5")
    assert name_at(tab, 5, 2) == "floor"
    # the wall is filled where it is cut, in the colour of a cap; its outer side is as it was
    tab.open(f"v={lon},{lat},20,30,-89&m=3d&l=house&lang=zh-CN&sb={lon},{lat},14,14,0,-4,2.5")
    tab.page.screenshot(path=tmp_path / "caps.png")
    red, _, blue = _seen(tab, 2, 0.15, 2.5)
    assert red > blue + 30
    red, _, blue = _seen(tab, 5, 4, 0)
    assert abs(red - blue) < 30
    tab.open(f"{view}&p=section&sb={lon},{lat},14,2,0,-4,9")  # a slice along the middle
    assert name_at(tab, 5, 4, 3) in ("lid", "A101 Hall", "floor")
    away = name_at(tab, *south_of(lon, lat, 3))
    assert away is None
    # a side is dragged on the map: the other one stays where it is
    tab.page.set_viewport_size({"width": 1280, "height": 800})  # else the panel lies over it
    tab.ready()
    before = tab.js("window.twin.state().section")
    handle = tab.page.locator("[data-handle=east]")
    spot = handle.bounding_box()
    assert spot is not None
    x, y = spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + 40, y, steps=4)
    tab.page.mouse.up()
    after = tab.js("window.twin.state().section")
    assert after["width"] > before["width"] + 1
    assert after["depth"] == before["depth"]
    assert after["lon"] > before["lon"]
    high = tab.page.locator("twin-section [data-section=high]")
    high.focus()
    tab.page.keyboard.press("ArrowLeft")
    until(lambda: tab.js("window.twin.state().section.high") < 9, 10, "the lid")
    assert "sb=" in tab.page.url
    tab.page.locator("twin-section [data-section=off]").click()
    until(lambda: "sb=" not in tab.page.url, 10, "the link")
    tab.ready()
    assert tab.violations() == []
    tab.page.set_viewport_size(cast(Any, SIZE))


def south_of(lon: float, lat: float, metres: float) -> tuple[float, float]:
    """A place in the small model so far south of one in degrees."""
    east, north = pyproj.Transformer.from_crs("EPSG:4326", MAP, always_xy=True).transform(
        lon, lat - metres / 111_200
    )
    dx, dy = east - EAST, north - NORTH
    return float(dx * AXIS[0] + dy * AXIS[1]), float(dy * AXIS[0] - dx * AXIS[1])

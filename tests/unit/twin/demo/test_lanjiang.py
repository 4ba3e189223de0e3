"""岚江: the same everywhere, a smaller one a part of a larger one, and nothing in it lies in another."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import BadParameter, Exists
from twin.demo.lanjiang import components, generate, levels, names, parcels, plan, quads, relief, survey
from twin.demo.lanjiang.frame import Frame
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.subject import SHAPE
from twin.demo.lanjiang.subjects import SUBJECTS

SEED = 1
DELIVERIES = [each for subject in SUBJECTS for each in subject.deliveries]
TABLES = [each.table for each in DELIVERIES]
#: Of the rows of size S with that seed: who changes a module on purpose changes its own line and no other.
GOLDEN = {
    "covers": "90ca7151dc06488b00d903233924f0960a4e80621b386ca49791c59b4f8e07d2",
    "parcels": "03fe23a3803dead2deaee247c7db8f123e5debe535a60c6ced0b7c520ef16f2f",
    "roads": "dee3f443509e7784701ebb12a581d25657330c4bc42eca2a2f2971ec4bf138d9",
    "buildings": "5a95ed2535bc0e3bf68d1181d8bb1ca625def63a99c9524b3301c99c294a51db",
    "plates": "a5eabfd8025500e2f95607c1943001f4b6483bf3abdad291fc317ea52f51c6dc",
    "rooms": "7a6dc19aced9821c5cd8ae5a585376518020008f23b490324fe61829216fb252",
    "communities": "64810f341158e5d15c25c5fd55ce86f9ba2ced9739e04d4dfad813c05c401be1",
    "units": "106466aaf791fe721ba87b15a273e228d68389a2efd379f4ed3e9495bfe8ef7d",
    "components": "a1fe00417e83ff1226cc6657ae3221d2abd62925aebaf28a72b24c1e96215ae2",
    "duty_grids": "980d06b3e56b2b91952e0e98977d7f77a7beb1d96b2485db1306953bc9117760",
    "watch_grids": "03411f0f966c23b3718e37d43c1eeccbf6c55500b3644b2c6e201bbc3db57c6f",
    "facilities": "758437b05fbb17ec583d8865869267d4c79336cf1c25dc814ab2ad5c0387fea0",
    "bus_stops": "b0ea414e7bccb6fc50a522cd5e8198e245c8a933ec471ddfec982046e9d53ac2",
    "forces": "3a93258c343e389701afa873e9d43fbd1d835ccf4524938ed4eb32a741a1c105",
    "resources": "d399d7727f7889d62570faa16b9ab9ee331f98983ef9ea6b0306dbfcdc15e818",
    "cases": "f9bfd4f87a7869ba1282d14196e721090e8b70702be7cc63b93c45a452bf21d6",
    "calls": "23030565c02b5b758c87fef8d06def8cc6fa92473be9271e15a269fd1c120b30",
    "subdistricts": "c42f26a62ad7254cb4a6f9849ec8135acc18a0ad2f8a95a45e48d10a36d3fab9",
    "organisation": "75953b537d345c0438ee15949629dd8edee0eb830e156a5ebfec62301d416fbe",
    "aliases": "ab32836352bc6e5c3cd5cbf752b82374d14ecf94df311f85d8a5910a92fd4ff2",
    "functions": "3ef6ffc75be6bb4e10401ffb729ee01882d9d0e8858e1977a8f88f566dc5f454",
    "posts": "c724bbc9a24381111343c25893e929eb264a7a4ee33a38daeeb0cc02572d8fb1",
    "people": "e7f940b490feec0525421dc28cd4adfcdc911925649588636a8e2117921425bf",
    "roster": "d0a8e70ace7ecd502b35a62e12bf61b03749ae0ecd2d9929e30d488f53ddd5be",
    "duties": "48cb7db2183504bf8f089d1e0264686c264a893f739607fbdb74399832da53a3",
    "disputes": "99a80d4a77ba46d4e1621ac2e3731542b39ee5eb6cd381ae85eb4a144945be30",
    "items": "8c1a42d3932c0531e4a6a73cb8bcc031947113eff77ddcd94b9bb02c7ca2d917",
    "calendar": "d0ef1fed3ff565ae49231b4de2a081dc257050f12e3e8d29aa4ed5930f64e131",
    "water_pipes": "32259ed6cf19df08ffc74ca8cb5455b13c28dc76a7be1ea6b4fda69c348cceb9",
    "water_points": "c8b0866f252feb4f2781d428b789fed4604054ae0705b7798ccf5fd6d6de6798",
    "sewage_pipes": "c0c8eea10b1d6b5c124802632e6bf087f11b3cddc69117e3db7cf11e033f9609",
    "sewage_points": "acf8311b637979514bdfe4ff95473925108c6d4f2a6d5a1bd7c0827b94584052",
    "rain_pipes": "f11c4adc415639ce4d51ec4dd3cd54b52d6a9324e03aa138e96e61a41d7b9590",
    "rain_points": "7299d4138d4cdd466ff320c1f9733c03b3ba6f106b1ee76e772c7ca31bd08ac3",
    "gas_pipes": "c24833164fdf5b756ad4fcfe8fa86965c1f73aeeb763a8ec153af5c7fa195e94",
    "gas_points": "345089a406a41cde7e44d70249eb2d109a64918798a6f15f7f1e09bcf3b68922",
    "power_pipes": "5ea69b5106747ed5907ed6eeb06ae3f7f0d2a102cc35d17bd906b54b9b6e3af3",
    "power_points": "2238dac50290b1ae51bb273783b535313a6fa1cbe77c4e6f0b7926d52e662bf5",
    "telecom_pipes": "ae3ed2875b7b1ca70ec3f7eb426787d975ae70da0f6fa47d5316064bb3d165b8",
    "telecom_points": "2c932824fc5dbf0e58fe7a9c469ab22288569a183f584c2beb91993032168136",
    "heat_pipes": "eb9d633dc326601e0c5a4714d1a42249926971f1aa49c83b0f2d3bcc2863ee43",
    "heat_points": "0047dc2efe580255a42dc5426bee4add71c49cba63298a2d94cc16ce5ebdd125",
    "industrial_pipes": "4acd3d0f8c6ffaa3d5401539e5f63db63c508bdc62314403829b88d0c08ef476",
    "industrial_points": "7ae9850c99aaee2dc5c7aa5738ac781a2bf1290dbc31b4235359c74783d45091",
    "devices_water": "73f2cef7fea5804f4499b9e7cb20afe47518542e2184da5a074f4bcd17c8a6af",
    "devices_drainage": "6c030483a0ed6c56234dde79e479bf85cdebd36ff33e91c25f6c384d8c7fd6b3",
    "devices_gas": "cba4ac9440ac757e63d55ff40ec5b1cddb1ed3d1152f95f285c45a8b8be5d2a5",
    "devices_air": "987fdeabacf3e6320fa0d9fba94fdd608f3f8ecdfbcaf9cdea9e4c862cf24381",
    "devices_flood": "06d16be7b743fc3b6896f3a6b8837e2829924486aadb1d0f3230daea20a5244c",
    "devices_buildings": "4467bce499f1367e315fe1248a3359c43c3d5635f203e57cfb7ae2a45fada789",
    "devices_streets": "05ec12456d09398b1f80781607140e015475110df55538b02ede1ae8495e747f",
    "camera_sectors": "01523537c5742f81e1569159539f054fa51df2849f912d703bc66ad395683392",
    "cameras": "98487eb71faa5b456ccb320795ed17849f50517fa875db2ae3233d8e6562ea3a",
}


def digests(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lanjiang") / "S"
    generate.generate(folder, size="S", seed=SEED, workers=1)
    return folder


@pytest.fixture(scope="module")
def known() -> list[Known]:
    """The superblocks of size S."""
    return [Known(SEED, *cell, "S") for cell in plan.cells("S")]


def test_the_rows_are_those_of_before(city: Path) -> None:
    truth = json.loads((city / "truth.json").read_text("utf-8"))
    assert truth["rows_sha256"] == GOLDEN
    assert truth["faults"] == []


def test_processes_and_runs_give_the_same_bytes(city: Path, tmp_path: Path) -> None:
    generate.generate(tmp_path / "S", size="S", seed=SEED, workers=3)
    assert digests(tmp_path / "S") == digests(city)


def test_another_seed_is_another_city_and_another_place_moves_it(city: Path) -> None:
    here, there = Frame(), Frame(lon=87.0, lat=43.5)
    table = generate.tables(Known(SEED, 0, 0, "S"), here)["buildings"]
    assert not generate.tables(Known(SEED + 1, 0, 0, "S"), here)["buildings"].equals(table)
    moved = generate.tables(Known(SEED, 0, 0, "S"), there)["buildings"]
    assert moved.drop_columns(SHAPE).equals(table.drop_columns(SHAPE))
    assert (here.epsg, there.epsg) == (4547, 4538)
    lonlat = there.lonlat(np.zeros((1, 2)))[0]
    assert np.abs(lonlat - (87.0, 43.5)).max() < 1e-5


@pytest.mark.parametrize("at", [(10.0, 43.0), (114.0, 60.0), (math.nan, 43.0)])
def test_places_outside_china_are_refused(at: tuple[float, float]) -> None:
    with pytest.raises(BadParameter):
        Frame(*at)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadParameter):
        generate.generate(tmp_path / "a", size="XL")
    (tmp_path / "file").touch()
    with pytest.raises(Exists):
        generate.generate(tmp_path)
    assert not (tmp_path / "a").exists()


def test_a_smaller_city_is_a_part_of_a_larger_one() -> None:
    cells = {size: set(plan.cells(size)) for size in plan.SIZES}
    assert cells["S"] < cells["M"] < cells["L"]
    frame = Frame()
    larger = [
        generate.tables(Known(SEED, *cell, "M"), frame)
        for cell in [*cells["S"], (2, -1), (2, -2), (2, 0), *((i, 1) for i in (-1, 0, 1, 2))]
    ]
    smaller = [generate.tables(Known(SEED, *cell, "S"), frame) for cell in cells["S"]]
    for name in TABLES:
        every = {tuple(row.items()) for part in larger if name in part for row in part[name].to_pylist()}
        own = [row for part in smaller if name in part for row in part[name].to_pylist()]
        assert {tuple(row.items()) for row in own} <= every


def test_nothing_lies_in_another(known: list[Known]) -> None:
    houses = [shapely.Polygon(one.ring) for each in known for _, built in each.built for one in built]
    assert shapely.is_valid(houses).all()
    assert min(shapely.area(houses)) > 20
    for shapes, least in (
        (houses, 0.0),
        ([shapely.Polygon(p.quad) for each in known for p in each.parcels], 0.05),
    ):
        a, b = shapely.STRtree(shapes).query(shapes, predicate="intersects")
        apart = a < b
        common = shapely.area(shapely.intersection(np.array(shapes)[a[apart]], np.array(shapes)[b[apart]]))
        assert (common <= least).all()


def test_buildings_stand_on_their_parcels_and_parcels_beside_their_roads(known: list[Known]) -> None:
    for each in known:
        streets = [
            shapely.LineString([one.start, one.end]).buffer(plan.WIDTHS[one.cls] / 2 - 0.05, cap_style="flat")
            for one in each.laid.streets
        ]
        roads = shapely.union_all(streets)
        for parcel, built in each.built:
            shape = shapely.Polygon(parcel.quad)
            assert roads.intersection(shape).area < 0.5
            grown = shape.buffer(0.02)
            assert all(grown.contains(shapely.Polygon(one.ring)) for one in built)
            assert streets[parcel.street].distance(shape) < 0.2


def test_every_address_is_alone_and_in_its_building(known: list[Known]) -> None:
    whole: Counter[str] = Counter()
    ids: Counter[str] = Counter()
    for each in known:
        houses = {one.id: shapely.Polygon(one.ring) for _, built in each.built for one in built}
        named = {row["道路名称"] for row in survey.roads(each)} | {
            names.main_road(True, each.of.j + 1, each.of.i),
            names.main_road(False, each.of.i + 1, each.of.j),
        }
        for plate, row in zip(each.plates, survey.door_plates(each), strict=True):
            assert houses[plate.building].contains(shapely.Point(plate.place))
            assert plate.street in named
            whole[row["标准地址"]] += 1
            ids[plate.id] += 1
        assert {plate.building for plate in each.plates} == set(houses)
        whole.update(row["标准地址"] for row in survey.room_rows(each) if not row["标准地址"].endswith("室"))
    assert len(whole) > 1_000
    assert [one for one, count in whole.items() if count > 1] == []
    assert max(ids.values()) == 1


def test_odd_and_even_numbers_lie_on_two_sides(known: list[Known]) -> None:
    sides: dict[tuple[int, int, int], set[tuple[int, bool]]] = {}
    for each in known:
        for plate in each.plates:
            parcel = next(p for p in each.parcels if plate.building.startswith(p.id))
            road = each.laid.streets[parcel.street]
            a, b, c = road.start, road.end, quads.middle(parcel.quad)
            left = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0
            number = int(plate.number.removesuffix("号").partition("-")[0])
            sides.setdefault((each.of.i, each.of.j, parcel.street), set()).add((number % 2, left))
    for found in sides.values():
        assert len({left for _, left in found}) == len(found)


def test_names_are_told_apart() -> None:
    assert len({names.word(number) for number in range(2_000)}) == 2_000
    cells = list(plan.cells("L"))
    assert len({names.cell(*cell) for cell in cells}) == len(cells)
    assert len({names.community(*cell)[0] for cell in cells}) == len(cells)
    assert [names.numeral(number) for number in (3, 10, 14, 20, 67)] == ["三", "十", "十四", "二十", "六十七"]


def test_the_ground_rises_from_the_river() -> None:
    x = np.linspace(-900, 900, 50)
    bed, bank = (
        relief.height(x, relief.axis(x)),
        relief.height(x, relief.axis(x) + relief.RIVER + relief.BANK),
    )
    assert (bed < relief.WATER_M).all()
    assert (bank > relief.WATER_M + 2).all()
    assert float(relief.height(*np.array(plan.HILL).reshape(2, 1))[0]) > 110


def test_the_terrain_dips_where_the_road_does(city: Path, known: list[Known]) -> None:
    rows = [row for each in known for row in survey.roads(each) if row["下穿"] == "是"]
    told = json.loads((city / "truth.json").read_text("utf-8"))["survey"]["underpasses"]
    assert [row["道路名称"] for row in rows] == [one["road"] for one in told]
    assert len(rows) == 2
    frame = Frame()
    with rasterio.open(city / survey.TERRAIN) as terrain:
        for row, one in zip(rows, told, strict=True):
            line = row[SHAPE]
            x, y = np.array([line.interpolate(at).coords[0] for at in np.arange(0, line.length, 2.0)]).T
            road, beside = levels.surface(SEED, x, y), relief.height(x, y)
            assert 5.3 < (beside - road).max() < 5.7
            assert np.abs(np.diff(road)).max() < 2 * 0.07
            assert (levels.surface(SEED, x + 12, y) == relief.height(x + 12, y)).all()
            (height,) = next(terrain.sample(frame.placed(np.array([line.coords[1]]))))
            assert abs(height - one["low_m"]) < 0.3


def test_roads_go_through_the_hill_and_over_the_river() -> None:
    rows = [row for cell in plan.cells("M") for row in survey.roads(Known(SEED, *cell, "M"))]
    assert 0 < sum(row["隧道"] == "是" for row in rows) < 20
    assert 5 < sum(row["桥梁"] == "是" for row in rows) < 20


def test_no_more_is_built_than_the_plan_allows(known: list[Known]) -> None:
    for each in known:
        for row in survey.land(each):
            assert row["现状容积率"] <= row["容积率上限"]
        for parcel, houses in each.built:
            assert max((one.height_m for one in houses), default=0) <= parcels.LIMITS[parcel.land][3]


def test_every_place_lies_in_one_cell_of_each_set(known: list[Known]) -> None:
    random = np.random.default_rng(3)
    for each in known:
        west, south, east, north = shapely.Polygon(each.of.quad).bounds
        places = shapely.points(random.uniform((west, south), (east, north), (200, 2)))
        inside = shapely.contains(shapely.Polygon(each.of.quad), places)
        cells = [row[SHAPE] for row in survey.unit_grids(each)]
        met = np.bincount(shapely.STRtree(cells).query(places, predicate="intersects")[0], minlength=200)
        assert (met[inside] == 1).all()
    codes = [row["网格编码"] for each in known for row in survey.unit_grids(each)]
    assert len(set(codes)) == len(codes)
    assert {len(code) for code in codes} == {15}


def test_components_stand_beside_roads_and_have_codes_of_their_own(known: list[Known]) -> None:
    codes: list[str] = []
    for each in known:
        made = components.components(SEED, each.of, each.laid)
        codes += [one.code for one in made]
        houses = [shapely.Polygon(one.ring) for _, built in each.built for one in built]
        if houses:
            places = shapely.points([one.place for one in made])
            assert not len(shapely.STRtree(houses).query(places, predicate="intersects")[0])
    assert len(set(codes)) == len(codes)
    assert {len(code) for code in codes} == {16}
    largest = Known(SEED, -21, 24, "L")
    last = max(components.components(SEED, largest.of, largest.laid), key=lambda one: one.code[10:])
    assert len(last.code) == 16


def test_no_superblock_has_more_of_a_class_than_it_has_numbers() -> None:
    for cell in plan.cells("M"):
        of = plan.superblock(SEED, *cell)
        made = components.components(SEED, of, plan.layout(SEED, of))
        assert max(Counter(one.kind for one in made).values()) < components.OWN


def test_shapefiles_have_room_for_the_names_of_columns() -> None:
    works, centre = (generate.tables(Known(SEED, *cell, "S"), Frame()) for cell in ((-1, -1), (0, 0)))
    tables = works | centre
    for delivery in DELIVERIES:
        if delivery.path.endswith(".shp"):
            names_ = [one for one in tables[delivery.table].column_names if one != SHAPE]
            assert max(len(name.encode("gbk")) for name in names_) <= 10


COORDINATE = st.floats(-0.2, 0.2).map(lambda value: round(value, 3))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(COORDINATE, COORDINATE), min_size=4, max_size=4),
    st.lists(st.floats(0, 12), min_size=4, max_size=4),
)
def test_a_quad_that_is_made_smaller_lies_within(jitter: list[tuple[float, float]], by: list[float]) -> None:
    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
    quad = tuple(
        quads.mm((x + dx) * 90, (y + dy) * 70) for (x, y), (dx, dy) in zip(corners, jitter, strict=True)
    )
    made = quads.inset(quad, *by)  # type: ignore[arg-type]
    whole = shapely.Polygon(quad)
    assert made is not None
    assert whole.buffer(0.01).contains(shapely.Polygon(made))
    for side, distance in enumerate(by):
        edge = shapely.LineString([quad[side], quad[(side + 1) % 4]])
        line = shapely.LineString([made[side], made[(side + 1) % 4]])
        # the same line as far as it goes, moved
        assert line.distance(edge) > distance - 0.01
    assert shapely.Polygon(quads.part(quad, 0.2, 0.3, 0.7, 0.9)).within(whole.buffer(0.01))  # type: ignore[arg-type]

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
    "covers": "3c1538b496632167722258eb4cdc69a95b4674d5466be7024cf6927f96027d0e",
    "parcels": "4a4f0fbec7022e07e54c68867dae460ce576d3ae1d9c5a4f9c8aff55f0e245b7",
    "roads": "73312a8cf678743ba26f2d313d942f15a2aa82f792e12b076fe44369132f0ff9",
    "buildings": "574c7515b6bb5ddae7c48dfcc5563dd91ba32a50c36f487b7d3771e084cd9f18",
    "plates": "8e477945d20889b0b115231097739fb505d7e453eb65608f7cede876df617628",
    "rooms": "74c70f95c514d0b1feba090ef1d5f7df6356a948c13de14e3b1930721634c191",
    "communities": "72036f02327e3c32088b7a28d2732c8b1bc0554fbbeb6cd2c75a35a62df1037f",
    "units": "3eeef1d88383cb7578018db8294b6ed993ce7a7ad967d28db1534d8d9680280d",
    "components": "cd04e0690c0284f44ebf3d1d2d798a74aa1071fb16c7a6fce43ba73ccd7bbf25",
    "duty_grids": "12c7708dfb30572eb30057f9683ef9528054b0554a490c6c42b3e280046ca03c",
    "watch_grids": "6d1bc52a1ffe5b72c51f341dbadefef749010f9213d010224b43a45dedecf41d",
    "facilities": "2e901cacb213aaf0179d73fbe7c467cd8caed6c09cdf2af2699d9a6a8a51777a",
    "bus_stops": "59f5b6325cd1ee29aa9ca4f55c6ed3f5f1e97fdaa0142a4898dd0701f1a65c34",
    "forces": "b4e49cf42be45fc45003618fcabaafbcdc84da4cd71c7de200374c7c2903459a",
    "resources": "66761d7f9a72c85abc5ea547d4a06fc8041c7258f2174de2fb61963fab047360",
    "cases": "ad83d7361630876abce60c76a4faf4f44cd640ced69eb12bdd309c2c304088a2",
    "calls": "f46d6fa28fd3e4f929516007b026bf1f2c5ce9f822518f5cf4e6c2bc3efdfcc3",
    "subdistricts": "e73285470fe8c2fe31f9092942653ca8ec4b2db670c3415e304bec93cee343fa",
    "organisation": "75953b537d345c0438ee15949629dd8edee0eb830e156a5ebfec62301d416fbe",
    "aliases": "ab32836352bc6e5c3cd5cbf752b82374d14ecf94df311f85d8a5910a92fd4ff2",
    "functions": "3ef6ffc75be6bb4e10401ffb729ee01882d9d0e8858e1977a8f88f566dc5f454",
    "posts": "53fe5b972c7c63ef9d8e4f351fecd126b66d2c72eba9ea60b856e8c3444f4cb9",
    "people": "f3ebbafac17acc09fe63aea815b52fbab5c65f5b8d5096fd842fde3806be0a16",
    "roster": "d0a8e70ace7ecd502b35a62e12bf61b03749ae0ecd2d9929e30d488f53ddd5be",
    "duties": "48cb7db2183504bf8f089d1e0264686c264a893f739607fbdb74399832da53a3",
    "disputes": "99a80d4a77ba46d4e1621ac2e3731542b39ee5eb6cd381ae85eb4a144945be30",
    "items": "8c1a42d3932c0531e4a6a73cb8bcc031947113eff77ddcd94b9bb02c7ca2d917",
    "calendar": "d0ef1fed3ff565ae49231b4de2a081dc257050f12e3e8d29aa4ed5930f64e131",
    "water_pipes": "1938a9c8a96b118d9d0a93008134c2b4a6bb589f81c58fefdb81a5997156f84f",
    "water_points": "ef86de043ccb7d9f51116fc6ff22e5961e2eb3b782302779356cfa0df158735c",
    "sewage_pipes": "a16708a05ef1ef400ce19846e94bac971b67c952e31ae75f0bd5ab98f2746012",
    "sewage_points": "d14496b8a6ec33111f2954479d88118104e9a2408577f30c84c9bd7fffef8480",
    "rain_pipes": "2e2a7ca2f30ea4b5f60cb2c137a667f83bc51ec85c4fce5ed0d356cf85e12987",
    "rain_points": "69052d359545f969f2747cf4ab600ebbe3e745e7545636b4cdeafa44fc1bc12e",
    "gas_pipes": "acb94984aebffdd9192d053583e6bf601aad45c1d46a70a51abfc1acb5a66826",
    "gas_points": "0f850dd9240c6ea1be9cb2399a032ec7665ae189e735c7982366cb3c240b70ea",
    "power_pipes": "eac0bf92e45e467cb69d18e8565cb09dc8868dc96fcae31ba2082a88572ba705",
    "power_points": "c5ada6d9007c4905bafb9717df9932da64eab80d2c655cfd563ec1980283b84e",
    "telecom_pipes": "ba5429e12a7260f5ccdfdc6ad9fadb2a347310cc32b44b726543fc25099358f2",
    "telecom_points": "e87231d239c6fb579f8bb4fe2f383b7332bb45ff4bb3e4bd7348354b2ee25122",
    "heat_pipes": "6b7d58ec61e61143e56638cb524dc5a3dc089ddae283b66f388e909fc66d19d2",
    "heat_points": "23a543382055258b4b6205744008ce984b912758992e761a1e29d45af884397a",
    "industrial_pipes": "4b33c4c1ffb6ae5929861670c089088543040a08ab0736e5495dd13820461848",
    "industrial_points": "fc994efd4f094d05dd6262a608244c8f711bb8f4c0bdac10c6fcd84593f870a1",
    "devices_water": "cf69a27d842073264e088bd2758a604295df891f81ccc9a12d379a1f0a58d5ab",
    "devices_drainage": "f04e731c5e7de2ee674a6653e424a0c2b34fbe65939b29d5f7823232dc5074cb",
    "devices_gas": "006a7298b23c1239ebe79c40e03c1c2537bf33ee10f53e1d8bb816b505bb0f31",
    "devices_air": "057664f68fe4943551edeabe0da56e579621658e18a40433a48671ba8ac45de1",
    "devices_flood": "06808234647fcd4daae31a101b4b70fcd6fd734830156d3052dd0d4a1b96c93d",
    "devices_buildings": "1f3aa9359517789a1fbaf5f7aa6cb4bd92b3fdde68a53a4f2dd9e6e9bcd9e297",
    "devices_streets": "d3649701e5ebd69db0235faed34c6c44276e2eb54d0114f957591cc38a55cc28",
    "camera_sectors": "5f74fddf69eae179a40c602cb800e49be7ed1f6ac99d3e4c6584eabf0380815f",
    "cameras": "f11519d17123cc50b9f4b39f57a44597fb9a22b87bfec217fd750fd95d749293",
    "models": "29794830f22a51c36ac3ee1952e7b3c584c1730167d0294d4e4ecf75922dcc0d",
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

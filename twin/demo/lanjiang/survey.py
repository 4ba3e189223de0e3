"""What departments know of streets, parcels, buildings and addresses: each row is a thing, its shape in
metres on the plan."""

from __future__ import annotations

import numpy as np
import shapely

from twin.demo.lanjiang import addresses, cover, files, grids, levels, names, parcels, plan
from twin.demo.lanjiang.faults import addresses as wrong_addresses
from twin.demo.lanjiang.faults import buildings as wrong_buildings
from twin.demo.lanjiang.frame import GEOGRAPHIC
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.plan import Class, Use
from twin.demo.lanjiang.subject import SHAPE, City, Delivery, Entry, Made, Rows, Subject

PLANNING, HOUSING, POLICE = "自然资源和规划局", "住房和城乡建设局", "公安局"
CIVIL, OPERATION = "民政局", "城市运行管理服务中心"
TERRAIN = f"{PLANNING}/数字高程模型.tif"
_ROADS = {Class.MAIN: "主干路", Class.COLLECTOR: "次干路", Class.STREET: "支路", Class.LANE: "内部道路"}


def roads(known: Known) -> Rows:
    """Roads by the stretch, from a crossing to the next."""
    i, j = known.of.i, known.of.j
    # of main roads: whose they are, and on which side of it they lie
    main = ((i, j), "S"), ((i + 1, j), "W"), ((i, j + 1), "S"), ((i, j), "W")
    for number, street in enumerate(known.laid.streets):
        code = f"{_code(i, j)}{number - 3:02d}"
        if number < len(main):
            owner, side = main[number]
            if owner != (i, j) and owner in known.size:
                continue
            code = f"{_code(*owner)}{side}"
        yield {
            "道路编号": code,
            "道路名称": addresses.road_name(known.of, known.laid, number),
            "道路等级": _ROADS[street.cls],
            "红线宽": plan.WIDTHS[street.cls],
            "单行": _yes(street.cls is Class.LANE and number % 3 == 0),
            "桥梁": _yes(known.of.use is Use.RIVER and number in (1, 3)),
            "隧道": _yes(street.cls is Class.MAIN and levels.in_tunnel(street)),
            "下穿": "否",
            SHAPE: shapely.LineString([street.start, street.end]),
        }
    if found := levels.underpass(known.seed, i, j):
        yield {
            "道路编号": f"{_code(i, j)}X",
            "道路名称": found.road,
            "道路等级": _ROADS[Class.MAIN],
            "红线宽": levels.LANES_M,
            "单行": "否",
            "桥梁": "否",
            "隧道": "否",
            "下穿": "是",
            SHAPE: shapely.LineString(found.line),
        }


def _yes(said: bool) -> str:
    return "是" if said else "否"


def land(known: Known) -> Rows:
    """Parcels with what a plan allows."""
    for parcel, houses in known.built:
        shape = shapely.Polygon(parcel.quad)
        ratio, density, green, high = parcels.LIMITS[parcel.land]
        floors = sum(shapely.Polygon(one.ring).area * one.storeys for one in houses)
        yield {
            "地块编号": parcel.id,
            "用地代码": parcel.land.value,
            "用地性质": parcels.TITLES[parcel.land],
            "容积率上限": ratio,
            "密度上限": density,
            "绿地率下限": green,
            "限高": float(high),
            "现状容积率": round(floors / shape.area, 2),
            SHAPE: shape,
        }


def covered(known: Known) -> Rows:
    """What covers the ground between streets."""
    for what, name, ring in cover.covers(known.seed, known.of, known.laid, known.parcels):
        yield {"地类": what, "名称": name or None, SHAPE: shapely.Polygon(ring)}


def houses(known: Known) -> Rows:
    """Buildings."""
    for parcel, houses in known.built:
        for one in houses:
            yield {
                "建筑编号": one.id,
                "名称": f"{parcel.name}{one.name}" or None,
                "用途": one.use,
                "地上层数": one.storeys,
                "建筑高度": one.height_m,
                "建成年份": one.year,
                "人数": one.people,
                "地块编号": parcel.id,
                SHAPE: shapely.Polygon(one.ring),
            }


def door_plates(known: Known) -> Rows:
    """Door plates; longitude and latitude are put to them when they are written."""
    code, community = names.community(known.of.i, known.of.j)
    for plate in known.plates:
        yield {
            "地址编码": plate.id,
            "标准地址": addresses.full(known.of, plate),
            "街路巷": plate.street,
            "门牌号": plate.number,
            "小区": plate.estate or None,
            "楼幢": plate.house or None,
            "单元": plate.unit or None,
            "社区代码": code,
            "社区": community,
            "建筑编号": plate.building,
            SHAPE: shapely.Point(plate.place),
        }


def room_rows(known: Known) -> Rows:
    """Rooms of dwellings, at the plate of their entrance."""
    houses = {one.id: one for _, built in known.built for one in built}
    for plate in known.plates:
        house = houses[plate.building]
        if not house.doors:
            continue
        head = addresses.full(known.of, plate)
        for number, room in enumerate(addresses.rooms(house), 1):
            yield {
                "户室编码": f"{plate.id}R{number:03d}",
                "标准地址": f"{head}{room}",
                "门牌地址编码": plate.id,
                "户室": room,
                SHAPE: shapely.Point(plate.place),
            }


def communities(known: Known) -> Rows:
    """The community that a superblock is."""
    code, name = names.community(known.of.i, known.of.j)
    above, subdistrict = names.subdistrict(known.of.i, known.of.j)
    yield {
        "行政区代码": code,
        "名称": name,
        "街道代码": above,
        "街道": subdistrict,
        "人数": sum(one.people for _, built in known.built for one in built),
        SHAPE: shapely.Polygon(known.of.quad),
    }


def unit_grids(known: Known) -> Rows:
    """Unit grids."""
    code, name = names.community(known.of.i, known.of.j)
    for unit, quad in grids.units(known.of, known.laid):
        yield {
            "网格编码": unit,
            "名称": f"{name}第{int(unit[-3:])}网格",
            "社区代码": code,
            SHAPE: shapely.Polygon(quad),
        }


def assets(known: Known) -> Rows:
    """City components."""
    for one in known.components:
        yield {
            "部件标识码": one.code,
            "部件名称": one.kind.name,
            "主管部门": one.kind.owner,
            "养护单位": one.kind.keeper,
            "所在道路": addresses.road_name(known.of, known.laid, one.street),
            "状态": "完好",
            SHAPE: shapely.Point(one.place),
        }


def _code(i: int, j: int) -> str:
    code, _ = names.community(i, j)
    return f"R{code}"


def _ground(city: City) -> Made:
    files.terrain(city.size, city.seed, city.out / TERRAIN, city.frame)
    passes = [one for cell in levels.UNDERPASSES if (one := levels.underpass(city.seed, *cell))]
    lonlat = city.frame.lonlat(np.array([one.line[1] for one in passes])).tolist()
    truth = [
        {"road": one.road, "below": one.above, "at": at, "low_m": one.low_m, "clear_m": levels.CLEAR_M}
        for one, at in zip(passes, lonlat, strict=True)
    ]
    entry = Entry("terrain", TERRAIN, "terrain", ("地形", "Terrain"), visible=True)
    return Made((entry,), truth={"underpasses": truth})


_WGS = {"crs": f"EPSG:{GEOGRAPHIC}"}
SUBJECT = Subject(
    "survey",
    (
        Delivery(
            "land_cover",
            f"{PLANNING}/地表覆盖.gpkg",
            "cover",
            ("地表覆盖", "Land cover"),
            visible=True,
            table="covers",
            rows=covered,
            geometry="Polygon",
        ),
        Delivery(
            "parcels",
            f"{PLANNING}/规划地块.shp",
            "feature",
            ("规划地块", "Parcels"),
            {"id_field": "地块编号"},
            table="parcels",
            rows=land,
            geometry="Polygon",
            floats=("容积率上限", "密度上限", "绿地率下限", "限高", "现状容积率"),
            cpg=False,
        ),
        Delivery(
            "roads",
            f"{PLANNING}/道路中心线.shp",
            "road",
            ("道路", "Roads"),
            {"id_field": "道路编号"},
            visible=True,
            table="roads",
            rows=roads,
            geometry="LineString",
            floats=("红线宽",),
        ),
        Delivery(
            "buildings",
            f"{HOUSING}/建筑物.gpkg",
            "building",
            ("建筑物", "Buildings"),
            {"id_field": "建筑编号"},
            visible=True,
            table="buildings",
            rows=houses,
            geometry="Polygon",
            floats=("建筑高度",),
            integers=("地上层数", "建成年份", "人数"),
            faults=wrong_buildings.FAULTS,
        ),
        Delivery(
            "addresses",
            f"{POLICE}/门牌地址.csv",
            "address",
            ("门牌地址", "Door plates"),
            {"id_field": "地址编码", **_WGS},
            table="plates",
            rows=door_plates,
            geometry="Point",
            faults=wrong_addresses.FAULTS,
        ),
        Delivery(
            "rooms",
            f"{POLICE}/户室.csv",
            "address",
            ("户室", "Rooms"),
            {"id_field": "户室编码", **_WGS},
            table="rooms",
            rows=room_rows,
            geometry="Point",
        ),
        Delivery(
            "communities",
            f"{CIVIL}/社区.gpkg",
            "boundary",
            ("社区", "Communities"),
            {"id_field": "行政区代码"},
            table="communities",
            rows=communities,
            geometry="Polygon",
            integers=("人数",),
        ),
        Delivery(
            "unit_grids",
            f"{OPERATION}/单元网格.shp",
            "boundary",
            ("单元网格", "Unit grids"),
            {"id_field": "网格编码"},
            table="units",
            rows=unit_grids,
            geometry="Polygon",
        ),
        Delivery(
            "street_assets",
            f"{OPERATION}/城市部件.shp",
            "component",
            ("城市部件", "City components"),
            {"id_field": "部件标识码"},
            visible=True,
            table="components",
            rows=assets,
            geometry="Point",
        ),
    ),
    _ground,
)

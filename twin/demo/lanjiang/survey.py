"""What departments know of a superblock, as tables: each row is a thing, its shape in metres on the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from twin.demo.lanjiang import addresses, components, cover, grids, names, parcels, plan
from twin.demo.lanjiang.buildings import Building, buildings
from twin.demo.lanjiang.frame import Frame
from twin.demo.lanjiang.plan import Class, Layout, Superblock, Use

#: The column that holds a row's geometry as WKB, where it has one.
SHAPE = "wkb"
NOTE = "说明"
_ROADS = {Class.MAIN: "主干路", Class.COLLECTOR: "次干路", Class.STREET: "支路", Class.LANE: "内部道路"}

type Rows = Iterator[dict[str, Any]]


class Known:
    """A superblock with all that is made of it."""

    def __init__(self, seed: int, i: int, j: int, size: str) -> None:
        self.seed = seed
        self.of: Superblock = plan.superblock(seed, i, j)
        self.laid: Layout = plan.layout(seed, self.of)
        self.parcels = parcels.parcels(seed, self.of, self.laid)
        self.built: list[tuple[parcels.Parcel, list[Building]]] = [
            (parcel, buildings(seed, self.of, parcel)) for parcel in self.parcels
        ]
        self.plates = addresses.plates(self.of, self.laid, self.built)
        #: A main road belongs to the superblock in the north or east of it, where the size has that.
        self.size = frozenset(plan.cells(size))

    def roads(self) -> Rows:
        """Roads by the stretch, from a crossing to the next."""
        i, j = self.of.i, self.of.j
        # of main roads: whose they are, and on which side of it they lie
        main = ((i, j), "S"), ((i + 1, j), "W"), ((i, j + 1), "S"), ((i, j), "W")
        for number, street in enumerate(self.laid.streets):
            code = f"{_code(i, j)}{number - 3:02d}"
            if number < len(main):
                owner, side = main[number]
                if owner != (i, j) and owner in self.size:
                    continue
                code = f"{_code(*owner)}{side}"
            yield {
                "道路编号": code,
                "道路名称": addresses.road_name(self.of, self.laid, number),
                "道路等级": _ROADS[street.cls],
                "红线宽": plan.WIDTHS[street.cls],
                "单行": "是" if street.cls is Class.LANE and number % 3 == 0 else "否",
                "桥梁": "是" if self.of.use is Use.RIVER and number in (1, 3) else "否",
                SHAPE: shapely.LineString([street.start, street.end]),
            }

    def land(self) -> Rows:
        """Parcels with what a plan allows."""
        for parcel, houses in self.built:
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

    def covers(self) -> Rows:
        """What covers the ground between streets."""
        for what, name, ring in cover.covers(self.of, self.parcels):
            yield {"地类": what, "名称": name or None, SHAPE: shapely.Polygon(ring)}

    def houses(self) -> Rows:
        """Buildings."""
        for parcel, houses in self.built:
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

    def doors(self) -> Rows:
        """Door plates; longitude and latitude are put to them when they are written."""
        code, community = names.community(self.of.i, self.of.j)
        for plate in self.plates:
            yield {
                "地址编码": plate.id,
                "标准地址": addresses.full(self.of, plate),
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

    def rooms(self) -> Rows:
        """Rooms of dwellings, at the plate of their entrance."""
        houses = {one.id: one for _, built in self.built for one in built}
        for plate in self.plates:
            house = houses[plate.building]
            if not house.doors:
                continue
            head = addresses.full(self.of, plate)
            for number, room in enumerate(addresses.rooms(house), 1):
                yield {
                    "户室编码": f"{plate.id}R{number:03d}",
                    "标准地址": f"{head}{room}",
                    "门牌地址编码": plate.id,
                    "户室": room,
                    SHAPE: shapely.Point(plate.place),
                }

    def communities(self) -> Rows:
        """The community that a superblock is."""
        code, name = names.community(self.of.i, self.of.j)
        above, subdistrict = names.subdistrict(self.of.i, self.of.j)
        yield {
            "行政区代码": code,
            "名称": name,
            "街道代码": above,
            "街道": subdistrict,
            "人数": sum(one.people for _, built in self.built for one in built),
            SHAPE: shapely.Polygon(self.of.quad),
        }

    def units(self) -> Rows:
        """Unit grids."""
        code, name = names.community(self.of.i, self.of.j)
        for unit, quad in grids.units(self.of, self.laid):
            yield {
                "网格编码": unit,
                "名称": f"{name}第{int(unit[-3:])}网格",
                "社区代码": code,
                SHAPE: shapely.Polygon(quad),
            }

    def components(self) -> Rows:
        """City components."""
        for one in components.components(self.seed, self.of, self.laid):
            yield {
                "部件标识码": one.code,
                "部件名称": one.kind.name,
                "主管部门": one.kind.owner,
                "养护单位": one.kind.keeper,
                "所在道路": addresses.road_name(self.of, self.laid, one.street),
                "状态": "完好",
                SHAPE: shapely.Point(one.place),
            }


TABLES: dict[str, Callable[[Known], Rows]] = {
    "roads": Known.roads,
    "parcels": Known.land,
    "covers": Known.covers,
    "buildings": Known.houses,
    "plates": Known.doors,
    "rooms": Known.rooms,
    "communities": Known.communities,
    "units": Known.units,
    "components": Known.components,
}
TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(
        ("红线宽", "容积率上限", "密度上限", "绿地率下限", "限高", "现状容积率", "建筑高度"), pa.float64()
    ),
    **dict.fromkeys(("地上层数", "建成年份", "人数"), pa.int32()),
    SHAPE: pa.binary(),
}


def tables(seed: int, i: int, j: int, size: str, frame: Frame) -> dict[str, pa.Table]:
    """The tables of a superblock, by name, in the coordinates of the frame; one without rows is left out."""
    known = Known(seed, i, j, size)
    found = {name: list(of(known)) for name, of in TABLES.items()}
    return {name: _table(rows, frame) for name, rows in found.items() if rows}


def _table(rows: Sequence[dict[str, Any]], frame: Frame) -> pa.Table:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    shapes = shapely.transform(np.array(columns.pop(SHAPE), object), frame.placed)
    columns[NOTE] = [names.NOTICE] * len(rows)
    arrays = {name: pa.array(values, TYPES.get(name, pa.string())) for name, values in columns.items()}
    return pa.table({**arrays, SHAPE: pa.array(list(shapely.to_wkb(shapes, byte_order=1)), pa.binary())})


def _code(i: int, j: int) -> str:
    code, _ = names.community(i, j)
    return f"R{code}"

"""What departments know of the city's areas and facilities, and of who does what in it."""

from __future__ import annotations

import itertools

from twin.demo.lanjiang import files
from twin.demo.lanjiang.administration import areas, facilities, forces, registers, rows
from twin.demo.lanjiang.frame import GEOGRAPHIC
from twin.demo.lanjiang.subject import City, Delivery, Made, Rows, Subject, Table
from twin.demo.lanjiang.survey import CIVIL, OPERATION

LAW, TRANSPORT, EMERGENCY = "政法委员会", "交通运输局", "应急管理局"
#: Rows of a table of the whole city that are together in memory.
_TOGETHER = 5_000
_WGS = {"crs": f"EPSG:{GEOGRAPHIC}"}

SUBDISTRICTS = Table(
    "subdistricts",
    f"{CIVIL}/街道.gpkg",
    "boundary",
    ("街道", "Subdistricts"),
    {"id_field": "行政区代码"},
    table="subdistricts",
    geometry="Polygon",
    integers=("社区数", "人数"),
)


def _whole(city: City) -> Made:
    made = _written(city, SUBDISTRICTS, areas.subdistricts(city))
    further = registers.write(city)
    return Made(
        (SUBDISTRICTS, *further.entries),
        {"subdistricts": made.count, **further.counts},
        {"subdistricts": made.digest.hexdigest(), **further.hashes},
    )


def _written(city: City, table: Table, rows: Rows) -> files.Rows:
    parts = (table.placed(some, city.frame) for some in itertools.batched(rows, _TOGETHER))
    return files.written(table, parts, city.out, city.frame)


SUBJECT = Subject(
    "administration",
    (
        Delivery(
            "duty_grids",
            f"{OPERATION}/责任网格.shp",
            "boundary",
            ("责任网格", "Duty grids"),
            {"id_field": "网格编码"},
            table="duty_grids",
            rows=areas.duty_grids,
            geometry="Polygon",
            integers=("单元数",),
        ),
        Delivery(
            "watch_grids",
            f"{LAW}/综治网格.gpkg",
            "boundary",
            ("综治网格", "Grids of social governance"),
            {"id_field": "网格编码"},
            table="watch_grids",
            rows=areas.watched_grids,
            geometry="Polygon",
            integers=("人数",),
        ),
        Delivery(
            "facilities",
            f"{CIVIL}/公共服务设施.gpkg",
            "feature",
            ("公共服务设施", "Public facilities"),
            {"id_field": "设施编号"},
            table="facilities",
            rows=facilities.places,
            geometry="Point",
            integers=("容量",),
        ),
        Delivery(
            "bus_stops",
            f"{TRANSPORT}/公交站点.shp",
            "feature",
            ("公交站点", "Bus stops"),
            {"id_field": "站点编号"},
            table="bus_stops",
            rows=facilities.bus_stops,
            geometry="Point",
            integers=("日客流",),
        ),
        Delivery(
            "forces",
            f"{EMERGENCY}/应急队伍.gpkg",
            "feature",
            ("应急队伍", "Forces"),
            {"id_field": "队伍编号"},
            table="forces",
            rows=forces.bases,
            geometry="Point",
            integers=("人数", "出动分钟"),
        ),
        Delivery(
            "resources",
            f"{EMERGENCY}/应急资源.gpkg",
            "feature",
            ("应急物资与避难场所", "Stores and shelters"),
            {"id_field": "资源编号"},
            table="resources",
            rows=forces.stores,
            geometry="Point",
            integers=("数量",),
        ),
        Delivery(
            "cases",
            f"{OPERATION}/历史案件.csv",
            "case",
            ("历史案件", "Past cases"),
            {"id_field": "案件编号", **_WGS},
            optional=True,
            table="cases",
            rows=rows.case_rows,
            geometry="Point",
        ),
        Delivery(
            "calls",
            f"{OPERATION}/热线工单.csv",
            "order",
            ("12345热线工单", "Calls of the hot line"),
            {"id_field": "工单编号", **_WGS},
            optional=True,
            table="calls",
            rows=rows.call_rows,
            geometry="Point",
        ),
    ),
    _whole,
)

"""Files that were delivered once more, wrongly: without what says where they lie or how their texts are
written, or saying it wrongly. Each holds buildings or roads of the middle of the city."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyproj import CRS, Transformer
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import TransverseMercatorConversion

from twin.demo.lanjiang import files, names
from twin.demo.lanjiang.frame import GEOGRAPHIC
from twin.demo.lanjiang.planting import FAULT
from twin.demo.lanjiang.subject import SHAPE, City, Entry, Made, Planted, Subject

FOLDER = "补交"
#: The parameters of a local grid that nothing may tell: figures that lead nowhere, to be looked for.
SECRET = f"{FOLDER}/地方坐标系参数(秘密).txt"
_ROWS = 200
#: Codes of EPSG from a zone to the next in the east.
_NEXT = 1


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A wrong file: its name, its kind of fault, the rule that finds it, and what is done to a right one."""

    file: str
    kind: str
    rule: str
    spoil: Callable[[Path, pa.Table, City], None]


def _without_prj(file: Path, table: pa.Table, city: City) -> None:
    _write(file, table, f"EPSG:{city.frame.epsg}")
    file.with_suffix(".prj").unlink()


def _swapped(file: Path, table: pa.Table, city: City) -> None:
    _write(file, _moved(table, lambda xy: xy[:, ::-1]), f"EPSG:{city.frame.epsg}")


def _of_next_zone(file: Path, table: pa.Table, city: City) -> None:
    """Numbers of the zone beside, under the name of the city's own."""
    there = CRS.from_epsg(city.frame.epsg + _NEXT)
    _write(file, _in(table, city, there), f"EPSG:{city.frame.epsg}")


def _with_zone(file: Path, table: pa.Table, city: City) -> None:
    """Eastings that begin with the zone's number, under the name of the system without it."""
    zone = round(city.frame.lon / 3)
    _write(file, _moved(table, lambda xy: np.add(xy, (zone * 1e6, 0))), f"EPSG:{city.frame.epsg}")


def _own_meridian(file: Path, table: pa.Table, city: City) -> None:
    """The city's own meridian, described in full and without a code: this one is right, and to be taken."""
    own = ProjectedCRS(
        TransverseMercatorConversion(0, city.frame.lon, 50_000, -4_000_000, 1),
        name=f"{names.CITY}独立坐标系",
        geodetic_crs=CRS.from_epsg(GEOGRAPHIC),
    )
    _write(file, _in(table, city, own), own.to_wkt("WKT1_ESRI"))


def _cut_names(file: Path, table: pa.Table, city: City) -> None:
    """GBK without a word of it, and names of an odd number of bytes, cut within their last character."""
    _write(file, table, f"EPSG:{city.frame.epsg}")
    file.with_suffix(".cpg").unlink()
    dbf = bytearray(file.with_suffix(".dbf").read_bytes())
    head, size = int.from_bytes(dbf[8:10], "little"), int.from_bytes(dbf[10:12], "little")
    at = 1
    for field in range(32, head - 1, 32):
        wide = dbf[field + 16]
        if dbf[field : field + 11].rstrip(b"\0").decode("gbk") == "名称":
            for row in range(head, len(dbf) - 1, size):
                text = bytes(dbf[row + at : row + at + wide]).rstrip()
                if len(text) > 3:
                    dbf[row + at + len(text) - 1] = 0x20
        at += wide
    file.with_suffix(".dbf").write_bytes(bytes(dbf))


_WRONG = (
    _Wrong("建筑物_无坐标系.shp", "file.no_prj", "crs.missing", _without_prj),
    _Wrong("建筑物_坐标颠倒.shp", "file.swapped", "crs.area", _swapped),
    _Wrong("建筑物_邻带坐标.shp", "file.next_zone", "crs.area", _of_next_zone),
    _Wrong("建筑物_带号.shp", "file.zone_prefix", "crs.area", _with_zone),
    _Wrong("建筑物_独立中央子午线.shp", "file.own_meridian", "crs.own", _own_meridian),
    _Wrong("建筑物_名称截断.shp", "file.cut_names", "encoding.cut", _cut_names),
)


def _resubmitted(city: City) -> Made:
    if city.edition != "dirty":
        return Made()
    folder = city.out / FOLDER
    folder.mkdir()
    table = next(islice(city.tables("buildings"), 1)).slice(0, _ROWS)
    table = table.filter(pc.is_null(table[FAULT])).drop_columns([FAULT])
    for one in _WRONG:
        with files.dated():
            one.spoil(folder / one.file, table, city)
    _secret(city)
    entries = tuple(
        Entry(
            f"resubmitted_{number}",
            f"{FOLDER}/{one.file}",
            "building",
            (f"补交：{one.file.partition('_')[2].removesuffix('.shp')}", f"Resubmitted {number}"),
            optional=True,
        )
        for number, one in enumerate(_WRONG, 1)
    )
    found = tuple(
        Planted(one.kind, one.rule, f"{FOLDER}/{one.file}", entry.layer)
        for one, entry in zip(_WRONG, entries, strict=True)
    )
    return Made(entries, faults=found)


def _moved(table: pa.Table, by: Callable[[np.ndarray], np.ndarray]) -> pa.Table:
    shapes = shapely.transform(shapely.from_wkb(table[SHAPE].to_pylist()), by)
    column = pa.array(list(shapely.to_wkb(shapes, byte_order=1)), pa.binary())
    return table.set_column(table.column_names.index(SHAPE), SHAPE, column)


def _in(table: pa.Table, city: City, crs: CRS) -> pa.Table:
    """The table in other coordinates, millimetres."""
    there = Transformer.from_crs(city.frame.epsg, crs, always_xy=True)
    return _moved(table, lambda xy: np.round(np.stack(there.transform(*xy.T), axis=1), 3))


def _write(file: Path, table: pa.Table, crs: str) -> None:
    files.shapefile(file, table.to_reader(), "Polygon", crs)


def _secret(city: City) -> None:
    """Invented figures: a translation, a turn and a scale, and two pairs of points that would give them."""
    (city.out / SECRET).write_text(
        f"{names.NOTICE}\n平移X=27182.8182 平移Y=-31415.9265 旋转=0.0057721566 尺度=1.0000161803\n"
        "公共点1 14142.1356,17320.5080\n公共点2 22360.6797,26457.5131\n",
        "utf-8",
    )


SUBJECT = Subject("resubmitted", whole=_resubmitted)

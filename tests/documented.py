"""The files that the pages of the documentation load: each small, and made for it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from tests import gml, ifcs, meshes, raster_sources, tilesets
from tests.cityjsons import GOLDEN

LON, LAT = 114.305, 30.593


@cache
def _house() -> ifcs.Model:
    """One model: its versions have elements of the same ids."""
    return ifcs.house()


def _cog(path: Path) -> None:
    raster_sources.write(path, raster_sources.picture(), "COG")


def _without_place(path: Path) -> None:
    files = tilesets.photo_mesh(LON, LAT)
    root = files["tileset.json"]
    assert isinstance(root, dict)
    del root["root"]["transform"]
    tilesets.write(path.parent, files)


def _zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("villa/villa.obj", meshes.obj_text(meshes.box((1000, 600, 400))))


def _pipes(path: Path) -> None:
    at = "<gml:posList>385000 6672000 0 385010 6672000 0</gml:posList>"
    line = f"<uro:lod1Geometry><gml:LineString>{at}</gml:LineString></uro:lod1Geometry>"
    path.write_text(gml.model(gml.member(f'<uro:WaterPipe gml:id="w">{line}</uro:WaterPipe>')), "utf-8")


def _opera(path: Path) -> None:
    house = gml.building(gml.themed(gml.corners(), version="3.0"))
    path.write_text(gml.model(gml.member(house), version="3.0"), "utf-8")


#: By the name that a page has: what writes it there.
FILES: Mapping[str, Callable[[Path], object]] = {
    "ortho.tif": lambda path: raster_sources.write(path, raster_sources.picture()),
    "cog.tif": _cog,
    **{
        f"{name}.tif": lambda path: raster_sources.write(path, raster_sources.hills())
        for name in ("dem", "flood1", "flood2")
    },
    **dict.fromkeys(
        ("Duplex.ifc", "Duplex_rev2.ifc", "Duplex_A_20110907_georeferenced.ifc"),
        lambda path: _house().write(path),
    ),
    "tower.ifc": lambda path: ifcs.house(mapped=False).write(path),
    "Production_3": lambda path: tilesets.write(path, tilesets.photo_mesh(LON, LAT)),
    "Block_2": lambda path: tilesets.write(path, tilesets.photo_mesh(LON + 0.003, LAT)),
    "model/tileset.json": _without_place,
    "station.glb": lambda path: path.write_bytes(meshes.hall().export(file_type="glb")),
    "villa.zip": _zipped,
    "tile_014.obj": lambda path: path.write_text(
        meshes.obj_text(meshes.box((10, 6, 4), (529_000, 3_386_000, 20)))
    ),
    **dict.fromkeys(("delft.json", "3-20-DELFSHAVEN.city.json"), lambda path: shutil.copy(GOLDEN, path)),
    "52397519_bldg_6697_op.gml": lambda path: path.write_text(
        gml.model(gml.member(gml.building(gml.themed(gml.corners())))), "utf-8"
    ),
    "08EE752_unf_10169_water_op.gml": _pipes,
    "Opera-Lyon_CityGML3.0_LOD2_with_xAL3_FullyStructured.gml": _opera,
}


def write(folder: Path, text: str) -> None:
    """The files that a text names, in a folder."""
    for name, make in FILES.items():
        if f" {name}" in text:
            (folder / name).parent.mkdir(exist_ok=True)
            make(folder / name)

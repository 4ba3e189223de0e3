"""What a file costs on its way in beside its own bytes."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import orjson

from layers import guard, load
from layers.read.base import ReadOptions, Sink
from layers.read.citygml.read import read
from layers.read.cityjson.read import read as read_cityjson
from tests import gml
from tests.bench.measure import descendants, usage
from tests.bench.report import Row, at_most
from tests.imagery import SHARED

FILES = 20
#: Additions that say how fast the machine is: a usual one needs a second.
ADDITIONS = 20_000_000
HOUSES = 20_000
#: Bytes that are told of, and those of the models.
MEGABYTE, GIGABYTE, TOWN = 1e6, 1e9, 5.5e6


def check_overhead(folder: Path) -> Row:
    """CPU of a check of a table of one row, when files are checked one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "one.csv"
    file.write_text("lon,lat\n24.9,60.2\n")
    load.check(file)
    before = usage([os.getpid()])
    for _ in range(FILES):
        load.check(file)
    spent = usage([os.getpid()]).since(before) / FILES / 1e9
    return at_most("a file's check: overhead (CPU)", spent, 0.2, "from the second file on", " s")


def _second() -> float:
    """Seconds of CPU for additions of which a usual machine does as many in one."""
    before, total = time.process_time(), 0
    for number in range(ADDITIONS):
        total += number
    return time.process_time() - before


def ifc() -> list[Row]:
    """CPU of the whole check of the Duplex, an IFC of 236 bodies with openings, in seconds of a usual
    machine: its reader's start, ifcopenshell's import and the outlines are in it. Nothing without the shared
    data."""
    file = SHARED / "ifc/Duplex_A_20110907_georeferenced.ifc"
    if not file.exists():
        return []
    before = usage([os.getpid()])
    load.check(file, rows=None)
    spent = usage([os.getpid()]).since(before) / 1e9
    second = _second()
    detail = f"{spent:.1f} s where {ADDITIONS / 1e6:.0f} M additions take {second:.2f} s; 236 bodies, 2.4 MB"
    return [at_most("IFC: the Duplex, checked whole (CPU)", spent / second, 15, detail, " s")]


def _town(file: Path, wanted: float) -> int:
    """Write a model of at least so many bytes: buildings of thematic surfaces and a solid that refers to
    them, with attributes. How many they are."""
    own = "".join(
        f'<uro:a{k}><uro:A{k}><uro:code codeSpace="../../codelists/{k}.xml">{k}</uro:code>'
        f"<uro:value>{k}.5</uro:value></uro:A{k}></uro:a{k}>"
        for k in range(8)
    )
    head, _, tail = gml.model("@").partition("@")
    number = 0
    with file.open("w", encoding="utf-8") as out:
        written = out.write(head)
        while written < wanted:
            where = gml.corners((4e5 + 20 * (number % 3000), 67e5 + 20 * (number // 3000), 10))
            body = own + gml.themed(where, id_=f"p{number}")
            written += out.write(gml.member(gml.building(body, f"b{number}")))
            number += 1
        out.write(tail)
    return number


def citygml(folder: Path) -> Row:
    """CPU of reading CityGML into bodies, in that of additions."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "town.gml"
    _town(file, TOWN)
    spent = []
    for turn in range(2):  # the first loads the libraries
        sink = Sink(folder / str(turn))
        sink.folder.mkdir()
        before = time.process_time()
        read(file, ReadOptions(str(file)), sink)
        spent.append(time.process_time() - before)
    second = _second()
    megabytes = file.stat().st_size / MEGABYTE
    ratio = spent[-1] / megabytes * 40 / second
    detail = (
        f"{megabytes / spent[-1]:.1f} MB/CPU-s where {ADDITIONS / 1e6:.0f} M additions take {second:.2f} s"
    )
    return at_most("CityGML to bodies: 40 MB in the CPU of 20 M additions", ratio, 1, detail)


#: Walls, ground and roof of a house with gables over ten vertices, and which each is.
_HOUSE = (
    [0, 3, 2, 1],
    [0, 1, 5, 4],
    [2, 3, 7, 6],
    [1, 2, 6, 9, 5],
    [3, 0, 4, 8, 7],
    [4, 5, 9, 8],
    [6, 7, 8, 9],
)
_KINDS = [0, 2, 2, 2, 2, 1, 1]


def cityjson(folder: Path) -> Row:
    """CPU of reading 20 000 houses of CityJSON into bodies, in that of additions."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "town.city.json"
    surfaces = [{"type": name} for name in ("GroundSurface", "RoofSurface", "WallSurface")]
    objects, vertices = {}, []
    for number in range(HOUSES):
        x, y, first = number % 200 * 20_000, number // 200 * 20_000, len(vertices)
        wide, deep, eaves, ridge = 8000 + number % 3000, 6000 + number % 2000, 3000 + number % 5000, 2000
        low = [(0, 0), (wide, 0), (wide, deep), (0, deep)]
        vertices += [[x + u, y + v, z] for z in (0, eaves) for u, v in low]
        vertices += [[x + u, y + deep // 2, eaves + ridge] for u in (0, wide)]
        faces = [[[first + corner for corner in face]] for face in _HOUSE]
        semantics = {"surfaces": surfaces, "values": [_KINDS]}
        solid = {"type": "Solid", "lod": "2.2", "boundaries": [faces], "semantics": semantics}
        own = {"name": f"house {number}", "storeys": number % 7, "height": eaves / 1000}
        objects[f"b{number}"] = {"type": "Building", "attributes": own, "geometry": [solid]}
    city = {
        "type": "CityJSON",
        "version": "2.0",
        "transform": {"scale": [0.001] * 3, "translate": [85_000, 445_000, 0]},
        "metadata": {"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/7415"},
        "CityObjects": objects,
        "vertices": vertices,
    }
    file.write_bytes(orjson.dumps(city))
    spent = []
    for turn in range(2):  # the first loads the libraries
        sink = Sink(folder / f"j{turn}")
        sink.folder.mkdir()
        before = time.process_time()
        read_cityjson(file, ReadOptions(str(file)), sink)
        spent.append(time.process_time() - before)
    second = _second()
    speed = f"{HOUSES / spent[-1]:,.0f} buildings/CPU-s"
    detail = f"{speed} where {ADDITIONS / 1e6:.0f} M additions take {second:.2f} s"
    ratio = spent[-1] / HOUSES * 15_000 / second
    return at_most("CityJSON to bodies: 15 000 buildings in the CPU of 20 M additions", ratio, 1, detail)


def citygml_memory(folder: Path) -> Row:
    """The most memory that the guarded child has while it reads a gigabyte of CityGML."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "city.gml"
    count = _town(file, GIGABYTE)
    peaks: list[float] = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            peaks.extend(_peaks(os.getpid()))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with guard.read(file) as reading:
            assert reading.meta["features"] == count
    finally:
        done.set()
        watching.join()
        file.unlink()
    detail = f"{count} buildings; the most that the child has had"
    return at_most("CityGML: memory for 1 GB", max(peaks), 1000, detail, " MB")


def _peaks(pid: int) -> list[float]:
    """Megabytes that each descendant has had at most."""
    out = []
    for child in descendants(pid):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            for line in Path(f"/proc/{child}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    out.append(int(line.split()[1]) * 1024 / MEGABYTE)
    return out

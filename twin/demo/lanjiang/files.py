"""Tables as the files that departments deliver: their names, formats, encodings."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely
from pyproj import Transformer

from twin.demo.lanjiang import levels, plan
from twin.demo.lanjiang.frame import GEOGRAPHIC, VERTICAL, Frame
from twin.demo.lanjiang.planting import FAULT
from twin.demo.lanjiang.subject import NOTE, SHAPE, Planted, Table

#: When all files say that they were written: a clock would make another file each time.
WRITTEN = "2026-01-01"
#: Metres of a cell of the terrain, and how far it goes beyond the superblocks.
CELL, BEYOND = 5.0, 60.0


def written(table: Table, parts: Iterator[pa.Table], folder: Path, frame: Frame) -> Rows:
    """Write the file of a table that comes in parts; its rows as they went by."""
    rows = Rows()
    write(table, rows.seen(table, parts), folder, frame)
    return rows


class Rows:
    """Rows that go by: their number, a hash of them, and what is wrong with which."""

    def __init__(self) -> None:
        self.count = 0
        self.digest = hashlib.sha256()
        self.faults: list[Planted] = []

    def see(self, row: Iterable[object]) -> None:
        """One goes by."""
        self.count += 1
        self.digest.update(repr(tuple(row)).encode())

    def seen(self, table: Table, parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The parts of a table as they are to be written, each after its rows have gone by."""
        for part in parts:
            if FAULT in part.column_names:
                self._look(table, part)
                part = part.drop_columns([FAULT])
            self.count += len(part)
            for batch in part.to_batches():
                self.digest.update(_bytes(batch))
            yield part

    def _look(self, table: Table, part: pa.Table) -> None:
        rules = {each.kind: each.rule for each in table.faults}
        ids = part[table.declared.get("id_field", part.column_names[0])].to_pylist()
        for at, kind in enumerate(part[FAULT].to_pylist()):
            if kind is not None:
                row = self.count + at + 1
                self.faults.append(Planted(kind, rules[kind], table.path, table.layer, row, ids[at] or ""))


def _bytes(batch: pa.RecordBatch) -> memoryview:
    """The values of rows as text, and their shapes, one after another: the same however rows are parted."""
    columns = [
        pc.fill_null(
            each if pa.types.is_binary(each.type) else each.cast(pa.string()).cast(pa.binary()), b"\0"
        )
        for each in batch.columns
    ]
    joined = pc.binary_join_element_wise(*columns, b"\x1e", b"\x1f")
    return memoryview(joined.buffers()[2])


def write(delivery: Table, parts: Iterator[pa.Table], folder: Path, frame: Frame) -> None:
    """Write the file of a table that comes in parts."""
    file = folder / delivery.path
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".csv":
        _csv(file, parts, frame)
        return
    first = next(parts)
    batches = (batch for part in _after(first, parts) for batch in part.to_batches())
    reader = pa.RecordBatchReader.from_batches(first.schema, batches)
    with dated():
        if file.suffix == ".shp":
            shapefile(file, reader, delivery.geometry, f"EPSG:{frame.epsg}")
            if not delivery.cpg:
                file.with_suffix(".cpg").unlink(missing_ok=True)
        else:
            options = {"geometry_name": SHAPE, "geometry_type": delivery.geometry, "layer": file.stem}
            pyogrio.write_arrow(reader, file, driver="GPKG", crs=f"EPSG:{frame.epsg}", **options)


def shapefile(file: Path, reader: pa.RecordBatchReader, geometry: str, crs: str) -> None:
    """Write a Shapefile with its texts in GBK, and what says so beside it."""
    pyogrio.write_arrow(
        reader,
        file,
        driver="ESRI Shapefile",
        geometry_name=SHAPE,
        geometry_type=geometry,
        crs=crs,
        encoding="GBK",
        layer_options={"DBF_DATE_LAST_UPDATE": WRITTEN},
    )


def _after(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


@contextmanager
def dated() -> Iterator[None]:
    """GDAL takes the time from here as long as this lasts."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{WRITTEN}T00:00:00.000Z"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _csv(file: Path, parts: Iterator[pa.Table], frame: Frame) -> None:
    """Text in GB18030, with longitude and latitude."""
    back = Transformer.from_crs(frame.epsg, GEOGRAPHIC, always_xy=True)
    with file.open("w", encoding="gb18030", newline="") as out:
        writer = csv.writer(out)
        for number, part in enumerate(parts):
            names = [name for name in part.column_names if name not in (SHAPE, NOTE)]
            if number == 0:
                writer.writerow([*names, "经度", "纬度", NOTE])
            x, y = shapely.get_coordinates(shapely.from_wkb(part[SHAPE].to_pylist())).T
            lon, lat = back.transform(x, y)
            places = ([f"{value:.8f}" for value in values.tolist()] for values in (lon, lat))
            writer.writerows(
                zip(*(part[name].to_pylist() for name in names), *places, part[NOTE].to_pylist(), strict=True)
            )


def terrain(size: str, seed: int, file: Path, frame: Frame) -> None:
    """Write the heights of the ground, cells of which a smaller city has the same."""
    import rasterio
    from rasterio.transform import from_origin

    corners = np.array([corner for cell in plan.cells(size) for corner in plan.superblock(seed, *cell).quad])
    west, south = np.floor((corners.min(axis=0) - BEYOND) / CELL) * CELL
    east, north = np.ceil((corners.max(axis=0) + BEYOND) / CELL) * CELL
    x = np.arange(west, east, CELL) + CELL / 2
    y = np.arange(north, south, -CELL) - CELL / 2
    easting, northing = frame.origin
    profile = {
        "driver": "GTiff",
        "width": len(x),
        "height": len(y),
        "count": 1,
        "dtype": "float32",
        "crs": f"EPSG:{frame.epsg}+{VERTICAL}",
        "transform": from_origin(west + easting, north + northing, CELL, CELL),
        "compress": "deflate",
        "predictor": 3,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(file, "w", **profile) as out:
        for row in range(0, len(y), 256):
            some = y[row : row + 256]
            heights = levels.surface(seed, *np.meshgrid(x, some)).astype(np.float32)
            out.write(heights, 1, window=((row, row + len(some)), (0, len(x))))

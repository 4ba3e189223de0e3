"""Where a raster lies: its CRS, the way from its cells to coordinates, its extent."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine, GCPTransformer

from layers import crs
from layers.errors import BadFile, shown
from layers.read.base import Sink
from layers.source import Declared
from layers.types import Bbox

_DECLARE = "declare it, for example --crs EPSG:4490"
_PLACE = "give it a world file beside it (.tfw, .jgw, .pgw), or georeference it (QGIS: Raster, Georeferencer)"
_ORTHO = "orthorectify it with a terrain model first (gdalwarp -rpc -to RPC_DEM=dem.tif in.tif out.tif)"
#: Bytes of a .prj that are read.
_LONGEST = 20_000
#: Places along each edge at which an extent is measured.
_EDGE = 33
#: Degrees by which cells may reach over the edge of the world, as those of a global grid do.
_OVER = 1.0


@dataclass(frozen=True, slots=True)
class Placement:
    """A raster's place: ``text`` of its CRS (a code or WKT), the same for GDAL, whether it is ``told`` by
    whoever loads, and is not what the file says; ``transform`` from columns and rows, or control points.
    ``extent`` in lon/lat; ``crossing``: it lies over the antimeridian, and its extent is a whole belt."""

    text: str
    crs: CRS
    told: bool
    transform: Affine
    points: tuple[GroundControlPoint, ...]
    extent: Bbox
    crossing: bool

    @property
    def rotated(self) -> bool:
        """Whether rows do not run along the first axis of the CRS."""
        return not self.points and bool(self.transform.b or self.transform.d)

    @property
    def flipped(self) -> tuple[bool, bool]:
        """Whether columns count to the west, and rows to the north."""
        return self.transform.a < 0, self.transform.e > 0


def place(dataset: DatasetReader, path: Path, declared: Declared, sink: Sink) -> Placement:
    """Where an open raster lies. Raises BadFile: raster.rpcs, raster.unplaced, raster.extent, crs.missing,
    crs.unknown, crs.kind, crs.inaccurate, crs.area."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points, of_points = dataset.gcps
        transform, rpcs = dataset.transform, dataset.rpcs
    placed = transform != Affine.identity()
    if rpcs is not None and not placed and not points:
        raise BadFile("raster.rpcs", f"only RPCs say where the raster lies, which needs heights; {_ORTHO}")
    if placed:
        points = []
    own = _own(dataset.crs or (of_points if points else None), path)
    text = declared.crs or own
    if text is None:
        raise BadFile("crs.missing", f"the file names no CRS; {_DECLARE}")
    if declared.crs and own and not _same(declared.crs, own):
        sink.note("crs.declared", f"the file says {_called(own)}; the declared {declared.crs} is used")
    if not placed and not points:
        raise BadFile("raster.unplaced", f"the file does not say where its cells lie; {_PLACE}")
    if points:
        sink.note("raster.gcps", f"it is warped by its {len(points)} control points")
    known = _known(text, declared.crs is not None)
    extent, crossing = _extent(dataset, transform, points, text)
    told = declared.crs is not None and (own is None or not _same(declared.crs, own))
    return Placement(text, known, told, transform, tuple(points), extent, crossing)


def _own(known: CRS | None, path: Path) -> str | None:
    """The CRS of the file, or of the .prj beside it, as WKT."""
    if known:
        text = str(known.to_wkt())
        return None if text.startswith(("LOCAL_CS", "ENGCRS")) else text
    for beside in (path.with_suffix(".prj"), path.with_suffix(".PRJ")):
        if beside.is_file():
            return beside.read_bytes()[:_LONGEST].decode("utf-8", "replace").strip() or None
    return None


def _known(text: str, told: bool) -> CRS:
    """The CRS as GDAL has it, once it is known that places in it can be told. Raises BadFile."""
    try:
        crs.transformers(text)
        return CRS.from_wkt(crs.definition(text).to_wkt())
    except BadFile as error:
        raise error if told else BadFile(error.rule, f"{error.reason}; {_DECLARE}") from error


def _same(one: str, other: str) -> bool:
    try:
        return bool(crs.definition(one).equals(crs.definition(other), ignore_axis_order=True))
    except BadFile:
        return False


def _called(text: str) -> str:
    return shown(text.split('"', 2)[1] if '"' in text else text)


def _extent(
    dataset: DatasetReader, transform: Affine, points: list[GroundControlPoint], text: str
) -> tuple[Bbox, bool]:
    """The box in lon/lat of the edges, and whether they cross the antimeridian. Raises BadFile."""
    if not points and (not all(np.isfinite(transform)) or not transform.determinant):
        raise BadFile("raster.unplaced", f"its cells have no size; {_PLACE}")
    steps = np.linspace(0, 1, _EDGE)
    along = np.concatenate([steps, np.ones(_EDGE), steps[::-1], np.zeros(_EDGE)]) * dataset.width
    down = np.concatenate([np.zeros(_EDGE), steps, np.ones(_EDGE), steps[::-1]]) * dataset.height
    if points:
        with GCPTransformer(points) as by_points:
            x, y = (np.asarray(each, np.float64) for each in by_points.xy(down, along, offset="ul"))
    else:
        x = transform.a * along + transform.b * down + transform.c
        y = transform.d * along + transform.e * down + transform.f
    edge = crs.to_lonlat(np.column_stack([x, y]), text)
    lonlat = edge[np.isfinite(edge).all(axis=1)]
    if len(lonlat) < len(edge) / 2:
        raise BadFile("crs.area", f"most of the raster lies outside {_called(text)}; declare the right --crs")
    return _box(lonlat, text)


def _box(lonlat: NDArray[np.float64], text: str) -> tuple[Bbox, bool]:
    (west, south), (east, north) = lonlat.min(axis=0), lonlat.max(axis=0)
    if west < -180 - _OVER or east > 180 + _OVER or south < -90 - _OVER or north > 90 + _OVER:
        reason = f"it reaches from {west:g} {south:g} to {east:g} {north:g} degrees"
        raise BadFile("raster.extent", f"{reason}, which is not on Earth; is {_called(text)} its CRS?")
    crossing = bool((np.abs(np.diff(lonlat[:, 0])) > 180).any())
    if crossing:
        west, east = -180.0, 180.0
    box = (
        max(float(west), -180.0),
        max(float(south), -90.0),
        min(float(east), 180.0),
        min(float(north), 90.0),
    )
    return box, crossing

"""A part of a raster as a file: its values as GeoTIFF, strip by strip, or a picture with a world file."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from layers.errors import Conflict, TooLarge, Unavailable
from layers.model import ContentLayer, is_raster
from layers.raster import geotiff, plan
from layers.raster import query as queries
from layers.raster.bands import Band
from layers.raster.coverage import Coverage, opened
from layers.raster.files import OpenFiles, instant_of
from layers.raster.grid import Grid
from tiles.imagery.style import Wanted
from twin.jobs import scratch
from twin.jobs.work import Work, WorkContext

log = logging.getLogger("twin")

#: Downloads at one time.
PLACES = 2
#: Bytes of the values of a file.
MOST_BYTES = 2 << 30
#: Bytes of the values that are read at a time.
STRIP_BYTES = 32 << 20
PNG: Literal["png"] = "png"


class Input(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to give: the layer as of one load, the parameters of its part (of values: those of Coverages, of
    a picture: those of Maps)."""

    layer: str
    generation: int
    title: str
    parameters: list[tuple[str, str]]
    format: str
    #: How a picture is drawn: as the city says, and as is asked for.
    own: Wanted = Wanted()
    asked: Wanted = Wanted()
    most_bytes: int = MOST_BYTES
    reserve: int = scratch.RESERVE_BYTES


def run(request: Input, context: WorkContext) -> dict[str, object]:
    """Make the file; its name and size in bytes. Raises BadParameter, NotFound, TooLarge, Unavailable,
    Conflict."""
    layer = context.view.layer(request.layer)
    if not is_raster(layer) or layer.generation != request.generation:
        raise Conflict(f"layer {request.layer} was loaded anew at this moment; try again")
    scratch.check_room(context.folder, request.reserve)
    files = OpenFiles()
    try:
        make = _picture if request.format == PNG else _values
        path = make(request, context, layer, files)
    except OSError as error:
        log.warning("a download could not be made: %s", error)
        raise Unavailable(scratch.NO_ROOM) from error
    finally:
        files.close()
    return {"file": path.name, "size": path.stat().st_size}


def _values(request: Input, context: WorkContext, layer: ContentLayer, files: OpenFiles) -> Path:
    query = queries.parse(request.parameters)
    path = context.folder / f"{layer.id}.tif"
    with opened(files, context.city, layer, instant_of(layer, query.interval)) as coverage:
        bands = queries.chosen(coverage.bands, query)
        grid = plan.planned(coverage, query)
        plan.check_size(grid, bands, request.most_bytes)
        strips = _strips(context, coverage, grid, bands, request.reserve)
        geotiff.write(path, coverage, grid, bands, strips)
    return path


def _strips(
    context: WorkContext, coverage: Coverage, grid: Grid, bands: Sequence[Band], reserve: int
) -> Iterator[tuple[int, Any]]:
    """First row and values of one strip after the other."""
    for row, part in geotiff.strips(grid, bands, STRIP_BYTES):
        scratch.check_room(context.folder, reserve)
        context.progress(row, grid.height)
        yield row, coverage.read(part, [band.index for band in bands])


def _picture(request: Input, context: WorkContext, layer: ContentLayer, files: OpenFiles) -> Path:
    from layers.raster.profiles import RasterProfiles
    from tiles.imagery import maps
    from tiles.imagery.colors import WHITE
    from tiles.imagery.place import Place
    from tiles.imagery.service import Imagery

    query = maps.parse(request.parameters)
    instant = instant_of(layer, query.interval)
    with opened(files, context.city, layer, instant) as coverage:
        grid = maps.placed(coverage, query)
    imagery = Imagery(RasterProfiles(context.city, files))
    look = imagery.look(layer, request.own, request.asked, instant)
    place = Place(grid.crs.to_wkt(), grid.bounds, grid.width, grid.height)
    picture = imagery.picture(look, place, PNG, None if query.transparent else query.background or WHITE)
    path = context.folder / f"{layer.id}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        out.writestr(f"{layer.id}.png", picture.body)
        out.writestr(f"{layer.id}.pgw", world_file(grid))
        out.writestr(f"{layer.id}.prj", grid.crs.to_wkt(version="WKT1_ESRI"))
    if path.stat().st_size > request.most_bytes:
        raise TooLarge("the picture is too large; ask for a smaller size")
    return path


def world_file(grid: Grid) -> str:
    """Six lines: the size of a cell, its turning, the middle of the first cell (ESRI's world file)."""
    across, down = grid.cell
    west, _, _, north = grid.bounds
    numbers = (across, 0.0, 0.0, -down, west + across / 2, north - down / 2)
    return "".join(f"{number!r}\n" for number in numbers)


WORK = Work("raster_download", {"en": "Download of a raster", "zh-CN": "栅格下载"}, Input, run, PLACES)

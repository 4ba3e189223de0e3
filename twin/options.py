"""Options that several verbs of the command line have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from layers.source import Declared

CityDir = Annotated[
    Path, typer.Option("--city", envvar="TWIN_CITY", help="The city folder.", show_default="./city")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Store = Annotated[
    str | None, typer.Option(help="Address of a PostgreSQL database that is to hold the features.")
]
#: What is declared of a file: an option for each field of :class:`layers.source.Declared`.
DECLARED = {
    "layer": typer.Option(help="The layer inside the file."),
    "kind": typer.Option(
        help="What it is: building, pipeline, …; of rasters raster or terrain, of 3D Tiles scene."
    ),
    "crs": typer.Option(help="The file's CRS, where it does not say."),
    "encoding": typer.Option(help="The text encoding, where it is not UTF-8."),
    "id_field": typer.Option("--id", metavar="FIELD|none", help="The column that identifies a row, or none."),
    "time_zone": typer.Option(help="The zone of times that name none, such as Asia/Shanghai."),
    "time_field": typer.Option(help="The column that is the features' time."),
    "time": typer.Option(
        help="Raster: when it was true, such as 2024-05-01. CityGML: the objects of that day."
    ),
    "nodata": typer.Option(help="Raster: the value of cells that have none."),
    "vertical": typer.Option(help="Terrain: what heights count from, such as EPSG:5737, or a name."),
    "offset": typer.Option(metavar="METRES", help="Terrain: added to heights, to fit the city's."),
    "in_place": typer.Option("--in-place", help="Raster: register a COG where it lies."),
    "anchor": typer.Option(
        metavar="LON,LAT,HEIGHT", help="Model: where its origin lies, or X,Y,HEIGHT in the CRS."
    ),
    "rotation": typer.Option(metavar="DEGREES", help="Model: clockwise from north to its y axis."),
    "unit": typer.Option(help="Model: the unit of its numbers, such as mm."),
    "up": typer.Option(help="Model: the axis that points up, z or y."),
}
_TYPES = get_type_hints(Declared)
DEFAULT_CITY = Path("city")
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
LeaveOut = Annotated[
    bool, typer.Option("--leave-out-conflicts", help="Leave features as they are that others changed since.")
]
Message = Annotated[str, typer.Option(help="Why; kept with the change set.")]


def declaring(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of :data:`DECLARED` in place of its parameter ``declared``."""

    @functools.wraps(command)
    def declared(**arguments: Any) -> None:
        command(declared=Declared(**{name: arguments.pop(name) for name in DECLARED}), **arguments)

    signature = inspect.signature(command, eval_str=True)
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[_TYPES[name], option])
        for name, option in DECLARED.items()
    ]
    parameters: list[Parameter] = []
    for one in signature.parameters.values():
        parameters += options if one.name == "declared" else [one.replace(kind=Parameter.KEYWORD_ONLY)]
    # typer reads both
    declared.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    declared.__annotations__ = {one.name: one.annotation for one in parameters}
    return declared

"""What is said of a coverage: its fields, its grid, and where it lies in space and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from layers import instants
from layers.crs import COMMON, LABEL84, label, offered, swaps, uri
from layers.errors import BadParameter, NotFound, Unavailable
from layers.model import ContentLayer, Layer, is_raster
from layers.raster import coverage as coverages
from layers.raster.bands import Band
from layers.raster.coverage import Coverage
from layers.raster.grid import Grid, code, wrapped
from layers.raster.query import Region
from layers.types import CRS84, Bbox
from twin.http.context import Context
from twin.http.ogc.schemas import DRAFT

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

#: A cell's value as GDAL reads the type of a range (frmts/ogcapi).
_SWE = {
    "uint8": "UINT8",
    "int16": "INT16",
    "uint16": "UINT16",
    "int32": "INT32",
    "uint32": "UINT32",
    "float32": "FLOAT32",
    "float64": "FLOAT64",
}


@contextmanager
def opened(city: City, layer: ContentLayer, instant: str | None = None) -> Iterator[Coverage]:
    """The coverage of a layer; see :func:`layers.raster.coverage.opened`."""
    with coverages.opened(city.rasters, city.folder, layer, instant) as coverage:
        yield coverage


def tag(city: City, view: View, layer: ContentLayer, form: str) -> str:
    """The entity tag of a form of what a layer holds: of its record and of the state of its files."""
    return f'"{view.epoch}-{layer.seq}.{city.profiles.states.of(layer)}-{form}"'


def crs_of(city: City, layer: ContentLayer, own: str | None) -> tuple[str, ...]:
    """URIs of the CRSs in which a coverage is offered: CRS84, that of its file and of its source, the
    city's, and the web ones."""
    return offered(*([own] if own else []), layer.crs, city.settings.crs)


def check_crs(
    regions: Sequence[Region | None], crs: str | None, offered: Sequence[str], own: str | None
) -> None:
    """Raises BadParameter for a CRS in which the coverage is not offered (``own``: that of its file)."""
    labels = {label(one) for one in offered} | ({own} if own else set())
    asked = [("crs", crs), *((f"{one.parameter}-crs", one.crs) for one in regions if one is not None)]
    for name, given in asked:
        if given is not None and given not in labels:
            raise BadParameter(name, given, f"it is offered in {', '.join(sorted(labels))}")


def check_offered(
    city: City, layer: ContentLayer, instant: str | None, regions: Sequence[Region | None], crs: str | None
) -> None:
    """As :func:`check_crs`, of a layer whose files are not open. Raises NotFound, Unavailable, too."""
    with opened(city, layer, instant) as coverage:
        own = code(coverage.grid.crs)
    check_crs(regions, crs, crs_of(city, layer, own), own)


def box_in(grid: Grid, crs: str | None) -> Bbox:
    """The bounds of a grid in the axis order of its CRS's authority; ``crs`` is the name that it goes by.
    West > east across the antimeridian."""
    west, south, east, north = bounds = wrapped(grid.bounds) if grid.crs.is_geographic else grid.bounds
    return (south, west, north, east) if crs is not None and swaps(crs) else bounds


def members(context: Context, layer: Layer) -> Mapping[str, Any]:
    """Members of the collection (OGC 19-087, /req/core/collection-description): CRSs, cells, times.

    No grid where its file cannot be read: the list of layers must not end with one of them."""
    if not is_raster(layer):
        return {}
    document: dict[str, Any] = {
        "dataType": "coverage",
        "layerDataType": "Coverage",  # GDAL's OAPIF driver takes a collection for features without it
        "crs": list(COMMON),
    }
    times = sorted({asset.time for asset in layer.assets if asset.time is not None})
    extent: dict[str, Any] = {}
    if times:
        extent["temporal"] = {
            "interval": [instants.whole_days((times[0], times[-1]))],
            "grid": {"cellsCount": len(times), "coordinates": times},
        }
    try:
        with opened(context.city, layer) as coverage:
            grid = coverage.grid
            own = code(grid.crs)
            document["crs"] = list(crs_of(context.city, layer, own))
            extent["spatial"] = _spatial(coverage)
            if own is not None:
                document["storageCrs"] = uri(own)
                extent["spatial"]["storageCrsBbox"] = [list(box_in(grid, own))]
    except (Unavailable, NotFound) as error:
        context.lacks.append(str(error))
    return document | ({"extent": extent} if extent else {})


def _spatial(coverage: Coverage) -> dict[str, Any]:
    """The grid in the order of the axes of its bounds (Common Part 2, uniform additional dimensions)."""
    grid = coverage.grid
    own = code(grid.crs)
    axes = list(zip((grid.width, grid.height), grid.cell, strict=True))
    ordered = axes[::-1] if own is not None and swaps(own) else axes
    return {
        "bbox": [list(coverage.lonlat)],
        "crs": CRS84,
        "grid": [{"cellsCount": count, "resolution": size} for count, size in ordered],
    }


def schema(context: Context, layer: ContentLayer) -> dict[str, Any]:
    """``…/schema``: the fields (OGC 19-087, /req/core/coverage-fields-schema; Common Part 3)."""
    with opened(context.city, layer) as coverage:
        fields = {
            band.name: _field(band) | {"x-ogc-propertySeq": place}
            for place, band in enumerate(coverage.bands, 1)
        }
    return {
        "$schema": DRAFT,
        "$id": f"{context.base}/collections/{layer.id}/schema",
        "type": "object",
        "title": context.title(layer),
        "properties": fields,
        "additionalProperties": False,
    }


def _field(band: Band) -> dict[str, Any]:
    member: dict[str, Any] = {"title": band.title, "type": "integer" if band.whole else "number"}
    if not band.whole:
        member["format"] = "double" if band.dtype == "float64" else "float"
    if band.unit:
        member |= {"x-ogc-unit": band.unit, "x-ogc-unitLang": "UCUM"}
    return member


def domain_set(context: Context, layer: ContentLayer) -> dict[str, Any]:
    """``…/coverage/domainset`` (CIS 1.1, OGC 09-146r6): the grid in longitude and latitude.

    The draft has dropped it; GDAL's OGCAPI driver sizes its raster by it, and takes it for degrees."""
    from layers.raster.plan import system

    with opened(context.city, layer) as coverage:
        grid = coverage.grid.warped(system(LABEL84))
    west, south, east, north = grid.bounds
    across, down = grid.cell
    return {
        "type": "DomainSet",
        "generalGrid": {
            "type": "GeneralGridCoverage",
            "srsName": CRS84,
            "axisLabels": ["Lon", "Lat"],
            "axis": [
                _axis("Lon", west, east, across),
                _axis("Lat", south, north, down),
            ],
            "gridLimits": {
                "type": "GridLimits",
                "srsName": "http://www.opengis.net/def/crs/OGC/0/Index2D",
                "axisLabels": ["i", "j"],
                "axis": [
                    {"type": "IndexAxis", "axisLabel": "i", "lowerBound": 0, "upperBound": grid.width - 1},
                    {"type": "IndexAxis", "axisLabel": "j", "lowerBound": 0, "upperBound": grid.height - 1},
                ],
            },
        },
    }


def _axis(label: str, low: float, high: float, size: float) -> dict[str, Any]:
    return {
        "type": "RegularAxis",
        "axisLabel": label,
        "lowerBound": low,
        "upperBound": high,
        "resolution": size,
        "uomLabel": "deg",
    }


def range_type(context: Context, layer: ContentLayer) -> dict[str, Any]:
    """``…/coverage/rangetype`` (CIS 1.1): the fields with the types of their values, as GDAL reads them."""
    with opened(context.city, layer) as coverage:
        fields = [_quantity(band) for band in coverage.bands]
    return {"type": "DataRecord", "field": fields}


def _quantity(band: Band) -> dict[str, Any]:
    document: dict[str, Any] = {"type": "Quantity", "id": band.name, "name": band.name, "label": band.title}
    if (definition := _SWE.get(band.dtype)) is not None:
        document["definition"] = definition
    if band.unit:
        document["uom"] = {"type": "UnitReference", "code": band.unit}
    return document

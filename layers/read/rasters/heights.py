"""What the numbers of a terrain count: their unit, and what they count from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rasterio import DatasetReader

from layers import crs
from layers.errors import BadFile, shown
from layers.read.base import Sink
from layers.source import Declared

#: Metres of a unit, as files write its name (US survey foot: NIST SP 811, B.6).
_METRES = {
    **dict.fromkeys(("", "m", "metre", "meter", "metres", "meters", "米"), 1.0),
    **dict.fromkeys(("ft", "foot", "feet", "international foot", "international feet"), 0.3048),
    **dict.fromkeys(("us survey foot", "us survey feet", "ftus", "us-ft", "foot_us", "ft_us"), 1200 / 3937),
    **dict.fromkeys(("cm", "centimetre", "centimeter"), 0.01),
    **dict.fromkeys(("dm", "decimetre", "decimeter"), 0.1),
    **dict.fromkeys(("mm", "millimetre", "millimeter"), 0.001),
    **dict.fromkeys(("km", "kilometre", "kilometer"), 1000.0),
}


_VERTICAL = "declare with --vertical the code of a vertical CRS, such as EPSG:5737, or a name"


@dataclass(frozen=True, slots=True)
class Heights:
    """How numbers become metres: times ``factor``, plus ``offset``; then they count from ``datum``."""

    factor: float
    offset: float
    datum: str

    @property
    def changed(self) -> bool:
        """Whether numbers are not metres as they are."""
        return self.factor != 1.0 or self.offset != 0.0


def vertical(declared: Declared, text: str) -> tuple[str, float | None]:
    """What heights count from, as declared or as the CRS says, empty where neither does; and metres of the
    unit where that is known. Raises BadFile datum.declared."""
    if declared.vertical is None:
        return crs.vertical_datum(text) or "", crs.vertical_unit(text)
    wanted = declared.vertical.strip()
    if not wanted.isdigit() and not wanted.upper().startswith("EPSG:"):
        return wanted, None
    try:
        name = crs.vertical_datum(wanted)
    except BadFile as error:
        raise BadFile("datum.declared", f"{error.reason}; {_VERTICAL}") from error
    if name is None:
        raise BadFile("datum.declared", f"{shown(wanted)} has no heights; {_VERTICAL}")
    return name, crs.vertical_unit(wanted)


def heights(dataset: DatasetReader, declared: Declared, text: str, city: str, sink: Sink) -> Heights:
    """How the band of a terrain becomes heights in metres; ``city`` is what its other terrain counts from.

    Raises BadFile raster.bands, raster.size, height.unit, datum.declared, datum.differs."""
    if dataset.count != 1:
        raise BadFile(
            "raster.bands",
            f"terrain is one band of heights, the file has {dataset.count}; take one: gdal_translate -b 1",
        )
    if dataset.width < 2 or dataset.height < 2:
        reason = f"{dataset.width} × {dataset.height} cells are no terrain"
        raise BadFile("raster.size", f"{reason}, which lies between the middles of two and more")
    datum, unit = vertical(declared, text)
    said = (dataset.units[0] or "").strip()
    factor = unit
    if declared.vertical is None or factor is None:
        factor = _METRES.get(
            said.casefold().replace("_", " ") if said.casefold() not in _METRES else said.casefold()
        )
    if factor is None:
        reason = f"heights in {shown(said)} are not known"
        raise BadFile(
            "height.unit", f"{reason}; declare with --vertical a code that has the unit, as EPSG:6360"
        )
    if factor != 1.0:
        sink.note(
            "height.converted", f"heights in {shown(said or datum)} are kept in metres (× {factor:.10g})"
        )
    offset = declared.offset or 0.0
    if declared.offset is None and datum and city and datum != city:
        reason = f"its heights count from {datum}, those of the city's terrain from {city}"
        raise BadFile("datum.differs", f"{reason}; give the metres between them with --offset")
    if declared.offset is not None:
        sink.note("height.offset", f"{offset:+g} m were added to all heights, as declared")
        datum = city or (f"{datum} {offset:+g} m" if datum else "")
    if not datum:
        sink.note("datum.unknown", "the file does not say what its heights count from")
    raw, scale = dataset.offsets[0], dataset.scales[0]
    return Heights(factor * scale, raw * factor + offset, datum)


def implausible(low: float, high: float) -> bool:
    """Whether no ground on Earth has such heights in metres (deepest sea and highest mountain, roughly)."""
    return not math.isfinite(low) or low < -11_500 or high > 9_000

"""What whoever loads a source declares of it, from the command line or a manifest down to the reader; and the
layers that a source has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from layers.errors import BadFile, listed, shown

#: Of times that name no zone, where nobody declares one.
UTC = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Each None where the source itself, or a default, decides."""

    #: The layer inside the source.
    layer: str | None = None
    #: What the rows are, an id of ``layers.kinds``.
    kind: str | None = None
    #: The coordinate reference system, such as EPSG:4490; stands above that of the source.
    crs: str | None = None
    #: The text encoding, such as GB18030.
    encoding: str | None = None
    #: The column that identifies a row, or ``none``.
    id_field: str | None = None
    #: The IANA zone of times that name none.
    time_zone: str | None = None
    #: The column that ``datetime=`` filters by.
    time_field: str | None = None
    #: When a raster was true: a day or an instant. Of a model whose objects begin and end the day or instant
    #: at which they are wanted.
    time: str | None = None
    #: The value of cells that have none.
    nodata: float | None = None
    #: What the heights of a terrain count from: a name, or the code of a vertical CRS.
    vertical: str | None = None
    #: Metres that bring heights to what those of the city count from.
    offset: float | None = None
    #: Whether a COG is registered where it lies, and not copied.
    in_place: bool | None = None
    #: Where the origin of a model lies: longitude, latitude and height, or x, y and height in the CRS.
    anchor: str | None = None
    #: Degrees clockwise from north to the y axis of a model.
    rotation: float | None = None
    #: The unit of a model's numbers.
    unit: str | None = None
    #: The axis of a model that points up: z or y.
    up: str | None = None

    def in_zone(self, zone: str) -> Declared:
        """The same, with a zone where none was declared."""
        return self if self.time_zone else replace(self, time_zone=zone)


NOTHING = Declared()


@dataclass(frozen=True, slots=True)
class SourceLayer:
    """A layer inside a source: its name (empty where it has none but its file's), how many features it has
    (None: not known without reading them), and its type of geometry."""

    name: str
    features: int | None = None
    geometry: str = ""


class SeveralLayers(BadFile):
    """A source has several layers and none was named; ``layers`` are they."""

    def __init__(self, layers: Sequence[SourceLayer]) -> None:
        self.layers = tuple(layers)
        names = listed([each.name for each in self.layers])
        super().__init__("layer.choose", f"the file has {len(self.layers)} layers; name one: {names}")


def unknown_layer(wanted: str, names: Sequence[str]) -> BadFile:
    """Why a layer that was named cannot be read."""
    has = listed(names)
    return BadFile("layer.unknown", f"the file has no layer {shown(wanted)}; it has {has}")

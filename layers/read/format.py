"""What a format says of itself, one that is read and one that is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from layers.read.base import ReadLimits, ReadOptions, Sink
from layers.read.sample import Sample
from layers.source import SourceLayer
from layers.types import Titles


@dataclass(frozen=True, slots=True)
class Reader:
    """A format that is read.

    ``recognise`` looks at a sample and parses nothing; ``confirm`` may look into the whole file. ``read``
    hands batches and findings to the sink and raises BadFile; ``layers`` lists what a file of several
    layers, or one among others in a folder, holds.
    """

    name: str
    titles: Titles
    endings: tuple[str, ...]
    recognise: Callable[[Sample], bool]
    read: Callable[[Path, ReadOptions, Sink], None]
    confirm: Callable[[Sample, ReadLimits], bool] | None = None
    layers: Callable[[Path, ReadOptions], list[SourceLayer]] | None = None
    #: The GDAL drivers that it opens files with; all others are switched off.
    drivers: frozenset[str] = frozenset()
    #: Endings of files that lie beside one of this format and belong to it.
    beside: tuple[str, ...] = ()
    #: It is a raster: ``read`` hands on facts, no batches; its driver, of rasterio, is its own affair.
    raster: bool = False
    #: Of a picture: whether something says where on the earth it lies.
    placed: Callable[[Path], bool] | None = None
    #: Its files may name pictures that lie beside them.
    pictured: bool = False
    #: It is a model that an anchor can place (``layers.read.anchor``).
    anchored: bool = False
    #: It has no mark of its own, and is asked after those that are refused.
    last: bool = False

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.titles["en"]


@dataclass(frozen=True, slots=True)
class Refused:
    """A format that is not read, and why."""

    recognise: Callable[[Sample], bool]
    rule: str
    #: What the file is, or a function that says it.
    reason: str | Callable[[Sample, ReadLimits], str]
    #: It is asked before every reader: it is never read, whatever else it looks like.
    first: bool = False


type Format = Reader | Refused

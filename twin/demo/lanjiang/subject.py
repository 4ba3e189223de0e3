"""What a module makes of the city: tables, each the file of a department, and files of the city as a whole.

``generate`` asks each subject of ``subjects.SUBJECTS``, and knows none by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import shapely

from twin.demo.lanjiang import names, planting
from twin.demo.lanjiang.frame import Frame

if TYPE_CHECKING:
    from twin.demo.lanjiang.known import Known
    from twin.demo.lanjiang.planting import Fault

#: The column that holds a row's geometry as WKB.
SHAPE = "wkb"
#: The column that says of each row that it is made up.
NOTE = "说明"

type Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of ``load.yml``: the layer that a file becomes. ``title`` is Chinese and English, ``declared``
    what else the line says. An ``optional`` one is skipped where nothing takes its kind or
    it is refused."""

    layer: str
    path: str
    kind: str
    title: tuple[str, str]
    declared: Mapping[str, str] = field(default_factory=dict)
    visible: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Table(Entry):
    """The file of a table: ``floats`` and ``integers`` are the columns that are no text. ``cpg``: whether a
    Shapefile says its encoding."""

    table: str = field(kw_only=True)
    geometry: str = field(kw_only=True)
    floats: tuple[str, ...] = ()
    integers: tuple[str, ...] = ()
    cpg: bool = True
    #: What is wrong with some of its rows in the dirty edition.
    faults: tuple[Fault, ...] = ()

    def placed(self, rows: Sequence[dict[str, Any]], frame: Frame) -> pa.Table:
        """The table of some rows, at least one, with a geometry on the plan (m) in ``SHAPE``."""
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        shapes = shapely.transform(
            np.array(columns.pop(SHAPE), object), frame.placed, include_z=shapely.has_z(rows[0][SHAPE])
        )
        columns[NOTE] = [names.NOTICE] * len(rows)
        types = dict.fromkeys(self.floats, pa.float64()) | dict.fromkeys(self.integers, pa.int32())
        arrays = {name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items()}
        wkb = shapely.to_wkb(shapes, byte_order=1)
        return pa.table({**arrays, SHAPE: pa.array(list(wkb), pa.binary())})


@dataclass(frozen=True, slots=True)
class Delivery(Table):
    """A table whose ``rows`` are made superblock by superblock: dictionaries with their ``SHAPE``."""

    rows: Callable[[Known], Rows] = field(kw_only=True)

    def made(self, known: Known, frame: Frame, edition: str = "clean") -> pa.Table | None:
        """The table of a superblock in the coordinates of the frame, None where it has no row. In the dirty
        edition it says of each row in the column ``planting.FAULT`` what is wrong with it."""
        rows = list(self.rows(known))
        if edition == "dirty" and self.faults:
            rows = list(planting.planted(rows, self.faults, known.seed, self.table, known.of.i, known.of.j))
        return self.placed(rows, frame) if rows else None


@dataclass(frozen=True, slots=True)
class City:
    """The city as far as its tables are made; ``tables`` gives the parts of one, in the order of superblocks,
    as often as it is asked."""

    size: str
    seed: int
    frame: Frame
    out: Path
    tables: Callable[[str], Iterator[pa.Table]]
    edition: str = "clean"


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault: its kind, the rule that finds it, where it is (the layer of the file; rows count from 1, 0 is
    the file as a whole) and the id of the row."""

    kind: str
    rule: str
    file: str
    layer: str
    row: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a whole city: lines of ``load.yml``, and what ``truth.json`` has: how many rows of each
    table, a hash of them, what is wrong with them, and what else is true under the subject's name."""

    entries: tuple[Entry, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    truth: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Planted, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """A module's part: tables by superblock, and ``whole``, which writes files of all of the city when the
    tables of every subject are there."""

    name: str
    deliveries: tuple[Delivery, ...] = ()
    whole: Callable[[City], Made] | None = None

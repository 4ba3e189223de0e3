"""City objects of any format as rows: what their place in a file says, and bodies, in batches.

Bodies are written as they come, so that a file may be larger than the memory; attributes wait, since the type
of a column follows from all of its values.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from layers.batch import MESH, ROW, SOURCE_ID, WKB
from layers.errors import BadFile
from layers.mesh import Surface
from layers.read.base import BATCH_ROWS, Sink
from layers.read.column_profile import ColumnProfile
from layers.read.faces import Shell

#: Columns that say what an object's place in the file is.
SAID = frozenset({"object_type", "lod", "building_id", "mesh_height_m", "base_m"})
#: What the thematic surfaces of CityGML and CityJSON are (CityGML 2.0, 10.3.2; 3.0, 7.2.4).
SEMANTICS: Mapping[str, Surface] = {
    "GroundSurface": Surface.GROUND,
    "OuterFloorSurface": Surface.GROUND,
    "WallSurface": Surface.WALL,
    "InteriorWallSurface": Surface.WALL,
    "RoofSurface": Surface.ROOF,
    "CeilingSurface": Surface.CEILING,
    "OuterCeilingSurface": Surface.CEILING,
    "FloorSurface": Surface.FLOOR,
    "ClosureSurface": Surface.CLOSURE,
    "Window": Surface.WINDOW,
    "Door": Surface.DOOR,
}
#: Bytes of bodies that wait to be written together.
_SOME_BODIES = 32 << 20
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,17})", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,17}(?:\.\d{1,17})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_GEOMETRY = pa.schema([(ROW, pa.int64()), (WKB, pa.binary()), (SOURCE_ID, pa.string()), (MESH, pa.binary())])


class CityRows:
    """Gathers features, gives attributes one type over the whole file, and writes batches.

    ``guess``: texts are all that the format has, and a column of nothing but numbers becomes one of numbers;
    those named in ``texts`` do not."""

    def __init__(self, sink: Sink, most_columns: int, *, guess: bool = False) -> None:
        self._sink = sink
        self._most_columns = most_columns
        self._guess = guess
        self.texts: set[str] = set()
        #: Solids of which no surface is named, and members that are left out, by objects.
        self.inferred = 0
        self.members: Counter[str] = Counter()
        self.count = 0
        self._renamed: set[str] = set()
        self._columns: dict[str, ColumnProfile] = {}
        self._numbers: dict[str, type | None] = {}
        # attributes as values of a tuple of names, of which a file has few
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._values: list[tuple[tuple[str, ...], tuple[Any, ...]]] = []
        self._waiting: tuple[list[int], list[bytes], list[str], list[bytes | None]] = ([], [], [], [])
        self._bytes = 0
        self._bodies = False
        self._part: Path | None = None
        self._file: Any = None
        self._out: Any = None

    def add(
        self,
        row: int,
        object_id: str,
        shell: Shell | None,
        base: bytes,
        own: Mapping[str, Any],
        *,
        object_type: str,
        lod: str,
        parent: str | None = None,
    ) -> None:
        """One feature: its attributes, and what its place in the file says; ``shell`` None has no body.

        Raises BadFile limit.columns."""
        out = dict(own)
        for name in out.keys() & SAID:
            out[f"{name}_"] = out.pop(name)
            self._renamed.add(name)
        out["object_type"] = object_type
        out["lod"] = lod
        if parent is not None:
            out["building_id"] = parent
        if shell is not None:
            out["mesh_height_m"] = round(float(np.ptp(shell.positions[:, 2])), 3)
            out["base_m"] = round(float(shell.positions[:, 2].min()), 3)
        for name, value in out.items():
            profile = self._columns.get(name)
            if profile is None:
                profile = self._columns[name] = ColumnProfile()
                if len(self._columns) > self._most_columns:
                    reason = f"the city objects have more than {self._most_columns} attributes"
                    raise BadFile("limit.columns", reason)
            profile.add(value)
            if self._guess and type(value) is str and name not in SAID:
                self._learn(name, value)
        names = tuple(out)
        self._values.append((self._names.setdefault(names, names), tuple(out.values())))
        rows, bases, ids, bodies = self._waiting
        rows.append(row)
        bases.append(base)
        ids.append(object_id)
        bodies.append(None if shell is None else shell.mesh().to_bytes())
        self._bodies = self._bodies or shell is not None
        self._bytes += len(base) + len(bodies[-1] or b"")
        self.count += 1
        if len(rows) == BATCH_ROWS or self._bytes > _SOME_BODIES:
            self._flush()

    def _learn(self, name: str, value: str) -> None:
        """What the texts of a column are so far: whole numbers, numbers, or (None) texts."""
        known = self._numbers.get(name, int)
        if known is int and _WHOLE.fullmatch(value) is None:
            known = float
        if known is float and _DECIMAL.fullmatch(value) is None:
            known = None
        self._numbers[name] = known

    def _flush(self) -> None:
        """Write what waits."""
        if self._out is None:
            self._part = self._sink.folder / "bodies.part"
            self._file = pa.OSFile(str(self._part), "wb")
            self._out = pa.ipc.new_stream(self._file, _GEOMETRY)
        arrays = [pa.array(v, f.type) for v, f in zip(self._waiting, _GEOMETRY, strict=True)]
        self._out.write_batch(pa.record_batch(arrays, schema=_GEOMETRY))
        self._waiting = ([], [], [], [])
        self._bytes = 0

    def finish(self) -> None:
        """Write the batches, and note what was found of all of them."""
        sink = self._sink
        if self.inferred:
            sink.note(
                "semantics.inferred",
                f"{self.inferred} solids name no surfaces; roof, wall and ground follow from their slope",
            )
        if not self._bodies and sink.meta["kind"] == "cim":
            sink.meta["kind"] = None
        names = sink.called(self._columns)
        sink.renamed([(name, f"{name}_") for name in sorted(self._renamed)])
        sink.members(self.members)
        sink.meta["bag"] = any(
            c.present < self.count for name, c in self._columns.items() if name not in SAID
        )
        at = 0
        for geometry in self._written():
            part = [dict(zip(*each, strict=True)) for each in self._values[at : at + len(geometry)]]
            at += len(geometry)
            table = {f.name: geometry.column(i) for i, f in enumerate(_GEOMETRY)}
            for called, (name, column) in zip(names, self._columns.items(), strict=True):
                table[called] = self._array(name, column, [values.get(name) for values in part])
            sink.batch(pa.table(table))
        sink.meta["features"] = self.count

    def _array(self, name: str, column: ColumnProfile, values: Sequence[Any]) -> pa.Array:
        number = self._numbers.get(name) if name not in self.texts else None
        if number is None or column.types - {str, type(None)}:
            return column.array(values)
        read = [None if v is None else number(v) for v in values]
        return pa.array(read, pa.int64() if number is int else pa.float64())

    def _written(self) -> Iterator[pa.RecordBatch]:
        """The bodies and footprints as they were written."""
        if self._waiting[0]:
            self._flush()
        if self._out is None or self._part is None:
            return
        self._out.close()
        self._file.close()
        with pa.OSFile(str(self._part), "rb") as file, pa.ipc.open_stream(file) as stream:
            yield from stream
        self._part.unlink()

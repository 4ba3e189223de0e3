"""City objects of any format as rows: what their place in a file says, and bodies, in batches.

Bodies are written as they come, so that a file may be larger than the memory; attributes wait, since the type
of a column follows from all of its values.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.batch import MESH, ROW, SOURCE_ID, WKB
from layers.errors import BadFile
from layers.mesh import Surface
from layers.read.base import BATCH_ROWS, Sink
from layers.read.column_profile import ColumnProfile
from layers.read.faces import Shell
from layers.read.frame import ShellBody

#: Columns that say what an object's place in the file is.
SAID = frozenset(
    {"object_type", "lod", "building_id", "mesh_height_m", "mesh_low_m", "base_m", "foot_lon", "foot_lat"}
)
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
_WHOLE = r"\A-?(?:0|[1-9][0-9]{0,17})\z"
_DECIMAL = r"\A-?[0-9]{1,17}(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,3})?\z"
_GEOMETRY = pa.schema([(ROW, pa.int64()), (WKB, pa.binary()), (SOURCE_ID, pa.string()), (MESH, pa.binary())])


class _Column:
    """The values of an attribute, those of some rows at a time, until its type is known.

    ``guess``: texts wait as Arrow has them, and a column of nothing but numbers becomes one of numbers."""

    __slots__ = ("_guess", "_known", "_profile", "_rows", "_waiting", "done", "rows", "values")

    def __init__(self, *, guess: bool) -> None:
        self._guess = guess
        self.rows = array("q")
        self.values: list[Any] = []
        self.done = 0
        self._profile = ColumnProfile()
        self._known: type | None = int
        self._rows: list[NDArray[np.int64]] = []
        self._waiting: list[pa.Array | list[Any]] = []

    def pack(self) -> None:
        """Learn of the values that came since the last time."""
        if not self.values:
            return
        values: pa.Array | list[Any] = self.values
        if self._guess and set(map(type, values)) == {str}:
            self._profile.add("")
            values = pa.array(self.values, pa.string())
            self._learn(values)
        else:
            for value in self.values:
                self._profile.add(value)
        self.done += len(values)
        self._rows.append(np.array(self.rows, np.int64))
        self._waiting.append(values)
        self.rows, self.values = array("q"), []

    def _learn(self, texts: pa.Array) -> None:
        """What the texts are so far: whole numbers, numbers, or (None) texts."""
        for kind, pattern in ((int, _WHOLE), (float, _DECIMAL)):
            if self._known is kind and not pc.all(pc.match_substring_regex(texts, pattern)).as_py():
                self._known = float if kind is int else None

    def written(self, *, text: bool) -> tuple[NDArray[np.int64], pa.ChunkedArray]:
        """The rows that have a value, and the values."""
        profile = self._profile
        kind = None if text or not self._guess or profile.types - {str, type(None)} else self._known
        pieces = []
        for values in self._waiting:
            if not isinstance(values, pa.Array):
                pieces.append(profile.array(values))
            elif kind is not None:
                pieces.append(values.cast(pa.int64() if kind is int else pa.float64()))
            else:
                pieces.append(values if profile.type() == pa.string() else profile.array(values.to_pylist()))
        return np.concatenate(self._rows), pa.chunked_array(pieces)


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
        self._columns: dict[str, _Column] = {}
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
        ground: float | None = None,
        foot: tuple[float, float] | None = None,
        span: tuple[float, float] | None = None,
    ) -> None:
        """One feature: its attributes, and what its place in the file says; ``shell`` None has no body,
        ``lod`` empty no level of detail.

        With a ``ground``, that of the whole which it is a part of, its body keeps its height above that;
        ``foot`` is where, in degrees, the whole stands on the ground; ``span`` has the lowest and the highest
        height of the body, where they are known.

        Raises BadFile limit.columns."""
        out = dict(own)
        for name in out.keys() & SAID:
            out[f"{name}_"] = out.pop(name)
            self._renamed.add(name)
        out["object_type"] = object_type
        if lod:
            out["lod"] = lod
        if parent is not None:
            out["building_id"] = parent
        if shell is not None:
            if span is None:
                heights = shell.positions[:, 2]
                span = float(heights.min()), float(heights.max())
            low, high = span
            out["mesh_height_m"] = round(high - low, 3)
            out["base_m"] = round(low, 3)
            if ground is not None:
                out["mesh_low_m"] = round(low - ground, 3)
            if foot is not None:
                out["foot_lon"], out["foot_lat"] = foot
        for name, value in out.items():
            column = self._columns.get(name)
            if column is None:
                column = self._column(name)
            column.rows.append(self.count)
            column.values.append(value)
        rows, bases, ids, bodies = self._waiting
        rows.append(row)
        bases.append(base)
        ids.append(object_id)
        bodies.append(None if shell is None else shell.to_bytes())
        self._bodies = self._bodies or shell is not None
        self._bytes += len(base) + len(bodies[-1] or b"")
        self.count += 1
        if len(rows) == BATCH_ROWS or self._bytes > _SOME_BODIES:
            self._flush()

    def lacking(self, made: ShellBody, row: int, object_id: str | None) -> str | None:
        """Why a body is none, in words of a report, else None; what it lost is noted."""
        if made.lost:
            reason = f"{made.lost} surfaces have no area and are left out"
            self._sink.note("surface.degenerate", reason, row, object_id)
        if not len(made.shell.triangles):
            return "no surface of the body has an area"
        if made.footprint is None:
            return "the body has no footprint"
        self.inferred += made.inferred
        return None

    def _column(self, name: str) -> _Column:
        """A new column. Raises BadFile limit.columns."""
        if len(self._columns) == self._most_columns:
            reason = f"the city objects have more than {self._most_columns} attributes"
            raise BadFile("limit.columns", reason)
        made = self._columns[name] = _Column(guess=self._guess and name not in SAID)
        return made

    def _flush(self) -> None:
        """Write what waits."""
        if self._out is None:
            self._part = self._sink.folder / "bodies.part"
            self._file = pa.OSFile(str(self._part), "wb")
            self._out = pa.ipc.new_stream(self._file, _GEOMETRY)
        arrays = [pa.array(v, f.type) for v, f in zip(self._waiting, _GEOMETRY, strict=True)]
        self._out.write_batch(pa.record_batch(arrays, schema=_GEOMETRY))
        for column in self._columns.values():
            column.pack()
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
        if self._waiting[0]:
            self._flush()
        sink.meta["bag"] = any(c.done < self.count for name, c in self._columns.items() if name not in SAID)
        columns = {
            called: self._whole(*column.written(text=name in self.texts))
            for called, (name, column) in zip(names, self._columns.items(), strict=True)
        }
        at = 0
        for geometry in self._written():
            table = {f.name: geometry.column(i) for i, f in enumerate(_GEOMETRY)}
            for called, values in columns.items():
                table[called] = values.slice(at, len(geometry))
            at += len(geometry)
            sink.batch(pa.table(table))
        sink.meta["features"] = self.count

    def _whole(self, rows: NDArray[np.int64], values: pa.ChunkedArray) -> pa.ChunkedArray:
        """A column of all rows, null where it has no value."""
        if len(rows) == self.count:
            return values
        at = np.full(self.count, -1, np.int64)
        at[rows] = np.arange(len(rows))
        return values.take(pa.array(at, mask=at < 0))

    def _written(self) -> Iterator[pa.RecordBatch]:
        """The bodies and footprints as they were written."""
        if self._out is None or self._part is None:
            return
        self._out.close()
        self._file.close()
        with pa.OSFile(str(self._part), "rb") as file, pa.ipc.open_stream(file) as stream:
            yield from stream
        self._part.unlink()

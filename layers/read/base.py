"""What the readers share: options in, batches and findings out, through files of a work folder.

A reader runs in the guarded child only (``layers.guard``). It hands its batches to a
:class:`Sink`; the parent reads them back as Arrow IPC files.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from layers.batch import apart
from layers.errors import BadFile, shown
from layers.model import KEPT_PER_RULE, Problem
from layers.read.encodings import decoded, sniff
from layers.read.texture import images
from layers.read.texture.pack import IMAGES, pack
from layers.read.texture.wrapping import WRAP, Wrapping
from layers.source import NOTHING, Declared, SeveralLayers

BATCH_ROWS = 10_000
#: Bytes that a file may always unpack to: a small table of blanks packs as well as a bomb.
_SMALL = 64 << 20
#: What whoever has a file that cannot be read may do.
AGAIN = "open it in the program that it came from and export it anew, best as a GeoPackage"
#: Members that a reason names.
_LISTED = 20
#: Rows that were dropped whose values are kept, to be given back, and the file of them.
MOST_LOST = 200_000
LOST = "lost.jsonl"
_LOST_AT_ONCE = 1000
#: The file that says how far reading has come.
AT = "at.txt"


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Ceilings for one source: bytes (of a file, and of all that a zip archive or a packed file unpacks to),
    vertices a feature, nesting, seconds of CPU, bytes of memory, columns, files in a folder or zip archive,
    how many times its packed size either may unpack to; seconds of CPU for a view of a database; of a raster
    bytes of its file, of all its cells and of memory, and seconds of CPU to write it. ``rows`` is no
    ceiling: so many are read, and no more (None: all)."""

    size: int = 2 << 30
    vertices: int = 1_000_000
    depth: int = 32
    seconds: int = 600
    memory: int = 6 << 30
    columns: int = 2000
    members: int = 10_000
    ratio: int = 300
    view_seconds: int = 10
    raster_size: int = 1 << 40
    raster_cells: int = 32 << 30
    raster_memory: int = 2 << 30
    raster_seconds: int = 4 * 3600
    rows: int | None = None

    def bursts(self, unpacked: int, packed: int) -> bool:
        """Whether so many bytes are more than an honest file of the size ``packed`` unpacks to."""
        return unpacked > _SMALL and unpacked > packed * self.ratio


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The source, what its owner declares of it, and the ceilings; of a raster also the new folder ``into``
    which it is written (None: it is not), and what the heights of the city's terrain count from. ``beside``
    is where the source lay before it was unpacked, None where it lies there still."""

    path: str
    declared: Declared = NOTHING
    limits: ReadLimits = field(default_factory=ReadLimits)
    into: str | None = None
    vertical_datum: str = ""
    beside: str | None = None

    @property
    def folder(self) -> Path:
        """Where that lies which a file names by relative paths."""
        return Path(self.beside) if self.beside is not None else Path(self.path).parent

    @classmethod
    def load(cls, folder: Path) -> ReadOptions:
        """Read the options that the guard left in the work folder."""
        raw: dict[str, Any] = json.loads((folder / "options.json").read_bytes())
        declared, limits = Declared(**raw["declared"]), ReadLimits(**raw["limits"])
        return cls(**{**raw, "declared": declared, "limits": limits})

    def save(self, folder: Path) -> None:
        """Leave the options for the child."""
        (folder / "options.json").write_text(json.dumps(asdict(self)))  # unlike orjson it knows NaN


class Sink:
    """Collects what a reader finds: batches as files, meta and problems as one JSON at the end. Without a
    folder nothing of it is kept, as where layers are only listed."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.meta: dict[str, Any] = {"driver": "", "crs": None, "encoding": "", "layer": "", "batches": 0}
        # columns that the file types as date or datetime (given as text), and whether its text may be such
        self.meta.update(times={}, guess_times=True)
        # whether each row has columns of its own, as tags are, or all have those that a person laid out
        self.meta["bag"] = False
        # columns that a file of names of ten bytes has cut short → their names, and whether it is such a file
        self.meta.update(names={}, short=False)
        # what the program that shows the file calls a row, and the number of its first
        self.meta["rows"] = ("row", 1)
        # whether objects say since and until when they are there, so that a day may be asked for
        self.meta["dated"] = False
        self.meta["kind"] = None  # what the rows are, where the format says it
        #: Of each rule and action the first; how often each came.
        self.problems: list[Problem] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.dropped = 0
        #: Of texts that are not UTF-8 although their format is; None where nobody declared one.
        self.encoding: str | None = None
        self._lost: list[bytes] = []
        self._at: int | None = None
        self.meta["textures"] = {}  # media type by name
        self._images: dict[str, images.Header] = {}
        self._called: dict[str, str] = {}

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        assert self._folder is not None
        return self._folder

    def batch(self, table: pa.Table) -> None:
        """Write one batch (ROW, WKB, SOURCE_ID, optional MESH, then the source's columns)."""
        number = self.meta["batches"]
        table = valid_text(table, self)
        with (
            pa.OSFile(str(self.folder / f"{number:06}.arrow"), "wb") as file,
            pa.ipc.new_file(file, table.schema) as out,
        ):
            out.write_table(table)
        self.meta["batches"] = number + 1

    def texture(self, data: bytes, called: str = "", row: int = 0, wrap: Wrapping = WRAP) -> str | None:
        """Keep an image that materials of bodies name; by what (:class:`layers.mesh.Material`), None for one
        that is not taken, which is noted with what it is ``called``. Another name stands in its place once
        all is read (:mod:`layers.read.texture.atlas`). ``wrap`` is what lies beyond its edges."""
        name = images.name(data, wrap)
        if name in self._images:
            return name
        try:
            self._images[name] = images.header(data, wrap)
        except images.BadImage as error:
            self._no_texture(called, str(error), row)
            return None
        if self._folder is not None:
            folder = self.folder / IMAGES
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
        self._called[name] = called
        return name

    def _no_texture(self, called: str, reason: str, row: int = 0) -> None:
        which = f"{shown(called)}: " if called else ""
        self.note("texture.unreadable", f"{which}{reason}; surfaces with it have no texture", row)

    def _pack(self) -> None:
        """Make textures of the images, if there are any."""
        if not self._images:
            return
        batches = [self.folder / f"{number:06}.arrow" for number in range(self.meta["batches"])]
        packed = pack(self.folder, batches, self._images)
        self.meta["textures"] = dict(packed.types)
        for name, reason in packed.bad.items():
            self._no_texture(self._called[name], reason)

    def called(self, names: Iterable[str]) -> list[str]:
        """Columns of a source as the batches call them (:func:`layers.batch.apart`); others are noted."""
        read = list(names)
        out = apart(read)
        self.renamed([(name, to) for name, to in zip(read, out, strict=True) if name != to])
        return out

    def renamed(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Note which columns are called otherwise than in the file."""
        if pairs:
            pairs_text = ", ".join(f"{shown(name)} is {shown(to)}" for name, to in pairs)
            self.note("column.renamed", f"columns are called otherwise: {pairs_text}")

    def members(self, counts: Mapping[str, int]) -> None:
        """Note what objects have beside their properties, and in how many rows."""
        if counts:
            text = ", ".join(f"{shown(name)} ({count})" for name, count in list(counts.items())[:_LISTED])
            self.note("column.member", f"members that are no properties are left out (rows): {text}")

    def enough(self, limits: ReadLimits, read: int) -> bool:
        """Whether so many rows are as many as were wanted; it is noted then that there may be more."""
        if limits.rows is None or read < limits.rows:
            return False
        self.note("check.rows", f"the first {read} rows were looked at; a load looks at all")
        return True

    def at(self, what: str) -> None:
        """Say how far reading has come, for the reason why it ended before its end."""
        if self._folder is None:
            return
        if self._at is None:
            self._at = os.open(self._folder / AT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.pwrite(self._at, what.encode(errors="replace") + b"\n", 0)

    def note(self, rule: str, reason: str, row: int = 0, source_id: str | None = None) -> None:
        """Record a finding that costs no row."""
        self._tell(Problem(rule, row, reason, "noted", source_id))

    def unreadable(self, name: str, cell: str, row: int) -> None:
        """Note what lies in a column and is no value of its type."""
        self.note(
            "value.unreadable", f"{name}: {shown(cell)} is no value of its type, and is left empty", row
        )

    def drop(
        self,
        rule: str,
        reason: str,
        row: int,
        source_id: str | None = None,
        *,
        held: Mapping[str, Any],
    ) -> None:
        """Record a row that could not be read, and what it holds, so that it can be given back."""
        self.dropped += 1
        self._tell(Problem(rule, row, reason, "quarantined", source_id))
        if self.dropped > MOST_LOST or self._folder is None:
            return
        texts = {name: _text_of(value) for name, value in held.items() if value is not None}
        # in ASCII, where half a character has a form, too
        self._lost.append(json.dumps([row, rule, reason, texts]).encode() + b"\n")
        if len(self._lost) >= _LOST_AT_ONCE:
            self._write_lost()

    def _tell(self, problem: Problem) -> None:
        self.counts[problem.rule, problem.action] += 1
        if self.counts[problem.rule, problem.action] <= KEPT_PER_RULE:
            self.problems.append(problem)

    def _write_lost(self) -> None:
        with (self.folder / LOST).open("ab") as file:
            file.writelines(self._lost)
        self._lost = []

    def finish(self) -> None:
        """Write the result file; without it the parent takes the child for dead."""
        self._write_lost()
        self._pack()
        problems = [asdict(p) for p in self.problems]
        counts = [[*which, count] for which, count in self.counts.items()]
        save_result(
            self.folder, {**self.meta, "dropped": self.dropped, "problems": problems, "counts": counts}
        )


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def save_result(folder: Path, result: dict[str, Any]) -> None:
    """Put the result in place in one step."""
    part = folder / "result.part"
    part.write_bytes(orjson.dumps(result))
    part.rename(folder / "result.json")


def refuse(folder: Path, error: BadFile) -> None:
    """Tell the parent that the file is refused."""
    layers = [asdict(each) for each in error.layers] if isinstance(error, SeveralLayers) else []
    save_result(folder, {"refused": {"rule": error.rule, "reason": error.reason, "layers": layers}})


def valid_text(table: pa.Table, sink: Sink) -> pa.Table:
    """The same table with text that is valid UTF-8. Of a column that is not, texts are read as what was
    declared, else as all of them together say; what even that cannot read is replaced. All is noted."""
    for index, name in enumerate(table.column_names):
        column = table.column(index)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            continue
        with contextlib.suppress(pa.ArrowInvalid):
            column.validate(full=True)
            if pc.any(pc.match_substring(column, "\x00")).as_py():
                table = table.set_column(index, name, pc.replace_substring(column, "\x00", ""))
                sink.note("text.null", f"{name}: null characters, which no text may have, are left out")
            continue
        raw = (
            column.combine_chunks()
            .cast(pa.binary() if pa.types.is_string(column.type) else pa.large_binary())
            .to_pylist()
        )
        high = [text for text in raw if text is not None and not text.isascii()]
        encoding = sink.encoding or sniff(high)
        fixed = [None if v is None else _text(v, encoding) for v in raw]
        table = table.set_column(index, name, pa.array(fixed, pa.string()))
        how = "and were replaced" if encoding == "utf-8" else f"and were read as {encoding.upper()}"
        sink.note("text.encoding", f"{name}: some texts are not UTF-8, {how}")
    return table


def _text(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return decoded(raw, encoding)[0]

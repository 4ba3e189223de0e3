"""ESRI Shapefile: .shp with .shx and .dbf beside it, and .prj and .cpg where they say something."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from layers.errors import BadFile
from layers.read import gdal
from layers.read.base import Options, Sink, sniff
from layers.read.format import Format, Reader

#: Bytes of a legend of ours.
_MOST_LEGEND = 1 << 20


def read(path: Path, options: Options, sink: Sink) -> None:
    """Read a Shapefile. Raises BadFile shapefile.incomplete, file.damaged."""
    from layers.read import vector

    sink.meta.update(names=_legend(path), short=True)
    vector.read(path, options, sink, "ESRI Shapefile", encoding=_dbf_encoding(path, options, sink))


def _legend(path: Path) -> dict[str, str]:
    """Column → property, as ``fields.csv`` beside a download of ours tells it; see layers.write.shapefile."""
    legend = path.with_name("fields.csv")
    if not legend.is_file() or legend.stat().st_size > _MOST_LEGEND:
        return {}
    try:
        lines = list(csv.DictReader(io.StringIO(legend.read_text("utf-8-sig"))))
    except (OSError, UnicodeError, csv.Error):
        return {}
    own = [line for line in lines if line.get("file") == f"{path.stem}.dbf"]
    # an apostrophe keeps a spreadsheet from running a name as a formula
    found = {
        one["column"]: one["property"].removeprefix("'")
        for one in own
        if one.get("column") and one.get("property")
    }
    return found if len(set(found.values())) == len(found) else {}


def _dbf_encoding(path: Path, options: Options, sink: Sink) -> str | None:
    """The text encoding of a Shapefile: declared, else .cpg, else sniffed from the .dbf and reported."""
    for ending in (".shx", ".dbf"):
        if not _beside(path, ending):
            raise BadFile("shapefile.incomplete", f"the file {path.stem}{ending} is missing beside the .shp")
    if options.declared.encoding:
        return options.declared.encoding
    if _beside(path, ".cpg"):
        return None
    dbf = _beside(path, ".dbf")
    if dbf is None:
        return None
    with dbf.open("rb") as file:
        head = file.read(32)
        file.seek(int.from_bytes(head[8:10], "little"))
        runs = _fields(file.read(4 << 20))
    if not runs:
        return "UTF-8"
    found = sniff(runs)
    sink.note("encoding.sniffed", f"the Shapefile names no encoding; its text was read as {found.upper()}")
    return found.upper()


def _fields(data: bytes) -> list[bytes]:
    """Runs of text between blanks; a run that the block or a field end may have cut is left out."""
    return [run for run in re.split(rb"[ \x00-\x1f]+", data)[:-1] if any(b > 127 for b in run)]


def _beside(path: Path, ending: str) -> Path | None:
    """The sidecar of that ending in either case."""
    found = (path.with_suffix(e) for e in (ending, ending.upper()))
    return next((p for p in found if p.is_file()), None)


FORMATS: tuple[Format, ...] = (
    Reader(
        name="shp",
        titles={"en": "Shapefile", "zh-CN": "Shapefile"},
        endings=(".shp",),
        recognise=lambda sample: sample.head.startswith(b"\x00\x00\x27\x0a"),
        read=read,
        layers=gdal.listing("ESRI Shapefile"),
        drivers=frozenset({"ESRI Shapefile"}),
        beside=(".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qpj", ".cst"),
    ),
)

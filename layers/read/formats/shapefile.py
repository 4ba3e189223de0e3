"""ESRI Shapefile: .shp with .shx and .dbf beside it, and .prj and .cpg where they say something."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from layers.errors import BadFile
from layers.read import gdal
from layers.read.base import ReadOptions, Sink
from layers.read.dbf import Dbf, Texts
from layers.read.encodings import Encoding, choose, sniff, text_of
from layers.read.format import Format, Reader

#: Bytes of a legend of ours.
_MOST_LEGEND = 1 << 20


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a Shapefile. Raises BadFile shapefile.incomplete, encoding.wrong, file.damaged."""
    from layers.read import vector

    for ending in (".shx", ".dbf"):
        if not _beside(path, ending):
            raise BadFile("shapefile.incomplete", f"the file {path.stem}{ending} is missing beside the .shp")
    sink.meta.update(names=_legend(path), short=True)
    texts, index = _texts(path, options, sink), _beside(path, ".shx")
    vector.read(path, options, sink, "ESRI Shapefile", texts=texts, index=index)


def _legend(path: Path) -> dict[str, str]:
    """Column → property, as ``fields.csv`` beside a download of ours tells it; see layers.write.shapefile."""
    legend = path.with_name("fields.csv")
    if not legend.is_file() or legend.stat().st_size > _MOST_LEGEND:
        return {}
    try:
        lines = list(csv.DictReader(io.StringIO(text_of(legend.read_bytes()))))
    except (OSError, UnicodeError, csv.Error):
        return {}
    own = [line for line in lines if line.get("file") == f"{path.stem}.dbf"]
    # an apostrophe keeps a spreadsheet from running a name as a formula
    names = {
        one["column"]: one["property"].removeprefix("'")
        for one in own
        if one.get("column") and one.get("property")
    }
    return names if len(set(names.values())) == len(names) else {}


def _texts(path: Path, options: ReadOptions, sink: Sink) -> Texts | None:
    """The texts of the .dbf in their encoding: declared, else as the .cpg says if that is true, else as the
    header of the .dbf says, if they are not UTF-8, else by their bytes, which is reported."""
    dbf, cpg = _beside(path, ".dbf"), _beside(path, ".cpg")
    if dbf is None:
        return None
    table = Dbf(dbf)
    word = None if cpg is None else text_of(cpg.read_bytes()[:100])
    texts = table.texts()
    chosen = choose(texts, options.declared.encoding, word)
    if all(text.isascii() for text in texts):
        return Texts(table, Encoding("utf-8"))
    if options.declared.encoding is None and (word is None or chosen.evidence):
        if table.word is not None and sniff(texts) != "utf-8":
            chosen = Encoding(choose(texts, None, table.word).name, chosen.evidence)
        why = f"the .cpg {chosen.evidence}" if chosen.evidence else "the Shapefile names no encoding"
        sink.note("encoding.sniffed", f"{why}; its text was read as {chosen.title}")
    return Texts(table, chosen)


def _beside(path: Path, ending: str) -> Path | None:
    """The sidecar of that ending in either case."""
    paths = (path.with_suffix(e) for e in (ending, ending.upper()))
    return next((p for p in paths if p.is_file()), None)


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

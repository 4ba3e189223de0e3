"""ESRI Shapefile: .shp with .shx and .dbf beside it, and .prj and .cpg where they say something."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

from layers.errors import BadFile, shown
from layers.read.base import ReadOptions, Sink
from layers.read.dbf import Dbf, Texts
from layers.read.encodings import Encoding, choose, sniff, text_of
from layers.read.format import Format, Reader
from layers.source import SourceLayer

#: Bytes of a legend of ours, and of a .prj.
_MOST_LEGEND, _MOST_PRJ = 1 << 20, 1 << 16
#: A .shx (ESRI, July 1998): its header, and the entry of a shape.
_HEADER, _INDEX = 100, 8


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a Shapefile. Raises BadFile shapefile.incomplete, encoding.wrong, file.damaged."""
    from layers.read import vector

    _complete(path)
    sink.meta.update(names=_legend(path), short=True)
    texts, index = _texts(path, options, sink), _beside(path, ".shx")
    if texts is not None and index is not None:
        _tell(texts.table, index, sink)
    source, crs = _projected(path)
    vector.read(source, options, sink, "ESRI Shapefile", texts=texts, index=index, crs=crs)


def _layers(path: Path, _options: ReadOptions) -> list[SourceLayer]:
    """The one layer. Raises BadFile shapefile.incomplete, file.damaged."""
    from layers.read import vector

    _complete(path)
    return vector.layers(_projected(path)[0], "ESRI Shapefile")


def _complete(path: Path) -> None:
    """Raises BadFile shapefile.incomplete."""
    for ending in (".shx", ".dbf"):
        if not _beside(path, ending):
            wanted = f"{path.stem}{ending}"
            alike = (each.name for each in path.parent.iterdir() if each.name.casefold() == wanted.casefold())
            other = next(alike, None)
            what = f"; {shown(other)} is written otherwise: give all the same name" if other else ""
            raise BadFile(
                "shapefile.incomplete", f"the file {shown(wanted)} is missing beside the .shp{what}"
            )


def _projected(path: Path) -> tuple[Path, str | None]:
    """The Shapefile as GDAL can open it, and what its .prj says, which may be more than GDAL understands: WKT
    2, a code. Where that is not UTF-8, which pyogrio does not read, GDAL sees no .prj."""
    prj = _beside(path, ".prj")
    raw = b"" if prj is None else prj.read_bytes()[:_MOST_PRJ]
    says = text_of(raw).strip("\ufeff\x00 \t\r\n") or None
    try:
        raw.decode()
    except UnicodeDecodeError:
        folder = Path(tempfile.mkdtemp())
        for each in filter(None, (path, _beside(path, ".shx"), _beside(path, ".dbf"))):
            (folder / each.name).symlink_to(each.absolute())
        return folder / path.name, says
    return path, says


def _tell(table: Dbf, index: Path, sink: Sink) -> None:
    """Note what GDAL does not read: rows of one file that the other does not have, columns of other types."""
    shapes = max(index.stat().st_size - _HEADER, 0) // _INDEX
    if shapes != table.count:
        reason = (
            f"the .shp has {shapes} shapes and the .dbf {table.count} rows; what is beyond the fewer is lost"
        )
        sink.note("shapefile.uneven", reason)
    for field in table.unknown():
        name = field.name.decode("gb18030", "replace")
        sink.note("column.untyped", f"{shown(name)} is of the type {shown(field.type)}, which is not read")


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
        layers=_layers,
        drivers=frozenset({"ESRI Shapefile"}),
        beside=(".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qpj", ".cst"),
    ),
)

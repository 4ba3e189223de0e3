"""Hostile files: what a file is by content, and readers in a limited child process.

The child, forked by a warm reader (``layers.read.warm``), has a clean environment, ceilings on memory,
CPU time and file size, no network where the kernel allows it, and a GDAL whose drivers are skipped but
for the few that are wanted: OGR_SKIP works only when it is set before GDAL loads, and without it a VRT
under any name makes GDAL read another file.
"""

from __future__ import annotations

import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from layers.errors import BadFile, BadParameter, shown
from layers.model import Problem
from layers.read import warm
from layers.read.base import Limits, Options
from layers.source import NOTHING, Declared

__all__ = ["FORMATS", "Limits", "Reading", "identify", "read"]

#: format → (what users call it, file name endings)
FORMATS: dict[str, tuple[str, tuple[str, ...]]] = {
    "json": ("GeoJSON or CityJSON", (".geojson", ".json", ".cityjson", ".jsonl", ".geojsonl")),
    "gpkg": ("GeoPackage", (".gpkg",)),
    "fgb": ("FlatGeobuf", (".fgb",)),
    "shp": ("Shapefile", (".shp",)),
    "csv": ("CSV table", (".csv", ".tsv", ".txt")),
}
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_REFUSED_MAGIC = (
    (b"PK\x03\x04", "file.zip", "a zip archive (or an Office or KMZ file); unpack it first"),
    (b"\x1f\x8b", "file.compressed", "a gzip file; unpack it first"),
    (b"%PDF", "file.type", "a PDF"),
    (b"II*\x00", "file.type", "a TIFF image"),
    (b"MM\x00*", "file.type", "a TIFF image"),
    (b"II+\x00", "file.type", "a TIFF image"),
    (b"\x89PNG", "file.type", "a PNG image"),
    (b"\xff\xd8\xff", "file.type", "a JPEG image"),
    (b"ISO-10303-21", "file.type", "an IFC/STEP file, which is not read yet"),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A file as the child read it: meta, findings and the batches, while the context lasts."""

    folder: Path
    meta: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)

    def batches(self) -> Iterator[pa.Table]:
        """The batches in file order."""
        for number in range(self.meta["batches"]):
            with pa.memory_map(str(self.folder / f"{number:06}.arrow")) as source:
                yield pa.ipc.open_file(source).read_all()


def identify(path: Path, limits: Limits | None = None) -> tuple[Path, str]:
    """(resolved path, format) of a file by its content. Raises BadFile with a stable rule id."""
    limits = limits or Limits()
    try:
        real = path.resolve(strict=True)
        state = real.stat()
    except (OSError, RuntimeError) as error:
        raise BadFile("file.missing", f"{shown(path.name)} does not exist or cannot be reached") from error
    if stat.S_ISDIR(state.st_mode):
        raise BadFile("file.directory", f"{shown(path.name)} is a directory; name one file in it")
    if not stat.S_ISREG(state.st_mode) or str(real).startswith("/vsi"):
        raise BadFile("file.special", f"{shown(path.name)} is not a regular file")
    if state.st_size == 0:
        raise BadFile("file.empty", f"{shown(path.name)} is empty")
    if state.st_size > limits.size:
        raise BadFile("limit.bytes", f"the file has {state.st_size} bytes, the limit is {limits.size}")
    try:
        with real.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise BadFile("file.unreadable", f"{shown(path.name)} cannot be read: {error.strerror}") from error
    found = _by_content(head)
    _agrees(path, found)
    return real, found


def _by_content(head: bytes) -> str:
    """The format that the first bytes show. Raises BadFile."""
    for magic, rule, what in _REFUSED_MAGIC:
        if head.startswith(magic):
            raise BadFile(rule, f"the file is {what}")
    if head.startswith(b"SQLite format 3\x00"):
        if head[68:72] not in (b"GPKG", b"GP10", b"GP11"):
            raise BadFile("file.type", "the file is an SQLite database but not a GeoPackage")
        return "gpkg"
    if head.startswith(b"fgb\x03"):
        return "fgb"
    if head.startswith(b"\x00\x00\x27\x0a"):
        return "shp"
    text = head
    for bom in _BOMS:
        text = text.removeprefix(bom)
    text = text.lstrip(b" \t\r\n")
    if text.startswith(b"<"):
        raise _xml(head)
    if text.startswith((b"{", b"\x1e{")):
        return "json"
    if b"\x00" in head and not head.startswith(_BOMS[1:]):
        raise BadFile("file.type", "the file is binary and of no type that is read")
    return "csv"


def _xml(head: bytes) -> BadFile:
    """Why an XML file is refused."""
    lower = head.lower()
    if b"<!doctype" in lower or b"<!entity" in lower:
        return BadFile("xml.doctype", "the file is XML with a DOCTYPE, which is never read")
    if b"<ogrvrt" in lower or b"<vrtdataset" in lower:
        return BadFile("file.disguised", "the file is a GDAL virtual dataset that points at other files")
    return BadFile("file.type", "the file is XML (GML, CityGML, KML or other), which is not read yet")


def _agrees(path: Path, found: str) -> None:
    """Refuse a file whose name claims another type than its content shows."""
    ending = path.suffix.casefold()
    if ending in FORMATS[found][1]:
        return
    claimed = next((title for title, endings in FORMATS.values() if ending in endings), None)
    if claimed is None:
        known = " ".join(e for _, endings in FORMATS.values() for e in endings)
        raise BadFile("file.type", f"{shown(path.name)} has none of the endings that are read: {known}")
    what = "no such file" if found == "csv" else f"a {FORMATS[found][0]}"
    raise BadFile("file.disguised", f"the name {shown(path.name)} says {claimed} but the content is {what}")


@contextmanager
def read(path: Path, declared: Declared = NOTHING, *, limits: Limits | None = None) -> Iterator[Reading]:
    """Read a file in the limited child; the batches last as long as the context.

    Raises BadFile (refused, damaged, beyond a limit) and BadParameter (unknown encoding).
    """
    limits = limits or Limits()
    real, found = identify(path, limits)
    if declared.encoding is not None:
        _check_encoding(declared.encoding)
    with tempfile.TemporaryDirectory(prefix="twin-read-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        Options(str(real), found, declared, limits).save(folder)
        result = _child(folder, limits)
        if refused := result.get("refused"):
            raise BadFile(refused["rule"], refused["reason"].replace(str(real), path.name).replace(name, ""))
        problems = [Problem(**p) for p in result.pop("problems")]
        yield Reading(folder, result, problems)


def _check_encoding(encoding: str) -> None:
    try:
        "".encode(encoding)
    except LookupError as error:
        raise BadParameter("encoding", encoding, "a known text encoding such as UTF-8 or GB18030") from error


def _child(folder: Path, limits: Limits) -> dict[str, Any]:
    """Run the reader and return its result. Raises BadFile when it died."""
    try:
        code = warm.READER.run(folder, limits.seconds * 2)
    except TimeoutError:
        raise BadFile("limit.time", f"reading took longer than {limits.seconds * 2} s") from None
    except warm.Died:
        raise BadFile("reader.died", "the reader ended without an answer; try again") from None
    answer = folder / "result.json"
    if answer.is_file():
        result: dict[str, Any] = orjson.loads(answer.read_bytes())
        return result
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise BadFile("limit.time", f"reading took more than {limits.seconds} s of CPU or too much memory")
    raise BadFile(
        "reader.died",
        f"the reader ended without an answer (code {code}); the file is damaged or beyond a limit",
    )

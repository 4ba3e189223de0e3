"""What is known and not read, each with the reason that its owner is given."""

from __future__ import annotations

from collections.abc import Callable

from layers.read.format import Format, Refused
from layers.read.gzipped import MAGIC
from layers.read.sample import Sample


def _begins(magic: bytes, reason: str, rule: str = "file.type") -> Refused:
    return Refused(lambda sample: sample.head.startswith(magic), rule, reason)


def _xml(*marks: bytes) -> Callable[[Sample], bool]:
    """XML in whose head one of the marks stands; without marks any XML."""

    def recognise(sample: Sample) -> bool:
        lower = sample.text.lower()
        return lower.startswith(b"<") and (not marks or any(mark in lower for mark in marks))

    return recognise


def _archive(member: str) -> Callable[[Sample], bool]:
    """A zip archive that has a member of that name."""
    return lambda sample: sample.inside == "zip" and member in sample.names


FORMATS: tuple[Format, ...] = (
    Refused(
        _xml(b"<!doctype html", b"<html"),
        "file.disguised",
        "a web page and no data: its server wants a login, or another address has the file",
        first=True,
    ),
    Refused(
        _xml(b"<!doctype", b"<!entity"),
        "xml.doctype",
        "XML with a DOCTYPE, which is never read",
        first=True,
    ),
    Refused(
        _xml(b"<ogrvrt", b"<vrtdataset"),
        "file.disguised",
        "a GDAL virtual dataset that points at other files",
        first=True,
    ),
    Refused(_xml(), "file.type", "XML (GML, CityGML, KML or other), which is not read yet"),
    Refused(_archive("[Content_Types].xml"), "file.type", "an Office document, which is not read yet"),
    Refused(_archive("doc.kml"), "file.type", "a KMZ file, which is not read yet"),
    _begins(MAGIC, "a gzip file in another file or folder; unpack it, or load it alone", "file.compressed"),
    Refused(
        lambda sample: sample.head[257:262] == b"ustar", "file.compressed", "a tar archive; unpack it first"
    ),
    _begins(b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first", "file.compressed"),
    _begins(b"Rar!\x1a\x07", "a RAR archive; unpack it first", "file.compressed"),
    _begins(b"%PDF", "a PDF"),
)

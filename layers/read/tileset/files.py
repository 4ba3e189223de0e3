"""Files of a tileset: of its own folder and nothing else, documents among them in gzip too."""

from __future__ import annotations

import gzip
import posixpath
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from layers.errors import BadFile, shown

GZIP = b"\x1f\x8b"
#: Bytes of a document.
MOST_BYTES = 512 << 20
_BOM = b"\xef\xbb\xbf"

#: Endings of files that a tileset is made of; no other is copied or served.
ENDINGS = frozenset(
    {".json", ".b3dm", ".i3dm", ".cmpt", ".pnts", ".glb", ".gltf", ".bin", ".subtree"}
    | {".jpg", ".jpeg", ".png", ".webp", ".ktx2", ".basis", ".vctr", ".geom", ".geojson"}
)


def embedded(uri: str) -> bool:
    """Whether an address is the content itself (RFC 2397)."""
    return uri[:5].casefold() == "data:"


def resolved(uri: object, document: str) -> str:
    """The path below the root's folder of what a document there names.

    Raises BadFile: tileset.damaged, tileset.outside (another server or folder, another type of file)."""
    if not isinstance(uri, str) or not uri:
        raise BadFile("tileset.damaged", f"{shown(document)} names a content without an address")
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.scheme or parts.netloc or path.startswith("/") or "\\" in path or "\0" in path:
        raise BadFile(
            "tileset.outside",
            f"{shown(document)} names {shown(uri)}, which is no file of the tileset's folder; copy it there",
        )
    whole = posixpath.normpath(posixpath.join(posixpath.dirname(document), path))
    if whole.startswith("../") or whole == "..":
        raise BadFile(
            "tileset.outside",
            f"{shown(document)} names {shown(uri)}, which lies outside the folder of the root; name the"
            " tileset.json that has both below it",
        )
    if any(part.startswith(".") for part in whole.split("/")) or not allowed(whole):
        raise BadFile(
            "tileset.outside", f"{shown(document)} names {shown(uri)}, which is no content of 3D Tiles"
        )
    return whole


def allowed(path: str) -> bool:
    """Whether a file may be part of a tileset, by its ending."""
    return posixpath.splitext(path)[1].casefold() in ENDINGS


def there(root: Path, path: str) -> bool:
    """Whether a file is there, in the folder of the root, which is resolved.

    Raises BadFile tileset.outside."""
    file = root / path
    if not file.is_file():
        return False
    if not file.resolve().is_relative_to(root):
        raise BadFile("tileset.outside", f"{shown(path)} is a link that leads out of the tileset's folder")
    return True


def plain(path: Path, most: int) -> bytes:
    """The bytes of a file, which may be in gzip; one more than ``most`` of a larger one.

    Raises BadFile tileset.damaged; OSError."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) if packed else file as unpacked:
                return unpacked.read(most + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise BadFile("tileset.damaged", f"{shown(path.name)}: its gzip is damaged") from error


def document(path: Path, most: int) -> dict[str, Any]:
    """A JSON object of a file, which may be in gzip, of at most so many bytes.

    Raises BadFile: tileset.damaged, limit.bytes; OSError."""
    data = plain(path, most)
    if len(data) > most:
        raise BadFile("limit.bytes", f"{shown(path.name)} has more than {most} bytes, the limit")
    try:
        found = orjson.loads(data.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        raise BadFile("tileset.damaged", f"{shown(path.name)} is no JSON: {shown(error)}") from error
    if not isinstance(found, dict):
        raise BadFile("tileset.damaged", f"{shown(path.name)} is no JSON object")
    return found


def begins(path: Path, length: int) -> bytes:
    """The first bytes of a file, which may be in gzip; empty where that is damaged. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(length)
        if not head.startswith(GZIP):
            return head
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) as plain:
                return plain.read(length)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return b""

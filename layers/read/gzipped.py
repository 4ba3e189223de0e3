"""Files in gzip (RFC 1952): unpacked within bounds before anything else looks at them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection
from pathlib import Path

from layers.errors import BadFile, shown
from layers.read.base import ReadLimits
from layers.read.zipped import FULL

MAGIC = b"\x1f\x8b"
_ENDINGS = {".gz": "", ".tgz": ".tar"}
_BLOCK = 1 << 20


def unpack(path: Path, folder: Path, limits: ReadLimits, beside: Collection[str] = ()) -> Path:
    """Unpack a file into a new folder, under its name without ``.gz``; where it is then. What lies beside it
    under that name with one of the endings ``beside``, such as a world file, can be read there, too.

    Raises BadFile: gzip.damaged, gzip.bomb, limit.bytes, limit.disk."""
    folder.mkdir()
    ending = path.suffix.casefold()
    to = folder / (path.stem + _ENDINGS[ending] if ending in _ENDINGS else path.name)
    try:
        with gzip.open(path) as packed, to.open("xb") as out:
            size = 0
            while block := packed.read(_BLOCK):
                size += len(block)
                if size > limits.size:
                    raise BadFile("limit.bytes", f"it unpacks to more than {limits.size} bytes, the limit")
                if limits.bursts(size, path.stat().st_size):
                    raise BadFile("gzip.bomb", f"it unpacks to more than {limits.ratio} times its size")
                out.write(block)
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise BadFile("limit.disk", "there is no room to unpack the file") from error
        raise BadFile(
            "gzip.damaged", f"the gzip file cannot be unpacked: {shown(error)}; copy it again"
        ) from error
    for other in path.parent.iterdir():
        if other.suffix.casefold() in beside and other.stem.casefold() == to.stem.casefold():
            (folder / other.name).symlink_to(other.absolute())
    return to

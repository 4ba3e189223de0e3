"""What a file or folder shows before anything parses it."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from codecs import BOM_UTF8
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from layers.errors import BadFile, shown
from layers.read.encodings import HEAD, marked

ZIP = ".zip"
#: What the standard library raises at an archive that is not as it says, or of a newer kind than it knows.
ZIP_FAULTS = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(NotImplementedError, ValueError),
)
#: The share of zero bytes in a text, at most, and other bytes that none has.
_FEW = 0.02
_CONTROLS = re.compile(rb"[\x01-\x08\x0b\x0e-\x1d\x1f\x7f]")
_ZIP_MAGIC = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Sample:
    """The first 4096 bytes of a file; of a folder or a zip archive also the names of what is inside.
    ``encoding`` is that of its text, where one was declared."""

    path: Path
    head: bytes = b""
    inside: Literal["folder", "zip"] | None = None
    names: tuple[str, ...] = ()
    encoding: str | None = None

    @classmethod
    def of(cls, path: Path, encoding: str | None = None) -> Self:
        """Look at a file or folder. Raises BadFile file.unreadable, file.empty, zip.damaged."""
        try:
            if path.is_dir():
                return cls(path, inside="folder", names=tuple(sorted(each.name for each in path.iterdir())))
            with path.open("rb") as file:
                head = file.read(HEAD)
        except OSError as error:
            raise BadFile(
                "file.unreadable", f"{shown(path.name)} cannot be read: {error.strerror}"
            ) from error
        if not head:
            raise BadFile("file.empty", f"{shown(path.name)} is empty")
        if not head.startswith(_ZIP_MAGIC):
            return cls(path, head, encoding=encoding)
        try:
            with zipfile.ZipFile(path) as archive:
                return cls(path, head, "zip", tuple(archive.namelist()))
        except ZIP_FAULTS as error:
            raise BadFile("zip.damaged", f"the zip archive cannot be read: {shown(error)}") from error

    @property
    def text(self) -> bytes:
        """The head without a byte order mark and leading blanks; of UTF-16 as UTF-8."""
        name = marked(self.head)
        if name is None or name == "utf-8-sig":
            text = self.head.removeprefix(BOM_UTF8)
        else:
            text = self.head.decode(name, "ignore").encode()
        return text.lstrip(b" \t\r\n")

    @property
    def is_text(self) -> bool:
        """Whether the head can be text: it has no zero byte, or is UTF-16; or has but a few, which some
        program left in a text, and no other control character."""
        zeros = self.head.count(0)
        if not zeros or marked(self.head) is not None:
            return bool(self.head)
        return zeros <= 1 + _FEW * len(self.head) and not _CONTROLS.search(self.head)

    @property
    def ending(self) -> str:
        """The ending of the name, in small letters, with its dot."""
        return self.path.suffix.casefold()

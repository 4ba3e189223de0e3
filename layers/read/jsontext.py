"""JSON as UTF-8 (RFC 8259, section 8.1), of which a file that is in another encoding gets a copy."""

from __future__ import annotations

import codecs
import contextlib
import json
import math
import os
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from layers.errors import shown
from layers.read.base import Sink
from layers.read.encodings import choose, codec

_BLOCK = 8 << 20
_WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_DIGITS = bytes(0x30 if 0x30 <= code <= 0x39 else 0x20 for code in range(256))
#: A whole number that orjson would round.
_LONG = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}(?![0-9.eE])")


@dataclass(frozen=True, slots=True)
class Text:
    """A file in UTF-8; the encoding that it came in, whether that was found by its bytes, and whether some
    could not be read and were replaced."""

    path: Path
    encoding: str = "UTF-8"
    found: bool = False
    replaced: bool = False

    def tell(self, sink: Sink) -> None:
        """Put into the report what is to be said of the encoding."""
        sink.meta["encoding"] = self.encoding
        if self.found and self.encoding != "UTF-8":
            sink.note("encoding.sniffed", f"the file's text was read as {self.encoding}")
        if self.replaced:
            sink.note("text.encoding", f"some bytes are no text in {self.encoding}, and were replaced")


@cache
def utf8(path: Path, declared: str | None) -> Text:
    """A JSON file in UTF-8, once a file, for a process that reads and ends. Raises BadFile encoding.wrong."""
    if declared is None or codec(declared) in ("utf-8", None):
        with path.open("rb") as file:
            wide = _WIDE.get(file.read(2))
        if wide is None and _is_utf8(path):
            return Text(path)
        declared = wide or declared
    data = path.read_bytes()
    wide = codec(declared or "")
    if wide is not None and wide.startswith(("utf-16", "utf-32")):
        name = wide
    else:
        name = choose(re.split(rb'["\r\n]+', data), declared).name
    text = data.decode(name, "replace")
    descriptor, copy = tempfile.mkstemp(suffix=path.suffix, dir=os.environ.get("TMPDIR"))
    with open(descriptor, "wb") as out:
        out.write(text.encode("utf-8", "replace"))
    replaced = "\ufffd" in text
    return Text(Path(copy), name.upper(), declared is None, replaced)


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def loads(data: bytes) -> Any:
    """A JSON value, whole numbers of any length exact. What some programs write is read: NaN and infinities,
    tabs and line ends in texts, halves of a character. Raises ValueError."""
    # translating finds a run of digits sixteen times as fast as the pattern does
    if b"0" * 19 not in data.translate(_DIGITS) or not _LONG.search(data):
        with contextlib.suppress(orjson.JSONDecodeError):
            return orjson.loads(data)
    return json.loads(data, strict=False, parse_float=_finite)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{shown(digits)} is too large")
    return number

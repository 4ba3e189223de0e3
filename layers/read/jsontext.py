"""JSON as UTF-8 (RFC 8259, section 8.1), of which a file that is in another encoding gets a copy."""

from __future__ import annotations

import codecs
import contextlib
import json
import math
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from layers.errors import shown
from layers.read.base import Sink
from layers.read.encodings import Lines, choose, codec, of_beginning

_DIGITS = bytes(0x30 if 0x30 <= code <= 0x39 else 0x20 for code in range(256))
#: A whole number that orjson would round.
_LONG = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}(?![0-9.eE])")


@dataclass(frozen=True, slots=True)
class Text:
    """A file in UTF-8; the encoding that it came in, whether that was found by its bytes, and whether some
    could not be read and were replaced."""

    path: Path
    encoding: str = "UTF-8"
    sniffed: bool = False
    replaced: bool = False

    def tell(self, sink: Sink) -> None:
        """Put into the report what is to be said of the encoding."""
        sink.meta["encoding"] = self.encoding
        if self.sniffed and self.encoding != "UTF-8":
            sink.note("encoding.sniffed", f"the file's text was read as {self.encoding}")
        if self.replaced:
            sink.note("text.encoding", f"some bytes are no text in {self.encoding}, and were replaced")


@cache
def utf8(path: Path, declared: str | None) -> Text:
    """A JSON file in UTF-8, once a file, for a process that reads and ends. Raises BadFile encoding.wrong."""
    texts = Lines(path, b'"\r\n')
    name = of_beginning(path, declared)
    if name in (None, "utf-8-sig"):
        if (declared is None or codec(declared) in ("utf-8", None)) and texts.all_in("utf-8"):
            return Text(path)
        name = choose(texts, declared).name
    decoder = codecs.getincrementaldecoder(name)("replace")
    descriptor, copy = tempfile.mkstemp(suffix=path.suffix)
    replaced = False
    with open(descriptor, "wb") as out:
        for block in chain(texts.blocks(), (b"",)):
            text = decoder.decode(block, final=not block)
            replaced = replaced or "\ufffd" in text
            out.write(text.encode("utf-8", "replace"))
    sniffed = declared is None and name not in ("utf-16", "utf-32")
    return Text(Path(copy), name.upper(), sniffed, replaced)


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

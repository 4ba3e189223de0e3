"""Texts of a STEP file that stand there as bytes, and not in its own writing of what is not ASCII.

Source: ISO 10303-21:2016, 6.4.3 (strings, \\X2\\ and \\X4\\). ifcopenshell leaves such bytes out: of a
storey's name 首层 nothing is left, and of 墙A an A.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from tempfile import mkdtemp

from layers.read import encodings
from layers.read.base import Sink
from layers.source import Declared

_RUN = re.compile("[^\x00-\x7f]+")


def plain(path: Path, declared: Declared, sink: Sink) -> Path:
    """The file itself where it is ASCII, else a copy whose bytes beyond it are written as the standard says.

    Raises BadFile encoding.wrong."""
    lines = encodings.Lines(path)
    if all(block.isascii() for block in lines.blocks()):
        return path
    name = encodings.choose(lines, declared.encoding).name
    copy = Path(mkdtemp()) / path.name
    decoder = codecs.getincrementaldecoder(name)("replace")
    with copy.open("wb") as file:
        for block in lines.blocks():
            file.write(_written(decoder.decode(block)))
        file.write(_written(decoder.decode(b"", final=True)))
    if declared.encoding is None:
        reason = f"texts are no ASCII, as STEP wants them (\\X2\\): they are read as {name.upper()}"
        sink.note("encoding.sniffed", reason)
    return copy


def _written(text: str) -> bytes:
    return _RUN.sub(_escaped, text).encode("ascii")


def _escaped(run: re.Match[str]) -> str:
    """Characters as their numbers: four digits each, eight where one of them needs more."""
    if all(ord(each) <= 0xFFFF for each in run[0]):
        return "\\X2\\" + "".join(f"{ord(each):04X}" for each in run[0]) + "\\X0\\"
    return "\\X4\\" + "".join(f"{ord(each):08X}" for each in run[0]) + "\\X0\\"

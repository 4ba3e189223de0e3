"""Texts of a STEP file that stand there as bytes, and not in its own writing of what is not ASCII; and null
characters in texts.

Source: ISO 10303-21:2016, 6.4.3 (strings, \\X\\, \\X2\\ and \\X4\\). ifcopenshell leaves such bytes out: of
a storey's name 首层 nothing is left, and of 墙A an A. A name ends for it where a null character is written;
a null byte ends the file.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import mkdtemp

from layers.read import encodings
from layers.read.base import Sink
from layers.source import Declared

_RUN = re.compile("[^\x00-\x7f]+")
#: A null character: the byte, or one of those that a run of hexadecimal digits writes.
_NULL = re.compile(rb"\x00|\\X\\00|\\X2\\(?:[0-9A-Fa-f]{4})*?0000|\\X4\\(?:[0-9A-Fa-f]{8})*?0{8}")
_DIGITS = re.compile(rb"\\X(?:2\\((?:[0-9A-Fa-f]{4})+)|4\\((?:[0-9A-Fa-f]{8})+))\\X0\\")
_ENTITY = re.compile(rb"#(\d+)\s*=")


def plain(path: Path, declared: Declared, sink: Sink) -> Path:
    """The file itself where it is ASCII without null characters, else a copy whose bytes beyond ASCII are
    written as the standard says, and whose texts have no null character.

    Raises BadFile encoding.wrong."""
    lines = encodings.Lines(path)
    is_ascii = all(block.isascii() for block in lines.blocks())
    null = _first_null(_statements(lines.blocks()))
    if is_ascii and null is None:
        return path
    name = "ascii" if is_ascii else encodings.choose(lines, declared.encoding).name
    copy = Path(mkdtemp()) / path.name
    decoder = codecs.getincrementaldecoder(name)("replace")
    with copy.open("wb") as file:
        for block in _statements(lines.blocks()) if null is not None else lines.blocks():
            file.write(_written(decoder.decode(block if null is None else _without_nulls(block))))
        file.write(_written(decoder.decode(b"", final=True)))
    if null is not None:
        reason = f"null characters, which no text may have, are left out, the first in {null}"
        sink.note("text.null", reason)
    if declared.encoding is None and not is_ascii:
        reason = f"texts are no ASCII, as STEP wants them (\\X2\\): they are read as {name.upper()}"
        sink.note("encoding.sniffed", reason)
    return copy


def _statements(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut where a statement ends, which is never within the writing of a character."""
    rest = b""
    for block in blocks:
        begun, end, more = block.rpartition(b";")
        if end:
            yield rest + begun + end
            rest = more
        else:
            rest += more
    if rest:
        yield rest


def _first_null(pieces: Iterable[bytes]) -> str | None:
    """The entity that has the first null character, None without any."""
    for piece in pieces:
        if (found := _NULL.search(piece)) is not None:
            numbers = _ENTITY.findall(piece[: found.start()])
            return f"#{numbers[-1].decode()}" if numbers else "the header"
    return None


def _without_nulls(piece: bytes) -> bytes:
    """Null characters taken out, however they are written."""
    return _DIGITS.sub(_kept, piece.replace(b"\x00", b"").replace(rb"\X\00", b""))


def _kept(run: re.Match[bytes]) -> bytes:
    """A run of characters as digits, without those that are null."""
    digits, wide = (run[1], 4) if run[1] is not None else (run[2], 8)
    each = (digits[at : at + wide] for at in range(0, len(digits), wide))
    kept = b"".join(one for one in each if one.strip(b"0"))
    return b"\\X%d\\%b\\X0\\" % (wide // 2, kept) if kept else b""


def _written(text: str) -> bytes:
    return _RUN.sub(_escaped, text).encode("ascii")


def _escaped(run: re.Match[str]) -> str:
    """Characters as their numbers: four digits each, eight where one of them needs more."""
    if all(ord(each) <= 0xFFFF for each in run[0]):
        return "\\X2\\" + "".join(f"{ord(each):04X}" for each in run[0]) + "\\X0\\"
    return "\\X4\\" + "".join(f"{ord(each):08X}" for each in run[0]) + "\\X0\\"

"""Which encoding a text is in: as was declared, as the file says in people's words, as its bytes say."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from layers.errors import BadFile, shown

#: Words that stand for "as this machine has it", and so for no encoding.
_NOTHING = frozenset({"", "system", "ansi", "oem", "default", "none", "ascii", "us-ascii", "ansi_x3.4-1968"})
#: The sets of characters that GB 18030 holds whole, as codecs call them.
_CHINESE = frozenset({"gbk", "gb2312", "gb18030", "hz", "cp936"})
_NUMBERED = re.compile(r"(?:ansi|oem|cp|ms|win|windows|dos|ibm|code\s*page)?[\s_:.-]*(\d{3,5})")
_ISO = re.compile(r"(?:iso)?[\s_-]*8859[\s_-]*(\d{1,2})")
_PAGES = {
    **dict.fromkeys(("936", "51936", "52936", "54936"), "gb18030"),
    **{"65001": "utf-8", "28591": "iso8859-1", "20127": None},
}
#: Encodings in which two bytes are a character.
_PAIRS = frozenset(
    {"gb18030", "big5", "big5hkscs", "cp950", "cp949", "euc_kr", "euc_jp", "shift_jis", "cp932"}
)
_THREE = re.compile(rb"[\xe0-\xef][\x80-\xbf]{2}")
_RUN = re.compile(rb"[\x80-\xff]+")
#: The share of texts that must be whole in an encoding; those that are not cost a cell each.
_MOST = 0.5

#: Marks at the beginning of a text, the longer of two first (Unicode 16.0, section 23.8).
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: What no text holds: controls but for blanks and the record separator, and what is no character.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1d\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
#: The share of characters of ASCII in a text, at least.
_LEAST = 0.08
_WINDOWS = re.compile(rb"[\x80-\x9f]")
_BLOCK = 8 << 20
#: Bytes of a beginning, by which :func:`marked` tells.
HEAD = 4096
#: Bytes of a line beyond which it is cut.
_MOST_LINE = 64 << 20


class Encoding(NamedTuple):
    """The codec's name, and what a report is to say of it (empty where nothing)."""

    name: str
    evidence: str = ""

    @property
    def title(self) -> str:
        """As a report has it."""
        return self.name.upper()


def codec(word: str) -> str | None:
    """The codec that a word of a ``.cpg`` file or of a person means, the larger one of a family; None for
    one that names none."""
    low = word.partition("(")[0].strip("\ufeff\x00 \t\r\n\"'").casefold()
    low = low.replace("gb_", "gb").replace("gb ", "gb")
    if low in _NOTHING:
        return None
    if match := _ISO.fullmatch(low):
        low = f"iso8859-{match[1]}"
    elif match := _NUMBERED.fullmatch(low):
        page = match[1]
        low = _PAGES.get(page, f"cp{page}") or ""
    try:
        name = codecs.lookup(low).name
        "".encode(name)
    except (LookupError, ValueError):
        return None
    if name in _CHINESE:
        return "gb18030"
    return None if name in ("ascii", "mbcs", "oem") else name


def marked(head: bytes) -> str | None:
    """The codec that the beginning of a file tells: by a byte order mark; else, as UTF-16 or UTF-32, by where
    its zero bytes lie, which no other text has. None where it tells none."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    zeros = head.count(0)
    if not zeros or (3 * zeros < len(head) and decoded(head.replace(b"\x00", b""), "utf-8")[1]):
        return None  # some stray ones in a text
    result = {name: _ascii(head, name) for name in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")}
    name = max(result, key=lambda each: result[each])
    return name if result[name] else None


def _ascii(head: bytes, name: str) -> int:
    """How many characters of ASCII are among those that bytes are in an encoding; 0 if they are no text in
    it, where some separators and digits would be. In the other order of bytes no character is of ASCII."""
    try:
        text = codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return 0
    result = sum(map(str.isascii, text))
    whole = len(head) == HEAD or len(head) == len(text.encode(name))
    return result if whole and result > _LEAST * len(text) and not _NO_TEXT.search(text) else 0


def of_beginning(path: Path, declared: str | None) -> str | None:
    """The codec of a file whose beginning tells one (:func:`marked`), None for one that has to be found
    otherwise. Raises BadFile encoding.wrong where another is declared."""
    with path.open("rb") as file:
        result = marked(file.read(HEAD))
    name = codec(declared) if declared is not None else None
    if result is None or name in (None, "utf-8"):
        return result
    if result == "utf-8-sig" and not name.startswith(("utf-16", "utf-32")):
        return None
    if name[:6] != result[:6]:
        raise BadFile("encoding.wrong", f"the text is {result.upper()}, not {declared}")
    return result


def text_of(raw: bytes) -> str:
    """A small text, such as a file of one word beside another, in whatever encoding it is."""
    return raw.decode(marked(raw[:HEAD]) or sniff(raw.splitlines()), "replace")


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file of any size that are not ASCII, as often as they are asked for; ``ends`` are the
    characters that end one."""

    path: Path
    ends: bytes = b"\r\n"
    _read: dict[str, bool] = field(default_factory=dict)

    def __iter__(self) -> Iterator[bytes]:
        ends = re.escape(self.ends)
        high = re.compile(rb"[^%b]*[\x80-\xff][^%b]*" % (ends, ends))
        rest = b""
        for block in self.blocks():
            lines = rest + block
            end = 1 + max(map(lines.rfind, self.ends))
            if not end and len(lines) > _MOST_LINE:
                end = len(lines)
            rest, lines = lines[end:], lines[:end]
            if not lines.isascii():
                yield from high.findall(lines)
        if not rest.isascii():
            yield from high.findall(rest)

    def blocks(self) -> Iterator[bytes]:
        """All bytes of the file, some at a time."""
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block

    def all_in(self, name: str) -> bool:
        """Whether all of the file can be read in an encoding."""
        if name not in self._read:
            decoder = codecs.getincrementaldecoder(name)()
            try:
                for block in self.blocks():
                    # ASCII between whole characters is UTF-8, and seen in a fraction of the time
                    if name != "utf-8" or not block.isascii() or decoder.getstate()[0]:
                        decoder.decode(block)
                decoder.decode(b"", final=True)
                self._read[name] = True
            except UnicodeDecodeError:
                self._read[name] = False
        return self._read[name]


def choose(texts: Iterable[bytes], declared: str | None, word: str | None = None) -> Encoding:
    """The encoding of some texts, each a cell, a name or a line, of which the last character may be cut; they
    are gone through more than once.

    ``word`` is what the file says. Raises BadFile encoding.wrong where the declared one is not theirs."""
    high = _high(texts)
    if declared is not None:
        name = codec(declared) or "utf-8"
        if _share(high, name) < _MOST:
            raise BadFile("encoding.wrong", f"the text is not {declared}; declare the right encoding")
        return Encoding(name)
    named = codec(word) if word is not None else None
    if named is not None and _share(high, named) >= _MOST and not _denies(high, named):
        return Encoding(named)
    sniffed = sniff(high)
    if word is None:
        return Encoding(sniffed)
    if not word.strip():
        return Encoding(sniffed, "is empty")
    why = "its text is not" if named else "names no encoding"
    return Encoding(sniffed, f"says {shown(word.strip())}, which {why}")


def sniff(texts: Iterable[bytes]) -> str:
    """The encoding of texts that nobody names: UTF-8, GB18030, else Latin-1 (as Windows has it where the text
    uses that)."""
    high = _high(texts)
    if _share(high, "utf-8") >= _MOST:
        return "utf-8"
    chinese, latin = _evidence(high)
    if latin <= chinese and _share(high, "gb18030") >= _MOST:
        return "gb18030"
    windows = any(map(_WINDOWS.search, high))
    return "cp1252" if windows and _share(high, "cp1252") == 1 else "latin-1"


def decoded(raw: bytes, name: str) -> tuple[str, bool]:
    """A text, without a last character that is cut, and whether all of the rest could be read."""
    try:
        return raw.decode(name), True
    except UnicodeDecodeError:
        pass
    try:
        return codecs.getincrementaldecoder(name)().decode(raw, False), True
    except UnicodeDecodeError:
        return raw.decode(name, "replace"), False


def _high(texts: Iterable[bytes]) -> Iterable[bytes]:
    """Those of some texts that are not ASCII, to be gone through as often as one likes."""
    return texts if isinstance(texts, Lines) else [text for text in texts if not text.isascii()]


def _share(high: Iterable[bytes], name: str) -> float:
    """Of texts that are not ASCII those that can be read, 1 where there are none. One of which nothing but
    ASCII is left is not."""
    if isinstance(high, Lines) and high.all_in(name):
        return 1
    count = whole = 0
    for raw in high:
        text, read = decoded(raw, name)
        count += 1
        whole += read and not text.isascii()
    return whole / count if count else 1


def _denies(high: Iterable[bytes], name: str) -> bool:
    """Whether texts speak against what a file calls them, although they can be read so: all of them are
    UTF-8, which no others are by chance, or Chinese where any byte is a Western letter."""
    if name != "utf-8" and _share(high, "utf-8") == 1 and _is_telling(high, name):
        return True
    if name not in ("iso8859-1", "cp1252"):
        return False
    chinese, latin = _evidence(high)
    return latin == 0 and chinese > 1 and _share(high, "gb18030") == 1


def _is_telling(high: Iterable[bytes], name: str) -> bool:
    """Whether UTF-8 cannot be what an encoding makes by chance: a pair of bytes may be a character of an East
    Asian one, three for each of some characters are not."""
    return name not in _PAIRS or sum(len(_THREE.findall(text)) for text in high) >= 2


def _evidence(high: Iterable[bytes]) -> tuple[int, int]:
    """How often texts look Chinese, and how often Western.

    A pair of level 1 of GB 2312 (the common characters, of which texts mostly consist) begins with B0 to D7,
    where Latin-1 has signs and capitals. A Western letter stands alone among those of ASCII."""
    chinese = latin = 0
    for text in high:
        for match in _RUN.finditer(text):
            run = match.group()
            common = sum(0xB0 <= a <= 0xD7 and b >= 0xA1 for a, b in zip(run[::2], run[1::2], strict=False))
            around = text[max(match.start() - 1, 0) : match.start()] + text[match.end() : match.end() + 1]
            chinese += common
            latin += any(map(bytes.isalpha, (around[:1], around[1:]))) and (len(run) % 2 == 1 or not common)
    return chinese, latin

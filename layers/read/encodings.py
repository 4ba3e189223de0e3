"""Which encoding a text is in: as was declared, as the file says in people's words, as its bytes say."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
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
_RUN = re.compile(rb"[\x80-\xff]+")
#: The share of texts that must be whole in an encoding; those that are not cost a cell each.
_MOST = 0.5


class Encoding(NamedTuple):
    """The codec's name, and what a report is to say of it (empty where nothing)."""

    name: str
    said: str = ""

    @property
    def title(self) -> str:
        """As a report has it."""
        return self.name.upper()


def codec(word: str) -> str | None:
    """The codec that a word of a ``.cpg`` file or of a person means, the larger one of a family; None for
    one that names none."""
    low = word.partition("(")[0].strip("\ufeff\x00 \t\r\n\"'").casefold().replace("gb_", "gb")
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


def choose(texts: Sequence[bytes], declared: str | None, word: str | None = None) -> Encoding:
    """The encoding of some texts, each a cell or a name, of which the last character may be cut.

    ``word`` is what the file says. Raises BadFile encoding.wrong where the declared one is not theirs."""
    high = [text for text in texts if not text.isascii()]
    if declared is not None:
        name = codec(declared) or "utf-8"
        if _share(high, name) < _MOST:
            raise BadFile("encoding.wrong", f"the text is not {declared}; declare the right encoding")
        return Encoding(name)
    named = codec(word) if word is not None else None
    if named is not None and _share(high, named) >= _MOST and not _denies(high, named):
        return Encoding(named)
    found = sniff(high)
    if word is None:
        return Encoding(found)
    why = f"says {shown(word.strip())}, which " + ("its text is not" if named else "names no encoding")
    return Encoding(found, why)


def sniff(texts: Sequence[bytes]) -> str:
    """The encoding of texts that nobody names: UTF-8, GB18030, else Latin-1 (as Windows has it where the text
    uses that)."""
    high = [text for text in texts if not text.isascii()]
    if _share(high, "utf-8") >= _MOST:
        return "utf-8"
    chinese, latin = _evidence(high)
    if latin <= chinese and _share(high, "gb18030") >= _MOST:
        return "gb18030"
    windows = any(0x80 <= byte < 0xA0 for text in high for byte in text)
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


def _share(high: Sequence[bytes], name: str) -> float:
    """Of texts that are not ASCII those that can be read, 1 where there are none. One of which nothing but
    ASCII is left is not."""
    if not high:
        return 1
    whole = sum(read and not text.isascii() for text, read in (decoded(raw, name) for raw in high))
    return whole / len(high)


def _denies(high: Sequence[bytes], name: str) -> bool:
    """Whether texts that a file calls Western are Chinese: any byte is a Western letter."""
    if name not in ("iso8859-1", "cp1252"):
        return False
    chinese, latin = _evidence(high)
    return latin == 0 and chinese > 1 and _share(high, "gb18030") == 1


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

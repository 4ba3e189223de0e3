"""Texts without regard to case and accents: CASEI and ACCENTI (OGC 21-065r2, clauses 7.3 and 7.4)."""

from __future__ import annotations

import re
import unicodedata

_MARKS = re.compile("[\u0300-\u036f]")


def casei(text: str) -> str:
    """Upper, then lower case, both by Unicode's full mapping (``ß`` and ``SS`` become the same)."""
    return text.lower() if text.isascii() else text.upper().lower()


def accenti(text: str) -> str:
    """Without the combining marks U+0300 to U+036F of the canonical decomposition, composed again."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))


def both(text: str) -> str:
    """Without accents, then without case."""
    return casei(accenti(text))

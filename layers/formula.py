"""Texts in tables for spreadsheets, which run what looks like a formula, whoever wrote it."""

from __future__ import annotations

import re

#: What is run, apostrophes before it included. Signed numbers and telephone numbers are not.
_FORMULA = re.compile(r"'*[ \v\f\u00a0\u3000]*(?:[=@\t\r\n＝＠]|[+\-＋－](?![\d\s().,/\-]*\Z))")


def guarded(value: str) -> str:
    """The text as a spreadsheet may see it: with an apostrophe before what it would run as a formula.

    One that has apostrophes before such a beginning gets one more, so that taking one away from every
    text of that look gives back the values as they were."""
    return "'" + value if _FORMULA.match(value) else value


def unguarded(value: str) -> str:
    """The text that :func:`guarded` made this of."""
    return value[1:] if value[:1] == "'" and _FORMULA.match(value) else value

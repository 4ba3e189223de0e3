"""How a moment of a city's history is written: ``@4711``, a number of the change log, or an instant."""

from __future__ import annotations

import re

from layers import instants
from layers.errors import BadParameter

_NUMBER = re.compile(r"@[0-9]{1,18}")
_ALLOWED = "a time with a zone, as 2026-11-29T12:00:00+08:00, or @ and the number of a change"


def number_or_instant(at: str) -> int | str:
    """The number, or the instant as ``YYYY-MM-DDThh:mm:ss.sssZ``. Raises BadParameter."""
    if _NUMBER.fullmatch(at):
        return int(at[1:])
    try:
        if not at.isascii():
            raise ValueError
        return instants.instant(at)
    except ValueError:
        raise BadParameter("at", at, _ALLOWED) from None

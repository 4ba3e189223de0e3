"""A cheap look at JSON before any parser: nesting, balance and the top-level strings.

Works on chunks with numpy, so a file of any size costs little memory. It does not check the
grammar; the parser that follows does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from layers.errors import BadFile

_CHUNK = 8 << 20
_QUOTE, _BACKSLASH = 0x22, 0x5C
_STEP = np.zeros(256, np.int64)
_STEP[[0x5B, 0x7B]] = 1
_STEP[[0x5D, 0x7D]] = -1
#: Top-level strings kept: enough to find "type" and "version" behind any other member.
_KEPT = 512


@dataclass(slots=True)
class Outline:
    """What a scan found: greatest depth, and the strings directly inside the outermost object."""

    depth: int = 0
    strings: list[str] = field(default_factory=list)

    def value(self, key: str) -> str | None:
        """The string after the first top-level string equal to ``key``."""
        following = dict(zip(self.strings[-2::-1], self.strings[:0:-1], strict=True))
        return following.get(key)


@cache
def outline_of(path: Path, max_depth: int) -> Outline:
    """:func:`scan` once a file, for a process that reads and ends."""
    return scan(path, max_depth)


def scan(path: Path, max_depth: int) -> Outline:
    """Scan a JSON file. Raises BadFile json.syntax, json.truncated, json.unbalanced or json.depth."""
    outline = Outline()
    depth, quoted, carry = 0, False, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if (zero := chunk.find(0)) >= 0:
                at = file.tell() - len(chunk) + zero + 1
                reason = f"byte {at} is zero, which JSON has nowhere: the file is not whole, or no UTF-8"
                raise BadFile("json.syntax", f"{reason}; copy or export it anew")
            data = carry + chunk
            tail = len(data) - len(data.rstrip(b"\\"))
            carry = data[len(data) - tail :] if tail else b""
            data = data[: len(data) - tail] if tail else data
            depth, quoted = _chunk(data, depth, quoted, outline, max_depth)
    if quoted or depth > 0:
        raise BadFile(
            "json.truncated",
            f"the file ends inside {'a text' if quoted else 'an object or array'}; it is cut off",
        )
    return outline


def _chunk(data: bytes, depth: int, quoted: bool, outline: Outline, max_depth: int) -> tuple[int, bool]:
    """Depth and quote state after one chunk (which never ends in a backslash)."""
    codes = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(codes == _QUOTE)
    if len(quotes):
        before = quotes[quotes > 0]
        suspect = before[codes[before - 1] == _BACKSLASH]
        escaped = [q for q in suspect.tolist() if _backslashes(data, q) % 2]
        if escaped:
            quotes = np.setdiff1d(quotes, np.array(escaped), assume_unique=True)
    toggles = np.zeros(len(codes), np.int8)
    toggles[quotes] = 1
    inside = (np.cumsum(toggles, dtype=np.int64) + quoted) & 1
    steps = np.where(inside == 0, _STEP[codes], 0)
    depths = np.cumsum(steps) + depth
    if len(depths) and int(depths.max()) > max_depth:
        raise BadFile("json.depth", f"the file is nested deeper than {max_depth} levels")
    if len(depths) and int(depths.min()) < 0:
        raise BadFile("json.unbalanced", "a bracket closes that was never opened")
    if len(depths):
        outline.depth = max(outline.depth, int(depths.max()))
    _collect(data, quotes, depths, quoted, outline)
    return (int(depths[-1]) if len(depths) else depth), bool((len(quotes) + quoted) & 1)


def _backslashes(data: bytes, at: int) -> int:
    """Length of the run of backslashes before a position."""
    count = 0
    while count < at and data[at - 1 - count] == _BACKSLASH:
        count += 1
    return count


def _collect(data: bytes, quotes: np.ndarray, depths: np.ndarray, quoted: bool, outline: Outline) -> None:
    """Keep the strings at depth 1 that lie whole in this chunk."""
    if len(outline.strings) >= _KEPT:
        return
    marks = quotes[1:] if quoted else quotes
    starts, ends = marks[0::2], marks[1::2]
    starts = starts[: len(ends)]
    top = depths[starts] == 1
    for start, end in zip(starts[top][:_KEPT].tolist(), ends[top][:_KEPT].tolist(), strict=True):
        outline.strings.append(data[start + 1 : min(end, start + 201)].decode("utf-8", "replace"))

"""A cheap look at JSON before any parser: nesting, balance, where its values lie, and its top-level strings.

Works on chunks with numpy, so a file of any size costs little memory. It does not check the
grammar; the parser that follows does.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from layers.errors import BadFile

_CHUNK = 8 << 20
_QUOTE, _BACKSLASH = 0x22, 0x5C
_STEP = np.zeros(256, np.int64)
_STEP[[0x5B, 0x7B]] = 1
_STEP[[0x5D, 0x7D]] = -1
#: Members of the first value kept: enough to find "type" and "features" among any others.
_KEPT = 512

type Spans = NDArray[np.int64]


@dataclass(slots=True)
class Outline:
    """What a scan found: greatest depth, the members of the first value, and spans (n, 2) of bytes, from the
    opening bracket to behind the closing one, of all values that are objects or arrays: those of the file
    (``values``, depth 1), their members (depth 2) and the members of these (depth 3)."""

    depth: int = 0
    #: Of each member of the first value where its value begins, and what it is if a string.
    members: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    spans: dict[int, Spans] = field(default_factory=dict)
    #: Members that the first value has several times.
    repeated: set[str] = field(default_factory=set)

    def value(self, key: str) -> str | None:
        """The string that a member of the first value is."""
        return self.members.get(key, (0, None))[1]

    @property
    def values(self) -> Spans:
        """Where the file's values lie."""
        return self.spans[1]

    def inside(self, key: str) -> Spans:
        """Where the objects and arrays lie that an array, a member of the first value, holds."""
        at = self.members.get(key, (-1, None))[0]
        rows = np.flatnonzero(self.spans[2][:, 0] == at)
        if not len(rows):
            return np.empty((0, 2), np.int64)
        end = self.spans[2][rows[0], 1]
        inner = self.spans[3]
        inside: Spans = inner[(inner[:, 0] > at) & (inner[:, 1] < end)]
        return inside

    def span(self, key: str) -> tuple[int, int] | None:
        """Where the object or array lies that a member of the first value is."""
        at = self.members.get(key, (-1, None))[0]
        rows = self.spans[2][self.spans[2][:, 0] == at]
        return (int(rows[0, 0]), int(rows[0, 1])) if len(rows) else None


@cache
def outline_of(path: Path, max_depth: int) -> Outline:
    """:func:`scan` once a file, for a process that reads and ends."""
    return scan(path, max_depth)


def scan(path: Path, max_depth: int) -> Outline:
    """Scan a JSON file. Raises BadFile json.syntax, json.truncated, json.unbalanced or json.depth."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Scan(data, max_depth).run()


class _Scan:
    """One pass over a file."""

    def __init__(self, data: mmap.mmap, max_depth: int) -> None:
        self._data = data
        self._most = max_depth
        self._outline = Outline()
        self._depth = 0
        self._opened: int | None = None  # where the string began that a chunk ended in
        self._key: tuple[str, int] | None = None
        self._starts: dict[int, list[NDArray[np.int64]]] = {1: [], 2: [], 3: []}
        self._ends: dict[int, list[NDArray[np.int64]]] = {1: [], 2: [], 3: []}

    def run(self) -> Outline:
        start = 0
        while start < len(self._data):
            end = min(start + _CHUNK, len(self._data))
            while end < len(self._data) and self._data[end - 1] == _BACKSLASH:
                end += 1
            self._chunk(start, self._data[start:end])
            start = end
        if self._opened is not None or self._depth > 0:
            inside = "a text" if self._opened is not None else "an object or array"
            raise BadFile("json.truncated", f"the file ends inside {inside}; it is cut off")
        for level, starts in self._starts.items():
            both = [np.concatenate([*each, np.empty(0, np.int64)]) for each in (starts, self._ends[level])]
            self._outline.spans[level] = np.column_stack(both).astype(np.int64)
        return self._outline

    def _chunk(self, base: int, data: bytes) -> None:
        """Go on with one chunk, which never ends in a backslash but at the end of the file."""
        if (zero := data.find(0)) >= 0:
            reason = f"byte {base + zero + 1} is zero, which JSON has nowhere"
            raise BadFile("json.syntax", f"{reason}: it is not whole, or no UTF-8; copy or export it anew")
        codes = np.frombuffer(data, np.uint8)
        quotes = _quotes(codes, data)
        toggles = np.zeros(len(codes), np.int8)
        toggles[quotes] = 1
        quoted = self._opened is not None
        inside = (np.cumsum(toggles, dtype=np.int64) + quoted) & 1
        at = np.flatnonzero((inside == 0) & (_STEP[codes] != 0))
        steps = _STEP[codes[at]]
        depths = np.cumsum(steps) + self._depth
        if len(depths) and int(depths.max()) > self._most:
            raise BadFile("json.depth", f"the file is nested deeper than {self._most} levels")
        if len(depths) and int(depths.min()) < 0:
            raise BadFile("json.unbalanced", "a bracket closes that was never opened")
        self._outline.depth = max(self._outline.depth, int(depths.max()) if len(depths) else 0)
        for level in self._starts:
            self._starts[level].append(base + at[(steps == 1) & (depths == level)])
            self._ends[level].append(base + at[(steps == -1) & (depths == level - 1)] + 1)
        self._strings(base, quotes, at, depths)
        if len(depths):
            self._depth = int(depths[-1])

    def _strings(
        self, base: int, quotes: NDArray[np.int64], at: NDArray[np.int64], depths: NDArray[np.int64]
    ) -> None:
        """Keep the strings directly inside the first value; remember one that goes on behind the chunk."""
        before = np.concatenate(([self._depth], depths))
        top = before[np.searchsorted(at, quotes)] == 1
        quotes = quotes + base
        if self._opened is not None and len(quotes):
            if self._depth == 1 and self._opened < self._first_end:
                self._string(self._opened, int(quotes[0]))
            quotes, top, self._opened = quotes[1:], top[1:], None
        if len(quotes) % 2:
            self._opened = int(quotes[-1])
        starts, ends = quotes[: len(quotes) // 2 * 2].reshape(-1, 2).T
        wanted = np.flatnonzero(top[: len(starts) * 2 : 2] & (starts < self._first_end))[:_KEPT]
        for start, end in zip(starts[wanted].tolist(), ends[wanted].tolist(), strict=True):
            self._string(start, end)

    @property
    def _first_end(self) -> int:
        """Where the first value ends, as far as it is known."""
        return next((int(each[0]) for each in self._ends[1] if len(each)), len(self._data))

    def _string(self, start: int, end: int) -> None:
        """A string between two quotes: a key of the first value if a colon follows, else what a key is."""
        if len(self._outline.members) >= _KEPT:
            return
        text = self._data[start + 1 : min(end, start + 201)].decode("utf-8", "replace")
        behind = self._blanks(end + 1)
        if self._data[behind : behind + 1] == b":":
            value = self._blanks(behind + 1)
            if text in self._outline.members:
                self._outline.repeated.add(text)
            self._outline.members.setdefault(text, (value, None))
            self._key = (text, value)
        elif self._key is not None and self._key[1] == start:
            key, value = self._key
            if self._outline.members[key] == (value, None):
                self._outline.members[key] = (value, text)

    def _blanks(self, at: int) -> int:
        while self._data[at : at + 1] in (b" ", b"\t", b"\r", b"\n"):
            at += 1
        return at


def _quotes(codes: NDArray[np.uint8], data: bytes) -> NDArray[np.int64]:
    """The quotes that no backslash escapes."""
    quotes = np.flatnonzero(codes == _QUOTE)
    before = quotes[quotes > 0]
    suspect = before[codes[before - 1] == _BACKSLASH]
    escaped = [q for q in suspect.tolist() if _backslashes(data, q) % 2]
    return np.setdiff1d(quotes, np.array(escaped), assume_unique=True) if escaped else quotes


def _backslashes(data: bytes, at: int) -> int:
    """Length of the run of backslashes before a position."""
    count = 0
    while count < at and data[at - 1 - count] == _BACKSLASH:
        count += 1
    return count

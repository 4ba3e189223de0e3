"""What a file says it has, counted block by block before any of it is read: one that is too large costs the
time of looking through it, and no memory."""

from __future__ import annotations

import re
from pathlib import Path

from layers.read.meshes.model import check_count, check_positions

_BLOCK = 8 << 20
#: Bytes before a block that are looked at again: what a pattern matches is not longer.
_LONGEST = 4096


def check_marks(path: Path, triangle: bytes, *positions: bytes) -> None:
    """Count what begins a triangle, and what begins a position. Raises BadFile limit.triangles,
    limit.positions."""
    marks = (triangle, *positions)
    counts, tails = [0] * len(marks), [b"\n"] * len(marks)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for k, mark in enumerate(marks):
                whole = tails[k] + block
                counts[k] += whole.count(mark)
                tails[k] = whole[1 - len(mark) :]
            check_count(counts[0])
            check_positions(sum(counts[1:]))


def check_numbers(path: Path, triangles: re.Pattern[bytes]) -> None:
    """Sum up the numbers that a pattern has as its first group. Raises BadFile limit.triangles."""
    total, before = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            whole = before + block
            total += sum(int(each[1]) for each in triangles.finditer(whole) if each.end() > len(before))
            check_count(total)
            before = whole[-_LONGEST:]

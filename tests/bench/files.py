"""What a file costs on its way in beside its own bytes."""

from __future__ import annotations

import os
from pathlib import Path

from layers import load
from tests.bench.measure import usage
from tests.bench.report import Row, at_most

FILES = 20


def check_overhead(folder: Path) -> Row:
    """CPU of a check of a table of one row, when files are checked one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "one.csv"
    file.write_text("lon,lat\n24.9,60.2\n")
    load.check(file)
    before = usage([os.getpid()])
    for _ in range(FILES):
        load.check(file)
    spent = usage([os.getpid()]).since(before) / FILES / 1e9
    return at_most("a file's check: overhead (CPU)", spent, 0.2, "from the second file on", " s")

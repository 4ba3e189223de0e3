"""The page that the figures are read on: docs/benchmarks.md, a section for each bench."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from tests.support import ROOT

REPORT = ROOT / "docs" / "benchmarks.md"
LIBRARIES = ("uvicorn", "pygeoapi", "numpy", "shapely", "pyogrio", "orjson", "isal", "psycopg")
SECTIONS = (
    "features",
    "history",
    "large",
    "helsinki",
    "rasters",
    "live",
    "tiles",
    "columns",
    "afar",
    "page",
    "loads",
)
HEAD = """# Benchmarks

Written by `make bench` (and, for ten million features, `make bench-large`). A figure is the CPU that the
processes of a server take for a request, those of PostgreSQL included, read from the kernel's scheduler
statistics; wall time appears only where a person waits. Servers take turns within one run and a ratio is
the median over neighbouring turns. Servers and their clients share one core: what wakes a process on
another costs as much as a 304, and not always. The floor is the same HTTP server answering constant bytes
of the same length.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure as it is told; ``met`` says whether the goal is, None where there is none to meet."""

    name: str
    value: str
    goal: str
    detail: str = ""
    met: bool | None = None

    def line(self) -> str:
        """For a terminal."""
        mark = {True: "✓", False: "✗", None: " "}[self.met]
        return f"{mark} {self.name:72} {self.value:>10}   goal {self.goal:14} {self.detail}"


def at_most(name: str, measured: float, most: float, detail: str = "", unit: str = " ×") -> Row:
    """A figure whose goal is an upper bound."""
    return Row(name, f"{measured:.2f}{unit}", f"≤ {most:g}{unit}", detail, measured <= most)


def part_of(name: str, measured: float, part: int, detail: str = "") -> Row:
    """A figure whose goal is a part of a peer's cost: ``measured`` is ours by theirs."""
    return Row(name, f"1/{1 / measured:.1f}", f"≤ 1/{part}", detail, measured <= 1 / part)


def table(rows: Sequence[Row]) -> str:
    """The figures as a table of the page."""
    lines = ["| figure | measured | goal | met | absolute |", "|---|---|---|---|---|"]
    said = {True: "yes", False: "**no**", None: ""}
    lines += [f"| {r.name} | {r.value} | {r.goal} | {said[r.met]} | {r.detail} |" for r in rows]
    return "\n".join(lines)


def write(sections: dict[str, str]) -> None:
    """Put sections in their place; those that this run did not measure stay as they are."""
    present = REPORT.read_text("utf-8") if REPORT.exists() else ""
    parts = [HEAD]
    for name in SECTIONS:
        text = sections.get(name) or _section(present, name)
        if text:
            parts.append(f"<!-- {name} -->\n{text.strip()}\n<!-- end of {name} -->\n")
    REPORT.write_text("\n".join(parts), "utf-8")
    print(f"\nwritten to {REPORT.relative_to(ROOT)}")


def _section(page: str, name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", page, re.DOTALL)
    return found[1] if found else ""


def surroundings(*others: str) -> str:
    """Versions, cores and the commit: what a figure depends on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cores = len(os.sched_getaffinity(0))
    parts = [f"Python {platform.python_version()}", libraries, *others]
    return f"{', '.join(parts)}; Linux, {cores} cores; {_commit()}."


def _commit() -> str:
    """The commit that was measured, with a word where anything but this page differs from it."""
    found = _git("describe", "--always")
    if found.returncode != 0:
        return "no commit known"
    same = _git("diff", "--quiet", "HEAD", "--", ".", f":(exclude){REPORT.relative_to(ROOT)}")
    return f"commit {found.stdout.strip()}" + ("" if same.returncode == 0 else "-dirty")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=ROOT)

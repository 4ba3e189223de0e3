"""Lines of Python that run in a process of their own, forked from the warm one: what writes files with GDAL,
which a process of ours loads only to read them."""

from __future__ import annotations

import sys

from layers.read.__main__ import absent
from tests import launcher


def run(code: str, *arguments: object) -> None:
    """Run it with these as ``sys.argv[1:]``. AssertionError where it fails."""
    process = launcher.start([code, *map(str, arguments)], program=__name__)
    out, err = process.communicate(timeout=60)
    assert process.wait() == 0, out + err


def main() -> None:
    """What the process does."""
    code = sys.argv.pop(1)
    with absent("geopandas", "pandas"):
        exec(compile(code, "apart", "exec"), {"__name__": "__main__"})

"""What takes seconds to make and is the same for every run: made once a machine, then copied.

Each lies in the machine's temporary folder under the hash of all that it is made of, so that a change of the
code or of the data makes a new one; sessions and workers that want the same one at once make it once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tests import place
from tests.support import ROOT

#: All that decides what a loaded city is, besides its data.
LOADED_BY = tuple(
    ROOT / name
    for name in ("config", "layers", "requirements.txt", "twin/cli.py", "twin/options.py", "twin/verbs.py")
)
#: Templates of one name that are kept: other checkouts may use theirs at this moment.
KEPT = 8


def made_once(name: str, of: Iterable[Path], make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` filled for these sources (files and folders); never change it, copy it."""
    root = place.disk() / f"onemap-twin-tests-{os.getuid()}"
    root.mkdir(mode=0o755, exist_ok=True)
    target = root / f"{name}-{_digest(of)}"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            part = target.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(target)
        os.utime(target)
        others = sorted(root.glob(f"{name}-*"), key=lambda folder: folder.stat().st_mtime)
        for old in others[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return target


def _digest(sources: Iterable[Path]) -> str:
    found = hashlib.sha256(sys.version.encode())
    for source in sources:
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for file in files:
            if file.is_file() and file.suffix != ".pyc":
                found.update(
                    os.fsencode(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file) + b"\0"
                )
                found.update(file.read_bytes())
    return found.hexdigest()[:16]

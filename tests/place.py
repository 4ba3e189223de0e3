"""Where the tests write: in memory, where the machine has room for it.

A run makes some hundred thousand files, most of them of databases, and looks at few of them twice: on a
disk the making, syncing and removing of files is a third of its work. What is made once a machine stays on
the disk. ``TMPDIR`` says another place.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
#: A run with three workers has at most a third of it at a time.
ROOM = 6 << 30
DISK = "TWIN_TESTS_DISK"


def disk() -> Path:
    """The temporary folder of the machine."""
    return Path(os.environ.get(DISK) or tempfile.gettempdir())


def move() -> Path | None:
    """Have this process and its children write into a new folder in memory; None where they write already
    where they are to."""
    if "TMPDIR" in os.environ or not _roomy():
        return None
    for folder in MEMORY.glob("twin-[0-9]*"):
        owner = int(folder.name.rpartition("-")[2])
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)
    own = MEMORY / f"twin-{os.getpid()}"  # short: the path of a socket has 107 bytes
    own.mkdir()
    os.environ |= {DISK: tempfile.gettempdir(), "TMPDIR": str(own)}
    tempfile.tempdir = str(own)
    return own


def _roomy() -> bool:
    try:
        available = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.M)
        return available is not None and min(int(available[1]) << 10, shutil.disk_usage(MEMORY).free) > ROOM
    except OSError:
        return False

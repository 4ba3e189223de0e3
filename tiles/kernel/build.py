"""Builds the kernel where a C compiler and Python's headers are; ``python tiles/kernel/build.py``.

Knows nothing but the standard library, because the hook that makes wheels runs it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zlib
from pathlib import Path

HERE = Path(__file__).parent
#: One build serves every Python from 3.12 (the limited API), so its name has no version.
FILE = HERE / "_kernel.abi3.so"
# no fused multiplication and addition: numpy rounds twice
_FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-fvisibility=hidden")
_WARNINGS = ("-Wall", "-Wextra", "-Wpedantic")
_LINK = ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)


def checksum(folder: Path = HERE) -> int:
    """Of the sources, 0 where they are not there: a build of others is not used."""
    total = 0
    for file in sorted([*folder.glob("*.c"), *folder.glob("*.h")]):
        total = zlib.crc32(file.read_bytes(), total)
    return total


def build(to: Path = FILE, more: tuple[str, ...] = ()) -> str | None:
    """Compile, with ``more`` flags of the compiler; why not, where it could not be done."""
    compiler = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or shutil.which("gcc") or ""]
    include = sysconfig.get_path("include")
    if sys.platform == "win32" or not compiler[0] or not shutil.which(compiler[0]):
        return "there is no C compiler"
    if not Path(include, "Python.h").is_file():
        return f"Python's headers are not in {include}"
    sources = [str(file) for file in sorted(HERE.glob("*.c"))]
    made = to.with_suffix(f".{os.getpid()}")
    defined = f"-DKERNEL_SOURCES={checksum()}"
    command = [
        *compiler,
        *_FLAGS,
        *_WARNINGS,
        *more,
        defined,
        f"-I{include}",
        *_LINK,
        *sources,
        "-o",
        str(made),
        "-lm",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        made.unlink(missing_ok=True)
        return f"{shlex.join(command)}\n{done.stderr}"
    # a server that runs keeps the file that it has opened
    os.replace(made, to)
    return None


if __name__ == "__main__":
    if (reason := build()) is not None:
        print(f"the kernel is not built, numpy does its work: {reason}", file=sys.stderr)

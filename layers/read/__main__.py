"""The guarded child: limits first, then one reader by format. See ``layers.guard``."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layers.read.base import Options, Sink

#: prctl(PR_SET_PDEATHSIG): the child dies with a loader that is killed.
_PR_SET_PDEATHSIG = 1


def confine(memory: int, seconds: int, size: int) -> None:
    """Lower this process's ceilings for good and cut it from the network where the kernel allows it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    # Root needs no user namespace, and would lose its rights over other users' files in one.
    flags = os.CLONE_NEWNET if os.geteuid() == 0 else os.CLONE_NEWNET | os.CLONE_NEWUSER
    with contextlib.suppress(OSError):
        os.unshare(flags)


def main(folder: Path) -> int:
    """Read the file that the options name; leave batches and a result in the folder."""
    from layers.errors import BadFile
    from layers.read.base import Options, Sink, refuse

    options = Options.load(folder)
    sink = Sink(folder)
    try:
        _read(options, sink)
        sink.finish()
    except BadFile as error:
        refuse(folder, error)
    except MemoryError:
        refuse(folder, BadFile("limit.memory", "reading needs more memory than the limit allows"))
    except RecursionError:
        refuse(folder, BadFile("limit.depth", "the file is nested too deeply"))
    return 0


def _read(options: Options, sink: Sink) -> None:
    """Choose the reader by format and, for JSON, by what the outermost object says it is."""
    from layers.read import cityjson, scan, table, vector

    path = Path(options.path)
    if options.format == "csv":
        table.read(path, options, sink)
    elif options.format == "json":
        if path.suffix.casefold() in (".jsonl", ".geojsonl"):
            cityjson.refuse_sequence(path)
            vector.read(path, options, sink, "GeoJSONSeq")
            return
        outline = scan.scan(path, options.limits.depth)
        if outline.value("type") in ("CityJSON", "CityJSONFeature"):
            cityjson.read(path, options, sink)
        else:
            vector.check_geojson(path, outline)
            vector.read(path, options, sink, "GeoJSON")
    else:
        vector.read(path, options, sink, vector.DRIVERS[options.format])


if __name__ == "__main__":
    # Before any heavy import: a user namespace needs a process of one thread.
    _work = Path(sys.argv[1])
    _limits = json.loads((_work / "options.json").read_bytes())["limits"]
    confine(_limits["memory"], _limits["seconds"], _limits["size"] * 4)
    sys.exit(main(_work))

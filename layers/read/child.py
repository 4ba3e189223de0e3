"""The guarded child of one source: ceilings first, then its reader. See ``layers.guard``."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from layers.errors import BadFile, scrubbed, shown
from layers.read import sources
from layers.read.base import AGAIN, ReadOptions, Sink, refuse

#: prctl(PR_SET_PDEATHSIG): the child dies with the warm reader that forked it.
_PR_SET_PDEATHSIG = 1
#: Bytes of a file that may always be written: an answer has fewer.
_ANSWER = 64 << 20


def run(folder: Path, parent: int) -> int:
    """Be the child for the file whose options lie in a work folder; its exit code.

    ``parent`` is the process that forked it: one that is gone already has no use for the answer.
    """
    try:
        _isolate(folder)
        options = json.loads((folder / "options.json").read_bytes())
        limits, writes = options["limits"], options["into"] is not None
        confine(limits["memory"], limits["seconds"], max(limits["size"] * 4, _ANSWER), raisable=writes)
        if os.getppid() != parent:
            return 1
        read(folder)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    return 0


def _isolate(folder: Path) -> None:
    """A session of its own; the work folder as home and as the place of temporary files and of stderr."""
    sys.dont_write_bytecode = True  # the warm reader may keep what it compiled; this process writes here
    os.setsid()
    os.chdir(folder)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder))
    tempfile.tempdir = str(folder)  # it remembers what TMPDIR was when the warm reader first asked
    errors = os.open("stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(errors, 2)
    os.close(errors)


def confine(memory: int, seconds: int, size: int, *, raisable: bool = False) -> None:
    """Lower this process's ceilings for good and cut it from the network where the kernel allows it.

    Bytes of address space, seconds of CPU, bytes of a file; the last two not for good if ``raisable``, as for
    who may have to write a raster. A user namespace needs a process of one thread.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for which, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 5),
        (resource.RLIMIT_FSIZE, size, size),
    ):
        resource.setrlimit(which, (soft, resource.getrlimit(which)[1] if raisable else hard))
    # Root needs no user namespace, and would lose its rights over other users' files in one.
    flags = os.CLONE_NEWNET if os.geteuid() == 0 else os.CLONE_NEWNET | os.CLONE_NEWUSER
    with contextlib.suppress(OSError):
        os.unshare(flags)


def read(folder: Path) -> None:
    """Read the file that the options name; leave batches and a result in the folder."""
    options = ReadOptions.load(folder)
    sink = Sink(folder)
    try:
        sources.read(options, sink, folder)
        sink.finish()
    except BadFile as error:
        refuse(folder, error)
    except MemoryError:
        refuse(folder, BadFile("limit.memory", "reading needs more memory than the limit allows"))
    except RecursionError:
        refuse(folder, BadFile("limit.depth", "the file is nested too deeply"))
    except Exception as error:
        # whatever a reader did not foresee in a file that somebody made: a reason, and never a dead reader
        traceback.print_exc()
        path = Path(options.path)
        why = scrubbed(f"{type(error).__name__}: {error}", str(path.parent), str(folder))
        refuse(folder, BadFile("file.damaged", f"the file cannot be read ({shown(why)}); {AGAIN}"))

"""The warm reader: imports once, then forks a guarded child for each file. See ``layers.read.warm``.

It talks over sockets that keep messages apart. The control socket brings a work folder and, with it, a
socket for the answer: first the child's process id (0: there can be none), then the code it ended with
(negative: the signal).
An answer socket whose other end was shut ends the child; the control socket's end, when the owner is
gone, ends them all.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path

from layers.read import child, gdal, registry

#: What readers and libraries import at need: else each child would import it anew.
_LATE_IMPORTS = ("layers.read.vector", "numpy.ma", "dateutil.relativedelta")
#: Bytes of a request; a path has at most 4096.
_MESSAGE = 8192


@dataclass(frozen=True, slots=True)
class _Child:
    """One file being read: process id, descriptor that is readable when it ended, socket for the answer."""

    pid: int
    ended: int
    answer: socket.socket

    def kill(self) -> None:
        """End it and all that it started."""
        for kill in (os.killpg, os.kill):  # it may not be the leader of its session yet
            try:
                kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def close(self) -> None:
        """Let go of both descriptors."""
        os.close(self.ended)
        self.answer.close()


class ForkServer:
    """Forks children until the owner is gone. Never waits for one of them alone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._watch(control.fileno(), self._request)
        self._owned = True

    def run(self) -> None:
        """Serve until the control socket ends; then no child is left."""
        while self._owned:
            for key, _ in self._selector.select():
                # An earlier event may have ended this one, and its descriptor may be another's by now.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
        for each in list(self._children.values()):
            each.kill()
            os.waitpid(each.pid, 0)

    def _watch(self, descriptor: int, heard: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, heard)

    def _request(self) -> None:
        """Fork a child for a work folder."""
        message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE, 1)
        if not message or not descriptors:
            self._owned = False
            return
        answer = socket.socket(fileno=descriptors[0])
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            _tell(answer, 0)
            answer.close()
            return
        if pid == 0:
            code = 1
            try:
                self._leave(answer)
                code = child.run(Path(os.fsdecode(message)), parent)
            finally:
                os._exit(code)
        started = _Child(pid, os.pidfd_open(pid), answer)
        self._children[pid] = started
        self._watch(started.ended, lambda: self._ended(started))
        self._watch(answer.fileno(), lambda: self._abandoned(started))
        _tell(answer, pid)

    def _leave(self, answer: socket.socket) -> None:
        """In the child: nothing of the server's is left open."""
        self._selector.close()
        self._control.close()
        answer.close()
        for each in self._children.values():
            each.close()

    def _ended(self, ended: _Child) -> None:
        self._selector.unregister(ended.ended)
        if ended.answer.fileno() in self._selector.get_map():
            self._selector.unregister(ended.answer.fileno())
        ended.kill()  # what it started, which may outlive it
        _, status = os.waitpid(ended.pid, 0)
        del self._children[ended.pid]
        _tell(ended.answer, os.waitstatus_to_exitcode(status))
        ended.close()

    def _abandoned(self, unwanted: _Child) -> None:
        """The owner waits no longer."""
        self._selector.unregister(unwanted.answer.fileno())
        unwanted.kill()


def _tell(answer: socket.socket, number: int) -> None:
    try:
        answer.send(str(number).encode())
    except OSError:
        return  # the owner is gone


def limit_drivers() -> None:
    """Let GDAL load with no driver that no reader wants. Raises RuntimeError when that cannot be.

    Its list is asked of another process: in this one it takes OGR_SKIP only before it loads.
    """
    wanted = registry.drivers()
    if "pyogrio" in sys.modules:
        raise RuntimeError("a reader loads GDAL when it is imported; it must wait until it reads")
    with contextlib.nullcontext() if registry.outside() else absent("geopandas", "pandas"):
        os.environ["OGR_SKIP"] = ",".join(sorted(gdal.in_fork(_installed) - wanted))
        import pyarrow
        import pyogrio

        pyarrow.array([0])  # now it has looked for pandas

    if foreign := set(pyogrio.list_drivers()) - wanted:
        raise RuntimeError(f"this GDAL does not let its drivers be limited: {sorted(foreign)}")


@contextlib.contextmanager
def absent(*names: str) -> Iterator[None]:
    """What is imported meanwhile finds these not installed. pyogrio and pyarrow import pandas and geopandas
    where they are: a second of CPU, and memory that each child inherits, for nothing that a format of ours
    asks. One from outside may read with them."""

    class Absent(MetaPathFinder):
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name in names:
                raise ModuleNotFoundError(name, name=name)

    finder = Absent()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def _installed() -> list[str]:
    """The vector drivers of the installed GDAL."""
    import pyogrio

    return list(pyogrio.list_drivers())


def main(descriptor: int) -> None:
    """Serve the owner at the other end of an inherited socket."""
    limit_drivers()
    for name in _LATE_IMPORTS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    gc.collect()
    gc.freeze()  # else the first collection of every child copies what all could share
    ForkServer(control).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""Real ``twin`` processes without the second of CPU that the imports of each cost.

A warm parent (one a session) has imported what a server and the verbs import, and forks. The child is a
process of its own that runs ``twin.cli.main``, or a module of the tests, with its own arguments, working
directory, environment and pipes; it shares nothing with others but the modules that were loaded and the
warm reader, which forks a guarded child for each file as ever. Tests of the start itself, the wheel and
the demo run ``python -m twin``.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent.parent
#: What a server and the verbs import in the end, most of it not before it is needed.
WARM = (
    "twin.verbs",
    "twin.server",
    "twin.http.page",
    "twin.http.ogc.pygeoapi_provider",
    "twin.live",
    "tiles.service",
    "layers.load",
    "layers.kinds.address",
    "layers.kinds.boundary",
    "layers.kinds.building",
    "layers.kinds.cim",
    "layers.kinds.component",
    "layers.kinds.cover",
    "layers.kinds.feature",
    "layers.kinds.pipeline",
    "layers.kinds.place",
    "layers.kinds.road",
    "layers.store.geopackage.store",
    "layers.store.postgis.store",
    "layers.write.table",
    "dateutil.relativedelta",
    "encodings.idna",
    "encodings.utf_8_sig",
    "mapbox_earcut",
    "numpy.ma",
    "pygeoapi.api.itemtypes",
    "pyproj",
    "rich._emoji_codes",
    "rich.progress",
    "typer._adapters",
    "typer._click.decorators",
    "typer.rich_utils",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto",
)
_MESSAGE_BYTES = 1 << 20


class Process:
    """A forked ``twin``, with the part of ``subprocess.Popen`` that tests use."""

    def __init__(self, pid: int, status: int, stdout: IO[str], stderr: IO[str]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; the exit code. Raises subprocess.TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("twin", timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Everything it writes until it ends. Raises subprocess.TimeoutExpired, having killed it."""
        texts: dict[str, str] = {}
        pumps = [
            threading.Thread(target=lambda name, pipe: texts.__setitem__(name, pipe.read()), args=pair)
            for pair in (("out", self.stdout), ("err", self.stderr))
        ]
        for pump in pumps:
            pump.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            for pump in pumps:
                pump.join(timeout)
            self.stdout.close()
            self.stderr.close()
        return texts["out"], texts["err"]

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                if not selector.select(timeout):
                    return None
            said = os.read(self._status, 64)
            os.close(self._status)
            if not said:
                raise RuntimeError("the warm parent of the tests' processes died")
            self.returncode = int(said)
        return self.returncode


def start(arguments: Sequence[str], cwd: Path = ROOT, program: str = "twin") -> Process:
    """Start ``twin``, or the ``main()`` of a module of the tests, with these arguments in a process of its
    own."""
    with _lock:
        out, err = os.pipe(), os.pipe()
        pid, status = _order(_parent().orders, [program, *arguments], cwd, (out[1], err[1]))
        for fd in (out[1], err[1]):
            os.close(fd)
        return Process(pid, status, *(os.fdopen(fd, encoding="utf-8") for fd in (out[0], err[0])))


def write_command(path: Path) -> None:
    """Write a program for scripts that stands for ``twin``: it has the warm parent fork, and is the child as
    far as its output, the signals TERM and INT and its exit code go. Nothing is read from its input."""
    with _lock:
        address = _parent().address
    imports = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests import launcher"
    call = f"{imports}; launcher.command({address!r})"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E -c {shlex.quote(call)} "$@"\n', "utf-8")
    path.chmod(0o755)


def command(address: str) -> NoReturn:
    """What such a program does; ``address`` is where the warm parent listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as orders:
        orders.connect(address)
        pid, status = _order(orders, ["twin", *sys.argv[1:]], Path.cwd(), (1, 2))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    code = int(os.read(status, 64))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def _order(
    orders: socket.socket, arguments: Sequence[str], cwd: Path, output: tuple[int, int]
) -> tuple[int, int]:
    """Have a process started that writes there; its pid, and a pipe that tells its exit code."""
    status, theirs = os.pipe()
    order = json.dumps([list(arguments), str(cwd), dict(os.environ)]).encode()
    fds = array.array("i", [*output, theirs])
    try:
        orders.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    finally:
        os.close(theirs)
    pid = orders.recv(64)
    if not pid:
        raise RuntimeError("the warm parent of the tests' processes died")
    return int(pid), status


_lock = threading.Lock()


@functools.cache
def _parent() -> _Parent:
    parent = _Parent()
    atexit.register(parent.close)
    return parent


class _Parent:
    """The warm parent, as the tests hold it: it ends when this process does."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="twin-launcher-")
        self.address = str(Path(self._folder.name, "orders"))
        self.orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.address)
        listener.listen()
        with theirs, listener:
            fds = theirs.fileno(), listener.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.launcher", *map(str, fds)],
                cwd=ROOT,
                # a fork keeps only the thread that forks: no library may have started one by then
                env={
                    **os.environ,
                    "OPENBLAS_NUM_THREADS": "1",
                    "JE_ARROW_MALLOC_CONF": "background_thread:false",
                },
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
            )

    def close(self) -> None:
        """End it; what it forked goes on."""
        self.orders.close()
        self._process.wait(10)
        self._folder.cleanup()


class _Orders:
    """The side of the warm parent: who orders, what runs for them."""

    def __init__(self, owner: socket.socket, listener: socket.socket) -> None:
        self._owner = owner
        self._listener = listener
        self._clients = {owner.fileno(): owner}
        #: Of each process that runs, by its pidfd: its pid, and the pipe for its exit code.
        self._running: dict[int, tuple[int, int]] = {}

    def serve(self) -> list[str]:
        """Fork for every order until the owner closes (SystemExit); in each child, return its arguments."""
        while True:
            with selectors.DefaultSelector() as selector:
                for fd in (self._listener.fileno(), *self._clients, *self._running):
                    selector.register(fd, selectors.EVENT_READ)
                ready = [key.fd for key, _ in selector.select()]
            for fd in ready:
                if fd in self._running:
                    self._reap(fd)
                elif fd == self._listener.fileno():
                    client = self._listener.accept()[0]
                    self._clients[client.fileno()] = client
                elif (arguments := self._take(self._clients[fd])) is not None:
                    return arguments

    def _reap(self, pidfd: int) -> None:
        pid, status = self._running.pop(pidfd)
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            os.write(status, str(code).encode())
        os.close(status)

    def _take(self, client: socket.socket) -> list[str] | None:
        """Take one order, or the end of a client, and fork. In the child its arguments, else None."""
        fds = array.array("i")
        text, ancillary, _, _ = client.recvmsg(_MESSAGE_BYTES, socket.CMSG_SPACE(3 * fds.itemsize))
        if not text:
            if client is self._owner:
                sys.exit(0)
            del self._clients[client.fileno()]
            client.close()
            return None
        for _level, _type, data in ancillary:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        out, err, status = fds
        arguments, cwd, environment = json.loads(text)
        pid = os.fork()
        if pid == 0:
            for each in (self._listener, *self._clients.values()):
                each.close()
            for pidfd, (_, theirs) in self._running.items():
                os.close(pidfd)
                os.close(theirs)
            os.dup2(out, 1)
            os.dup2(err, 2)
            for fd in fds:
                os.close(fd)
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(cwd)
            return list(arguments)
        os.close(out)
        os.close(err)
        self._running[os.pidfd_open(pid)] = pid, status
        client.send(str(pid).encode())
        return None


def main() -> None:
    """Import, then fork for every order; a child goes on as the program that it names."""
    owner, listener = (socket.socket(fileno=int(fd)) for fd in sys.argv[1:])
    for name in WARM:
        importlib.import_module(name)
    import pyarrow
    import typer.main

    from layers.read import warm
    from layers.read.__main__ import absent
    from twin import app, cli

    app.makers()  # imports the rooms
    # reads the signature of every verb, which is half of what a small one costs
    typer.main.get_command = functools.cache(typer.main.get_command)
    typer.main.get_command(cli.app)
    with absent("pandas"):
        pyarrow.array([0])  # looks for it once; no child imports it
    _, reader = warm.WarmReader(warm.environment())._start()
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("a module that is imported here starts threads")
    gc.collect()
    gc.freeze()
    program, *arguments = _Orders(owner, listener).serve()
    warm.READER._control = reader
    if program == "twin":
        sys.argv = [str(ROOT / "twin" / "__main__.py"), *arguments]
        _end(cli.main)
    else:
        sys.argv = [program, *arguments]
        _end(importlib.import_module(program).main)


def _end(main: Callable[[], object]) -> NoReturn:
    """Run a program to its end, but for the teardown of every module, which costs more than most verbs."""
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the end of the interpreter does
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    main()

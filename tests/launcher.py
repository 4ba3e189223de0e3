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
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
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
    "layers.kinds.building",
    "layers.kinds.component",
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
        return _parent().start([program, *arguments], cwd, os.environ)


_lock = threading.Lock()


@functools.cache
def _parent() -> _Parent:
    parent = _Parent()
    atexit.register(parent.close)
    return parent


class _Parent:
    """The warm parent, as the tests hold it: it ends when this process does."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.launcher", str(theirs.fileno())],
                cwd=ROOT,
                # a fork keeps only the thread that forks: no library may have started one by then
                env={
                    **os.environ,
                    "OPENBLAS_NUM_THREADS": "1",
                    "JE_ARROW_MALLOC_CONF": "background_thread:false",
                },
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def close(self) -> None:
        """End it; what it forked goes on."""
        self._socket.close()
        self._process.wait(10)

    def start(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Process:
        (out, out_), (err, err_), (status, status_) = os.pipe(), os.pipe(), os.pipe()
        order = json.dumps([list(arguments), str(cwd), dict(environment)]).encode()
        fds = array.array("i", [out_, err_, status_])
        try:
            self._socket.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        finally:
            for fd in fds:
                os.close(fd)
        pid = self._socket.recv(64)
        if not pid:
            raise RuntimeError("the warm parent of the tests' processes died")
        return Process(int(pid), status, os.fdopen(out, encoding="utf-8"), os.fdopen(err, encoding="utf-8"))


def _fork(orders: socket.socket, running: dict[int, tuple[int, int]]) -> list[str] | None:
    """Take one order and fork. In the child its arguments, in the parent None; EOFError at the end."""
    fds = array.array("i")
    text, ancillary, _, _ = orders.recvmsg(_MESSAGE_BYTES, socket.CMSG_SPACE(3 * fds.itemsize))
    if not text:
        raise EOFError
    for _level, _type, data in ancillary:
        fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    out, err, status = fds
    arguments, cwd, environment = json.loads(text)
    pid = os.fork()
    if pid == 0:
        orders.close()
        for pidfd, (_, theirs) in running.items():
            os.close(pidfd)
            os.close(theirs)
        os.dup2(out, 1)
        os.dup2(err, 2)
        for fd in (out, err, status):
            os.close(fd)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(cwd)
        return list(arguments)
    os.close(out)
    os.close(err)
    running[os.pidfd_open(pid)] = pid, status
    orders.send(str(pid).encode())
    return None


def serve(orders: socket.socket) -> list[str]:
    """Fork for every order until the other end closes (SystemExit); in each child, return its arguments."""
    running: dict[int, tuple[int, int]] = {}
    while True:
        with selectors.DefaultSelector() as selector:
            selector.register(orders, selectors.EVENT_READ)
            for pidfd in running:
                selector.register(pidfd, selectors.EVENT_READ)
            ready = [key.fd for key, _ in selector.select()]
        for fd in ready:
            if fd == orders.fileno():
                continue
            pid, status = running.pop(fd)
            os.close(fd)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            with contextlib.suppress(BrokenPipeError):
                os.write(status, str(code).encode())
            os.close(status)
        if orders.fileno() in ready:
            try:
                arguments = _fork(orders, running)
            except EOFError:
                sys.exit(0)
            if arguments is not None:
                return arguments


def main() -> None:
    """Import, then fork for every order; a child goes on as the program that it names."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    for name in WARM:
        importlib.import_module(name)
    from layers.read import warm
    from twin import app, cli

    app.makers()  # imports the rooms
    _, reader = warm.WarmReader(warm.environment())._start()
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("a module that is imported here starts threads")
    gc.collect()
    gc.freeze()
    program, *arguments = serve(orders)
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

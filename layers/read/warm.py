"""The owner's end of the warm reader: one process that imports once and forks a child a file.

It is private to the process that reads, starts at the first file, and ends with its owner however that
ends. Threads share it; a fork of the owner starts its own.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

#: Seconds for a start, which a busy machine makes long, and for an end that was asked for.
_START, _END = 120.0, 10.0
#: Bytes of what it printed that are looked at.
_LAST = 4096


class Died(Exception):
    """The warm reader ended, or could not fork, before it had an answer; with the last that it printed."""


def environment() -> dict[str, str]:
    """The warm reader's whole environment; it adds OGR_SKIP itself, and a child its own HOME and TMPDIR."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "GDAL_DRIVER_PATH": "disable",
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_NUM_THREADS": "1",
        "PROJ_NETWORK": "OFF",
        # No thread before the fork: it would not be there after it.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }


class WarmReader:
    """Starts, asks and ends the process. Safe with threads and with a fork of the owner."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._printed: IO[bytes] | None = None
        self._waiting: set[socket.socket] = set()

    def run(self, folder: Path, seconds: float) -> int:
        """Read the file whose options lie in a work folder; the child's exit code (negative: a signal).

        Raises TimeoutError when it ran longer than ``seconds``; it is gone then. Raises Died when two
        warm readers in a row ended before an answer.
        """
        for _ in range(2):
            with contextlib.suppress(Died):
                return self._once(folder, seconds)
        raise Died(self._last_words())

    def close(self) -> None:
        """End the process and every child of it."""
        with self._lock:
            process, self._process = self._process, None
            control, self._control = self._control, None
            printed, self._printed = self._printed, None
        _end(process, control)
        if printed is not None:
            printed.close()

    def forget(self) -> None:
        """In a fork of the owner: the process stays the owner's."""
        self._lock = threading.Lock()
        if self._control is not None:
            self._control.close()
        for answer in self._waiting:
            answer.close()
        if self._process is not None:
            self._process.returncode = 0  # not ours to wait for
        if self._printed is not None:
            self._printed.close()
        self._process = self._control = self._printed = None
        self._waiting = set()

    def _once(self, folder: Path, seconds: float) -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._waiting.add(ours)
        try:
            with theirs:
                connection = self._ask(folder, theirs)
            if not _receive(ours, _START):
                raise Died
            return _receive(ours, seconds)
        except EOFError as error:
            self._bury(connection)
            raise Died from error
        finally:
            # Whatever ended the wait, the child is gone before its folder is.
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                ours.settimeout(_END)
                while ours.recv(64):
                    pass
            self._waiting.discard(ours)
            ours.close()

    def _ask(self, folder: Path, answer: socket.socket) -> socket.socket:
        """Send a work folder, to a new process where the last one has ended; the socket that took it.

        Raises Died."""
        with self._lock:
            for _ in range(2):
                if self._control is None:
                    self._process, self._control = self._start()
                try:
                    socket.send_fds(self._control, [os.fsencode(folder)], [answer.fileno()])
                except OSError:  # it has ended since
                    _end(self._process, self._control)
                    self._process = self._control = None
                else:
                    return self._control
        raise Died

    def _bury(self, connection: socket.socket) -> None:
        """Let go of a process that was seen to end: for a moment it still takes what it will not answer."""
        with self._lock:
            if self._control is connection:
                _end(self._process, self._control)
                self._process = self._control = None

    def _start(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if self._printed is not None:
            self._printed.close()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  # it lasts as long as the process
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "layers.read", str(theirs.fileno())],
                env=self._environment,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._printed,
                start_new_session=True,
            )
        return process, ours

    def _last_words(self) -> str:
        """The last line that the process printed, which is why it cannot start."""
        with self._lock:
            if self._printed is None:
                return ""
            size = os.fstat(self._printed.fileno()).st_size
            text = os.pread(self._printed.fileno(), _LAST, max(0, size - _LAST)).decode("utf-8", "replace")
        return next(reversed(text.strip().splitlines()), "")


def _receive(answer: socket.socket, seconds: float) -> int:
    """The next number of an answer. Raises EOFError when its writer is gone, TimeoutError."""
    answer.settimeout(seconds)
    try:
        message = answer.recv(64)
    except ConnectionError as error:
        raise EOFError from error
    if not message:
        raise EOFError
    return int(message)


def _end(process: subprocess.Popen[bytes] | None, control: socket.socket | None) -> None:
    """Close the control socket, which ends the process, and see it gone."""
    if control is not None:
        control.close()
    if process is None:
        return
    try:
        process.wait(_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


#: This process's one.
READER = WarmReader(environment())
atexit.register(READER.close)
os.register_at_fork(after_in_child=READER.forget)

"""CPU per request of a real server process, read from the kernel's scheduler statistics.

Wall time on a shared machine is noise; the CPU of the server's own threads is not. Each figure is
a ratio between two servers measured in turns within one run.
"""

from __future__ import annotations

import socket
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


def cpu_ns(pid: int) -> int:
    """CPU time of a process and its threads, nanoseconds (/proc/PID/task/*/schedstat)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


class Connection:
    """A keep-alive HTTP/1.1 connection that costs the machine little."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = parts.netloc
        self._rest = b""

    def request(
        self, path: str, headers: Sequence[tuple[str, str]] = (), method: str = "GET", body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """One request: status, headers (lower-case names), body."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines.append(f"content-length: {len(body)}")
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        while b"\r\n\r\n" not in self._rest:
            self._fill()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *others = head.decode("latin-1").split("\r\n")
        found = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in others)}
        length = int(found.get("content-length", "0"))
        while len(self._rest) < length:
            self._fill()
        answer, self._rest = self._rest[:length], self._rest[length:]
        return int(first.split()[1]), found, answer

    def _fill(self) -> None:
        chunk = self._socket.recv(1 << 20)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        self._rest += chunk


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure on one server process."""

    pid: int
    url: str
    paths: Sequence[str]
    headers: Sequence[tuple[str, str]] = ()
    status: int = 200


def per_request(case: Case, requests: int) -> float:
    """Microseconds of server CPU a request, over ``requests`` requests round the case's paths."""
    connection = Connection(case.url)
    for path in case.paths:
        _ask(connection, case, path)
    before = cpu_ns(case.pid)
    for index in range(requests):
        _ask(connection, case, case.paths[index % len(case.paths)])
    return (cpu_ns(case.pid) - before) / requests / 1000


def _ask(connection: Connection, case: Case, path: str) -> None:
    status, _, body = connection.request(path, case.headers)
    if status != case.status:
        raise AssertionError(f"{path}: {status}, not {case.status}: {body[:200]!r}")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers that took turns: median µs a request of each, and the median ratio of first to second."""

    first: float
    second: float
    ratio: float


def pair(first: Case, second: Case, requests: int, second_requests: int, rounds: int = 9) -> Pair:
    """Both in turns. Clock and caches drift within a run, so each ratio is of neighbours in time."""
    turns = [(per_request(first, requests), per_request(second, second_requests)) for _ in range(rounds)]
    return Pair(
        statistics.median(a for a, _ in turns),
        statistics.median(b for _, b in turns),
        statistics.median(a / b for a, b in turns),
    )

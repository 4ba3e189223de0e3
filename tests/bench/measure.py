"""CPU per request of real server processes, read from the kernel's scheduler statistics.

Wall time on a shared machine is noise; the CPU of a server's own processes is not. Where a server asks a
database, the database's processes count as the server's. Each figure is a ratio of servers that took
turns within one run: clock and caches drift, so a ratio is of neighbours in time.
"""

from __future__ import annotations

import os
import socket
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time (ns) of every living process of some trees, and what their ended children had taken."""

    living: dict[int, int]
    ended: int

    def since(self, before: Usage) -> int:
        """Nanoseconds between two readings, of the processes that came and went in between too."""
        spent = sum(ns - before.living.get(pid, 0) for pid, ns in self.living.items())
        gone = sum(ns for pid, ns in before.living.items() if pid not in self.living)
        return spent + max(0, self.ended - before.ended - gone)


def usage(pids: Sequence[int]) -> Usage:
    """The CPU of processes and their children; raises FileNotFoundError for one that is not there."""
    living: dict[int, int] = {}
    ended = 0
    for pid in pids:
        living[pid] = cpu_ns(pid)
        ended += _ended_ns(pid)
        for child in descendants(pid):
            try:
                living[child] = cpu_ns(child)
                ended += _ended_ns(child)
            except OSError:
                continue  # it ended just now, and its parent has its time
    return Usage(living, ended)


def cpu_ns(pid: int) -> int:
    """CPU time of a process and its threads, nanoseconds (/proc/PID/task/*/schedstat)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


def descendants(pid: int) -> list[int]:
    """Every descendant. A thread's own list is the children it started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found.append(int(child))
            with suppress(OSError):  # it ended just now
                found += descendants(int(child))
    return found


def _ended_ns(pid: int) -> int:
    """CPU time of the children that have ended and were waited for (proc(5), cutime and cstime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * _TICK_NS


def rss_mb(pid: int) -> dict[str, float]:
    """Resident memory of a process in MB: ``anon`` is its own, ``file`` is the page cache it has mapped."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("RssAnon", "RssFile"):
            found[name[3:].lower()] = int(value.split()[0]) / 1024
    return found


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
        if found.get("transfer-encoding") == "chunked":
            return int(first.split()[1]), found, self._chunks()
        return int(first.split()[1]), found, self._exactly(int(found.get("content-length", "0")))

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while True:
            while b"\r\n" not in self._rest:
                self._fill()
            size, _, self._rest = self._rest.partition(b"\r\n")
            part = self._exactly(int(size, 16) + 2)[:-2]
            if not part:
                return b"".join(parts)
            parts.append(part)

    def _exactly(self, length: int) -> bytes:
        while len(self._rest) < length:
            self._fill()
        answer, self._rest = self._rest[:length], self._rest[length:]
        return answer

    def _fill(self) -> None:
        chunk = self._socket.recv(1 << 20)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        self._rest += chunk


@dataclass(frozen=True, slots=True)
class Target:
    """A server: its address, and the processes whose CPU is its cost (its own, and its database's)."""

    name: str
    url: str
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure on one server: the requests go round ``paths``."""

    target: Target
    paths: Sequence[str]
    headers: Sequence[tuple[str, str]] = ()
    status: int = 200

    def ask(self, connection: Connection, index: int) -> bytes:
        """The request of that index; its body. Raises AssertionError for another status."""
        path = self.paths[index % len(self.paths)]
        status, _, body = connection.request(path, self.headers)
        if status != self.status:
            raise AssertionError(f"{self.target.name} {path}: {status}, not {self.status}: {body[:200]!r}")
        return body


def per_request(case: Case, requests: int, warm: int | None = None) -> float:
    """Microseconds of CPU a request; first ``warm`` requests (each path once) are not counted."""
    connection = Connection(case.target.url)
    try:
        for index in range(len(case.paths) if warm is None else warm):
            case.ask(connection, index)
        before = usage(case.target.pids)
        for index in range(requests):
            case.ask(connection, index)
        return usage(case.target.pids).since(before) / requests / 1000
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers that took turns: median µs a request of each, and the median ratio of first to second."""

    first: float
    second: float
    ratio: float


def pair(first: Case, second: Case, requests: int, second_requests: int, rounds: int = 9) -> Pair:
    """Both in turns."""
    found = turns([(first, requests), (second, second_requests)], rounds, warm=None)
    return Pair(found.median(0), found.median(1), found.ratio(0, 1))


@dataclass(frozen=True, slots=True)
class Turns:
    """What several servers needed in each round, µs a request: ``rounds[i][j]`` is server j in round i."""

    rounds: list[list[float]]

    def median(self, server: int) -> float:
        """A server's middle."""
        return statistics.median(one[server] for one in self.rounds)

    def ratio(self, first: int, second: int) -> float:
        """The middle of the rounds' ratios."""
        return statistics.median(one[first] / one[second] for one in self.rounds)


def turns(cases: Sequence[tuple[Case, int]], rounds: int, warm: int | None = 2) -> Turns:
    """Each server with its number of requests, one after the other, ``rounds`` times."""
    return Turns([[per_request(case, count, warm) for case, count in cases] for _ in range(rounds)])

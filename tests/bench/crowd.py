"""Many clients at once, who ask on by the clock whether or not they were answered (an open loop)."""

from __future__ import annotations

import re
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Answers:
    """What came back: how many by status, and the seconds from sending to the end of each answer."""

    seconds: float
    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    waits: dict[int, list[float]] = field(default_factory=dict)
    #: Answers of 503 without Retry-After.
    mute: int = 0

    def wait(self, status: int, share: float = 0.99) -> float:
        """The wait (s) that ``share`` of the answers of that status did not exceed; 0 without any."""
        waits = sorted(self.waits.get(status, ()))
        return waits[min(len(waits) - 1, int(share * len(waits)))] if waits else 0.0


class _Line:
    """One keep-alive connection: a request is under way, or it is idle."""

    __slots__ = ("left", "sent", "socket", "status")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.sent = 0.0
        self.status, self.left = 0, -1


class Crowd:
    """``size`` connections to a server, each with one request under way at most."""

    def __init__(self, url: str, size: int) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._address = parts.hostname or "", parts.port or 80
        self._poll = select.epoll()
        self._lines: dict[int, _Line] = {}
        for _ in range(size):
            self._open()

    def close(self) -> None:
        """End all connections."""
        for line in self._lines.values():
            line.socket.close()
        self._poll.close()

    def ask(
        self,
        paths: Sequence[str],
        seconds: float,
        rate: float | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Answers:
        """Ask for the paths in turn: ``rate`` a second by the clock, or, without it, as soon as the answer
        before has come. What is due while every connection waits is sent by the next that is idle."""
        more = "".join(f"{name}: {value}\r\n" for name, value in headers)
        requests = [f"GET {path} HTTP/1.1\r\nhost: {self._host}\r\n{more}\r\n".encode() for path in paths]
        found = Answers(seconds)
        idle = deque(self._lines.values())
        clock = time.perf_counter
        begun = clock()
        end = begun + seconds
        while (now := clock()) < end or len(idle) < len(self._lines):
            if now < end:
                due = len(idle) if rate is None else int(rate * (now - begun)) - found.sent
                for _ in range(min(due, len(idle))):
                    line = idle.popleft()
                    line.socket.send(requests[found.sent % len(requests)])
                    line.sent = now
                    found.sent += 1
            for number, _ in self._poll.poll(0.001):
                if (answered := self._receive(self._lines[number], found)) is not None:
                    idle.append(answered)
            if now > end + 30:
                raise AssertionError(f"{len(self._lines) - len(idle)} requests were never answered")
        return found

    def _open(self) -> _Line:
        line = _Line(self._address)
        self._lines[line.socket.fileno()] = line
        self._poll.register(line.socket, select.EPOLLIN)
        return line

    def _receive(self, line: _Line, found: Answers) -> _Line | None:
        """Take what has come; the line once its answer is whole, or a new one where the server closed it."""
        data = line.socket.recv(1 << 18)
        if not data:
            number = line.socket.fileno()
            self._poll.unregister(number)
            del self._lines[number]
            line.socket.close()
            return self._open()
        if line.left < 0:
            body = data.index(b"\r\n\r\n") + 4
            length = _LENGTH.search(data, 0, body)
            line.status = int(data[9:12])
            line.left = int(length[1]) if length else 0
            line.left -= len(data) - body
            if line.status == 503 and b"retry-after: " not in data[:body]:
                found.mute += 1
        else:
            line.left -= len(data)
        if line.left > 0:
            return None
        found.statuses[line.status] += 1
        found.waits.setdefault(line.status, []).append(time.perf_counter() - line.sent)
        line.left = -1
        return line

"""Entries to a syslog server: RFC 5424, over UDP (RFC 5426), TCP with octet counting (RFC 6587), TLS (RFC
5425) or the socket of the machine's own.

The message is the entry's line in ASCII, so what a collector keeps can be proven as an exported file can.
Over TCP and TLS an entry counts as sent when the other machine has acknowledged its bytes; after a failure
what was not is sent again, so an entry may come twice there: its number tells. UDP says nothing of what is
lost.

TLS is 1.2, which every such server has (RFC 9662): its handshake ends once the server has taken who connects.
That of 1.3 ends before, and what is acknowledged then may be read by nobody."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
import socket
import ssl
import struct
import termios
import time
from pathlib import Path
from typing import Protocol

import orjson

from layers.audit import chain
from layers.errors import ReadOnly
from layers.model import Link
from twin.access import private
from twin.audit.exports import NOTHING, Sent
from twin.setting_values import SyslogAddress

log = logging.getLogger("twin")

#: How long one waits for the other machine.
WAIT_S = 5.0
#: RFC 5424, section 6.2.1: facility 13 is "log audit"; severities 6 and 4 informational and warning.
_FACILITY, _INFO, _WARNING = 13, 6, 4


class _Wire(Protocol):
    """A way to the server."""

    def put(self, messages: list[bytes]) -> None:
        """Send messages and see that they arrived, as far as can be told. Raises OSError."""

    def close(self) -> None: ...


class Syslog:
    """Implements :class:`twin.audit.exports.Export`. ``position`` is a file that keeps what was sent; ``ca``
    one with the certificates that TLS trusts, in place of the machine's."""

    def __init__(self, address: SyslogAddress, position: Path, ca: Path | None = None) -> None:
        self.name = "syslog"
        self._address, self._position, self._ca = address, position, ca
        self._wire: _Wire | None = None
        self._last: Sent | None = None
        self._unkept = False

    def sent(self) -> Sent:
        if self._last is None:
            self._last = self._kept()
        return self._last

    def _kept(self) -> Sent:
        try:
            known = orjson.loads(self._position.read_bytes())
            return Sent(int(known["n"]), str(known["hash"]))
        except FileNotFoundError:
            return NOTHING
        except (ValueError, KeyError, TypeError):  # damaged: all is sent again, which the numbers tell
            return NOTHING

    def send(self, links: list[Link], *, anew: bool) -> None:
        try:
            if self._wire is None:
                self._wire = self._open()
            self._wire.put([message(link) for link in links])
        except BaseException:
            self.close()
            self._last = None
            raise
        self._last = Sent(links[-1].n, links[-1].hash)
        self._keep(self._last)

    def _keep(self, last: Sent) -> None:
        """Keep how far it is. Where that cannot be, it is told once, and all goes on."""
        try:
            private.write(self._position, {"n": last.n, "hash": last.hash})
        except ReadOnly as error:
            if not self._unkept:
                log.warning("what went to syslog is sent again at the next start: %s", error)
            self._unkept = True
            return
        if self._unkept:
            log.warning("how far syslog is can be kept again")
        self._unkept = False

    def _open(self) -> _Wire:
        address = self._address
        if address.by == "unix":
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            return _Datagrams(_connected(sock, address.host))
        if address.by == "udp":
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
            return _Datagrams(_connected(socket.socket(found[0], socket.SOCK_DGRAM), found[4]))
        plain = socket.create_connection((address.host, address.port), WAIT_S)
        if address.by == "tcp":
            return _Stream(plain)
        try:
            context = ssl.create_default_context(cafile=self._ca)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            return _Stream(context.wrap_socket(plain, server_hostname=address.host))
        except BaseException:
            plain.close()
            raise

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def _connected(sock: socket.socket, where: object) -> socket.socket:
    try:
        sock.settimeout(WAIT_S)
        sock.connect(where)  # type: ignore[arg-type]
    except BaseException:
        sock.close()
        raise
    return sock


class _Datagrams:
    """One message each; a machine that listens no more is told of by the answer to what was sent before."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def put(self, messages: list[bytes]) -> None:
        for one in messages:
            self._sock.send(one)
        time.sleep(0.02)
        _raise(self._sock)

    def close(self) -> None:
        self._sock.close()


class _Stream:
    """Messages by their length; they have arrived when nothing is left in the queue of the kernel."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.settimeout(WAIT_S)

    def put(self, messages: list[bytes]) -> None:
        self._ended()
        self._sock.sendall(b"".join(b"%d %s" % (len(one), one) for one in messages))
        end = time.monotonic() + WAIT_S
        while self._queued():
            if time.monotonic() > end:
                raise TimeoutError(errno.ETIMEDOUT, "the server acknowledges nothing")
            time.sleep(0.005)
            self._ended()
        self._ended()

    def _queued(self) -> int:
        """Bytes that the other machine has not acknowledged (SIOCOUTQ of tcp(7))."""
        buffer = fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
        return int(struct.unpack("i", buffer)[0])

    def _ended(self) -> None:
        """Raises OSError where the other side has ended the connection; what it says else is nothing."""
        _raise(self._sock)
        self._sock.settimeout(0)
        try:
            if self._sock.recv(4096) == b"":
                raise ConnectionResetError(errno.ECONNRESET, "the server has ended the connection")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            self._sock.settimeout(WAIT_S)

    def close(self) -> None:
        self._sock.close()


def _raise(sock: socket.socket) -> None:
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def message(link: Link) -> bytes:
    """An entry as a syslog message (RFC 5424, section 6)."""
    entry = orjson.loads(link.entry)
    severity = _INFO if entry.get("result", "done") == "done" else _WARNING
    host = socket.gethostname().encode("ascii", "replace").decode()[:255] or "-"
    line = json.dumps(json.loads(chain.line(link)), separators=(",", ":"))  # ASCII: no mark of its encoding
    kind = re.sub(r"[^!-~]", "_", str(entry["kind"]))[:32]
    head = f"<{_FACILITY * 8 + severity}>1 {entry['at'] or '-'} {host} onemap-twin {os.getpid()} {kind} -"
    return f"{head} {line}".encode("ascii")

"""One POST to a receiver: bounded in time whatever it does, and of the answer the head alone.

``http.client`` on a socket of our own, in the thread of the hook: httpx, which is here too, bounds each read
but not all of them, and where it is asynchronous a name that is being looked up holds up the server's stop.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from urllib.parse import urlsplit

from twin.setting_values import near

#: To reach an address of the receiver; for all of a message.
CONNECT_SECONDS, TOTAL_SECONDS = 10.0, 30.0
#: The longest Retry-After that is kept to.
MOST_RETRY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered: its status, and in how many seconds it wants to be asked again."""

    status: int
    retry_after: float | None = None


class NotDelivered(Exception):
    """There was no answer. The text says why, and names neither host nor path: anybody may read it."""


class Receiver:
    """An address at which messages are taken. One thread posts; another may cut what it does."""

    def __init__(self, url: str, seconds: float = TOTAL_SECONDS) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._seconds = seconds
        self._line: socket.socket | None = None
        self._late = False
        self._trusted: ssl.SSLContext | None = None

    def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a message; redirects are not followed. Raises NotDelivered."""
        self._late = False
        timer = threading.Timer(self._seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            with socket.create_connection((self._host, self._port), CONNECT_SECONDS) as line:
                return self._exchange(line, body, headers)
        except (OSError, HTTPException, ValueError) as error:
            raise NotDelivered(self._reason(error)) from None
        finally:
            timer.cancel()

    def cut(self) -> None:
        """End what the posting thread waits for."""
        line = self._line
        if line is not None:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _end(self) -> None:
        self._late = True
        self.cut()

    def _exchange(self, line: socket.socket, body: bytes, headers: dict[str, str]) -> Answer:
        if not self._secure and not _is_near(line):
            raise NotDelivered("its address is a public one, to which only https is sent")
        # another descriptor of the same connection, whatever TLS makes of this one
        with line.dup() as self._line:
            try:
                if self._late:  # while there was no connection yet that could be cut
                    raise TimeoutError
                with contextlib.closing(self._connection(line)) as con:
                    con.request("POST", self._target, body, headers)
                    response = con.getresponse()
                    return Answer(response.status, _retry_after(response.getheader("Retry-After")))
            finally:
                self._line = None

    def _connection(self, line: socket.socket) -> HTTPConnection:
        con: HTTPConnection
        if self._secure:
            if self._trusted is None:
                self._trusted = ssl.create_default_context()
            con = HTTPSConnection(self._host, self._port, context=self._trusted)
            con.sock = self._trusted.wrap_socket(line, server_hostname=self._host)
        else:
            con = HTTPConnection(self._host, self._port)
            con.sock = line
        return con

    def _reason(self, error: Exception) -> str:
        if self._late or isinstance(error, TimeoutError):
            return f"no answer within {self._seconds:g} s"
        if isinstance(error, socket.gaierror):
            return "its name is not known"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({error.verify_message})"
        if isinstance(error, RemoteDisconnected):
            return "it closed the connection without an answer"
        if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
            return error.strerror.lower()
        return f"what it answered is no HTTP ({type(error).__name__})"


def _is_near(line: socket.socket) -> bool:
    return near(ipaddress.ip_address(str(line.getpeername()[0]).partition("%")[0]))


def _retry_after(text: str | None) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return min(float(text), MOST_RETRY_SECONDS)
    try:
        left = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, left), MOST_RETRY_SECONDS)

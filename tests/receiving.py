"""A receiver of webhooks: a real HTTP server that verifies what it takes with another implementation."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@dataclass(frozen=True)
class Message:
    """What was verified: its id, the document, what was answered (0: nothing)."""

    id: str
    document: dict[str, Any]
    status: int


@dataclass
class Inbox:
    """What came, in its order. ``answers`` are those to the next messages, then 204: a status, with headers;
    0 closes the connection, -1 leaves it open until the end."""

    url: str = ""
    messages: list[Message] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, *statuses: int, **headers: str) -> None:
        """Answer the next messages so."""
        with self._lock:
            self.answers += [(status, headers) for status in statuses]

    @property
    def taken(self) -> list[Message]:
        """The messages that were answered with success."""
        return [message for message in self.messages if message.status == 204]

    def features(self) -> dict[tuple[str, int], str]:
        """The last change of each feature, of what was taken."""
        return {
            (one["layer"], one["id"]): one["change"]
            for message in self.taken
            for one in message.document["features"]
        }

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        """Verify and note a message; what to answer."""
        try:
            document = Webhook(SECRET).verify(body, headers)
        except Exception as error:
            self.refused.append(f"{path}: {error!r}")
            return 401, {}
        with self._lock:
            status, more = self.answers.pop(0) if self.answers else (204, {})
            self.messages.append(Message(headers["webhook-id"], document, status))
        return status, more


@contextlib.contextmanager
def receiver() -> Iterator[Inbox]:
    """A receiver on a free port of this machine, while the context lasts."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, headers = inbox.take(self.path, body, {k.lower(): v for k, v in self.headers.items()})
            if status < 0:
                inbox.over.wait()
            if status <= 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    inbox.url = f"http://127.0.0.1:{server.server_port}/hook?from=twin"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield inbox
    finally:
        inbox.over.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""One POST: bounded in time, of the answer the head alone, in clear only inside the house."""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.receiving import SECRET, receiver
from twin.setting_values import near
from twin.webhooks import signature
from twin.webhooks.receiver import MOST_RETRY_SECONDS, Answer, NotDelivered, Receiver

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that treats one connection so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                line, _ = listener.accept()
                with line, context.wrap_socket(line, server_side=True) if context else line as told:
                    serve(told)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join(5)


def _request(line: socket.socket) -> None:
    """Read all of a request: what is left unread resets the connection, and its answer with it."""
    read = b""
    while not read.endswith(b"\r\n\r\n{}"):
        read += line.recv(65_536)


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    """Reads a request and answers it so."""

    def serve(line: socket.socket) -> None:
        _request(line)
        line.sendall(answer)

    return serve


def post(port: int, scheme: str = "http", seconds: float = 5) -> Answer:
    return Receiver(f"{scheme}://127.0.0.1:{port}/hook", seconds).post(b"{}", {"x-a": "b"})


def test_what_is_sent_arrives_as_it_was_signed():
    with receiver() as inbox:
        headers = signature.headers("msg_1", int(time.time()), b'{"a":1}', signature.keys(SECRET))
        assert Receiver(inbox.url).post(b'{"a":1}', headers) == Answer(204)
        assert [message.document for message in inbox.messages] == [{"a": 1}]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0", 0), ("9" * 30, MOST_RETRY_SECONDS), ("soon", None), ("-1", None), ("", None)],
)
def test_retry_after_in_seconds(text: str, seconds: float | None):
    with listening(answering(HEAD + f"Retry-After: {text}\r\n\r\n".encode())) as port:
        assert post(port).retry_after == seconds


def test_retry_after_as_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    with listening(answering(HEAD + f"Retry-After: {date}\r\n\r\n".encode())) as port:
        assert post(port).retry_after == pytest.approx(90, abs=5)


def test_a_body_without_end_is_not_read():
    def endless(line: socket.socket) -> None:
        _request(line)
        line.sendall(HEAD + b"\r\n")
        with contextlib.suppress(OSError):
            while True:
                line.sendall(b"x" * 65_536)

    with listening(endless) as port:
        begun = time.monotonic()
        assert post(port).status == 200
        assert time.monotonic() - begun < 2


def test_one_that_answers_a_byte_at_a_time_is_cut():
    def dripping(line: socket.socket) -> None:
        _request(line)
        with contextlib.suppress(OSError):
            while True:
                line.sendall(b"H")
                time.sleep(0.05)

    with listening(dripping) as port:
        begun = time.monotonic()
        with pytest.raises(NotDelivered, match=r"no answer within 0\.5 s"):
            post(port, seconds=0.5)
        assert time.monotonic() - begun < 2


def test_one_that_is_reached_too_late_is_sent_nothing(monkeypatch: pytest.MonkeyPatch):
    """As where the first of its addresses do not answer: there is no connection yet that could be cut."""
    seen: list[bytes] = []
    connect = socket.create_connection

    def slow(*args: object) -> socket.socket:
        time.sleep(0.4)
        return connect(*args)  # type: ignore[arg-type]

    with listening(lambda line: seen.append(line.recv(10))) as port:
        monkeypatch.setattr("socket.create_connection", slow)
        with pytest.raises(NotDelivered, match=r"no answer within 0\.2 s"):
            post(port, seconds=0.2)
    assert seen == [b""]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_another_thread_cuts_ends_at_once(scheme: str):
    """In TLS it is the handshake that gets no answer."""
    asked = threading.Event()

    def silent(line: socket.socket) -> None:
        line.recv(65_536)
        asked.set()
        line.recv(65_536)

    with listening(silent) as port:
        waiting = Receiver(f"{scheme}://127.0.0.1:{port}/")
        threading.Thread(target=lambda: (asked.wait(5), waiting.cut()), daemon=True).start()
        begun = time.monotonic()
        with pytest.raises(NotDelivered):
            waiting.post(b"{}", {})
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"", "closed the connection without an answer"), (b"\x00\x01\r\n\r\n", "no HTTP"), (HEAD, "")],
)
def test_what_is_no_answer_is_told(answer: bytes, reason: str):
    with listening(answering(answer)) as port:
        if reason:
            with pytest.raises(NotDelivered, match=reason):
                post(port)
        else:
            assert post(port).status == 200


def test_nobody_there_is_told_without_the_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotDelivered) as refused:
        post(port)
    assert str(refused.value) == "connection refused"
    with pytest.raises(NotDelivered, match="its name is not known"):
        Receiver("https://absent.invalid/").post(b"{}", {})


def test_http_is_not_spoken_with_a_public_address(monkeypatch: pytest.MonkeyPatch):
    """To which address a name leads is looked at on the connection itself, before a byte is sent."""
    seen: list[bytes] = []
    with listening(lambda line: seen.append(line.recv(10))) as port:
        monkeypatch.setattr("twin.webhooks.receiver.near", lambda address: not near(address))
        with pytest.raises(NotDelivered, match="public"):
            Receiver(f"http://localhost:{port}/").post(b"{}", {})
    assert seen == [b""]


@pytest.mark.parametrize(
    ("address", "private"),
    [
        *(
            ("127.0.0.1", True),
            ("10.1.2.3", True),
            ("::1", True),
            ("fd00::1", True),
            ("::ffff:10.0.0.1", True),
        ),
        *(("8.8.8.8", False), ("::ffff:8.8.8.8", False), ("2001:4860:4860::8888", False)),
    ],
)
def test_which_addresses_are_private(address: str, private: bool):
    assert near(ipaddress.ip_address(address)) is private


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent")
    made = tmp_path / "made.pem"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", str(made)]
    out = ["-out", str(tmp_path / "cert.pem")]
    subprocess.run(["openssl", "req", "-x509", "-nodes", *key, *name, *out], check=True, capture_output=True)
    made.write_text(made.read_text() + (tmp_path / "cert.pem").read_text())
    return made


def test_over_tls_a_certificate_must_be_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with listening(answering(HEAD + b"\r\n"), context) as port, pytest.raises(NotDelivered) as refused:
        post(port, "https")
    assert str(refused.value).startswith("its certificate is not trusted (")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with listening(answering(HEAD + b"\r\n"), context) as port:
        assert post(port, "https").status == 200

"""A syslog server, over every way that RFC 5424 goes."""

from __future__ import annotations

import datetime
import re
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Collector(threading.Thread):
    """A syslog server that keeps what it reads: datagrams, or a stream of messages by their length."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None = None) -> None:
        super().__init__(daemon=True)
        self.sock, self._context = sock, context
        self.messages: list[str] = []
        #: Seconds that it takes for each step of beginning TLS.
        self.late = 0.0
        self.sock.settimeout(0.05)
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        if self.sock.type == socket.SOCK_DGRAM:
            while not self._ended.is_set():
                with suppress(TimeoutError):
                    self.messages.append(self.sock.recv(65_536).decode())
            return
        while not self._ended.is_set():
            try:
                peer = self.sock.accept()[0]
            except TimeoutError:
                continue
            if self._context is not None:
                try:
                    peer = self._shaken(self._context, peer)
                except OSError:  # who does not trust the certificate, or has none that is demanded, goes
                    continue
            with peer as stream:
                self._read(stream)

    def _shaken(self, context: ssl.SSLContext, peer: socket.socket) -> socket.socket:
        made = context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
        made.settimeout(0)
        while not self._ended.is_set():
            try:
                made.do_handshake()
                break
            except ssl.SSLWantReadError:
                time.sleep(max(0.005, self.late))
            except OSError:
                made.close()
                raise
        return made

    def _read(self, stream: socket.socket) -> None:
        stream.settimeout(0.05)
        text = b""
        while not self._ended.is_set():
            try:
                part = stream.recv(65_536)
            except TimeoutError:
                continue
            if not part:
                return
            text += part
            while (match := re.match(rb"(\d+) ", text)) and len(text) >= match.end() + int(match[1]):
                end = match.end() + int(match[1])
                self.messages.append(text[match.end() : end].decode())
                text = text[end:]

    def end(self) -> None:
        self._ended.set()
        self.join()
        self.sock.close()


def listening(by: str, tmp_path: Path, port: int = 0, *, demands: bool = False) -> tuple[str, Collector]:
    """A collector, and its address. One that ``demands`` takes only who has a certificate."""
    if by == "unix":
        path = tmp_path / "log"
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(path))
        return f"unix:{path}", Collector(sock)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if by == "udp" else socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    if by != "udp":
        sock.listen()
    context = None
    if by == "tls":
        certificate(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
        if demands:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(tmp_path / "ca.pem")
    return f"{by}://localhost:{sock.getsockname()[1]}", Collector(sock, context)


def certificate(folder: Path) -> None:
    """One for localhost, signed by itself."""
    if (folder / "ca.pem").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)

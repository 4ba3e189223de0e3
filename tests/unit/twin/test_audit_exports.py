"""Entries go on to files and to syslog without gaps, whatever ends in between: real files, real sockets."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from layers.audit import chain, verify
from layers.audit.sealing import Sealer, every
from layers.errors import BadConfig
from layers.model import Link
from layers.store.base import Store
from layers.store.open import open_store
from tests.collector import listening
from tests.support import until
from twin import settings
from twin.audit import Auditor
from twin.audit.exports import Export, Sender, Sent, unsent
from twin.audit.files import Files
from twin.audit.syslog import Syslog
from twin.setting_values import SyslogAddress

FIRST, SECOND = date(2026, 11, 30), date(2026, 12, 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path)) as made:
        yield made


@pytest.fixture
def sealer(store: Store) -> Sealer:
    return Sealer(store, "sha256", 180)


def tell(sealer: Sealer, count: int = 1) -> None:
    for number in range(count):
        sealer.tell("request", path=f"/核/{number}", result="refused")
    sealer.seal()


def send(store: Store, export: Export, size: int = 10) -> None:
    for links, anew in unsent(store.audit, export.sent(), size):
        export.send(links, anew=anew)


def lines(folder: Path) -> list[str]:
    return [line for path in sorted(folder.iterdir()) for line in path.read_text("utf-8").splitlines()]


def test_a_file_a_day_without_gaps_over_restarts(store: Store, sealer: Sealer, tmp_path: Path) -> None:
    folder, days = tmp_path / "audit", [FIRST]
    files = Files(folder, lambda: days[-1])
    assert files.sent().n == 0
    tell(sealer, 24)
    send(store, files)
    days.append(SECOND)
    tell(sealer)
    send(store, Files(folder, lambda: days[-1]))
    days.append(FIRST)  # a clock that is set back
    tell(sealer, 3)
    send(store, Files(folder, lambda: days[-1]))
    send(store, Files(folder, lambda: days[-1]))
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["audit-2026-11-30.jsonl", "audit-2026-12-01.jsonl"]
    assert "".join(f"{line}\n" for line in lines(folder)) == "".join(map(chain.line, every(store.audit)))
    verdict = verify.lines(lines(folder), store)
    assert (verdict.fault, verdict.first, verdict.last) == (None, 1, 29)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("left", [b"", b'{"at":"2026', b"x" * 200_000])
def test_what_a_crash_left_of_a_line_goes(store: Store, sealer: Sealer, tmp_path: Path, left: bytes) -> None:
    folder = tmp_path / "audit"
    tell(sealer, 3)
    send(store, Files(folder, lambda: FIRST))
    with (folder / "audit-2026-11-30.jsonl").open("ab") as file:
        file.write(left)
    (folder / "audit-2026-12-01.jsonl").write_bytes(left)  # and of a file that was just begun
    tell(sealer, 2)
    send(store, Files(folder, lambda: SECOND))
    assert verify.lines(lines(folder), store).last == 6
    assert verify.lines(lines(folder), store).fault is None


def test_a_store_that_was_put_back_begins_new_lines(store: Store, sealer: Sealer, tmp_path: Path) -> None:
    """They go on from where it says that it is another copy, and what was written stays."""
    folder = tmp_path / "audit"
    files = Files(folder, lambda: FIRST)
    tell(sealer, 3)
    backup = tmp_path / "other"
    backup.mkdir()
    with closing(sqlite3.connect(tmp_path / "city.gpkg")) as source:
        target = sqlite3.connect(backup / "city.gpkg")
        source.backup(target)
        target.close()
    tell(sealer, 5)
    send(store, files)
    with closing(open_store(backup)) as copy:
        other = Sealer(copy, "sha256", 180)
        tell(other)
        again = Files(folder, lambda: FIRST)
        send(copy, again)
        send(copy, again)
        tell(other)
        send(copy, Files(folder, lambda: FIRST))
        part = (folder / "audit-2026-11-30-2.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["n"] for line in part] == [5, 6, 7]
        assert json.loads(part[0])["kind"] == "restored"
        assert verify.lines(part, copy).fault is None
    whole = (folder / "audit-2026-11-30.jsonl").read_text("utf-8").splitlines()
    assert verify.lines(whole, store).last == 9


def test_a_folder_that_cannot_be_written_is_told_once_and_tried_again(
    store: Store, sealer: Sealer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit").write_text("a file")
    tell(sealer)
    sender = Sender(store, Files(tmp_path / "audit"))
    sender.start()
    until(lambda: caplog.messages, what="the failure is told")
    (tmp_path / "audit").unlink()
    until(lambda: (tmp_path / "audit").is_dir(), what="the folder is written")
    sender.end(time.monotonic() + 5)
    sender.join(5)
    waits = "the audit waits, and does not get to its files: "
    told = [text.removeprefix(waits) for text in caplog.messages]
    assert told == ["File exists", "the audit goes to its files again"]
    assert len(lines(tmp_path / "audit")) == 2


HEAD = re.compile(r"<(\d+)>1 (\S+) (\S+) onemap-twin \d+ (\S+) - (\{.*\})")


@pytest.mark.parametrize("by", ["udp", "tcp", "tls", "unix"])
def test_syslog_has_every_entry_over_restarts_of_either_side(
    store: Store, sealer: Sealer, tmp_path: Path, by: str
) -> None:
    address, collector = listening(by, tmp_path)
    ca = tmp_path / "ca.pem" if by == "tls" else None

    def syslog() -> Syslog:
        return Syslog(SyslogAddress.parsed(address), tmp_path / "position.json", ca)

    tell(sealer, 24)
    first = syslog()
    send(store, first)
    until(lambda: len(collector.messages) == 25, what="what was sent arrives")
    port = 0 if by == "unix" else collector.sock.getsockname()[1]
    collector.end()
    tell(sealer, 5)
    with pytest.raises(OSError, match=r"refused|reset|ended|No such"):  # noqa: PT012
        for _ in range(3):  # over UDP it is told of what was sent before
            send(store, first)
    first.close()
    _, again = listening(by, tmp_path, port)
    second = syslog()
    send(store, second)
    tell(sealer)
    send(store, second)
    second.close()
    kept = lambda: [HEAD.fullmatch(one) for one in [*collector.messages, *again.messages]]  # noqa: E731
    until(lambda: len({json.loads(one[5])["n"] for one in kept() if one}) == 31, what="all arrive")
    again.end()
    found = kept()
    assert all(found)
    lines = {json.loads(one[5])["n"]: one[5] for one in found if one}
    assert verify.lines(lines[n] for n in sorted(lines)).fault is None
    assert {one[1] for one in found if one} == {"108", "110"}  # log audit: warning, informational
    assert {one[4] for one in found if one} == {"begin", "request"}
    assert all(one[3] == socket.gethostname() for one in found if one)


def test_a_certificate_that_is_not_trusted_is_refused(store: Store, sealer: Sealer, tmp_path: Path) -> None:
    address, collector = listening("tls", tmp_path)
    tell(sealer)
    export = Syslog(SyslogAddress.parsed(address), tmp_path / "position.json")
    with pytest.raises(ssl.SSLCertVerificationError):
        send(store, export)
    assert export.sent().n == 0
    collector.end()


def test_a_server_that_takes_only_who_has_a_certificate_is_not_believed(
    store: Store, sealer: Sealer, tmp_path: Path
) -> None:
    """It refuses when it has seen that there is none; what was sent before that nobody reads."""
    address, collector = listening("tls", tmp_path, demands=True)
    tell(sealer, 3)
    for late in (0.0, 0.4):
        collector.late = late
        export = Syslog(SyslogAddress.parsed(address), tmp_path / "position.json", tmp_path / "ca.pem")
        with pytest.raises(OSError, match=r"(?i)handshake|reset|eof|alert"):
            send(store, export)
        assert export.sent().n == 0
    collector.end()
    assert collector.messages == []


def test_a_position_that_cannot_be_kept_is_told_once_and_holds_up_nothing(
    store: Store, sealer: Sealer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, collector = listening("tcp", tmp_path)
    folder = tmp_path / "absent"
    export = Syslog(SyslogAddress.parsed(address), folder / "position.json")
    tell(sealer, 24)
    send(store, export)
    until(lambda: len(collector.messages) == 25, what="all of it, in three batches")
    folder.mkdir()
    tell(sealer, 25)
    send(store, export)
    until(lambda: len(collector.messages) == 50, what="the rest")
    export.close()
    collector.end()
    assert Syslog(SyslogAddress.parsed(address), folder / "position.json").sent().n == 50
    assert caplog.messages == [
        "what went to syslog is sent again at the next start: position.json cannot be written:"
        " No such file or directory",
        "how far syslog is can be kept again",
    ]


@pytest.mark.parametrize(
    "line", ['{"n":3,"hash":"x","\\ud800":1}', '{"n":3}', '{"n":true,"hash":"x"}', "\udcff"]
)
def test_a_file_that_somebody_wrote_to_is_left_and_told_once(
    store: Store, sealer: Sealer, tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    folder = tmp_path / "audit"
    tell(sealer, 3)
    send(store, Files(folder, lambda: FIRST))
    (path,) = folder.iterdir()
    with path.open("ab") as file:
        file.write(f"{line}\n".encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    sender = Sender(store, Files(folder, lambda: FIRST))
    assert not sender._tried()
    assert not sender._tried()
    assert path.read_bytes() == before
    why = "the last line of audit-2026-11-30.jsonl is no entry"
    assert caplog.messages == [f"the audit waits, and does not get to its files: {why}"]


class Slow:
    """An export that takes its time."""

    name = "a slow place"

    def __init__(self) -> None:
        self.last = Sent(0, "")
        self.begun = threading.Event()

    def sent(self) -> Sent:
        return self.last

    def send(self, links: list[Link], *, anew: bool) -> None:
        self.begun.set()
        time.sleep(0.1)
        self.last = Sent(links[-1].n, links[-1].hash)

    def close(self) -> None:
        pass


def test_a_stop_waits_for_no_catch_up(
    store: Store, sealer: Sealer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is left waits in the chain; of what was told nothing is lost."""
    monkeypatch.setattr("twin.audit.STOP_S", 0.2)
    monkeypatch.setattr("twin.audit.GRACE_S", 0.3)
    monkeypatch.setattr(Sender, "BATCH", 1)
    tell(sealer, 99)
    slow = Slow()
    auditor = Auditor(store, sealer, [Sender(store, slow)])
    auditor.start()
    assert slow.begun.wait(5)
    begun = time.monotonic()
    auditor.stop()
    assert time.monotonic() - begun < 2
    auditor.stop()
    assert 0 < slow.last.n < 100
    at = slow.last.n
    time.sleep(0.3)
    assert slow.last.n == at
    last = list(every(store.audit))[-1]
    assert json.loads(last.entry)["action"] == "stopped"
    assert caplog.messages == []


def test_a_server_that_reads_nothing_is_not_believed(
    store: Store, sealer: Sealer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in the queue of this machine has not arrived."""
    monkeypatch.setattr("twin.audit.syslog.WAIT_S", 0.3)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = SyslogAddress.parsed(f"tcp://127.0.0.1:{deaf.getsockname()[1]}")
        export = Syslog(address, tmp_path / "position.json")
        for _ in range(40):
            sealer.tell("request", path="/x" * 250, more=["y" * 5_000] * 4)
        sealer.seal()
        with pytest.raises(TimeoutError):
            send(store, export)
        assert export.sent().n < 41
    export.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("udp://10.0.0.9", ("udp", "10.0.0.9", 514)),
        ("tcp://logs.example.org/", ("tcp", "logs.example.org", 601)),
        ("tls://[2001:db8::1]:7000", ("tls", "2001:db8::1", 7000)),
        ("unix:/dev/log", ("unix", "/dev/log", 0)),
    ],
)
def test_addresses(text: str, address: tuple[Any, ...]) -> None:
    parsed = SyslogAddress.parsed(text)
    assert (parsed.by, parsed.host, parsed.port) == address
    assert settings.parse(f"audit: {{syslog: '{text}'}}").audit.syslog == text


@pytest.mark.parametrize("text", ["logs", "http://x", "udp://", "tcp://x:0", "tcp://x:99999", "unix:log"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="syslog"):
        settings.parse(f"audit: {{syslog: '{text}'}}")

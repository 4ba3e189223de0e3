"""One hook and a real receiver: how it waits, what it says, what it keeps."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from layers.errors import NotFound, ReadOnly
from layers.store.cursors import FileCursors
from tests.receiving import SECRET, Inbox, receiver
from tests.support import until
from twin.webhooks import hook as hooks
from twin.webhooks import signature
from twin.webhooks.hook import LONGEST_SECONDS, Hook, Page, back_off
from twin.webhooks.receiver import Receiver


class Log:
    """A log of numbers: a page tells of those after a cursor."""

    def __init__(self) -> None:
        self.newest = 0
        self.wrong: NotFound | None = None
        self.lack = ""

    def pages(self, after: str | None) -> Page:
        if self.wrong is not None:
            raise self.wrong
        newest = self.newest
        begun = newest if after is None else int(after)
        features = [{"layer": "a", "id": n, "change": "added"} for n in range(begun + 1, newest + 1)]
        return Page(
            str(max(newest, begun)), json.dumps({"features": features}).encode(), not features, self.lack
        )


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    monkeypatch.setattr(hooks, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(hooks, "PACE_SECONDS", 0.02)
    monkeypatch.setattr(hooks, "TROUBLE_SECONDS", 0.02)
    with receiver() as made:
        yield made
        assert made.refused == []


def made(inbox: Inbox, log: Log, cursors: FileCursors) -> Hook:
    return Hook("crm", Receiver(inbox.url), signature.keys(SECRET), log.pages, cursors)


@pytest.fixture
def cursors(tmp_path: Path) -> FileCursors:
    return FileCursors(tmp_path / "cursors.json")


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def hook(inbox: Inbox, log: Log, cursors: FileCursors) -> Iterator[Hook]:
    """One that has begun; it ends soon, whatever it does."""
    hook = made(inbox, log, cursors)
    hook.start()
    until(lambda: cursors.get("crm"), what="the beginning")
    yield hook
    begun = time.monotonic()
    hook.stop()
    hook.join(5)
    assert time.monotonic() - begun < 2


def _grow(log: Log, hook: Hook, by: int = 1) -> None:
    log.newest += by
    hook.wake()


def test_pauses_double_up_to_hours_and_differ():
    for failures, seconds in ((1, 1), (2, 2), (5, 16), (13, 4096), (14, LONGEST_SECONDS), (10_000, 7200)):
        pauses = {back_off(failures) for _ in range(50)}
        assert len(pauses) > 1
        assert all(seconds / 2 <= pause <= seconds for pause in pauses)
    assert 90 <= back_off(3, retry_after=90) <= 99
    assert back_off(3, retry_after=0) >= 1


def test_a_retry_after_is_kept_to(inbox: Inbox, log: Log, hook: Hook):
    inbox.answer(429, retry_after="1")
    begun = time.monotonic()
    _grow(log, hook)
    until(lambda: inbox.taken, what="the second attempt")
    assert time.monotonic() - begun >= 1
    assert [message.status for message in inbox.messages] == [429, 204]


def test_what_happens_while_it_fails_is_merged(inbox: Inbox, log: Log, hook: Hook, cursors: FileCursors):
    inbox.answer(500, 500, 500, 500)
    for n in range(5):
        until(lambda n=n: len(inbox.messages) >= n or inbox.taken, what="an attempt")
        _grow(log, hook)
    until(lambda: cursors.get("crm") == "5", what="the last one")
    assert sorted(fid for _, fid in inbox.features()) == [1, 2, 3, 4, 5]
    assert len(inbox.taken) <= 2
    assert hook.status.ok


def test_the_log_is_told_when_it_begins_to_fail_and_when_it_is_taken(
    inbox: Inbox, log: Log, hook: Hook, caplog: pytest.LogCaptureFixture
):
    for _ in range(2):
        inbox.answer(500, 500, 500)
        _grow(log, hook)
        until(lambda: not inbox.answers and hook.status.ok and log.newest == len(inbox.features()))
    assert [record.message.partition(": ")[2].partition(";")[0] for record in caplog.records] == [
        "it answered 500 Internal Server Error",
        "taken again, after 3 attempts in vain",
    ] * 2


def test_what_another_server_has_sent_meanwhile_is_not_sent_again(
    inbox: Inbox, log: Log, hook: Hook, cursors: FileCursors
):
    """As after a break of the connection that holds the name."""
    _grow(log, hook)
    until(lambda: cursors.get("crm") == "1", what="the first")
    cursors.put("crm", "3")
    _grow(log, hook, 3)
    until(lambda: cursors.get("crm") == "4", what="the last")
    assert [fid for _, fid in inbox.features()] == [1, 4]


def test_what_is_being_sent_when_it_stops_is_sent_at_the_next_start(
    inbox: Inbox, log: Log, hook: Hook, cursors: FileCursors
):
    inbox.answer(-1)
    _grow(log, hook)
    until(lambda: inbox.messages, what="the message")
    hook.stop()
    hook.join(2)
    assert cursors.get("crm") == "0"
    again = made(inbox, log, FileCursors(cursors._path))
    again.start()
    until(lambda: inbox.taken, what="the message again")
    assert inbox.taken[0].id == inbox.messages[0].id
    again.stop()
    again.join(2)


def test_a_cursor_that_cannot_be_kept_is_tried_again_and_nothing_is_sent_twice(
    inbox: Inbox, log: Log, hook: Hook, cursors: FileCursors, monkeypatch: pytest.MonkeyPatch
):
    """As when the disk is full: what was taken is not sent again each time."""
    put, full = FileCursors.put, threading.Event()
    full.set()

    def fails(self: FileCursors, name: str, cursor: str) -> None:
        if full.is_set():
            raise ReadOnly("cursors.json cannot be written: no space left on device")
        put(self, name, cursor)

    monkeypatch.setattr(FileCursors, "put", fails)
    _grow(log, hook)
    until(lambda: hook.status.state == "troubled", what="the trouble")
    _grow(log, hook)
    time.sleep(0.2)
    assert len(inbox.messages) == 1
    full.clear()
    until(lambda: cursors.get("crm") == "2", what="the end of the trouble")
    assert [one["id"] for message in inbox.taken for one in message.document["features"]] == [1, 2]


def test_without_its_key_nothing_is_sent_and_it_is_told_once(
    inbox: Inbox, log: Log, hook: Hook, caplog: pytest.LogCaptureFixture
):
    log.wrong = NotFound("no key named 'crm'")
    _grow(log, hook)
    until(lambda: hook.status.state == "troubled", what="the trouble")
    time.sleep(0.1)
    log.wrong = None
    until(lambda: inbox.taken, what="the message")
    lines = [record.message for record in caplog.records]
    assert lines == ["webhook crm: no key named 'crm'", "webhook crm: in order again"]


def test_what_is_lacking_is_told_once_whatever_of_the_rest_is_taken(
    inbox: Inbox, log: Log, hook: Hook, caplog: pytest.LogCaptureFixture
):
    log.lack = "there is no layer b"
    for _ in range(3):
        _grow(log, hook)
        until(lambda: len(inbox.features()) == log.newest and hook.status.delivered == len(inbox.taken))
        assert (hook.status.state, hook.status.reason) == ("troubled", "there is no layer b")
    log.lack = ""
    hook.wake()
    until(lambda: hook.status.ok, what="the layer")
    lines = [record.message for record in caplog.records]
    assert lines == ["webhook crm: there is no layer b", "webhook crm: in order again"]


def test_ids_tell_pages_apart(inbox: Inbox, log: Log, hook: Hook):
    for _ in range(5):
        _grow(log, hook)
        until(lambda: len(inbox.features()) == log.newest)
    ids = [message.id for message in inbox.messages]
    assert all(one != other for one, other in itertools.pairwise(ids))

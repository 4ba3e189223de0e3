"""``audit`` of city.yml reaches the chain: whether there is one, how it is hashed, how long it is kept; and
what is told of requests is bounded."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from layers.audit import verify
from layers.audit.sealing import Sealer, every
from layers.errors import BadConfig, Exists, NoKey, NotFound, TooMany, Unavailable
from layers.model import Link
from layers.store.geopackage.connection import connect
from layers.store.history import Retention
from layers.store.open import open_store
from tests.storing import grid, load, spec
from tests.support import until
from twin import settings, verbs
from twin.access.caller import CALLER, Caller
from twin.access.keys import Keys
from twin.app import open_city
from twin.audit import Auditor
from twin.audit.requests import MOST, MOST_NAMELESS, Requests


def test_what_is_said() -> None:
    assert not settings.parse("").audit.enabled
    said = settings.parse("audit: {enabled: true}").audit
    assert (said.hash, said.days) == ("sha256", 180)
    assert settings.parse("audit: {enabled: true, days: forever}").audit.days == "forever"
    for wrong in ("audit: {days: 0}", "audit: {hash: md5}", "audit: true", "audit: {enable: true}"):
        with pytest.raises(BadConfig, match="audit"):
            settings.parse(wrong)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("audit: {days: 400}", 90),
        ("audit: {enabled: true}", 180),
        ("audit: {enabled: true, days: 30}", 90),
        ("audit: {enabled: true, days: forever}", None),
        ("audit: {enabled: true}\nhistory: {days: 10}", 10),
    ],
)
def test_the_history_is_kept_as_long_as_the_audit(text: str, days: float | None) -> None:
    assert settings.parse(text).retention() == Retention(days)


def served(folder: Path, text: str) -> list[Any]:
    """The entries after a server was there, which edited."""
    (folder / "city.yml").write_text(text)
    with closing(open_city(folder)) as city:
        city.audit.start()
        city.store.patch("buildings", 1, {"properties": {"name": str(time.time())}})
    with closing(open_store(folder)) as store:
        assert verify.city(store).fault is None
        return [(json.loads(link.entry)["kind"], link.hash.partition(":")[0]) for link in every(store.audit)]


def test_it_begins_where_it_is_enabled_and_is_hashed_as_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_store(tmp_path)) as made:
        load(made, spec(), grid(3))
    assert served(tmp_path, "audit: {hash: sm3}") == []
    of = [("begin", "sha256"), ("server", "sha256"), ("change", "sha256"), ("server", "sha256")]
    assert sorted(served(tmp_path, "audit: {enabled: true}")) == sorted(of)
    assert caplog.messages == []
    later = served(tmp_path, "audit: {enabled: true, hash: sm3, days: 30}")[4:]
    assert sorted(later) == sorted((kind, "sm3") for kind, _ in of[1:])
    assert caplog.messages == ["audit.days: 30 are fewer than the six months that some laws ask for"]
    assert served(tmp_path, "") == [*of, *later]
    # what was done while it was off is sealed when it is on again
    assert [kind for kind, _ in served(tmp_path, "audit: {enabled: true}")[7:]].count("change") == 2


def test_refusals_are_bounded_and_counted(tmp_path: Path) -> None:
    """Anybody may send a request that is refused: a minute has so many entries at most, and those of who has
    no key hide none of who has one."""
    clock = [0.0]
    with closing(open_store(tmp_path)) as store:
        sealer = Sealer(store, "sha256", 180)
        told = Requests(Auditor(store, sealer), lambda: clock[0])
        scope = {"method": "POST", "path": "/ogc/核", CALLER: Caller(problem=NoKey("none"))}
        for _ in range(MOST_NAMELESS + 50):
            told.refused("203.0.113.9", scope, 401, "Unauthorized")
        flood = {**scope, CALLER: Caller(problem=TooMany("too many"))}
        for _ in range(7):
            told.refused("203.0.113.9", flood, 429, "TooMany")
        told.unknown_key(flood[CALLER], "203.0.113.9", flood)
        anna = {**scope, CALLER: Caller("安娜")}
        for _ in range(MOST + 3):
            told.refused("203.0.113.9", anna, 403, "Forbidden")
        clock[0] = 61.0
        told.refused("203.0.113.9", flood, 429, "TooMany")
        damaged = Caller(problem=Unavailable("the keys cannot be read"))
        told.unknown_key(damaged, "203.0.113.9", {**scope, CALLER: damaged})  # it may be a right one
        told.unknown_key(scope[CALLER], "203.0.113.9", scope | {"method": "GET"})
        sealer.seal()
        entries = [json.loads(link.entry) for link in every(store.audit)][1:]
    assert len(entries) == MOST_NAMELESS + MOST + 3
    assert entries[0]["path"] == "/ogc/核"
    assert [entry["actor"] for entry in entries[:-3]].count("安娜") == MOST
    assert [(entry["more"], entry["named"]) for entry in entries[-3:-1]] == [(3, True), (57, False)]
    assert entries[-1]["result"] == "unknown key"


def test_the_number_of_the_last_refusals_is_told_though_nobody_asks_again(tmp_path: Path) -> None:
    clock = [0.0]
    with closing(open_store(tmp_path)) as store:
        auditor = Auditor(store, Sealer(store, "sha256", 180))
        told = Requests(auditor, lambda: clock[0])
        scope = {"method": "POST", "path": "/ogc", CALLER: Caller()}
        more = lambda: [e["more"] for e in map(_entry, every(store.audit)) if "more" in e]  # noqa: E731
        auditor.start()
        for _ in range(MOST_NAMELESS + 5):
            told.refused("203.0.113.9", scope, 401, "Unauthorized")
        clock[0] = 61.0
        until(lambda: more() == [5], what="the number of a minute that is over")
        for _ in range(MOST_NAMELESS + 2):
            told.refused("203.0.113.9", scope, 401, "Unauthorized")
        auditor.stop()
        assert more() == [5, 2]


def _entry(link: Link) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(link.entry)
    return entry


def test_no_key_is_made_that_the_audit_does_not_tell_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program holds the file: one is taken away all the same, and it is said."""
    monkeypatch.setitem(connect.__kwdefaults__, "wait_s", 0.2)
    (tmp_path / "city.yml").write_text("audit: {enabled: true}")
    verbs.key_add(tmp_path, "anna", None)
    with closing(sqlite3.connect(tmp_path / "city.gpkg", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="no key was made, for the audit cannot"):
            verbs.key_add(tmp_path, "bo", None)
        with pytest.raises(Unavailable, match="anna is no longer taken, but the audit does not tell"):
            verbs.key_remove(tmp_path, "anna")
    assert Keys(tmp_path).names() == []
    assert capsys.readouterr().out.count("twk_") == 1
    with pytest.raises(NotFound):
        verbs.key_remove(tmp_path, "bo")
    verbs.key_add(tmp_path, "cy", None)
    with pytest.raises(Exists):
        verbs.key_add(tmp_path, "cy", None)
    with closing(open_store(tmp_path)) as store:
        keys = [entry for entry in map(_entry, every(store.audit)) if entry["kind"] == "key"]
    assert [(entry["name"], entry["action"]) for entry in keys] == [("anna", "added"), ("cy", "added")]

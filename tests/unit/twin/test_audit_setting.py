"""``audit`` of city.yml reaches the chain: whether there is one, how it is hashed, how long it is kept; and
what is told of requests is bounded."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from layers.audit import verify
from layers.audit.sealing import Sealer, every
from layers.errors import BadConfig, NoKey, TooMany
from layers.store.history import Retention
from layers.store.open import open_store
from tests.storing import grid, load, spec
from twin import settings
from twin.access.caller import CALLER, Caller
from twin.app import open_city
from twin.audit import Auditor
from twin.audit.requests import MOST, Requests


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
    """Anybody may send a request that is refused: a minute has so many entries at most."""
    clock = [0.0]
    with closing(open_store(tmp_path)) as store:
        sealer = Sealer(store, "sha256", 180)
        told = Requests(Auditor(store, sealer), lambda: clock[0])
        scope = {"method": "POST", "path": "/ogc/核", CALLER: Caller(problem=NoKey("none"))}
        for _ in range(MOST + 50):
            told.refused("203.0.113.9", scope, 401, "Unauthorized")
        flood = {**scope, CALLER: Caller(problem=TooMany("too many"))}
        for _ in range(7):
            told.refused("203.0.113.9", flood, 429, "TooMany")
        told.unknown_key(flood[CALLER], "203.0.113.9", flood)
        clock[0] = 61.0
        told.unknown_key(scope[CALLER], "203.0.113.9", scope | {"method": "GET"})
        sealer.seal()
        entries = [json.loads(link.entry) for link in every(store.audit)][1:]
    assert len(entries) == MOST + 2
    assert entries[0]["path"] == "/ogc/核"
    assert entries[-2]["more"] == 57
    assert entries[-1]["result"] == "unknown key"

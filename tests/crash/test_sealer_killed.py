"""kill -9 of who seals the audit: the chain stays one, no change set is sealed twice or left out, and no
event whose sealing ended is lost."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from layers.audit import verify
from layers.audit.sealing import Sealer, every
from layers.store.database import Database
from layers.store.open import open_store
from tests.crash.killing import run_and_kill
from tests.storing import grid, load, spec

#: ``make drill`` kills fifty times.
KILLS = max(3, int(os.environ.get("TWIN_HISTORY_KILLS", "3")))


@pytest.mark.parametrize("kind", ["geopackage", "postgis"])
def test_kill_the_sealer(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    database, named = None, list[str]()
    if kind == "postgis":
        url = request.getfixturevalue("postgres").database()
        database, named = Database(url, schema="sealed"), [url, "sealed"]
    store = open_store(tmp_path, database)
    load(store, spec(), grid(5))
    Sealer(store, "sha256", None).seal()
    store.close()
    ended = list[int]()
    for kill in range(KILLS):
        first = kill * 1_000
        chance = random.Random(9000 + kill)
        told = run_and_kill("sealer", [str(tmp_path), str(first), *named], chance, 6, 0.05)
        ended += range(first, first + told)
        store = open_store(tmp_path, database)
        try:
            if kill % 2:  # else what is left is for the next program
                Sealer(store, "sha256", None).seal()
                assert verify.city(store).unsealed == 0
            check(store, ended)
        finally:
            store.close()


def check(store: Any, ended: list[int]) -> None:
    """The chain and the change sets agree, and each event is there once."""
    verdict = verify.city(store)
    assert verdict.fault is None
    entries = [json.loads(link.entry) for link in every(store.audit)]
    sealed = [entry["set"] for entry in entries if entry["kind"] == "change"]
    first = next(entry["set"] for entry in entries if entry["kind"] == "begin")
    made = [one.id for one in reversed(store.change_sets(limit=10_000)) if one.id > first]
    assert sealed == made[: len(sealed)]
    assert len(made) - len(sealed) == verdict.unsealed <= 3
    events = Counter(entry["number"] for entry in entries if entry["kind"] == "drill")
    assert set(events.values()) <= {1}
    assert set(ended) <= events.keys()
    assert len(events) <= len(ended) + len({number // 1_000 for number in ended})  # one in flight a kill
    assert not [entry for entry in entries if entry["kind"] == "lost"]

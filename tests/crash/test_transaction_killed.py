"""A transaction that is killed in the middle leaves nothing; one that was acknowledged is there whole."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from layers.store import geopackage
from tests import launcher
from tests.crash.transactor import MADE
from tests.storing import features, grid, load, one, spec

KILLS = 8


def transact_and_kill(path: Path, first: int, chance: random.Random) -> int:
    """The last that was acknowledged."""
    writer = launcher.start([str(path), str(first)], program="tests.crash.transactor")
    try:
        assert writer.stdout.readline() == "ready\n"
        told = int(writer.stdout.readline())
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(chance.uniform(0.0, 0.1))
    finally:
        writer.kill()
        writer.wait(10)
        told = max([told, *map(int, writer.stdout.read().split("\n")[:-1])])
        writer.stdout.close()
        assert writer.stderr.read() == ""
        writer.stderr.close()
    return told


def test_kill_in_the_middle(tmp_path: Path) -> None:
    path, chance, written = tmp_path / "city.gpkg", random.Random(12), 100
    store = geopackage.open(path)
    load(store, spec(), grid(1))
    load(store, spec("sheds"), grid(1))
    since, before = store.seq(), written
    store.close()
    for _ in range(KILLS):
        told = transact_and_kill(path, written + 1, chance)
        store = geopackage.open(path)
        written = one(store, 1)["properties"]["levels"]
        assert told <= written <= told + 1  # the one in flight may be there, whole
        assert one(store, 1, "sheds")["properties"]["levels"] == written
        levels = Counter(f["properties"]["levels"] for f in features(store) if f["id"] != 1)
        assert levels == dict.fromkeys(range(before + 1, written + 1), MADE)
        assert store.seq() - since == (written - before) * (MADE + 2)
        store.close()

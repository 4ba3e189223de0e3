"""An acknowledged edit survives kill -9, with its log row, and the epoch goes on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from layers.store import geopackage
from tests.storing import grid, load, one, spec
from tests.support import ROOT

KILLS = 20


def edit_and_kill(path: Path, first: int, chance: random.Random) -> int:
    """The last edit that was acknowledged before the kill."""
    editor = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("editor.py")), str(path), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert editor.stdout is not None
    try:
        assert editor.stdout.readline() == "ready\n"
        assert editor.stdout.readline() == f"{first}\n"
        with pytest.raises(subprocess.TimeoutExpired):
            editor.wait(chance.uniform(0.0, 0.1))
    finally:
        editor.kill()
        editor.wait(10)
        told = [int(line) for line in editor.stdout.read().split("\n")[:-1]]
        editor.stdout.close()
    return max([first, *told])


def test_kill_the_editor(tmp_path: Path) -> None:
    path = tmp_path / "city.gpkg"
    store = geopackage.open(path)
    load(store, spec(), grid(3))
    epoch, since, last = store.epoch, store.seq(), 0
    store.close()
    chance = random.Random(9)
    for _ in range(KILLS):
        last = edit_and_kill(path, last + 1, chance)
        store = geopackage.open(path)
        found = one(store, 1)["properties"]["levels"]
        assert last <= found <= last + 1  # the one edit in flight may be there, whole
        assert store.seq() - since == found
        assert store.revision("buildings", 1) == store.seq()
        assert store.epoch == epoch
        last = found
        store.close()

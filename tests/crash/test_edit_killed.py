"""An acknowledged edit survives kill -9, with its log row, and the epoch goes on."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from layers.store import geopackage
from tests import launcher
from tests.storing import fids, grid, load, one, spec

KILLS = 20


@dataclass
class Told:
    """What was acknowledged so far, over all editors."""

    edits: int = 0
    level: int = 0
    alive: set[int] = field(default_factory=lambda: {1, 2, 3})

    def take(self, line: str) -> None:
        word, number = line.split()
        self.edits += 1
        if word == "patched":
            self.level = int(number)
        elif word == "created":
            self.alive.add(int(number))
        else:
            self.alive.remove(int(number))


def edit_and_kill(path: Path, told: Told, chance: random.Random) -> None:
    """Take in every edit that was acknowledged before the kill."""
    editor = launcher.start([str(path), str(told.level + 1)], program="tests.crash.editor")
    try:
        assert editor.stdout.readline() == "ready\n"
        told.take(editor.stdout.readline())
        with pytest.raises(subprocess.TimeoutExpired):
            editor.wait(chance.uniform(0.0, 0.1))
    finally:
        editor.kill()
        editor.wait(10)
        for line in editor.stdout.read().split("\n")[:-1]:
            told.take(line)
        editor.stdout.close()
        assert editor.stderr.read() == ""
        editor.stderr.close()


def test_kill_the_editor(tmp_path: Path) -> None:
    path = tmp_path / "city.gpkg"
    store = geopackage.open(path)
    load(store, spec(), grid(3))
    epoch, since = store.epoch, store.seq()
    store.close()
    told, chance = Told(), random.Random(9)
    for _ in range(KILLS):
        edit_and_kill(path, told, chance)
        store = geopackage.open(path)
        assert store.epoch == epoch
        extra = store.seq() - since - told.edits
        assert extra in (0, 1)  # the one edit in flight may be there, whole
        level, alive = one(store, 1)["properties"]["levels"], set(fids(store))
        assert (level - told.level) + len(alive ^ told.alive) == extra
        assert store.layer("buildings").count == len(alive)
        newest = store.changes(store.seq() - 1)[0].fid
        assert newest is not None
        if newest in alive:
            assert store.revision("buildings", newest) == store.seq()
        told.edits += extra
        told.level, told.alive = level, alive
        store.close()
        sound(path)


def sound(path: Path) -> None:
    con = sqlite3.connect(path)
    assert con.execute("PRAGMA quick_check").fetchone() == ("ok",)
    stale = "SELECT count(*) FROM twin_json_buildings WHERE fid NOT IN (SELECT fid FROM buildings)"
    assert con.execute(stale).fetchone() == (0,)
    con.close()

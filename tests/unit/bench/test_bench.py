"""The parts of the bench that a figure stands on: the data, the reading of CPU, the page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely

from layers.batch import SOURCE_ID, WKB
from tests.bench import report
from tests.bench.data import FIELDS, Town
from tests.bench.measure import Turns, usage
from tests.bench.report import Row, at_most, part_of


def test_the_town_is_the_same_every_time() -> None:
    town = Town(3)
    first, second = list(town.batches()), list(town.batches())
    assert first == second
    assert sum(len(batch) for batch in first) == town.count == 576
    assert len(FIELDS) == 8


def test_its_buildings_are_valid_and_apart() -> None:
    (batch,) = Town(4).batches()
    shapes = shapely.from_wkb(np.array(batch[WKB], dtype=object))
    assert shapely.is_valid(shapes).all()
    positions = shapely.get_num_coordinates(shapes)
    assert (positions.min(), positions.max()) == (5, 9)
    assert len(set(batch[SOURCE_ID].to_pylist())) == len(shapes)
    met = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    assert (met[0] == met[1]).all()


@pytest.mark.parametrize("matches", [50, 2000])
def test_its_boxes_meet_about_as_many_as_they_say(matches: int) -> None:
    town = Town(16)
    shapes = np.concatenate([shapely.from_wkb(np.array(b[WKB], dtype=object)) for b in town.batches()])
    tree = shapely.STRtree(shapes)
    found = [len(tree.query(shapely.box(*box), predicate="intersects")) for box in town.boxes(matches, 24)]
    assert 0.8 * matches < min(found)
    assert max(found) < 1.2 * matches


_CHILD = """
import subprocess, sys, time
def spin():
    while time.process_time() < 0.3: pass
if sys.argv[1:] == ["child"]: spin()
else:
    subprocess.run([sys.executable, "-c", open(sys.argv[1]).read(), "child"])
    print("ended", flush=True); sys.stdin.read()
"""


def test_cpu_of_children_that_came_and_went_is_counted(tmp_path: Path) -> None:
    source = tmp_path / "child.py"
    source.write_text(_CHILD)
    parent = subprocess.Popen(
        [sys.executable, str(source), str(source)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        before = usage([parent.pid])
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ended\n"
        spent = usage([parent.pid]).since(before) / 1e9
    finally:
        parent.communicate("")
    assert 0.2 < spent < 3


SPENDING = """
import os, time
from tests.bench.measure import usage
outer = time.process_time()
before = usage([os.getpid()])
started = time.process_time()
while time.process_time() - started < 0.2:
    pass
spent = time.process_time() - started
used = usage([os.getpid()]).since(before) / 1e9
print(spent * 0.9 <= used <= (time.process_time() - outer) * 1.1, spent, used)
"""


def test_cpu_of_a_process_grows_by_what_it_spends() -> None:
    """In a process without children: those of this one work for other tests."""
    done = subprocess.run(
        [sys.executable, "-c", SPENDING], cwd=report.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("True"), done.stdout


def test_ratios_are_of_neighbours() -> None:
    found = Turns([[1.0, 2.0], [10.0, 20.0], [3.0, 30.0]])
    assert found.ratio(0, 1) == 0.5
    assert found.median(0) == 3.0


def test_goals_are_judged() -> None:
    assert at_most("a", 1.5, 1.5).met
    assert not at_most("a", 1.6, 1.5).met
    assert part_of("a", 1 / 50, 50).met
    assert not part_of("a", 1 / 49, 50).met
    assert "| a | 1/49.0 | ≤ 1/50 | **no** |" in report.table([part_of("a", 1 / 49, 50)])


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = report.ROOT / "docs" / "benchmarks.md"
    monkeypatch.setattr(report, "REPORT", tmp_path / "page.md")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    report.write({"large": report.table([Row("big", "1", "2")])})
    report.write({"features": "first"})
    report.write({"features": "second"})
    text = (tmp_path / "page.md").read_text("utf-8")
    assert "big" in text
    assert "second" in text
    assert "first" not in text
    assert text.index("second") < text.index("big")
    assert page.exists()

"""The house has no circles: neither among its folders (``make check``) nor among single modules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.support import ROOT

CONTRACT = """
[tool.importlinter]
root_package = "house"
[[tool.importlinter.contracts]]
name = "no circles"
type = "acyclic_siblings"
ancestors = ["house"]
"""
PLANTED = {
    "an import": {"a.py": "from house import b", "b.py": "from house import a"},
    "an import in a function": {"a.py": "from house import b", "b.py": "def f():\n    import house.a"},
    "an import for types": {
        "a.py": "from house import b",
        "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.a import x",
    },
    "two folders": {
        "a/one.py": "from house.b import one",
        "a/two.py": "",
        "b/one.py": "",
        "b/two.py": "from house.a import two",
    },
}


def circle(*packages: str) -> list[str]:
    """The modules of one import circle, or none. Imports in functions and for types count too."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    imports: Mapping[str, set[str]] = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_over_others() -> None:
    assert circle("layers", "tiles", "twin") == []


@pytest.mark.parametrize("files", PLANTED.values(), ids=PLANTED)
def test_a_planted_circle_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str]
) -> None:
    name = "house_" + tmp_path.name.replace("-", "_")  # grimp asks sys.modules' finders, which remember
    house = tmp_path / name
    for path, text in files.items():
        file = house / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("house", name))
        for folder in {house, file.parent}:
            (folder / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text(CONTRACT.replace("house", name))
    linter = Path(sys.executable).with_name("lint-imports")
    told = subprocess.run([linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 1, told.stderr
    assert "No cycles are allowed" in told.stdout
    monkeypatch.syspath_prepend(tmp_path)
    assert bool(circle(name)) == (len(files) == 2)


def test_make_check_runs_the_contract() -> None:
    assert "lint-imports" in (ROOT / "Makefile").read_text()
    assert (
        'type = "acyclic_siblings"\nancestors = ["layers", "tiles", "twin"]'
        in (ROOT / "pyproject.toml").read_text()
    )

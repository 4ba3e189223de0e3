"""However many features a file has, its writer keeps few of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from layers.write import FORMATS
from tests.support import ROOT

FEATURES = 100_000
#: Less than what the 40 000 features take that the second file has more, at 450 bytes each.
MOST_MB = 15


@pytest.mark.parametrize("name", FORMATS)
def test_memory_is_bounded(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("memory.py"), name, str(FEATURES), tmp_path],
        capture_output=True,
        text=True,
        timeout=150,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= MOST_MB
    assert done.stderr == ""

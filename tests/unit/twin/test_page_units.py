"""The page's own unit tests (``twin/web/app/tests``, run by vitest) are part of this run."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

APP = Path(__file__).parents[3] / "twin" / "web" / "app"


def test_the_unit_tests_of_the_page_pass(record_property: Callable[[str, object], None]):
    """Their counts stand in the summary of the run, their report is the failure's text."""
    runner = APP / "node_modules" / "vitest" / "vitest.mjs"
    assert runner.is_file(), "the page's tools are not installed: make env"
    node = Path(sys.executable).with_name("node")
    done = subprocess.run(
        [str(node), str(runner), "run", "--reporter=verbose"],
        cwd=APP,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    record_property("summary", ", ".join(re.findall(r"(?:Test Files|Tests) .*", done.stdout)))

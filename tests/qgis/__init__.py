"""The real QGIS, headless, in a process of its own: ``Qgis`` starts it and calls what ``program`` offers."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("program.py")
#: PyQGIS is made for the system's own Python.
PYTHON = Path("/usr/bin/python3")


class Refused(Exception):
    """QGIS could not do it, and says why."""


@functools.cache
def there() -> bool:
    """Whether QGIS can be asked on this machine."""
    find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('qgis') is None)"
    return PYTHON.exists() and subprocess.run([PYTHON, "-E", "-c", find], check=False).returncode == 0


class Qgis:
    """The process. Its calls are the methods of ``Program`` in ``program.py``: ``qgis.open("roads", source,
    "OAPIF")``. Refused where QGIS refuses; AssertionError where it does it and its log has a warning."""

    def __init__(self, folder: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GDAL", "PROJ"))}
        own = {
            "QT_QPA_PLATFORM": "offscreen",
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "LC_ALL": "C.UTF-8",
        }
        self._errors = folder / "stderr"
        with self._errors.open("wb") as errors:
            self._child = subprocess.Popen(
                [PYTHON, "-E", PROGRAM, folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment | own,
                cwd=folder,  # where GDAL keeps what it fetched
            )
        self.version: str = self._answer()["answer"]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return functools.partial(self._call, name)

    def _call(self, name: str, *words: Any, **named: Any) -> Any:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps([name, words, named]) + "\n")
        self._child.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise Refused("; ".join([answer["error"], *answer["said"]]))
        assert answer["said"] == [], f"QGIS says of {name}: {answer['said']}"
        return answer["answer"]

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, "QGIS ended: " + self._errors.read_text("utf-8", "replace")[-2000:]
        return json.loads(line)

    def end(self) -> None:
        """Leave QGIS as a person does, by its menu."""
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            pipe.close()
        self._child.wait(30)

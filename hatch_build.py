"""Wheels carry the built page: build it if it is missing, and fail rather than ship without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface[Any]):
    """Runs before hatchling collects files; the wheel must hold ``twin/web/static/index.html``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page when it is not there. An editable install is left alone."""
        root = Path(self.root)
        if version == "editable" or os.environ.get("TWIN_SKIP_PAGE") == "1":
            return
        index = root / "twin" / "web" / "static" / "index.html"
        if not index.is_file():
            self._build(root / "twin" / "web" / "app")
        if not index.is_file():
            raise RuntimeError(
                "the page is not built: run `make env` in the project folder, then build again"
            )

    def _build(self, app: Path) -> None:
        npm = self._npm()
        if npm is None or not (app / "package-lock.json").is_file():
            return
        path = f"{Path(npm).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([npm, *arguments], cwd=app, check=True, env={**os.environ, "PATH": path})

    @staticmethod
    def _npm() -> str | None:
        """npm of the environment that builds, else of the machine."""
        beside = Path(sys.executable).parent / "npm"
        return str(beside) if beside.is_file() else shutil.which("npm")

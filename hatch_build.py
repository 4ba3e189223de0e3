"""Wheels carry the page, built if it is missing, and the compiled kernel where it can be built."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface[Any]):
    """Runs before hatchling collects files; the wheel must hold ``twin/web/static/index.html``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the kernel; build the page when it is not there, unless the install is editable."""
        root = Path(self.root)
        if self.target_name == "wheel":
            self._compile(root, build_data)
        if version == "editable" or os.environ.get("TWIN_SKIP_PAGE") == "1":
            return
        index = root / "twin" / "web" / "static" / "index.html"
        if not index.is_file():
            self._build(root / "twin" / "web" / "app")
        if not index.is_file():
            raise RuntimeError(
                "the page is not built: run `make env` in the project folder, then build again"
            )

    def _compile(self, root: Path, build_data: dict[str, Any]) -> None:
        """The kernel beside its sources; a wheel with it is for this platform and every Python from 3.12."""
        spec = importlib.util.spec_from_file_location("kernel_build", root / "tiles" / "kernel" / "build.py")
        assert spec is not None
        assert spec.loader is not None
        kernel = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(kernel)
        reason = "TWIN_KERNEL=0" if os.environ.get("TWIN_KERNEL") == "0" else kernel.build()
        if reason is not None:
            self.app.display_warning(f"the kernel is not built, numpy does its work: {reason}")
            return
        build_data["artifacts"].append(kernel.FILE.relative_to(root).as_posix())
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp312-abi3-{platform}"

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

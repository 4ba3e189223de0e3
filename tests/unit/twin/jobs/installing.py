"""A kind of work of a package outside the project, installed for one test."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest

from twin.jobs import registry


def install(monkeypatch: pytest.MonkeyPatch, site: Path, module: str) -> None:
    """Leave the package as an installer does, where this process and those of the pool find packages."""
    (site / "toywork-1.dist-info").mkdir(parents=True)
    (site / "toywork-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: toywork\nVersion: 1\n")
    (site / "toywork-1.dist-info/entry_points.txt").write_text("[onemap_twin.works]\ntoy = toywork:WORK\n")
    (site / "toywork.py").write_text(module)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "toywork", raising=False)
    monkeypatch.setattr(registry, "known", cache(registry.known.__wrapped__))

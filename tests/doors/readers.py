"""A package with readers of its own, as an installer leaves it; one for all tests of a module: the
process that reads with it is started anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from layers.read import warm


@contextmanager
def installed(folder: Path, patch: pytest.MonkeyPatch, name: str, module: str) -> Iterator[Path]:
    """The package where the reading process finds packages; its module, while it is there."""
    site = folder / "site"
    (site / f"{name}-1.dist-info").mkdir(parents=True)
    (site / f"{name}-1.dist-info/METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (site / f"{name}-1.dist-info/entry_points.txt").write_text(
        f"[onemap_twin.readers]\n{name} = {name}:FORMATS\n"
    )
    (site / f"{name}.py").write_text(module)
    environment = warm.environment()
    reader = warm.WarmReader(environment | {"PYTHONPATH": f"{environment['PYTHONPATH']}:{site}"})
    patch.setattr(warm, "READER", reader)
    yield site / f"{name}.py"
    reader.close()

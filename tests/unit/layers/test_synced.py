"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from layers import synced


def test_a_text_takes_the_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "said.json"
    synced.replace(path, "one", 0o600)
    synced.replace(path, "zwei ä", 0o600)
    assert path.read_text("utf-8") == "zwei ä"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["said.json"]


def test_a_disk_that_is_full_leaves_it_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "said.json"
    synced.replace(path, "one")

    def full(handle: int) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        synced.replace(path, "two")
    assert path.read_text("utf-8") == "one"
    assert os.listdir(tmp_path) == ["said.json"]

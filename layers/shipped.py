"""The files that come with the project: ``config/`` of the checkout, ``layers/config`` of the wheel."""

from __future__ import annotations

from pathlib import Path

#: In the checkout a link to ``config/``.
_CONFIG = Path(__file__).parent / "config"


def folder(*names: str) -> Path:
    """A folder of ``config/``, as ``folder("themes")``."""
    return _CONFIG.joinpath(*names)

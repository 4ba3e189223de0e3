"""Ids of features in paths."""

from __future__ import annotations

from layers.errors import NotFound, shown


def feature_id(layer_id: str, text: str) -> int:
    """A feature id of a path. Raises NotFound for what no id can look like."""
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 20:
        fid = int(text)
        if str(fid) == text and abs(fid) < 2**63:
            return fid
    raise NotFound(f"layer {layer_id} has no feature {shown(text)!r}")

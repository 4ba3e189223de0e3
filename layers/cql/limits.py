"""What a filter may cost, before anything reads it."""

from __future__ import annotations

from typing import Any

MAX_BYTES = 8192
MAX_DEPTH = 32


def size(text: str) -> None:
    """Raises ValueError for a filter that is too long."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ValueError(f"a filter has at most {MAX_BYTES} bytes")


def depth(value: Any, room: int = MAX_DEPTH + 1) -> None:
    """Raises ValueError for JSON that nests deeper; coordinates and arguments count like objects."""
    level = [value]
    for _ in range(room * 2):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise ValueError(f"a filter nests at most {MAX_DEPTH} levels deep")

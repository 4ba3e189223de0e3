"""What a store remembers of its history outside itself: one put back to an earlier state is noticed by it."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest log row that was shown to anyone; of a store in a file, that file's inode."""

    epoch: str
    seq: int
    nonce: int
    inode: int = 0


def fresh_epoch() -> str:
    """48 random bits, hexadecimal."""
    return secrets.token_hex(6)


def parsed(text: bytes) -> Mark | None:
    """The mark that a text is, or None where it is none."""
    try:
        return Mark(**json.loads(text))
    except (ValueError, TypeError):
        return None


def read(path: Path | None) -> Mark | None:
    """The mark that was kept, or None when there is none that can be read."""
    try:
        return None if path is None else parsed(path.read_bytes())
    except OSError:
        return None

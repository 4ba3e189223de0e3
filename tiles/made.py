"""What is made once and sent many times."""

from __future__ import annotations

from dataclasses import dataclass

from isal import igzip


@dataclass(frozen=True, slots=True)
class Tile:
    """A made tile: gzipped body (empty when nothing is drawn), its ETag; of a vector tile how many features
    are merged in it, and whether properties that are not drawn were left out."""

    body: bytes
    etag: str
    merged: int = 0
    thin: bool = False

    @property
    def weight(self) -> int:
        """Bytes held, with the object around them."""
        return len(self.body) + 300

    def plain(self) -> bytes:
        """The body without compression."""
        return bytes(igzip.decompress(self.body)) if self.body else b""  # type: ignore[no-untyped-call]

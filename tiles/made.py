"""What is made once and sent many times."""

from __future__ import annotations

from dataclasses import dataclass

from isal import igzip


@dataclass(frozen=True, slots=True)
class Tile:
    """A made tile: gzipped body (empty when nothing is drawn), its ETag, features left out."""

    body: bytes
    etag: str
    dropped: int = 0

    @property
    def weight(self) -> int:
        """Bytes held, with the object around them."""
        return len(self.body) + 300

    def plain(self) -> bytes:
        """The body without compression."""
        return bytes(igzip.decompress(self.body)) if self.body else b""  # type: ignore[no-untyped-call]

"""What is made once and sent many times."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from isal import igzip

#: What a client reads beyond the plain form: bodies that are the same but for their place held once and drawn
#: there (``gpu``: EXT_mesh_gpu_instancing), vertices in few bytes (``meshopt``: EXT_meshopt_compression and
#: KHR_mesh_quantization), or both.
type Form = Literal["none", "gpu", "meshopt", "both"]
_GZIP_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Tile:
    """A made tile: gzipped body (empty when nothing is drawn), its ETag; of a vector tile how many features
    are merged in it, and whether properties that are not drawn were left out; of a node of a 3D tree how many
    features are more than it may have."""

    body: bytes
    etag: str
    merged: int = 0
    thin: bool = False
    beyond: int = 0

    @property
    def weight(self) -> int:
        """Bytes held, with the object around them."""
        return len(self.body) + 300

    def plain(self) -> bytes:
        """The body without compression."""
        return bytes(igzip.decompress(self.body)) if self.body else b""  # type: ignore[no-untyped-call]


def document(body: bytes, epoch: str) -> Tile:
    """A document of a store of that epoch, known by what it holds."""
    etag = f'"{epoch}-{zlib.crc32(body):08x}"'
    return Tile(igzip.compress(body, _GZIP_LEVEL, mtime=0), etag)

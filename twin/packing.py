"""gzip as it is sent: one member, at the fastest level of ISA-L that still shrinks JSON well."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

from isal import isal_zlib

#: The largest window (2^15), and 16 for a gzip header and trailer (zlib, deflateInit2).
_GZIP_WINDOW = 15 + 16
#: Below this many bytes packing a piece of a stream costs more than it saves.
_STORED = 512


def packer() -> Any:
    """A compressor of one gzip member (RFC 1952), level 1."""
    return isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP_WINDOW)


class Member:
    """A gzip member (RFC 1952) that is sent in pieces as they come, each made by :func:`piece`: what is told
    to many is packed once, and nothing is kept for a stream but two numbers."""

    BEGIN = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

    def __init__(self) -> None:
        self._crc = self._size = 0

    def holds(self, plain: bytes) -> None:
        """So many bytes were sent as a piece."""
        self._crc = zlib.crc32(plain, self._crc)
        self._size += len(plain)

    def end(self) -> bytes:
        """An empty last block (RFC 1951, section 3.2.6), and the trailer."""
        size = self._size & 0xFFFFFFFF
        return b"\x03\x00" + self._crc.to_bytes(4, "little") + size.to_bytes(4, "little")


def piece(plain: bytes) -> bytes:
    """Some bytes as deflate blocks (RFC 1951) that end with a whole byte and refer to none before them, so
    that they may stand in any stream; few bytes are stored as they are."""
    if len(plain) < _STORED:
        size = len(plain)
        return b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + plain
    packing = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
    packed: bytes = packing.compress(plain) + packing.flush(isal_zlib.Z_SYNC_FLUSH)
    return packed


@lru_cache(maxsize=8)
def shared_piece(plain: bytes) -> bytes:
    """As :func:`piece`, of what is told to many one after the other."""
    return piece(plain)

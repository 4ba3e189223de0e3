"""gzip as it is sent: one member, at the fastest level of ISA-L that still shrinks JSON well."""

from __future__ import annotations

from typing import Any

from isal import isal_zlib

#: The largest window (2^15), and 16 for a gzip header and trailer (zlib, deflateInit2).
_GZIP_WINDOW = 15 + 16


def packer() -> Any:
    """A compressor of one gzip member (RFC 1952), level 1."""
    return isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP_WINDOW)

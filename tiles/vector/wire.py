"""Protocol-buffer varints in bulk: the whole feature block of a tile is one array of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

type Words = NDArray[np.uint64]

_SEVEN = np.uint64(7)


def sizes(words: Words) -> NDArray[np.int64]:
    """Byte length of each varint, 1 to 10."""
    out = np.ones(len(words), np.int64)
    rest = words >> _SEVEN
    while rest.any():
        out += rest > 0
        rest >>= _SEVEN
    return out


def pack(words: Words) -> bytes:
    """The varints one after the other."""
    if not len(words):
        return b""
    lengths = sizes(words)
    ends = np.cumsum(lengths)
    out = np.empty(int(ends[-1]), np.uint8)
    at = ends - lengths
    rest = words
    while True:
        more = lengths > 1
        out[at] = (rest & np.uint64(0x7F)).astype(np.uint8) | (more.astype(np.uint8) << 7)
        if not more.any():
            return out.tobytes()
        rest, at, lengths = rest[more] >> _SEVEN, at[more] + 1, lengths[more] - 1


def zigzag(values: NDArray[np.int64]) -> Words:
    """Signed parameters as MVT 2.1 clause 4.3.2 writes them."""
    return ((values << 1) ^ (values >> 63)).astype(np.uint64)

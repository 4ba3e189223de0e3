"""EXT_meshopt_compression: the codecs ATTRIBUTES (version 0) and INDICES, whole arrays at a time.

The extension's appendix A: https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Vendor/EXT_meshopt_compression
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

type Bytes = NDArray[np.uint8]

_GROUP, _BLOCK = 16, 256
#: Elements of more bytes have smaller blocks.
MOST_STRIDE = 32
_TAIL = 32
#: Bytes of the longest group: two of its forms, with what does not fit into their bits behind these.
_WIDEST = 24


def attributes(rows: Bytes) -> bytes:
    """Elements (n, stride) of bytes, n > 0, stride a multiple of 4 up to ``MOST_STRIDE``."""
    n, stride = rows.shape
    step = np.diff(rows, axis=0, prepend=rows[:1]).view(np.int8)
    zigzag = ((step << 1) ^ (step >> 7)).view(np.uint8)
    groups = -(-n // _GROUP)
    padded = np.zeros((groups * _GROUP, stride), np.uint8)
    padded[:n] = zigzag
    values = padded.reshape(groups, _GROUP, stride).transpose(2, 0, 1)
    data, sizes, forms = _groups(values.reshape(-1, _GROUP))
    # of each block the bytes at one place of its elements come together, after what forms their groups have
    per = _BLOCK // _GROUP
    blocks = -(-groups // per)
    of = np.arange(groups) // per
    place = (of * stride)[None] + np.arange(stride)[:, None]
    in_block = np.minimum(per, groups - of * per)
    first = of * per * stride
    at = first[None] + np.arange(stride)[:, None] * in_block[None] + (np.arange(groups) - of * per)[None]
    at = (at + place + 1).ravel()
    rows_out = np.zeros((groups * stride + blocks * stride, _WIDEST), np.uint8)
    lengths = np.zeros(len(rows_out), np.int64)
    rows_out[at], lengths[at] = data, sizes
    marks = np.zeros((stride, blocks * per), np.uint8)
    marks[:, :groups] = forms.reshape(stride, groups)
    shifted = marks.reshape(stride, blocks, per // 4, 4) << np.array([0, 2, 4, 6], np.uint8)
    heads = np.bitwise_or.reduce(shifted, axis=3)
    counts = np.minimum(per, groups - np.arange(blocks) * per)
    head_at = (np.arange(blocks) * (per + 1) * stride)[None] + np.arange(stride)[:, None] * (counts + 1)[None]
    rows_out[head_at.ravel(), : per // 4] = heads.reshape(-1, per // 4)
    lengths[head_at.ravel()] = np.tile(-(-counts // 4), stride)
    packed = rows_out[np.arange(_WIDEST) < lengths[:, None]]
    tail = bytes(max(0, _TAIL - stride)) + rows[0].tobytes()
    return b"".join((b"\xa0", packed.tobytes(), tail))


def _groups(values: Bytes) -> tuple[Bytes, NDArray[np.int64], Bytes]:
    """Groups (g, 16) in the shortest of their four forms: bytes (g, 24), how many of them count, the form."""
    words = np.ascontiguousarray(values).view(np.uint64)
    used = np.flatnonzero(words[:, 0] | words[:, 1])
    out, sizes = np.zeros((len(values), _WIDEST), np.uint8), np.zeros(len(values), np.int64)
    forms = np.zeros(len(values), np.uint8)
    out[used], sizes[used], forms[used] = _filled(values[used])
    return out, sizes, forms


def _filled(values: Bytes) -> tuple[Bytes, NDArray[np.int64], Bytes]:
    """As :func:`_groups`, of groups that are not zero all."""
    few, half = values >= 3, values >= 15
    sizes = np.stack([4 + few.sum(axis=1), 8 + half.sum(axis=1), np.full(len(values), _GROUP)])
    forms = (sizes.argmin(axis=0) + 1).astype(np.uint8)
    out = np.zeros((len(values), _WIDEST), np.uint8)
    out[forms == 3, :_GROUP] = values[forms == 3]
    for form, most, bits, beyond in ((1, 3, 2, few), (2, 15, 4, half)):
        mine = np.flatnonzero(forms == form)
        each, rest, width = values[mine], beyond[mine], _GROUP * bits // 8
        codes = np.minimum(each, most).reshape(len(mine), width, 8 // bits)
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        out[mine, :width] = np.bitwise_or.reduce(codes << shifts, axis=2)
        row, column = np.nonzero(rest)
        rank = (np.cumsum(rest, axis=1) - 1)[row, column]
        out[mine[row], width + rank] = each[row, column]
    return out, sizes[forms - 1, np.arange(len(values))], forms


def indices(sequence: NDArray[np.int64]) -> bytes:
    """Indices (n,) below 2²⁹ as a sequence of differences."""
    step = np.diff(sequence, prepend=0)
    # the lowest bit says to which of two bases a difference is: always to the first
    values = ((step << 1) ^ (step >> 63)) << 1
    width = max(1, -(-int(values.max(initial=0)).bit_length() // 7))
    sevens = values[:, None] >> np.arange(0, 7 * width, 7)
    out = (sevens & 0x7F).astype(np.uint8)
    more = sevens[:, 1:] > 0
    out[:, :-1] |= more.astype(np.uint8) << 7
    keep = np.ones(out.shape, bool)
    keep[:, 1:] = more
    return b"\xd1" + out[keep].tobytes() + bytes(4)

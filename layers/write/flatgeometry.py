"""Geometries as FlatGeobuf has them: FlatBuffers tables of flat vectors, made from WKB without parsing
the positions, which both have as interleaved doubles.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np

from layers.errors import Conflict
from layers.write import shapes
from layers.write.flatbuffer import padded

_COUNT = struct.Struct("<I")

_POINT, _LINE, _POLYGON, _POINTS, _LINES, _POLYGONS = 1, 2, 3, 4, 5, 6
#: The type that a geometry of one part can be given as.
MULTI = {_POINT: _POINTS, _LINE: _LINES, _POLYGON: _POLYGONS}

_AREAS = (_POLYGON, _POLYGONS)

# A vtable of 8 entries (20 bytes), the table Geometry at byte 20, the length of xy, then xy at byte 48.
_GEOMETRY = struct.Struct("<10HiIIIIB3xI")
_TABLE, _ENDS, _XY, _Z, _PARTS, _TYPE, _BODY = 20, 24, 28, 32, 36, 40, 48


def encode(wkb: bytes, wanted: int, high: bool) -> bytes:
    """ISO WKB as a piece whose table is at byte 20; nothing for bytes that cannot be read.

    ``wanted`` is the type that the header promises (0: each its own), ``high`` whether it promises
    heights. A single geometry becomes a multi one of one part. Raises Conflict for any other."""
    plain = _PLAIN.get(wanted)
    if plain is not None and not high and wkb.startswith(plain[0]):
        head, start = plain[1:]
        n = (len(wkb) - start) >> 4
        counted = n == 1 if wanted == _POINT else int.from_bytes(wkb[start - 4 : start], "little") == n
        closed = wanted not in _AREAS or wkb[start : start + 16] == wkb[-16:]
        if counted and closed and n > 0 and len(wkb) == start + 16 * n:
            return b"".join((head, _COUNT.pack(2 * n), wkb[start:]))
    kind = shapes.kind(wkb)
    has, code = kind > 1000, kind % 1000
    try:
        made, end = _READ[code](wkb, 0, has, high)
    except (struct.error, KeyError, ValueError, RecursionError):
        return b""
    if end != len(wkb):
        return b""
    if wanted in (0, code) and high >= has:
        return made
    if MULTI.get(code) != wanted or high < has:
        raise Conflict("the geometries of the layer changed while they were read; try again")
    # the positions of one point or line are those of a multi geometry of one part
    return _join(_POLYGONS, [made]) if code == _POLYGON else made


type _Made = tuple[bytes, int]


def _point(wkb: bytes, at: int, high: bool, wanted: bool) -> _Made:
    end = at + (29 if high else 21)
    return _pack(_POINT, wkb[at + 5 : end], 1, high, wanted), end


def _line(wkb: bytes, at: int, high: bool, wanted: bool) -> _Made:
    coordinates, n, end = _positions(wkb, at + 5, high)
    return _pack(_LINE, coordinates, n, high, wanted), end


def _polygon(wkb: bytes, at: int, high: bool, wanted: bool) -> _Made:
    return _rings(_POLYGON, wkb, at, 0, high, wanted)


def _lines(wkb: bytes, at: int, high: bool, wanted: bool) -> _Made:
    return _rings(_LINES, wkb, at, 5, high, wanted)


def _rings(code: int, wkb: bytes, at: int, head: int, high: bool, wanted: bool) -> _Made:
    """Rings, or lines each with a head of its own: all positions, and where each one ends."""
    (count,) = _COUNT.unpack_from(wkb, at + 5)
    end, total = at + 9, 0
    parts, ends = [], []
    for _ in range(count):
        coordinates, n, end = _positions(wkb, end + head, high)
        if code == _POLYGON and not _is_closed(coordinates, n):
            raise ValueError("an open ring")
        total += n
        parts.append(coordinates)
        ends.append(total)
    if count == 1:
        return _pack(code, parts[0], total, high, wanted), end
    return _pack(code, b"".join(parts), total, high, wanted, ends), end


def _points(wkb: bytes, at: int, high: bool, wanted: bool) -> _Made:
    (count,) = _COUNT.unpack_from(wkb, at + 5)
    step = 29 if high else 21
    start = at + 9
    end = start + count * step
    if end > len(wkb):
        raise struct.error
    coordinates = b"".join([wkb[i + 5 : i + step] for i in range(start, end, step)])
    return _pack(_POINTS, coordinates, count, high, wanted), end


def _collected(code: int) -> Callable[[bytes, int, bool, bool], _Made]:
    def read(wkb: bytes, at: int, high: bool, wanted: bool) -> _Made:
        (count,) = _COUNT.unpack_from(wkb, at + 5)
        parts, end = [], at + 9
        for _ in range(count):
            inner = _COUNT.unpack_from(wkb, end + 1)[0] % 1000
            part, end = _READ[inner](wkb, end, high, wanted)
            parts.append(part)
        return _join(code, parts), end

    return read


_READ: dict[int, Callable[[bytes, int, bool, bool], _Made]] = {
    _POINT: _point,
    _LINE: _line,
    _POLYGON: _polygon,
    _POINTS: _points,
    _LINES: _lines,
    _POLYGONS: _collected(_POLYGONS),
    shapes.COLLECTION: _collected(shapes.COLLECTION),
}


def _positions(wkb: bytes, at: int, high: bool) -> tuple[bytes, int, int]:
    """A counted run of positions: their bytes, how many, and where it ends."""
    (n,) = _COUNT.unpack_from(wkb, at)
    end = at + 4 + n * (24 if high else 16)
    return wkb[at + 4 : end], n, end


def _is_closed(coordinates: bytes, n: int) -> bool:
    """Whether a ring ends where it begins, in the plane: other programs store open ones, which no reader of
    ours takes either."""
    last = len(coordinates) // n * (n - 1) if n else 0
    first_at, last_at = coordinates[:16], coordinates[last : last + 16]
    return first_at == last_at or struct.unpack("<2d", first_at) == struct.unpack("<2d", last_at)


def _pack(
    code: int, coordinates: bytes, n: int, high: bool, wanted: bool, ends: Sequence[int] | None = None
) -> bytes:
    """A geometry of n positions. Heights that the header promises and a geometry lacks are 0, as GDAL gives
    them: there is no word for none, a ring of NaN is open to it, and what it makes of such is no geometry."""
    z = b""
    if high:
        values = np.frombuffer(coordinates, "<f8").reshape(-1, 3)
        coordinates = values[:, :2].tobytes()
        z = np.where(np.isnan(values[:, 2]), 0.0, values[:, 2]).tobytes() if wanted else b""
    elif wanted:
        z = bytes(8 * n)
    end = _BODY + len(coordinates)
    pieces = [coordinates]
    at_z = at_ends = 0
    if z:
        at_z = end + 4  # so that the doubles after the length lie on a multiple of 8
        pieces += [b"\0\0\0\0", _COUNT.pack(n), z]
        end += 8 + len(z)
    if ends:
        at_ends = end
        pieces.append(struct.pack(f"<{1 + len(ends)}I", len(ends), *ends))
    head = _GEOMETRY.pack(
        *(
            _TABLE,
            _TYPE + 4 - _TABLE,
            _ENDS - _TABLE if at_ends else 0,
            _XY - _TABLE,
            _Z - _TABLE if at_z else 0,
        ),
        *(0, 0, 0, _TYPE - _TABLE, 0, _TABLE),
        *(at_ends - _ENDS if at_ends else 0, _BODY - 4 - _XY, at_z - _Z if at_z else 0, 0, code, 2 * n),
    )
    return padded(b"".join([head, *pieces]))


def _join(code: int, parts: Sequence[bytes]) -> bytes:
    """A geometry of geometries."""
    start = _BODY + 4 + 4 * len(parts)
    start += -start % 8
    offsets, end = [], start
    for index, part in enumerate(parts):
        offsets.append(end + _TABLE - (_BODY + 4 + 4 * index))
        end += len(part)
    head = _GEOMETRY.pack(
        *(_TABLE, _TYPE + 4 - _TABLE, 0, 0, 0, 0, 0, 0, _TYPE - _TABLE, _PARTS - _TABLE, _TABLE),
        *(0, 0, 0, _BODY - _PARTS, code, 0),
    )
    return padded(head + struct.pack(f"<{1 + len(parts)}I", len(parts), *offsets)) + b"".join(parts)


def _head(code: int) -> bytes:
    """A geometry of flat positions in one part, up to the number of its ordinates."""
    return _pack(code, b"", 0, False, False)[: _BODY - 4]


def _wkb_head(*codes: int) -> bytes:
    return b"".join(struct.pack("<BII", 1, code, 1) for code in codes)


#: Type → how the WKB of the commonest geometry of a layer begins (flat, in one part), how its table
#: does, and where its positions begin: most geometries need no more than this.
_PLAIN: dict[int, tuple[bytes, bytes, int]] = {
    _POINT: (struct.pack("<BI", 1, _POINT), _head(_POINT), 5),
    _LINE: (struct.pack("<BI", 1, _LINE), _head(_LINE), 9),
    _POLYGON: (_wkb_head(_POLYGON), _head(_POLYGON), 13),
    _LINES: (_wkb_head(_LINES) + struct.pack("<BI", 1, _LINE), _head(_LINES), 18),
    _POLYGONS: (_wkb_head(_POLYGONS, _POLYGON), _join(_POLYGONS, [b""]) + _head(_POLYGON), 22),
}

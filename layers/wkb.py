"""Geometries out of bytes that any program may have stored.

No native parser sees bytes that :func:`fault` has not gone through: GEOS and GDAL call themselves for each
geometry inside another, so that some thousand of them end the process.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from layers import wkb_arrays

#: Geometries inside one another, the outermost counted; what people draw has three.
MOST_DEPTH = 16
TOO_DEEP = f"the geometry holds geometries inside one another more than {MOST_DEPTH} deep"
SHORT = "the geometry's bytes end before what they announce"
NO_WKB = "the geometry's bytes are no well-known binary"

#: Names of the type codes (ISO 13249-3, OGC 06-103r4 table 7).
NAMES = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
    8: "CircularString",
    9: "CompoundCurve",
    10: "CurvePolygon",
    11: "MultiCurve",
    12: "MultiSurface",
    15: "PolyhedralSurface",
    16: "TIN",
    17: "Triangle",
}
_POINT, _LINES, _RINGS = 1, frozenset({2, 8}), frozenset({3, 17})
_INT = {0: struct.Struct(">I"), 1: struct.Struct("<I")}
#: Geometries from which they are gone through at once.
FEW = 64
#: Bytes of the smallest geometry inside another: byte order, type, count.
_LEAST = 9


def _forms() -> dict[int, tuple[int, int, int]]:
    """Type code as written → (type, bytes of a position, bytes before what follows): in thousands as ISO
    13249-3 has heights and measures, or in the high bits as EWKB has them and the SRID."""
    forms = {}
    for base in NAMES:
        for thousand in range(4):
            for flags in range(8):
                high, measured = thousand & 1 or flags & 4, thousand & 2 or flags & 2
                width = 16 + 8 * bool(high) + 8 * bool(measured)
                head = 9 if flags & 1 else 5
                forms[base + 1000 * thousand + (flags << 29)] = base, width, head
    return forms


_FORMS = _forms()
#: The first five bytes of little-endian ISO points, lines and polygons, which is what most geometries are.
_PLAIN = {
    struct.pack("<BI", 1, base + 1000 * thousand): _FORMS[base + 1000 * thousand][:2]
    for base in (1, 2, 3)
    for thousand in range(4)
}


def fault(wkb: bytes) -> str | None:
    """Why WKB or EWKB cannot be read: nested too deep, shorter than its counts say, of no known type.

    Goes through the heads of all geometries and rings, never through their positions."""
    plain = _PLAIN.get(wkb[:5])
    if plain is not None:
        return _plain(wkb, *plain)
    size, at = len(wkb), 0
    left = [1]  # geometries still to come, a level
    try:
        while left:
            if not left[-1]:
                left.pop()
                continue
            left[-1] -= 1
            number = _INT[wkb[at]].unpack_from
            base, width, head = _FORMS[number(wkb, at + 1)[0]]
            at += head
            if base == _POINT:
                at += width
                continue
            count = number(wkb, at)[0]
            at += 4
            if base in _LINES:
                at += count * width
            elif base in _RINGS:
                if count * 4 > size - at:
                    return SHORT
                for _ in range(count):
                    at += 4 + number(wkb, at)[0] * width
            else:
                if count * _LEAST > size - at:
                    return SHORT
                if count and len(left) >= MOST_DEPTH:
                    return TOO_DEEP
                left.append(count)
    except (IndexError, struct.error):
        return SHORT
    except KeyError:
        return NO_WKB
    return SHORT if at > size else None


def faults(wkb: Sequence[bytes]) -> list[str | None]:
    """The :func:`fault` of each."""
    return sifted(wkb, 0, fault)


def sifted(
    blobs: Sequence[bytes],
    heads: NDArray[np.int64] | int,
    fault: Callable[[bytes], str | None],
) -> list[str | None]:
    """The fault of each blob whose WKB begins after so many bytes: those of the common forms are gone through
    at once, the others one by one."""
    if len(blobs) < FEW:
        return [fault(blob) for blob in blobs]
    data, offsets = wkb_arrays.joined(blobs)
    plain = wkb_arrays.parts(data, offsets[:-1] + heads, offsets[1:]).plain
    found: list[str | None] = [None] * len(blobs)
    for at in np.flatnonzero(~plain).tolist():
        found[at] = fault(blobs[at])
    return found


def _plain(wkb: bytes, base: int, width: int) -> str | None:
    """:func:`fault` of a point, line or polygon alone."""
    size = len(wkb)
    if base == _POINT:
        return None if size >= 5 + width else SHORT
    if size < _LEAST:
        return SHORT
    count, at = _INT[1].unpack_from(wkb, 5)[0], 9
    if base in _LINES:
        return None if at + count * width <= size else SHORT
    if count * 4 > size - at:
        return SHORT
    for _ in range(count):
        if at + 4 > size:
            return SHORT
        at += 4 + _INT[1].unpack_from(wkb, at)[0] * width
    return None if at <= size else SHORT


def kind_of(head: bytes) -> str | None:
    """The name of the type that the first five bytes tell, None where they tell none."""
    order = _INT.get(head[0]) if len(head) >= 5 else None
    form = _FORMS.get(order.unpack_from(head, 1)[0]) if order else None
    return NAMES[form[0]] if form else None


def parts(wkb: bytes) -> Iterator[tuple[str, list[NDArray[np.float64]]]]:
    """Each geometry in what :func:`fault` found nothing in, the outermost first: the name of its type, and of
    a polygon or triangle its rings, positions (n, 2 to 4)."""
    at, left = 0, 1
    while left:
        left -= 1
        order = "<" if wkb[at] else ">"
        number = _INT[wkb[at]].unpack_from
        base, width, head = _FORMS[number(wkb, at + 1)[0]]
        at += head
        if base == _POINT:
            at += width
            yield NAMES[base], []
            continue
        count = number(wkb, at)[0]
        at += 4
        rings = []
        if base in _LINES:
            at += count * width
        elif base in _RINGS:
            for _ in range(count):
                size = number(wkb, at)[0]
                flat = np.frombuffer(wkb, f"{order}f8", size * width // 8, at + 4)
                rings.append(flat.reshape(size, width // 8).astype(np.float64))
                at += 4 + size * width
        else:
            left += count
        yield NAMES[base], rings


def shapes(wkb: Sequence[bytes | None], on_invalid: Literal["ignore", "fix"] = "ignore") -> NDArray[Any]:
    """WKB or EWKB as an object array of shapely geometries; None for null and for what cannot be read:
    bytes with a :func:`fault`, and the curves and surfaces that shapely has no types for.

    ``fix`` closes open rings instead of giving them up."""
    import shapely

    given = [one for one in wkb if one is not None]
    wrong = iter(faults(given))
    sound = [None if one is None or next(wrong) else one for one in wkb]
    try:
        # a signalling NaN is the data's, and is found with what else is not finite
        with np.errstate(invalid="ignore"):
            return np.asarray(shapely.from_wkb(sound, on_invalid=on_invalid), dtype=object)
    except NotImplementedError:
        # what shapely raises for a curve; it ends the call for the others, too
        parsed = np.empty(len(sound), object)
        parsed[:] = [_shape(one, on_invalid) for one in sound]
        return parsed


def shape(wkb: bytes | None) -> Any:
    """As :func:`shapes`, for one."""
    return None if wkb is None or fault(wkb) else _shape(wkb, "ignore")


def _shape(wkb: bytes | None, on_invalid: Literal["ignore", "fix"]) -> Any:
    """One geometry; None for a curve, for which shapely raises although it is to ignore what is invalid."""
    import shapely

    try:
        return shapely.from_wkb(wkb, on_invalid=on_invalid)
    except NotImplementedError:
        return None


def without_measures(shapes: NDArray[Any]) -> NDArray[Any]:
    """Shapely geometries without M, which no layer keeps; their heights stay."""
    import shapely

    measured = shapely.has_m(shapes)
    if not measured.any():
        return shapes
    out = shapes.copy()
    high = measured & shapely.has_z(shapes)
    # through WKB: shapely.transform makes heights beside measures NaN, and force_3d zero
    out[high] = shapely.from_wkb(shapely.to_wkb(shapes[high], output_dimension=3))
    out[measured & ~high] = shapely.force_2d(shapes[measured & ~high])
    return out

"""GeoPackage geometry blobs (OGC 12-128r18 clause 2.1.3): a header, then ISO WKB.

Blobs are written exactly as GDAL writes them (little-endian, XY envelope, XYZ where the geometry
has heights, none for points), so that a row another program saved unchanged stays byte-equal.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layers import flat
from layers import wkb as wkb_

if TYPE_CHECKING:
    import pyarrow as pa

SRS_ID = 4326

_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
_HEAD = struct.Struct("<2sBBi")
_XY = struct.Struct("<4d")
_XYZ = struct.Struct("<6d")
_EMPTY = 0x10
_POINT_HEADS = np.dtype([("magic", "S2"), ("version", "u1"), ("flags", "u1"), ("srs", "<i4")])
_BOX_HEADS = np.dtype([*_POINT_HEADS.descr, ("box", "<f8", 4)])

#: (minx, maxx, miny, maxy), the order of the envelope and of the R-tree.
type Envelope = tuple[float, float, float, float]


def encode(geometries: NDArray[Any], srs_id: int = SRS_ID) -> list[bytes]:
    """Shapely geometries (object array, none missing) as GeoPackage blobs."""
    import shapely

    wkb = shapely.to_wkb(geometries, byte_order=1, flavor="iso")
    bounds = shapely.bounds(geometries).tolist()
    bare = ((shapely.get_type_id(geometries) == 0) | shapely.is_empty(geometries)).tolist()
    empty = shapely.is_empty(geometries).tolist()
    heights = _height_ranges(geometries)
    return [
        _header(bare[i], empty[i], bounds[i], heights[i] if heights else None, srs_id) + wkb[i]
        for i in range(len(geometries))
    ]


def column(wkb: pa.Array, shapes: flat.Flat, boxes: NDArray[np.float64]) -> list[bytes]:
    """Flat geometries as blobs: their little-endian ``wkb``, and ``boxes`` (n, 4: minx, maxx, miny, maxy)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    points = shapes.kinds == flat.POINT
    if points.any() and not points.all():
        return encode(wkb_.shapes(wkb.to_pylist()))
    heads = np.zeros(len(wkb), _POINT_HEADS if points.all() else _BOX_HEADS)
    heads["magic"], heads["flags"], heads["srs"] = b"GP", 0x01 if points.all() else 0x03, SRS_ID
    if not points.all():
        heads["box"] = boxes
    size = heads.dtype.itemsize
    before = flat.binary(heads.view(np.uint8), np.arange(len(wkb) + 1) * size)
    blobs: list[bytes] = pc.binary_join_element_wise(before, wkb, pa.scalar(b"", pa.binary())).to_pylist()
    return blobs


def _header(
    bare: bool, empty: bool, bounds: Sequence[float], height: tuple[float, float] | None, srs_id: int
) -> bytes:
    if bare:
        return _HEAD.pack(b"GP", 0, 1 | (_EMPTY if empty else 0), srs_id)
    minx, miny, maxx, maxy = bounds
    if height is None:
        return _HEAD.pack(b"GP", 0, 0x03, srs_id) + _XY.pack(minx, maxx, miny, maxy)
    return _HEAD.pack(b"GP", 0, 0x05, srs_id) + _XYZ.pack(minx, maxx, miny, maxy, *height)


def _height_ranges(geometries: NDArray[Any]) -> list[tuple[float, float] | None] | None:
    import shapely

    has_z = shapely.has_z(geometries)
    if not has_z.any():
        return None
    ranges: list[tuple[float, float] | None] = [None] * len(geometries)
    for i in np.flatnonzero(has_z).tolist():
        z = shapely.get_coordinates(geometries[i], include_z=True)[:, 2]
        ranges[i] = (float(z.min()), float(z.max())) if len(z) else None
    return ranges


def wkb(blob: bytes) -> bytes:
    """The WKB inside a blob. Raises ValueError on bytes that are not a GeoPackage geometry."""
    if len(blob) < 13 or blob[:2] != b"GP":
        raise ValueError("not a GeoPackage geometry")
    kind = (blob[3] >> 1) & 7
    if kind > 4:
        raise ValueError("not a GeoPackage geometry")
    return blob[8 + _ENVELOPE_BYTES[kind] :]


def fault(blob: object) -> str | None:
    """Why what lies in a geometry column cannot be read; see :func:`layers.wkb.fault`."""
    if not isinstance(blob, bytes) or len(blob) < 13 or blob[:2] != b"GP" or (blob[3] >> 1) & 7 > 4:
        return "the geometry is no GeoPackage geometry"
    return wkb_.fault(blob[8 + _ENVELOPE_BYTES[(blob[3] >> 1) & 7] :])


def faults(blobs: Sequence[bytes]) -> list[str | None]:
    """The :func:`fault` of each."""
    if len(blobs) < wkb_.FEW or not all(isinstance(one, bytes) and len(one) >= 13 for one in blobs):
        return [fault(one) for one in blobs]
    magic = b"".join([one[:4] for one in blobs])
    heads = np.frombuffer(magic, np.uint8).reshape(-1, 4)
    kinds = heads[:, 3] >> 1 & 7
    if (heads[:, :2] != np.frombuffer(b"GP", np.uint8)).any() or (kinds > 4).any():
        return [fault(one) for one in blobs]
    return wkb_.sifted(blobs, 8 + np.array(_ENVELOPE_BYTES)[kinds], fault)


def present(blob: bytes | None) -> bytes | None:
    """The WKB inside a blob that has no :func:`fault`; None for a null or an empty one."""
    return None if blob is None or blob[3] & _EMPTY else blob[8 + _ENVELOPE_BYTES[(blob[3] >> 1) & 7] :]


def envelope(blob: bytes | None) -> Envelope | None:
    """The box of a blob, from its header if it is there, else from the WKB; None when empty or unreadable."""
    if not isinstance(blob, bytes) or len(blob) < 13 or blob[:2] != b"GP" or blob[3] & _EMPTY:
        return None
    order = "<" if blob[3] & 1 else ">"
    if (blob[3] >> 1) & 7 in (1, 2, 3, 4) and len(blob) >= 40:
        box: Envelope = struct.unpack_from(order + "4d", blob, 8)
        return None if box[0] != box[0] else box
    if len(blob) >= 29 and blob[8:13] in (b"\x01\x01\x00\x00\x00", b"\x01\xe9\x03\x00\x00"):
        x, y = struct.unpack_from("<2d", blob, 13)
        return None if x != x else (x, x, y, y)
    return _parsed_envelope(blob)


def _parsed_envelope(blob: bytes) -> Envelope | None:
    shape = wkb_.shape(_wkb_or_none(blob))
    if shape is None or shape.is_empty:
        return None
    minx, miny, maxx, maxy = shape.bounds
    return minx, maxx, miny, maxy


def shapes(blobs: Sequence[bytes | None]) -> NDArray[Any]:
    """Blobs as an object array of shapely geometries; None for null, or for one that cannot be read."""
    return wkb_.shapes([_wkb_or_none(b) for b in blobs])


def _wkb_or_none(blob: bytes | None) -> bytes | None:
    try:
        return None if blob is None else wkb(blob)
    except (ValueError, TypeError):
        return None

"""Surfaces of a DXF drawing (3DFACE, polyface and polygon meshes) by GDAL, which the reading process has:
trimesh reads the lines of a drawing only. One thing a layer of the drawing."""

from __future__ import annotations

import struct
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from layers import wkb
from layers.errors import BadFile
from layers.read.meshes.counting import check_marks
from layers.read.meshes.model import Floats, Indices, Piece, Scene, Thing, damaged, fanned
from layers.read.pictures import Images

_FACES = frozenset({"Polygon", "Triangle"})
#: A polygon with heights, as ISO 19125 numbers it (OGC 06-103r4, 8.2.3).
_POLYGON_Z = 1003
#: Bytes in which a file's end mark stands.
_END = 4096


def load(path: Path, _images: Images) -> Scene:
    """Read a file. Raises BadFile mesh.damaged, dxf.faces, limit.triangles, limit.positions."""
    import pyogrio
    import pyogrio.errors

    check_marks(path, b"3DFACE", b"\nVERTEX")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END))
        if not file.read().rstrip(b"\0\x1a \t\r\n").endswith(b"EOF"):
            raise damaged("it ends before its end mark (EOF): it is cut off")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rings that are not closed, which 3DFACE never are
            _, table = pyogrio.read_arrow(str(path), columns=["Layer"])
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, RuntimeError) as error:
        raise damaged(error) from error
    layers = table["Layer"].fill_null("").combine_chunks().dictionary_encode()
    names, layer = layers.dictionary.to_pylist(), layers.indices.to_numpy()
    blobs = table.column(table.schema.names[-1]).combine_chunks()
    faces: dict[str, list[Floats]] = defaultdict(list)
    alike = np.zeros(len(blobs), bool)
    for rows, corners in _alike(blobs):
        alike[rows] = True
        order = np.argsort(layer[rows], kind="stable")
        for some in np.split(order, np.flatnonzero(np.diff(layer[rows[order]])) + 1):
            faces[names[layer[rows[some[0]]]] or "0"].append(corners[some])
    other = 0
    for row in np.flatnonzero(~alike).tolist():
        blob = blobs[row].as_py()
        parts = [] if blob is None else wkb.parts(blob)
        rings = [ring for kind, own in parts if kind in _FACES for ring in own[:1]]
        whole = [ring[None, :-1, :3] for ring in rings if ring.shape[1] > 2 and len(ring) > 3]
        other += not whole
        if whole:
            faces[names[layer[row]] or "0"] += whole
    things = [Thing(name, [_piece(rings)]) for name, rings in faces.items()]
    if not things:
        reason = f"the drawing has no surface in space among its {other} entities"
        raise BadFile("dxf.faces", f"{reason}; export it with 3DFACE or polyface meshes")
    return Scene("DXF", things)


def _alike(blobs: Any) -> Iterator[tuple[Indices, Floats]]:
    """Rows of polygons of a single ring that have the same number of corners, and these (n, k, 3): those of
    3DFACEs, which would be gone through one by one for the most part of the time."""
    _, offsets, data = blobs.buffers()
    kind = np.int64 if pa.types.is_large_binary(blobs.type) else np.int32
    ends = np.frombuffer(offsets, kind, len(blobs) + 1, blobs.offset * np.dtype(kind).itemsize)
    held = np.frombuffer(data, np.uint8)
    begins, sizes = ends[:-1].astype(np.int64), np.diff(ends)
    for count in (4, 5):
        head = np.frombuffer(struct.pack("<BIII", 1, _POLYGON_Z, 1, count), np.uint8)
        rows = np.flatnonzero(sizes == len(head) + 24 * count)
        rows = rows[(held[begins[rows, None] + np.arange(len(head))] == head).all(axis=1)]
        numbers = held[(begins[rows] + len(head))[:, None] + np.arange(24 * (count - 1))]
        if len(rows):
            yield rows, numbers.view("<f8").reshape(len(rows), count - 1, 3)


def _piece(several: list[Floats]) -> Piece:
    """Faces (n, k, 3) of three or more corners."""
    triangles, first = [], 0
    for faces in several:
        count, sides = faces.shape[:2]
        triangles.append(fanned(first + np.arange(count * sides).reshape(count, sides)))
        first += count * sides
    return Piece(np.concatenate([faces.reshape(-1, 3) for faces in several]), np.concatenate(triangles))

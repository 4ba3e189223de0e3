"""Surfaces of a DXF drawing (3DFACE, polyface and polygon meshes) by GDAL, which the reading process has:
trimesh reads the lines of a drawing only. One thing a layer of the drawing."""

from __future__ import annotations

import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

from layers import wkb
from layers.errors import BadFile
from layers.read.meshes.counting import check_marks
from layers.read.meshes.model import Floats, Piece, Scene, Thing, damaged, fanned
from layers.read.pictures import Images

_FACES = frozenset({"Polygon", "Triangle"})
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
    faces: dict[str, list[Floats]] = defaultdict(list)
    other = 0
    for blob, layer in zip(
        table.column(table.schema.names[-1]).to_pylist(), table["Layer"].to_pylist(), strict=True
    ):
        rings = (
            []
            if blob is None
            else [ring for kind, own in wkb.parts(blob) if kind in _FACES for ring in own[:1]]
        )
        whole = [ring[:-1, :3] for ring in rings if ring.shape[1] > 2 and len(ring) > 3]
        other += not whole
        if whole:
            faces[layer or "0"] += whole
    things = [Thing(name, [_piece(rings)]) for name, rings in faces.items()]
    if not things:
        reason = f"the drawing has no surface in space among its {other} entities"
        raise BadFile("dxf.faces", f"{reason}; export it with 3DFACE or polyface meshes")
    return Scene("DXF", things)


def _piece(rings: list[Floats]) -> Piece:
    """Faces of three or four corners."""
    sizes = [len(ring) for ring in rings]
    firsts = np.cumsum([0, *sizes])[:-1]
    triangles = [fanned(np.arange(at, at + n)[None]) for at, n in zip(firsts.tolist(), sizes, strict=True)]
    return Piece(np.concatenate(rings), np.concatenate(triangles))

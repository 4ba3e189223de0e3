"""Formats of a single surface: PLY and STL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from layers.mesh import Material
from layers.read.encodings import text_of
from layers.read.meshes.model import (
    Piece,
    Scene,
    Thing,
    bytes_of,
    check_count,
    check_positions,
    damaged,
    fanned,
)
from layers.read.pictures import Images

_FACES = re.compile(rb"element\s+(?:face|tristrips)\s+(\d+)")
_VERTICES = re.compile(rb"element\s+vertex\s+(\d+)")
_IMAGE = re.compile(rb"comment\s+TextureFile\s+([^\r\n]+)")
#: Bytes of a PLY in which its header ends, and of a triangle of a binary STL, and of what stands before.
_HEADER, _TRIANGLE, _BEFORE = 1 << 16, 50, 84
_BAD = (KeyError, IndexError, TypeError, ValueError, AttributeError, EOFError)


def ply(path: Path, images: Images) -> Scene:
    """Read a file. Raises BadFile mesh.damaged, limit.triangles, limit.positions."""
    from trimesh.exchange import ply as format_

    with path.open("rb") as file:
        head = file.read(_HEADER).split(b"end_header")[0]
        if (match := _FACES.search(head)) is not None:
            check_count(int(match[1]))
        if (match := _VERTICES.search(head)) is not None:
            check_positions(int(match[1]))
        file.seek(0)
        try:
            made = format_.load_ply(file, skip_materials=True)
            if made.get("faces") is None:
                raise damaged("it has points and no faces; a point cloud is not read")
            texture = None
            if (match := _IMAGE.search(head)) is not None:
                texture = images.name(text_of(match[1]).strip())
            return Scene("PLY", [Thing(path.stem, [_piece(made, Material(None, texture))])])
        except _BAD as error:
            raise damaged(f"{type(error).__name__}: {error}") from error


def stl(path: Path, _images: Images) -> Scene:
    """Read a file. Raises BadFile mesh.damaged, limit.triangles."""
    from trimesh.exchange import stl as format_

    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_BEFORE)
        count = int.from_bytes(head[80:84], "little")
        binary = size == _BEFORE + _TRIANGLE * count
        check_count(count if binary else size // 200)  # a triangle takes some 200 characters at least
        file.seek(0)
        try:
            made = format_.load_stl(file)
        except _BAD as error:
            raise damaged(f"{type(error).__name__}: {error}") from error
    several = made.get("geometry") or ({"": made} if "faces" in made else {})
    things = [Thing(str(name or path.stem), [_piece(own, Material())]) for name, own in several.items()]
    if not things:
        raise damaged("it has no triangle")
    return Scene("STL", things)


def _piece(made: Mapping[str, Any], look: Material) -> Piece:
    vertices = np.asarray(made["vertices"], np.float64)
    faces = np.asarray(made["faces"])
    if faces.dtype == object:
        faces = np.concatenate([fanned(np.array([face], np.int64)) for face in faces if len(face) > 2])
    faces = fanned(faces)
    if len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise damaged("a face names a vertex that is not there")
    visual = made.get("visual")
    uv = None
    if look.texture and visual is not None and visual.uv is not None:
        uv = (np.asarray(visual.uv, np.float64) * [1, -1] + [0, 1])[faces].astype(np.float32)
    colors = None
    if uv is None:
        of_faces, of_vertices = made.get("face_colors"), made.get("vertex_colors")
        if of_faces is not None and len(of_faces) == len(faces):
            colors = bytes_of(of_faces, len(faces))
        elif of_vertices is not None and (known := bytes_of(of_vertices, len(vertices))) is not None:
            colors = known[faces].mean(axis=1).astype(np.uint8)
    return Piece(vertices, faces, look, uv, colors)

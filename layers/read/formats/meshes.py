"""Meshes: glTF and GLB, OBJ with MTL, PLY, STL, COLLADA, 3DS and the surfaces of DXF.

One feature a node, object, group or layer that has triangles. None of them says where on the earth it lies:
an anchor does (``layers.read.anchor``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from layers.read.base import ReadLimits
from layers.read.format import Format, Reader, Refused
from layers.read.formats.geojson import is_json, outlined
from layers.read.meshes import dae, dxf, gltf, obj, plain, tds
from layers.read.meshes.model import Scene
from layers.read.meshes.read import read
from layers.read.pictures import Images
from layers.read.sample import Sample

_OBJ = re.compile(rb"^[ \t]*(?:v|vn|vt|o|g|f|mtllib|usemtl)[ \t]", re.MULTILINE)
_DXF = re.compile(rb"\s*(?:999\r?\n[^\n]*\n\s*)*0\s*\r?\nSECTION\b")
_STL = (84, 50)


def _is_gltf(sample: Sample, limits: ReadLimits) -> bool:
    return sample.ending == ".gltf" and "asset" in outlined(sample, limits).members


def _is_stl(sample: Sample) -> bool:
    if sample.head.lstrip().startswith(b"solid") and b"facet" in sample.head:
        return True
    if sample.ending != ".stl" or len(sample.head) < _STL[0]:
        return False
    count = int.from_bytes(sample.head[80:84], "little")
    return sample.path.stat().st_size == _STL[0] + _STL[1] * count


def _is_3ds(sample: Sample) -> bool:
    tiff = sample.head.startswith((b"MM\x00*", b"MM\x00+"))
    return sample.head.startswith(b"MM") and sample.ending == ".3ds" and not tiff


def _is_dae(sample: Sample, _limits: ReadLimits) -> bool:
    """By the outermost element. Raises BadFile xml.doctype."""
    from layers.read.citygml.stream import outermost

    return outermost(sample.path) == "COLLADA"


def _mesh(
    name: str,
    title: str,
    endings: tuple[str, ...],
    recognise: Callable[[Sample], bool],
    load: Callable[[Path, Images], Scene],
    confirm: Callable[[Sample, ReadLimits], bool] | None = None,
    *,
    beside: tuple[str, ...] = (),
    drivers: frozenset[str] = frozenset(),
    last: bool = False,
) -> Reader:
    return Reader(
        name=name,
        titles={"en": title, "zh-CN": title},
        endings=endings,
        recognise=recognise,
        read=partial(read, load),
        confirm=confirm,
        beside=beside,
        drivers=drivers,
        anchored=True,
        pictured=True,
        last=last,
    )


FORMATS: tuple[Format, ...] = (
    _mesh("glb", "GLB", (".glb",), lambda s: s.head.startswith(gltf.MAGIC), gltf.load),
    _mesh("gltf", "glTF", (".gltf",), is_json, gltf.load, _is_gltf, beside=(".bin",)),
    _mesh("ply", "PLY", (".ply",), lambda s: s.head.startswith((b"ply\n", b"ply\r")), plain.ply),
    _mesh("stl", "STL", (".stl",), _is_stl, plain.stl),
    _mesh("dae", "COLLADA", (".dae",), lambda s: s.text.startswith(b"<"), dae.load, _is_dae),
    _mesh("3ds", "3DS", (".3ds",), _is_3ds, tds.load),
    _mesh(
        *("dxf", "DXF", (".dxf",), lambda s: _DXF.match(s.text) is not None, dxf.load),
        drivers=frozenset({"DXF"}),
    ),
    _mesh(
        *(
            "obj",
            "OBJ",
            (".obj",),
            lambda s: s.ending == ".obj" and s.is_text and bool(_OBJ.search(s.head)),
            obj.load,
        ),
        beside=(".mtl",),
        last=True,
    ),
    Refused(
        lambda s: s.head.startswith(b"AutoCAD Binary DXF"),
        "file.type",
        "a binary DXF, which is not read; save it as text (ASCII)",
    ),
    Refused(lambda s: s.head.startswith(b"AC10"), "file.type", "a DWG, which is not read; save it as DXF"),
    Refused(
        lambda s: s.head.startswith((b"Kaydara FBX Binary", b"; FBX")),
        "file.type",
        "an FBX, which is not read; export it as GLB",
    ),
)

"""Wavefront OBJ with its material libraries (Alias/Wavefront, Advanced Visualizer, appendix B).

trimesh reads vertices and faces. Objects, groups and materials are told apart here, since it joins their
names and looks through all vertices for each of them: it is given the faces sorted by their form alone (how
many corners they have, and which numbers of each), since it cuts mixed ones blindly.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from layers.errors import shown
from layers.mesh import Material
from layers.read import beside
from layers.read.encodings import choose, decoded
from layers.read.meshes.counting import check_marks
from layers.read.meshes.model import Floats, Indices, Piece, Scene, Thing, bytes_of, check_count, damaged
from layers.read.pictures import Images
from layers.read.texture.wrapping import WRAP, Wrapping
from layers.read.triangles import Rings, cut

#: Lines that say what the faces behind them are of.
_STATE = re.compile(rb"^[ \t]*(o|g|usemtl|mtllib)(?:[ \t]+([^\r\n]*))?$", re.MULTILINE)
_FACE = re.compile(rb"^[ \t]*f[ \t]", re.MULTILINE)
#: Whether one counts from the end.
_BACKWARDS = re.compile(rb"^[ \t]*f[^\r\n]*[ \t/]-\d", re.MULTILINE)
_LINES = re.compile(rb"^[ \t]*(v|vt|vn|f)[ \t]+([^\r\n]*)$", re.MULTILINE)
_NUMBER = re.compile(rb"[^/ ]+")
#: Bytes of a material library.
_MOST_LIBRARY = 64 << 20


def load(path: Path, images: Images) -> Scene:
    """Read a file. Raises BadFile mesh.damaged, limit.triangles, limit.positions, encoding.wrong."""
    check_marks(path, b"\nf ", b"\nv ")  # of most files all of them, in a twentieth of the time
    data = path.read_bytes()
    data = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    check_count(sum(1 for _ in _FACE.finditer(data)))
    if _BACKWARDS.search(data):
        data = _forwards(data)
    names = [match[2].strip() for match in _STATE.finditer(data) if match[2] and not match[2].isascii()]
    text = _Text(choose(dict.fromkeys(names), images.encoding).name)
    data = text.by_form(data)
    looks = _libraries(text, images)
    from trimesh.exchange import obj

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's of texts that end early, which is told below
            made = obj.load_obj(
                io.BytesIO(data), split_objects=True, group_material=False, skip_materials=True
            )
        geometry = made.get("geometry", {}) if "geometry" in made else {}
        return Scene("OBJ", list(_things(geometry, text, looks, path.stem)), usual="y")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise damaged(f"{type(error).__name__}: {error}") from error


@dataclass(slots=True)
class _Text:
    """What the faces of a text are of: the objects, each a name (of its group, where no object is named) and
    a material; of each form the objects of its faces, in their order. Names are in one encoding."""

    encoding: str
    objects: list[tuple[str, str]] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    forms: list[list[int]] = field(default_factory=list)

    def by_form(self, data: bytes) -> bytes:
        """The text with the faces of each form, instead of those of each object, as an object called by the
        number of the form."""
        numbers: dict[tuple[str, str], int] = {}
        faces: dict[bytes, tuple[list[bytes], list[int]]] = {}
        others: list[bytes] = []
        said = {b"o": "", b"g": "", b"usemtl": ""}
        named = re.search(rb"^[ \t]*o[ \t]+\S", data, re.MULTILINE) is not None
        number = -1
        for line in data.split(b"\n"):
            word, _, rest = line.strip().replace(b"\t", b" ").partition(b" ")
            if word == b"f":
                if number < 0:
                    key = said[b"o"] if named else said[b"g"], said[b"usemtl"]
                    number = numbers.setdefault(key, len(numbers))
                corners = b" ".join(rest.partition(b"#")[0].split())
                lines, of = faces.setdefault(_NUMBER.sub(b"n", corners), ([], []))
                lines.append(b"f " + corners)
                of.append(number)
            elif word in said:
                said[word] = decoded(rest.strip(), self.encoding)[0]
                number = -1
            elif word == b"mtllib":
                self.libraries.append(decoded(rest.strip(), self.encoding)[0])
            elif word:
                others.append(line.strip())
        self.objects = list(numbers)
        self.forms = [of for _, of in faces.values()]
        runs = (b"\n".join([b"o ~%d~" % at, *lines]) for at, (lines, _) in enumerate(faces.values()))
        return b"\n" + b"\n".join([*others, *runs]) + b"\n"


def _forwards(data: bytes) -> bytes:
    """Faces whose numbers count back from where they stand, as they count from the beginning."""
    counts = {b"v": 0, b"vt": 0, b"vn": 0}
    kinds = (b"v", b"vt", b"vn")

    def corner(text: bytes) -> bytes:
        parts = text.split(b"/")
        for at, part in enumerate(parts[:3]):
            if part.startswith(b"-") and part[1:].isdigit():
                parts[at] = b"%d" % (counts[kinds[at]] + 1 + int(part))
        return b"/".join(parts)

    def line(match: re.Match[bytes]) -> bytes:
        if match[1] != b"f":
            counts[match[1]] += 1
            return match[0]
        return b"f " + b" ".join(map(corner, match[2].split()))

    return _LINES.sub(line, data)


def _things(
    geometry: Mapping[str, Any], text: _Text, looks: Mapping[str, Material], stem: str
) -> Iterator[Thing]:
    """Objects in the order of the file, of several materials or forms of faces as pieces."""
    pieces: list[list[Piece]] = [[] for _ in text.objects]
    for name, kwargs in sorted(geometry.items(), key=lambda item: int(item[0].split("~")[1])):
        faces, of = np.asarray(kwargs["faces"], np.int64), np.array(text.forms[int(name.split("~")[1])])
        if len(faces) != len(of):
            raise ValueError("a face has corners of different forms")
        vertices = np.asarray(kwargs["vertices"], np.float64)[:, :3]
        if vertices.shape[1] != 3:
            raise ValueError("a vertex has fewer than three coordinates")
        if len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices):
            raise IndexError("a face names a vertex that is not there")
        order = np.argsort(of, kind="stable")
        for some in np.split(order, np.flatnonzero(np.diff(of[order])) + 1):
            number = int(of[some[0]])
            used, places = np.unique(faces[some], return_inverse=True)
            material = text.objects[number][1]
            look = looks.get(material, Material())
            piece = _piece(kwargs, vertices[used], places.reshape(len(some), -1), used, look, material)
            pieces[number].append(piece)
    called: dict[str, list[Piece]] = {}
    for (name, _), own in zip(text.objects, pieces, strict=True):
        called.setdefault(name, []).extend(own)
    for name, own in called.items():
        yield Thing(name or stem, own)


def _piece(
    kwargs: Mapping[str, Any], vertices: Floats, faces: Indices, used: Indices, look: Material, name: str
) -> Piece:
    """Faces (n, k) of some of the vertices of a mesh, which has these at ``used``."""
    corners = _triangles(faces, vertices)
    triangles = faces.reshape(-1)[corners]
    visual = kwargs.get("visual")
    uv = None
    if look.texture and visual is not None and visual.uv is not None and len(visual.uv) > used.max():
        uv = (np.asarray(visual.uv[used], np.float64) * [1, -1] + [0, 1])[triangles].astype(np.float32)
    colors = None
    if kwargs.get("vertex_colors") is not None and look == Material():
        own = np.asarray(kwargs["vertex_colors"][used], np.float64)
        made = bytes_of(own / 255 if own.max(initial=0) > 1 else own, len(vertices))
        colors = None if made is None else made[triangles].mean(axis=1).astype(np.uint8)
    return Piece(vertices, triangles, look, uv, colors, name)


def _triangles(faces: Indices, vertices: Any) -> Indices:
    """Triangles (m, 3) as places in the flat list of corners of faces (n, k)."""
    count, sides = faces.shape
    if sides == 3:
        return np.arange(count * 3).reshape(-1, 3)
    made = cut(
        Rings(faces.reshape(-1), np.full(count, sides), np.ones(count, np.int64), np.array([count])), vertices
    )
    return made.corners


def _libraries(text: _Text, images: Images) -> dict[str, Material]:
    """The materials of all libraries by name; what cannot be had is noted."""
    out: dict[str, Material] = {}
    for written in filter(None, dict.fromkeys(text.libraries)):
        for name in _files(images.folder, written):
            try:
                data = beside.find(images.folder, name, _MOST_LIBRARY).read_bytes()
            except (beside.NotBeside, OSError) as error:
                reason = f"the materials {shown(name)} cannot be had: {error}; surfaces have no colours"
                images.sink.note("mesh.materials", reason)
                continue
            out |= _materials(_decoded(data, text), images)
    return out


def _decoded(library: bytes, text: _Text) -> str:
    """The text of a library, in the encoding of what names its materials if all of it can be read so."""
    lines = [line for line in library.splitlines() if not line.isascii()]
    known = text.encoding != "utf-8" and all(decoded(line, text.encoding)[1] for line in lines)
    return decoded(library, text.encoding if known else choose(lines, None).name)[0]


def _files(folder: Path, written: str) -> list[str]:
    """Names of libraries: blanks part them, unless the whole is the name of one."""
    try:
        beside.find(folder, written, _MOST_LIBRARY)
    except (beside.NotBeside, OSError):
        return written.split() if written.lower().count(".mtl") > 1 else [written]
    return [written]


def _materials(text: str, images: Images) -> dict[str, Material]:
    """newmtl, Kd, d, Tr and map_Kd of a library."""
    said: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key == "newmtl":
            current = said.setdefault(value.strip(), {})
        else:
            current.setdefault(key.lower(), value.strip())
    return {name: _material(own, images) for name, own in said.items()}


def _material(said: Mapping[str, str], images: Images) -> Material:
    color: tuple[int, int, int, int] | None = None
    try:
        parts = [round(min(max(float(part), 0.0), 1.0) * 255) for part in said.get("kd", "").split()[:3]]
        alpha = float(said["d"].split()[-1]) if "d" in said else 1 - float(said.get("tr", "0"))
        if len(parts) == 3:
            color = (parts[0], parts[1], parts[2], round(min(max(alpha, 0.0), 1.0) * 255))
    except ValueError:
        color = None
    path = said.get("map_kd")
    texture = None
    if path:
        name = _without_options(path, images.folder)
        clamped = _CLAMPED.search(path[: -len(name)]) is not None
        texture = images.name(name, Wrapping("clamp") if clamped else WRAP)
    # Kd beside an image is written as 0 or as 0.8 by habit, and few programs multiply it
    return Material(None if texture else color, texture)


_OPTION = re.compile(r"\s*-(?:blendu|blendv|cc|clamp|texres|bm|boost|imfchan|type)\s+\S+|\s*-mm\s+\S+\s+\S+")
_CLAMPED = re.compile(r"(?:^|\s)-clamp\s+on\s")
_VECTOR = re.compile(r"\s*-(?:o|s|t)(?:\s+-?[\d.eE+-]+){1,3}")


def _without_options(path: str, folder: Path) -> str:
    """The name of an image behind the options that may stand before it."""
    try:
        beside.find(folder, path, 1 << 40)
    except (beside.NotBeside, OSError):
        return _VECTOR.sub("", _OPTION.sub("", path)).strip() or path
    return path

"""Buffers, buffer views and accessors of glTF as arrays over its bytes (Khronos glTF 2.0.1, 3.6)."""

from __future__ import annotations

import base64
import binascii
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import BadFile, shown
from layers.read import beside
from layers.read.meshes.model import Floats, Indices

#: Bytes of a buffer beside the file.
_MOST_BUFFER = 2 << 30
_KINDS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6


class Accessors:
    """The arrays of a file; what is read of its buffers is what is asked for."""

    def __init__(self, header: Mapping[str, Any], binary: memoryview, folder: Path) -> None:
        self._header = header
        self._binary = binary
        self._folder = folder
        self._buffers: dict[int, memoryview] = {}

    def view(self, at: int) -> memoryview:
        """The bytes of a buffer view. Raises BadFile mesh.missing, ValueError, KeyError, IndexError."""
        said = self._header["bufferViews"][at]
        begin, size = said.get("byteOffset", 0), said["byteLength"]
        buffer = self._buffer(said["buffer"])
        if not 0 <= begin <= begin + size <= len(buffer):
            raise ValueError(f"buffer view {at} ends beyond its buffer")
        return buffer[begin : begin + size]

    def array(self, at: int) -> NDArray[Any]:
        """What an accessor holds (count, columns), as it is stored. Raises as :meth:`view`, and TypeError."""
        said = self._header["accessors"][at]
        kind, columns = np.dtype(_KINDS[said["componentType"]]), _COLUMNS[said["type"]]
        shape = int(said["count"]), columns
        if "bufferView" not in said:
            return np.zeros(shape, kind)
        step = self._header["bufferViews"][said["bufferView"]].get("byteStride") or columns * kind.itemsize
        if step < columns * kind.itemsize:
            raise ValueError(f"accessor {at} has elements that lie in one another")
        view = self.view(said["bufferView"])
        return np.ndarray(shape, kind, view, said.get("byteOffset", 0), (step, kind.itemsize))

    def points(self, at: int, chosen: Indices | slice) -> Floats:
        """The chosen rows as numbers; whole ones that are normalised stand for -1 to 1 (3.6.2.2)."""
        stored = self.array(at)
        out = stored[chosen].astype(np.float64)
        if stored.dtype.kind != "f" and self._header["accessors"][at].get("normalized"):
            out = np.maximum(out / np.iinfo(stored.dtype).max, -1.0)
        return out

    def count(self, at: int) -> int:
        """How many elements an accessor says that it has."""
        return int(self._header["accessors"][at]["count"])

    def triangles(self, primitive: Mapping[str, Any]) -> Indices | None:
        """The triangles (m, 3) of a primitive (3.7.2.1); None of points and lines."""
        mode = primitive.get("mode", _TRIANGLES)
        if mode not in (_TRIANGLES, _STRIP, _FAN):
            return None
        if "indices" in primitive:
            corners = self.array(primitive["indices"])[:, 0].astype(np.int64)
        else:
            corners = np.arange(self.count(primitive["attributes"]["POSITION"]))
        if mode == _TRIANGLES:
            return corners.reshape(-1, 3)
        at = np.arange(max(len(corners) - 2, 0))
        if mode == _FAN:
            return np.column_stack([corners[at + 1], corners[at + 2], np.broadcast_to(corners[:1], len(at))])
        return np.column_stack([corners[at], corners[at + 1 + at % 2], corners[at + 2 - at % 2]])

    def _buffer(self, at: int) -> memoryview:
        """The bytes of a buffer. Raises BadFile mesh.missing."""
        if at not in self._buffers:
            uri = self._header["buffers"][at].get("uri")
            if uri is None:
                self._buffers[at] = self._binary
            elif uri.startswith("data:"):
                self._buffers[at] = memoryview(of_uri(uri))
            else:
                self._buffers[at] = self._beside(uri)
        return self._buffers[at]

    def _beside(self, uri: str) -> memoryview:
        try:
            return mapped(beside.find(self._folder, uri, _MOST_BUFFER))
        except (beside.NotBeside, OSError) as error:
            reason = f"its buffer {shown(uri)} cannot be had ({error})"
            reason += "; lay it beside the file, or export it as GLB"
            raise BadFile("mesh.missing", reason) from error


def triangle_count(primitive: Mapping[str, Any], accessors: Accessors) -> int:
    """How many triangles a primitive says that it has."""
    corners = accessors.count(primitive.get("indices", primitive["attributes"].get("POSITION")))
    mode = primitive.get("mode", _TRIANGLES)
    if mode == _TRIANGLES:
        return corners // 3
    return max(corners - 2, 0) if mode in (_STRIP, _FAN) else 0


def mapped(path: Path) -> memoryview:
    """The bytes of a file, of which those are read that are looked at. Raises OSError."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def of_uri(uri: str) -> bytes:
    """What a data URI holds. Raises ValueError."""
    head, _, text = uri.partition(",")
    if not head.endswith(";base64"):
        raise ValueError("a data URI that is not in base64")
    try:
        return base64.b64decode(text)
    except binascii.Error as error:
        raise ValueError(str(error)) from error

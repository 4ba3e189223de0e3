"""A batch as one memory-mapped file: a header, then the arrays, each on a 64-byte boundary.

The file is written beside its place, synced and renamed; what it was made from is in the header.
A file that is torn, of another format, or made from something else is not opened.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles.batch import Batch
from tiles.dictionary import Property, Values

type Tag = dict[str, Any]

_MAGIC = b"TWINCOL1"
_HEAD = struct.Struct("<8sIIQ")  # magic, header length, CRC-32 of the header, file length
_ALIGN = 64
_ARRAYS = ("fids", "dims", "parts", "coords", "outer", "xy", "boxes", "measure")


def write(file: Path, batch: Batch, tag: Tag) -> None:
    """Write the batch with the tag of what it was made from. Raises OSError."""
    arrays = [np.ascontiguousarray(array) for array in _flatten(batch)]
    entries: list[dict[str, Any]] = []
    at = 0
    for array in arrays:
        entries.append({"dtype": array.dtype.str, "shape": array.shape, "at": at})
        at += array.nbytes + -array.nbytes % _ALIGN
    props = [[name, prop.values.kind] for name, prop in batch.props.items()]
    header = orjson.dumps({"tag": tag, "props": props, "arrays": entries})
    start = _start(len(header))
    head = _HEAD.pack(_MAGIC, len(header), zlib.crc32(header), start + at) + header
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(head + bytes(start - len(head)))
            for array in arrays:
                out.write(array.tobytes() + bytes(-array.nbytes % _ALIGN))
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def read(file: Path) -> tuple[Batch, Tag] | None:
    """The batch, mapped, and its tag; None when there is no whole file of this format."""
    try:
        with file.open("rb") as source:
            head = source.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            magic, length, check, total = _HEAD.unpack(head)
            header = source.read(length) if magic == _MAGIC else b""
    except OSError:
        return None
    if magic != _MAGIC or zlib.crc32(header) != check or file.stat().st_size != total:
        return None
    described = orjson.loads(header)
    data = np.memmap(file, np.uint8, "r", _start(length)) if total > _start(length) else np.empty(0, np.uint8)
    arrays = [_array(data, entry) for entry in described["arrays"]]
    return _restore(arrays, described["props"]), described["tag"]


def _start(header: int) -> int:
    end = _HEAD.size + header
    return end + -end % _ALIGN


def _array(data: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(entry["dtype"])
    size = int(np.prod(entry["shape"])) * dtype.itemsize
    found: NDArray[Any] = np.asarray(data[entry["at"] : entry["at"] + size]).view(dtype)
    return found.reshape(entry["shape"])


def _flatten(batch: Batch) -> list[NDArray[Any]]:
    arrays: list[NDArray[Any]] = [getattr(batch, name) for name in _ARRAYS]
    for prop in batch.props.values():
        values = prop.values
        arrays += [prop.codes, values.blob, values.offsets, values.text, values.numbers]
    return arrays


def _restore(arrays: list[NDArray[Any]], props: list[list[Any]]) -> Batch:
    found: dict[str, Property] = {}
    rest = arrays[len(_ARRAYS) :]
    for i, (name, kind) in enumerate(props):
        codes, blob, offsets, text, numbers = rest[5 * i : 5 * i + 5]
        found[name] = Property(codes, Values(kind, blob, offsets, text, numbers))
    return Batch(**dict(zip(_ARRAYS, arrays, strict=False)), props=found)

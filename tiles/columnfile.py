"""A batch as one file: a header, then the arrays, each on a 64-byte boundary with a checksum of its own.

The file is written beside its place, synced and renamed; what it was made from is in the header.
A file that is torn, altered, of another format, or made from something else is not opened. What is opened
is a private copy, so whatever becomes of the file afterwards, nobody who reads the batch sees it: a page
of a shared mapping that another program cut off would end the process (SIGBUS, mmap(2)).
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
from isal import isal_zlib
from numpy.typing import NDArray

from tiles.batch import Batch
from tiles.dictionary import DictionaryColumn, Values

type Tag = dict[str, Any]
#: Arrays that follow from a batch, by name: an index, an overview.
type Extras = Mapping[str, NDArray[Any]]

_MAGIC = b"TWINCOL4"
_HEAD = struct.Struct("<8sIIQ")  # magic, header length, CRC-32 of the header, file length
_ALIGN = 64
#: A larger file is copied to one without a name and mapped, so that the kernel may drop its pages; a smaller
#: one is read into memory.
IN_MEMORY = 2**20
_ARRAYS = ("fids", "dims", "parts", "coords", "outer", "xy", "boxes", "measure", "places")


def write(file: Path, batch: Batch, tag: Tag, extras: Extras | None = None) -> None:
    """Write the batch with the tag of what it was made from, and what else was made of it. Raises OSError."""
    extras = extras or {}
    arrays = [np.ascontiguousarray(array) for array in (*_flatten(batch), *extras.values())]
    entries: list[dict[str, Any]] = []
    at = 0
    for array in arrays:
        entries.append({"dtype": array.dtype.str, "shape": array.shape, "at": at, "crc": _check(array)})
        at += array.nbytes + -array.nbytes % _ALIGN
    props = [[name, prop.values.kind] for name, prop in batch.props.items()]
    header = orjson.dumps({"tag": tag, "props": props, "extras": list(extras), "arrays": entries})
    start = _start(len(header))
    head = _HEAD.pack(_MAGIC, len(header), isal_zlib.crc32(header), start + at) + header
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(head + bytes(start - len(head)))
            for array in arrays:
                out.write(_bytes(array))
                out.write(bytes(-array.nbytes % _ALIGN))
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def read(file: Path) -> tuple[Batch, Tag, Extras] | None:
    """The batch, its tag and what else was made of it; None when there is no whole file of this format."""
    try:
        with file.open("rb") as source:
            head = source.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            magic, length, check, total = _HEAD.unpack(head)
            if magic != _MAGIC or os.fstat(source.fileno()).st_size != total or length > total:
                return None
            header = source.read(length)
            if isal_zlib.crc32(header) != check:
                return None
            data = _private(source, _start(length), total)
    except OSError:
        return None
    described = orjson.loads(header)
    arrays = [_array(data, entry) for entry in described["arrays"]]
    if any(_check(array) != entry["crc"] for array, entry in zip(arrays, described["arrays"], strict=True)):
        return None
    names = described["extras"]
    held = arrays[: len(arrays) - len(names)]
    extras = dict(zip(names, arrays[len(held) :], strict=True))
    return _restore(held, described["props"]), described["tag"], extras


def _private(source: IO[bytes], start: int, end: int) -> NDArray[np.uint8]:
    """The bytes of an open file from start to end where nobody else reaches them. Raises OSError, also when
    the file has become shorter."""
    if end - start > IN_MEMORY:
        # a full or foreign disk leaves the memory
        with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=Path(source.name).parent) as copy:
            _copy(source.fileno(), copy.fileno(), end)
            return np.memmap(copy, np.uint8, "r", start, (end - start,))
    source.seek(start)
    data = np.fromfile(source, np.uint8, end - start)
    if len(data) < end - start:
        raise OSError("the file was cut while it was read")
    return data


def _copy(source: int, target: int, size: int) -> None:
    done = 0
    while done < size:
        # a filesystem that can (btrfs, XFS) copies no bytes here
        part = os.copy_file_range(source, target, size - done, done, done)
        if not part:
            raise OSError("the file was cut while it was copied")
        done += part


def _check(array: NDArray[Any]) -> int:
    # the CRC-32 of zlib, ten times as fast
    return int(isal_zlib.crc32(_bytes(array)))


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def _start(header: int) -> int:
    end = _HEAD.size + header
    return end + -end % _ALIGN


def _array(data: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(entry["dtype"])
    size = int(np.prod(entry["shape"])) * dtype.itemsize
    array: NDArray[Any] = np.asarray(data[entry["at"] : entry["at"] + size]).view(dtype)
    return array.reshape(entry["shape"])


def _flatten(batch: Batch) -> list[NDArray[Any]]:
    arrays: list[NDArray[Any]] = [getattr(batch, name) for name in _ARRAYS]
    for prop in batch.props.values():
        values = prop.values
        arrays += [prop.codes, values.blob, values.offsets, values.text, values.numbers]
    return arrays


def _restore(arrays: list[NDArray[Any]], props: list[list[Any]]) -> Batch:
    columns: dict[str, DictionaryColumn] = {}
    rest = arrays[len(_ARRAYS) :]
    for i, (name, kind) in enumerate(props):
        codes, blob, offsets, text, numbers = rest[5 * i : 5 * i + 5]
        columns[name] = DictionaryColumn(codes, Values(kind, blob, offsets, text, numbers))
    return Batch(**dict(zip(_ARRAYS, arrays, strict=False)), props=columns)

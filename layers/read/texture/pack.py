"""The images that a reader handed on, as textures of the bodies in its batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from layers.batch import MESH
from layers.mesh import Mesh
from layers.read.texture.atlas import Atlases
from layers.read.texture.images import Header
from layers.textures import extension

#: Folders of the work folder: images as the source has them, and textures.
IMAGES, TEXTURES = "images", "textures"


@dataclass(frozen=True, slots=True)
class Packed:
    """The textures by their media type, and the images that could not be decoded with the reason."""

    types: Mapping[str, str]
    bad: Mapping[str, str]


def pack(folder: Path, batches: list[Path], headers: Mapping[str, Header]) -> Packed:
    """Write the textures into the folder, and the batches anew with bodies that name them."""
    atlases = Atlases(folder / IMAGES, headers)
    for number, mesh in _bodies(batches):
        atlases.show(number, mesh)
    (folder / TEXTURES).mkdir()
    types: dict[str, str] = {}
    for made in atlases.write():
        types[made.sha] = made.media_type
        (folder / TEXTURES / f"{made.sha}.{extension(made.media_type)}").write_bytes(made.data)
    number = 0
    for file in batches:
        table = _read(file)
        if MESH not in table.column_names:
            continue
        bodies: list[bytes | None] = []
        for blob in table[MESH].to_pylist():
            bodies.append(None if blob is None else _skinned(atlases, number, blob))
            number += blob is not None
        index = table.column_names.index(MESH)
        _write(file, table.set_column(index, MESH, pa.array(bodies, pa.binary())))
    return Packed(types, atlases.bad)


def _skinned(atlases: Atlases, number: int, blob: bytes) -> bytes:
    mesh = Mesh.from_bytes(blob)
    made = atlases.skinned(number, mesh)
    return blob if made is mesh else made.to_bytes()


def _bodies(batches: list[Path]) -> Iterator[tuple[int, Mesh]]:
    """Every body, numbered."""
    number = 0
    for file in batches:
        table = _read(file)
        if MESH not in table.column_names:
            continue
        for blob in table[MESH].to_pylist():
            if blob is not None:
                yield number, Mesh.from_bytes(blob)
                number += 1


def _read(file: Path) -> pa.Table:
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all()


def _write(file: Path, table: pa.Table) -> None:
    part = file.with_suffix(".part")
    with pa.OSFile(str(part), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    part.rename(file)

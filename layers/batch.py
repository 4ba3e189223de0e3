"""Reserved columns of the Arrow batches between readers, loads and stores; every other is a property."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

ROW = "__row"  # 1-based number of the row in its file; readers give it, a stage does not take it
SOURCE_ID = "__source_id"  # string, nullable
FID = "__fid"  # the file's own number of a row as text, nullable; the column may be absent
WKB = "__wkb"  # binary, lon/lat(/height), never null in a stage
MESH = "__mesh"  # binary (layers.mesh.Mesh.to_bytes), nullable; the column may be absent
OWN = frozenset({ROW, SOURCE_ID, FID, WKB, MESH})


def properties(names: Iterable[str]) -> list[str]:
    """The columns of a batch that the data has."""
    return [name for name in names if name not in OWN]


def apart(names: Iterable[str]) -> list[str]:
    """Columns of a source as a batch calls them: none is empty, equal to another or one of our own."""
    used: set[str] = set(OWN)
    out = []
    for index, name in enumerate(names, 1):
        called = name.replace("\x00", "") or f"column_{index}"
        while called in used:
            called += "_"
        used.add(called)
        out.append(called)
    return out


def source_array(column: pa.ChunkedArray) -> pa.Array:
    """A source column as one array; a list, whose members are JSON, as the JSON text of the whole."""
    import pyarrow as pa

    if not pa.types.is_list(column.type):
        kind = pa.string() if pa.types.is_large_string(column.type) else column.type
        whole = column.cast(kind).combine_chunks()
        return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
    texts = [None if v is None else f"[{','.join(v)}]" for v in column.to_pylist()]
    return pa.array(texts, pa.string())

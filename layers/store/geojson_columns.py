"""GeoJSON of whole columns: the same text as :mod:`layers.store.geojson` makes of rows, without a Python
object for each value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers import flat
from layers.store.geojson import AROUND, DEGREE_DECIMALS, positions
from layers.types import Field

_NUMPY = orjson.OPT_SERIALIZE_NUMPY
#: What JSON cannot hold as it is (RFC 8259, section 7).
_ESCAPED = r'["\\\x00-\x1f]'
_TEXTS = frozenset({"string", "date", "datetime"})


def geometries(shapes: flat.Flat, decimals: int = DEGREE_DECIMALS) -> pa.Array:
    """The geometry of each as text, its positions rounded."""
    if not len(shapes.kinds):
        return pa.array([], pa.string())
    text, offsets = positions(shapes, decimals)
    between = flat.binary(text[offsets[0] :], offsets - offsets[0], pa.string())
    kinds = shapes.kinds.tolist()
    if (shapes.kinds == shapes.kinds[0]).all():
        head, _, tail = AROUND[kinds[0]]
        return _joined(head, between, tail)
    heads, _, tails = zip(*(AROUND[kind] for kind in kinds), strict=True)
    return _joined(pa.array(heads, pa.string()), between, pa.array(tails, pa.string()))


def features(
    fids: pa.Array, shapes: pa.Array, fields: Sequence[Field], columns: Sequence[pa.Array]
) -> pa.Array:
    """The Feature of each row, as text: its fid, the text of its geometry, its properties in the order of the
    fields; ``columns`` as :func:`layers.store.staged.decode` gives them."""
    parts: list[pa.Array | str] = ['{"type":"Feature","id":', fids.cast(pa.string()), ',"geometry":', shapes]
    before = ',"properties":{'
    for field, column in zip(fields, columns, strict=True):
        parts += [f"{before}{orjson.dumps(field.name).decode()}:", _values(field, column)]
        before = ","
    return _joined(*parts, "}}" if before == "," else f"{before}}}}}")


def _values(field: Field, column: pa.Array) -> pa.Array:
    """A column as JSON texts."""
    if field.type in _TEXTS:
        texts = _strings(column)
    elif field.type == "boolean":
        texts = pc.if_else(column, "true", "false")
    elif field.type == "number":
        texts = _numbers(column)
    else:  # whole numbers; the text of arrays is canonical JSON already
        texts = column.cast(pa.string())
    return pc.fill_null(texts, "null")


def _strings(column: pa.Array) -> pa.Array:
    quoted = _joined('"', column, '"')
    unsafe = pc.fill_null(pc.match_substring_regex(column, _ESCAPED), False)
    if not pc.any(unsafe).as_py():
        return quoted
    escaped = [orjson.dumps(text).decode() for text in column.filter(unsafe).to_pylist()]
    return pc.replace_with_mask(quoted, unsafe, pa.array(escaped, pa.string()))


def _numbers(column: pa.Array) -> pa.Array:
    """Numbers as orjson writes them."""
    if not len(column):
        return pa.array([], pa.string())
    filled: NDArray[np.float64] = pc.fill_null(column, 0.0).to_numpy()
    text = orjson.dumps(np.ascontiguousarray(filled), option=_NUMPY)[1:-1]
    texts = pc.split_pattern(pa.array([text.decode()]), ",").values
    return pc.if_else(column.is_null(), None, texts) if column.null_count else texts


def _joined(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")

"""CSV (RFC 4180) for people with a spreadsheet: UTF-8 with a byte order mark, CRLF, geometry as WKT.

Nothing in a CSV file tells its CRS, so in any other than CRS84 a column of its own does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from layers.crs import is_geographic
from layers.formula import guarded
from layers.model import FeatureLayer, Rows
from layers.types import CRS84, Field
from layers.write import column_names, reference, shapes

BOM = b"\xef\xbb\xbf"
CRS = "crs"

_SPECIAL = re.compile(r'[",\r\n]')
_NUMBERS = frozenset({int, float})
#: First characters of what may match: most texts are told apart by them, at a third of the cost.
_SUSPECT = frozenset("'=@+-＝＠＋－ \t\r\n\v\f\u00a0\u3000")


def page(layer: FeatureLayer, rows: Rows, crs: str = CRS84) -> bytes:
    """A whole file of one batch."""
    return b"".join(stream(layer, [rows], crs))


def stream(layer: FeatureLayer, batches: Iterable[Rows], crs: str = CRS84) -> Iterator[bytes]:
    """A whole file of many batches, one piece a batch."""
    begun = False
    for rows in batches:
        fields = column_names.fields(layer, rows)
        head = b"" if begun else _head(layer, fields, crs)
        begun = True
        yield head + _rows(layer, fields, rows, crs)
    if not begun:
        yield _head(layer, column_names.fields(layer, None), crs)


def _point_columns(layer: FeatureLayer, fields: Sequence[Field], crs: str) -> list[str]:
    """The columns that points get for their coordinates beside the WKT; none where a property has such
    a name."""
    default = ["lon", "lat"] if is_geographic(crs) else ["x", "y"]
    names = {f.name.casefold() for f in fields}
    return default if layer.geometry_type == "Point" and not names & set(default) else []


def _head(layer: FeatureLayer, fields: Sequence[Field], crs: str) -> bytes:
    names = [f.name for f in fields]
    own = [column_names.free(one, names) for one in (column_names.FID, column_names.GEOMETRY, CRS)]
    crs_columns = [] if crs == CRS84 else own[2:]
    points = _point_columns(layer, fields, crs)
    return BOM + _text([[own[0], *(_quoted(guarded(name)) for name in names), *points, own[1], *crs_columns]])


def _rows(layer: FeatureLayer, fields: Sequence[Field], rows: Rows, crs: str) -> bytes:
    import shapely

    geometries = shapes.parse(shapes.iso(rows.wkb))
    cells = [list(map(str, rows.fids.tolist()))]
    cells += [_cells(field, rows.properties[field.name]) for field in fields]
    decimals = reference.decimals(crs)
    if _point_columns(layer, fields, crs):
        cells += [_ordinates(one(geometries), decimals) for one in (shapely.get_x, shapely.get_y)]
    texts = shapely.to_wkt(geometries, rounding_precision=decimals).tolist()
    cells.append(["" if text is None else f'"{text}"' for text in texts])
    if crs != CRS84:
        cells.append([reference.label(crs)] * len(texts))
    return _text(zip(*cells, strict=True))


def _text(lines: Iterable[Iterable[str]]) -> bytes:
    """Lines of cells that are quoted already. The csv module takes three times as long over a page."""
    return "".join([",".join(line) + "\r\n" for line in lines]).encode("utf-8", "replace")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def _cells(field: Field, values: Sequence[Any]) -> list[str]:
    if field.type == "boolean":
        values = [value if (known := column_names.truth(value)) is None else known for value in values]
    elif field.type in ("integer", "number"):
        return ["" if v is None else repr(v) if type(v) in _NUMBERS else _cell(v) for v in values]
    return ["" if value is None else _cell(value) for value in values]


def _cell(value: object) -> str:
    text = value if type(value) is str else column_names.text(value)
    return _quoted(guarded(text) if text[:1] in _SUSPECT else text)


def _ordinates(values: Any, decimals: int) -> list[str]:
    return ["" if value != value else repr(value) for value in np.round(values, decimals).tolist()]

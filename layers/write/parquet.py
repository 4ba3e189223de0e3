"""GeoParquet 1.1 (opengeospatial/geoparquet): row groups, zstd, a box beside each geometry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from layers.model import FeatureLayer, Rows
from layers.types import CRS84, Field, FieldType
from layers.write import column_names, reference, shapes

_ARROW: Mapping[FieldType, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("ms", "UTC"),
    "array": pa.json_(),
}
#: A row group ends after so many rows, or bytes in memory.
GROUP_ROWS = 50_000
GROUP_BYTES = 32 << 20
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_BOX = pa.struct([(side, pa.float64()) for side in _SIDES])
BOX = "bbox"


def write(layer: FeatureLayer, batches: Iterable[Rows], path: Path, crs: str = CRS84) -> None:
    """Make the file. Raises OSError when the disk is full."""
    fields, batches = column_names.begun(layer, batches)
    out = _ParquetWriter(layer, fields, path, crs)
    try:
        for rows in batches:
            out.add(rows)
        out.finish()
    finally:
        out.close()


class _ParquetWriter:
    """The file being written, and what its metadata will say of the geometries."""

    def __init__(self, layer: FeatureLayer, fields: Sequence[Field], path: Path, crs: str) -> None:
        self._fields = fields
        self._crs = crs
        names = [f.name for f in fields]
        self._fid, self._geometry, self._box = (
            column_names.free(name, names) for name in (column_names.FID, column_names.GEOMETRY, BOX)
        )
        self._held: list[pa.RecordBatch] = []
        self._types: set[str] = set()
        self._bounds = shapes.NOWHERE
        self._schema = pa.schema(
            [
                pa.field(self._fid, pa.int64(), nullable=False),
                *(pa.field(f.name, _ARROW[f.type], metadata=_descriptions(f)) for f in fields),
                pa.field(self._geometry, pa.binary()),
                pa.field(self._box, _BOX),
            ],
            metadata={"title": column_names.title(layer.title)},
        )
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd", write_statistics=True)

    def add(self, rows: Rows) -> None:
        """Take one batch in."""
        import shapely

        wkb = shapes.iso(rows.wkb)
        geometries = shapes.parse(wkb)
        there = ~shapely.is_missing(geometries)
        wkb = [one if known else None for one, known in zip(wkb, there.tolist(), strict=True)]
        self._types |= {_type_name(kind) for kind in shapes.kinds(wkb)}
        arrays = [pa.array(rows.fids, pa.int64())]
        arrays += [_array(field, rows.properties[field.name]) for field in self._fields]
        arrays += [pa.array(wkb, pa.binary()), self._boxes(geometries)]
        self._held.append(pa.record_batch(arrays, schema=self._schema))
        if (
            sum(len(one) for one in self._held) >= GROUP_ROWS
            or sum(one.nbytes for one in self._held) >= GROUP_BYTES
        ):
            self._group()

    def _group(self) -> None:
        """Write what is held as one row group."""
        if self._held:
            self._file.write_table(pa.Table.from_batches(self._held))
            self._held.clear()

    def _boxes(self, geometries: NDArray[Any]) -> pa.Array:
        import shapely

        bounds = shapely.bounds(geometries).reshape(-1, 4)
        none = ~np.isfinite(bounds).all(axis=1)
        if not none.all():
            self._bounds = shapes.around(self._bounds, bounds[~none])
        sides = [pa.array(bounds[:, i]) for i in range(4)]
        return pa.StructArray.from_arrays(sides, fields=list(_BOX), mask=pa.array(none))

    def finish(self) -> None:
        """Write what is known only now, and the end of the file."""
        self._group()
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": sorted(self._types),
            "crs": reference.projjson(self._crs),
            "edges": "planar",
            "covering": {"bbox": {side: [self._box, side] for side in _SIDES}},
        }
        flat = not any(name.endswith(" Z") for name in self._types)
        if flat and np.isfinite(self._bounds).all():  # with heights it would have to have their range too
            column["bbox"] = self._bounds.tolist()
        meta = {"version": "1.1.0", "primary_column": self._geometry, "columns": {self._geometry: column}}
        self._file.add_key_value_metadata({"geo": orjson.dumps(meta).decode()})
        self._file.close()

    def close(self) -> None:
        """Let go of the file, whole or not."""
        self._file.close()


def _descriptions(field: Field) -> dict[str, str] | None:
    words = {"title": column_names.title(field.title), "description": column_names.meaning(field)}
    return {name: text for name, text in words.items() if text} or None


def _type_name(kind: int) -> str:
    return shapes.NAMES[kind % 1000] + (" Z" if kind > 1000 else "")


def _array(field: Field, values: Sequence[Any]) -> pa.Array:
    if field.type in ("date", "datetime"):
        read = column_names.day if field.type == "date" else column_names.moment
        return pa.array([None if v is None else read(v) for v in values], _ARROW[field.type])
    return pa.array(column_names.plain(field, values), _ARROW[field.type])

"""GeoParquet files for the tests of its reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def geoparquet(path: Path, table: pa.Table, column: str = "geometry", **says: Any) -> Path:
    """A table as GeoParquet 1.1 whose metadata says of its column of geometries what is given."""
    described = {"encoding": "WKB", "geometry_types": []} | says
    return described_as(path, table, {"primary_column": column, "columns": {column: described}})


def described_as(path: Path, table: pa.Table, geo: Any) -> Path:
    """A table as Parquet with that metadata ``geo``; without a version it is of 1.1."""
    whole = {"version": "1.1.0"} | geo if isinstance(geo, dict) else geo
    text = whole if isinstance(whole, str) else json.dumps(whole)
    pq.write_table(table.replace_schema_metadata({"geo": text}), path)
    return path

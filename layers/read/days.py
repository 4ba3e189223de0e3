"""Dates of a GeoPackage as it has them: GDAL gives 1970-01-01 for what is none, and 1 March for 30 February.
Importing this loads GDAL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio.raw

type Odd = Mapping[str, Mapping[int, str]]


def odd(path: Path, layer: str, key: str | None, columns: Iterable[str]) -> dict[str, dict[int, str]]:
    """DATE column → key of the row → text of what lies there beside dates.

    ``key`` is the column of GDAL's feature ids. Where it is None, as of a view, rows are counted from 0 in
    their order, which is that of a statement that reads all columns as GDAL does."""
    odd_days: dict[str, dict[int, str]] = {}
    table = quoted(layer)
    for name in columns:
        column = quoted(name)
        text = f"CASE WHEN date({column}) IS NOT {column} THEN CAST({column} AS TEXT) END AS twin_text"
        if key is None:
            sql = f"SELECT *, {text} FROM {table}"  # noqa: S608
        else:
            at = f"{quoted(key)} + 0 AS twin_at"
            sql = f"SELECT {at}, {text} FROM {table} WHERE date({column}) IS NOT {column}"  # noqa: S608
        wanted = ["twin_text"] if key is None else ["twin_at", "twin_text"]
        _, read = pyogrio.raw.read_arrow(path, sql=sql, read_geometry=False, columns=wanted)
        raw = read["twin_text"].cast(pa.binary()).to_pylist()
        keys = range(len(raw)) if key is None else read["twin_at"].to_pylist()
        pairs = zip(keys, raw, strict=True)
        odd_days[name] = {at: text.decode("utf-8", "replace") for at, text in pairs if text is not None}
    return odd_days


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return f'"{name.replace('"', '""')}"'


def as_written(table: pa.Table, keys: Sequence[int], odd: Odd) -> pa.Table:
    """Days as text, those that GDAL could not read as the file has them; ``keys`` are those of the rows."""
    for index, column in enumerate(table.schema):
        if not pa.types.is_date(column.type):
            continue
        days = table.column(index)
        texts = np.datetime_as_string(days.cast(pa.int32()).fill_null(0).to_numpy().astype("M8[D]"))
        as_text = pc.if_else(days.is_valid(), pa.chunked_array([pa.array(texts, pa.string())]), None)
        if written := odd.get(column.name):
            pairs = zip(keys, as_text.to_pylist(), strict=True)
            as_text = pa.array([written.get(key, text) for key, text in pairs], pa.string())
        table = table.set_column(index, column.name, as_text)
    return table

"""Values of a GeoPackage that are not of their column's type: SQLite keeps any, and GDAL gives 0 for a word
in a column of numbers. Importing this loads GDAL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import batched
from pathlib import Path

import pyarrow as pa
import pyogrio.raw

from layers.read.base import Sink
from layers.read.days import Odd, quoted

#: Columns that one statement looks at.
_AT_ONCE = 50


def odd(path: Path, layer: str, key: str | None, columns: Mapping[str, bool], most: int | None) -> Odd:
    """Column of numbers (True: of whole ones) → key of the row → text of what lies there beside such numbers,
    in about the first ``most`` rows. ``key`` as in :func:`layers.read.days.odd`."""
    result: dict[str, dict[int, str]] = {name: {} for name in columns}
    rows = f"(SELECT * FROM {quoted(layer)} LIMIT {most})" if most is not None else quoted(layer)  # noqa: S608
    for some in batched(columns.items(), _AT_ONCE):
        tests = [_test(quoted(name), whole) for name, whole in some]
        texts = [
            f"CASE WHEN {test} THEN CAST({quoted(name)} AS TEXT) END AS twin_{number}"
            for number, ((name, _), test) in enumerate(zip(some, tests, strict=True))
        ]
        wanted = [f"twin_{number}" for number in range(len(some))]
        if key is None:
            sql = f"SELECT *, {', '.join(texts)} FROM {rows}"  # noqa: S608
        else:
            at = f"{quoted(key)} + 0 AS twin_at"
            sql = f"SELECT {at}, {', '.join(texts)} FROM {rows} WHERE {' OR '.join(tests)}"  # noqa: S608
            wanted.append("twin_at")
        _, read = pyogrio.raw.read_arrow(path, sql=sql, read_geometry=False, columns=wanted)
        keys = range(len(read)) if key is None else read["twin_at"].to_pylist()
        for number, (name, _) in enumerate(some):
            raw = read[f"twin_{number}"].cast(pa.binary()).to_pylist()
            pairs = zip(keys, raw, strict=True)
            result[name].update(
                (at, text.decode("utf-8", "replace")) for at, text in pairs if text is not None
            )
    return result


def _test(column: str, whole: bool) -> str:
    other = f"typeof({column}) IN ('text', 'blob')"
    cut = f"typeof({column}) = 'real' AND {column} <> CAST({column} AS INTEGER)"
    return f"({other} OR {cut})" if whole else f"({other})"


def emptied(table: pa.Table, keys: Sequence[int], odd: Odd, row: int, sink: Sink) -> pa.Table:
    """The batch, from row number ``row`` on, without the numbers that GDAL made of what is none: each is
    noted."""
    for name, texts in odd.items():
        chosen = [at for at, key in enumerate(keys) if key in texts] if texts else []
        if not chosen:
            continue
        index = table.column_names.index(name)
        column = table.column(index).to_pylist()
        for at in chosen:
            column[at] = None
            sink.unreadable(name, texts[keys[at]], row + at)
        table = table.set_column(index, name, pa.array(column, table.schema.field(index).type))
    return table

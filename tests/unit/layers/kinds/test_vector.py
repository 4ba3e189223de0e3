"""Columns are read as their values are, one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers import kinds
from layers.kinds import SourceBatch, vector
from layers.kinds.base import BLANKS, blank, text

TEXT = st.one_of(
    st.none(),
    st.text(max_size=4),
    st.sampled_from([*BLANKS, "NaN", " Null ", "楼", "　楼", "楼　", "é", "nano", "a\x1f", "x "]),
)
NUMBER = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, 2.6755, 1.0005]))
HEIGHTS = ("height", "min_height", "levels", "min_level")


@given(st.lists(TEXT, max_size=12), st.integers(0, 3))
def test_texts_and_blanks(values: list[str | None], skipped: int) -> None:
    column = pa.array(values, pa.string())[skipped:]
    assert vector.texts(column).to_pylist() == [text(value) for value in values[skipped:]]
    assert vector.blanks(column).tolist() == [blank(value) for value in values[skipped:]]


@pytest.mark.parametrize("values", [[1.0, 2.5, None, math.nan], [1, None], [True, None], [None]])
def test_texts_of_other_values(values: list[Any]) -> None:
    assert vector.texts(pa.array(values)).to_pylist() == [text(value) for value in values]


def made(kind: str, columns: dict[str, list[Any]], n: int, *, arrow: bool) -> tuple[Any, Any]:
    shapes = np.array([shapely.Point(0, 0)] * n)
    own = {name: pa.array(values) for name, values in columns.items()} if arrow else {}
    batch = SourceBatch(columns, range(1, n + 1), [None] * n, shapes, arrow=own)
    out = kinds.get(kind).normalise(batch)
    lists = {name: v if isinstance(v, list) else v.to_pylist() for name, v in out.items()}
    return lists, batch.problems


@given(st.data(), st.integers(1, 6))
def test_a_batch_is_what_its_rows_are(data: st.DataObject, n: int) -> None:
    rows = st.lists(NUMBER, min_size=n, max_size=n)
    columns: dict[str, list[Any]] = {name: data.draw(rows) for name in HEIGHTS if data.draw(st.booleans())}
    columns |= {name: data.draw(st.lists(TEXT, min_size=n, max_size=n)) for name in ("building", "name")}
    whole, problems = made("building", columns, n, arrow=True)
    each = [
        made("building", {name: [values[i]] for name, values in columns.items()}, 1, arrow=False)
        for i in range(n)
    ]
    assert whole == {name: [one[0][name][0] for one in each] for name in whole}
    assert [p.reason for p in problems] == [p.reason for _, found in each for p in found]


def test_heights_are_rounded_as_python_does() -> None:
    values = [2.6755, 1.0005, 0.1235, 9.9995, 3.00049999, 12.5]
    out, _ = made("building", {"height": list(values)}, len(values), arrow=True)
    assert out["height_m"] == [round(value, 3) for value in values]

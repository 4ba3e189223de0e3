"""Columns are read as their values are, one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


_VALUES: dict[str, list[Any]] = {
    "管线类别": ["给水", "污水", "DL", None, "lava", "nan", " gas "],
    "管径": ["DN400", "600", None, '4"', "400x300", "0.3 m", "x", "1e9", "0"],
    "埋深": [1.0, None, 2.5, 1e6, -50.0, 0.0, math.inf, math.nan],
    "起点埋深": ["1.0", None, "3.2", "2 m", "1e6", "x"],
    "终点埋深": [1.6, None, 2.0, 1e308],
    "depth_m": [None, 1.2345, 500.0, 0.0005, 1.0005],
    "location": [None, "overground", "underground", "above"],
    "depth_change_m": [None, 0.5, 1e5],
    "diameter_source": [None, "default", "measured", "x"],
    "depth_source": [None, "default", "measured"],
    "class": ["井盖", "lamp", None, "x"],
    "name": [None, " a ", "b"],
}


@given(data=st.data(), count=st.integers(1, 12))
@pytest.mark.parametrize("kind", ["pipeline", "component", "road", "cim"])
def test_columns_of_arrow_give_what_rows_one_by_one_give(kind: str, data: st.DataObject, count: int) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(_VALUES)), min_size=1))
    columns = {
        name: data.draw(st.lists(st.sampled_from(_VALUES[name]), min_size=count, max_size=count))
        for name in sorted(names)
    }
    arrow = {name: vector.array(values) for name, values in columns.items()}
    whole = _normalised(kind, columns, arrow, range(count))
    single = [_normalised(kind, {n: [v[row]] for n, v in columns.items()}, {}, [row]) for row in range(count)]
    assert whole[0] == {name: [one[0][name][0] for one in single] for name in whole[0]}
    assert whole[1] == [problem for one in single for problem in one[1]]


def _normalised(
    kind: str, columns: dict[str, list[Any]], arrow: dict[str, Any], rows: Sequence[int]
) -> tuple[dict[str, list[Any]], list[Any]]:
    """What a kind makes of a batch, its columns as lists, and what it notes."""
    shapes = shapely.points(np.zeros((len(rows), 2)))
    batch = SourceBatch(columns, rows, [None] * len(rows), shapes, arrow=arrow)
    out = kinds.get(kind).normalise(batch)
    lists = {name: one if isinstance(one, list) else one.to_pylist() for name, one in out.items()}
    return lists, batch.problems

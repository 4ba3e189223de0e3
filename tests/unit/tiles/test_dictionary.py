"""Dictionaries of property values, and how two are joined."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from layers.types import FieldType
from tiles import dictionary


def decoded(column: dictionary.DictionaryColumn) -> list[bytes | None]:
    entries = column.values.entries()
    return [None if code < 0 else entries[code] for code in column.codes.tolist()]


@pytest.mark.parametrize("count", [3, 299, 300, 2000])
@pytest.mark.parametrize("type_", ["string", "integer", "number", "boolean"])
def test_a_joined_dictionary_has_each_value_once_however_large_it_is(count: int, type_: FieldType) -> None:
    draw = random.Random(count)
    makers: dict[str, Callable[[], Any]] = {
        # many of one length and of one ending
        "string": lambda: f"{draw.choice('a宅')}{draw.randrange(500)}{draw.choice(['', '-the-same-end'])}",
        "integer": lambda: draw.choice([1, -1]) * draw.randrange(2 ** draw.choice([3, 7, 14, 60])),
        "number": lambda: draw.choice([0.0, -0.0, 0.5, float(draw.randrange(900)), draw.random()]),
        "boolean": lambda: draw.random() < 0.5,
    }
    first, second = (
        [None if draw.random() < 0.1 else makers[type_]() for _ in range(size)] for size in (count, 50)
    )
    one, two = dictionary.encode(first, type_), dictionary.encode(second, type_)
    # as of a tile: a few rows of a large dictionary
    rows = np.array(sorted(draw.sample(range(count), count // 2 + 1)))
    joined = dictionary.merge(one.take(rows), two)
    kept = decoded(one)
    assert decoded(joined) == [kept[row] for row in rows.tolist()] + decoded(two)
    entries = joined.values.entries()
    assert len(set(entries)) == len(entries)


def test_a_few_rows_of_many_values_bring_their_own_alone() -> None:
    many = dictionary.encode([f"v{i}" for i in range(1_000)], "string")
    joined = dictionary.merge(dictionary.encode(["v7", None], "string"), many.take(np.array([7, 900])))
    assert [None if c < 0 else joined.values.text_of(c) for c in joined.codes.tolist()] == [
        "v7",
        None,
        "v7",
        "v900",
    ]
    assert len(joined.values) == 2


MIXED: dict[str, list[Any]] = {
    "string": ["a", "宅", "\ud800x", "x" * 200, 3, None, ""],
    "integer": [0, -1, 1, 127, 128, 2**63 - 1, -(2**63), 2**63, True, "7", "x", 1.5, None],
    "number": [0.0, -0.0, float("nan"), 1, "2", "x", None, 1e300],
    "boolean": [True, False, 0, 1, None, "x"],
}


@pytest.mark.parametrize("count", [0, 1, 5, 400])
@pytest.mark.parametrize("type_", ["string", "integer", "number", "boolean"])
def test_few_values_give_the_same_column_as_many_do(
    type_: FieldType, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = random.Random(count).choices(MIXED[type_], k=count)
    few = dictionary.encode(values, type_)
    monkeypatch.setattr(dictionary, "_FEW", -1)
    many = dictionary.encode(values, type_)
    pairs = [(few.codes, many.codes)]
    pairs += [
        (getattr(few.values, at), getattr(many.values, at)) for at in ("blob", "offsets", "text", "numbers")
    ]
    for one, other in pairs:
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(
    ("type_", "values", "another"),
    [
        ("string", ["a", None, "宅", "a", "x" * 130], "b"),
        ("integer", [1, None, -7, 2**60, 1], 2),
        ("number", [0.0, None, 0.5, -1.0, 0.0], 0.25),
        ("boolean", [True, None, False, True, True], False),
    ],
)
def test_a_column_takes_the_dictionary_of_one_with_the_same_values(
    type_: FieldType, values: list[Any], another: Any
) -> None:
    # as of a layer: the same values stand at other codes, among more
    large = dictionary.encode([another, *reversed(values), *values], type_)
    there = large.take(np.arange(6, 11))
    taken = dictionary.like(dictionary.encode(values, type_), there)
    assert taken.values is large.values
    assert decoded(taken) == decoded(dictionary.encode(values, type_))
    joined = dictionary.merge(there, taken)
    assert joined.values is large.values
    assert decoded(joined) == 2 * decoded(taken)
    for place, value in enumerate(values):
        for other in {another, None} - {value}:
            column = dictionary.encode([*values[:place], other, *values[place + 1 :]], type_)
            assert dictionary.like(column, there) is column

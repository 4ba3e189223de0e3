"""The functions SQLite calls: equal to a plain reading, quick on hostile patterns, safe on any value."""

from __future__ import annotations

import math
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.cql import fold
from layers.store import geopackage
from layers.store.geopackage import functions
from layers.store.geopackage.connection import quoted
from layers.types import CRS84
from tests import queries
from tests.storing import load


@pytest.fixture(scope="module")
def con() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:")
    functions.register(made)
    yield made
    made.close()


def like(con: sqlite3.Connection, text: str, pattern: str) -> bool:
    """``text LIKE pattern`` by our function."""
    sql = "SELECT twin_like(CAST(? AS BLOB), CAST(? AS BLOB))"
    return bool(con.execute(sql, (text, pattern)).fetchone()[0])


_SIGNS = st.text("ab%_\\x\n医😀", max_size=8)


@given(text=_SIGNS, pattern=_SIGNS)
def test_like_is_a_regular_expression(con: sqlite3.Connection, text: str, pattern: str) -> None:
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        pattern += "%"
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    expression = "".join({"%": ".*", "_": "."}.get(p) or re.escape(p[-1]) for p in parts)
    expected = re.fullmatch(expression, text, re.DOTALL) is not None
    assert like(con, text, pattern) == expected


def test_a_hostile_pattern_is_quick(con: sqlite3.Connection) -> None:
    began = time.perf_counter()
    for pattern in ("%a" * 2000 + "%b", "%_a" * 1300 + "%b", "%" * 4000 + "b"):
        assert not like(con, "a" * 20_000, pattern)
    assert time.perf_counter() - began < 5, "a backtracking search would not end"


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    folded = fold.both(text)
    assert fold.casei(folded) == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [("Straße", "STRASSE"), ("Ärger", "arger"), ("A\u0308", "a"), ("ﬁ", "FI"), ("İ", "i"), ("ΟΔΟΣ", "οδος")],
)
def test_texts_that_fold_alike(one: str, other: str) -> None:
    assert fold.both(one) == fold.both(other)


_DOUBLES = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1e304, 5e-324, math.inf])


@given(a=_DOUBLES, b=_DOUBLES)
def test_arithmetic_never_fails_and_is_never_infinite(con: sqlite3.Connection, a: float, b: float) -> None:
    names = ("plus", "minus", "times", "over", "div", "mod", "power")
    row = con.execute(f"SELECT {', '.join(f'twin_{n}(?, ?)' for n in names)}", (a, b) * len(names)).fetchone()
    found = dict(zip(names, row, strict=True))
    assert all(v is None or (isinstance(v, float) and math.isfinite(v)) for v in found.values())
    if abs(a) < 1e100 and abs(b) < 1e100:
        assert found["plus"] == a + b
        assert found["minus"] == a - b
    if 1e-100 < abs(a) < 1e100 and 1e-100 < abs(b) < 1e100:
        assert found["times"] == a * b
        assert found["over"] == a / b
        assert found["div"] == math.trunc(a / b)
    if b == 0:
        assert (found["over"], found["div"], found["mod"]) == (None, None, None)


@given(a=st.integers(-(2**40), 2**40), b=st.integers(-1000, 1000))
def test_remainders_of_whole_numbers(con: sqlite3.Connection, a: int, b: int) -> None:
    (found,) = con.execute("SELECT twin_mod(?, ?)", (a, b)).fetchone()
    assert found == (math.fmod(a, b) if b else None)


@given(st.floats(allow_nan=False))
def test_rounding(con: sqlite3.Connection, value: float) -> None:
    sql = "SELECT twin_floor(?), twin_ceil(?), twin_round(?), twin_abs(?)"
    row = con.execute(sql, (value,) * 4).fetchone()
    if abs(value) < 2**52:
        half = math.copysign(math.floor(abs(value)) + (abs(value) % 1 >= 0.5), value)
        assert row == (math.floor(value), math.ceil(value), half, abs(value))
    else:
        assert row == (value, value, value, abs(value))


def test_values_that_other_programs_stored_break_nothing(tmp_path: Path) -> None:
    store = geopackage.open(tmp_path / "city.gpkg")
    load(store, queries.SPEC, queries.rows(Random(1), 30))
    strange: list[Any] = ["x", b"\xff\xfe", 1, 2.5, -(2**63), "2020-13-45", '{"a": 1}', "[1", b"\x00", 1e308]
    rng = Random(2)
    con = sqlite3.connect(tmp_path / "city.gpkg")
    for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
        con.create_function(name, 1, lambda _: None)
    with con:
        for fid in range(1, 26):
            name = quoted(rng.choice(queries.FIELDS).name)
            con.execute(f"UPDATE everything SET {name} = ? WHERE fid = ?", (rng.choice(strange), fid))
            con.execute(f"UPDATE everything SET {name} = CAST(x'fffe41' AS TEXT) WHERE fid = ?", (fid + 3,))
        con.execute("UPDATE everything SET geom = x'0001' WHERE fid = 5")
    con.close()
    layer = store.layer("everything")
    for number in range(300):
        query = replace(queries.Maker(Random(number), layer).query(), crs=CRS84, sort=())
        assert store.items("everything", query).matched <= 30
    store.close()

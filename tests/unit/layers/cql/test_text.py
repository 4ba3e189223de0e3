"""CQL2 text → JSON: as the cql2 package reads it, in time that no text can stretch."""

from __future__ import annotations

import contextlib
import time
from random import Random
from typing import Any

import cql2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.cql.text import read
from layers.instants import instant
from layers.model import FeatureLayer
from tests import queries
from tests.unit.layers.cql import writing

EVERYTHING = FeatureLayer(
    id="everything",
    kind="feature",
    title={},
    fields=queries.FIELDS,
    geometry_type="Geometry",
    extent=None,
    crs="",
    count=0,
    generation=1,
    seq=1,
)


def plain(node: Any) -> Any:
    """A tree in which two readings may be compared: chains of one word flat, numbers as doubles,
    instants in one spelling; an array of one in an array as its member, which cql2 takes it for."""
    if isinstance(node, dict) and "op" in node:
        op, parts = node["op"].lower(), [plain(part) for part in node["args"]]
        if op in ("and", "or"):
            chains = [p["args"] if isinstance(p, dict) and p.get("op") == op else [p] for p in parts]
            parts = [part for chain in chains for part in chain]
        if op.startswith("a_"):
            parts = [bare(part) for part in parts]
        return {"op": op, "args": parts}
    if isinstance(node, dict) and "timestamp" in node:
        return {"timestamp": instant(node["timestamp"])}
    if isinstance(node, dict) and "interval" in node:
        ends = (instant(end) if isinstance(end, str) and "T" in end else end for end in node["interval"])
        return {"interval": list(ends)}
    if isinstance(node, dict):
        return {name: plain(value) for name, value in node.items()}
    if isinstance(node, list):
        return [plain(part) for part in node]
    return float(node) if isinstance(node, int | float) and not isinstance(node, bool) else node


def bare(node: Any) -> Any:
    """An operand of an array function without the parentheses around one member."""
    if not isinstance(node, list):
        return node
    return bare(node[0]) if len(node) == 1 else [bare(member) for member in node]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_two_readers_agree(seed: int) -> None:
    written = writing.text(queries.Maker(Random(seed), EVERYTHING).predicate(1))
    try:
        other = cql2.parse_text(written).to_json()
    except cql2.ParseError:
        assert "()" in written  # which that package does not know
        return
    assert plain(read(written)) == plain(other)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.b:c = 1", {"op": "=", "args": [{"property": "a.b:c"}, 1]}),
        ("a\u3000=\n1", {"op": "=", "args": [{"property": "a"}, 1]}),
        ("and = 1", {"op": "=", "args": [{"property": "and"}, 1]}),
        ("2^3^2 = 1", {"op": "=", "args": [{"op": "^", "args": [{"op": "^", "args": [2, 3]}, 2]}, 1]}),
        ("-2^2 = 1", {"op": "=", "args": [{"op": "^", "args": [-2, 2]}, 1]}),
        ("a--1 = +2", {"op": "=", "args": [{"op": "-", "args": [{"property": "a"}, -1]}, 2]}),
        ("A_EQUALS((('a'),()),b)", {"op": "A_EQUALS", "args": [[["a"], []], {"property": "b"}]}),
        (
            "A_EQUALS(((1+2)*3,(1+2),((4)),lower(('a'))),b)",
            {
                "op": "A_EQUALS",
                "args": [
                    [
                        {"op": "*", "args": [{"op": "+", "args": [1, 2]}, 3]},
                        [{"op": "+", "args": [1, 2]}],
                        [[4]],
                        {"op": "lower", "args": ["a"]},
                    ],
                    {"property": "b"},
                ],
            },
        ),
        ("A_EQUALS(('a'),(b))", {"op": "A_EQUALS", "args": [["a"], [{"property": "b"}]]}),
        ("f(()) IS NULL", {"op": "isNull", "args": [{"op": "f", "args": [[]]}]}),
        ("f() = (1)", {"op": "=", "args": [{"op": "f", "args": []}, 1]}),
        ("a = 12345678901234567890123.0", {"op": "=", "args": [{"property": "a"}, 12345678901234567890123]}),
        ("POINTZ(1 2 3)", {"type": "Point", "coordinates": [1, 2, 3]}),
        ("multipoint z (1 2 3,(4 5 6))", {"type": "MultiPoint", "coordinates": [[1, 2, 3], [4, 5, 6]]}),
        ("point = 1", {"op": "=", "args": [{"property": "point"}, 1]}),
        ("'a''b\\'", "a'b\\"),
        ("'a\\'b\\\\'", "a'b\\\\"),
    ],
)
def test_spellings(text: str, found: Any) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("a IN b", 6),
        ("a IN (1", 8),
        ("1 INTERVAL", 3),
        ("a = 1 b", 7),
        ("a = 1;", 6),
        ("a = +b", 6),
        ("a NOT = 1", 7),
        ("a IS 1", 6),
        ("a BETWEEN 1 OR 2", 13),
        ("a = 'x", 5),
        ('a = "x', 5),
        ("a = 1 = 2", 7),
        ("BBOX(1,2,3,a)", 12),
        ("GEOMETRYCOLLECTION(BBOX(1,2,3,4))", 20),
        ("LINESTRING(1 2,3)", 17),
        ("POLYGON(1 2,3 4)", 9),
        ("a = 1\n AND ", 6),
    ],
)
def test_where_it_stops(text: str, character: int) -> None:
    line = text.count("\n") + 1
    with pytest.raises(ValueError, match=f"is not CQL2 text from line {line}, character {character}$"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 31 + "a=" + ")" * 31,
        "(" * 31 + "1,2" + "),3" * 31,
        "A_EQUALS(" + "(" * 30 + "1,2" + "),3" * 30 + ")",
        "NOT (" * 15 + "a=1," + ")" * 15,
        "f(" * 31 + "1" + ")" * 30 + ";",
        "(" * 8192,
        "((((((((1," * 819,
        "'" * 8191,
        "'" + "\\'" * 4095,
        '"' * 8191,
        "'" + "\\" * 8190,
        " " * 8192,
        "-" * 8192,
        "1" * 8192,
        "1e" * 4096,
        "a=1 AND " * 1024,
        "GEOMETRYCOLLECTION(" * 400,
        "POLYGON((" + "1 2," * 2045,
    ],
    ids=lambda text: text[:24],
)
def test_no_text_takes_long(text: str) -> None:
    """A parser that tries each parenthesis twice takes hours for the first of these."""
    begun = time.process_time()
    with contextlib.suppress(ValueError):
        read(text)
    assert time.process_time() - begun < 1
